"""For the authors of hooks: pass requests through your hooks without a server.

    from edge.testing import Rig
    from hooks import Private

    def test_private_paths_are_hidden() -> None:
        answer = Rig(Private()).get("http://example.com/private/x")
        assert answer.status == 404 and answer.upstream is None

It is the real lane (parser, phases, retries, framing) in this process, over socket pairs; only the
peers are yours: functions from the request that reached them to a `Response`.
"""

import _socket
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import gevent

from edge.access_log import AccessLog, line_of
from edge.body import RequestBody, ResponseBody
from edge.builtin.order import Platform
from edge.connection import Connection, Expired, Gone, monotonic
from edge.engine import Engine
from edge.errors import EdgeError, Reason, Retry
from edge.exchange import Exchange
from edge.headers import Headers
from edge.hooks import Chains, Hook
from edge.http1.framing import decoder_for
from edge.http1.parse import parse_request, parse_response
from edge.message import Peer, Request, Response
from edge.pages import PHRASES
from edge.peers import Peers
from edge.pool import Pool
from edge.session import Session
from edge.shared import counters
from edge.shared.segment import Segment
from edge.table.model import Route, encode
from edge.table.reader import Table

PeerAnswer = Callable[["Upstream"], Response]

PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A request as a peer got it."""

    peer: str
    method: str
    target: str
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the client got, and what happened on the way."""

    status: int
    """0 when the connection was closed without an answer."""
    headers: Headers
    body: bytes
    upstream: Upstream | None
    """The last request that reached a peer, if one did."""
    log: dict[str, Any]
    """The line of the access log."""


class Rig:
    """The lane with your hooks in it.

    `peers` maps addresses to functions; every route of `routes` should name such addresses. The
    default is one route for everything to one peer that answers 200 "ok". An address that is not
    in `peers` refuses connections.
    """

    def __init__(
        self,
        *hooks: Hook,
        peers: Mapping[str, PeerAnswer] | None = None,
        routes: Sequence[Route] = (),
        client: str = "192.0.2.1",
    ) -> None:
        self.peers = dict(peers or {"127.0.0.1:1": lambda request: Response(200, "ok")})
        self.client = client
        self.seen: list[Upstream] = []
        """Every request that reached a peer, in order."""
        self._lines: list[dict[str, Any]] = []
        table = Table()
        for route in routes or (Route(pattern="*", owner="rig", upstreams=tuple(self.peers)),):
            table.put(f"route:{route.pattern}", encode(route))
        cells = memoryview(bytearray(counters.ROW_CELLS * 8)).cast("Q")
        log = _Log(self._lines, cells)
        peers_ = Peers(Segment.create(1), 0)
        platform = Platform(table)
        self._engine = Engine(
            table, Chains(platform.hooks, hooks), log, cells, peers_, platform.follow
        )
        self._engine.pool = self._engine.fetcher.pool = _Dialler(self)

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET."""
        return self.request("GET", url, headers)

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """Send one request on a connection of its own and wait for the answer (5 s)."""
        parts = urlsplit(url)
        target = parts.path or "/"
        if parts.query:
            target += f"?{parts.query}"
        fields = {"Host": parts.netloc, **(headers or {})}
        if body or method in ("POST", "PUT", "PATCH"):
            fields["Content-Length"] = str(len(body))
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return self.send(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body)

    def send(self, data: bytes) -> Answer:
        """Send those very bytes as one request, for what no well-behaved client sends."""
        before = len(self.seen)
        with gevent.Timeout(PATIENCE_S):
            status, headers, body = self._talk(data)
            while not self._lines:
                gevent.sleep(0)
        upstream = self.seen[-1] if len(self.seen) > before else None
        return Answer(
            status=status, headers=headers, body=body, upstream=upstream, log=self._lines.pop()
        )

    # Private

    def _talk(self, data: bytes) -> tuple[int, Headers, bytes]:
        ours, theirs = _pair()
        client = Connection(ours, self._engine.connections)
        session = Session(self._engine, Connection(theirs, self._engine.connections), self.client)
        try:
            client.write(data, PATIENCE_S)
            buffer = b""
            while (response := parse_response(buffer, data.split(b" ")[0].decode(), 65536)) is None:
                received = client.read()
                if not received:
                    return 0, Headers(), b""
                buffer += received
            source = ResponseBody(
                client,
                decoder_for(response.length, Reason.BAD_RESPONSE),
                buffer[response.end :],
                PATIENCE_S,
            )
            body = b"".join(iter(source.read, b""))
            return response.status, response.headers, body
        except Gone:
            return 0, Headers(), b""
        finally:
            client.close()
            session.close()


class _Log(AccessLog):
    """Keeps the lines instead of writing them."""

    def __init__(self, lines: list[dict[str, Any]], cells: memoryview) -> None:
        super().__init__("", cells)
        self.enabled = True
        self._kept = lines

    def write(self, exchange: Exchange) -> None:
        self._kept.append(json.loads(line_of(exchange)))


class _Dialler(Pool):
    """Connects to the rig's peers over socket pairs."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig._engine.connections)
        self._rig = rig

    def connect(self, peer: Peer, timeout_s: float) -> Connection:
        address = peer.address
        answer = self._rig.peers.get(address)
        if answer is None:
            raise EdgeError(Reason.CONNECT_REFUSED, address, retry=Retry.ALWAYS)
        ours, theirs = _pair()
        served = Connection(theirs, self._rig._engine.connections)
        gevent.spawn(_serve_peer, self._rig, address, served, answer)
        return Connection(ours, self._rig._engine.connections)

    def put(self, way: str, connection: Connection) -> None:
        connection.close()


def _serve_peer(rig: Rig, address: str, connection: Connection, answer: PeerAnswer) -> None:
    try:
        request, rest = _read_request(rig, connection)
        body = RequestBody(
            connection, decoder_for(request.length, Reason.BAD_REQUEST), rest, PATIENCE_S, 0
        )
        seen = Upstream(
            peer=address,
            method=request.method,
            target=request.target,
            headers=request.headers,
            body=b"".join(iter(body.read, b"")),
        )
        rig.seen.append(seen)
        connection.write(_rendered(answer(seen), request.method), PATIENCE_S)
    except (Gone, Expired, EdgeError):
        return
    finally:
        connection.close()


def _read_request(rig: Rig, connection: Connection) -> tuple[Request, bytes]:
    buffer = b""
    connection.read_deadline = monotonic() + PATIENCE_S
    while (request := parse_request(buffer, rig._engine.limits, underscores=True)) is None:
        data = connection.read()
        if not data:
            raise Gone("closed")
        buffer += data
    return request, buffer[request.end :]


def _rendered(response: Response, method: str) -> bytes:
    body = response.body or b""
    head = b"HTTP/1.1 %d %b%b\r\nContent-Length: %d\r\n\r\n" % (
        response.status, PHRASES.get(response.status, b""), response.headers.render(), len(body)
    )  # fmt: skip
    return head if method == "HEAD" else head + body


def _pair() -> tuple[_socket.socket, _socket.socket]:
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    for sock in (ours, theirs):
        sock.setblocking(False)
    return ours, theirs
