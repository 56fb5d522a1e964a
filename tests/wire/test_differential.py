"""The edge beside h11: whatever the edge takes, another server reads the same way.

The edge may refuse what h11 takes, never the reverse; and it never finds a request, or an end of
one, where h11 finds none. First as readers of bytes, then through a real edged: what the origin saw
equals what h11 made of what the client had sent.
"""

import h11
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.client import Client, Closed, Reset
from tests.support.eventually import eventually
from tests.wire.messages import doubtful_requests, ours, right_requests, theirs
from tests.wire.run import Wire, echo

LAST = b"GET /last HTTP/1.1\r\nHost: wire.test\r\nConnection: close\r\n\r\n"
PATIENCE_S = 0.05

mixed = st.lists(right_requests() | doubtful_requests(), min_size=1, max_size=3)


@given(st.lists(right_requests(), min_size=1, max_size=4))
@settings(max_examples=300)
def test_what_is_right_is_taken_and_read_alike(requests: list[bytes]) -> None:
    data = b"".join(requests)
    assert ours([data]) == theirs(data)
    assert len(ours([data]).requests) == len(requests)


@given(mixed)
@settings(max_examples=3000)
def test_what_is_taken_is_read_alike(requests: list[bytes]) -> None:
    data = b"".join(requests)
    here, there = ours([data]), theirs(data)
    assert here.requests == there.requests[: len(here.requests)], data
    if here.ending == "waits":
        assert there.requests == here.requests, data


@given(mixed)
@settings(
    max_examples=250,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_origin_sees_what_the_edge_decided(wire: Wire, requests: list[bytes]) -> None:
    data = b"".join(requests) + LAST
    decided = ours([data])
    wire.origin.forget()
    wire.origin.reply = echo
    with Client(wire.address) as client:
        statuses = exchange(client, data, [method for method, _, _ in decided.requests])
    seen = whole_requests(wire)
    assert len(seen) == len(decided.requests), (data, seen)
    assert [theirs(raw).requests[0] for raw in seen] == theirs(data).requests[: len(seen)], data
    assert statuses[: len(seen)] == [200] * len(seen), data
    if decided.ending.startswith("refuses"):
        assert statuses[-1] in (400, 405, 414, 417, 431, 501, 505), data


def exchange(client: Client, data: bytes, methods: list[str]) -> list[int]:
    """Send it all, and read every answer until the edge closes or waits for more."""
    statuses: list[int] = []
    client.send(data)
    try:
        for method in [*methods, "GET"]:
            if len(statuses) == len(methods):
                client.socket.settimeout(PATIENCE_S)
            statuses.append(client.read_answer(method).status)
    except (Closed, Reset, TimeoutError, h11.RemoteProtocolError):
        pass
    return statuses


def whole_requests(wire: Wire) -> list[bytes]:
    """What the origin got, once nothing of it is under way."""
    wire.probe()
    requests = wire.origin.requests
    eventually(lambda: all(each.state != "head" for each in requests))
    got = [each for each in requests if not each.target.startswith("/probe-")]
    assert all(each.state != "broken" for each in got), got
    return [each.raw for each in got if each.state == "whole"]
