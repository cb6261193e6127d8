# SPDX-License-Identifier: MIT
"""Time that may be spent: in equal parts, and what one leaves goes to the others."""
import time


class Budget:
    """So many seconds for so many parts; a fifth more, and everything has to end."""

    def __init__(self, seconds, parts, now=time.monotonic):
        self.now = now
        self.parts = parts
        self.end = now() + seconds
        self.last = self.end + seconds / 5

    def next(self):
        """Returns the seconds for the next part; 0 if there are none left."""
        share = max(0.0, self.end - self.now()) / max(self.parts, 1)
        self.parts -= 1
        return share

    def left(self):
        return self.end - self.now()

    def over(self):
        """Returns whether nothing new may be begun."""
        return self.now() >= self.last
