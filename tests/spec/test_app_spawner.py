"""The spawner is there whenever apps are, whoever is killed; and never longer than its control."""

import os
import signal
from pathlib import Path

import pytest

from supervisor.spawner import TITLE
from tests.support.app_trouble import Platform, Shop
from tests.support.edged import children_of, title_of
from tests.support.eventually import eventually
from tests.support.load import Load


def spawners(platform: Platform) -> list[int]:
    """Of the whole tree, by the title that ps shows."""
    return [pid for pid in platform.edged.processes() if title_of(pid) == TITLE]


def spawner(platform: Platform) -> int:
    """The only one, which is control's."""

    def only() -> int:
        found = spawners(platform)
        is_control_s = set(found) <= set(children_of(platform.edged.control_pid()))
        return found[0] if len(found) == 1 and is_control_s else 0

    return eventually(only)


@pytest.fixture
def shop(alone: Platform, tmp_path: Path) -> Shop:
    made = Shop(tmp_path / "shop").write("one", instances=2)
    alone.deploy(made)
    return made


def test_without_apps_there_is_none(alone: Platform) -> None:
    assert alone.edged.ctl_json("apps")["apps"] == []
    assert spawners(alone) == []


def test_the_next_control_has_one_before_any_app_needs_it(alone: Platform, shop: Shop) -> None:
    pids = alone.pids(shop)
    before = spawner(alone)
    alone.kill_control()
    after = spawner(alone)
    assert after != before
    assert alone.pids(shop) == pids
    os.kill(pids[0], signal.SIGKILL)
    eventually(lambda: len([pid for pid in alone.pids(shop) if pid not in (0, pids[0])]) == 2)
    assert spawner(alone) == after


def test_one_that_is_killed_under_load_is_replaced_and_costs_nothing(
    alone: Platform, shop: Shop
) -> None:
    pids = alone.pids(shop)
    with Load(alone.edged.address, kept=8, fresh=4, rate=200, host=shop.host, path="/") as load:
        for _ in range(3):
            killed = spawner(alone)
            os.kill(killed, signal.SIGKILL)
            eventually(lambda killed=killed: spawner(alone) != killed)
            assert alone.pids(shop) == pids, "no app is lost"
        killed = spawner(alone)
        os.kill(killed, signal.SIGKILL)  # nobody waits for the next one
        shop.write("two", instances=2)
        alone.deploy(shop)
        assert alone.release_of(shop) == "two"
        report = load.stop()
    assert report.failed == 0, report
    assert set(report.statuses) == {"200"}, report
    assert f"the spawner (pid {killed}) was killed by SIGKILL" in alone.edged.ctl("events").out


def test_one_that_stands_still_goes_with_its_control(alone: Platform, shop: Shop) -> None:
    before = spawner(alone)
    os.kill(before, signal.SIGSTOP)
    alone.kill_control()
    eventually(lambda: spawner(alone) != before)
    assert not Path(f"/proc/{before}").exists()
    alone.edged.stop(expect=0)


def test_it_goes_with_edged(alone: Platform, shop: Shop) -> None:
    pid = spawner(alone)
    alone.edged.stop(expect=0)
    eventually(lambda: not Path(f"/proc/{pid}").exists())
