"""What was kept of an app cannot be read: that app waits for a deploy, and nothing else notices."""

import json
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from control.apps.record import ASIDE, KEPT
from tests.support.app_trouble import Platform, Shop, serving_meanwhile
from tests.support.eventually import eventually

Record = dict[str, Any]
Harm = Callable[[Record], object]


def lacks_releases(record: Record) -> object:
    del record["releases"]
    return record


def has_a_word_for_a_number(record: Record) -> object:
    return record | {"current": "one"}


def serves_a_release_that_is_not_there(record: Record) -> object:
    return record | {"releases": []}


def has_half_a_release(record: Record) -> object:
    record["releases"][0]["spec"] = record["releases"][0]["spec"][:100]
    return record


def has_a_setting_of_another_type(record: Record) -> object:
    spec = json.loads(record["releases"][0]["spec"])
    spec["times"]["drain_s"] = None
    record["releases"][0]["spec"] = json.dumps(spec)
    return record


def has_a_process_without_a_pid(record: Record) -> object:
    del record["running"][0]["record"]["pid"]
    return record


def is_a_list(record: Record) -> object:
    return [record]


HARM = {
    lacks_releases: "releases is missing",
    has_a_word_for_a_number: "current is 'one', and not a whole number",
    serves_a_release_that_is_not_there: "current is 1, and there is no such release",
    has_half_a_release: "releases[0].spec: ",
    has_a_setting_of_another_type: "times.drain_s is None, and not a number",
    has_a_process_without_a_pid: "running[0].record.pid is missing",
    is_a_list: "it is no object",
}


def text_of(platform: Platform, name: str) -> str:
    path = platform.edged.state_path / "state.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        row = database.execute("SELECT value FROM kept WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row else ""


def write_text(platform: Platform, name: str, text: str) -> None:
    with closing(sqlite3.connect(platform.edged.state_path / "state.db")) as database, database:
        database.execute("UPDATE kept SET value = ? WHERE name = ?", (text, name))


def have_damaged(platform: Platform, shop: Shop, harm: Harm | None) -> str:
    """While control does nothing; then it is killed. What is kept of the app then."""
    control = platform.edged.control_pid()
    os.kill(control, signal.SIGSTOP)
    text = text_of(platform, KEPT + shop.id)
    text = text[: len(text) // 2] if harm is None else json.dumps(harm(json.loads(text)))
    write_text(platform, KEPT + shop.id, text)
    os.kill(control, signal.SIGKILL)
    platform.await_control(control)
    return text


@pytest.mark.parametrize("harm", [*HARM, None], ids=lambda harm: getattr(harm, "__name__", "half"))
def test_a_record_that_cannot_be_read_costs_nothing_and_a_deploy_mends_it(
    alone: Platform, tmp_path: Path, harm: Harm | None
) -> None:
    shop = Shop(tmp_path / "shop").write("one", instances=1)
    alone.deploy(shop)
    (alone.home(shop) / "data" / "kept").touch()
    with serving_meanwhile(alone, tmp_path / "well"):
        pids = alone.processes(shop)
        text = have_damaged(alone, shop, harm)

        app = alone.app(shop)
        assert app["state"] == "broken"
        assert str(alone.edged.state_path / "state.db") in app["problem"]
        assert (HARM[harm] if harm is not None else "it is no JSON") in app["problem"]
        assert app["routes"] == [shop.host]
        assert "Deploy it anew" in alone.edged.ctl("apps").out
        assert f"app-broken: The record of {shop.id}" in alone.edged.ctl("status").out
        refused = alone.edged.ctl("restart", shop.id)
        assert not refused
        assert "cannot be read" in refused.err
        assert alone.processes(shop) == pids == alone.pids(shop)
        assert alone.ask(shop) == f"one {pids[0]}", "it serves on, as it was published last"
        assert text_of(alone, KEPT + shop.id) == text, "nothing is overwritten"

        alone.deploy(shop.write("two", instances=1))
        assert alone.release_of(shop) == "two"
        assert alone.app(shop)["state"] == "awake"
        assert alone.processes(shop) == alone.pids(shop)
        assert pids[0] not in alone.pids(shop)
        assert alone.edged.ctl_json("status")["problems"] == []
        assert text_of(alone, ASIDE + shop.id) == text
        assert (alone.home(shop) / "data" / "kept").exists()
        assert alone.releases(shop) == [str(alone.app(shop)["release"])]

        alone.kill_control()
        assert alone.release_of(shop) == "two"


def test_a_deploy_that_fails_leaves_a_broken_app_as_it_was(alone: Platform, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop").write("one", instances=1)
    alone.deploy(shop)
    text = have_damaged(alone, shop, lacks_releases)
    pids, releases = alone.processes(shop), alone.releases(shop)
    shop.write("two", program="raise SystemExit(3)\n", instances=1)
    assert not alone.edged.ctl("deploy", str(shop.folder))
    assert alone.app(shop)["state"] == "broken"
    assert text_of(alone, KEPT + shop.id) == text
    assert alone.releases(shop) == releases
    eventually(lambda: alone.processes(shop) == pids)
    assert alone.ask(shop) == f"one {pids[0]}"


def test_a_broken_app_can_be_deleted(alone: Platform, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop").write("one", instances=1)
    alone.deploy(shop)
    have_damaged(alone, shop, None)
    assert alone.edged.ctl("delete", "--yes", shop.name)
    assert alone.app(shop) == {}
    eventually(lambda: alone.processes(shop) == [])
    assert not alone.home(shop).exists()
    assert alone.ask(shop).startswith("404 ")


def test_an_edged_that_starts_with_a_broken_app_serves_the_others(
    alone: Platform, tmp_path: Path
) -> None:
    shop, well = (Shop(tmp_path / name).write(name, instances=1) for name in ("shop", "well"))
    alone.deploy(shop)
    alone.deploy(well)
    alone.edged.stop(expect=0)
    write_text(alone, KEPT + shop.id, "{")
    alone.edged.start()
    eventually(lambda: alone.release_of(well) == "well")
    assert alone.ask(shop).startswith("502 "), "nobody else's answer, and no route lost"
    alone.deploy(shop)
    assert alone.release_of(shop) == "shop"
