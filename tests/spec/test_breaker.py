"""The circuit breaker: what fails too often is not asked for a while."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.client import Answer, Client
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.origin import ScriptedOrigin

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno"
RULES = '[route.breaker]\nfailures = "50%"\nleast = 6\nwindow = "1m"\nlasts = "400ms"\n'


@pytest.fixture
def broken(edged: Callable[..., Edged], origin: ScriptedOrigin) -> Iterator[Client]:
    """A client that stays with one of two workers, each of which has a breaker of its own."""
    origin.reply = BAD
    served = edged(route("a.test", origin.address) + RULES, workers=2)
    with Client(served.address) as client:
        yield client


def ask(client: Client) -> Answer:
    client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    return client.read_answer()


def test_a_failing_upstream_is_left_alone_and_tried_again(
    broken: Client, origin: ScriptedOrigin
) -> None:
    assert [ask(broken).status for _ in range(6)] == [500] * 6
    refused = ask(broken)
    assert (refused.status, refused.get("X-Edge-Error")) == (503, "circuit-open")
    assert refused.get("Retry-After") == "1"
    assert len(origin.requests) == 6
    origin.reply = OK
    eventually(lambda: ask(broken).status == 200)
    assert [ask(broken).status for _ in range(5)] == [200] * 5


def test_one_that_goes_on_failing_is_asked_once_each_time(
    broken: Client, origin: ScriptedOrigin
) -> None:
    for _ in range(6):
        ask(broken)
    eventually(lambda: ask(broken).status == 500)
    asked = len(origin.requests)
    assert asked == 7
    assert ask(broken).status == 503
    assert len(origin.requests) == asked


def test_some_failures_are_no_reason(broken: Client, origin: ScriptedOrigin) -> None:
    for number in range(30):
        origin.reply = BAD if number % 3 == 2 else OK
        assert ask(broken).status in (200, 500)
    assert len(origin.requests) == 30
