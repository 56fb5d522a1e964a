"""Formats: what crosses a border is a frozen value, and each format has one owner."""

import dataclasses
import importlib
import re

import pytest

from edge.errors import SIDES, Reason
from edge.hooks import Hook
from edge.pages import STATUS
from edge.phases import Phase
from tests.architecture.sources import ROOT

BORDERS = [
    "edge.phases",
    "edge.setup",
    "edge.table.model",
    "supervisor.program",
    "supervisor.spec",
    "control.acme.spec",
    "control.manifest.spec",
    "control.config.problem",
    "control.config.setting",
]


def values_of(module: str) -> list[type]:
    found = vars(importlib.import_module(module)).values()
    return [one for one in found if isinstance(one, type) and one.__module__ == module]


@pytest.mark.parametrize("module", BORDERS)
def test_what_crosses_a_border_is_frozen_and_has_no_dict(module: str) -> None:
    records = [one for one in values_of(module) if dataclasses.is_dataclass(one)]
    assert records
    for one in records:
        if one.__name__.startswith("_"):
            continue
        assert one.__dataclass_params__.frozen, one
        assert "__slots__" in vars(one), one


@pytest.mark.parametrize(
    "module", ["edge.setup", "edge.table.model", "supervisor.spec", "control.manifest.spec"]
)
def test_collections_of_a_format_are_tuples(module: str) -> None:
    for one in values_of(module):
        if dataclasses.is_dataclass(one) and not one.__name__.startswith("_"):
            for field in dataclasses.fields(one):
                assert not re.match(r"(?:list|dict|set)\[", str(field.type)), (one, field.name)


def test_a_hook_has_one_method_per_phase_in_the_order_of_the_phases() -> None:
    methods = [name for name in vars(Hook) if name in {phase.value for phase in Phase}]
    assert methods == [phase.value for phase in Phase]
    others = {name for name, value in vars(Hook).items() if callable(value) and name[0] != "_"}
    assert others - set(methods) == {"applies_to"}


def test_every_reason_has_a_side_and_a_status() -> None:
    assert set(SIDES) == set(Reason)
    assert set(STATUS) == set(Reason)


def test_a_reasons_status_is_decided_in_one_file() -> None:
    for path in sorted((ROOT / "edge").rglob("*.py")):
        if path.name != "pages.py":
            assert "http.HTTPStatus" not in path.read_text(encoding="utf-8"), path
