"""Programs that are missing: what an operator is told to do."""

import os
from pathlib import Path

import pytest

from control.manifest import programs
from control.manifest.project import Undetected
from control.manifest.runtimes import detect
from tests.support.app_folders import project


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"go.mod": "", "main.go": "package main\n"}, "go.mod needs go, .*: apt install golang-go"),
        ({"Gemfile": ""}, "Gemfile needs bundle, .*: apt install ruby-bundler"),
        ({"config.ru": ""}, "config.ru needs puma or rackup, .*: apt install puma"),
        ({"index.php": ""}, "index.php needs frankenphp or php, .*: apt install php-cli"),
        ({"composer.json": ""}, "composer.json needs composer, .*: apt install composer"),
        ({"pom.xml": ""}, "java needs java, .*: apt install default-jre-headless"),
        ({"server.js": ""}, "node needs node, .*: apt install nodejs"),
        ({"bun.lock": ""}, "bun needs bun, .*: npm install -g bun"),
        ({"deno.json": "{}"}, "deno needs deno, .*: npm install -g deno"),
    ],
)
def test_a_runtime_that_is_missing_is_told_with_its_package(
    files: dict[str, str], text: str, tmp_path: Path
) -> None:
    bare = project(tmp_path, files, path="/apps/bin", finds=lambda name, path: False)
    with pytest.raises(Undetected, match=text) as told:
        detect(bare)
    assert "which this server's apps do not find in PATH=/apps/bin" in str(told.value)


def test_one_that_edged_finds_and_apps_do_not_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "go").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not programs.is_on_path("go", os.devnull)
    assert programs.lacking("go", "/apps/bin") == (
        f"there is no such program in PATH=/apps/bin: link {tmp_path}/go into /usr/local/bin,"
        " or set PATH in vars"
    )


def test_one_that_nobody_knows_is_told_without_advice() -> None:
    assert programs.lacking("no-such", "/bin") == "there is no such program in PATH=/bin"
