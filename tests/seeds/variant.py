# SPDX-License-Identifier: MIT
"""A copy of the project to break on purpose, and its builds."""
import pathlib
import shutil
import subprocess
import sys

# What a copy needs to build the library and its tests.
PARTS = ("CMakeLists.txt", "CMakePresets.json", "LICENSE", "README.md", "cmake", "docs",
         "executors", "include", "src", "tests")


def fail(message):
    print(f"{pathlib.Path(sys.argv[0]).name}: {message}", file=sys.stderr)
    sys.exit(2)


def run(*command, seconds=None, env=None):
    """Runs a command. Returns its status, None if the time ran out, and what it said."""
    with subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            said = process.communicate(timeout=seconds)[0]
            status = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            said = process.communicate()[0]
            status = None
    return status, said.decode(errors="replace")


def files_of(folder):
    for part in PARTS:
        path = folder / part
        for name in [path] if path.is_file() else path.rglob("*"):
            if name.is_file() and "__pycache__" not in name.parts:
                yield name.relative_to(folder)


class Variant:
    """The tree in folder/tree, kept equal to root but for what put() changes."""

    def __init__(self, root, folder):
        self.root = pathlib.Path(root).resolve()
        self.folder = pathlib.Path(folder).resolve()
        self.tree = self.folder / "tree"
        self.changed = set()
        self.refresh()

    def refresh(self):
        """Makes it the copy that it was; writes only what differs, as builds look at
        the time of a file."""
        names = set(files_of(self.root))
        for name in set(files_of(self.tree)) - names if self.tree.exists() else ():
            (self.tree / name).unlink()
        for name in names:
            self._write(name, (self.root / name).read_bytes(), self.root / name)
        self.changed.clear()

    def restore(self):
        """Takes back what put() did."""
        for name in self.changed:
            self._write(name, (self.root / name).read_bytes(), self.root / name)
        self.changed.clear()

    def _write(self, name, data, like=None):
        path = self.tree / name
        if path.exists() and path.read_bytes() == data:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if like is not None:
            shutil.copymode(like, path)

    def text(self, name):
        path = self.tree / name
        if not path.exists():
            fail(f"there is no file {name}")
        return path.read_text()

    def put(self, name, text):
        self.changed.add(pathlib.Path(name))
        self._write(name, text.encode())

    def build(self, preset, target):
        """Builds a target. Returns the folder of the build, or None and what it said."""
        folder = self.folder / preset
        if not (folder / "build.ninja").exists():
            status, said = run("cmake", "-S", self.tree, "--preset", preset, "-B", folder,
                               "-DVOW_PERF=OFF", "-DVOW_EXAMPLES=OFF", "-DVOW_WERROR=OFF")
            if status != 0:
                return None, said
        status, said = run("cmake", "--build", folder, "--target", target)
        return (folder, said) if status == 0 else (None, said)
