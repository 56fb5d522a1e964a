"""A line of an app's log, and how it is written: "1732450000.123 o 3 text".

When, a letter for where it came from, which instance, and all the rest is the text. A capital
letter says that the line goes on in the next one of the same instance and stream: it was long, or
its end was waited for in vain.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PIECE_BYTES: Final = 16 * 1024
"""A longer line is cut, so that nobody has to hold one that never ends."""

NOBODY: Final = "-"
"""In place of an instance, for what is of the app as a whole."""


class Stream(StrEnum):
    """Where a line came from."""

    STDOUT = "stdout"
    STDERR = "stderr"
    EDGED = "edged"  # said by edged of the app, or of its log


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line, or a piece of one."""

    time: float  # seconds since 1970
    stream: Stream
    instance: str
    text: str
    goes_on: bool = False


def head_of(time_s: float, stream: Stream, instance: str, goes_on: bool = False) -> bytes:
    """What stands before a line's text."""
    letter = _LETTERS[stream]
    return f"{time_s:.3f} {letter.upper() if goes_on else letter} {instance} ".encode()


def written(head: bytes, texts: Sequence[bytes]) -> bytes:
    """Lines with the same head, as they are in a file. Texts are UTF-8 without newlines."""
    return b"".join((head, (b"\n" + head).join(texts), b"\n")) if texts else b""


def read(raw: bytes) -> Line | None:
    """A line of a file without its newline; None if a crash or a disk has damaged it."""
    parts = raw.split(b" ", 3)
    if len(parts) < 4:
        return None
    stream = _STREAMS.get(parts[1].lower())
    if stream is None:
        return None
    try:
        time_s = float(parts[0])
    except ValueError:
        return None
    return Line(
        time=time_s,
        stream=stream,
        instance=parts[2].decode(errors="replace"),
        text=parts[3].decode(errors="replace"),
        goes_on=parts[1].isupper(),
    )


def cut(text: bytes) -> list[bytes]:
    """A long text in pieces, none of which ends within a character."""
    pieces = []
    start = 0
    while len(text) - start > PIECE_BYTES:
        end = start + PIECE_BYTES
        for back in range(4):
            if text[end - back] & 0xC0 != 0x80:
                end -= back
                break
        pieces.append(text[start:end])
        start = end
    return [*pieces, text[start:]]


def repaired(texts: Iterable[bytes]) -> list[bytes]:
    """The same in UTF-8, with U+FFFD for what is not."""
    return [text.decode(errors="replace").encode() for text in texts]


# Private

_LETTERS: Final = {Stream.STDOUT: "o", Stream.STDERR: "e", Stream.EDGED: "d"}
_STREAMS: Final = {letter.encode(): stream for stream, letter in _LETTERS.items()}
