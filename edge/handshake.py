"""From an accepted socket to a session that speaks TLS.

A connection whose client has sent nothing is like one that idles between requests: it holds no
greenlet and no TLS state, and counts as a connection only. While its hello comes, that stays so,
but a drain lets it go on. With a whole hello it takes its turn: only so many handshakes are under
way, but those whose clients are silent hold up nobody for long. From accepting on it has its time
in all, of which waiting for a turn takes nothing.
"""

import contextlib
import logging
from typing import Final

import gevent

from edge.connection import NEVER, Expired, Gone, monotonic
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
from edge.tls.hello import LARGEST, missing, server_name

log = logging.getLogger("edge.handshake")

PROXY_BYTES: Final = 1024

CERTIFICATE: Final = "certificate"
WISHES: Final = 8
"""Names that a worker waits for at once: strangers choose them."""

WISH_S: Final = 60.0
TABLE_S: Final = 2.0

_DEFAULT: Final = TlsSettings()


class Handshake:
    """One connection until it speaks TLS; among the engine's live ones in its session's place."""

    __slots__ = (
        "_address", "_begun", "_connection", "_contexts", "_deadline", "_engine", "_header",
        "_ready_s", "_wanted", "_wants_proxy",
    )  # fmt: skip

    def __init__(
        self, engine: Engine, contexts: Contexts, connection: TlsConnection, address: str
    ) -> None:
        self._engine = engine
        self._contexts = contexts
        self._connection = connection
        self._address = address
        self._begun = False
        self._wanted = 0  # the bytes of a hello that it waits for
        self._ready_s = 0.0  # when all of it was here
        self._header = b""  # of a PROXY header, as far as it has come
        proxies = engine.proxy_protocol
        self._wants_proxy = bool(proxies) and is_within(address, proxies)
        settings = engine.table.settings.tls or _DEFAULT
        self._deadline = monotonic() + settings.handshake_s
        connection.on_readable = self._hear
        connection.on_expired = self._expire
        connection.read_deadline = self._deadline
        engine.sessions += 1
        engine.live.add(self)
        connection.watch()

    def __repr__(self) -> str:
        state = "begun" if self._begun else "silent"
        return f"<Handshake {state} {self._address} {self._connection!r}>"

    @property
    def is_idle(self) -> bool:
        """Whether nothing of a hello has come yet."""
        return not self._begun

    @property
    def is_long_lived(self) -> bool:
        """Never: it is over within its time."""
        return False

    def check_hook(self, now: float, limit_s: float) -> None:
        """No hook runs before there is a request."""

    def close(self) -> None:
        """End it without a session."""
        self._connection.close()
        self._leave()

    # Private

    def _hear(self) -> None:
        """Bytes, or the end, before a hello; called from the loop."""
        try:
            if self._wants_proxy and not self._take_proxy_header():
                return
            found = self._connection.peek(LARGEST)
            if found and self._is_partial(found):
                return
        except HandshakeFailed as failure:
            self._fail(failure)
            return
        except Gone:
            self.close()
            return
        if found:
            self._take_turn()
        elif found is not None:
            self.close()  # it said nothing, as those who only look whether a port is open

    def _take_proxy_header(self) -> bool:
        """Whether all of it is here. It comes before TLS (the PROXY protocol, section 2).

        Each part of it is taken at once: what stays would wake the loop again without end.
        """
        connection = self._connection
        found = connection.peek(PROXY_BYTES)
        if found is None:
            return False
        if not found:
            if self._header:
                raise HandshakeFailed("closed in a PROXY header")
            raise Gone("closed")
        try:
            address, rest = parse_proxy(self._header + found)
        except NeedMore:
            connection.skip(len(found))
            self._header += found
            return False
        except EdgeError as error:
            raise HandshakeFailed(str(error)) from None
        connection.skip(len(found) - len(rest))
        self._address = address or self._address
        self._wants_proxy = False
        self._header = b""
        return True

    def _is_partial(self, hello: bytes) -> bool:
        """Whether more of it must come; then nothing is heard before that."""
        self._begun = True
        wanted = missing(hello)
        if wanted == self._wanted:
            wanted = 0  # it was waited for, and no more comes: OpenSSL knows what that is
        if wanted or self._wanted:
            self._connection.wake_at(wanted or 1)
        self._wanted = wanted
        return wanted > 0

    def _take_turn(self) -> None:
        connection = self._connection
        connection.pause()
        connection.on_readable = connection.pause
        connection.read_deadline = NEVER
        self._ready_s = monotonic()
        self._engine.handshakes.take(self._run)

    def _run(self) -> None:
        """In a borrowed greenlet, when its turn has come. Never raises."""
        engine = self._engine
        self._deadline += monotonic() - self._ready_s
        self._connection.read_deadline = self._deadline
        try:
            is_up = self._is_shaken()
        finally:
            engine.handshakes.end()
        if not is_up:
            return
        engine.cells[counters.TLS_HANDSHAKES] += 1
        facts = _facts_of(self._connection)
        engine.cells[counters.TLS_RESUMED] += facts.resumed
        self._leave()
        session = Session(engine, self._connection, self._address, past_proxy=True)
        session.speak_tls(facts)

    def _is_shaken(self) -> bool:
        """Shake hands; whether there is TLS now. What fails is counted and closed."""
        try:
            self._shake()
        except HandshakeFailed as failure:
            self._fail(failure)
        except (Gone, Expired) as error:
            self._fail(HandshakeFailed(str(error) or "it took too long"))
        except Exception:  # a bug costs one connection
            log.exception("a handshake failed: %r", self)
            self._fail(HandshakeFailed("a bug"))
        else:
            return True
        return False

    def _shake(self) -> None:
        engine, connection = self._engine, self._connection
        hello = connection.peek(LARGEST) if engine.table.has_challenges else b""
        tls = engine.table.settings.tls
        base = self._contexts.base_for(hello or b"")
        if tls is not None and tls.on_demand and base is self._contexts.base:
            self._have_certificate(tls)  # but not for the CA, who comes for that very certificate
        connection.begin(base, server_side=True)
        engine.handshakes.lend(self._run)  # what it does itself, it does without waiting
        try:
            connection.shake_hands(self._deadline)
        finally:
            engine.handshakes.take_back(self._run)
        given = connection.certificate
        if given is not None and given.client_required and not connection.peer_certificate():
            raise HandshakeFailed("no certificate of the client")  # resumed from elsewhere

    def _have_certificate(self, tls: TlsSettings) -> None:
        """When the name has none, but may have one on demand: wait for that."""
        engine = self._engine
        name = canonical(self._asked_name())
        if not name or engine.table.certificate(name) or not is_on_demand(name, tls.on_demand):
            return
        wishes = engine.wishes
        if wishes.count(CERTIFICATE) >= WISHES and not wishes.is_under_way(CERTIFICATE, name):
            log.debug("too many names wait for their certificates: %s is not asked for", name)
            return
        connection = self._connection
        connection.read_deadline = NEVER
        engine.handshakes.end()  # while it waits, others have its turn
        try:
            self._wait_for_certificate(name)
        finally:
            engine.handshakes.resume()
        if connection.closed:
            raise Gone("closed by the edge")
        # It was the client who waited.
        connection.read_deadline = self._deadline = monotonic() + tls.handshake_s

    def _wait_for_certificate(self, name: str) -> None:
        engine = self._engine
        answer = engine.wishes.wait(CERTIFICATE, name, WISH_S)
        if not answer:
            log.debug("no certificate for %s: %s", name, answer.message)
        now = monotonic()
        while answer and not engine.table.certificate(name) and monotonic() < now + TABLE_S:
            gevent.sleep(0.005)  # control has published it

    def _asked_name(self) -> str:
        connection = self._connection
        while True:
            data = connection.peek(LARGEST) or b""
            name = server_name(data)
            if name is not None:
                return name
            connection.read_deadline = self._deadline
            connection.wait_for_more(len(data))
            if len(connection.peek(LARGEST) or b"") == len(data):
                return ""  # it says no more: OpenSSL knows what that is

    def _expire(self) -> None:
        """Its time is over while nobody reads: silent, in a PROXY header, or in a hello."""
        if self._begun or self._header:
            self._fail(HandshakeFailed("it took too long"))
        else:
            self.close()

    def _fail(self, failure: HandshakeFailed) -> None:
        if self in self._engine.live:  # else it was closed, and failed for that
            self._engine.cells[counters.TLS_FAILURES] += 1
            log.debug("no TLS with %s: %s", self._address, failure)
        if failure.spoke_http:
            with contextlib.suppress(Gone):
                self._connection.answer_plainly(_PLAIN)
        self.close()

    def _leave(self) -> None:
        engine = self._engine
        if self in engine.live:
            engine.live.discard(self)
            engine.sessions -= 1
            engine.handshakes.forgo(self._run)


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
