"""The files: bounded, read from the end, and healed after a crash at any byte."""

import os
import signal
import stat
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.apps.logfiles import LogFiles
from tests.architecture.sources import ROOT
from tests.support.eventually import eventually


def lines_of(files: LogFiles) -> list[bytes]:
    return list(files.backward())[::-1]


def test_lines_are_there_again_after_a_restart(tmp_path: Path) -> None:
    files = LogFiles(str(tmp_path / "log"))
    assert lines_of(files) == []
    assert files.append(b"one\ntwo\n") == ""
    files.close()
    assert files.append(b"three\n") == ""
    assert lines_of(LogFiles(files.folder)) == [b"one", b"two", b"three"]
    made = tmp_path / "log" / "00000001.log"
    assert stat.S_IMODE(made.stat().st_mode) == 0o600


@pytest.mark.parametrize("end", range(len(b"1.0 o 1 one\n1.0 o 1 t\xc3\xa4\n") + 1))
def test_a_crash_at_any_byte_costs_no_line_but_the_last(tmp_path: Path, end: int) -> None:
    content = b"1.0 o 1 one\n1.0 o 1 t\xc3\xa4\n"
    (tmp_path / "00000007.log").write_bytes(content[:end])
    files = LogFiles(str(tmp_path))
    assert files.append(b"next\n") == ""
    *before, last = lines_of(files)
    assert last == b"next"
    assert before == [line for line in content[:end].split(b"\n") if line]
    assert len(os.listdir(tmp_path)) == 1


@given(sizes=st.lists(st.integers(1, 120), max_size=60), batch=st.integers(1, 7))
def test_files_are_bounded_and_hold_the_last_lines(
    sizes: list[int], batch: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("log")
    files = LogFiles(str(folder), size_bytes=100, count=3)
    sent = [str(number).encode().ljust(size, b".") for number, size in enumerate(sizes)]
    for start in range(0, len(sent), batch):
        assert files.append(b"".join(line + b"\n" for line in sent[start : start + batch])) == ""
    found = lines_of(files)
    assert found == sent[len(sent) - len(found) :]
    made = list(folder.iterdir())
    assert len(made) <= 3
    assert len(found) == len(sent) or len(made) == 3
    for path in made:
        content = path.read_bytes()
        assert content.endswith(b"\n")
        assert len(content) <= 100 or content.count(b"\n") == 1
    files.close()


def test_a_log_is_read_back_over_blocks_and_files(tmp_path: Path) -> None:
    files = LogFiles(str(tmp_path), size_bytes=300_000, count=5)
    sent = [b"%d " % number + b"x" * (number % 977) for number in range(3000)]
    for line in sent:
        files.append(line + b"\n")
    found = lines_of(files)
    assert len(found) > 2000
    assert found == sent[-len(found) :]
    assert list(islice(files.backward(), 3)) == sent[:-4:-1]


def test_what_a_disk_has_damaged_is_read_past(tmp_path: Path) -> None:
    (tmp_path / "00000001.log").write_bytes(b"one\n" + bytes(5 << 20) + b"\ntwo\n")
    (tmp_path / "notes.txt").write_text("not ours")
    (tmp_path / "x.log").write_text("not ours")
    found = lines_of(LogFiles(str(tmp_path)))
    assert (found[0], found[-1]) == (b"one", b"two")


def test_a_place_that_takes_nothing_is_told_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file in its place")
    files = LogFiles(str(tmp_path / "log"))
    assert files.append(b"one\n") != ""
    assert repr(files) == f"<LogFiles closed {tmp_path}/log>"
    (tmp_path / "log").unlink()
    assert files.append(b"two\n") == ""
    assert lines_of(files) == [b"two"]


WITHOUT_ROOM = """
import resource, signal, sys
from control.apps.logfiles import LogFiles
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
files = LogFiles(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (25, 1000))
print(files.append(b"one\\n" * 5) or "written")
print(files.append(b"cut short\\n") or "written")
print(files.append(b"lost\\n") or "written")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
print(files.append(b"good\\n") or "written")
"""


def test_a_line_that_a_full_disk_cut_gets_its_end_when_there_is_room(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_ROOM, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    assert done.stdout.splitlines() == ["written", "File too large", "File too large", "written"]
    assert lines_of(LogFiles(str(tmp_path))) == [b"one"] * 5 + [b"cut s", b"good"]


WRITING = """
import sys
from control.apps.logfiles import LogFiles
files = LogFiles(sys.argv[1], size_bytes=20_000, count=3)
number = int(sys.argv[2])
while True:
    files.append(b"".join(b"%08d\\n" % (number + step) for step in range(100)))
    number += 100
"""


def test_a_writer_that_is_killed_again_and_again_leaves_whole_lines(tmp_path: Path) -> None:
    for turn in range(5):
        command = [sys.executable, "-c", WRITING, str(tmp_path), str(turn * 10_000_000)]
        with subprocess.Popen(command, cwd=ROOT) as writer:
            files = LogFiles(str(tmp_path))
            mark = b"%08d" % (turn * 10_000_000)
            eventually(
                lambda files=files, mark=mark: any(line >= mark for line in files.backward())
            )
            writer.send_signal(signal.SIGKILL)
        found = lines_of(files)
        whole = [line for line in found if len(line) == 8 and line.isdigit()]
        assert whole == sorted(whole)
        assert len(found) - len(whole) <= turn + 1  # where the writer was cut off
