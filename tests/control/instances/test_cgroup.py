"""Cgroups: what is born into one is held, limited and ended by it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from control.instances.cgroup import LEAF, Cgroup, Cgroups, Limits
from tests.architecture.sources import ROOT
from tests.support.programs import Bench, until

FORK_BOMB = """
import os, time
print("up", flush=True)
while True:
    try:
        if os.fork() == 0:
            os.setsid()
            os.environ.clear()
            time.sleep(60)
    except OSError:
        pass
    time.sleep(0.002)
"""


@pytest.fixture
def held(bench: Bench) -> Bench:
    if not bench.cgroups.root:
        pytest.skip("no cgroup (v2) that may be written to")
    return bench


def test_who_forks_on_and_on_is_ended_at_once(held: Bench) -> None:
    process = held.run(FORK_BOMB)
    cgroup = process.record.kin.cgroup
    until(lambda: len(cgroup.pids()) > 20)
    process.kill()
    assert process.ended.wait(10)
    assert not os.path.exists(cgroup.path)


def test_limits_are_written_where_there_is_a_controller(held: Bench) -> None:
    limits = Limits(memory_bytes=64 << 20, cpu_cores=0.5, pids=30)
    made = held.cgroups.make("limited", limits)
    wanted = {"memory": ("memory.max", str(64 << 20)), "cpu": ("cpu.max", "50000 100000"),
              "pids": ("pids.max", "30")}  # fmt: skip
    for controller, (file, value) in wanted.items():
        if controller in held.cgroups.controllers:
            assert Path(made.path, file).read_text().strip() == value
    assert made.is_empty()
    assert made.remove()


FIND = """
from control.instances.cgroup import Cgroups
for _ in range(2):
    print(Cgroups.find("x").root)
print(open("/proc/self/cgroup").read())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root delegates here")
def test_in_a_folder_that_was_delegated_edged_moves_into_a_leaf(held: Bench) -> None:
    made = held.cgroups.make("delegated", Limits())
    os.setxattr(made.path, "trusted.delegate", b"1")
    enter = f'echo $$ > {made.path}/cgroup.procs && exec "$@"'
    try:
        found = subprocess.run(
            ["/bin/sh", "-c", enter, "sh", sys.executable, "-c", FIND],
            cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
        ).stdout.splitlines()  # fmt: skip
    finally:
        Cgroup(os.path.join(made.path, LEAF)).remove()
        made.remove()
    assert found[:2] == [made.path, made.path]
    assert any(line.endswith(f"/delegated/{LEAF}") for line in found)


EVENTS = "low 0\nhigh 0\nmax 9\noom {}\noom_kill {}\noom_group_kill 0\n"


@pytest.mark.parametrize(
    ("oom", "oom_kill", "limit", "why"),
    [
        (0, 0, "max", ""),
        (2, 0, "67108864", ""),  # an allocation that was refused, and killed nobody
        (2, 3, "67108864", " since it used more memory than its limit of 64MiB"),
        (0, 3, "67108864", " since the machine, or edged's own part of it, had no memory left"),
        (0, 3, "max", " since the machine, or edged's own part of it, had no memory left"),
    ],
)
def test_what_was_short_of_memory_is_read_from_its_events(
    tmp_path: Path, oom: int, oom_kill: int, limit: str, why: str
) -> None:
    (tmp_path / "memory.events").write_text(EVENTS.format(oom, oom_kill))
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    assert Cgroup(str(tmp_path)).shortage() == why


def test_without_its_controller_nothing_is_known_of_memory(tmp_path: Path) -> None:
    assert Cgroup(str(tmp_path / "none")).shortage() == ""


def test_one_that_is_gone_is_removed_already(tmp_path: Path) -> None:
    assert Cgroup(str(tmp_path / "none")).remove()


def test_settings_are_what_the_kernel_reads(tmp_path: Path) -> None:
    cgroups = Cgroups(str(tmp_path), frozenset({"memory", "cpu", "pids"}))
    files = ("memory.max", "memory.swap.max", "memory.oom.group", "cpu.max", "pids.max")
    for name, limits, values in (
        ("some", Limits(memory_bytes=1 << 20, cpu_cores=1.5, pids=9),
         ("1048576", "0", "1", "150000 100000", "9")),
        ("none", Limits(), ("max", "max", "1", "max 100000", "max")),
    ):  # fmt: skip
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).touch()
        cgroups.make(name, limits)
        assert tuple((tmp_path / name / file).read_text() for file in files) == values


def test_a_limit_that_is_refused_is_not_passed_over(tmp_path: Path) -> None:
    cgroups = Cgroups(str(tmp_path), frozenset({"pids"}))
    (tmp_path / "some" / "pids.max").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        cgroups.make("some", Limits(pids=9))


def test_what_was_made_for_others_is_found_and_nothing_of_systemds(tmp_path: Path) -> None:
    for name in ("known", "other", LEAF, ".control"):
        (tmp_path / name).mkdir()
    cgroups = Cgroups(str(tmp_path), frozenset())
    assert cgroups.left_of({"known"}) == {"other": Cgroup(str(tmp_path / "other"))}


def test_without_cgroups_nothing_is_made() -> None:
    assert Cgroups("", frozenset()).make("x", Limits(pids=1)) is None
