"""Under load no request to an app is lost that one of its instances could have answered."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.app_trouble import GOOD, SERVE, Platform, Shop
from tests.support.eventually import eventually
from tests.support.load import Load, Report

RATE = 300
LEAST_REQUESTS = 100

SLOW = (
    SERVE
    + """
def answer(path):
    time.sleep(0.05)
    return 200, f"{release} {os.getpid()}"
listen()
"""
)
"""Has always something under way when something happens to it."""


@pytest.fixture
def platform(alone: Platform) -> Platform:
    return alone


@pytest.fixture
def shop(platform: Platform, tmp_path: Path) -> Shop:
    """Two instances of it serve."""
    made = Shop(tmp_path / "shop").write("one", SLOW, instances=2)
    platform.deploy(made)
    return made


def loading(platform: Platform, shop: Shop) -> Load:
    return Load(platform.edged.address, kept=12, fresh=4, rate=RATE, host=shop.host, path="/")


def assert_nothing_failed(load: Load) -> Report:
    report = load.stop()
    assert report.failed == 0, report
    assert set(report.statuses) == {"200"}, report
    assert report.ok >= LEAST_REQUESTS, f"hardly a load: {report}"
    return report


def test_deploys_and_rollbacks_fail_no_request(platform: Platform, shop: Shop) -> None:
    with loading(platform, shop) as load:
        for release in ("two", "three"):
            shop.write(release, SLOW, instances=2)
            platform.deploy(shop)
            assert platform.release_of(shop) == release
        assert platform.edged.ctl("rollback", shop.id)
        assert platform.release_of(shop) == "two"
        assert platform.edged.ctl("rollback", shop.id, "1")
        assert platform.release_of(shop) == "one"
        assert_nothing_failed(load)


def test_scaling_up_and_down_fails_no_request(platform: Platform, shop: Shop) -> None:
    with loading(platform, shop) as load:
        for count in (4, 1, 3, 1, 2):
            assert platform.edged.ctl("scale", shop.id, str(count))
            eventually(
                lambda wanted=count: [
                    each["state"] for each in platform.app(shop)["instances"]
                ] == ["ready"] * wanted
            )  # fmt: skip
        assert_nothing_failed(load)


def test_restarts_fail_no_request(platform: Platform, shop: Shop) -> None:
    with loading(platform, shop) as load:
        for _ in range(3):
            before = platform.pids(shop)
            assert platform.edged.ctl("restart", shop.id)
            assert len(platform.pids(shop)) == 2
            assert not set(before) & set(platform.pids(shop))
        assert_nothing_failed(load)


def test_an_instance_that_is_killed_fails_no_request_since_another_one_lives(
    platform: Platform, shop: Shop
) -> None:
    with loading(platform, shop) as load:
        for _ in range(3):
            pids = platform.pids(shop)
            os.kill(pids[0], signal.SIGKILL)
            eventually(lambda old=pids: is_whole(platform, shop, old))
        assert_nothing_failed(load)


def test_worker_rolls_and_upgrades_keep_the_same_instances_and_fail_no_request(
    platform: Platform, shop: Shop
) -> None:
    pids = platform.pids(shop)
    with loading(platform, shop) as load:
        assert platform.edged.ctl("reload", "--roll")
        control = platform.edged.control_pid()
        assert platform.edged.ctl("upgrade")
        platform.await_control(control)
        assert platform.edged.ctl("reload", "--roll")
        assert_nothing_failed(load)
    assert platform.pids(shop) == pids
    os.kill(pids[0], signal.SIGKILL)
    eventually(lambda: is_whole(platform, shop, pids))


def test_a_deploy_has_as_many_instances_as_the_app_was_scaled_to_from_the_first_moment(
    platform: Platform, shop: Shop
) -> None:
    assert platform.edged.ctl("scale", shop.id, "4")
    platform.deploy(shop.write("two", SLOW, instances=1))
    assert [each["state"] for each in platform.app(shop)["instances"]] == ["ready"] * 4
    assert all(".2." in each["name"] for each in platform.app(shop)["instances"])


def test_a_deploy_of_a_stopped_app_starts_it_also_for_the_next_control(
    platform: Platform, shop: Shop
) -> None:
    assert platform.edged.ctl("stop", shop.id)
    assert platform.ask(shop).startswith("503")
    platform.deploy(shop.write("two", SLOW, instances=1))
    platform.kill_control()
    assert platform.release_of(shop) == "two"
    assert not platform.kept(shop)["stopped"]


def test_a_deploy_while_control_was_just_killed_and_workers_roll_fails_no_request(
    platform: Platform, shop: Shop
) -> None:
    with loading(platform, shop) as load:
        platform.kill_control()
        shop.write("two", GOOD, instances=2)
        platform.deploy(shop)
        assert platform.edged.ctl("reload", "--roll")
        assert platform.release_of(shop) == "two"
        assert_nothing_failed(load)


def is_whole(platform: Platform, shop: Shop, former: list[int]) -> bool:
    """Whether two serve, one of which is new."""
    instances = platform.app(shop)["instances"]
    pids = [each["pid"] for each in instances if each["state"] == "ready"]
    return len(pids) == 2 and former[0] not in pids
