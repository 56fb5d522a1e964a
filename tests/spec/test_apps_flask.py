"""A Flask app as its author writes it: found by its source, built, run by gunicorn."""

from collections.abc import Iterator

import pytest

from tests.support.app_examples import Example, example

FORM = "Content-Type: application/x-www-form-urlencoded\r\n"


@pytest.fixture(scope="module")
def guestbook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    with example("flask", tmp_path_factory.mktemp("flask")) as deployed:
        yield deployed


def test_it_is_found_and_serves(guestbook: Example) -> None:
    assert "start: found app.py: Flask object `app`, WSGI" in guestbook.deployed.err
    assert b"Guest book" in guestbook.ask().body
    written = guestbook.ask(method="POST", body=b"line=Ada+was+here", fields=FORM)
    assert (written.status, written.get("Location")) == (303, "/")
    assert b"<li>Ada was here</li>" in guestbook.ask().body


def test_it_sleeps_and_wakes(guestbook: Example) -> None:
    guestbook.sleep_and_wake()


def test_it_rolls_and_returns_without_a_failed_request(guestbook: Example) -> None:
    guestbook.change("templates/guestbook.html", "<h1>Guest book", "<h1>Visitors")
    second, first = guestbook.roll_and_return()
    assert b"<h1>Visitors" in second.body
    assert b"<h1>Guest book" in first.body
