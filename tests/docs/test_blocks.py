"""The fenced blocks of all pages: files load, hooks are good Python, commands are known."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from control.config import loads
from control.manifest.manifest import read
from tests.control.config.fake_machine import FakeMachine
from tests.docs.commands import (
    STARTS,
    UNTRIED,
    commands,
    first_deploy,
    installation,
    is_served,
    is_target,
)
from tests.docs.pages import ROOT, Block, blocks, pages

README = ROOT / "README.md"
LANGUAGES = {"toml", "python", "sh", "console"}
"""A block without a language is a picture."""


APPS = [block for block in blocks("toml") if block.text.startswith("name = ")]


@pytest.mark.parametrize("block", APPS, ids=str)
def test_an_apps_file_is_read(block: Block, tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text(block.text, encoding="utf-8")
    (tmp_path / "index.ts").touch()
    (tmp_path / "requirements.txt").write_text("flask\n", encoding="utf-8")
    (tmp_path / "app.py").write_text("import flask\napp = flask.Flask('app')\n", encoding="utf-8")
    assert read(str(tmp_path), finds=lambda name, path: True).routes


@pytest.mark.parametrize("block", [one for one in blocks("toml") if one not in APPS], ids=str)
def test_a_server_file_loads(block: Block, tmp_path: Path) -> None:
    for name in re.findall(r'"(\w+\.py)"', block.text):
        (tmp_path / name).touch()
    loaded = loads(block.text, str(tmp_path / "edged.toml"), FakeMachine(may_bind_80=True))
    assert loaded.problems == ()


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_is_formatted_and_clean(block: Block) -> None:
    for command in (["format", "--check"], ["check", "--ignore", "ANN,D,I"]):
        tool(["ruff", *command, "--stdin-filename", "block.py", "-"], ROOT, block.text)


def test_the_readmes_hook_is_typed_and_its_test_passes(tmp_path: Path) -> None:
    hook, test = (block.text for block in blocks("python", page=README, below="Hooks"))
    (tmp_path / "hooks.py").write_text(hook, encoding="utf-8")
    (tmp_path / "test_hooks.py").write_text(test, encoding="utf-8")
    config = ROOT / "pyproject.toml"
    tool(["mypy", "--config-file", str(config), "hooks.py", "test_hooks.py"], tmp_path)
    tool(["pytest", "-q", "-p", "no:cacheprovider", "test_hooks.py"], tmp_path)


def test_the_example_hooks_are_typed(tmp_path: Path) -> None:
    config = ROOT / "pyproject.toml"
    for path in [*ROOT.glob("deploy/examples/hooks/*.py"), *ROOT.glob("deploy/demo/*.py")]:
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    names = sorted(path.name for path in tmp_path.glob("*.py"))
    tool(["mypy", "--config-file", str(config), *names], tmp_path)


def test_no_block_is_in_a_language_that_nobody_checks() -> None:
    fences = [
        fence
        for page in pages()
        for fence in re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.M)
    ]
    assert set(fences) - LANGUAGES == {""}


def test_every_command_is_tried_somewhere() -> None:
    known = (
        is_served,
        is_target,
        *(each.__contains__ for each in (STARTS, UNTRIED, first_deploy(), installation())),
    )
    unknown = [line for line in commands() if not any(one(line) for one in known)]
    assert unknown == []


@pytest.mark.parametrize("command", sorted({line for line in commands() if is_target(line)}))
def test_a_target_of_make_exists(command: str) -> None:
    tool(["make", "--dry-run", *command.split()[1:]], ROOT, module=False)


def tool(command: list[str], folder: Path, text: str = "", *, module: bool = True) -> None:
    """Run a tool in that folder; it must be content."""
    done = subprocess.run(
        [*([sys.executable, "-m"] if module else []), *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MYPYPATH": str(ROOT)},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
