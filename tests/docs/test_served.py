"""What the README promises, done with a real edged: its file, its hook, its commands."""

from collections.abc import Iterator

import pytest

from tests.docs.commands import commands, is_served, run
from tests.docs.pages import ROOT, blocks
from tests.support.client import fetch
from tests.support.edged import Edged
from tests.support.web_origin import WebOrigin

README = ROOT / "README.md"


def site(origin: WebOrigin) -> str:
    """The README's three lines, in front of an origin that is there."""
    first, *_ = blocks("toml", page=README)
    assert len(first.text.splitlines()) == 3
    return first.text.replace("127.0.0.1:9000", origin.address)


@pytest.fixture(scope="module")
def served(web_origin: WebOrigin) -> Iterator[Edged]:
    with Edged(site(web_origin), workers=2) as edged:
        yield edged


@pytest.mark.parametrize("command", [one for one in commands() if is_served(one)])
def test_a_command_works_where_an_edged_serves(command: str, served: Edged) -> None:
    outcome = run(command, served.folder)
    assert outcome, f"{command}: {outcome}"
    assert outcome.out


def test_the_readmes_hook_rolls_in_by_a_reload(web_origin: WebOrigin) -> None:
    hook, _ = blocks("python", page=README)
    _, setting = blocks("toml", page=README)
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
