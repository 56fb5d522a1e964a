"""Secrets that cannot be read hold up the app that has them, and nothing else."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.app_trouble import SERVE, Platform, Shop
from tests.support.eventually import eventually

TELLING = (
    SERVE
    + """
def answer(path):
    return 200, f"{os.environ.get('TOKEN', 'none')} {os.getpid()}"
listen()
"""
)
"""Says its secret, and its pid."""


def remove(key: Path) -> None:
    key.unlink()


def exchange(key: Path) -> None:
    key.write_bytes(os.urandom(32))


def cut(key: Path) -> None:
    key.write_bytes(key.read_bytes()[:7])


def replace_by_folder(key: Path) -> None:
    key.unlink()
    key.mkdir()


HARM = {
    "missing": remove,
    "of another edged": exchange,
    "cut short": cut,
    "no file that can be read": replace_by_folder,
}


def shops(platform: Platform, folder: Path) -> tuple[Shop, Shop]:
    """One with a secret, one without."""
    shop = Shop(folder / "shop").write(program=TELLING, instances=1)
    plain = Shop(folder / "plain").write("plain", instances=1)
    outcome = platform.edged.ctl("secrets", "set", shop.id, "TOKEN", feed="hidden")
    assert outcome, outcome
    platform.deploy(shop)
    platform.deploy(plain)
    assert platform.release_of(shop) == "hidden"
    return shop, plain


def problems(platform: Platform) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = platform.edged.ctl_json("status")["problems"]
    return found


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_the_next_control_takes_up_all_apps_and_says_which_one_lacks_its_secrets(
    alone: Platform, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    shop, plain = shops(alone, tmp_path)
    key = alone.edged.state_path / "secrets.key"
    kept = key.read_bytes()
    pids = alone.pids(shop), alone.pids(plain)
    harm(key)
    alone.kill_control()
    assert (alone.pids(shop), alone.pids(plain)) == pids, "what runs goes on"
    assert alone.release_of(shop) == "hidden"
    assert alone.release_of(plain) == "plain"

    [problem] = problems(alone)
    assert problem["code"] == "secrets-unreadable"
    assert shop.id in problem["message"]
    assert str(key) in problem["message"]
    refused = alone.edged.ctl("restart", shop.id)
    assert not refused
    assert str(key) in refused.err
    assert alone.release_of(shop) == "hidden", "what was refused has ended nothing"
    assert alone.edged.ctl("restart", plain.id), "an app without secrets needs no key"

    if key.is_dir():
        key.rmdir()
    key.write_bytes(kept)
    assert alone.edged.ctl("restart", shop.id)
    assert alone.release_of(shop) == "hidden"
    assert problems(alone) == []


def test_an_edged_that_starts_serves_what_needs_no_secrets_and_the_rest_when_it_has_its_key(
    alone: Platform, tmp_path: Path
) -> None:
    shop, plain = shops(alone, tmp_path)
    key = alone.edged.state_path / "secrets.key"
    kept = key.read_bytes()
    alone.edged.stop(expect=0)
    key.write_bytes(b"")
    alone.edged.start()
    eventually(lambda: alone.release_of(plain) == "plain")
    assert alone.ask(shop).startswith("502 ")
    assert str(key) in alone.app(shop)["problem"]
    key.write_bytes(kept)
    eventually(lambda: alone.release_of(shop) == "hidden")
    eventually(lambda: problems(alone) == [])
