"""Copies of requests: they arrive, and nothing that happens to them is felt."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.client import fetch
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.origin import End, Reply, ScriptedOrigin
from tests.support.ports import free_address


@pytest.fixture
def other() -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin() as started:
        yield started


@pytest.fixture
def mirrored(edged: Callable[..., Edged], origin: ScriptedOrigin) -> Callable[..., Edged]:
    def start(address: str, more: str = "") -> Edged:
        rules = f'[route.mirror]\nupstream = "{address}"\n{more}\n'
        return edged(route("a.test", origin.address) + rules, workers=2)

    return start


def test_a_copy_is_the_request_that_went_to_the_peer(
    mirrored: Callable[..., Edged], origin: ScriptedOrigin, other: ScriptedOrigin
) -> None:
    edged = mirrored(other.address)
    fetch(edged.address, "/x?y", host="a.test", fields="X-A: b\r\n")
    fetch(edged.address, "/post", host="a.test", method="POST", body=b"hello")
    eventually(lambda: sum(each.state == "whole" for each in other.requests) == 2)
    by_target = {each.target: each.raw for each in other.requests}
    assert by_target == {each.target: each.raw for each in origin.requests}


@pytest.mark.parametrize(
    "reply",
    [[End.HANG], [End.RESET], b"garbage\r\n\r\n", b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"],
    ids=["hangs", "resets", "garbage", "fails"],
)
def test_whatever_becomes_of_a_copy_the_client_notices_nothing(
    mirrored: Callable[..., Edged], other: ScriptedOrigin, reply: Reply
) -> None:
    other.reply = reply
    edged = mirrored(other.address, 'timeout = "200ms"\nat_once = 3')
    for _ in range(20):
        answer = fetch(edged.address, host="a.test")
        assert (answer.status, answer.body) == (200, b"ok")
    eventually(lambda: sum(w["exchanges"] for w in edged.ctl_json("workers")["workers"]) == 0)
    assert "Traceback" not in edged.log


def test_a_mirror_that_is_down_costs_nothing(mirrored: Callable[..., Edged]) -> None:
    edged = mirrored(free_address())
    assert {fetch(edged.address, host="a.test").status for _ in range(10)} == {200}


def test_only_a_part_is_copied(
    mirrored: Callable[..., Edged], origin: ScriptedOrigin, other: ScriptedOrigin
) -> None:
    edged = mirrored(other.address, 'part = "0%"')
    for _ in range(10):
        fetch(edged.address, host="a.test")
    assert len(origin.requests) == 10
    assert other.requests == []


def test_a_body_that_is_not_kept_has_no_copy(
    mirrored: Callable[..., Edged], origin: ScriptedOrigin, other: ScriptedOrigin
) -> None:
    edged = mirrored(other.address)
    big = b"x" * 200_000
    assert fetch(edged.address, "/big", host="a.test", method="POST", body=big).status == 200
    assert fetch(edged.address, "/small", host="a.test").status == 200
    eventually(lambda: [each.target for each in other.requests] == ["/small"])
    assert origin.requests[0].body == big
