"""From an accepted socket to a session that speaks TLS.

A connection that has not begun holds no greenlet and no TLS state. Its handshake has a time limit
in all, and only so many are under way.
"""

import contextlib
import logging
from typing import Final

import gevent

from edge.connection import Expired, Gone, monotonic
from edge.engine import Engine
from edge.errors import EdgeError, Reason
from edge.message import TlsFacts
from edge.pages import page
from edge.proxy_protocol import NeedMore, parse_proxy
from edge.rewrite import is_within
from edge.session import Session
from edge.shared import counters
from edge.table.model import TlsSettings
from edge.tls.connection import HandshakeFailed, TlsConnection
from edge.tls.contexts import Contexts, canonical, is_on_demand
from edge.tls.hello import LARGEST, server_name

log = logging.getLogger("edge.handshake")

HELLO_BYTES: Final = 4096
PROXY_BYTES: Final = 1024

CERTIFICATE: Final = "certificate"
WISHES: Final = 8
"""Names that a worker waits for at once: strangers choose them."""

WISH_S: Final = 60.0
TABLE_S: Final = 2.0

_DEFAULT: Final = TlsSettings()


class Handshake:
    """One connection until it speaks TLS."""

    __slots__ = ("_address", "_connection", "_contexts", "_deadline", "_engine")

    def __init__(
        self, engine: Engine, contexts: Contexts, connection: TlsConnection, address: str
    ) -> None:
        self._engine = engine
        self._contexts = contexts
        self._connection = connection
        self._address = address
        settings = engine.table.settings.tls or _DEFAULT
        self._deadline = monotonic() + settings.handshake_s
        connection.on_readable = self._start
        connection.on_expired = self._give_up
        connection.read_deadline = self._deadline
        engine.handshakes += 1
        connection.watch()

    def __repr__(self) -> str:
        return f"<Handshake {self._address} {self._connection!r}>"

    # Private

    def _start(self) -> None:
        self._connection.on_readable = self._connection.pause
        self._engine.runners.run(self._run)

    def _run(self) -> None:
        """In a borrowed greenlet. Never raises."""
        engine, connection = self._engine, self._connection
        try:
            self._shake()
        except HandshakeFailed as failure:
            self._fail(failure)
            return
        except (Gone, Expired):
            engine.cells[counters.TLS_FAILURES] += 1
            self._give_up()
            return
        except Exception:  # a bug costs one connection
            log.exception("a handshake failed: %r", self)
            self._give_up()
            return
        engine.handshakes -= 1
        engine.cells[counters.TLS_HANDSHAKES] += 1
        facts = _facts_of(connection)
        engine.cells[counters.TLS_RESUMED] += facts.resumed
        session = Session(engine, connection, self._address, past_proxy=True)
        session.speak_tls(facts)

    def _shake(self) -> None:
        engine, connection = self._engine, self._connection
        if engine.proxy_protocol and is_within(self._address, engine.proxy_protocol):
            self._take_proxy_header()
        hello = connection.peek(HELLO_BYTES) if engine.table.has_challenges else b""
        tls = engine.table.settings.tls
        base = self._contexts.base_for(hello)
        if tls is not None and tls.on_demand and base is self._contexts.base:
            self._have_certificate(tls)  # but not for the CA, who comes for that very certificate
        connection.begin(base, server_side=True)
        connection.shake_hands(self._deadline)
        given = connection.certificate
        if given is not None and given.client_required and not connection.peer_certificate():
            raise HandshakeFailed("no certificate of the client")  # resumed from elsewhere

    def _have_certificate(self, tls: TlsSettings) -> None:
        """When the name has none, but may have one on demand: wait for that."""
        engine = self._engine
        name = canonical(self._asked_name())
        if not name or engine.table.certificate(name) or not is_on_demand(name, tls.on_demand):
            return
        if engine.wishes.count(CERTIFICATE) >= WISHES and not engine.wishes.is_under_way(
            CERTIFICATE, name
        ):
            log.debug("too many names wait for their certificates: %s is not asked for", name)
            return
        answer = engine.wishes.wait(CERTIFICATE, name, WISH_S)
        if not answer:
            log.debug("no certificate for %s: %s", name, answer.message)
        now = monotonic()
        while answer and not engine.table.certificate(name) and monotonic() < now + TABLE_S:
            gevent.sleep(0.005)  # control has published it
        self._deadline = monotonic() + tls.handshake_s  # it was the client who waited

    def _asked_name(self) -> str:
        connection = self._connection
        while True:
            data = connection.peek(LARGEST)
            name = server_name(data)
            if name is not None:
                return name
            connection.read_deadline = self._deadline
            connection.wait_for_more(len(data))
            if len(connection.peek(LARGEST)) == len(data):
                return ""  # it says no more: OpenSSL knows what that is

    def _take_proxy_header(self) -> None:
        """It comes before TLS (the PROXY protocol, section 2)."""
        connection = self._connection
        seen = 0
        while True:
            connection.read_deadline = self._deadline
            data = connection.peek(PROXY_BYTES)
            try:
                address, rest = parse_proxy(data)
            except NeedMore:
                if len(data) in (seen, PROXY_BYTES):
                    raise Gone("closed in a PROXY header") from None
                seen = len(data)
                connection.wait_readable()
                continue
            except EdgeError as error:
                raise HandshakeFailed(str(error)) from None
            connection.skip(len(data) - len(rest))
            self._address = address or self._address
            connection.read_deadline = self._deadline
            connection.wait_readable()
            return

    def _fail(self, failure: HandshakeFailed) -> None:
        self._engine.cells[counters.TLS_FAILURES] += 1
        log.debug("no TLS with %s: %s", self._address, failure)
        if failure.spoke_http:
            with contextlib.suppress(Gone):
                self._connection.answer_plainly(_PLAIN)
        self._give_up()

    def _give_up(self) -> None:
        self._engine.handshakes -= 1
        self._connection.close()


# Private


def _facts_of(connection: TlsConnection) -> TlsFacts:
    given = connection.certificate
    asks = given is not None and given.client_ca
    return TlsFacts(
        connection.server_name,
        connection.version,
        connection.cipher,
        resumed=connection.was_resumed,
        certificate=connection.peer_certificate() if asks else b"",
        served=given,
    )


def _plain() -> bytes:
    """For a client that speaks HTTP to a port that speaks TLS."""
    error = EdgeError(Reason.PLAIN_HTTP, message="This port speaks TLS: ask it with https://.")
    response = page(error, "-")
    body = response.body or b""
    head = b"HTTP/1.1 400 Bad Request%b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    return head % (response.block, len(body)) + body


_PLAIN: Final = _plain()
