"""The example files load, and the full one shows every setting with a comment."""

import tomllib
from pathlib import Path

import pytest

from control.config import load
from control.config.reference import setting_names
from edge.table.model import Limits, Timeouts
from tests.control.config.fake_machine import FakeMachine

DEPLOY = Path(__file__).parents[3] / "deploy"
FULL = DEPLOY / "examples" / "full.toml"


@pytest.mark.parametrize(
    "path",
    [*sorted((DEPLOY / "examples").glob("*.toml")), DEPLOY / "demo" / "edged.toml"],
    ids=lambda path: path.stem,
)
def test_an_example_loads(path: Path) -> None:
    loaded = load(path, FakeMachine(user="root"))
    assert loaded.problems == ()
    assert loaded.routes


def names(value: dict[str, object], prefix: str = "") -> set[str]:
    found = set()
    for key, inner in value.items():
        name = f"{prefix}{key}"
        found.add(name)
        for one in inner if isinstance(inner, list) else [inner]:
            if isinstance(one, dict):
                found |= names(one, f"{name}.")
    return found


def test_the_full_example_has_every_setting() -> None:
    missing = set(setting_names()) - names(tomllib.loads(FULL.read_text(encoding="utf-8")))
    assert not missing


def test_the_full_example_has_the_defaults() -> None:
    loaded = load(FULL, FakeMachine(user="root"))
    assert loaded.settings.limits == Limits()
    assert loaded.settings.timeouts == Timeouts()
    assert loaded.spec.worker.drain_s == load("/dev/null", FakeMachine()).spec.worker.drain_s
    assert loaded.spec.hang_s == load("/dev/null", FakeMachine()).spec.hang_s


def test_the_full_example_explains_each_key_where_it_first_stands() -> None:
    seen: set[str] = set()
    table = ""
    lines = FULL.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.startswith("["):
            table = line.strip("[]")
        elif line and not line.startswith("#"):
            key = f"{table}.{line.split(' ')[0]}"
            commented = "  # " in line or lines[number - 1].startswith("#")
            assert commented or key in seen, f"line {number + 1}: {key} has no comment"
            seen.add(key)
