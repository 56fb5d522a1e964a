"""A Django app: its migrations run once per deploy, edged serves its static files, and what it has
written outlives releases."""

import re
from collections.abc import Iterator

import pytest

from tests.support.app_examples import Example, example
from tests.support.app_stories import data_of, state_of

STYLE = "/static/notes/notes.css"


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    with example("django", tmp_path_factory.mktemp("django")) as deployed:
        yield deployed


def keep(notes: Example, text: str) -> None:
    """What a visitor does: read the page, fill in its form, send it."""
    page = notes.ask()
    cookie = page.get("Set-Cookie").partition(";")[0]
    [token] = re.findall(rb'name="csrfmiddlewaretoken" value="(\w+)"', page.body)
    body = b"csrfmiddlewaretoken=%b&text=%b" % (token, text.encode())
    fields = f"Content-Type: application/x-www-form-urlencoded\r\nCookie: {cookie}\r\n"
    assert notes.ask(method="POST", body=body, fields=fields).status == 302


def test_it_is_found_migrated_and_serves(notes: Example) -> None:
    assert "$ python manage.py migrate --noinput" in notes.deployed.err
    assert "Applying notes.0001_initial... OK" in notes.deployed.err
    keep(notes, "bread")
    assert b"<li>bread</li>" in notes.ask().body
    assert (data_of(notes.edged, "notes") / "notes.sqlite3").exists()


def test_it_sleeps_and_wakes(notes: Example) -> None:
    notes.sleep_and_wake()


def test_its_static_files_are_served_while_it_sleeps(notes: Example) -> None:
    assert STYLE.encode() in notes.ask().body
    notes.fall_asleep()
    style = notes.ask(STYLE)
    assert (style.status, style.get("Content-Type")) == (200, "text/css; charset=utf-8")
    assert b"max-width: 40rem" in style.body
    assert state_of(notes.edged, "notes") == "asleep"


def test_it_rolls_and_returns_and_what_it_has_written_stays(notes: Example) -> None:
    keep(notes, "butter")
    notes.change("notes/templates/notes.html", "<h1>Notes", "<h1>Memos")
    second, first = notes.roll_and_return()
    for answer, title in ((second, b"<h1>Memos"), (first, b"<h1>Notes")):
        assert title in answer.body
        assert b"<li>butter</li>" in answer.body
