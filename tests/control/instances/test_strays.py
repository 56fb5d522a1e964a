"""What is found of instances that nobody has written down, with real processes."""

import os
import time

import gevent
import pytest

from control.instances import pipes, strays
from control.instances.cgroup import Cgroups
from control.instances.process import Process
from tests.support.programs import PYTHON, Bench, until

SLEEP = "import time; time.sleep(600)"
FORK = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
os.wait()
print("forked", flush=True)
time.sleep(600)
"""
CLEAN = f"""
import subprocess, time
subprocess.Popen([{PYTHON!r}, "-c", "import time; time.sleep(600)"], env={{}})
print("forked", flush=True)
time.sleep(600)
"""
MANY = 300
QUICK_S = 2.0


def left(process: Process) -> list[int]:
    return process.record.kin.pids()


def sweep(bench: Bench, *known: Process) -> frozenset[str]:
    folder, cgroups = bench.launcher.folder, bench.cgroups
    names = strays.names(folder, cgroups).difference(process.record.name for process in known)
    return strays.end(folder, cgroups, names)


@pytest.fixture(params=["cgroup", "mark"])
def bench(bench: Bench, request: pytest.FixtureRequest) -> Bench:
    if request.param == "mark":
        bench.launcher.cgroups = bench.cgroups = Cgroups("", frozenset())
    elif not bench.cgroups.root:
        pytest.skip("this user may not make cgroups (v2)")
    return bench


def test_a_stray_ends_and_what_is_known_goes_on(bench: Bench) -> None:
    known, stray = bench.run(SLEEP, name="blog.1"), bench.run(SLEEP, name="blog.2")
    assert sweep(bench, known) == {"blog.2"}
    until(lambda: stray.exit is not None)
    assert known.exit is None
    assert pipes.names(bench.launcher.folder) == {"blog.1"}


@pytest.mark.parametrize("program", [FORK, CLEAN], ids=["session", "environment"])
def test_what_a_stray_has_forked_ends_with_it(bench: Bench, program: str) -> None:
    stray = bench.run(program, name="blog.1")
    until(lambda: bench.out() == [b"forked"])
    assert len(left(stray)) == 2
    stray.leave()  # nobody but the sweep ends it
    bench.processes.remove(stray)
    assert sweep(bench) == {"blog.1"}
    until(lambda: left(stray) == [])


def test_without_strays_only_old_pipes_go(bench: Bench) -> None:
    known = bench.run(SLEEP, name="blog.1")
    pipes.make(bench.launcher.folder, "blog.0", None)
    assert sweep(bench, known) == {"blog.0"}
    assert sweep(bench, known) == frozenset()
    assert known.exit is None
    assert pipes.names(bench.launcher.folder) == {"blog.1"}


def test_a_folder_that_is_not_there_has_no_strays(bench: Bench) -> None:
    folder = os.path.join(bench.launcher.folder, "none")
    assert strays.names(folder, Cgroups("", frozenset())) == set()
    assert strays.end(folder, bench.cgroups, ()) == set()


def test_what_runs_is_told_by_the_oldest_process_of_each(bench: Bench) -> None:
    first = bench.run(FORK, name="blog.1")
    until(lambda: bench.out() == [b"forked"])
    assert strays.running(bench.launcher.folder, ["blog.1", "blog.2"]) == {
        "blog.1": first.record.pid
    }


def test_hundreds_of_strays_end_in_little_more_time_than_one(bench: Bench) -> None:
    argv = ("/bin/sleep", "600")
    made = [bench.launch(*argv, name=f"blog.{number}") for number in range(MANY)]
    began = time.monotonic()
    assert len(sweep(bench)) == MANY
    assert time.monotonic() - began < QUICK_S
    gevent.wait([stray.ended for stray in made], timeout=20)
    assert all(stray.exit is not None for stray in made)
