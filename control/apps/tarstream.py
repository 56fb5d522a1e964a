"""A `.tar.gz` from a stranger: its members one after the other, in bounded memory.

`tarfile` trusts what it reads: it takes the headers of a member into memory whole however long they
are, calls itself for each header before a header, keeps all members, and takes a broken header for
the end. So it reads through `TarStream`, which gives it no more than a few KiB for one member's
headers, looks at each before `tarfile` does, and never goes back.
"""

import contextlib
import gzip
import re
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO, Final, Protocol, cast

from control.refusal import Refused

HEAD_BYTES: Final = 16 * 1024
"""For all headers of one member: a long name and a long link fit, a bomb does not."""

PIECE_BYTES: Final = 256 * 1024
TAIL_BYTES: Final = 1 << 20
"""Nothing but zeros may follow the last member, and no more of them than tape blocks need."""

_BLOCK: Final = tarfile.BLOCKSIZE
_KIND: Final = 156
"""Where a header says what it is."""

_EXTENDED: Final = (b"x", b"g", b"X")
_NAMES: Final = (b"L", b"K")
_DIGITS: Final = re.compile(rb"[0-9]{100}")
"""`tarfile` searches a header in quadratic time for the digits in it."""


class Source(Protocol):
    """Where an archive comes from."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes, none at the end."""


class TarStream:
    """The unpacked bytes, as `tarfile` wants to read them. Its methods raise `Refused`."""

    def __init__(self, source: Source) -> None:
        self._unzipped = gzip.GzipFile(fileobj=cast(IO[bytes], source), mode="rb")
        self._place = 0
        self._room = HEAD_BYTES
        self._kind = b""  # of a header whose text comes next
        self._header = b""
        self._member = ""  # the last one, to say where something is wrong

    def __repr__(self) -> str:
        return f"<TarStream at {self._place}>"

    def members(self) -> Iterator[tarfile.TarInfo]:
        """The members up to a proper end; what was not taken of one is passed over."""
        with contextlib.ExitStack() as opened:
            with self._reading():
                archive = opened.enter_context(self._archive())
            while True:
                with self._reading():
                    member = archive.next()
                if member is None:
                    break
                # Neither what it has seen nor what it was told for all members may pile up.
                cast(list[tarfile.TarInfo], vars(archive)["members"]).clear()
                cast(dict[str, str], archive.pax_headers).clear()
                self._member = member.name
                if member.size < 0:
                    raise self._malformed("has a negative size")
                yield member
                self._room = HEAD_BYTES
        self._finish()

    def take(self, member: tarfile.TarInfo) -> Iterator[bytes]:
        """The content of the member that was yielded last."""
        left = member.size
        while left:
            piece = self._pull(min(left, PIECE_BYTES))
            if not piece:
                raise self._cut_short()
            left -= len(piece)
            yield piece

    # What tarfile calls

    def tell(self) -> int:
        """Where it is."""
        return self._place

    def seek(self, place: int) -> None:
        """Go on from there. Never back."""
        if place < self._place:
            raise self._malformed("leads back into what was read")
        while self._place < place:
            if not self._pull(min(place - self._place, PIECE_BYTES)):
                raise self._cut_short()

    def read(self, size: int) -> bytes:
        """A header, or the text that belongs to one."""
        self._room -= size
        if self._room < 0:
            raise self._malformed(f"is followed by headers of more than {HEAD_BYTES} bytes")
        content = self._pull(size)
        kind, self._kind = self._kind, b""
        if kind in _EXTENDED:
            self._vet(content)
        elif not kind and size == _BLOCK:
            self._header = content
            kind = content[_KIND : _KIND + 1]
            if kind == b"S":
                raise self._sparse()
            if kind in _EXTENDED or kind in _NAMES:
                self._kind = kind
        return content

    # Private

    def _archive(self) -> tarfile.TarFile:
        return tarfile.open(
            fileobj=cast(IO[bytes], self), mode="r:", encoding="utf-8", errors="surrogateescape"
        )

    def _pull(self, size: int) -> bytes:
        try:
            content = self._unzipped.read(size)
        except EOFError:
            raise self._cut_short() from None
        except (gzip.BadGzipFile, zlib.error):
            if not self._place:
                raise Refused("archive-malformed", "This is no .tar.gz archive.") from None
            raise self._malformed("is followed by damaged bytes") from None
        except OSError as error:
            raise Refused(
                "archive-malformed", f"The archive cannot be read on: {error.strerror or error}."
            ) from None
        self._place += len(content)
        return content

    def _vet(self, text: bytes) -> None:
        """An extended header: records of "length key=value", nothing between and nothing after."""
        place = 0
        while place < len(text) and text[place]:
            length, space, _ = text[place : place + 8].partition(b" ")
            if not space or not length.isdigit():
                raise self._malformed("is followed by a malformed header")
            record = text[place : place + int(length)]
            if len(record) != int(length) or record[-1:] != b"\n" or b"=" not in record:
                raise self._malformed("is followed by a malformed header")
            if b" GNU.sparse." in record:
                raise self._sparse()
            place += int(length)
        if text[place:].strip(b"\0") or _DIGITS.search(text):
            raise self._malformed("is followed by a malformed header")

    def _finish(self) -> None:
        """What looks like the end to tarfile may be a broken header, or not the end."""
        if len(self._header) < _BLOCK:
            raise self._cut_short()
        if self._header.strip(b"\0"):
            raise self._malformed("is followed by a malformed header")
        end = self._place + TAIL_BYTES
        while piece := self._pull(PIECE_BYTES):
            if piece.strip(b"\0") or self._place > end:
                raise self._malformed("is the last member, but more follows it")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except RecursionError:
            raise self._malformed("is followed by too many headers") from None
        except (tarfile.TarError, ValueError, OverflowError) as error:
            shown = str(error).encode(errors="backslashreplace").decode()
            raise self._malformed(f"is followed by a malformed header ({shown})") from None

    def _malformed(self, what: str) -> Refused:
        return Refused("archive-malformed", f"The archive is malformed: {self._place_of()} {what}.")

    def _cut_short(self) -> Refused:
        return Refused("archive-malformed", f"The archive is cut short after {self._place_of()}.")

    def _sparse(self) -> Refused:
        return Refused(
            "archive-unsafe",
            f"The archive has a sparse file after {self._place_of()}: pack it whole.",
        )

    def _place_of(self) -> str:
        return shown(self._member) if self._member else "its beginning"


def shown(name: str) -> str:
    """A name for a message: whatever it holds, in one line of limited length."""
    text = name.encode(errors="surrogateescape").decode(errors="backslashreplace")
    text = text.encode("unicode_escape").decode() if not text.isprintable() else text
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


_SHOWN: Final = 200
