"""A FastAPI app: its event stream and its WebSocket go through edged."""

from collections.abc import Iterator

import pytest

from tests.support.app_examples import Example, example
from tests.support.app_stories import UPGRADE, state_of
from tests.support.client import Client
from tests.support.eventually import eventually

SENT = b"\x81\x84\x00\x00\x00\x00ping"  # a masked text frame
ECHO = b"\x81\x04ping"


@pytest.fixture(scope="module")
def ticker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    with example("fastapi", tmp_path_factory.mktemp("fastapi")) as deployed:
        yield deployed


def open_echo(ticker: Example) -> Client:
    client = Client(ticker.edged.address)
    client.send(UPGRADE.format(host=ticker.host, path="/echo").encode())
    assert client.read_answer().status == 101
    return client


def open_events(ticker: Example) -> Client:
    client = Client(ticker.edged.address)
    client.send(f"GET /events?every=0.1 HTTP/1.1\r\nHost: {ticker.host}\r\n\r\n".encode())
    head = client.read_until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"text/event-stream" in head.lower()
    return client


def echoes(client: Client) -> bool:
    client.send(SENT)
    return client.read_exactly(len(ECHO)) == ECHO


def test_it_is_found_and_serves(ticker: Example) -> None:
    assert "start: found main.py: FastAPI object `app`, ASGI" in ticker.deployed.err
    assert ticker.ask().body.startswith(b'{"time":"20')
    assert ticker.ask("/health").body == b'{"well":true}'


def test_it_sleeps_and_wakes(ticker: Example) -> None:
    ticker.sleep_and_wake()


def test_its_event_stream_comes_piece_by_piece_and_keeps_it_awake(ticker: Example) -> None:
    before = ticker.pids()
    with open_events(ticker) as client:
        for _ in range(40):  # for longer than it takes to fall asleep
            client.read_until(b"data: ")
        assert state_of(ticker.edged, "ticker") == "awake"
    ticker.fall_asleep()
    assert before != ticker.pids()


def test_its_websocket_echoes_and_wakes_it(ticker: Example) -> None:
    ticker.fall_asleep()
    with open_echo(ticker) as client:
        for _ in range(3):
            assert echoes(client)
    eventually(lambda: state_of(ticker.edged, "ticker") == "asleep", within_s=20.0)


def test_it_rolls_and_returns_without_a_failed_request(ticker: Example) -> None:
    ticker.change("main.py", '{"well": True}', '{"well": True, "release": True}')
    second, first = ticker.roll_and_return("/health")
    assert b'"release"' in second.body
    assert b'"release"' not in first.body
