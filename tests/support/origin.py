"""An origin on raw sockets: records the exact bytes it gets and answers what a script says.

Where a request ends is decided by h11, which shares no code with edged. What h11 refuses is kept as
a broken request, so that a test which counts requests sees it.
"""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Self

import h11

from tests.support.connections import is_read_by_the_other
from tests.support.eventually import eventually

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PATIENCE_S: Final = 30.0
_LINGER_NONE: Final = struct.pack("ii", 1, 0)


class End(Enum):
    """A step that ends a connection."""

    CLOSE = auto()  # properly
    RESET = auto()
    HANG = auto()  # say nothing more until the other side is gone


Step = bytes | End | threading.Event
"""Bytes to send, a way to end, or an event to wait for."""

Reply = bytes | Iterable[Step]


@dataclass
class Received:
    """One request as the origin got it."""

    connection: int  # number of the connection it came on, from 1
    raw: bytes
    method: str = ""
    target: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    state: str = "head"  # "head" (its body is on the way), "whole", "cut" or "broken"

    def get(self, name: str, default: str = "") -> str:
        """The values of a field, joined; names in any case."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(found) if found else default


class OriginConnection:
    """One accepted connection, served by a thread of its own."""

    def __init__(self, origin: "ScriptedOrigin", accepted: socket.socket, number: int) -> None:
        self.origin = origin
        self.socket = accepted
        self.number = number
        self.raw = b""  # everything it ever sent
        self.requests: list[Received] = []
        self.ended = ""  # how the other side ended it: "fin" or "reset"
        self._start = 0  # where the request under way starts in `raw`
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)

    def __repr__(self) -> str:
        return f"<OriginConnection {self.number} {self.ended or 'open'} {len(self.requests)}>"

    def read_head(self) -> Received | None:
        """The next request as soon as its head is here; None at the end."""
        event = self._next()
        if isinstance(event, h11.Request):
            request = Received(
                self.number,
                b"",
                event.method.decode(),
                event.target.decode("latin-1"),
                _decoded(event.headers),
            )
        elif len(self.raw) > self._start:
            request = Received(self.number, self.raw[self._start :])
            request.state = "broken" if isinstance(event, h11.RemoteProtocolError) else "cut"
        else:
            return None
        self.requests.append(request)
        self.origin.requests.append(request)
        return request

    def read_rest(self, request: Received) -> bool:
        """The rest of that request; whether it came whole."""
        while request.state == "head":
            event = self._next()
            if isinstance(event, h11.Data):
                request.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                request.trailers = _decoded(event.headers)
                end = len(self.raw) - len(self._h11.trailing_data[0])
                request.raw = self.raw[self._start : end]
                self._start = end
                request.state = "whole"
            else:
                request.raw = self.raw[self._start :]
                broken = isinstance(event, h11.RemoteProtocolError) and not self.ended
                request.state = "broken" if broken else "cut"
        return request.state == "whole"

    def read_request(self) -> Received | None:
        """The next whole request; None when there is none."""
        request = self.read_head()
        return request if request is not None and self.read_rest(request) else None

    def read_some(self, limit: int = 65536) -> bytes:
        """Bytes past HTTP, as in a tunnel; b"" at the end."""
        rest = self._h11.trailing_data[0]
        if rest:
            self._h11 = h11.Connection(h11.SERVER)
            return rest
        return self._receive(limit)

    def send(self, *pieces: bytes) -> None:
        """Send the pieces, each by a system call of its own."""
        for piece in pieces:
            self.socket.sendall(piece)

    def perform(self, steps: Reply) -> bool:
        """Send an answer step by step; whether the connection goes on."""
        for step in (steps,) if isinstance(steps, bytes) else steps:
            if isinstance(step, bytes):
                self.send(step)
            elif isinstance(step, threading.Event):
                step.wait(PATIENCE_S)
            elif step is End.RESET:
                self.reset()
                return False
            else:
                if step is End.CLOSE:
                    self.close()
                while self._receive():
                    pass
                return False
        return True

    def next_cycle(self) -> None:
        """Be ready for one more request on this connection."""
        rest = self._h11.trailing_data[0]
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        if rest:
            self._h11.receive_data(rest)

    def close(self) -> None:
        """Close properly."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with a reset, once what was sent is read: a reset destroys what is not."""
        if self.socket.family == socket.AF_INET:
            eventually(lambda: is_read_by_the_other(self.socket))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self.socket.close()

    # Private

    def _next(self) -> object:
        while True:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                return error
            if event is not h11.NEED_DATA:
                return event
            data = self._receive()
            if not data:
                return h11.ConnectionClosed()
            self._h11.receive_data(data)

    def _receive(self, limit: int = 65536) -> bytes:
        try:
            data = self.socket.recv(limit)
        except OSError:
            self.ended = "reset"
            return b""
        self.ended = self.ended if data else "fin"
        self.raw += data
        return data


class ScriptedOrigin:
    """A listening origin. Set `reply` (bytes, steps, or a function of the request) at any time.

    A function is called when a request is whole; or, where `early` is set, when its head is. A
    `handler` of one's own gets the `OriginConnection` and does what it likes. With a `context` it
    speaks TLS.
    """

    def __init__(
        self,
        reply: Reply | Callable[[Received], Reply] = OK,
        *,
        handler: Callable[[OriginConnection], None] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        path: str = "",
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.reply = reply
        self.early = False
        self.requests: list[Received] = []
        self.connections: list[OriginConnection] = []
        self._handler = handler or self._answer_all
        self._context = context
        if path:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(path)
            self._listener.listen(64)
            self.address = f"unix:{path}"
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._listener = socket.create_server((host, port), family=family, backlog=256)
            port = self._listener.getsockname()[1]
            self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        # Threads are for tests only: this process never becomes a master.
        threading.Thread(target=self._accept, daemon=True).start()  # noqa: TID251

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def forget(self) -> None:
        """Drop the requests that came so far; connections stay open."""
        self.requests = []

    def close(self) -> None:
        """Close the listener and every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)

    # Private

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            if accepted.family != socket.AF_UNIX:
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = OriginConnection(self, accepted, len(self.connections) + 1)
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()  # noqa: TID251

    def _serve(self, connection: OriginConnection) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            if self._context is not None:
                connection.socket = self._context.wrap_socket(connection.socket, server_side=True)
            stack.enter_context(connection.socket)
            self._handler(connection)

    def _answer_all(self, connection: OriginConnection) -> None:
        while True:
            request = connection.read_head()
            if request is None or request.state != "head":
                return
            early = self.early
            if not early and not connection.read_rest(request):
                return
            reply = self.reply(request) if callable(self.reply) else self.reply
            if not connection.perform(reply):
                return
            if early and not connection.read_rest(request):
                return
            connection.next_cycle()


def _decoded(headers: object) -> list[tuple[str, str]]:
    raw = headers.raw_items()  # type: ignore[attr-defined]
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]
