"""What the README promises, done with a real edged: its file, its hook, its commands."""

import re
from collections.abc import Iterator

import click
import pytest

from control.cli import client, main
from control.cli.apps import VERBS, secrets
from control.cli.main import EPILOG, edgectl
from tests.docs.commands import commands, is_served, run
from tests.docs.pages import ROOT, blocks, quoted, rows
from tests.support.client import fetch
from tests.support.edged import Edged
from tests.support.web_origin import WebOrigin

README = ROOT / "README.md"

NOT_RUN = ("stop", "upgrade", "-f", "completion", "logs reopen", "jq",
           "certs re", "edgectl dev")  # fmt: skip
"""Examples that end or replace the edged, do not end, or need files and programs of their own:
the tests of edgectl and tests/spec have these verbs."""


def examples() -> list[str]:
    """What the help of edgectl and of its verbs shows, but for those about apps."""
    helps = [EPILOG, *(verb.help or "" for verb in verbs(edgectl) if verb not in ABOUT_APPS)]
    lines = [line.strip() for text in helps for line in text.splitlines() if "edgectl " in line]
    commands = [re.sub(r"^Examples?: ", "", line).split("   ")[0] for line in lines]
    return sorted({one for one in commands if not any(word in one for word in NOT_RUN)})


def verbs(group: click.Group) -> Iterator[click.Command]:
    for command in group.commands.values():
        yield command
        if isinstance(command, click.Group):
            yield from verbs(command)


ABOUT_APPS = [*VERBS, *verbs(secrets)]
"""Their examples need apps: test_first_deploy.py runs them."""


def site(origin: WebOrigin) -> str:
    """The README's three lines, in front of an origin that is there."""
    first, *_ = blocks("toml", page=README)
    assert len(first.text.splitlines()) == 3
    return first.text.replace("127.0.0.1:9000", origin.address)


@pytest.fixture(scope="module")
def served(web_origin: WebOrigin) -> Iterator[Edged]:
    with Edged(site(web_origin), workers=2) as edged:
        yield edged


@pytest.mark.parametrize("command", [*(one for one in commands() if is_served(one)), *examples()])
def test_a_command_works_where_an_edged_serves(command: str, served: Edged) -> None:
    outcome = run(command, served.folder)
    assert outcome, f"{command}: {outcome}"
    assert outcome.out


def test_the_readmes_hook_rolls_in_by_a_reload(web_origin: WebOrigin) -> None:
    hook, _ = blocks("python", page=README, below="Hooks")
    [setting] = blocks("toml", page=README, below="Hooks")
    key = setting.text.removeprefix("[server]\n")
    with Edged(site(web_origin)) as edged:
        assert "x-served-by" not in named(edged)
        edged.write_file("hooks.py", hook.text)
        edged.write(server=key)
        assert run("edgectl reload", edged.folder)
        assert named(edged)["x-served-by"] == web_origin.address


def named(edged: Edged) -> dict[str, str]:
    """The header of an answer for the README's site."""
    answer = fetch(edged.address, "/bytes/1", host="example.com")
    assert answer.status == 200
    return {name.lower(): value for name, value in answer.headers}


def test_every_verb_has_an_example_in_its_help() -> None:
    leaves = [verb for verb in verbs(edgectl) if not isinstance(verb, click.Group)]
    assert [verb.name for verb in leaves if "Example" not in (verb.help or "")] == []


def test_every_verb_is_on_its_page() -> None:
    page = (ROOT / "control" / "cli" / "README.md").read_text(encoding="utf-8")
    named = {name: row[1] for row in rows(page, "verb") for name in quoted(row[0])}
    assert named == {name: verb.get_short_help_str(200) for name, verb in edgectl.commands.items()}


def test_every_exit_code_is_on_its_page() -> None:
    page = (ROOT / "control" / "cli" / "README.md").read_text(encoding="utf-8")
    named = {int(row[0]) for row in rows(page, "exit code")}
    defined = {
        value
        for module in (main, client)
        for name, value in vars(module).items()
        if name.startswith("EXIT_")
    }
    assert named == {0} | defined
    for code in defined - {130}:
        assert re.search(rf"\b{code} \w", EPILOG), code
