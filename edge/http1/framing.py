"""Bodies as bytes in, pieces out: sized, chunked and until-close (RFC 9112 sections 6 and 7).

A decoder is fed what was read and returns the payload in it. It is `done` at the end of its body
and then holds what came behind it in `rest`: the next request of a pipeline, never part of this.
"""

import re
from typing import Final, Protocol

from edge.errors import EdgeError, Reason
from edge.message import CHUNKED, UNTIL_CLOSE

MAX_CHUNK_LINE: Final = 256
"""Bytes of a chunk's size line with its extensions, which are read over and never passed on."""

MAX_TRAILER_BYTES: Final = 8192

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[\t ]*;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER = re.compile(
    rb"(?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t\x20-\x7e\x80-\xff]*+)+"
)  # each with its CRLF before it
_FORBIDDEN_TRAILERS: Final = frozenset(
    b"transfer-encoding content-length host connection keep-alive te trailer upgrade "
    b"proxy-connection proxy-authorization authorization cookie set-cookie cache-control expect "
    b"max-forwards pragma range content-encoding content-type content-range age date expires "
    b"location retry-after vary warning forwarded via x-real-ip".split()
)


class Decoder(Protocol):
    """What the three decoders have in common."""

    done: bool
    rest: bytes
    trailers: bytes

    def feed(self, data: bytes) -> bytes:
        """The payload in `data`; may be empty. Raises `EdgeError` for bad chunks."""

    def finish(self) -> bool:
        """The other side closed: whether that is a proper end of this body."""


class SizedDecoder:
    """A body of a known number of bytes."""

    __slots__ = ("done", "left", "rest", "trailers")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0
        self.rest = b""
        self.trailers = b""

    def feed(self, data: bytes) -> bytes:
        """The payload in `data`."""
        if len(data) < self.left:
            self.left -= len(data)
            return data
        payload, self.rest = data[: self.left], data[self.left :]
        self.left = 0
        self.done = True
        return payload

    def finish(self) -> bool:
        """A sized body that ends early was cut."""
        return self.done


class UntilCloseDecoder:
    """An answer that ends when the peer closes; its end cannot be told from a cut."""

    __slots__ = ("done", "rest", "trailers")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self.trailers = b""

    def feed(self, data: bytes) -> bytes:
        """All of `data`."""
        return data

    def finish(self) -> bool:
        """The close is the end."""
        self.done = True
        return True


class ChunkedDecoder:
    """A chunked body. Sizes are strict hex; extensions and forbidden trailers are dropped."""

    __slots__ = ("_buffer", "_left", "_reason", "_step", "done", "rest", "trailers")

    def __init__(self, reason: Reason) -> None:
        self.done = False
        self.rest = b""
        self.trailers = b""  # a block, as in `edge.headers`
        self._reason = reason
        self._buffer = b""
        self._left = 0
        self._step = _SIZE_LINE

    def feed(self, data: bytes) -> bytes:
        """The payload in `data`. Raises `EdgeError` with the reason given for bad chunks."""
        buffer = self._buffer + data if self._buffer else data
        pieces: list[bytes] = []
        position = 0
        while not self.done:
            if self._step is _DATA:
                piece = buffer[position : position + self._left]
                if not piece:
                    break
                pieces.append(piece)
                position += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._step = _DATA_END
                continue
            after = self._line(buffer, position)
            if after < 0:
                break
            position = after
        if self.done:
            self.rest, self._buffer = buffer[position:], b""
        else:
            self._buffer = buffer[position:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def finish(self) -> bool:
        """A chunked body without its last chunk was cut."""
        return self.done

    # Private

    def _line(self, buffer: bytes, position: int) -> int:
        """Read what is not payload; where it ends, or -1 when more is needed."""
        if self._step is _DATA_END:
            mark = buffer[position : position + 2]
            if mark == b"\r\n":
                self._step = _SIZE_LINE
                return position + 2
            if mark not in (b"", b"\r"):
                raise EdgeError(self._reason, "chunk longer than its size")
            return -1
        if self._step is _TRAILERS:
            return self._read_trailers(buffer, position)
        return self._read_size(buffer, position)

    def _read_size(self, buffer: bytes, position: int) -> int:
        stop = buffer.find(b"\n", position, position + MAX_CHUNK_LINE + 2)
        if stop < 0:
            if len(buffer) - position > MAX_CHUNK_LINE:
                raise EdgeError(self._reason, "chunk size line too long")
            return -1
        match = _SIZE.fullmatch(buffer, position, stop - 1)
        if match is None or buffer[stop - 1 : stop] != b"\r":
            raise EdgeError(self._reason, f"bad chunk size {buffer[position : stop + 1][:40]!r}")
        self._left = int(match.group(1), 16)
        self._step = _DATA if self._left else _TRAILERS
        # The trailers keep the CRLF before them, that of the last chunk's line.
        return stop + 1 if self._left else stop - 1

    def _read_trailers(self, buffer: bytes, position: int) -> int:
        if buffer[position : position + 4] == b"\r\n\r\n":
            self.done = True
            return position + 4
        stop = buffer.find(b"\r\n\r\n", position)
        if stop < 0:
            if len(buffer) - position > MAX_TRAILER_BYTES:
                raise EdgeError(self._reason, "trailers too large")
            if buffer.count(b"\n", position) != buffer.count(b"\r\n", position):
                raise EdgeError(self._reason, "a trailer's line ends without CR")
            return -1
        block = buffer[position:stop]
        if len(block) > MAX_TRAILER_BYTES or _TRAILER.fullmatch(block) is None:
            raise EdgeError(self._reason, "bad trailers")
        self.trailers = _allowed_trailers(block)
        self.done = True
        return stop + 4


_SIZE_LINE, _DATA, _DATA_END, _TRAILERS = (object() for _ in range(4))


def decoder_for(length: int, reason: Reason) -> Decoder:
    """The decoder of a body of that length, or `CHUNKED` or `UNTIL_CLOSE`."""
    if length == CHUNKED:
        return ChunkedDecoder(reason)
    if length == UNTIL_CLOSE:
        return UntilCloseDecoder()
    return SizedDecoder(length)


def chunk(data: bytes) -> bytes:
    """One chunk. Empty data gives nothing, since an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def last_chunk(trailers: bytes = b"") -> bytes:
    """The end of a chunked body, with its trailers as a block."""
    return b"0" + trailers + b"\r\n\r\n"


def _allowed_trailers(block: bytes) -> bytes:
    """Without the fields that a trailer must not carry (RFC 9110 section 6.5.1)."""
    lines = block.split(b"\r\n")[1:]
    kept = [line for line in lines if _may_trail(line.partition(b":")[0].lower())]
    return b"".join(b"\r\n" + line for line in kept)


def _may_trail(name: bytes) -> bool:
    return name not in _FORBIDDEN_TRAILERS and not name.startswith((b"x-forwarded-", b"if-"))
