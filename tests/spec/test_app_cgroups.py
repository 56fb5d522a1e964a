"""Limits that a kernel holds: each instance has a cgroup, and who exceeds it costs nobody else."""

import os
import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.app_stories import app_of, asked
from tests.support.app_trouble import QUICK, Platform, Shop, serving_meanwhile
from tests.support.cgroups import cgroups_of, lacking
from tests.support.edged import Edged
from tests.support.eventually import eventually
from tests.support.greedy import GREEDY, MEMORY, OUT_OF_MEMORY, edgeds, events, greedy
from tests.support.load import Load

WITHOUT = lacking()  # what of cgroups this kernel does not have, in words
pytestmark = pytest.mark.skipif(bool(WITHOUT), reason=WITHOUT)


@pytest.fixture(scope="module")
def platform(running: Edged, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One on which another app serves all the time: none of its requests fails, nothing of edged
    ends."""
    made, before = Platform(running), edgeds(running)
    with serving_meanwhile(made, tmp_path_factory.mktemp("apps") / "well", rate=25):
        yield made
    assert edgeds(running) == before


def remove(platform: Platform, shop: Shop) -> None:
    held = [each for each in cgroups_of(platform.edged, shop) if each.is_there]
    assert platform.edged.ctl("delete", shop.id, "--yes")
    assert [each.path for each in held if each.is_there] == []


def test_an_app_is_in_a_cgroup_with_its_limits_and_nothing_is_missing(
    platform: Platform, tmp_path: Path
) -> None:
    shop = greedy(tmp_path / "limited", MEMORY + "cpus = 0.5\npids = 30\n")
    platform.deploy(shop)
    [held] = cgroups_of(platform.edged, shop)
    limits = {"memory.max": str(24 << 20), "cpu.max": "50000 100000", "pids.max": "30"}
    assert {name: held.read(name) for name in limits} == limits
    assert held.pids() == [app_of(platform.edged, shop.id)["instances"][0]["pid"]]
    assert asked(platform.edged, "/v1/status")["isolation_missing"] == []
    remove(platform, shop)


def test_a_leak_is_killed_at_its_limit_told_and_started_again(
    platform: Platform, tmp_path: Path
) -> None:
    edged, shop = platform.edged, greedy(tmp_path / "leaking", MEMORY)
    platform.deploy(shop)
    first = platform.ask(shop, "/leak")
    eventually(lambda: platform.ask(shop) != first)
    eventually(lambda: platform.release_of(shop) == "one")
    [held] = cgroups_of(edged, shop)
    assert held.read("memory.max") == str(24 << 20)
    [told] = [each for each in events(edged, "instance-died") if each["app"] == shop.id]
    assert OUT_OF_MEMORY in told["text"]
    assert f", ready now: {OUT_OF_MEMORY}" in edged.ctl("apps").out
    assert OUT_OF_MEMORY in platform.logs(shop)
    remove(platform, shop)


def test_one_that_leaks_again_and_again_is_started_less_and_less_often_and_then_not_at_all(
    platform: Platform, tmp_path: Path
) -> None:
    edged, shop = platform.edged, greedy(tmp_path / "looping", MEMORY)
    platform.deploy(shop)
    (platform.home(shop) / "data" / "leaks").touch()
    os.kill(app_of(edged, shop.id)["instances"][0]["pid"], signal.SIGKILL)
    eventually(lambda: app_of(edged, shop.id)["state"] == "failed", within_s=60)
    times = [each["time"] for each in events(edged, "instance-died") if each["app"] == shop.id]
    pauses = [later - sooner for sooner, later in pairwise(times)]
    assert len(pauses) == 4
    assert all(pause >= least for pause, least in zip(pauses, (0, 1, 2, 4), strict=True)), pauses
    problem = f"{OUT_OF_MEMORY} before it was ready"
    assert app_of(edged, shop.id)["problem"] == problem
    assert problem in edged.ctl("apps").out
    assert (
        f"{shop.id} has failed, and waits for 'edgectl start': {problem}" in edged.ctl("status").out
    )
    assert platform.ask(shop).startswith("502")
    (platform.home(shop) / "data" / "leaks").unlink()
    assert edged.ctl("start", shop.id)
    remove(platform, shop)


def test_when_one_of_two_instances_runs_out_of_memory_no_request_fails(
    platform: Platform, tmp_path: Path
) -> None:
    shop = greedy(tmp_path / "twins", MEMORY, instances=2)
    platform.deploy(shop)
    before = set(platform.pids(shop))
    with Load(platform.edged.address, kept=4, fresh=2, rate=40, host=shop.host, path="/") as load:
        pid = int(platform.ask(shop, "/leak").split()[1])
        eventually(lambda: len(set(platform.pids(shop)) - {0, pid}) == 2, within_s=20)
        report = load.stop()
    assert set(platform.pids(shop)) & before == before - {pid}
    assert report.failed == 0, report
    assert set(report.statuses) == {"200"}, report
    remove(platform, shop)


def test_a_fork_bomb_has_as_many_processes_as_it_may_and_ends_with_its_app(
    platform: Platform, tmp_path: Path
) -> None:
    shop = greedy(tmp_path / "bomb", QUICK + "pids = 25\n")
    platform.deploy(shop)
    [held] = cgroups_of(platform.edged, shop)
    platform.ask(shop, "/bomb")
    eventually(lambda: held.counts("pids.events")["max"] > 3)
    assert held.number("pids.current") == 25
    pids = held.pids()
    remove(platform, shop)
    assert [pid for pid in pids if os.path.exists(f"/proc/{pid}")] == []


def test_who_spins_has_no_more_than_its_part_of_a_core(platform: Platform, tmp_path: Path) -> None:
    shop = greedy(tmp_path / "spinning", QUICK + "cpus = 0.2\n")
    platform.deploy(shop)
    [held] = cgroups_of(platform.edged, shop)
    platform.ask(shop, "/spin")
    first, began = held.counts("cpu.stat"), time.monotonic()
    eventually(lambda: held.counts("cpu.stat")["nr_throttled"] - first["nr_throttled"] >= 15)
    used_s = (held.counts("cpu.stat")["usage_usec"] - first["usage_usec"]) / 1e6
    assert used_s / (time.monotonic() - began) < 0.3
    remove(platform, shop)


@pytest.mark.parametrize("verb", ["stop", "delete"])
def test_nothing_is_left_of_what_an_app_has_forked_away(
    platform: Platform, tmp_path: Path, verb: str
) -> None:
    shop = greedy(tmp_path / verb, QUICK)
    platform.deploy(shop)
    [held] = cgroups_of(platform.edged, shop)
    platform.ask(shop, "/orphan")
    orphan = int(eventually((platform.home(shop) / "data" / "orphan").read_text))
    eventually(lambda: len(held.pids()) == 2)
    assert orphan in held.pids()
    assert platform.edged.ctl(verb, shop.id, *(["--yes"] if verb == "delete" else []))
    assert not held.is_there
    assert not os.path.exists(f"/proc/{orphan}")


def test_a_start_for_which_there_is_too_little_cpu_says_that_it_took_too_long(
    platform: Platform, tmp_path: Path
) -> None:
    limits = QUICK.replace('start = "10s"', 'start = "100ms"') + "cpus = 0.01\n"
    outcome = platform.edged.ctl("deploy", str(greedy(tmp_path / "starved", limits).folder))
    assert outcome.code == 1
    assert "does not start: it was not ready within 0.1 s" in outcome.err


def test_a_command_of_a_deploy_that_runs_out_of_memory_says_so(
    platform: Platform, tmp_path: Path
) -> None:
    shop = greedy(tmp_path / "building", MEMORY)
    taking = "python3 -c \"x = b'x' * (80 << 20)\""
    shop.write("one", GREEDY, limits=MEMORY, build=f"commands = ['''{taking}''']")
    outcome = platform.edged.ctl("deploy", str(shop.folder))
    assert outcome.code == 1
    assert f"has failed: {OUT_OF_MEMORY}" in outcome.err
