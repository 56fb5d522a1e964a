"""Reach: what root's workers cannot enter is told before they are started."""

import grp
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from control.config.reach import check_reach
from edge.setup import WorkerOptions
from supervisor.spec import Spec

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes user")


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        (path / "hooks.py").touch(0o644)
        yield path


def spec_in(folder: Path, user: str = "nobody") -> Spec:
    return Spec(
        config_path=f"{folder}/edged.toml",
        http=(),
        workers=1,
        state_dir=f"{folder}/state",
        run_dir=f"{folder}/run",
        user=user,
        worker=WorkerOptions(
            hooks=(f"{folder}/hooks.py", "a.module"), access_log=f"{folder}/run/access.log"
        ),
    )


@as_root
def test_an_open_folder_is_in_reach(folder: Path) -> None:
    assert check_reach(spec_in(folder), "edged.toml") == ()


@as_root
def test_a_closed_folder_is_named(folder: Path) -> None:
    folder.chmod(0o700)
    problems = [str(problem) for problem in check_reach(spec_in(folder), "edged.toml")]
    assert problems[0] == (
        f'edged.toml: server.state_dir: "{folder}/state" is out of reach for the workers\' user'
        f' "nobody": let it into "{folder}", choose another place, or set server.user'
    )
    assert [line.split(": ")[1] for line in problems] == [
        "server.state_dir",
        "server.access_log",
        "server.hooks",
    ]


@as_root
def test_a_hook_file_must_be_readable(folder: Path) -> None:
    (folder / "hooks.py").chmod(0o600)
    [problem] = check_reach(spec_in(folder), "edged.toml")
    assert problem.key == "server.hooks"
    assert f'let it into "{folder}/hooks.py"' in problem.message


@as_root
def test_a_group_of_the_user_may_be_what_lets_it_in(folder: Path) -> None:
    os.chown(folder, 0, 12)
    folder.chmod(0o750)
    assert check_reach(spec_in(folder), "edged.toml")
    spec = replace(spec_in(folder), group=grp.getgrgid(12).gr_name)
    assert check_reach(spec, "edged.toml") == ()


def test_without_a_change_of_user_all_is_in_reach(folder: Path) -> None:
    folder.chmod(0o700)
    assert check_reach(spec_in(folder, user=""), "edged.toml") == ()
