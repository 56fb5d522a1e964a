"""How connections with TLS end: whoever has said that it sends nothing more still reads."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.client import PATIENCE_S, Client
from tests.support.edged import route
from tests.support.eventually import eventually
from tests.support.origin import OriginConnection, ScriptedOrigin
from tests.support.secure import Secure, body, serving
from tests.support.tls_client import TlsByHand

PIECE = b"x" * 40_000
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"

MUCH = 40_000_000
"""More than all buffers between a client and an origin that does not read."""

Served = tuple[Secure, ScriptedOrigin]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """An edged that takes small bodies only."""
    limits = '[limits]\nbody = "64KiB"'
    with ScriptedOrigin() as origin, serving(origin, tls=limits) as secure:
        yield secure, origin


# Refusals


def upload(pieces: int) -> bytes:
    length = pieces * len(PIECE)
    return b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: %d\r\n\r\n" % length


def test_an_upload_is_read_on_behind_its_refusal(served: Served) -> None:
    with served[0].by_hand() as client:
        client.shake_hands()
        client.send(upload(10))
        assert client.read_answer("POST").status == 413
        assert client.read_some() == b""  # a close_notify: it says no more
        client.send(*[PIECE] * 10)
        eventually(client.is_taken)
        client.say_goodbye()  # all of it within the two seconds that the edge lingers
        client.finish_writing()
        assert client.ending_plainly(5.0) == "fin"


def test_a_client_that_reads_after_its_upload_gets_the_refusal(served: Served) -> None:
    with served[0].by_hand() as client:
        client.shake_hands()
        client.send(upload(20) + PIECE * 20)  # much is there when it is refused
        assert client.read_answer("POST").status == 413
        assert client.read_some() == b""


def test_a_client_without_tls_gets_its_answer_and_no_reset(served: Served) -> None:
    for _ in range(20):
        with Client(served[0].https) as client:
            client.send(upload(1)[:-4] + b"\r\nX-Long: " + b"x" * 9000 + b"\r\n\r\n")
            answer = client.read_answer("POST")
            assert (answer.status, answer.get("X-Edge-Error")) == (400, "plain-http")
            assert client.ending() == "fin"
            client.send(b"a reset behind the end would be told here")


# Tunnels of which one side has ended


@pytest.fixture
def tunnel() -> Iterator[Callable[..., TlsByHand]]:
    """Opens tunnels to an origin with that handler."""
    with contextlib.ExitStack() as stack:

        def start(handler: Callable[[OriginConnection], None]) -> TlsByHand:
            origin = stack.enter_context(ScriptedOrigin(handler=handler))
            secure = stack.enter_context(serving(origin))
            client = stack.enter_context(secure.by_hand())
            client.shake_hands()
            client.send(UPGRADE)
            assert client.read_answer(until_status=101).status == 101
            return client

        yield start


def answer_at_the_end(connection: OriginConnection) -> None:
    """Say how much came, when the other side has ended; in several pieces."""
    connection.read_head()
    connection.send(SWITCHED)
    count = read_all(connection)
    connection.send(b"that were %d bytes" % count, b", ", b"y" * 300_000, b" and this is the end")


def read_all(connection: OriginConnection) -> int:
    count = 0
    while data := connection.read_some():
        count += len(data)
    return count


def test_a_client_that_has_ended_its_half_gets_the_rest(
    tunnel: Callable[..., TlsByHand],
) -> None:
    client = tunnel(answer_at_the_end)
    client.send(*[PIECE] * 5)
    client.say_goodbye()  # without the end of the connection beneath it
    rest = client.read_to_end()
    assert rest.startswith(b"that were 200000 bytes, yyy")
    assert rest.endswith(b"y and this is the end")


def test_a_client_whose_other_side_has_ended_is_heard_to_its_end(
    tunnel: Callable[..., TlsByHand],
) -> None:
    """What waits to be read while the edge passes the end on is not lost by that."""
    is_full = threading.Event()
    heard = []

    def end_first(connection: OriginConnection) -> None:
        connection.read_head()
        connection.send(SWITCHED)
        is_full.wait(PATIENCE_S)
        connection.send(b"no more from here")
        connection.close()
        heard.append(read_all(connection))

    client = tunnel(end_first)
    sealed = client.seal(bytes(MUCH))
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(client.send_plainly, sealed)
        eventually(lambda: not any(client.is_taken() for _ in range(30)))
        is_full.set()
        assert client.read_to_end() == b"no more from here"
        sending.result(PATIENCE_S)
    client.say_goodbye()
    assert eventually(lambda: heard) == [MUCH]
    client.finish_writing()
    assert client.ending_plainly(5.0) == "fin"


def test_half_an_end_passes_a_peer_with_tls() -> None:
    """The edge is its own peer: client, edge, edge over TLS, origin."""
    with (
        ScriptedOrigin(handler=answer_at_the_end) as origin,
        serving(origin, tls="redirect = false") as secure,
    ):
        near = route("near.test", secure.https, 'upstream_host = "a.test"')
        rules = '[route.upstream_tls]\nserver_name = "a.test"\nca = "tls/tests.pem"\n'
        secure.edged.write(body(origin.address) + near + rules)
        secure.edged.reload()
        with Client(secure.edged.address) as client:
            client.send(UPGRADE.replace(b"a.test", b"near.test"))
            assert client.read_answer(until_status=101).status == 101
            client.send(*[PIECE] * 5)
            client.finish_writing()
            rest = client.read_to_end()
    assert rest.startswith(b"that were 200000 bytes, yyy")
    assert rest.endswith(b"y and this is the end")
