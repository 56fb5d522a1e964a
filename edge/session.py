"""One accepted downstream connection, for as long as it lives.

It borrows a greenlet while there is something to do and holds none while it is idle. It reads
heads, runs one exchange after the other in the order of the pipeline, and decides whether the
connection may go on.
"""

import logging
from typing import Final

from edge.body import RequestBody
from edge.connection import Connection, Expired, Gone, monotonic
from edge.engine import Engine
from edge.errors import EdgeError, Reason
from edge.exchange import Exchange
from edge.forward import Forward
from edge.http1.framing import decoder_for
from edge.http1.parse import drops_of, parse_request
from edge.message import Client, Request, Response
from edge.pages import page
from edge.phases import Abort, Reroute, Verdict
from edge.proxy_protocol import NeedMore, parse_proxy
from edge.relay import Downstream, body_filters
from edge.rewrite import client_of, is_within, without
from edge.shared import counters

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
        "_address",
        "_buffer",
        "_client",
        "_forward_fields",
        "_served",
        "_trusted",
        "_wants_proxy",
        "_woken",
        "body",
        "busy",
        "connection",
        "engine",
        "exchange",
        "gone",
        "is_upgraded",
        "upstream",
    )

    def __init__(self, engine: Engine, connection: Connection, address: str) -> None:
        self.engine = engine
        self.connection = connection
        self.upstream: Connection | None = None
        self.body: RequestBody | None = None
        self.busy = False  # a greenlet serves it
        self.gone = False
        self.is_upgraded = False
        self.exchange: Exchange | None = None  # the one under way
        self._buffer = b""
        self._served = 0
        self._woken = False  # the socket has something that was not read yet
        self._wants_proxy = bool(engine.proxy_protocol) and is_within(
            address, engine.proxy_protocol
        )
        self._apply_address(address)
        connection.on_readable = self._readable
        connection.on_expired = self._expired
        engine.sessions += 1
        engine.live.add(self)
        self._park(engine.timeouts.head_s)

    def __repr__(self) -> str:
        state = "closed" if self.connection.closed else "idle" if self.is_idle else "busy"
        return f"<Session {state} {self._address} served={self._served}>"

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

    # Reading heads, in the borrowed greenlet

    def serve(self) -> None:
        """Run until there is nothing to do. Never raises."""
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
            if buffer[:2] == b"\r\n":
                buffer = self._buffer = buffer[2:]  # RFC 9112 section 2.2: one is forgiven
            if buffer:
                try:
                    request = self._parse(buffer)
                except EdgeError as error:
                    self._refuse(error)
                    return None
                if request is not None:
                    self._buffer = self._buffer[request.end :]
                    return request
                deadline = deadline or monotonic() + engine.timeouts.head_s
                data = self._read_more(deadline)
            elif self._woken:
                self._woken = False
                data = self.connection.read_now()
                if data is None:
                    continue
            else:
                self._rest()
                return None
            if not data:
                self._finish()
                return None
            self._buffer += data

    def _rest(self) -> None:
        """Nothing more of the pipeline is here: park, or close when draining."""
        if self._served and self.engine.draining:
            self._finish()
        else:
            self._park(self.engine.timeouts.keep_alive_s)

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
        return parse_request(buffer, engine.limits, underscores=engine.underscores)

    def _take_proxy_header(self, buffer: bytes) -> bytes:
        try:
            address, self._buffer = parse_proxy(buffer)
        except NeedMore:
            return b""
        self._wants_proxy = False
        if address:
            self._apply_address(address)
        return self._buffer

    # One exchange

    def _exchange(self, request: Request) -> bool:
        """Answer one request; whether the connection can take another."""
        engine = self.engine
        connection = self.connection
        exchange = Exchange(
            engine.new_id(), request, self._client_of(request), monotonic(), engine.base
        )
        downstream = Downstream(connection, exchange, engine.timeouts.write_idle_s, engine.via)
        self.exchange = exchange
        self._served += 1
        engine.exchanges += 1
        if request.length:
            self._attach_body(exchange, downstream)
        try:
            self._run_phases(exchange, downstream)
        except EdgeError as error:
            self._fail(exchange, downstream, error)
        finally:
            engine.exchanges -= 1
            self._log(exchange)
        return self._settle(exchange, downstream)

    def _run_phases(self, exchange: Exchange, downstream: Downstream) -> None:
        for call in exchange.chain.early_request_filter:
            verdict = call(exchange)
            if verdict is not None and self._apply_verdict(exchange, downstream, verdict):
                return
        self._plan(exchange)
        position = 0
        while position < len(exchange.chain.request_filter):
            verdict = exchange.chain.request_filter[position](exchange)
            position += 1
            if verdict is not None and self._apply_verdict(exchange, downstream, verdict):
                return
        if self.body is not None:
            self._limit_body(exchange)
        Forward(self, exchange, downstream).run()

    def _plan(self, exchange: Exchange) -> None:
        """Go on with the chain of the exchange's route: the user's hooks are the same in all."""
        if exchange.route is not None:
            exchange.plan = plan = self.engine.plan_of(exchange.route)
            exchange.chain = plan.chain

    def _limit_body(self, exchange: Exchange) -> None:
        route = exchange.route
        limit = self.engine.limits.body_bytes
        if route is not None and route.body_bytes >= 0:
            limit = route.body_bytes
        if limit and self.body is not None:
            self.body.limit_bytes = limit
            if exchange.request.length > limit:
                raise EdgeError(Reason.BODY_TOO_LARGE, f"{exchange.request.length} bytes")

    def _apply_verdict(self, exchange: Exchange, downstream: Downstream, verdict: Verdict) -> bool:
        """Do what a hook said; whether the exchange is answered by it."""
        if isinstance(verdict, Response):
            self.answer(exchange, verdict, downstream, filtered=True)
            return True
        if isinstance(verdict, Reroute):
            exchange.route = self.engine.table.find(verdict.host, verdict.path)
            if exchange.route is None:
                raise EdgeError(Reason.NO_ROUTE, f"rerouted to {verdict.host}{verdict.path}")
            self._plan(exchange)
            return False
        if isinstance(verdict, Abort):
            raise EdgeError(Reason.HOOK_ABORT, verdict.detail)
        raise EdgeError(Reason.HOOK_ERROR, f"a hook returned {type(verdict).__name__}")

    def answer(
        self, exchange: Exchange, response: Response, downstream: Downstream, *, filtered: bool
    ) -> None:
        """Send an answer of the edge's own; `filtered` lets the response filters see it."""
        chain = exchange.chain
        exchange.response = response
        if filtered:
            for call in chain.response_filter:
                response = exchange.response = call(exchange) or response
        body = self.body
        if body is not None and 0 < exchange.request.length <= len(body.first):
            body.read()  # nobody asked for it, but it is all there
        downstream.keep = self.may_keep(exchange)
        downstream.answer(response, body_filters(chain, exchange) if filtered else ())

    def _fail(self, exchange: Exchange, downstream: Downstream, error: EdgeError) -> None:
        """Answer an error, or cut the connection where an answer has begun."""
        exchange.reason = error.reason.value
        self.engine.cells[counters.REASON_INDEX[error.reason]] += 1
        if error.detail and error.reason not in _QUIET:
            log.info("%s %s: %s", exchange.id, error.reason.value, error.detail)
        if self.gone or downstream.started or error.reason in _UNANSWERED:
            self._cut(exchange, downstream, error)
            return
        response = self._error_response(exchange, error)
        try:
            self.answer(exchange, response, downstream, filtered=False)
        except EdgeError as second:
            self._cut(exchange, downstream, second)

    def _error_response(self, exchange: Exchange, error: EdgeError) -> Response:
        try:
            for call in exchange.chain.fail_to_proxy:
                response = call(exchange, error)
                if response is not None:
                    return response  # type: ignore[no-any-return]
        except EdgeError as second:
            error = second
        return page(error, exchange.id)

    def _cut(self, exchange: Exchange, downstream: Downstream, error: EdgeError) -> None:
        """A cut answer must not look whole: reset. A client that is gone only loses its socket."""
        if not exchange.status:
            exchange.status = 499 if error.reason in _UNANSWERED else 0
        downstream.keep = False
        if downstream.started:
            self.connection.reset()
        else:
            self.connection.close()

    def _settle(self, exchange: Exchange, downstream: Downstream) -> bool:
        """After the answer: whether the rest of the request was read and another may follow."""
        body, self.body, self.exchange = self.body, None, None
        if self.connection.closed or self.is_upgraded:
            return False
        if body is not None:
            if not body.done:
                self._linger()
                return False
            self._buffer = body.rest
        return downstream.keep

    def _log(self, exchange: Exchange) -> None:
        engine = self.engine
        exchange.ended = now = monotonic()
        status = exchange.status
        cells = engine.cells
        cells[counters.STATUS_BASE + (status // 100 if status != 499 else 4)] += 1
        cells[counters.SENT_BYTES] += exchange.sent_bytes
        if exchange.received_bytes:
            cells[counters.RECEIVED_BYTES] += exchange.received_bytes
        counters.observe(cells, counters.EXCHANGE_BUCKETS, now - exchange.started)
        if exchange.first_byte:
            first = exchange.first_byte - exchange.sent_upstream
            counters.observe(cells, counters.FIRST_BYTE_BUCKETS, first)
        try:
            for call in exchange.chain.logging:
                call(exchange)
        except EdgeError:
            pass
        if engine.access_log.enabled:
            engine.access_log.write(exchange)

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

    # Who the client is

    def _apply_address(self, address: str) -> None:
        self._address = address
        self._client = Client(address)
        self._trusted = bool(self.engine.trusted) and is_within(address, self.engine.trusted)
        encoded = address.encode("ascii")
        self._forward_fields = b"\r\nX-Forwarded-For: " + encoded + b"\r\nX-Real-IP: " + encoded

    def _client_of(self, request: Request) -> Client:
        if not self._trusted:
            return self._client
        chain = request.forwarded.get(b"x-forwarded-for", b"")
        address = self._address
        if chain:
            address = client_of(address, chain, self.engine.trusted)
        return Client(address, trusted=True)

    def upstream_fields(self, exchange: Exchange) -> bytes:
        """The fields that go upstream: the client's, without hop-by-hop, with the edge's own."""
        request = exchange.request
        if request.fields_changed:
            block = request.headers.render()
            block = without(block, drops_of(block))
        else:
            block = without(request.block, request.drops)
        if not request.minor and b"\r\nhost:" not in block.lower():
            host = request.authority or (exchange.peer.address.encode() if exchange.peer else b"")
            block = b"\r\nHost: " + host + block
        id_ = exchange.id.encode("ascii")
        if self._trusted:
            return block + self._trusted_fields(exchange, id_) + self.engine.via
        return b"%b%b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\nX-Request-Id: %b%b" % (
            block, self._forward_fields, request.scheme.encode("ascii"), request.authority, id_,
            self.engine.via,
        )  # fmt: skip

    def _trusted_fields(self, exchange: Exchange, id_: bytes) -> bytes:
        """What a trusted proxy said is kept, and this hop added to it."""
        request = exchange.request
        said = dict(request.forwarded)
        said.pop(b"forwarded", None)
        before = said.pop(b"x-forwarded-for", b"")
        here = self._address.encode("ascii")
        said[b"x-forwarded-for"] = before + b", " + here if before else here
        said[b"x-real-ip"] = exchange.client.address.encode("ascii")
        said.setdefault(b"x-forwarded-proto", request.scheme.encode("ascii"))
        said.setdefault(b"x-forwarded-host", request.authority)
        said.setdefault(b"x-request-id", id_)
        return b"".join(b"\r\n" + name.title() + b": " + said[name] for name in said)

    # Waiting and ending

    def _park(self, idle_s: float) -> None:
        """Give the greenlet back and wait for the first byte of a request."""
        self.busy = False
        connection = self.connection
        connection.read_deadline = monotonic() + idle_s
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
        if not connection.has_ended():
            return  # a pipelined request: it waits its turn
        self.gone = True
        error = EdgeError(Reason.CLIENT_GONE, "closed before it was answered")
        connection.interrupt(Gone("closed"))
        if self.upstream is not None:
            self.upstream.interrupt(error)

    def _refuse(self, error: EdgeError) -> None:
        """Answer a head that cannot be a request, and close. Nothing went upstream."""
        engine = self.engine
        exchange = Exchange(engine.new_id(), Request(), self._client, monotonic(), engine.base)
        downstream = Downstream(self.connection, exchange, engine.timeouts.write_idle_s, engine.via)
        engine.exchanges += 1
        try:
            self._fail(exchange, downstream, error)
        finally:
            engine.exchanges -= 1
            self._log(exchange)
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

    def _finish(self) -> None:
        self.connection.close()
        self._leave()

    def _leave(self) -> None:
        if self in self.engine.live:
            self.engine.live.discard(self)
            self.engine.sessions -= 1


_QUIET: Final = frozenset({Reason.CLIENT_GONE, Reason.NO_ROUTE, Reason.BAD_REQUEST})
_UNANSWERED: Final = frozenset({Reason.CLIENT_GONE, Reason.CLIENT_STALLED, Reason.HOOK_ABORT})
