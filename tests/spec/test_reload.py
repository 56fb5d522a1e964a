"""A reload makes the file on disk the one in force, or says why not and changes nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import Client, fetch
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.ports import free_address
from tests.support.web_origin import WebOrigin

BAD_HOOKS = sorted((Path(__file__).parents[1] / "edge" / "bad_hooks").glob("*.py"))

GOOD = """
from edge import Hook

class Mark(Hook):
    def response_filter(self, exchange):
        exchange.response.headers["X-Mark"] = "one"
"""


@pytest.fixture(scope="module")
def marked() -> Iterator[Edged]:
    """An edged with one good hook; tests that break its config write it anew."""
    with Edged(
        route("*", extra='respond = "here"'), server='hooks = ["mark.py"]', files={"mark.py": GOOD}
    ) as edged:
        yield edged


def assert_untouched(edged: Edged, workers: list[int], generation: int) -> None:
    answer = fetch(edged.address, "/")
    assert (answer.status, answer.body, answer.get("X-Mark")) == (200, b"here", "one")
    status = edged.ctl_json("status")
    assert status["generation"] == generation
    assert edged.workers() == workers


@pytest.mark.parametrize("path", BAD_HOOKS, ids=lambda path: path.stem)
def test_a_hook_that_does_not_load_stops_the_reload_with_its_reason(
    marked: Edged, path: Path
) -> None:
    workers, generation = marked.workers(), marked.ctl_json("status")["generation"]
    marked.write_file("mark.py", path.read_text())
    outcome = marked.ctl("reload")
    assert outcome.code == 1
    expected = path.read_text().splitlines()[0].removeprefix("# expect: ")
    assert expected in outcome.err
    assert str(marked.folder / "mark.py") in outcome.err
    assert_untouched(marked, workers, generation)
    marked.write_file("mark.py", GOOD)
    marked.reload()


def test_a_hook_that_raises_at_import_shows_its_traceback(marked: Edged) -> None:
    marked.write_file(
        "mark.py", "from edge import Hook\n\ndef deep():\n    return {}['no']\n\ndeep()\n"
    )
    outcome = marked.ctl("reload")
    assert outcome.code == 1
    assert 'mark.py", line 4, in deep' in outcome.err
    assert "KeyError: 'no'" in outcome.err
    marked.write_file("mark.py", GOOD)
    marked.reload()


def test_every_mistake_of_a_bad_file_is_named_with_its_line(marked: Edged) -> None:
    workers, generation = marked.workers(), marked.ctl_json("status")["generation"]
    marked.write(route("*", extra='respnd = "x"\nstrip_prefix = 3'))
    outcome = marked.ctl("reload")
    assert outcome.code == 1
    lines = marked.config.read_text().splitlines()
    number = next(n for n, line in enumerate(lines, 1) if line.startswith("respnd"))
    assert f"{marked.config}:{number}: " in outcome.err
    assert f"{marked.config}:{number + 1}: " in outcome.err
    assert "respond" in outcome.err
    assert_untouched(marked, workers, generation)
    marked.write(route("*", extra='respond = "here"'))
    marked.reload()


def test_a_file_that_is_gone_is_named_and_edged_goes_on(marked: Edged) -> None:
    workers, generation = marked.workers(), marked.ctl_json("status")["generation"]
    text = marked.config.read_text()
    marked.config.unlink()
    outcome = marked.ctl("reload")
    assert outcome.code == 1
    assert str(marked.config) in outcome.err
    assert_untouched(marked, workers, generation)
    marked.write_file(marked.config.name, text)


def test_check_says_what_a_reload_would_do_and_does_nothing(marked: Edged) -> None:
    generation = marked.ctl_json("status")["generation"]
    marked.write(route("*", extra='respond = "here"') + route("new.test", extra='respond = "n"'))
    assert marked.ctl_json("check")["routes"]["added"] == 1
    assert marked.ctl_json("status")["generation"] == generation
    assert fetch(marked.address, "/", host="new.test").body == b"here"
    marked.write(route("*", extra='respond = "here"'))


def test_routes_are_added_changed_and_removed(web_origin: WebOrigin) -> None:
    with Edged(
        route("a.test", extra='respond = "a"') + route("b.test", extra='respond = "b"')
    ) as edged:
        edged.write(route("b.test", extra='respond = "B"') + route("c.test", extra='respond = "c"'))
        answer = edged.ctl_json("reload")
        assert answer["routes"] == {"added": 1, "changed": 1, "removed": 1}
        assert fetch(edged.address, "/", host="a.test").status == 404
        assert fetch(edged.address, "/", host="b.test").body == b"B"
        assert fetch(edged.address, "/", host="c.test").body == b"c"


def test_more_and_fewer_workers(web_origin: WebOrigin) -> None:
    with Edged(route("*", web_origin.address)) as edged:
        for count in (3, 1, 2):
            edged.write(workers=count)
            edged.reload()
            eventually(lambda n=count: len(edged.workers()) == n)
            for _ in range(20):
                assert fetch(edged.address, "/bytes/1").status == 200


def test_another_address_and_the_old_one_is_closed(web_origin: WebOrigin) -> None:
    with Edged(route("*", web_origin.address)) as edged:
        old, edged.addresses = edged.address, [free_address()]
        edged.write()
        edged.reload()
        assert fetch(edged.addresses[0], "/bytes/1").status == 200
        with pytest.raises(ConnectionRefusedError):
            Client(old)


def test_an_address_that_is_taken_is_named_and_nothing_changed(web_origin: WebOrigin) -> None:
    with Edged(route("*", web_origin.address)) as edged:
        workers = edged.workers()
        old, edged.addresses = edged.addresses, [edged.address, web_origin.address]
        edged.write(route("*", extra='respond = "never"'))
        outcome = edged.ctl("reload")
        assert outcome.code == 1
        assert web_origin.address in outcome.err
        assert fetch(old[0], "/bytes/1").body == b"x"
        assert edged.workers() == workers


def test_a_hangup_signal_reloads_as_well(web_origin: WebOrigin) -> None:
    with Edged(route("*", extra='respond = "old"')) as edged:
        edged.write(route("*", extra='respond = "new"'))
        edged.signal(1)
        eventually(lambda: fetch(edged.address, "/").body == b"new")


def test_a_control_that_was_killed_serves_what_was_applied_and_not_the_file(
    web_origin: WebOrigin,
) -> None:
    with Edged(route("*", extra='respond = "applied"')) as edged:
        edged.write(route("*", extra='respond = "edited"'))
        control = edged.control_pid()
        edged.kill(control)
        eventually(lambda: edged.control_pid() not in (0, control))
        eventually(lambda: edged.ctl("status"))
        assert fetch(edged.address, "/").body == b"applied"
        codes = [each["code"] for each in edged.ctl_json("status")["problems"]]
        assert codes == ["config-differs"]
        edged.reload()
        assert fetch(edged.address, "/").body == b"edited"


def test_reloads_at_the_same_time_all_end_well(web_origin: WebOrigin) -> None:
    with Edged(route("*", extra='respond = "x"'), workers=2) as edged:
        outcomes = edged.ctl_many(["reload", "--roll"], 4)
        assert [outcome.code for outcome in outcomes] == [0, 0, 0, 0], outcomes
        eventually(lambda: len(edged.workers()) == 2)
        assert fetch(edged.address, "/").status == 200
