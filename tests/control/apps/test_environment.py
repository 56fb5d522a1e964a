"""The environment of an app: where its programs are looked for."""

from collections.abc import Callable

import pytest

from control.apps.environment import environment
from control.manifest.programs import PATH
from control.manifest.spec import AppSpec, Pairs

Make = Callable[[Pairs], str]


@pytest.fixture
def path() -> Make:
    """Makes the PATH of an app whose file has these `vars`."""

    def make(values: Pairs) -> str:
        spec = AppSpec(name="shop", env="production", path=(".venv/bin",), vars=values)
        return environment(spec, "/release", "/data", {})["PATH"]

    return make


def test_what_the_release_has_comes_first_and_nothing_is_edgeds(
    path: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/home/me/bin")
    assert path(()) == f"/release/.venv/bin:{PATH}"


def test_an_app_may_have_a_path_of_its_own(path: Make) -> None:
    assert path((("PATH", "/opt/go/bin:/bin"),)) == "/release/.venv/bin:/opt/go/bin:/bin"
