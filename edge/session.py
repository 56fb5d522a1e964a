"""One accepted downstream connection, for as long as it lives.

It borrows a greenlet while there is something to do and holds none while it is idle. It reads
heads, runs one exchange after the other in the order of the pipeline, and decides whether the
connection may go on.
"""

import contextlib
import logging
from typing import Final

from gevent import getcurrent
from greenlet import greenlet

from edge.body import RequestBody
from edge.connection import NEVER, Connection, Expired, Gone, monotonic
from edge.engine import Engine
from edge.errors import EdgeError, Reason
from edge.exchange import Exchange
from edge.forwarding import Forwarding
from edge.hooks import HookOverran
from edge.http1.framing import decoder_for
from edge.http1.parse import parse_request
from edge.message import Request, TlsFacts
from edge.proxy_protocol import NeedMore, parse_proxy
from edge.relay import Downstream
from edge.rewrite import is_within
from edge.walk import refuse, walk

log = logging.getLogger("edge.session")

LINGER_S: Final = 2.0
LINGER_BYTES: Final = 1024 * 1024
"""After a refusal the rest of what the client sends is read over this long and this far, so that a
reset does not destroy the answer on its way (RFC 9112 section 9.6)."""

FAIR_TURNS: Final = 32
"""A pipeline answered without waiting lets others run after that many requests."""


class Session:
    """One client's connection."""

    __slots__ = (
        "_buffer",
        "_greenlet",
        "_served",
        "_via",
        "_wants_proxy",
        "_woken",
        "body",
        "busy",
        "connection",
        "engine",
        "exchange",
        "forwarding",
        "gone",
        "is_upgraded",
        "tls",
        "upstream",
    )

    def __init__(
        self, engine: Engine, connection: Connection, address: str, *, past_proxy: bool = False
    ) -> None:
        """`past_proxy`: its PROXY header, if it must have one, was read already."""
        self.engine = engine
        self.connection = connection
        self.upstream: Connection | None = None
        self.body: RequestBody | None = None
        self.busy = False  # a greenlet serves it
        self.gone = False
        self.is_upgraded = False
        self.exchange: Exchange | None = None  # the one under way
        self._buffer = b""
        self._greenlet: greenlet | None = None
        self._served = 0
        self._woken = False  # the socket has something that was not read yet
        self._wants_proxy = (
            not past_proxy
            and bool(engine.proxy_protocol)
            and is_within(address, engine.proxy_protocol)
        )
        self.forwarding = Forwarding(address, engine.trusted, engine.via)
        self.tls: TlsFacts | None = None  # of a connection that speaks TLS
        self._via = engine.via
        connection.on_readable = self._readable
        connection.on_expired = self._expired
        engine.sessions += 1
        engine.live.add(self)
        self._park(monotonic() + engine.timeouts.head_s)

    def __repr__(self) -> str:
        state = "closed" if self.connection.closed else "idle" if self.is_idle else "busy"
        return f"<Session {state} {self.forwarding.address} served={self._served}>"

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request of which nothing has come yet."""
        return not self.busy and not self._buffer

    @property
    def is_long_lived(self) -> bool:
        """Whether it carries a tunnel or an event stream, which a drain leaves more time."""
        if self.is_upgraded:
            return True
        response = self.exchange.response if self.exchange is not None else None
        return response is not None and "event-stream" in response.headers.get("content-type")

    def close(self) -> None:
        """End it; an exchange under way fails with `client-gone`."""
        self.gone = True
        self.connection.close()
        if self.upstream is not None:
            self.upstream.interrupt(EdgeError(Reason.DRAINED, "closed by the edge"))
        self._leave()

    def check_hook(self, now: float, limit_s: float) -> None:
        """Called by the sweeper: end the wait of a hook that overran its time."""
        exchange = self.exchange
        if exchange is None:
            return
        if not exchange.hook:
            exchange.hook_since = 0.0  # seen only while it waits: the sweeper runs in the loop
        elif not exchange.hook_since:
            exchange.hook_since = now
        elif now - exchange.hook_since > limit_s and self._greenlet is not None:
            log.error("%s: hook %s overran its %g s", exchange.id, exchange.hook, limit_s)
            self._greenlet.throw(HookOverran(exchange.hook, limit_s))

    def speak_tls(self, facts: TlsFacts) -> None:
        """The connection is one with TLS, and the client may have sent a request already."""
        self.tls = self.forwarding.client.tls = facts
        self._via = self.engine.via + self.engine.hsts
        self.busy = self._woken = True
        self.serve()

    # Reading heads, in the borrowed greenlet

    def serve(self) -> None:
        """Run until there is nothing to do. Never raises."""
        self._greenlet = getcurrent()
        try:
            self._serve()
        except (Gone, Expired):
            self._finish()
        except Exception:  # the session's last line: a bug costs one connection
            log.exception("session failed: %r", self)
            self._finish()

    def _serve(self) -> None:
        turns = 0
        while True:
            request = self._next_request()
            if request is None:
                return
            if not self._exchange(request):
                self._finish()
                return
            turns += 1
            if turns % FAIR_TURNS == 0:
                self.engine.yield_loop()

    def _next_request(self) -> Request | None:
        """The next request of the pipeline; None when the session is parked or closed."""
        engine = self.engine
        deadline = 0.0
        data: bytes | None
        while True:
            buffer = self._buffer
            if buffer[:2] == b"\r\n" and not self._wants_proxy:
                self._buffer = buffer[2:]  # RFC 9112 section 2.2: empty lines are forgiven
                continue
            if buffer:
                try:
                    request = self._parse(buffer)
                except EdgeError as error:
                    self._refuse(error)
                    return None
                if request is not None:
                    self._buffer = self._buffer[request.end :]
                    return request
                data = None
            elif self._woken or self.connection.has_more:
                self._woken = False
                data = self.connection.read_now()
                if data is None and not self.connection.has_part():
                    continue
            else:
                self._rest()
                return None
            if data is None:  # a head has begun, or a record
                deadline = deadline or monotonic() + engine.timeouts.head_s
                data = self._read_more(deadline)
            if not data:
                self._finish()
                return None
            self._buffer += data

    def _rest(self) -> None:
        """Nothing more of the pipeline is here: park, or close when draining."""
        if self._served and self.engine.draining:
            self._finish()
        else:
            # What wakes with TLS need not be of a request, and gives it no more time.
            later = monotonic() + self.engine.timeouts.keep_alive_s
            self._park(min(self.connection.read_deadline, later))

    def _read_more(self, deadline: float) -> bytes:
        """More of a head that has begun; 408 when it takes too long."""
        connection = self.connection
        connection.read_deadline = deadline
        try:
            return connection.read()
        except Expired:
            limit_s = self.engine.timeouts.head_s
            self._refuse(EdgeError(Reason.HEAD_TIMEOUT, f"no whole head for {limit_s:g} s"))
            return b""

    def _parse(self, buffer: bytes) -> Request | None:
        engine = self.engine
        if self._wants_proxy:
            buffer = self._take_proxy_header(buffer)
            if not buffer:
                return None
        request = parse_request(buffer, engine.limits, underscores=engine.underscores)
        if self.tls is not None and request is not None:
            request.scheme = "https"
        return request

    def _take_proxy_header(self, buffer: bytes) -> bytes:
        try:
            address, self._buffer = parse_proxy(buffer)
        except NeedMore:
            return b""
        self._wants_proxy = False
        if address:
            self.forwarding = Forwarding(address, self.engine.trusted, self.engine.via)
        return self._buffer

    # One exchange

    def _exchange(self, request: Request) -> bool:
        """Answer one request; whether the connection can take another."""
        engine = self.engine
        forwarding = self.forwarding
        self.exchange = exchange = Exchange(
            forwarding.id_of(request) or engine.new_id(),
            request,
            forwarding.client_of(request),
            monotonic(),
            engine.base,
        )
        exchange.fetcher = engine.fetcher
        downstream = Downstream(self.connection, exchange, engine.timeouts.write_idle_s, self._via)
        self._served += 1
        if request.length:
            self._attach_body(exchange, downstream)
        walk(self, exchange, downstream)
        return self._settle(exchange, downstream)

    def _settle(self, exchange: Exchange, downstream: Downstream) -> bool:
        """After the answer: whether the rest of the request was read and another may follow."""
        body, self.body, self.exchange = self.body, None, None
        self.connection.read_deadline = NEVER
        if self.connection.closed or self.is_upgraded:
            return False
        if body is not None:
            if not body.done:
                self._linger()
                return False
            self._buffer = body.rest
        if not downstream.keep:
            self._push()
        if not downstream.keep and (self._buffer or self._woken):
            self._linger()  # closing on what was not read resets, and the answer may be lost
        return downstream.keep

    # The request's body

    def _attach_body(self, exchange: Exchange, downstream: Downstream) -> None:
        request = exchange.request
        engine = self.engine
        self.body = body = RequestBody(
            self.connection,
            decoder_for(request.length, Reason.BAD_REQUEST),
            self._buffer,
            engine.timeouts.body_idle_s,
            engine.timeouts.body_rate,
        )
        self._buffer = b""

        def read(limit_bytes: int) -> bytes:
            if request.length > limit_bytes:
                raise EdgeError(Reason.BODY_TOO_LARGE, f"{request.length} bytes")
            if request.expects:
                body.on_wait = lambda: downstream.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            pieces: list[bytes] = []
            total = 0
            while piece := body.read():
                total += len(piece)
                if total > limit_bytes:
                    raise EdgeError(Reason.BODY_TOO_LARGE, f"over {limit_bytes} bytes")
                pieces.append(piece)
            request.expects = False
            request.body = b"".join(pieces)
            return request.body

        request._reader = read

    def take_rest(self) -> bytes:
        """What the client sent behind the request: the first bytes of an upgraded connection."""
        rest = self.body.rest if self.body is not None else self._buffer
        self._buffer = b""
        return rest

    def may_keep(self, exchange: Exchange) -> bool:
        """Whether the head that is sent now may promise another exchange."""
        if not exchange.request.keep or self.engine.draining or self.gone:
            return False
        return self.body is None or self.body.done

    # Waiting and ending

    def _park(self, deadline: float) -> None:
        """Give the greenlet back and wait for the first byte of a request."""
        self.busy = False
        connection = self.connection
        connection.read_deadline = deadline
        connection.watch()

    def _readable(self) -> None:
        """Bytes, or the end, while nobody waits for them; called from the loop."""
        if self.busy:
            self._early_bytes()
        else:
            self.busy = self._woken = True
            self.engine.runners.run(self.serve)

    def _expired(self) -> None:
        if not self.busy:
            self._finish()

    def _early_bytes(self) -> None:
        """The client sent or closed while its request is under way."""
        connection = self.connection
        connection.pause()
        if self.is_upgraded:
            return  # the tunnel reads when the other side takes
        if not connection.has_ended():
            self._woken = True  # a pipelined request: it waits its turn
            return
        self.gone = True
        error = EdgeError(Reason.CLIENT_GONE, "closed before it was answered")
        connection.interrupt(Gone("closed"))
        if self.upstream is not None:
            self.upstream.interrupt(error)

    def _refuse(self, error: EdgeError) -> None:
        """Answer a head that cannot be a request, and close. Nothing went upstream."""
        engine = self.engine
        client = self.forwarding.client
        exchange = Exchange(engine.new_id(), Request(), client, monotonic(), engine.base)
        downstream = Downstream(self.connection, exchange, engine.timeouts.write_idle_s, self._via)
        refuse(self, exchange, downstream, error)
        self._push()
        if not self.connection.closed:
            self._linger()
        self._finish()

    def _linger(self) -> None:
        """Close the writing side and read over what still comes, for a bounded while."""
        connection = self.connection
        connection.interrupt(Gone("answered"))
        connection.finish_writing()
        deadline = monotonic() + LINGER_S
        left = LINGER_BYTES
        try:
            while left > 0 and monotonic() < deadline:
                connection.read_deadline = deadline
                data = connection.read()
                if not data:
                    break
                left -= len(data)
        except (Gone, Expired):
            pass

    def _push(self) -> None:
        """What was answered is on its way before the connection ends."""
        with contextlib.suppress(Gone, Expired):
            self.connection.push(self.engine.timeouts.write_idle_s)

    def _finish(self) -> None:
        self.connection.close()
        self._leave()

    def _leave(self) -> None:
        if self in self.engine.live:
            self.engine.live.discard(self)
            self.engine.sessions -= 1
