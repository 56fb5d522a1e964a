"""A static site: edged serves its files itself, those of the release before too."""

from collections.abc import Iterator

import pytest

from tests.support.app_examples import Example, example
from tests.support.app_stories import state_of

OLD = "/assets/site.62cbc042.css"
NEW = "/assets/site.0a1b2c3d.css"


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    with example("static", tmp_path_factory.mktemp("static")) as deployed:
        yield deployed


def change_style(site: Example) -> None:
    """The page of another version: another style sheet, and a page less."""
    public = site.folder / "public"
    (public / OLD[1:]).rename(public / NEW[1:])
    for page in ("index.html", "404.html"):
        site.change(f"public/{page}", OLD, NEW)
    (public / "about.html").unlink()


def test_it_is_found_and_serves_without_a_process(site: Example) -> None:
    assert "root: found its index.html in public" in site.deployed.err
    assert b"<h1>A site</h1>" in site.ask().body
    assert site.ask(OLD).get("Cache-Control") == "public, max-age=31536000, immutable"
    assert b"<h1>About</h1>" in site.ask("/about.html").body
    missing = site.ask("/nowhere.html", fields="Accept: text/html\r\n")
    assert (missing.status, b"There is no such page" in missing.body) == (404, True)
    assert site.pids() == set()
    assert state_of(site.edged, "site") == "awake"


def test_it_rolls_and_returns_without_a_failed_request(site: Example) -> None:
    change_style(site)
    second, first = site.roll_and_return()
    assert NEW.encode() in second.body
    assert OLD.encode() in first.body


def test_pages_that_are_open_find_their_style_after_a_deploy(site: Example) -> None:
    change_style(site)
    site.deploy()
    assert NEW.encode() in site.ask().body
    assert site.ask(NEW).status == 200
    assert site.ask(OLD).status == 200
    assert site.ask("/about.html").status == 404  # a page is of its release alone


def test_a_stopped_site_serves_nothing_until_it_is_started_or_deployed(site: Example) -> None:
    for way in (("start", "site"), ("deploy", str(site.folder))):
        assert site.edged.ctl("stop", "site")
        stopped = site.ask()
        assert (stopped.status, stopped.get("X-Edge-Error")) == (503, "app-stopped")
        assert site.edged.ctl(*way)
        assert site.ask().status == 200
        assert state_of(site.edged, "site") == "awake"
