"""An app that nobody asks sleeps, and nothing that is under way is cut for it."""

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
    open_socket,
    sleepy,
    starts_of,
    state_of,
    wait_for_sleep,
    write_app,
)
from tests.support.client import Client
from tests.support.edged import Edged
from tests.support.eventually import eventually

PING_S = 0.4
AWAKE_S = 3.0
"""Much longer than the apps' idle time, and the time until somebody looks."""

MASKED_PING = b"\x89\x80\x00\x00\x00\x00"


@pytest.fixture(scope="module")
def served() -> Iterator[Edged]:
    with Edged('[timeouts]\nupgraded_idle = "4s"\n', workers=2) as edged:
        yield edged


def test_an_idle_app_sleeps_and_its_first_request_wakes_it(served: Edged, tmp_path: Path) -> None:
    deploy_asleep(served, write_app(tmp_path / "blog", more=sleepy(), VERSION="one"))
    assert app_of(served, "blog")["instances"] == []
    assert ask(served, "blog").body == b"one"
    assert state_of(served, "blog") == "awake"
    assert len(starts_of(served, "blog")) == 2


def test_an_app_that_is_asked_now_and_then_stays_awake(served: Edged, tmp_path: Path) -> None:
    deploy(served, write_app(tmp_path / "busy", more=sleepy("2s")))
    for _ in every(PING_S, AWAKE_S + 1.0):
        assert ask(served, "busy").status == 200
    assert len(starts_of(served, "busy")) == 1
    wait_for_sleep(served, "busy")


def test_pings_on_a_websocket_keep_an_app_awake(served: Edged, tmp_path: Path) -> None:
    deploy(served, write_app(tmp_path / "chat", more=sleepy()))
    with open_socket(served, "chat") as client:
        for _ in every(PING_S, AWAKE_S):
            client.send(MASKED_PING)
            assert client.read_exactly(len(MASKED_PING)) == MASKED_PING
        assert state_of(served, "chat") == "awake"
    wait_for_sleep(served, "chat")


def test_a_silent_websocket_lets_an_app_sleep_when_it_has_closed(
    served: Edged, tmp_path: Path
) -> None:
    deploy(served, write_app(tmp_path / "quiet", more=sleepy()))
    with open_socket(served, "quiet") as client:
        assert [state_of(served, "quiet") for _ in every(PING_S, AWAKE_S)][-1] == "awake"
        client.send(MASKED_PING)
        assert client.read_exactly(len(MASKED_PING)) == MASKED_PING
        began = time.monotonic()
        assert client.read_some() == b""  # the limit for upgraded connections
        assert 3.0 < time.monotonic() - began < 9.0
    wait_for_sleep(served, "quiet")


def test_what_is_under_way_is_never_cut(served: Edged, tmp_path: Path) -> None:
    deploy(served, write_app(tmp_path / "report", more=sleepy(), VERSION="whole"))
    with begin(served, "report", f"/takes/{AWAKE_S}") as client:
        answer = client.read_answer()
    assert (answer.status, answer.body) == (200, b"whole")
    assert len(starts_of(served, "report")) == 1
    wait_for_sleep(served, "report")


@pytest.mark.parametrize("end_s", [0, 1])
def test_a_request_in_the_middle_of_falling_asleep_is_answered(
    served: Edged, tmp_path: Path, end_s: float
) -> None:
    name = f"drowsy{end_s}"
    deploy(served, write_app(tmp_path / name, more=sleepy(), VERSION="here"))
    have(served, name, "end_s", end_s)
    for _ in range(4):
        with Client(served.address) as kept:
            ask_on(kept, name)
            wait_until_drowsy(served, name)
            assert ask_on(kept, name) == (200, b"here")
            clients = [begin(served, name) for _ in range(5)]
            assert [client.read_answer().status for client in clients] == [200] * 5
            for client in clients:
                client.close()


def ask_on(client: Client, name: str) -> tuple[int, bytes]:
    """One request on a connection that is kept."""
    client.send(f"GET / HTTP/1.1\r\nHost: {name}.test\r\n\r\n".encode())
    answer = client.read_answer()
    return answer.status, answer.body


def wait_until_drowsy(edged: Edged, name: str) -> None:
    """Without a pause: the moment is short."""
    deadline = time.monotonic() + 10.0
    while state_of(edged, name) == "awake":
        assert time.monotonic() < deadline


def every(pause_s: float, lasting_s: float) -> Iterator[None]:
    """Go on at these intervals."""
    began = time.monotonic()
    count = 0
    while time.monotonic() - began < lasting_s:
        yield
        count += 1
        eventually(lambda: time.monotonic() - began >= count * pause_s)  # noqa: B023
