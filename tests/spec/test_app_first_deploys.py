"""Several first deploys of one app at once: each has its own outcome, and what serves stays."""

import subprocess
from pathlib import Path

import pytest

from tests.support.app_trouble import PYTHON, Platform, Shop
from tests.support.eventually import eventually

WAIT = """
import os, time
while not os.path.exists({go!r}):
    time.sleep(0.01)
raise SystemExit({code})
"""
"""A build that is held by a file, and then succeeds or fails."""

BUILD = f'commands = [["{PYTHON}", "-I", "-S", "build.py"]]'


def held(folder: Path, release: str, go: Path, code: int) -> Shop:
    """A folder of the app `shop` whose build waits for that file."""
    script = WAIT.format(go=str(go), code=code)
    return Shop(folder / "shop").write(
        release, instances=1, build=BUILD, files={"build.py": script}
    )


def outcome(deploy: "subprocess.Popen[str]") -> tuple[bool, str]:
    """Whether it was deployed, and what was said."""
    out, err = deploy.communicate(timeout=60)
    return deploy.returncode == 0, out + err


@pytest.fixture
def go(alone: Platform) -> Path:
    """A file that an app's user sees when it is there."""
    return alone.edged.folder / "go"


def begin(platform: Platform, shop: Shop) -> "subprocess.Popen[str]":
    """A deploy that is under way: it has the app's only place, or waits for it."""
    deploy = platform.begin_deploy(shop)
    assert deploy.stderr is not None
    for line in deploy.stderr:
        if "build.py" in line or "waiting for another order" in line:
            return deploy
    raise AssertionError("it is over already")


@pytest.mark.parametrize("codes", [(3, 0), (0, 3)], ids=["the first fails", "the second fails"])
def test_one_of_two_fails_and_the_other_serves(
    alone: Platform, tmp_path: Path, go: Path, codes: tuple[int, int]
) -> None:
    names = ("one", "two")
    for name in names:
        (tmp_path / name).mkdir()
    shops = [held(tmp_path / name, name, go, code) for name, code in zip(names, codes, strict=True)]
    shop = shops[0]
    deploys = [begin(alone, each) for each in shops]
    assert alone.app(shop)["release"] == 0
    go.touch()
    outcomes = [outcome(deploy) for deploy in deploys]
    assert [was_deployed for was_deployed, _ in outcomes] == [code == 0 for code in codes]
    [said] = [text for was_deployed, text in outcomes if not was_deployed]
    assert "exited with code 3" in said

    release = names[codes.index(0)]
    assert alone.release_of(shop) == release
    app, kept = alone.app(shop), alone.kept(shop)
    assert app["state"] == "awake"
    assert kept["deploying"] == 0
    assert alone.releases(shop) == [str(app["release"])]
    assert alone.processes(shop) == alone.pids(shop)
    alone.kill_control()
    assert alone.release_of(shop) == release


def test_when_all_fail_nothing_is_left_and_the_next_one_is_the_first(
    alone: Platform, tmp_path: Path, go: Path
) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    shops = [held(tmp_path / name, name, go, 3) for name in ("one", "two", "three")]
    shop = shops[0]
    deploys = [begin(alone, each) for each in shops]
    go.touch()
    assert [outcome(deploy)[0] for deploy in deploys] == [False, False, False]
    eventually(lambda: alone.app(shop) == {})
    assert not alone.home(shop).parent.exists()
    assert alone.kept(shop) == {}
    assert alone.processes(shop) == []
    alone.deploy(shop.write("four", instances=1))
    assert alone.release_of(shop) == "four"
    assert alone.app(shop)["release"] == 1
