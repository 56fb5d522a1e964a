"""A second peer beside one that takes its time: the first answer counts, also with TLS.

A peer that speaks TLS 1.3 sends tickets behind its handshake: bytes that begin no answer.
"""

import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.certificates import TestAuthority
from tests.support.client import Answer, Client, fetch
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.origin import End, ScriptedOrigin
from tests.support.ports import free_address


def named(name: str) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name.encode())


@pytest.fixture(params=["", "TLSv1_2", "TLSv1_3"], ids=["plain", "TLS 1.2", "TLS 1.3"])
def tls(request: pytest.FixtureRequest, tmp_path: Path) -> ssl.SSLContext | None:
    """What the peers speak."""
    if not request.param:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*TestAuthority(tmp_path).issue("127.0.0.1"))
    context.maximum_version = ssl.TLSVersion[request.param]
    return context


@pytest.fixture
def slow(tls: ssl.SSLContext | None) -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin([End.HANG], context=tls) as started:
        yield started


@pytest.fixture
def quick(tls: ssl.SSLContext | None) -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin(named("quick"), context=tls) as started:
        yield started


Start = Callable[..., Edged]


@pytest.fixture
def hedged(
    edged: Start, slow: ScriptedOrigin, quick: ScriptedOrigin, tls: ssl.SSLContext | None
) -> Start:
    def start(second: str = "", first_byte: str = "5s", more: str = "") -> Edged:
        spoken = "upstream_tls = {verify = false}" if tls else ""
        extra = f'hedge = "50ms"\nfirst_byte = "{first_byte}"\n{spoken}\n{more}'
        return edged(route("a.test", [slow.address, second or quick.address], extra), workers=2)

    return start


def ask(edged: Edged) -> Answer:
    return fetch(edged.address, host="a.test")


def test_a_quick_peer_answers_for_a_slow_one(hedged: Start, slow: ScriptedOrigin) -> None:
    edged = hedged()
    assert {ask(edged).body for _ in range(8)} == {b"quick"}
    assert len(slow.requests) > 0
    line = edged.logged(attempts=2)
    assert (line["status"], line["reason"]) == (200, "")
    eventually(lambda: all(p["under_way"] == 0 for p in edged.ctl_json("peers")["peers"]))


def test_of_two_that_are_slow_whoever_answers_counts(
    hedged: Start, slow: ScriptedOrigin, quick: ScriptedOrigin
) -> None:
    go_on = threading.Event()
    slow.reply = quick.reply = [go_on, named("whoever"), End.CLOSE]
    edged = hedged(first_byte="10s")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, edged)
        eventually(lambda: slow.requests and quick.requests)
        go_on.set()
        assert asked.result(10).body == b"whoever"


def test_a_slow_peer_that_answers_first_counts_too(
    hedged: Start, slow: ScriptedOrigin, quick: ScriptedOrigin
) -> None:
    go_on = threading.Event()
    slow.reply = [go_on, named("slow")]
    quick.reply = [End.HANG]
    edged = hedged()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, edged)
        eventually(lambda: slow.requests and quick.requests)
        go_on.set()
        assert asked.result(10).body == b"slow"
    eventually(lambda: all(p["under_way"] == 0 for p in edged.ctl_json("peers")["peers"]))


def test_a_second_peer_that_is_down_changes_nothing(hedged: Start, slow: ScriptedOrigin) -> None:
    go_on = threading.Event()
    slow.reply = [go_on, named("slow")]
    edged = hedged(free_address())
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, edged) for _ in range(4)]
        eventually(lambda: len(slow.requests) == 4)
        go_on.set()
        assert {each.result(10).body for each in asked} == {b"slow"}


def test_a_second_peer_that_closes_is_no_answer(
    hedged: Start, slow: ScriptedOrigin, quick: ScriptedOrigin
) -> None:
    go_on = threading.Event()
    slow.reply = [go_on, named("slow")]
    quick.reply = [End.CLOSE]
    edged = hedged()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, edged)
        eventually(lambda: quick.requests)
        go_on.set()
        assert asked.result(10).body == b"slow"


def test_what_is_not_safe_is_sent_once(
    hedged: Start, slow: ScriptedOrigin, quick: ScriptedOrigin
) -> None:
    edged = hedged(first_byte="300ms", more="[limits]\nattempts = 1")
    statuses = set()
    with Client(edged.address) as client:  # of one worker, which asks one and then the other
        for _ in range(2):
            client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx")
            statuses.add(client.read_answer("POST").status)
    assert statuses == {200, 504}
    assert (len(slow.requests), len(quick.requests)) == (1, 1)


def test_when_nobody_answers_the_answer_is_a_timeout(hedged: Start, quick: ScriptedOrigin) -> None:
    quick.reply = [End.HANG]
    edged = hedged(first_byte="500ms")
    answer = ask(edged)
    assert (answer.status, answer.get("X-Edge-Error")) == (504, "timeout")
