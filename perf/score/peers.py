# SPDX-License-Identifier: MIT
"""The peers: what each is built from, what with, and how it is started."""
import concurrent.futures
import dataclasses
import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent.parent / "peers"
HEADERS = ("peers/peer.h", "peers/pools.hh", "measure.h", "traffic.h", "ranges.h")
BUILD_SECONDS = 240
OPTIMISED = ["-O3", "-DNDEBUG", "-falign-loops=64", "-pthread", "-D_GNU_SOURCE"]
C = ["gcc", "-std=gnu11", *OPTIMISED, "-Wall", "-Wextra"]
CXX = ["g++", "-std=c++23", *OPTIMISED, "-Wall", "-Wextra", "-Wno-missing-field-initializers",
       "-Wno-deprecated-enum-float-conversion"]


class Missing(Exception):
    """A peer cannot be built here."""


def run(command, **how):
    """Runs a command of a build; what it says is of interest only if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS,
                              check=False, **how)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(str(error)) from error
    if done.returncode:
        said = done.stderr.splitlines()
        errors = [line for line in said if "rror" in line] or said[-1:]
        raise Missing(f"{command[0]} ended with {done.returncode}: {''.join(errors[:1])}")
    return done.stdout


def flags(package):
    return run(["pkg-config", "--cflags", "--libs", package]).split() if package else []


@dataclasses.dataclass
class Peer:
    name: str
    source: str
    packages: str  # of Debian
    native: bool = False  # it allocates with malloc
    warmups: int = 1
    libraries: tuple = ()
    package: str = ""  # of pkg-config
    echoes: bool = False  # it has an echo server

    def program(self, build):
        return build / self.name

    def sources(self):
        headers = HEADERS if self.native else ()
        return [HERE / self.source, *(HERE.parent / header for header in headers)]

    def build(self, build):
        """Builds it, unless it is there and newer than its sources."""
        made = self.program(build)
        if made.exists() and all(path.stat().st_mtime < made.stat().st_mtime
                                 for path in self.sources()):
            return
        self.compile(build)

    def compile(self, build):
        compiler = C if self.source.endswith(".c") else CXX
        run([*compiler, str(HERE / self.source), "-o", str(self.program(build)),
             *flags(self.package), *self.libraries])

    def command(self, build):
        return [str(self.program(build))]

    def workloads(self, build):
        return run(self.command(build)).split()


def native(name, source, packages, *libraries, package="", echoes=False):
    return Peer(name, source, packages, True, 1, libraries, package, echoes)


class Java(Peer):
    """Classes in a directory; several rounds until the code is compiled."""

    def compile(self, build):
        run(["javac", "-d", str(self.program(build)), str(HERE / self.source)])
        os.utime(self.program(build))

    def command(self, build):
        return ["java", "-Xms2g", "-Xmx4g", "-XX:+UseParallelGC", "-cp",
                str(self.program(build)), pathlib.Path(self.source).stem]


class Go(Peer):
    def compile(self, build):
        environment = {**os.environ, "CGO_ENABLED": "0",
                       "GOCACHE": str(build / "go-cache"), "GO111MODULE": "off"}
        run(["go", "build", "-o", str(self.program(build)), str(HERE / self.source)],
            env=environment)


class Node(Peer):
    """Nothing to build."""

    def compile(self, build):
        if not shutil.which("node"):
            raise Missing("no node")

    def command(self, build):
        return ["node", "--expose-gc", str(HERE / self.source)]


class Rust(Peer):
    """With the crates that Debian packages; nothing is downloaded."""

    def compile(self, build):
        tree = build / "rust"
        environment = {**os.environ, "CARGO_TARGET_DIR": str(tree), "RUSTC": "/usr/bin/rustc",
                       "CARGO_HOME": str(build / "cargo")}
        run(["/usr/bin/cargo", "build", "--release", "--offline"], env=environment,
            cwd=(HERE / self.source).parent.parent)
        shutil.copy(tree / "release" / "tokio_peer", self.program(build))


RUST = "cargo librust-tokio-dev librust-futures-dev librust-rayon-dev"
ALL = [
    native("libuv", "libuv.c", "libuv1-dev", "-luv", echoes=True),
    native("libevent", "libevent.c", "libevent-dev", "-levent", "-levent_pthreads",
           echoes=True),
    native("glib", "glib.c", "libglib2.0-dev", package="gio-2.0", echoes=True),
    native("tbb", "tbb.cc", "libtbb-dev", "-ltbb"),
    native("asio", "asio.cc", "libasio-dev", echoes=True),
    native("boost", "boost_future.cc", "libboost-thread-dev", "-lboost_thread",
           "-lboost_chrono", "-lboost_system"),
    native("fiber", "boost_fiber.cc", "libboost-fiber-dev", "-lboost_fiber",
           "-lboost_context"),
    native("openmp", "openmp.c", "gcc", "-fopenmp"),
    Java("java", "Completable.java", "openjdk-17-jdk-headless", warmups=3, echoes=True),
    Go("go", "goroutines.go", "golang-go", echoes=True),
    Rust("tokio", "tokio/src/main.rs", RUST, echoes=True),
    Rust("rayon", "tokio/src/main.rs", RUST),
    Node("node", "node_promise.mjs", "nodejs", echoes=True),
    native("std_async", "std_async.cc", "g++"),
    native("std_pool", "std_pool.cc", "g++"),
    native("epoll", "raw_epoll.c", "gcc", echoes=True),
]


def build_all(build, names, complain):
    """Builds the peers named, or all; returns {peer: its workloads}."""
    build.mkdir(parents=True, exist_ok=True)
    wanted = [peer for peer in ALL if not names or peer.name in names]

    def make(peer):
        try:
            peer.build(build)
            return peer, peer.workloads(build)
        except Missing as reason:
            complain(f"{peer.name} is not here: {peer.packages} ({reason})")
            return peer, None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as crew:
        made = list(crew.map(make, wanted))
    return {peer.name: (peer, workloads) for peer, workloads in made if workloads is not None}
