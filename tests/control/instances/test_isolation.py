"""What keeps apps apart: folders, and what is said when something is missing."""

import os
import stat
from pathlib import Path

import pytest

from control.durable import Owner
from control.instances import isolation
from control.instances.cgroup import CONTROLLERS, Cgroups, Limits
from tests.support.programs import APP_USER, Bench

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root has other users")
ALL = Cgroups("/sys/fs/cgroup/x", frozenset(CONTROLLERS))
NONE = Cgroups("", frozenset())


def test_an_edged_that_has_all_misses_nothing_but_root() -> None:
    found = isolation.missing(ALL)
    assert len(found) == (0 if os.geteuid() == 0 else 1)


def test_what_is_missing_is_said_in_sentences() -> None:
    found = " ".join(isolation.missing(NONE))
    for part in ("no cgroup (v2)", "limits memory", "limits cpu", "limits pids", "Delegate=yes"):
        assert part in found
    assert ("edged's files" in found or "as the user" in found) == (os.geteuid() != 0)


def test_processes_are_limited_only_where_they_are_counted_for_the_app_alone() -> None:
    limits = Limits(memory_bytes=1 << 20, pids=20)
    kinds = {name: dict(isolation.rlimits(limits, NONE, owner)) for name, owner in
             (("own", APP_USER), ("ours", None))}  # fmt: skip
    assert 20 in kinds["own"].values()
    assert 20 not in kinds["ours"].values()
    assert isolation.rlimits(limits, ALL, APP_USER) == isolation.rlimits(Limits(), ALL, APP_USER)


@ROOT_ONLY
def test_an_app_reads_its_own_folders_and_nobody_elses(bench: Bench) -> None:
    own, other = APP_USER, Owner(APP_USER.uid + 1, APP_USER.gid + 1)
    for name, owner in (("own", own), ("other", other)):
        isolation.make_release(str(bench.folder / name / "release"), owner)
        isolation.make_data(str(bench.folder / name / "data"), owner)
        isolation.make_passable(str(bench.folder / name))
        (bench.folder / name / "release" / "code").write_text(name)
        (bench.folder / name / "data" / "rows").write_text(name)
    state = bench.folder / "state.db"
    state.touch(0o600)
    script = (
        "cat own/release/code; cat own/data/rows; echo x > own/data/new && echo wrote;"
        "echo x > own/release/new || echo kept;"
        "cat other/release/code other/data/rows state.db || echo refused; ls own || echo hidden"
    )
    process = bench.launch("/bin/sh", "-c", script, owner=own)
    process.ended.wait(10)
    assert b"".join(bench.out()) == b"ownownwrotekeptrefusedhidden"


def test_a_folder_is_made_again_with_the_same_mode(tmp_path: Path) -> None:
    path = tmp_path / "a" / "data"
    for _ in range(2):
        isolation.make_data(str(path), None)
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        path.chmod(0o777)


def test_a_link_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(OSError, match="link"):
        isolation.make_data(str(tmp_path / "link"), None)


def test_files_that_anybody_may_read_are_found(tmp_path: Path) -> None:
    for name, mode in (("open", 0o644), ("shut", 0o640)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    assert isolation.exposed(str(tmp_path)) == (str(tmp_path / "open"),)
