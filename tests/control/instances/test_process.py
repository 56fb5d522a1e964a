"""One process: its output, its end, and all that it has forked."""

import os
import signal

import gevent
import pytest

from control.instances import procfs
from control.instances.cgroup import Cgroups, Limits
from control.instances.launch import Launcher
from control.instances.process import adopt
from tests.support.programs import Bench, until

FORKS_AWAY = """
import os, sys, time
def away(leave_session):
    if os.fork() == 0:
        if leave_session:
            os.setsid()
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
        print("away", pid, flush=True)
        os._exit(0)
    os.wait()
away(False)
away(True)
if "wait" in sys.argv:
    time.sleep(60)
"""

DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""

FLOOD = """
import os
while True:
    os.write(1, b"x" * 999 + b"\\n")
"""

LEAK = """
kept = []
while True:
    kept.append(bytearray(1 << 20))
    kept[-1][::4096] = b"x" * 256
"""


@pytest.fixture(params=["with cgroups", "without"])
def either(request: pytest.FixtureRequest, bench: Bench) -> Bench:
    """A bench with the cgroups that there are, and one that must do without."""
    if request.param == "without":
        bench.launcher = Launcher(bench.launcher.folder, Cgroups("", frozenset()), bench.spawner)
    elif not bench.cgroups.root:
        pytest.skip("no cgroup (v2) that may be written to")
    return bench


def test_all_output_is_there_when_the_end_is_told(bench: Bench) -> None:
    process = bench.launch("/bin/sh", "-c", "seq 20000; echo bad >&2; printf last")
    process.ended.wait(10)
    assert bench.out() == [*(b"%d" % n for n in range(1, 20001)), b"last"]
    assert ("err", b"bad") in bench.lines
    assert process.last_lines[-1] == b"last"
    assert list((bench.folder / "pipes").iterdir()) == []


def test_one_that_finishes_on_sigterm_is_not_killed(bench: Bench) -> None:
    process = bench.launch(
        "/bin/sh", "-c", "trap 'echo bye; exit 3' TERM; echo up; sleep 60 & wait $!"
    )
    until(lambda: bench.out() == [b"up"])
    assert process.end(10).text == "exited with code 3"
    assert bench.out() == [b"up", b"bye"]


def test_one_that_ignores_sigterm_is_killed_when_its_time_is_over(bench: Bench) -> None:
    process = bench.run(DEAF)
    until(lambda: bench.out() == [b"deaf"])
    assert process.end(0.2).text == "was killed by SIGKILL"


def test_what_forked_away_ends_with_the_first_process(either: Bench) -> None:
    process = either.run(FORKS_AWAY)
    assert process.ended.wait(10)
    pids = [int(line.split()[1]) for line in either.out()]
    assert len(pids) == 2
    until(lambda: not any(map(is_running, pids)))
    text = "exited with code 0 and went to the background (an app must stay in the foreground)"
    assert process.exit.text == text


def test_what_forked_away_ends_when_the_process_is_told_to(either: Bench) -> None:
    process = either.launch(*either.program(FORKS_AWAY), "wait")
    until(lambda: len(either.out()) == 2)
    pids = [int(line.split()[1]) for line in either.out()]
    assert set(pids) < set(process.record.kin.pids())
    assert process.end(1).text == "was killed by SIGTERM"
    assert [pid for pid in pids if is_running(pid)] == []


def test_a_neighbour_is_left_alone(either: Bench) -> None:
    neighbour = either.launch("sleep", "60", name="blog.11")
    process = either.launch(*either.program(FORKS_AWAY), "wait", name="blog.1")
    until(lambda: len(either.out()) == 2)
    process.end(1)
    assert is_running(neighbour.record.pid)


def test_a_flood_holds_nobody_up(bench: Bench) -> None:
    process, turns = bench.run(FLOOD), 0
    with gevent.Timeout(0.5, False):
        while True:
            gevent.sleep(0.001)
            turns += 1
    assert turns > 50
    assert process.end(1).text == "was killed by SIGTERM"
    assert 100 < len(bench.lines) < 30_000


@pytest.mark.timeout(60)
def test_a_leak_ends_at_the_limit(bench: Bench) -> None:
    process = bench.run(LEAK, limits=Limits(memory_bytes=64 << 20))
    assert process.ended.wait(30)
    if "memory" in bench.cgroups.controllers:
        assert process.exit.out_of_memory
        assert process.exit.text.endswith("since it used more memory than its limit of 64MiB")
    else:
        assert any(b"MemoryError" in line for _, line in bench.lines)


def test_a_process_that_left_our_sight_is_adopted(either: Bench) -> None:
    process = either.launch(
        "/bin/sh", "-c", "trap 'echo two; exit' TERM; echo one; sleep 60 & wait $!"
    )
    until(lambda: either.out() == [b"one"])
    process.leave()
    again = adopt(process.record, either.take)
    assert again is not None
    assert again.record == process.record
    again.end(5)
    assert either.out() == [b"one", b"two"]
    assert adopt(process.record, either.take) is None


def test_one_that_is_not_our_child_is_watched_all_the_same(bench: Bench) -> None:
    # The shell waits for it, so it is the shell's child.
    program = bench.program("import time; print('up', flush=True); time.sleep(60)")
    parent = bench.launch("/bin/sh", "-c", f"{' '.join(program)} & echo $!; wait")
    until(lambda: b"up" in bench.out())
    pid = int(next(line for line in bench.out() if line != b"up"))
    stat = procfs.stat_of(pid)
    record = parent.record.__class__(
        **parent.record.to_json() | {"pid": pid, "start_ticks": stat.start_ticks, "cgroup": ""}
    )
    adopted = adopt(record, bench.take)
    assert adopted is not None
    os.kill(pid, signal.SIGKILL)
    assert adopted.ended.wait(10)
    assert (adopted.exit.text, adopted.exit.status) == ("ended", None)


def test_a_pid_that_is_somebody_elses_by_now_is_not_adopted(bench: Bench) -> None:
    process = bench.launch("sleep", "60", name="real")
    other = process.record.__class__(
        **process.record.to_json() | {"name": "other", "start_ticks": 1, "cgroup": ""}
    )
    assert adopt(other, bench.take) is None
    assert is_running(process.record.pid)


def is_running(pid: int) -> bool:
    stat = procfs.stat_of(pid)
    return stat is not None and stat.is_alive
