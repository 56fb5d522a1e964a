"""The first request wakes an app, and the others wait with it; what they hear when it does not."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.app_stories import (
    app_of,
    ask,
    begin,
    deploy,
    deploy_asleep,
    have,
    sleepy,
    starts_of,
    state_of,
    write_app,
)
from tests.support.client import Answer
from tests.support.edged import Edged
from tests.support.eventually import eventually

ALL = 1000
ROOM = 5


@pytest.fixture(scope="module")
def served() -> Iterator[Edged]:
    with Edged(workers=2) as edged:
        yield edged


def reason(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.get("X-Edge-Error")


def test_a_thousand_requests_for_a_sleeping_app_start_one_process(
    served: Edged, tmp_path: Path
) -> None:
    deploy_asleep(served, write_app(tmp_path / "crowd", more=sleepy()))
    have(served, "crowd", "start_s", 0.3)
    clients = [begin(served, "crowd", "/pid", patience_s=30.0) for _ in range(ALL)]
    answers = [client.read_answer() for client in clients]
    for client in clients:
        client.close()
    _, woken = starts_of(served, "crowd")
    assert {(answer.status, answer.body) for answer in answers} == {(200, str(woken).encode())}


def test_who_comes_when_the_waiting_room_is_full_is_told_so_at_once(
    served: Edged, tmp_path: Path
) -> None:
    waiting = f"{sleepy()}[waiting]\nroom = {ROOM}\n"
    deploy_asleep(served, write_app(tmp_path / "popular", more=waiting))
    have(served, "popular", "start_s", 2)
    clients = [begin(served, "popular") for _ in range(ROOM)]
    eventually(lambda: len(starts_of(served, "popular")) == 2)
    for _ in range(4):
        refused = ask(served, "popular")
        assert reason(refused) == (503, "queue-full")
        assert refused.get("Retry-After") == "1"
    assert [client.read_answer().status for client in clients] == [200] * ROOM
    for client in clients:
        client.close()
    assert ask(served, "popular").status == 200


def test_an_app_that_wakes_too_slowly_is_a_504(served: Edged, tmp_path: Path) -> None:
    deploy_asleep(served, write_app(tmp_path / "slow", more=sleepy(), limits='start = "1s"'))
    have(served, "slow", "start_s", 60)
    began = time.monotonic()
    assert reason(ask(served, "slow")) == (504, "app-start-timeout")
    assert time.monotonic() - began < 5.0
    have(served, "slow", "start_s", 0)
    eventually(lambda: ask(served, "slow").status == 200)  # as it is tried again


def test_an_app_that_dies_when_it_wakes_is_a_502_and_its_last_words_are_shown(
    served: Edged, tmp_path: Path
) -> None:
    deploy_asleep(served, write_app(tmp_path / "fragile", more=sleepy()))
    have(served, "fragile", "broken", 1)
    began = time.monotonic()
    assert reason(ask(served, "fragile")) == (502, "app-failed")
    assert time.monotonic() - began < 5.0
    assert "the database is gone" in served.ctl("logs", "fragile").out
    eventually(lambda: state_of(served, "fragile") == "failed", within_s=30.0)
    assert reason(ask(served, "fragile")) == (502, "app-failed")
    shown = served.ctl("apps").out
    assert "it exited with code 3 before it was ready\nthe database is gone" in shown
    have(served, "fragile", "broken", 0)
    assert served.ctl("start", "fragile")
    assert ask(served, "fragile").status == 200


def test_a_stopped_app_is_a_503_until_it_is_started(served: Edged, tmp_path: Path) -> None:
    deploy(served, write_app(tmp_path / "halted"))
    assert served.ctl("stop", "halted")
    assert reason(ask(served, "halted")) == (503, "app-stopped")
    assert app_of(served, "halted")["instances"] == []
    assert served.ctl("start", "halted")
    assert ask(served, "halted").status == 200


def test_a_browser_sees_a_page_that_comes_again_until_the_app_serves(
    served: Edged, tmp_path: Path
) -> None:
    more = f"{sleepy()}[waiting]\npage = true\n"
    deploy_asleep(served, write_app(tmp_path / "patient", more=more, VERSION="hello"))
    have(served, "patient", "start_s", 0.5)
    browser = "Accept: text/html,*/*;q=0.8\r\n"
    first = ask(served, "patient", fields=browser)
    assert reason(first) == (503, "app-starting")
    assert (first.get("Refresh"), first.get("Cache-Control")) == ("1", "no-store")
    assert first.get("Content-Type").startswith("text/html")
    assert ask(served, "patient").body == b"hello"  # a program waits instead
    assert ask(served, "patient", fields=browser).body == b"hello"
    assert len(starts_of(served, "patient")) == 2


def test_a_slow_app_does_not_keep_a_quick_one_waiting(served: Edged, tmp_path: Path) -> None:
    quick = [write_app(tmp_path / f"quick{n}", more=sleepy()) for n in range(3)]
    deploy_asleep(served, write_app(tmp_path / "heavy", more=sleepy()), *quick)
    have(served, "heavy", "start_s", 3)
    heavy = begin(served, "heavy")
    eventually(lambda: len(starts_of(served, "heavy")) == 2)
    clients = [begin(served, folder.name) for folder in quick]
    assert [client.read_answer().status for client in clients] == [200] * 3
    assert state_of(served, "heavy") == "waking"
    assert heavy.read_answer().status == 200
    for client in (heavy, *clients):
        client.close()


def test_edged_starts_without_waiting_for_its_apps(tmp_path: Path) -> None:
    always = "[instances]\nmin = 1\n"
    with Edged(workers=2) as edged:
        deploy(edged, write_app(tmp_path / "steady", more=always))
        deploy(edged, write_app(tmp_path / "swift"))
        have(edged, "steady", "start_s", 6)
        edged.stop(expect=0)
        began = time.monotonic()
        edged.start()
        assert ask(edged, "swift").status == 200
        assert time.monotonic() - began < 5.0
        assert state_of(edged, "steady") == "waking"  # by itself, as one must always run
        assert ask(edged, "steady").status == 200
