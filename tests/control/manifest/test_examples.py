"""The example apps: each is recognised as what it is, and has nothing of edged in it."""

from pathlib import Path

import pytest

from control.manifest.manifest import read
from control.manifest.spec import Assets
from tests.support.app_folders import having

APPS = Path(__file__).parents[3] / "deploy" / "examples" / "apps"

EXPECTED = {
    "flask": ("python", "found app.py: Flask object `app`, WSGI"),
    "django": ("python", "found manage.py and project/wsgi.py, WSGI"),
    "fastapi": ("python", "found main.py: FastAPI object `app`, ASGI"),
    "node": ("node", "found package.json: script `start`"),
    "bun": ("bun", "found package.json: module"),
    "deno": ("deno", "found main.ts: its default export"),
    "go": ("go", "found package main"),
    "ruby": ("ruby", "found config.ru"),
    "php": ("php", "found public/index.php, served by php"),
    "java": ("java", "found clock.jar"),
    "static": ("static", "found its index.html in public"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_is_recognised(name: str) -> None:
    spec = read(str(APPS / name), "production", finds=having())
    assert (spec.runtime, spec.found[-1][1]) == EXPECTED[name]
    assert spec.routes
    assert spec.servers == ("prod",)


def test_all_examples_are_tested() -> None:
    assert {path.name for path in APPS.iterdir() if path.is_dir()} == set(EXPECTED)


def test_the_django_example_migrates_and_serves_its_static_files() -> None:
    spec = read(str(APPS / "django"), "production", finds=having())
    assert spec.release == ("python", "manage.py", "migrate", "--noinput")
    assert spec.assets == Assets(folder="staticfiles", path="/static")


def test_an_example_knows_nothing_of_edged() -> None:
    for path in APPS.glob("*/**/*"):
        if path.is_file() and path.name != "edge.toml" and path.suffix != ".pyc":
            assert "edge" not in path.read_text(encoding="utf-8"), path
