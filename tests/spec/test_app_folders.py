"""`[[app]]` of the server file: deployed when its folder changes, in the background."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from control.apps.folders import AT_ONCE, SLOW_S
from tests.support.client import fetch
from tests.support.edged import Edged
from tests.support.eventually import eventually


@pytest.fixture
def edged() -> Iterator[Edged]:
    edged = Edged()
    try:
        yield edged
    finally:
        if edged.is_running:
            edged.stop()
        edged.remove()


def site(edged: Edged, name: str, text: str, extra: str = "") -> Path:
    """A static app in a folder beside the server file."""
    edged.write_file(f"{name}/index.html", text)
    return edged.write_file(
        f"{name}/edge.toml",
        f'name = "{name}"\nruntime = "static"\nroutes = ["{name}.test"]\n{extra}',
    )


def table(path: str, env: str = "") -> str:
    return f'[[app]]\npath = "{path}"\n' + (f'env = "{env}"\n' if env else "")


def page(edged: Edged, host: str) -> str:
    return fetch(edged.address, "/", host=host).body.decode()


def folders(edged: Edged) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = edged.ctl_json("apps")["folders"]
    return found


def states(edged: Edged) -> list[tuple[str, str]]:
    return [(os.path.basename(each["folder"]), each["state"]) for each in folders(edged)]


def release(edged: Edged, app: str) -> int:
    return int(next(a["release"] for a in edged.ctl_json("apps")["apps"] if a["app"] == app))


def test_a_folder_is_deployed_at_the_start_and_again_when_it_has_changed(edged: Edged) -> None:
    site(edged, "blog", "one")
    edged.write(table("blog/edge.toml"))
    edged.start()
    eventually(lambda: page(edged, "blog.test") == "one", 20)
    eventually(lambda: states(edged) == [("blog", "deployed")])

    edged.reload()
    eventually(lambda: states(edged) == [("blog", "unchanged")])
    edged.write_file("blog/index.html", "two")
    assert page(edged, "blog.test") == "one"
    edged.reload()
    eventually(lambda: page(edged, "blog.test") == "two", 20)
    assert release(edged, "blog/production") == 2

    edged.stop()
    edged.start()
    eventually(lambda: states(edged) == [("blog", "unchanged")], 20)
    assert page(edged, "blog.test") == "two"
    assert release(edged, "blog/production") == 2


def test_a_rollback_holds_until_the_folder_changes(edged: Edged) -> None:
    site(edged, "blog", "one")
    edged.write(table("blog"))
    edged.start()
    eventually(lambda: page(edged, "blog.test") == "one", 20)
    edged.write_file("blog/index.html", "two")
    edged.reload()
    eventually(lambda: page(edged, "blog.test") == "two", 20)
    assert edged.ctl("rollback", "blog")
    edged.reload()
    eventually(lambda: states(edged) == [("blog", "unchanged")])
    assert page(edged, "blog.test") == "one"


def test_the_environment_is_that_of_the_table(edged: Edged) -> None:
    site(edged, "blog", "one", '[envs.production]\n[envs.staging]\nroutes = ["s.test"]\n')
    edged.write(table("blog", "staging"))
    edged.start()
    eventually(lambda: page(edged, "s.test") == "one", 20)
    assert [app["app"] for app in edged.ctl_json("apps")["apps"]] == ["blog/staging"]


def test_one_that_fails_says_why_and_the_others_are_deployed(edged: Edged) -> None:
    site(edged, "bad", "bad", 'build.commands = ["echo torn; exit 3"]\n')
    site(edged, "blog", "one")
    edged.write(table("bad") + table("blog"))
    edged.start()
    eventually(lambda: page(edged, "blog.test") == "one", 20)
    eventually(lambda: sorted(states(edged)) == [("bad", "failed"), ("blog", "deployed")])
    said = next(each["message"] for each in folders(edged) if each["state"] == "failed")
    assert "exited with code 3" in said
    assert "torn" in said
    assert "is not deployed: " in edged.ctl("apps").out
    assert "bad/production is not deployed" in edged.ctl("events").out
    site(edged, "bad", "well now")
    edged.reload()
    eventually(lambda: page(edged, "bad.test") == "well now", 20)


def test_an_app_that_is_taken_out_is_stopped_and_kept_and_serves_again_when_it_is_back(
    edged: Edged,
) -> None:
    site(edged, "blog", "one")
    edged.write(table("blog"))
    edged.start()
    eventually(lambda: page(edged, "blog.test") == "one", 20)
    edged.write("")
    edged.reload()
    eventually(lambda: states(edged) == [("blog", "removed")])
    eventually(lambda: fetch(edged.address, "/", host="blog.test").status == 503)
    assert "'edgectl delete blog/production'" in edged.ctl("events").out
    edged.write(table("blog"))
    edged.reload()
    eventually(lambda: page(edged, "blog.test") == "one", 20)
    assert release(edged, "blog/production") == 1


def test_an_app_that_an_operator_has_stopped_stays_so(edged: Edged) -> None:
    site(edged, "blog", "one")
    edged.write(table("blog"))
    edged.start()
    eventually(lambda: page(edged, "blog.test") == "one", 20)
    assert edged.ctl("stop", "blog")
    edged.write_file("blog/index.html", "two")
    edged.reload()
    eventually(lambda: states(edged) == [("blog", "stopped")])
    assert release(edged, "blog/production") == 1


def test_two_folders_of_one_app_are_refused_with_both(edged: Edged) -> None:
    site(edged, "blog", "one")
    other = site(edged, "copy", "two")
    other.write_text(other.read_text().replace('"copy"', '"blog"'))
    edged.write(table("blog"))
    edged.start()
    eventually(lambda: page(edged, "blog.test") == "one", 20)
    edged.write(table("blog") + table("copy"))
    edged.reload()
    eventually(lambda: ("copy", "failed") in states(edged))
    said = next(each["message"] for each in folders(edged) if each["state"] == "failed")
    assert f"blog/production is deployed from {edged.folder / 'blog'} already" in said
    assert page(edged, "blog.test") == "one"


def test_a_deploy_that_a_death_of_control_cut_off_is_begun_again(edged: Edged) -> None:
    fifo = slow(edged, "blog")
    edged.write(table("blog"))
    edged.start()
    eventually(lambda: states(edged) == [("blog", "deploying")], 20)
    edged.end(edged.control_pid())
    eventually(lambda: states(edged) == [("blog", "deploying")], 20)

    eventually(lambda: let(fifo), 20)
    eventually(lambda: page(edged, "blog.test") == "built", 20)
    eventually(lambda: states(edged) == [("blog", "deployed")])


def slow(edged: Edged, name: str) -> Path:
    """A site whose build waits for a word, which is given by `let`."""
    fifo = edged.folder / f"{name}.go"
    os.mkfifo(fifo, 0o666)
    fifo.chmod(0o666)
    site(edged, name, "built", f"build.commands = {json.dumps([f'cat {fifo}'])}\n")
    return fifo


def let(fifo: Path) -> bool:
    """Whether somebody has waited, and goes on."""
    fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    os.close(fd)
    return True


def test_slow_builds_hold_up_neither_others_nor_the_start_nor_a_reload(edged: Edged) -> None:
    fifos = [slow(edged, f"slow-{number}") for number in range(AT_ONCE)]
    for name in ("one", "two"):
        site(edged, name, name)
    tables = "".join(table(fifo.stem) for fifo in fifos)
    edged.write(tables + table("one"))
    edged.start()  # it answers at once
    eventually(lambda: states(edged)[:AT_ONCE] == [(f.stem, "deploying") for f in fifos], 20)
    eventually(lambda: page(edged, "one.test") == "one", SLOW_S + 20)
    assert states(edged)[:AT_ONCE] == [(fifo.stem, "deploying") for fifo in fifos]

    site(edged, "one", "changed")
    edged.write(tables + table("one") + table("two"))
    edged.reload()
    eventually(lambda: page(edged, "two.test") == "two", 20)
    eventually(lambda: page(edged, "one.test") == "changed", 20)

    edged.write(tables + table("one"))
    edged.reload()
    eventually(lambda: ("two", "removed") in states(edged), 20)
    for fifo in fifos:
        eventually(lambda fifo=fifo: let(fifo), 20)
        eventually(lambda fifo=fifo: page(edged, f"{fifo.stem}.test") == "built", 20)


def test_a_folder_that_changes_while_it_is_built_is_built_again(edged: Edged) -> None:
    fifo = slow(edged, "blog")
    edged.write(table("blog"))
    edged.start()
    eventually(lambda: states(edged) == [("blog", "deploying")], 20)
    edged.write_file("blog/index.html", "newer")
    edged.reload()
    eventually(lambda: let(fifo), 20)
    eventually(lambda: page(edged, "blog.test") == "built", 20)
    eventually(lambda: let(fifo), 20)
    eventually(lambda: page(edged, "blog.test") == "newer", 20)
    eventually(lambda: states(edged) == [("blog", "deployed")])


def test_what_is_kept_of_folders_may_be_damaged(edged: Edged) -> None:
    site(edged, "blog", "one")
    edged.write(table("blog"))
    edged.start()
    eventually(lambda: states(edged) == [("blog", "deployed")], 20)
    edged.stop()
    with closing(sqlite3.connect(edged.state_path / "state.db")) as database, database:
        database.execute("UPDATE kept SET value = '[{}, 1' WHERE name = 'app-folders'")
    edged.start()
    eventually(lambda: states(edged) == [("blog", "deployed")], 20)
    assert page(edged, "blog.test") == "one"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can read with another user's rights")
def test_a_folder_is_read_with_the_rights_of_its_owner(edged: Edged) -> None:
    secret = edged.write_file("secret", "of root")
    secret.chmod(0o600)
    site(edged, "blog", "one")
    os.link(secret, edged.folder / "blog" / "stolen.html")
    edged.give_away("blog", 65534)
    os.chown(secret, 0, 0)
    edged.write(table("blog"))
    edged.start()
    eventually(lambda: states(edged) == [("blog", "failed")], 20)
    assert "stolen.html cannot be read: Permission denied" in folders(edged)[0]["message"]
