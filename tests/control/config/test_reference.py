"""The reference of settings, and that the schema agrees with what it configures."""

import dataclasses

import pytest

from control.config import loads, schema
from control.config.reference import as_markdown, setting_names
from control.config.setting import Shape
from edge.table.model import Limits, Timeouts
from tests.control.config.fake_machine import FakeMachine


def test_every_setting_has_a_row() -> None:
    text = as_markdown()
    for name in setting_names():
        assert f"| `{name.rsplit('.', 1)[1]}` |" in text, name
    assert '| `workers` | integer or "auto" | `"auto"` |' in text
    assert '| `head` | duration | `"15s"` | ' in text
    assert "(1KiB to 1MiB)" in text


def test_names_are_unique_and_docs_are_sentences() -> None:
    names = setting_names()
    assert len(names) == len(set(names))
    for group in schema.ALL_GROUPS:
        for setting in group.settings:
            assert setting.doc.rstrip("`").endswith((".", '".')), setting.key
            assert "\n" not in setting.doc
            assert "|" not in setting.doc


@pytest.mark.parametrize("model", [Limits, Timeouts])
def test_every_limit_and_timeout_can_be_set(model) -> None:
    fields = {
        setting.target for group in (schema.LIMITS, schema.TIMEOUTS) for setting in group.settings
    }
    assert {field.name for field in dataclasses.fields(model)} <= fields


def test_every_default_can_be_written_and_changes_nothing() -> None:
    lines = []
    for group in (schema.SERVER, schema.LIMITS, schema.TIMEOUTS):
        lines.append(f"[{group.name}]")
        for setting in group.settings:
            if setting.default is not None:
                empty = {Shape.MANY: "[]", Shape.MAP: "{}"}.get(setting.shape)
                shown = empty or setting.kind.show(setting.default)
                lines.append(f"{setting.key} = {shown}")
    written = loads("\n".join(lines), "/edged.toml", FakeMachine())
    left_out = loads("", "/edged.toml", FakeMachine())
    assert written.problems == ()
    assert written.resolved == left_out.resolved


def test_every_example_is_read_by_its_kind() -> None:
    import tomllib

    for group in schema.ALL_GROUPS:
        for setting in group.settings:
            setting.kind.read(tomllib.loads(f"key = {setting.kind.example}")["key"])
