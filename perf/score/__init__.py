# SPDX-License-Identifier: MIT
"""What perf/scoreboard.py is made of; one noun a file."""
