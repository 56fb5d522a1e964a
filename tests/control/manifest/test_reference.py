"""The reference of an app's settings, and that every default and example can be written."""

import dataclasses
import tomllib

import pytest

from control.manifest import spec
from control.manifest.reference import as_markdown, setting_names
from control.manifest.schema import APP, ENV, GROUPS
from control.manifest.table_schema import ASSETS, HEALTH, INSTANCES, LIMITS, WAITING

SETTINGS = [setting for _, group in GROUPS for setting in group.settings]


def test_every_setting_has_a_row() -> None:
    text = as_markdown()
    for name in setting_names():
        assert f"| `{name.rpartition('.')[2]}` |" in text, name
    assert '| `idle` | duration | `"5m"` |' in text


def test_docs_are_sentences() -> None:
    for setting in SETTINGS:
        assert setting.doc.rstrip("`").endswith(".") or setting.group, setting.key
        assert "|" not in setting.doc


def test_every_example_is_read_by_its_kind() -> None:
    for setting in SETTINGS:
        setting.kind.read(tomllib.loads(f"key = {setting.kind.example}")["key"])
        setting.names.read(tomllib.loads(f"key = {setting.names.example}")["key"])


@pytest.mark.parametrize(
    ("group", "model"),
    [
        (INSTANCES, spec.Instances),
        (HEALTH, spec.AppHealth),
        (WAITING, spec.Waiting),
        (ASSETS, spec.Assets),
        (LIMITS, spec.Resources),
    ],
)
def test_every_field_of_a_table_can_be_set(group, model) -> None:
    fields = {field.name for field in dataclasses.fields(model)}
    assert fields <= {setting.target for setting in group.settings}


def test_an_environment_has_all_but_name_and_runtime() -> None:
    assert set(APP.keys()) - set(ENV.keys()) == {"name", "runtime", "envs"}
