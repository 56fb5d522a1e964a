"""Attempts: one exchange sent to one peer, again to another where that is safe.

Connect errors may always be retried, with another peer. After that only idempotent methods may,
as long as the client has got nothing and the body, if any, is still in memory.

A kept connection that turns out to be closed says nothing about its peer: that was no attempt, and
the next one makes a connection of its own.
"""

from typing import TYPE_CHECKING, Final

from edge.answer import answer
from edge.body import ResponseBody
from edge.connection import READ_BYTES, Connection, Expired, Gone, monotonic
from edge.errors import EdgeError, Reason, Retry
from edge.exchange import Exchange
from edge.headers import Headers
from edge.hedge import SAFE, Hedge
from edge.http1.framing import decoder_for
from edge.http1.parse import parse_response
from edge.message import CHUNKED, Peer, Response
from edge.relay import Downstream, body_filters
from edge.rewrite import (
    framing_fields,
    upstream_path,
    with_host,
)
from edge.shared import counters
from edge.shared.peers import Own
from edge.switch import switch
from edge.upload import Upload, filtered

if TYPE_CHECKING:
    from edge.session import Session

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
MAX_INTERIM: Final = 16

_ELSEWHERE: Final = frozenset({Reason.TIMEOUT, Reason.BAD_RESPONSE})
"""What another peer may do better, and the same one hardly: a retry goes to another or nowhere."""

_UNDER_WAY: Final = Own.UNDER_WAY
_EXCHANGES: Final = Own.EXCHANGES


class Forward:
    """All attempts of one exchange."""

    __slots__ = (
        "_blames",
        "_chain",
        "_downstream",
        "_engine",
        "_exchange",
        "_forced",
        "_session",
        "_stale",
        "_upload",
        "_whole",
    )

    def __init__(self, session: "Session", exchange: Exchange, downstream: Downstream) -> None:
        self._session = session
        self._engine = session.engine
        self._exchange = exchange
        self._chain = exchange.chain
        self._downstream = downstream
        self._upload: Upload | None = None
        self._whole: bytes | None = None  # the body as it went up, when it can go up again
        self._forced: Peer | None = None  # what `fail_to_connect` asked for
        self._blames = True  # the last failure counts against its peer
        self._stale = False  # a kept connection had been closed

    def run(self) -> None:
        """Answer the exchange through a peer. Raises `EdgeError` when no attempt is left."""
        exchange = self._exchange
        exchange.asked = monotonic()
        while True:
            try:
                self._attempt()
                return
            except EdgeError as error:
                if not self._may_retry(error):
                    raise
                if self._blames and exchange.peer is not None:
                    exchange.tried = (*exchange.tried, exchange.peer)
                exchange.first_byte = 0.0
                self._engine.cells[counters.RETRIES] += 1

    # One attempt

    def _attempt(self) -> None:
        exchange = self._exchange
        exchange.attempts += 1
        self._blames = True
        peer = exchange.peer = self._choose()
        state = peer.state
        if state is None:
            self._attempt_with(peer)
            return
        state.own[_UNDER_WAY] += 1
        state.own[_EXCHANGES] += 1
        try:
            self._attempt_with(peer)
        finally:
            state.own[_UNDER_WAY] -= 1
            if exchange.plan is not None:
                exchange.plan.free()

    def _attempt_with(self, peer: Peer) -> None:
        session, exchange = self._session, self._exchange
        upstream, reused = self._connect(peer)
        exchange.reused = reused
        session.upstream = upstream
        hedge: Hedge | None = None
        kept = False
        try:
            if session.gone:
                raise EdgeError(Reason.CLIENT_GONE, "closed before the request was sent")
            self._send(upstream)
            if exchange.route is not None and exchange.route.hedge_s and self._may_hedge():
                hedge = Hedge(self._engine, exchange)
                delay_s = exchange.route.hedge_s
                upstream = hedge.await_answer(upstream, delay_s, self._answer_s())
                session.upstream = upstream
            kept = self._receive(upstream)
        except EdgeError as error:
            self._tell_hooks(error, reused)
            raise
        finally:
            session.upstream = None
            if hedge is not None:
                hedge.end()
            if self._upload is not None and not self._upload.done:
                self._upload.stop()
            if kept:
                # A hedge may have found another peer.
                self._engine.pool.put((exchange.peer or peer).way, upstream)
            else:
                upstream.close()

    def _may_hedge(self) -> bool:
        request = self._exchange.request
        return request.method in SAFE and not request.length and not request.upgrade

    def _choose(self) -> Peer:
        exchange = self._exchange
        if self._forced is not None:
            peer, self._forced = self._forced, None
            return peer
        for call in self._chain.upstream_peer:
            chosen: Peer | None = call(exchange)
            if chosen is not None:
                return chosen
        raise EdgeError(Reason.NO_PEER, exchange.route.pattern if exchange.route else "")

    def _connect(self, peer: Peer) -> tuple[Connection, bool]:
        engine = self._engine
        exchange = self._exchange
        upstream = None if self._stale else engine.pool.take(peer.way)
        while upstream is not None and exchange.request.method not in IDEMPOTENT:
            if not upstream.is_stale():
                break
            upstream.close()
            upstream = engine.pool.take(peer.way)
        if upstream is not None:
            engine.cells[counters.UPSTREAM_REUSES] += 1
            exchange.connected = monotonic()
            return upstream, True
        try:
            upstream = engine.pool.connect(peer, engine.timeouts.connect_s)
        except EdgeError as error:
            engine.cells[counters.CONNECT_ERRORS] += 1
            for call in self._chain.fail_to_connect:
                self._forced = self._forced or call(exchange, error)
            raise
        engine.cells[counters.UPSTREAM_CONNECTS] += 1
        exchange.connected = monotonic()
        return upstream, False

    def _tell_hooks(self, error: EdgeError, reused: bool) -> None:
        """Decide about a retry, after what the hooks say."""
        exchange = self._exchange
        if error.reason in _ELSEWHERE and not self._downstream.started:
            error.retry = Retry.IF_IDEMPOTENT
        if error.retry is Retry.IF_IDEMPOTENT:
            replayable = self._upload is None
            if exchange.request.method not in IDEMPOTENT or not replayable:
                error.retry = Retry.NEVER
        for call in self._chain.error_while_proxy:
            if call(exchange, error) is False:
                error.retry = Retry.NEVER
        self._blames = not reused or error.reason in _ELSEWHERE
        self._stale = self._stale or not self._blames

    def _may_retry(self, error: EdgeError) -> bool:
        limits = self._engine.limits
        exchange = self._exchange
        return (
            error.retry is not Retry.NEVER
            and not self._downstream.started
            and not self._session.gone
            and exchange.attempts - self._stale < limits.attempts
            and monotonic() - exchange.asked < limits.attempts_s
            and (error.reason not in _ELSEWHERE or self._has_another())
        )

    def _has_another(self) -> bool:
        """Whether the route has a peer that this exchange was not sent to."""
        exchange = self._exchange
        sent_to = {exchange.peer, *exchange.tried}
        plan = exchange.plan
        return plan is not None and any(each.peer not in sent_to for each in plan.usable())

    # Sending the request

    def _send(self, upstream: Connection) -> None:
        exchange = self._exchange
        request = exchange.request
        filters = self._chain.request_body_filter
        self._upload = None
        if request.length and self._whole is None:
            self._whole = self._body_in_memory()
        body = self._whole or b""
        chunked = request.length == CHUNKED
        streams = bool(request.length) and self._whole is None
        head = self._head(chunked=streams and (chunked or bool(filters)))
        idle_s = self._engine.timeouts.write_idle_s
        if body:
            head += body
        exchange.sent_head = b"" if streams else head
        try:
            upstream.write(head, idle_s)
        except Gone:
            if not streams:
                pass  # the answer, or its lack, says why
        except Expired:
            raise EdgeError(Reason.TIMEOUT, f"peer took nothing for {idle_s:g} s") from None
        exchange.sent_upstream = monotonic()
        if streams:
            self._start_upload(upstream, chunked=chunked or bool(filters))

    def _body_in_memory(self) -> bytes | None:
        """The whole body after the filters, if a hook has read it or it is small enough to keep.

        Small bodies are read before they go up: the peer never waits for a slow client, and they
        can go to a second peer.
        """
        exchange = self._exchange
        request = exchange.request
        small = 0 < request.length <= self._engine.limits.replay_bytes and not request.expects
        if request.body is None and not small:
            return None
        body = request.read(self._engine.limits.replay_bytes)
        exchange.received_bytes = len(body)
        return filtered(self._chain.request_body_filter, exchange, body, True)

    def _start_upload(self, upstream: Connection, *, chunked: bool) -> None:
        source = self._session.body
        if source is None:
            raise EdgeError(Reason.INTERNAL, "a body that streams was read before")
        engine = self._engine
        self._upload = Upload(
            self._exchange,
            source,
            upstream,
            chunked=chunked,
            idle_s=engine.timeouts.write_idle_s,
            answer_s=self._answer_s(),
        )
        self._upload.start()

    def _head(self, *, chunked: bool) -> bytes:
        exchange = self._exchange
        request = exchange.request
        route = exchange.route
        target = request.target
        fields = self._session.forwarding.upstream_fields(exchange)
        if route is not None:
            if route.path is not None:
                target = upstream_path(route.path, target)
            if route.upstream_host:
                fields = with_host(fields, route.upstream_host)
        calls = self._chain.upstream_request_filter
        if calls:
            headers = exchange.upstream_headers = Headers(fields)
            for call in calls:
                call(exchange)
            fields = headers.render()
        if self._whole is not None:
            framing = b"\r\nContent-Length: %d" % len(self._whole)
            if request.upgrade:
                framing += b"\r\nUpgrade: " + request.upgrade + b"\r\nConnection: Upgrade"
        else:
            framing = framing_fields(request, chunked=chunked)
        line = f"{request.method} {target} HTTP/1.1".encode("ascii")
        return b"%b%b%b\r\n\r\n" % (line, fields, framing)

    # Receiving the answer

    def _receive(self, upstream: Connection) -> bool:
        """Relay the answer; whether the connection can serve another exchange."""
        exchange = self._exchange
        buffer = b""
        for _ in range(MAX_INTERIM):
            response, buffer = self._read_head(upstream, buffer)
            if response.status >= 200 or response.status == 101:
                break
            if response.status != 100 or exchange.request.expects:
                self._downstream.interim(response)
        else:
            raise EdgeError(Reason.BAD_RESPONSE, "too many interim answers")
        if response.status == 101:
            switch(self._session, self._downstream, upstream, response, buffer)
            return False
        return self._relay(upstream, response, buffer)

    def _relay(self, upstream: Connection, response: Response, buffer: bytes) -> bool:
        exchange = self._exchange
        engine = self._engine
        exchange.response = response
        for call in self._chain.upstream_response_filter:
            replaced = call(exchange)
            if replaced is not None:
                return self._replace(replaced)
        for call in self._chain.response_filter:
            replaced = call(exchange)
            if replaced is not None:
                return self._replace(replaced)
        downstream = self._downstream
        downstream.keep = self._session.may_keep(exchange)
        upload = self._upload
        if len(buffer) == response.length and not self._chain.response_body_filter:
            downstream.relay_whole(response, buffer)
            return response.keep and (upload is None or upload.done)
        decoder = decoder_for(response.length, Reason.BAD_RESPONSE)
        body = ResponseBody(upstream, decoder, buffer, engine.timeouts.stream_idle_s)
        downstream.relay(response, body, body_filters(self._chain, exchange))
        rest = decoder.rest or (buffer if not response.length else b"")
        return response.keep and not rest and (upload is None or upload.done)

    def _replace(self, response: Response) -> bool:
        """A hook answers instead of the peer, whose connection cannot be used again."""
        answer(self._session, self._exchange, self._downstream, response)
        return False

    def _read_head(self, upstream: Connection, buffer: bytes) -> tuple[Response, bytes]:
        exchange = self._exchange
        engine = self._engine
        timeout_s = self._answer_s()
        started = monotonic()
        upload = self._upload
        while True:
            if buffer:
                response = parse_response(buffer, exchange.request.method, engine.limits.head_bytes)
                if response is not None:
                    return response, buffer[response.end :]
            if upload is not None and upload.ended > started:
                started = upload.ended  # NEVER while it goes on
            upstream.read_deadline = started + timeout_s
            try:
                data = upstream.read(READ_BYTES)
            except Expired:
                raise EdgeError(Reason.TIMEOUT, f"no answer for {timeout_s:g} s") from None
            except Gone:
                data = b""
            if not data:
                raise self._closed_early(buffer)
            if not buffer and not exchange.first_byte:
                exchange.first_byte = monotonic()
            buffer += data

    def _answer_s(self) -> float:
        """How long the peer may take for its answer's first byte."""
        route = self._exchange.route
        if route is not None and route.first_byte_s:
            return route.first_byte_s
        return self._engine.timeouts.first_byte_s

    def _closed_early(self, buffer: bytes) -> EdgeError:
        upload = self._upload
        if upload is not None and upload.error is not None:
            return upload.error
        if buffer or self._exchange.first_byte:
            return EdgeError(Reason.BAD_RESPONSE, "closed in the middle of a head")
        return EdgeError(
            Reason.UPSTREAM_CLOSED, "closed before it answered", retry=Retry.IF_IDEMPOTENT
        )
