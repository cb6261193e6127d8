#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the example program thumbnails as its users would, good and bad input alike.

    test_thumbnails.py PROGRAM SHORT [unittest's options]

SHORT is the same program, with an allocator that fails as failing_allocator.c says.
"""
import os
import pathlib
import pty
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import unittest

PROGRAM = SHORT = None  # their paths, from the command line
TIMEOUT = 600  # after which a run hangs, with every sanitizer on


def jpeg_size(data):
    """Returns the size that a JPEG file claims: of its first frame."""
    at = 2
    while data[at] == 0xFF:
        marker, length = data[at + 1], struct.unpack(">H", data[at + 2:at + 4])[0]
        if marker in (0xC0, 0xC1, 0xC2):
            height, width = struct.unpack(">HH", data[at + 5:at + 9])
            return width, height
        at += 2 + length
    raise ValueError("no frame")


def webp_size(data):
    """Returns the size that a lossy WebP file claims."""
    if data[12:16] == b"VP8X":
        return tuple(1 + int.from_bytes(data[at:at + 3], "little") for at in (24, 27))
    if data[12:16] != b"VP8 ":
        raise ValueError("not lossy")
    return tuple(side & 0x3FFF for side in struct.unpack("<HH", data[26:30]))


def describe(path):
    """Returns the format and the size of a picture that is there from end to end."""
    data = path.read_bytes()
    if data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9":
        return "jpg", jpeg_size(data)
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[-8:-4] == b"IEND":
        return "png", struct.unpack(">II", data[16:24])
    if data[:4] == b"RIFF" and len(data) == 8 + struct.unpack("<I", data[4:8])[0]:
        return "webp", webp_size(data)
    raise AssertionError(f"{path} is no whole picture")


def read_all(terminal):
    """Returns what was written to a terminal whose other side is closed."""
    read = b""
    try:
        while some := os.read(terminal, 65536):
            read += some
    except OSError:  # EIO: there is no more
        pass
    return read


def files_in(directory):
    """Returns the files below a directory, relative to it."""
    return {path.relative_to(directory).as_posix()
            for path in directory.rglob("*") if not path.is_dir()}


def has_sanitizer():
    data = pathlib.Path(PROGRAM).read_bytes()
    return b"__asan_init" in data or b"__tsan_init" in data


def run(*arguments, program=None, **options):
    options = {"capture_output": True, "timeout": TIMEOUT, "check": False, **options}
    return subprocess.run([program or PROGRAM, *map(str, arguments)], **options)


def setUpModule():
    """Draws the pictures, once: it takes longer than any case."""
    shared = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(shared.cleanup)
    Case.pictures = pathlib.Path(shared.name, "pictures")
    Case.small = pathlib.Path(shared.name, "small")
    Case.drawn = run("--generate", "--size", 48, Case.pictures, Case.small)
    Case.jpg = Case.small / "landscape/00.jpg"
    Case.png = Case.small / "landscape/01.png"
    Case.webp = Case.small / "landscape/02.webp"


class Case(unittest.TestCase):
    """Has a place of its own, and pictures to copy from."""

    def setUp(self):
        self.place = tempfile.TemporaryDirectory()
        self.addCleanup(self.place.cleanup)
        self.top = pathlib.Path(self.place.name)
        self.dir = self.top / "in"
        self.out = self.top / "out"
        self.dir.mkdir()

    def put(self, name, source=None, data=b""):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if source is None else source.read_bytes())
        return path

    def made(self, *arguments, status=0, **options):
        """Runs over the input directory, and returns what it said on both streams."""
        done = run(*arguments, self.dir, self.out, **options)
        self.assertEqual(done.returncode, status, done.stderr.decode(errors="replace"))
        return done.stdout.decode(), done.stderr.decode(errors="replace")


class GoodPictures(Case):

    def test_generated_pictures_have_thumbnails_of_their_path_and_format(self):
        self.assertEqual(self.drawn.returncode, 0, self.drawn.stderr)
        names = files_in(self.pictures)
        self.assertEqual(len(names), 36)
        self.assertEqual(files_in(self.small), names)
        for name in names:
            kind, (width, height) = describe(self.small / name)
            self.assertTrue(name.endswith("." + kind), name)
            self.assertEqual(max(width, height), 48, name)
        self.assertIn(b"36 thumbnails of 36 files", self.drawn.stdout)

    def test_thumbnail_keeps_the_proportions(self):
        _, (width, height) = describe(self.pictures / "panorama/09.jpg")
        _, (small_width, small_height) = describe(self.small / "panorama/09.jpg")
        self.assertEqual(small_width, 48)
        self.assertLessEqual(abs(small_height - height * 48 / width), 0.5)

    def test_small_picture_is_not_enlarged(self):
        self.put("a.png", self.png)
        self.made("--size", 1000)
        self.assertEqual(describe(self.out / "a.png"), describe(self.png))

    def test_content_counts_and_not_the_name(self):
        self.put("photo", self.jpg)
        self.put("really-a-png.jpg", self.png)
        self.put("README", data=b"words")
        self.put("empty", data=b"")
        self.made()
        self.assertEqual(files_in(self.out), {"photo", "really-a-png.jpg"})
        self.assertEqual(describe(self.out / "really-a-png.jpg")[0], "png")

    def test_names_that_differ_in_the_ending_do_not_collide(self):
        self.put("a.jpg", self.jpg)
        self.put("a.png", self.png)
        self.put("a.WebP", self.webp)
        self.made()
        self.assertEqual(files_in(self.out), {"a.jpg", "a.png", "a.WebP"})

    def test_odd_names_work(self):
        names = {"with space.jpg", "new\nline.jpg", "-dash.jpg", "ünï.jpg", "d ir/\x1b[2J.jpg"}
        for name in names:
            self.put(name, self.jpg)
        self.made()
        self.assertEqual(files_in(self.out), names)

    def test_sizes_have_directories_of_their_own(self):
        self.put("sub/a.jpg", self.jpg)
        self.made("--size", "16,32")
        self.assertEqual(files_in(self.out), {"16/sub/a.jpg", "32/sub/a.jpg"})
        self.assertEqual(max(describe(self.out / "16/sub/a.jpg")[1]), 16)
        self.assertEqual(max(describe(self.out / "32/sub/a.jpg")[1]), 32)

    def test_repeat_makes_up_sizes(self):
        self.put("a.jpg", self.jpg)
        self.made("--size", 16, "--repeat", 3)
        self.assertEqual(files_in(self.out), {"16/a.jpg", "17/a.jpg", "18/a.jpg"})

    def test_at_least_repeats_until_there_are_so_many(self):
        for name in "abc":
            self.put(name + ".jpg", self.jpg)
        said, _ = self.made("--at-least", 7)
        self.assertIn("9 thumbnails of 3 files", said)
        self.assertEqual(len(files_in(self.out)), 9)

    def test_no_picture_is_no_failure(self):
        said, _ = self.made("--at-least", 10)
        self.assertIn("0 thumbnails of 0 files", said)

    def test_one_thread_and_one_in_flight_are_enough(self):
        for i in range(20):
            self.put(f"{i}.jpg", self.jpg)
        self.made("--jobs", 1, "--in-flight", 1)
        self.assertEqual(len(files_in(self.out)), 20)

    def test_more_in_flight_than_pictures_is_fine(self):
        self.put("a.jpg", self.jpg)
        self.made("--jobs", 3, "--in-flight", 500)
        self.assertEqual(files_in(self.out), {"a.jpg"})

    def test_compare_makes_the_same_again_and_compares(self):
        self.put("a.jpg", self.jpg)
        self.put("bad.jpg", data=b"no")
        said, failures = self.made("--compare", status=1)
        self.assertRegex(said, r"s one after the other: \d+\.\d\d times as fast")
        self.assertEqual(failures.count("bad.jpg"), 1)
        self.assertEqual(files_in(self.out), {"a.jpg"})

    def test_quiet_says_nothing_but_failures(self):
        self.put("a.jpg", self.jpg)
        self.assertEqual(self.made("--quiet"), ("", ""))
        self.put("b.jpg", data=b"no")
        said, failures = self.made("--quiet", status=1)
        self.assertEqual(said, "")
        self.assertEqual(len(failures.splitlines()), 1)

    def test_terminal_gets_a_bar(self):
        for i in range(30):
            self.put(f"{i}.jpg", self.jpg)
        ours, theirs = pty.openpty()
        done = run(self.dir, self.out, capture_output=False, stdout=subprocess.DEVNULL,
                   stderr=theirs)
        os.close(theirs)
        shown = read_all(ours)
        os.close(ours)
        self.assertEqual(done.returncode, 0)
        self.assertRegex(shown, rb"^\[[#.]{32}\] \d+ of 30 pictures")
        self.assertTrue(shown.endswith(b"\r\x1b[K"), shown[-40:])


class Trees(Case):

    def test_links_to_directories_are_not_followed(self):
        self.put("sub/a.jpg", self.jpg)
        (self.dir / "sub/up").symlink_to("..")
        (self.dir / "again.jpg").symlink_to("sub")
        self.made()
        self.assertEqual(files_in(self.out), {"sub/a.jpg"})

    def test_links_to_files_are_followed(self):
        self.put("a.jpg", self.jpg)
        (self.dir / "b.jpg").symlink_to("a.jpg")
        self.made()
        self.assertEqual(files_in(self.out), {"a.jpg", "b.jpg"})
        self.assertFalse((self.out / "b.jpg").is_symlink())

    def test_directory_with_the_name_of_a_picture_is_a_directory(self):
        self.put("holiday.jpg/a.jpg", self.jpg)
        self.made()
        self.assertEqual(files_in(self.out), {"holiday.jpg/a.jpg"})

    def test_out_inside_dir_is_left_out(self):
        self.put("a.jpg", self.jpg)
        self.out = self.dir / "small/thumbs"
        for _ in range(2):
            said, _ = self.made()
            self.assertIn("1 thumbnails of 1 files", said)
        self.assertEqual(files_in(self.dir), {"a.jpg", "small/thumbs/a.jpg"})

    def test_out_that_could_replace_pictures_is_refused(self):
        picture = self.put("a.jpg", self.jpg)
        before = picture.read_bytes()
        for out in (self.dir, self.top, self.dir / "."):
            self.out = out
            _, said = self.made("--size", 8, status=2)
            self.assertIn("could replace", said)
        self.assertEqual(picture.read_bytes(), before)

    def test_dir_may_end_in_slashes_or_be_a_link(self):
        self.put("sub/a.jpg", self.jpg)
        link = self.top / "link"
        link.symlink_to(self.dir)
        done = run(f"{link}//", f"{self.out}/")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(files_in(self.out), {"sub/a.jpg"})

    def test_deep_tree_is_an_error_of_that_tree_only(self):
        self.put("a.jpg", self.jpg)
        self.put("d/" * 200 + "b.jpg", self.jpg)
        said, failures = self.made(status=1)
        self.assertIn("1 thumbnails", said)
        self.assertIn("d/d/d: File name too long", failures)


class BadFiles(Case):

    def assert_fails(self, name, reason):
        """Checks that one bad file is told of, fails alone and leaves nothing."""
        self.put("good.jpg", self.jpg)
        said, failures = self.made(status=1)
        self.assertIn(f"{self.dir}/{name}: {reason}", failures)
        self.assertIn("1 thumbnails of 2 files", said)
        self.assertIn("1 failed", said)
        self.assertEqual(files_in(self.out), {"good.jpg"})

    def test_empty_file(self):
        self.put("a.jpg")
        self.assert_fails("a.jpg", "the file is empty")

    def test_text_with_the_name_of_a_picture(self):
        self.put("a.PNG", data=b"Dear diary,\n")
        self.assert_fails("a.PNG", "not a JPEG, PNG or WebP picture")

    def test_one_byte(self):
        self.put("a.jpg", data=b"\xff")
        self.assert_fails("a.jpg", "not a JPEG, PNG or WebP picture")

    def cut_short(self, source, name, reason):
        data = source.read_bytes()
        self.put(name, data=data[:len(data) // 2])
        self.assert_fails(name, reason)

    def test_jpeg_cut_short(self):
        self.cut_short(self.pictures / "landscape/00.jpg", "a.jpg",
                       "damaged JPEG: Premature end of JPEG file")

    def test_png_cut_short(self):
        self.cut_short(self.pictures / "landscape/01.png", "a.png",
                       "damaged PNG: Read Error: truncated data")

    def test_webp_cut_short(self):
        self.cut_short(self.pictures / "landscape/02.webp", "a.webp",
                       "damaged WebP: it ends too early")

    def test_every_short_beginning_of_a_picture_fails(self):
        pictures = (self.jpg, self.png, self.webp)
        for path in pictures:
            for length in range(1, 64):
                self.put(f"{length}{path.suffix}", data=path.read_bytes()[:length])
        said, failures = self.made("--quiet", status=1)
        self.assertEqual(len(failures.splitlines()), 3 * 63, failures)
        self.assertEqual(said, "")
        self.assertEqual(files_in(self.out), set())

    def test_damaged_png(self):
        data = bytearray(self.png.read_bytes())
        data[len(data) // 2] ^= 0x55
        self.put("a.png", data=bytes(data))
        self.assert_fails("a.png", "damaged PNG: ")

    def test_png_that_claims_to_be_huge(self):
        data = bytearray(self.png.read_bytes())
        data[16:24] = struct.pack(">II", 65500, 65500)
        self.put("a.png", data=bytes(data))
        self.assert_fails("a.png", "too large: 65500 x 65500 pixels")

    def test_jpeg_that_claims_to_be_huge(self):
        data = bytearray(self.jpg.read_bytes())
        at = data.index(b"\xff\xc0") + 5
        data[at:at + 4] = struct.pack(">HH", 65000, 64000)
        self.put("a.jpg", data=bytes(data))
        self.assert_fails("a.jpg", "too large: 64000 x 65000 pixels")

    def test_webp_that_claims_to_be_huge(self):
        data = bytearray(self.webp.read_bytes())
        at, claimed = (26, struct.pack("<HH", 16383, 16383)) if data[12:16] == b"VP8 " \
            else (24, b"\xfe\x3f\x00\xfe\x3f\x00")
        data[at:at + len(claimed)] = claimed
        self.put("a.webp", data=bytes(data))
        self.assert_fails("a.webp", "too large: 16383 x 16383 pixels")

    def test_pipe_does_not_block(self):
        os.mkfifo(self.dir / "a.jpg")
        os.mkfifo(self.dir / "b")
        self.assert_fails("a.jpg", "not a regular file")

    def test_link_to_nowhere(self):
        (self.dir / "a.jpg").symlink_to("nowhere")
        (self.dir / "b").symlink_to("nowhere")
        self.assert_fails("a.jpg", "No such file or directory")

    def test_link_to_itself(self):
        (self.dir / "a.jpg").symlink_to("a.jpg")
        self.assert_fails("a.jpg", "Too many levels of symbolic links")

    def test_name_cannot_upset_the_terminal(self):
        self.put("a\n\x1b[2J\u0085.jpg", data=b"no")
        _, failures = self.made(status=1)
        self.assertIn("a??[2J\u00c2?.jpg: not a".encode("latin-1"),
                      failures.encode(errors="replace").replace(b"\xef\xbf\xbd", b"\xc2"))
        self.assertNotIn("\x1b", failures)

    def test_failures_are_summed_up_by_reason(self):
        for name in "ab":
            self.put(name + ".jpg", data=b"no")
        self.put("c.jpg")
        said, _ = self.made(status=1)
        self.assertIn("3 failed:\n", said)
        self.assertIn("2 not a picture\n", said)
        self.assertIn("1 empty file\n", said)

    def as_nobody(self):
        """Returns how to run without the right to read everything."""
        if os.geteuid() != 0:
            return PROGRAM, {}
        program = self.top / "program"
        shutil.copy(PROGRAM, program)
        for path in (self.top, program, *self.top.rglob("*")):
            os.chown(path, 65534, 65534, follow_symlinks=False)
        return str(program), {"user": 65534, "group": 65534}

    def test_unreadable_file_and_directory(self):
        secret = self.put("a.jpg", self.jpg)
        self.put("closed/b.jpg", self.jpg)
        self.put("good.jpg", self.jpg)
        program, options = self.as_nobody()
        secret.chmod(0)
        (self.dir / "closed").chmod(0)
        self.addCleanup((self.dir / "closed").chmod, 0o700)
        done = run(self.dir, self.out, program=program, cwd="/", **options)
        failures = done.stderr.decode()
        self.assertEqual(done.returncode, 1, failures)
        self.assertIn(f"{self.dir}/a.jpg: Permission denied", failures)
        self.assertIn(f"{self.dir}/closed: Permission denied", failures)
        self.assertEqual(files_in(self.out), {"good.jpg"})


class BadOutput(Case):

    def test_thumbnail_that_cannot_be_renamed_leaves_nothing(self):
        self.put("a.jpg", self.jpg)
        self.put("b.jpg", self.jpg)
        (self.out / "a.jpg/full").mkdir(parents=True)
        _, failures = self.made(status=1)
        self.assertIn("a.jpg: its thumbnail cannot be written: Is a directory", failures)
        self.assertEqual(files_in(self.out), {"b.jpg"})

    def test_file_in_place_of_a_directory(self):
        self.put("sub/a.jpg", self.jpg)
        self.out.mkdir()
        (self.out / "sub").write_text("in the way")
        _, failures = self.made(status=1)
        self.assertIn("sub/a.jpg: its thumbnail cannot be written", failures)
        self.assertEqual(files_in(self.out), {"sub"})

    def test_full_disk_leaves_nothing(self):
        # A limit on the size of files stands for a full disk; python ignores SIGXFSZ.
        self.put("a.png", self.png)
        limit = 100
        _, failures = self.made(
            status=1, restore_signals=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        self.assertIn("a.png: its thumbnail cannot be written: File too large", failures)
        self.assertEqual(files_in(self.out), set())


class CommandLine(Case):

    def assert_refused(self, *arguments, says=""):
        done = run(*arguments, cwd=self.top)
        self.assertEqual(done.returncode, 2, arguments)
        self.assertIn(says, done.stderr.decode())
        self.assertEqual(done.stdout, b"")
        self.assertEqual(files_in(self.top), set())

    def test_help(self):
        done = run("--help")
        self.assertEqual(done.returncode, 0)
        for option in ("--size", "--jobs", "--in-flight", "--repeat", "--at-least",
                       "--generate", "--compare", "--quiet", "EXIF"):
            self.assertIn(option.encode(), done.stdout)

    def test_missing_directory(self):
        self.assert_refused(says="usage: ")
        self.assert_refused("nowhere", says="nowhere: No such file or directory")

    def test_bad_options(self):
        self.assert_refused("--fast", self.dir, says="--fast")
        self.assert_refused("--size", says="--size")
        self.assert_refused(self.dir, "out", "more", says="too many arguments: more")

    def test_bad_numbers(self):
        for option in ("--size", "--jobs", "--in-flight", "--repeat", "--at-least"):
            for value in ("0", "-1", "x", "", "1x", " 1", "99999999999999999999"):
                self.assert_refused(option, value, self.dir, says=option)
        for value in ("8,", ",8", "8,8", "8;9", ",".join(map(str, range(1, 40)))):
            self.assert_refused("--size", value, self.dir, says="--size")

    def test_dir_that_is_a_file(self):
        file = self.top / "file"
        file.write_text("x")
        done = run(file, self.out)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"Not a directory", done.stderr)

    def test_out_that_cannot_be_made(self):
        file = self.top / "file"
        file.write_text("x")
        for out in (file, file / "out"):
            done = run(self.dir, out)
            self.assertEqual(done.returncode, 2)
            self.assertIn(b"Not a directory", done.stderr)


class Stopping(Case):

    def stop_with(self, number):
        """Stops a batch of hours when its first thumbnails are there."""
        batch = subprocess.Popen(
            [PROGRAM, "--at-least", "1000000", self.pictures, self.out],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with batch:
            self.addCleanup(batch.kill)
            for line in batch.stderr:
                if re.match(r"[1-9]\d* of ", line):
                    break
            batch.send_signal(number)
            said, failures = batch.communicate(timeout=TIMEOUT)
        self.assertEqual(batch.returncode, 130, failures)
        count = int(re.match(r"stopped: (\d+) thumbnails", said).group(1))
        names = files_in(self.out)
        self.assertEqual(len(names), count)
        self.assertGreater(count, 0)
        for name in names:
            self.assertFalse(pathlib.Path(name).name.startswith("."), name)
            describe(self.out / name)

    def test_ctrl_c_finishes_what_runs(self):
        self.stop_with(signal.SIGINT)

    def test_termination_finishes_what_runs(self):
        self.stop_with(signal.SIGTERM)


class OutOfMemory(Case):

    def test_without_memory_it_does_not_begin_or_makes_all(self):
        """All memory is allocated at the start: what has begun does not run out of it."""
        began = []
        for every in range(1, 26):
            shutil.rmtree(self.out, ignore_errors=True)
            done = run(self.pictures, self.out, program=SHORT,
                       env={**os.environ, "FAIL_EVERY": str(every)})
            failures = done.stderr.decode()
            self.assertIn(done.returncode, (0, 2), failures)
            names = files_in(self.out)
            self.assertEqual(len(names), 36 if done.returncode == 0 else 0, failures)
            if done.returncode == 2:
                self.assertIn("cannot be started", failures)
            for name in names:
                describe(self.out / name)
            began.append(done.returncode == 0)
        self.assertFalse(any(began[:5]))

    def test_program_works_with_that_allocator_too(self):
        done = run(self.pictures, self.out, program=SHORT)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(files_in(self.out)), 36)


class Memory(Case):

    def links(self, count, name):
        """Makes a directory with so many files."""
        directory = self.top / name
        for i in range(count):
            link = directory / str(i // 500) / f"a picture with a long name {i:08}.jpg"
            link.parent.mkdir(parents=True, exist_ok=True)
            os.link(self.source, link)
        return directory

    def peak(self, directory, count):
        """Returns the peak memory of a batch of so many files, in MB."""
        done = run(directory, self.out)
        self.assertEqual(done.returncode, 0, done.stderr)
        said = done.stdout.decode()
        self.assertIn(f"{count} thumbnails", said)
        return float(re.search(r"peak memory ([0-9.]+) MB", said).group(1))

    def test_ten_times_the_files_take_the_same_memory(self):
        if has_sanitizer():
            self.skipTest("sanitizers keep memory of their own")
        self.source = self.top / "source.jpg"
        shutil.copy(self.jpg, self.source)
        few, many = self.links(1000, "few"), self.links(10000, "many")
        # How many pictures are in work at once, the scheduler says: a busy machine has
        # fewer. What grows with the files does so in each run.
        most, least = 0, float("inf")
        for _ in range(5):
            most = max(most, self.peak(few, 1000))
            least = min(least, self.peak(many, 10000))
            if least <= most * 1.1:
                return
        self.fail(f"{least} MB, and {most} MB for a tenth of the files")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    SHORT = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
