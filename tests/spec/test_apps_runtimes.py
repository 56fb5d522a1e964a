"""Apps of Go, Ruby, PHP, Java, Bun and Deno, and ready programs, as their authors write them: each
is found, built, started, asked, put to sleep, woken, rolled, and told what is wrong with it.

A runtime that this machine does not have is skipped; what a server without it says is tested.
"""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from control.manifest.programs import PATH
from tests.support.app_examples import BUILD_S, EXAMPLES, Example, written
from tests.support.app_stories import data_of
from tests.support.edged import Edged

REST = """
[instances]
idle = "1s"

[limits]
stability = "300ms"
start = "{start}"
drain = "60s"
memory = "256MiB"

[vars]
{vars}

{build}
"""
"""Who does not hear SIGTERM is there for a minute: longer than any test waits for it to go."""

TOLD = {"php": "frankenphp or php"}
"""What is asked for where that is not the tool alone."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A runtime with its example."""

    tools: tuple[str, ...]  # what a server must have of it
    found: str
    answers: dict[str, str]  # by their targets, as patterns
    change: tuple[str, str, str]  # a file, and which text of it is to be replaced
    broken: tuple[str, str]  # a file, and a text for it that cannot be built, or does not start
    says: tuple[str, ...]  # what is said of that, in this order
    needs: tuple[str, ...] = ()  # a command that fails where something else lacks
    vars: dict[str, str] = field(default_factory=dict)
    build: str = ""
    start: str = "20s"


CASES = {
    "go": Case(
        tools=("go",),
        found="start: found package main",
        answers={"/": '{"asked":[12],"says":"hello from go"}\n'},
        change=("main.go", "hello from go", "hello again"),
        broken=("main.go", "package main\n\nfunc main() { nowhere() }\n"),
        says=("'go build -o .edged/app .' has failed", "undefined: nowhere"),
    ),
    "ruby": Case(
        tools=("bundle", "puma"),
        found="start: found config.ru",
        answers={"/": "hello from ruby\n", "/to/ada": "hello ada\n"},
        change=("app.rb", "hello from ruby", "hello again"),
        broken=("Gemfile", 'gem "no-gem-of-this-name"\n'),
        says=("'bundle install --local' has failed", "no-gem-of-this-name"),
        needs=("ruby", "-e", "require 'sinatra/base'"),
        vars={"BUNDLE_PATH__SYSTEM": "true"},
        build='[build]\ncommands = ["bundle install --local"]',
    ),
    "php": Case(
        tools=("php",),
        found="start: found public/index.php, served by php",
        answers={
            "/": "<!doctype html>.*hello from php.*",
            "/style.css": "h1 {.*\n",
            "/talks/1.5": '{"talk":"1.5"}',
        },
        change=("public/index.php", "hello from php", "hello again"),
        broken=("public/index.php", "<?php\nif (\n"),
        says=("its health path / gives status 500", "PHP Parse error", "index.php"),
        start="3s",
    ),
    "java": Case(
        tools=("java", "javac", "jar"),
        found="start: found clock.jar",
        answers={
            "/": "hello from java\n",
            "/now": "20.*Z\n",
            # of 256 MiB, since it needs some besides the heap
            "/jvm": "heap up to 1[789]. MiB, home {data}\n",
        },
        change=("src/Clock.java", "hello from java", "hello again"),
        broken=("src/Clock.java", "class Clock { int nothing }\n"),
        says=("'javac -d classes src/Clock.java' has failed", "Clock.java:1: error: ';' expected"),
    ),
    "bun": Case(
        tools=("bun",),
        found="start: found package.json: module",
        answers={"/": "hello from bun\n", "/roll": '{"dice":[1-6]}'},
        change=("index.ts", "hello from bun", "hello again"),
        broken=("index.ts", 'import nothing from "./nowhere";\nnothing();\n'),
        says=("does not start", "exited with code 1", "nowhere"),
    ),
    "deno": Case(
        tools=("deno",),
        found="start: found main.ts: its default export",
        answers={"/": "hello from deno\n", "/abc": "cba\n"},
        change=("main.ts", "hello from deno", "hello again"),
        broken=("main.ts", 'import "./nowhere.ts";\n'),
        says=("'deno cache main.ts' has failed", "Module not found", "nowhere.ts"),
    ),
}


@dataclass
class Deployed:
    """A case that serves."""

    case: Case
    example: Example


@pytest.fixture(scope="module", params=CASES)
def app(
    request: pytest.FixtureRequest, running: Edged, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    name = request.param
    with deployed(running, name, tmp_path_factory.mktemp(name)) as made:
        yield Deployed(CASES[name], made)


def test_it_is_found_built_and_served(app: Deployed) -> None:
    assert app.case.found in app.example.deployed.err
    data = str(data_of(app.example.edged, app.example.name))
    for target, pattern in app.case.answers.items():
        answer = app.example.ask(target)
        assert answer.status == 200
        assert re.fullmatch(pattern.replace("{data}", data), answer.body.decode()), answer


def test_it_ends_when_it_is_told_to_and_wakes(app: Deployed) -> None:
    app.example.sleep_and_wake()


def test_it_rolls_and_returns_without_a_failed_request(app: Deployed) -> None:
    name, old, new = app.case.change
    app.example.change(name, old, new)
    second, first = app.example.roll_and_return()
    assert new.encode() in second.body
    assert old.encode() in first.body


def test_what_is_wrong_with_it_is_told_and_harms_nothing(app: Deployed) -> None:
    name, text = app.case.broken
    (app.example.folder / name).write_text(text, encoding="utf-8")
    assert_refused(app.example, app.case.says)
    assert app.example.ask().status == 200


@pytest.mark.parametrize("name", CASES)
def test_a_server_without_it_is_told_what_it_needs(
    name: str, running: Edged, tmp_path: Path
) -> None:
    tool = CASES[name].tools[0]
    made = written(running, name, tmp_path, manifest(CASES[name], PATH="/nowhere"))
    assert_refused(
        made,
        (f"needs {TOLD.get(tool, tool)}, which this server's apps do not find in PATH=/nowhere",),
    )


def test_a_ready_program_is_found_by_the_apps_name(running: Edged, tmp_path: Path) -> None:
    made = written(running, "go", tmp_path, manifest(CASES["go"], "go"))
    for path in made.folder.glob("*.*"):
        path.unlink() if path.name != "edge.toml" else None
    program = made.folder / made.name
    build_program(program, "hello from go")
    program.chmod(0o644)
    assert_refused(made, ("nothing in this folder says how the app is run",))
    program.chmod(0o755)
    made.deployed = made.deploy()
    assert "runtime: binary: found the program counter" in made.deployed.err
    build_program(program, "hello again")
    second, first = made.roll_and_return()
    assert (b"hello again" in second.body, b"hello from go" in first.body) == (True, True)
    assert running.ctl("delete", made.name, "--yes")


def test_php_answers_several_at_a_time_and_hands_out_nothing_that_is_hidden(
    running: Edged, tmp_path: Path
) -> None:
    files = {"public/.env": "SECRET=1\n", "public/slow.php": "<?php sleep(1); echo 'done';"}
    with deployed(running, "php", tmp_path, files) as made:
        began_s = time.monotonic()
        with ThreadPoolExecutor(6) as pool:
            answers = [*pool.map(lambda _: made.ask("/slow.php").body, range(6))]
        assert answers == [b"done"] * 6
        assert time.monotonic() - began_s < 5, "six that take a second each"
        for target in ("/.env", "/%2eenv", "/%2E%65nv"):
            assert made.ask(target).status == 404
        assert made.ask("/no.such.page").body == b"no such page\n"


def test_php_that_is_served_whole_keeps_what_is_its_owners(running: Edged, tmp_path: Path) -> None:
    files = {"index.php": "<?php echo 'top';", "vendor/a.php": "<?php echo 'run';"}
    files |= {"about.php": "<?php echo basename(__FILE__);", "Procfile": "x: y\n"}
    with deployed(running, "php", tmp_path, files, without="public") as made:
        assert [made.ask(target).body for target in ("/", "/about.php", "/a/b")] == [
            b"top", b"about.php", b"top",
        ]  # fmt: skip
        for target in ("/edge.toml", "/Procfile", "/vendor/a.php", "//edge.toml", "/VENDOR/a.php"):
            assert made.ask(target).status == 404, target


# What they share


@contextmanager
def deployed(
    edged: Edged, name: str, folder: Path, files: dict[str, str] | None = None, without: str = ""
) -> Iterator[Example]:
    """A runtime's example, with other files besides or instead."""
    case = CASES[name]
    if case.needs and subprocess.run(case.needs, capture_output=True, check=False).returncode:
        pytest.skip(f"{' '.join(case.needs)} fails here")
    made = written(edged, name, folder, manifest(case, *case.tools))
    if without:
        shutil.rmtree(made.folder / without)
    for path, text in (files or {}).items():
        (made.folder / path).parent.mkdir(exist_ok=True)
        (made.folder / path).write_text(text, encoding="utf-8")
    made.deployed = made.deploy()
    yield made
    assert edged.ctl("delete", made.name, "--yes")


def manifest(case: Case, *tools: str, **variables: str) -> str:
    """The rest of an edge.toml. Skips where one of the tools is not there; where it is, but not
    where apps look, they look where it is."""
    lacking = [tool for tool in tools if shutil.which(tool) is None]
    if lacking:
        pytest.skip(f"{lacking[0]} is not installed here")
    if not all(shutil.which(tool, path=PATH) for tool in tools):
        variables["PATH"] = os.environ["PATH"]
    lines = (f"{key} = {json.dumps(text)}" for key, text in (case.vars | variables).items())
    return REST.format(start=case.start, build=case.build, vars="\n".join(lines))


def build_program(path: Path, says: str) -> None:
    """The Go example, compiled elsewhere."""
    flags = f"-ldflags=-X 'main.says={says}'"
    command = ["go", "build", flags, "-o", str(path), "."]
    subprocess.run(command, cwd=EXAMPLES / "go", check=True, timeout=BUILD_S)


def assert_refused(made: Example, says: tuple[str, ...]) -> None:
    """It is not deployed, and told why in these words, in this order."""
    outcome = made.edged.ctl("deploy", str(made.folder), timeout_s=BUILD_S)
    assert outcome.code == 1, outcome
    rest = outcome.err
    for part in says:
        _, mark, rest = rest.partition(part)
        assert mark, f"{part!r} is not in {outcome.err}"
