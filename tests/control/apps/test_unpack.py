"""Unpacking what a stranger sends: a table of archives, each refused and each leaving nothing."""

import gzip
import io
import os
import random
import re
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.apps.archive import pack
from control.apps.unpack import Limits, unpack
from control.refusal import Refused
from tests.architecture.sources import ROOT
from tests.control.apps.hostile import (
    HOSTILE,
    ONE,
    Build,
    extended,
    file,
    folder,
    hard,
    header,
    link,
    raw,
    record,
    tar,
    zipped,
)

SMALL = Limits(files=20, unpacked_bytes=100_000)


@pytest.fixture(autouse=True, params=["with a filter", "without"])
def python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this version, and of one whose tarfile has no filters yet."""
    if request.param == "without":
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
        monkeypatch.delattr(tarfile.TarInfo, "replace", raising=False)


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_refused_and_leaves_nothing(case: str, tmp_path: Path) -> None:
    content, code, message = HOSTILE[case]
    place = tmp_path / "above" / "release"
    place.parent.mkdir()
    with pytest.raises(Refused) as refusal:
        unpack(io.BytesIO(content), str(place), SMALL)
    assert refusal.value.code == code
    assert re.search(message, refusal.value.message), refusal.value.message
    assert str(tmp_path) not in refusal.value.message or code == "archive-unwritable"
    assert [path.name for path in tmp_path.rglob("*")] == ["above"]


def test_a_python_without_filters_for_archives_unpacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("data_filter", "FilterError", "AbsoluteLinkError"):  # as Debian 12's is
        monkeypatch.delattr(tarfile, name, raising=False)
    unpack(io.BytesIO(zipped(file("a.txt", b"hello"), link("b", "a.txt"))), str(tmp_path / "app"))
    assert (tmp_path / "app" / "b").read_bytes() == b"hello"
    for bad in (link("b", "../a"), link("b", "/a"), hard("b", "../a")):
        with pytest.raises(Refused, match="refused: b "):
            unpack(io.BytesIO(zipped(bad)), str(tmp_path / "bad"))


def test_a_good_archive_becomes_its_folder(tmp_path: Path) -> None:
    content = zipped(
        folder("./"),
        file("./a.txt", b"hello", mtime=1_700_000_000, mode=0o666),
        file("bin/run", mode=0o755),
        folder("bin"),
        folder("empty"),
        hard("again", "bin/run"),
        link("bin/up", "../a.txt"),
        link("nowhere", "not/there"),
        file("ü/" + "long" * 60, b"x" * 90_000, mtime=-5),
    )
    assert unpack(io.BytesIO(content), str(tmp_path / "r"), SMALL) == (9, 90_006)
    root = tmp_path / "r"
    assert (root / "bin/up").read_text() == "hello"
    assert (root / "a.txt").stat().st_mtime == 1_700_000_000
    assert (root / "again").samefile(root / "bin/run")
    assert os.readlink(root / "nowhere") == "not/there"
    modes = {
        name: stat.S_IMODE((root / name).stat().st_mode) for name in ("", "bin", "a.txt", "again")
    }
    assert modes == {"": 0o700, "bin": 0o755, "a.txt": 0o644, "again": 0o755}
    assert os.listdir(tmp_path) == ["r"]


def test_what_git_and_gnu_tar_pack_is_good(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "d").mkdir(parents=True)
    (source / "d" / ("n" * 150)).write_text("x")
    os.link(source / "d" / ("n" * 150), source / "same")
    (source / "link").symlink_to("d")
    packed = subprocess.run(["tar", "czf", "-", "."], cwd=source, capture_output=True, check=True)
    unpack(io.BytesIO(packed.stdout), str(tmp_path / "gnu"))
    mine = ("git", "-c", "user.name=n", "-c", "user.email=n@example.com")
    for words in (("init",), ("add", "--all"), ("commit", "-m", "one")):
        subprocess.run([*mine, *words], cwd=source, capture_output=True, check=True)
    packed = subprocess.run(
        ["git", "archive", "--format=tar.gz", "HEAD"], cwd=source, capture_output=True, check=True
    )
    unpack(io.BytesIO(packed.stdout), str(tmp_path / "git"))
    with pack(str(source)) as archive:
        unpack(archive, str(tmp_path / "own"))
    for name in ("gnu", "git", "own"):
        assert (tmp_path / name / "link" / ("n" * 150)).read_text() == "x"
        assert (tmp_path / name / "same").read_text() == "x"


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    with pytest.raises(Refused, match="is there already"):
        unpack(io.BytesIO(zipped(ONE)), str(tmp_path / "r"))
    assert list((tmp_path / "r").iterdir()) == []


class Broken(io.RawIOBase):
    """A sender that goes away in the middle."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self._content = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        piece = self._content.read(size)
        if not piece:
            raise ConnectionResetError(104, "Connection reset by peer")
        return piece


def test_a_sender_that_goes_away_is_told(tmp_path: Path) -> None:
    content = zipped(file("a", random.Random(1).randbytes(50_000)))
    with pytest.raises(Refused, match="cannot be read on: Connection reset"):
        unpack(Broken(content[:20_000]), str(tmp_path / "r"))
    assert os.listdir(tmp_path) == []


WITHOUT_ROOM = """
import resource, signal, sys
from control.apps.unpack import unpack
from control.refusal import Refused
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    unpack(sys.stdin.buffer, sys.argv[1])
except Refused as refusal:
    print(refusal.code, refusal.message)
"""


def test_a_file_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ROOM, str(tmp_path / "r")],
        cwd=ROOT,
        input=zipped(ONE, file("large.bin", bytes(50_000))),
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode().startswith(
        "archive-unwritable large.bin cannot be written: File too"
    )
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
def test_a_full_disk_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        with pytest.raises(Refused, match=r"large\.bin cannot be written: No space") as refusal:
            unpack(io.BytesIO(zipped(ONE, file("large.bin", bytes(90_000)))), str(tmp_path / "r"))
        assert refusal.value.code == "disk-full"
        assert os.listdir(tmp_path) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


MEASURED = """
import sys
from control.apps.unpack import Limits, unpack
from control.refusal import Refused
def most():
    text = open("/proc/self/status").read()
    return int(text.partition("VmHWM:")[2].split()[0])
before = most()
try:
    unpack(sys.stdin.buffer, sys.argv[1], Limits(files=10**6, unpacked_bytes=1 << 40))
except Refused as refusal:
    print(refusal.message, file=sys.stderr)
print(most() - before)
"""

LARGE: dict[str, Callable[[], Build]] = {
    "members": lambda: raw(*(header(f"f{n}") for n in range(20_000))),
    "headers of all": lambda: raw(
        *(
            extended(record(b"k%d" % n, b"v" * 9000), kind=b"g") + header(f"f{n}")
            for n in range(5000)
        )
    ),
    "content": lambda: file("zeros", bytes(100 << 20)),
    "one header": lambda: raw(extended(record(b"comment", b"c" * (100 << 20)))),
}


@pytest.mark.parametrize("case", LARGE)
def test_memory_does_not_grow_with_the_archive(case: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(tmp_path / "r")],
        cwd=ROOT,
        input=zipped(LARGE[case]()),
        capture_output=True,
        check=True,
    )
    assert int(done.stdout) < 12 * 1024, f"{done.stdout.decode()} KiB more"


PARTS = tar(
    ONE,
    file("n" * 150, b"x" * 700),
    link("l", "one"),
    hard("h", "one"),
    folder("d"),
    raw(extended(record(b"mtime", b"1.5") + record(b"path", b"d/p"))),
    file("p"),
)


@given(
    changes=st.lists(st.tuples(st.integers(0, len(PARTS) - 1), st.integers(0, 255)), max_size=4),
    end=st.integers(0, len(PARTS)),
    fix=st.booleans(),
)
def test_whatever_is_changed_it_is_unpacked_or_refused(
    changes: list[tuple[int, int]], end: int, fix: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    above = tmp_path_factory.mktemp("fuzz")
    content = bytearray(PARTS)
    for place, value in changes:
        content[place] = value
        if fix:
            _renew_checksum(content, place // 512 * 512)
    try:
        unpack(io.BytesIO(gzip.compress(bytes(content[: end or None]), 1)), str(above / "r"))
    except Refused:
        assert os.listdir(above) == []
    else:
        assert os.listdir(above) == ["r"]


def _renew_checksum(content: bytearray, start: int) -> None:
    content[start + 148 : start + 156] = b" " * 8
    content[start + 148 : start + 156] = b"%06o\0 " % sum(content[start : start + 512])
