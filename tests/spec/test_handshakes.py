"""Handshakes that take their time, or come to nothing: what they cost others, and when they end."""

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.allowing import Allowing
from tests.support.automatic import Automatic
from tests.support.client import Client, Reset
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.origin import ScriptedOrigin
from tests.support.secure import Secure, serving
from tests.support.tls_client import TlsByHand, padded


@pytest.fixture(scope="module")
def hasty() -> Iterator[Secure]:
    """A second for each handshake, and four at a time; tests leave it as they found it."""
    limits = 'handshake = "1s"\nhandshakes = 4'
    with ScriptedOrigin() as origin, serving(origin, tls=limits, workers=1) as served:
        yield served


def assert_serves(served: Secure) -> None:
    with served.client() as client:
        assert client.get(host="a.test") == b"ok"


# Silent ones


def test_silent_connections_stop_nobody(origin: ScriptedOrigin) -> None:
    limits = 'handshake = "1m"\nhandshakes = 5'
    with serving(origin, tls=limits, workers=1) as served, contextlib.ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(Client(served.https))
        for _ in range(4):
            stack.enter_context(Client(served.https)).send(b"\x16")
        eventually(lambda: served.connections == 54)
        began = time.monotonic()
        assert_serves(served)
        assert time.monotonic() - began < 3
        assert served.failures == 0


def test_a_silent_connection_has_the_time_of_a_handshake_from_accepting_on(hasty: Secure) -> None:
    before = hasty.failures
    began = time.monotonic()
    with Client(hasty.https) as client:
        assert client.ending() == "fin"
    assert 0.8 < time.monotonic() - began < 3
    with Client(hasty.https) as client:
        client.close()
    eventually(lambda: hasty.connections == 0)
    assert hasty.failures == before  # there was no handshake that could have failed


def test_silent_connections_are_within_the_limit_of_connections(origin: ScriptedOrigin) -> None:
    limits = 'handshake = "1m"\nredirect = false\n[limits]\nconnections = 4'
    with serving(origin, tls=limits, workers=1) as served:
        silent = [Client(served.https) for _ in range(4)]
        eventually(lambda: served.connections == 4)
        with Client(served.edged.address) as late:
            late.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            assert late.ending(0.3) == "open"
            silent.pop().close()
            assert late.read_answer().status == 200
        for client in silent:
            client.close()


# Turns


def test_those_that_are_ready_wait_while_too_many_are_under_way(origin: ScriptedOrigin) -> None:
    limits = 'handshake = "1m"\nhandshakes = 2'
    with serving(origin, tls=limits, workers=1) as served, contextlib.ExitStack() as stack:
        stalled = [stack.enter_context(served.by_hand()) for _ in range(2)]
        ready = [stack.enter_context(served.by_hand()) for _ in range(6)]
        eventually(lambda: served.connections == 8)  # they were accepted
        for client in stalled:
            client.send_plainly(client.hello)
            eventually(client.is_taken)
        for client in ready:
            client.send_plainly(client.hello)
        assert {client.ending_plainly(0.05) for client in ready} == {"open"}
        stalled.pop().close()
        assert finish_together(ready) == [200] * 6


def test_clients_that_fall_silent_hold_up_nobody_for_long(origin: ScriptedOrigin) -> None:
    limits = 'handshake = "1m"\nhandshakes = 5'
    with serving(origin, tls=limits, workers=1) as served, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(served.by_hand()) for _ in range(40)]
        for client in silent:
            client.send_plainly(client.hello)
        began = time.monotonic()
        for _ in range(3):
            assert_serves(served)
        assert time.monotonic() - began < 10  # eight times as many are silent as have turns
        eventually(lambda: all(client.is_taken() for client in silent))  # they had theirs, too
        assert served.failures == 0
        assert finish_together(silent[:5], b"") == [200] * 5


def test_waiting_for_a_turn_does_not_count_to_the_time_of_a_handshake(hasty: Secure) -> None:
    """Four at a time, of whom each has a second."""
    before = hasty.failures
    with contextlib.ExitStack() as stack:
        stalled = [stack.enter_context(hasty.by_hand()) for _ in range(12)]
        for client in stalled:
            client.send_plainly(client.hello)
        # Four have their turn; in which order the others are heard is the loop's to say.
        eventually(lambda: sum(client.is_taken() for client in stalled) == 4)
        began = time.monotonic()
        assert_serves(hasty)
        assert time.monotonic() - began > 0.5
    eventually(lambda: hasty.failures == before + 12)
    eventually(lambda: hasty.connections == 0)


def test_a_hello_that_is_not_whole_takes_no_turn(hasty: Secure) -> None:
    before = hasty.failures
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(hasty.by_hand()) for _ in range(12)]
        for number, client in enumerate(slow, 1):
            client.send_plainly(client.hello[:number])
        began = time.monotonic()
        assert_serves(hasty)
        assert time.monotonic() - began < 1
        assert {client.ending_plainly(5.0) for client in slow} <= {"fin", "reset"}
    eventually(lambda: hasty.failures == before + 12)
    eventually(lambda: hasty.connections == 0)


def test_one_that_leaves_before_its_turn_is_forgotten(origin: ScriptedOrigin) -> None:
    limits = 'handshake = "1m"\nhandshakes = 1'
    with serving(origin, tls=limits, workers=1) as served, served.by_hand() as stalled:
        stalled.send_plainly(stalled.hello)
        eventually(stalled.is_taken)
        for _ in range(5):
            with served.by_hand() as client:
                client.send_plainly(client.hello)
        stalled.close()
        assert_serves(served)
        eventually(lambda: served.connections == 0)
        assert served.failures == 6


def test_one_that_waits_for_a_certificate_holds_up_nobody_and_has_its_time_behind(
    automatic: Automatic,
) -> None:
    text = route("*.shop.example", extra='respond = "welcome"\ntls = "on_demand"')
    with Allowing() as service:
        service.statuses = {f"{name}.shop.example": 200 for name in ("a", "b")}
        limits = f'ask = "{service.url}"\nhandshakes = 1\nhandshake = "1s"'
        with automatic.edged(text, limits), ThreadPoolExecutor(1) as pool:
            assert automatic.get("a.shop.example") == b"welcome"
            service.wait.clear()
            waiting = pool.submit(automatic.get, "b.shop.example")
            eventually(lambda: "b.shop.example" in service.asked)
            began = time.monotonic()
            while time.monotonic() - began < 2.0:  # longer than a handshake may take
                assert automatic.get("a.shop.example") == b"welcome"
            service.wait.set()
            assert waiting.result(60) == b"welcome"


# Handshakes that come to nothing


def trickle(client: TlsByHand) -> None:
    for number in range(len(client.hello)):
        client.send_plainly(client.hello[number : number + 1])
        if client.ending_plainly(0.1) != "open":
            return
    raise AssertionError("nobody has lost patience")


def send_half_and_finish(client: TlsByHand) -> None:
    client.send_plainly(client.hello[: len(client.hello) // 2])
    client.finish_writing()


def send_half_and_reset(client: TlsByHand) -> None:
    client.send_plainly(client.hello[: len(client.hello) // 2])
    client.reset()


def stop_after_the_hello(client: TlsByHand) -> None:
    client.send_plainly(client.hello)


def say_much(client: TlsByHand) -> None:
    """A hello of 64 KiB."""
    client.send_plainly(padded(client.hello, 64 * 1024))


def announce_much(client: TlsByHand) -> None:
    """One that says it has 16 MiB."""
    client.send_plainly(b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(0x4000 - 4))


def send_garbage(client: TlsByHand) -> None:
    client.send_plainly(bytes(range(256)) * 10)


def send_text_in_the_middle(client: TlsByHand) -> None:
    client.send_plainly(client.hello + b"GET / HTTP/1.1\r\n\r\n")


BAD = [
    trickle, send_half_and_finish, send_half_and_reset, stop_after_the_hello, say_much,
    announce_much, send_garbage, send_text_in_the_middle,
]  # fmt: skip


@pytest.mark.parametrize("act", BAD, ids=lambda act: act.__name__)
def test_a_bad_handshake_ends_in_time_counts_once_and_disturbs_nobody(
    hasty: Secure, act: Callable[[TlsByHand], None]
) -> None:
    before = hasty.failures
    with hasty.client() as other, hasty.by_hand() as client:
        with contextlib.suppress(Reset):
            act(client)
        assert other.get(host="a.test") == b"ok"
        assert_serves(hasty)
        eventually(lambda: hasty.failures == before + 1, 4.0)
        eventually(lambda: hasty.connections == 1)
    assert "Traceback" not in hasty.edged.log


# Rolls


def test_a_roll_loses_no_handshake_that_has_begun(origin: ScriptedOrigin) -> None:
    limits = 'handshakes = 3\nhandshake = "30s"'
    with serving(origin, tls=limits) as served, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(served.by_hand()) for _ in range(8)]
        for client in slow:
            client.send_plainly(client.hello[:50])
        eventually(lambda: served.connections == 8)
        roll(served.edged)
        assert len(served.edged.workers()) > 2
        for client in slow:
            client.send_plainly(client.hello[50:])
        assert finish_together(slow) == [200] * 8
        eventually(lambda: len(served.edged.workers()) == 2)
        assert served.failures == 0


def test_a_request_behind_a_late_handshake_has_the_grace_of_an_idle_one(
    origin: ScriptedOrigin,
) -> None:
    with serving(origin, tls='handshake = "1m"') as served, contextlib.ExitStack() as stack:
        slow, late, never = (stack.enter_context(served.by_hand()) for _ in range(3))
        slow.send_plainly(slow.hello[:50])
        eventually(lambda: served.connections == 3)
        roll(served.edged)
        assert late.ending_plainly(3.0) == "open"
        slow.shake_hands(slow.hello[50:])
        assert finish_together([late], late.hello) == [200]
        assert never.ending_plainly(4.0) == "fin"  # five seconds after the drain has begun
        assert ask(slow) == 200  # less than five after its handshake
        eventually(lambda: len(served.edged.workers()) == 2)
        assert served.failures == 0


# PROXY headers

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.7 192.0.2.8 4000 443\r\n"
PLACES = bytes([192, 0, 2, 7, 10, 0, 0, 1]) + struct.pack("!HH", 1234, 443)


Behind = tuple[Secure, ScriptedOrigin]
"""An edged behind a proxy, and its origin."""


def v2(more: bytes = b"") -> bytes:
    payload = PLACES + more
    return SIGNATURE + struct.pack("!BBH", 0x21, 0x11, len(payload)) + payload


@contextlib.contextmanager
def behind_proxy(handshake: str) -> Iterator[Behind]:
    server = 'proxy_protocol = ["127.0.0.1/32"]'
    tls = f'handshake = "{handshake}"'
    with ScriptedOrigin() as origin, serving(origin, tls=tls, server=server) as served:
        yield served, origin


@pytest.fixture(scope="module")
def behind() -> Iterator[Behind]:
    with behind_proxy("30s") as it:
        yield it


@pytest.fixture(scope="module")
def hasty_behind() -> Iterator[Behind]:
    with behind_proxy("1s") as it:
        yield it


def ask_behind(served: Secure, origin: ScriptedOrigin, pieces: list[bytes]) -> None:
    """Each piece is taken before the next is sent: nothing stays that would wake a worker again."""
    with served.by_hand() as client:
        for piece in pieces:
            client.send_plainly(piece)
            eventually(client.is_taken)
        client.shake_hands()
        assert ask(client) == 200
    assert origin.requests[-1].get("X-Forwarded-For") == "192.0.2.7"


@pytest.mark.parametrize("header", [V1, v2()], ids=["v1", "v2"])
def test_a_proxy_header_may_come_in_two_pieces(behind: Behind, header: bytes) -> None:
    for cut in range(1, len(header)):
        ask_behind(*behind, [header[:cut], header[cut:]])


@pytest.mark.parametrize("header", [V1, v2(b"\x04\x00\x08" + bytes(8))], ids=["v1", "v2"])
def test_a_proxy_header_may_come_byte_by_byte(behind: Behind, header: bytes) -> None:
    ask_behind(*behind, [header[number : number + 1] for number in range(len(header))])


def test_a_long_proxy_header_may_come_with_the_hello(
    behind: Behind,
) -> None:
    served, origin = behind
    header = v2(b"\x04" + struct.pack("!H", 3000) + bytes(3000))
    for cut in (0, 1, 20, 1024, 1025, 2900, len(header)):
        with served.by_hand() as client:
            if cut:
                client.send_plainly(header[:cut])
                eventually(client.is_taken)
            client.shake_hands(header[cut:] + client.hello)
            assert ask(client) == 200
        assert origin.requests[-1].get("X-Forwarded-For") == "192.0.2.7"


@pytest.mark.parametrize(
    ("start", "counts"),
    [(b"PROXY TCP4 192", 1), (b"PROXY nonsense\r\n", 1), (b"GET / HTTP/1.1\r\n", 1), (V1, 0)],
    ids=["cut", "bad", "none", "whole"],
)
@pytest.mark.parametrize("ends", [True, False], ids=["ends", "waits"])
def test_a_proxy_header_without_a_hello_ends_in_time(
    hasty_behind: Behind, start: bytes, counts: int, *, ends: bool
) -> None:
    served, _ = hasty_behind
    before = served.failures
    with Client(served.https) as client:
        client.send(start)
        if ends:
            with contextlib.suppress(OSError):  # it may be closed already
                client.socket.shutdown(socket.SHUT_WR)
        assert client.ending() in ("fin", "reset")
    eventually(lambda: served.failures == before + counts)


def finish_together(clients: list[TlsByHand], hello: bytes = b"") -> list[int]:
    """Shake hands and ask, all at once; the statuses."""

    def finish(client: TlsByHand) -> int:
        client.shake_hands(hello)
        return ask(client)

    with ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(finish, clients))


def ask(client: TlsByHand) -> int:
    client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
    status = client.read_answer().status
    client.close()
    return status


def roll(edged: Edged) -> None:
    """New workers serve, the old ones drain."""
    assert edged.ctl("reload", "--roll")
