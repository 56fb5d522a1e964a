"""A client on a raw socket: sends exactly the bytes it is given, and reads answers strictly.

Answers are read by h11, which shares no code with edged: what h11 refuses, edged must not send.
How a connection ended is part of what is read, since an answer that was cut must not look whole.
"""

import itertools
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

import h11

from tests.support.ports import split_address

PATIENCE_S: Final = 10.0
_LINGER_NONE: Final = struct.pack("ii", 1, 0)


class Closed(Exception):
    """The other side closed properly where more was expected."""


class Reset(Exception):
    """The other side reset the connection."""


@dataclass
class Answer:
    """One whole answer, with the interim ones before it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    reason: str = ""
    version: str = "1.1"
    trailers: list[tuple[str, str]] = field(default_factory=list)
    interim: list[int] = field(default_factory=list)
    interim_headers: list[list[tuple[str, str]]] = field(default_factory=list)

    def get(self, name: str, default: str = "") -> str:
        """The values of a field, joined; names in any case."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(found) if found else default

    @property
    def closes(self) -> bool:
        """Whether it says that the connection ends with it."""
        options = [option.strip().lower() for option in self.get("connection").split(",")]
        return "close" in options or (self.version == "1.0" and "keep-alive" not in options)


class Client:
    """One connection to an edge."""

    def __init__(self, address: str, *, source: str = "", patience_s: float = PATIENCE_S) -> None:
        """`source` is a local address to connect from, for tests of who the client is."""
        if address.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(patience_s)
            self.socket.connect(address.removeprefix("unix:"))
        else:
            local = (source, 0) if source else None
            self.socket = socket.create_connection(
                split_address(address), timeout=patience_s, source_address=local
            )
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""  # received, not read by anybody yet

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def local_port(self) -> int:
        """The port that edged sees."""
        port: int = self.socket.getsockname()[1]
        return port

    # Sending

    def send(self, *pieces: bytes) -> None:
        """Send the pieces, each by a system call of its own. Raises `Reset`."""
        try:
            for piece in pieces:
                self.socket.sendall(piece)
        except (ConnectionResetError, BrokenPipeError):
            raise Reset from None

    def send_slowly(self, data: bytes) -> None:
        """Send byte by byte."""
        self.send(*cut_at(data, range(1, len(data))))

    def finish_writing(self) -> None:
        """Close the sending half only."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close properly."""
        self.socket.close()

    def reset(self) -> None:
        """Close with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self.socket.close()

    # Receiving

    def read_answer(self, method: str = "GET", *, until_status: int = 0) -> Answer:
        """The next answer to a request of that method, whole.

        Raises `Closed` or `Reset` for one that was cut, `h11.RemoteProtocolError` for a bad one and
        `TimeoutError` for none. `until_status` returns at that interim answer instead.
        """
        return _Reader(self, method).read(until_status)

    def read_some(self, limit: int = 65536) -> bytes:
        """What has come, at least a byte; b"" at the end. Raises `Reset`."""
        if self.buffer:
            data, self.buffer = self.buffer[:limit], self.buffer[limit:]
            return data
        return self._receive(limit)

    def read_exactly(self, count: int) -> bytes:
        """That many bytes. Raises `Closed`, `Reset`."""
        while len(self.buffer) < count:
            data = self._receive()
            if not data:
                raise Closed(self.buffer)
            self.buffer += data
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def read_until(self, mark: bytes) -> bytes:
        """Everything up to and with the mark. Raises `Closed`, `Reset`."""
        while mark not in self.buffer:
            data = self._receive()
            if not data:
                raise Closed(self.buffer)
            self.buffer += data
        head, _, self.buffer = self.buffer.partition(mark)
        return head + mark

    def read_to_end(self) -> bytes:
        """Everything until the other side closes. Raises `Reset`."""
        pieces = [self.buffer]
        self.buffer = b""
        while data := self._receive():
            pieces.append(data)
        return b"".join(pieces)

    def ending(self, within_s: float = 5.0) -> str:
        """How the connection ends: "fin", "reset", "bytes" (something else came) or "open"."""
        if self.buffer:
            return "bytes"
        before = self.socket.gettimeout()
        self.socket.settimeout(within_s)
        try:
            self.buffer = self._receive()
        except Reset:
            return "reset"
        except TimeoutError:
            return "open"
        finally:
            self.socket.settimeout(before)
        return "bytes" if self.buffer else "fin"

    # Private

    def _receive(self, limit: int = 65536) -> bytes:
        try:
            return self.socket.recv(limit)
        except ConnectionResetError:
            raise Reset from None


def cut_at(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The data in pieces, cut at these places."""
    places = [0, *cuts, len(data)]
    return [data[start:stop] for start, stop in itertools.pairwise(places)]


def fetch(
    address: str,
    target: str = "/",
    *,
    host: str = "",
    method: str = "GET",
    body: bytes = b"",
    fields: str = "",
) -> Answer:
    """One request on a connection of its own. `fields` are further lines, each with its CRLF."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: {host or address}\r\n{fields}{length}"
        "Connection: close\r\n\r\n"
    )
    with Client(address) as client:
        client.send(head.encode("latin-1") + body)
        return client.read_answer(method)


# Private


class _Reader:
    """Reads one answer off a client by an h11 connection of its own."""

    def __init__(self, client: Client, method: str) -> None:
        self._client = client
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        fields = [("Host", "x"), ("Connection", "Upgrade"), ("Upgrade", "any")]
        self._h11.send(h11.Request(method=method, target="/", headers=fields))
        self._h11.send(h11.EndOfMessage())

    def read(self, until_status: int) -> Answer:
        interim: list[int] = []
        interim_headers: list[list[tuple[str, str]]] = []
        answer: Answer | None = None
        body: list[bytes] = []
        while True:
            event = self._next()
            if isinstance(event, h11.InformationalResponse | h11.Response):
                answer = _answer_of(event)
                if isinstance(event, h11.InformationalResponse):
                    if event.status_code in (101, until_status):
                        break
                    interim.append(event.status_code)
                    interim_headers.append(answer.headers)
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                assert answer is not None
                answer.trailers = _decoded(event.headers)
                break
            else:
                raise Closed(f"{event!r} after {b''.join(body)[:200]!r}")
        assert answer is not None
        self._client.buffer = self._h11.trailing_data[0]
        answer.body = b"".join(body)
        answer.interim = interim
        answer.interim_headers = interim_headers
        return answer

    def _next(self) -> object:
        while True:
            event = self._h11.next_event()
            if event is not h11.NEED_DATA:
                return event
            data = self._client.read_some()
            if not data and self._is_cut():
                raise Closed("in the middle of an answer")
            self._h11.receive_data(data)

    def _is_cut(self) -> bool:
        """h11 reports an early end as a bad message; here the two are told apart."""
        reader = type(getattr(self._h11, "_reader", None)).__name__
        return reader != "Http10Reader"


def _answer_of(event: h11.Response | h11.InformationalResponse) -> Answer:
    return Answer(
        status=event.status_code,
        headers=_decoded(event.headers),
        body=b"",
        reason=event.reason.decode("latin-1"),
        version=event.http_version.decode("ascii"),
    )


def _decoded(headers: object) -> list[tuple[str, str]]:
    raw = headers.raw_items()  # type: ignore[attr-defined]
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]
