"""The spawner: replaced when it is gone, and gone when control is."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.architecture.sources import ROOT
from tests.support.eventually import eventually
from tests.support.programs import Bench, until


def test_a_spawner_that_was_killed_is_replaced(bench: Bench) -> None:
    first = bench.launch("sleep", "60", name="a")
    killed = bench.spawner._process
    os.kill(killed.pid, signal.SIGKILL)
    second = bench.launch("sleep", "60", name="b")
    assert bench.spawner._process.pid != killed.pid
    assert first.exit is None, "what it started goes on"
    assert second.exit is None


def test_an_exit_code_comes_through_the_spawner(bench: Bench) -> None:
    process = bench.launch("/bin/sh", "-c", "exit 7")
    assert process.ended.wait(10)
    assert process.exit.text == "exited with code 7"


def test_processes_are_started_side_by_side(bench: Bench) -> None:
    made = [bench.launch("/bin/sh", "-c", f"exit {n}", name=f"n{n}") for n in range(20)]
    until(lambda: all(process.exit for process in made))
    assert [os.waitstatus_to_exitcode(one.exit.status) for one in made] == list(range(20))


def test_where_clone3_is_refused_the_older_call_does(bench: Bench) -> None:
    old = (
        "import sys, supervisor.fork as fork; fork._SYS_CLONE3 = 9999\n"
        "from supervisor.spawner import main; main(int(sys.argv[1]))"
    )
    bench.spawner.command = (sys.executable, "-c", old)
    process = bench.launch("/bin/sh", "-c", "cat /proc/self/cgroup; exit 5")
    assert process.ended.wait(10)
    assert process.exit.text == "exited with code 5"
    if bench.cgroups.root:
        assert any(line.endswith(b"/blog.1") for line in bench.out())


def test_the_spawner_goes_with_control() -> None:
    code = (
        "from control.instances.spawn import Spawner\n"
        "spawner = Spawner(); spawner.start(); print(spawner._process.pid, flush=True); input()"
    )
    control = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    pid = int(control.stdout.readline())
    assert Path(f"/proc/{pid}").exists()
    control.kill()
    control.communicate()
    eventually(lambda: not Path(f"/proc/{pid}").exists())
