"""The README's first deploy, word for word, and what the help of the verbs about apps shows."""

import re
from collections.abc import Iterator

import click
import pytest

from control.cli.apps import VERBS
from tests.docs.commands import first_deploy, run
from tests.docs.pages import ROOT, blocks
from tests.support.app_stories import write_app
from tests.support.edged import Edged

README = ROOT / "README.md"
NOT_RUN = ("-f", "reopen", "--host")
"""What does not end, or needs an access log or other hosts: tests/spec has these."""

LAST = ("edgectl delete blog --yes", "edgectl secrets rotate")


@pytest.fixture
def served() -> Iterator[Edged]:
    with Edged(workers=2) as edged:
        yield edged


def test_the_readmes_first_deploy(served: Edged) -> None:
    [program] = blocks("python", page=README, below="Apps")
    [manifest] = blocks("toml", page=README, below="Apps")
    assert "a `requirements.txt` that names `flask`" in README.read_text(encoding="utf-8")
    served.write_file("hello/app.py", program.text)
    served.write_file("hello/requirements.txt", "flask\n")
    served.write_file("hello/edge.toml", manifest.text)
    said = []
    for command in first_deploy():
        outcome = run(command.replace("127.0.0.1:8080", served.address), served.folder)
        assert outcome, f"{command}: {outcome}"
        said.append(outcome.out)
    deployed, asked, listed, logged = said
    assert deployed.splitlines()[-1] == "hello/production: release 1 serves"
    assert asked == "Hello!\n"
    assert re.search(r"hello/production +awake +1 +1 of 0-1 +\d+ +hello.example.com", listed)
    assert "Booting worker" in logged


def test_the_examples_of_the_verbs_about_apps(served: Edged) -> None:
    write_app(served.folder / "blog")
    served.write_file("blog/manage.py", "import sys\nprint(sys.argv)\n")
    (served.folder / "apps").mkdir()
    write_app(served.folder / "apps" / "api")
    served.write_file("url.txt", "postgres://blog\n")
    for _ in range(2):  # so that there is a release to return to
        assert run("edgectl deploy blog", served.folder)
    for command in examples():
        outcome = run(command, served.folder)
        assert outcome, f"{command}: {outcome}"
        assert outcome.out


def examples() -> list[str]:
    """In an order in which they work."""
    lines = [
        re.sub(r"^Examples?: ", "", line.strip())
        for text in helps(click.Group(commands=VERBS))
        for line in text.splitlines()
        if "edgectl " in line and not any(word in line for word in NOT_RUN)
    ]
    found = dict.fromkeys(line for line in lines if line.startswith("edgectl "))
    return [*(one for one in found if one not in LAST), *LAST]


def helps(group: click.Group) -> Iterator[str]:
    for command in group.commands.values():
        yield command.help or ""
        if isinstance(command, click.Group):
            yield from helps(command)
