"""Answers on their way down: heads, bodies, filters, framing for the client's version."""

import os
import re
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Final

from edge.body import ResponseBody
from edge.connection import Connection, Expired, Gone
from edge.errors import EdgeError, Reason
from edge.exchange import Exchange
from edge.hooks import Chain
from edge.http1.framing import chunk, last_chunk
from edge.message import FileBody, Response
from edge.pages import PHRASES
from edge.rewrite import response_block

PACED_BYTES: Final = 16384
"""What is sent at once of an answer that has a pace."""

Filter = Callable[[Exchange, bytes, bool], bytes | None]

_wall: Callable[[], float] = time.time  # noqa: TID251  the Date field tells the time

_LENGTH: Final = re.compile(rb"\r\n(?i:content-length):[^\r]*")
_BODILESS: Final = (204, 304)

SMALL_FILE_BYTES: Final = 65536
"""A file up to this size is read, and sent with the head in one call."""


class Downstream:
    """The answering side of one exchange: what was sent, and whether the connection can go on."""

    __slots__ = ("_connection", "_exchange", "_idle_s", "chunked", "keep", "started", "via")

    def __init__(
        self, connection: Connection, exchange: Exchange, idle_s: float, via: bytes
    ) -> None:
        self._connection = connection
        self._exchange = exchange
        self._idle_s = idle_s
        self.keep = False
        self.started = False  # a final head was sent: the status can no longer change
        self.chunked = False
        self.via = via

    def interim(self, response: Response) -> None:
        """Pass on a 1xx. HTTP/1.0 clients do not know them (RFC 9110 section 15.2)."""
        if self._exchange.request.minor:
            self.write(_status_line(response) + response_block(response) + b"\r\n\r\n")

    def write(self, data: bytes) -> None:
        """Send; raises `EdgeError` (`client-gone`, `client-stalled`)."""
        try:
            self._connection.write(data, self._idle_s)
        except Gone:
            raise EdgeError(Reason.CLIENT_GONE, "reset while it was answered") from None
        except Expired:
            raise EdgeError(Reason.CLIENT_STALLED, f"took nothing for {self._idle_s:g} s") from None

    def pour(self, data: bytes) -> None:
        """Send what has a body in it: as `write`, and no faster than the exchange's pace."""
        pace = self._exchange.pace
        if pace is None:
            self.write(data)
            return
        for start in range(0, len(data), PACED_BYTES):
            piece = data[start : start + PACED_BYTES]
            pace(len(piece))
            self.write(piece)

    def answer(self, response: Response, filters: tuple[Filter, ...] = ()) -> None:
        """Send an answer whose body is in memory or in a file."""
        if response.file is not None and not filters:
            self._answer_file(response, response.file)
            return
        body = _bytes_of(response)
        request = self._exchange.request
        for each in filters:
            body = _filtered(each, self._exchange, body, True)
        bodiless = request.method == "HEAD" or response.status in _BODILESS
        block = response_block(response)
        if b"content-length" in block.lower():
            block = _LENGTH.sub(b"", block)
        if response.status not in _BODILESS:
            block += b"\r\nContent-Length: %d" % len(body)
        head = self.head(response, block + _date())
        self.started = True
        self.pour(head if bodiless else head + body)
        if not bodiless:
            self._exchange.sent_bytes += len(body)

    def relay_whole(self, response: Response, body: bytes) -> None:
        """Send a peer's answer whose body has come with its head, and that no filter wants."""
        head = self.head(response, response_block(response))
        self.started = True
        self._exchange.sent_bytes += len(body)
        self.pour(head + body)

    def relay(self, response: Response, body: ResponseBody, filters: tuple[Filter, ...]) -> None:
        """Send a peer's answer, piece by piece as it comes. Flushes each piece at once."""
        block = response_block(response)
        bodiless = self._exchange.request.method == "HEAD" or response.status in _BODILESS
        if filters:
            block = _LENGTH.sub(b"", block)
        if not bodiless and (filters or response.length < 0):
            block += self._open_end()
        head = self.head(response, block)
        if filters and not bodiless:
            self._relay_filtered(head, body, filters)
        else:
            self._relay_plain(head, body)

    def head(self, response: Response, block: bytes) -> bytes:
        """The bytes of a final head."""
        exchange = self._exchange
        exchange.status = response.status
        if not self.keep:
            block += b"\r\nConnection: close"
        elif not exchange.request.minor:
            block += b"\r\nConnection: keep-alive"
        return _status_line(response) + block + self.via + b"\r\n\r\n"

    # Private

    def _answer_file(self, response: Response, body: FileBody) -> None:
        exchange = self._exchange
        block = response_block(response) + b"\r\nContent-Length: %d" % body.length
        head = self.head(response, block + _date())
        self.started = True
        if exchange.request.method == "HEAD":
            self.write(head)
            return
        if body.length <= SMALL_FILE_BYTES:
            data = _bytes_of(response)
            self.pour(head + data)
            exchange.sent_bytes += len(data)
            return
        for before, offset, count in body.pieces:
            self.write(head + before)
            head = b""
            exchange.sent_bytes += len(before)
            sent = self._send_part(body.file.fileno(), offset, count)
            exchange.sent_bytes += sent
            if sent != count:
                raise EdgeError(Reason.RESPONSE_CUT, "the file became shorter while it was sent")

    def _send_part(self, fd: int, offset: int, count: int) -> int:
        pace = self._exchange.pace
        if pace is None:
            return self._send_piece(fd, offset, count)
        done = 0
        while done < count:
            piece = min(PACED_BYTES, count - done)
            pace(piece)
            sent = self._send_piece(fd, offset + done, piece)
            done += sent
            if sent != piece:
                break
        return done

    def _send_piece(self, fd: int, offset: int, count: int) -> int:
        try:
            return self._connection.send_file(fd, offset, count, self._idle_s)
        except Gone:
            raise EdgeError(Reason.CLIENT_GONE, "reset while it was answered") from None
        except Expired:
            raise EdgeError(Reason.CLIENT_STALLED, f"took nothing for {self._idle_s:g} s") from None

    def _open_end(self) -> bytes:
        """Framing for a body of unknown length: chunks, or the close for HTTP/1.0."""
        if self._exchange.request.minor:
            self.chunked = True
            return b"\r\nTransfer-Encoding: chunked"
        self.keep = False
        return b""

    def _relay_plain(self, head: bytes, body: ResponseBody) -> None:
        exchange = self._exchange
        write = self.write if exchange.pace is None else self.pour
        if body.decoder.done or not body.first:
            self.started = True
            write(head)
            if body.decoder.done:
                return
            head = b""
        while data := body.read():
            exchange.sent_bytes += len(data)
            if self.chunked:
                data = chunk(data)
                if body.decoder.done:
                    data += last_chunk(body.decoder.trailers)
            if head:
                self.started = True
                data, head = head + data, b""
            write(data)
            if body.decoder.done:
                return
        tail = last_chunk(body.decoder.trailers) if self.chunked else b""
        if head or tail:
            self.started = True
            write(head + tail)

    def _relay_filtered(self, head: bytes, body: ResponseBody, filters: tuple[Filter, ...]) -> None:
        exchange = self._exchange
        pending = head
        ended = False
        while not ended:
            data = body.read()
            ended = not data or body.decoder.done
            for each in filters:
                data = _filtered(each, exchange, data, ended)
            exchange.sent_bytes += len(data)
            pending += chunk(data) if self.chunked else data
            if ended and self.chunked:
                pending += last_chunk(body.decoder.trailers)
            if pending:
                self.started = True
                self.pour(pending)
            pending = b""


def body_filters(chain: Chain, exchange: Exchange) -> tuple[Filter, ...]:
    """The body filters of the hooks that want this answer."""
    listening = chain.response_body_filter
    if not listening:
        return ()
    return tuple(call for hook, call in listening if not exchange.passes_body(hook))


def _filtered(each: Filter, exchange: Exchange, data: bytes, end: bool) -> bytes:
    changed = each(exchange, data, end)
    if changed is None:
        return data
    if not isinstance(changed, bytes):
        raise EdgeError(Reason.HOOK_ERROR, f"a body filter returned {type(changed).__name__}")
    return changed


def _bytes_of(response: Response) -> bytes:
    """The whole body. A file that became shorter is an error, not a shorter body."""
    if response.file is None:
        return response.body or b""
    fd = response.file.file.fileno()
    pieces = []
    for before, offset, count in response.file.pieces:
        data = os.pread(fd, count, offset) if count else b""
        if len(data) != count:
            raise EdgeError(Reason.RESPONSE_CUT, "the file became shorter while it was sent")
        pieces += [before, data]
    return b"".join(pieces)


_dates: list[tuple[int, bytes]] = [(0, b"")]


def _date() -> bytes:
    """The Date field (RFC 9110 section 6.6.1), made once a second."""
    now = int(_wall())
    if _dates[0][0] != now:
        _dates[0] = (now, b"\r\nDate: " + formatdate(now, usegmt=True).encode("ascii"))
    return _dates[0][1]


def _status_line(response: Response) -> bytes:
    status = response.status
    line = _LINES.get(status) if not response.reason else None
    if line is not None:
        return line
    phrase = response.reason.encode("latin-1") or PHRASES.get(status, b"")
    return b"HTTP/1.1 %d %b" % (status, phrase)


_LINES: Final = {status: b"HTTP/1.1 %d %b" % (status, text) for status, text in PHRASES.items()}
