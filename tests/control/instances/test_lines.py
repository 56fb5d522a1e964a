"""Lines out of a pipe: whole, in order, and none lost with a reader that is killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from control.instances import pipes
from control.instances.lines import CHUNK_BYTES, Lines
from control.instances.process import Record, adopt
from tests.architecture.sources import ROOT
from tests.support.eventually import eventually
from tests.support.programs import Bench, until

WRITE_ON = """
import os, sys, time
for number in range(200_000):
    os.write(1, b"%d\\n" % number)
    if number % 300 == 0:
        time.sleep(0.005)
os.write(1, b"all\\n")
time.sleep(60)
"""


class Pipe:
    """A pipe that is read, and the end of who writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        pipes.make(self.folder, "x", None)
        self.end = pipes.open_theirs(self.folder, "x", "out")
        self.taken: list[bytes] = []
        self.read()

    def read(self) -> None:
        fd = pipes.open_ours(self.folder, "x", "out")
        self.lines = Lines("out", fd, lambda _, line: self.taken.append(line))
        self.lines.start()

    def write(self, data: bytes) -> None:
        os.write(self.end, data)


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    made = Pipe(tmp_path)
    yield made
    made.lines.close()
    os.close(made.end)


def test_lines_come_as_they_are_written(pipe: Pipe) -> None:
    pipe.write(b"one\ntwo\n\nthr")
    until(lambda: pipe.taken == [b"one", b"two", b""])
    pipe.write(b"ee\n")
    until(lambda: pipe.taken == [b"one", b"two", b"", b"three"])


def test_the_beginning_of_a_line_is_left_for_the_next_reader(pipe: Pipe) -> None:
    pipe.write(b"whole\nhal")
    until(lambda: pipe.taken == [b"whole"])
    gevent.sleep(0.03)
    pipe.lines.close()
    pipe.read()
    pipe.write(b"f\n")
    until(lambda: pipe.taken == [b"whole", b"half"])


def test_a_line_that_never_ends_is_handed_on_in_pieces(pipe: Pipe) -> None:
    pipe.write(b"x" * (CHUNK_BYTES * 2 + 10) + b"\nnext\n")
    until(lambda: b"next" in pipe.taken)
    assert b"".join(pipe.taken) == b"x" * (CHUNK_BYTES * 2 + 10) + b"next"
    assert max(map(len, pipe.taken)) <= CHUNK_BYTES


def test_the_last_line_needs_no_end(pipe: Pipe) -> None:
    pipe.write(b"one\ntwo")
    pipe.lines.finish()
    assert pipe.taken == [b"one", b"two"]


def test_who_writes_on_does_not_hold_up_the_end(pipe: Pipe) -> None:
    pipe.write(b"x\n" * 100)
    pipe.lines._take = lambda _, line: (pipe.taken.append(line), pipe.write(b"more\n"))
    pipe.lines.finish()
    assert len(pipe.taken) < 500


@pytest.mark.timeout(60)
def test_a_reader_that_is_killed_loses_no_line_and_the_app_notices_nothing(bench: Bench) -> None:
    program, out = bench.program(WRITE_ON), bench.folder / "lines"
    control = run_control(bench, out, "launch", *program)
    eventually(lambda: out.exists() and out.stat().st_size > 1000)
    record = Record(**json.loads((bench.folder / "record").read_text()))
    for _ in range(5):
        control.send_signal(signal.SIGKILL)
        control.wait()
        size = out.stat().st_size
        control = run_control(bench, out, "adopt")
        eventually(lambda size=size: out.stat().st_size > size, 20)
    eventually(lambda: out.read_bytes().endswith(b"\nall\n"), 30)
    control.kill()
    control.wait()
    process = adopt(record, bench.take)
    assert process, "it lives on"
    process.kill()
    process.ended.wait()
    numbers = [int(line) for line in out.read_bytes().split()[:-1]]
    assert sorted(set(numbers)) == list(range(200_000))
    assert len(numbers) - 200_000 < 5 * CHUNK_BYTES / 2, "what was being taken may be seen twice"


def run_control(bench: Bench, out: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.support.app_control", str(bench.folder), str(out)]
    return subprocess.Popen([*command, *arguments], cwd=ROOT)


def test_lines_that_are_all_as_long_are_read_as_fast_as_others(bench: Bench) -> None:
    text = "import os\nfor _ in range(400):\n    os.write(1, (b'x' * 150 + b'\\n') * 100)\n"
    process = bench.run(text)
    assert process.ended.wait(5), len(bench.out())
    assert len(bench.out()) == 40_000
