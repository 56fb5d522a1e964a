"""Trouble with disks and files: edged keeps serving, says so in its status, and gets over it."""

import os
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import fetch
from tests.support.edged import Edged, route
from tests.support.eventually import eventually

HERE = route("*", extra='respond = "here"')


def codes(edged: Edged) -> list[str]:
    return [problem["code"] for problem in edged.ctl_json("status")["problems"]]


def assert_serves(edged: Edged, count: int = 20) -> None:
    for _ in range(count):
        assert fetch(edged.address, "/").body == b"here"


def test_an_access_log_that_cannot_be_written_is_a_problem_and_no_error() -> None:
    with Edged(HERE, server='access_log = "/dev/full"') as edged:
        assert_serves(edged)
        eventually(lambda: "log-unwritable" in codes(edged))
        assert edged.ctl_json("status")["totals"]["access_log_dropped"] > 0
        edged.write(server="")
        edged.reload()
        assert_serves(edged)
        eventually(lambda: codes(edged) == [])
        edged.logged(status=200, path="/")


def test_a_log_that_was_moved_away_is_written_anew_after_a_reopen() -> None:
    with Edged(HERE) as edged:
        assert_serves(edged, 1)
        edged.logged(status=200)
        moved = edged.access_log_path.with_suffix(".1")
        edged.access_log_path.rename(moved)
        assert edged.ctl("logs", "reopen")
        fetch(edged.address, "/after")
        edged.logged(path="/after")
        assert "/after" not in moved.read_text()


def test_the_usr1_signal_reopens_the_log_too() -> None:
    with Edged(HERE) as edged:
        edged.access_log_path.unlink()
        edged.signal(10)
        eventually(edged.access_log_path.exists)
        fetch(edged.address, "/after")
        edged.logged(path="/after")


@pytest.mark.parametrize("name", ["state.db", "table.db"])
def test_a_locked_database_refuses_a_change_and_serves_on(name: str) -> None:
    with Edged(HERE) as edged:
        lock = sqlite3.connect(edged.folder / "state" / name)
        lock.execute("BEGIN IMMEDIATE")
        try:
            edged.write(route("*", extra='respond = "new"'))
            outcome = edged.ctl("reload")
            assert outcome.code == 1
            assert "locked" in outcome.err
            assert_serves(edged)
            assert any("locked" in code for code in codes(edged)), codes(edged)
        finally:
            lock.rollback()
            lock.close()
        edged.reload()
        assert fetch(edged.address, "/").body == b"new"
        eventually(lambda: codes(edged) == [])


def test_a_start_that_was_held_up_does_not_undo_a_reload_that_came_first() -> None:
    with Edged(HERE) as edged:
        edged.stop()
        lock = sqlite3.connect(edged.folder / "state" / "table.db")
        lock.execute("BEGIN IMMEDIATE")
        edged.start(wait=False)
        eventually(lambda: edged.log.count("cannot publish yet") >= 2)
        edged.write(route("*", extra='respond = "new"'))
        lock.rollback()
        lock.close()
        eventually(lambda: edged.ctl("reload"))
        until = time.monotonic() + 2 * TRIED_AGAIN_S
        while time.monotonic() < until:
            assert fetch(edged.address, "/").body == b"new"


TRIED_AGAIN_S = 2.0
"""How often control tries again what it could not do."""


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of one MiB, where workers can reach it."""
    folder = Path(tempfile.mkdtemp(prefix="edged-disk-"))
    folder.chmod(0o755)
    mounted = os.geteuid() == 0 and not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0755", "tmpfs", folder],
        check=False, capture_output=True,
    ).returncode  # fmt: skip
    if not mounted:
        folder.rmdir()
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
    folder.rmdir()


def test_a_full_disk_refuses_a_change_and_serves_on(small_disk: Path) -> None:
    server = f'access_log = "{small_disk}/access.log"'
    with Edged(HERE, server=server, state_dir=small_disk / "state") as edged:
        assert_serves(edged, 1)
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(b"x" * (2 << 20))
        edged.write(HERE + "".join(route(f"r{n}.test", extra='respond = "r"') for n in range(2000)))
        outcome = edged.ctl("reload")
        assert outcome.code == 1
        assert "full" in outcome.err.lower()
        assert_serves(edged, 100)
        filler.unlink()
        edged.reload()
        assert fetch(edged.address, "/", host="r7.test").body == b"r"
        eventually(lambda: codes(edged) == [])


def test_databases_that_are_deleted_while_it_runs_do_not_stop_it() -> None:
    with Edged(HERE, workers=2) as edged:
        for path in (edged.folder / "state").iterdir():
            path.unlink()
        assert_serves(edged)
        edged.write(route("*", extra='respond = "new"'))
        edged.ctl("reload")
        assert fetch(edged.address, "/").status == 200


def _spoil(edged: Edged, name: str) -> None:
    for path in (edged.folder / "state").glob(f"{name}*"):
        path.write_bytes(b"garbage " * 1000)


def test_a_table_that_holds_garbage_is_made_anew_at_the_start() -> None:
    with Edged(HERE) as edged:
        edged.stop()
        _spoil(edged, "table.db")
        edged.start()
        edged.write(route("*", extra='respond = "new"'))
        edged.reload()
        assert fetch(edged.address, "/").body == b"new"


def test_a_state_that_holds_garbage_is_left_to_a_person_and_edged_serves() -> None:
    with Edged(HERE) as edged:
        edged.stop()
        _spoil(edged, "state.db")
        edged.start()
        assert_serves(edged)
        assert "database-corrupt" in codes(edged)
        outcome = edged.ctl("reload")
        assert outcome.code == 1
        assert "move it away" in outcome.err
