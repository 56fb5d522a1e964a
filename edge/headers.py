"""Header fields as a lazy view over the bytes of a head.

A block is the field lines as they came, each with its CRLF *before* it: `\\r\\nHost: x\\r\\nA: b`.
The lane passes blocks on without looking inside; the first hook that asks has them parsed, and
only a changed `Headers` is written anew. Names compare without case (RFC 9110 section 5.1), order
and spelling stay as they came.
"""

import re
from collections.abc import Iterator
from typing import Final

TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"

RESERVED: Final = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    }
)
"""Framing and hop-by-hop fields: the edge alone writes them, a hook cannot (it could smuggle)."""

_FIELD = re.compile(rb"\r\n([^:\r\n]+):[ \t]*([^\r\n]*)")
_NAME = re.compile(TOKEN)
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Headers:
    """The fields of one message. Reading is by any case; values are latin-1 text, stripped."""

    __slots__ = ("_block", "_index", "_items", "_low", "changed")

    def __init__(self, block: bytes = b"") -> None:
        self._block = block
        self._low = b""  # the block in lower case, once somebody has looked for a name in it
        self._items: list[tuple[str, str]] | None = None
        self._index: dict[str, str] | None = None
        self.changed = False

    def __repr__(self) -> str:
        return f"<Headers {self.items()}>"

    def __contains__(self, name: str) -> bool:
        return self._find(name) is not None

    def __getitem__(self, name: str) -> str:
        value = self._find(name)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: str) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        if not self.remove(name):
            raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self.items())

    def get(self, name: str, default: str = "") -> str:
        """The first value of a field, or `default`."""
        value = self._find(name)
        return default if value is None else value

    def get_all(self, name: str) -> list[str]:
        """Every value of a field, in order."""
        wanted = name.lower()
        return [value for field, value in self.items() if field.lower() == wanted]

    def items(self) -> list[tuple[str, str]]:
        """All fields in order, spelled as they came. A copy."""
        return list(self._parsed())

    def set(self, name: str, value: str) -> None:
        """Replace all fields of that name by one.

        Raises `ValueError` for a name or value that HTTP does not allow, and for `RESERVED`.
        """
        check_field(name, value)
        self.remove(name)
        self._parsed().append((name, value.strip(" \t")))
        self._touch()

    def add(self, name: str, value: str) -> None:
        """Add one more field; the same errors as `set`."""
        check_field(name, value)
        self._parsed().append((name, value.strip(" \t")))
        self._touch()

    def remove(self, name: str) -> bool:
        """Remove all fields of that name; whether there were any. `ValueError` for `RESERVED`."""
        wanted = name.lower()
        if wanted in RESERVED:
            raise ValueError(f"the edge alone removes {name!r}")
        items = self._parsed()
        kept = [item for item in items if item[0].lower() != wanted]
        if len(kept) == len(items):
            return False
        self._items = kept
        self._touch()
        return True

    def render(self) -> bytes:
        """The block of these fields; the very bytes that came when nothing changed."""
        if not self.changed:
            return self._block
        text = "".join(f"\r\n{name}: {value}" for name, value in self._parsed())
        return text.encode("latin-1")

    def has_any(self, starts: tuple[bytes, ...]) -> bool:
        """Whether some line begins so: lower-case names, whole or in part, with their CRLF."""
        low = self._low
        if not low:
            low = self._low = self.render().lower()
        return any(start in low for start in starts)

    # Private

    def _find(self, name: str) -> str | None:
        """The first value of a field. Looked for in the block until somebody has it parsed."""
        if self._items is not None:
            return self._values().get(name.lower())
        needle = _needles.get(name) or _needle(name)
        block = self._block
        low = self._low
        if not low:
            low = self._low = block.lower()
        start = low.find(needle)
        if start < 0:
            return None
        start += len(needle)
        end = block.find(b"\r\n", start)
        value = block[start:end] if end >= 0 else block[start:]
        return value.decode("latin-1").strip(" \t")

    def _parsed(self) -> list[tuple[str, str]]:
        if self._items is None:
            self._items = [
                (name.decode("latin-1"), value.decode("latin-1").rstrip(" \t"))
                for name, value in _FIELD.findall(self._block)
            ]
        return self._items

    def _values(self) -> dict[str, str]:
        """The first value by lower-case name: one pass over the lower-cased and the real block."""
        index = self._index
        if index is None:
            index = {}
            for name, value in self._parsed():
                index.setdefault(name.lower(), value)
            self._index = index
        return index

    def _touch(self) -> None:
        self.changed = True
        self._index = None
        self._low = b""


_NEEDLES: Final = 1024
_needles: dict[str, bytes] = {}


def _needle(name: str) -> bytes:
    """The start of a field's line, remembered by the name as hooks write it."""
    if len(_needles) >= _NEEDLES:
        _needles.clear()
    # A name that is no token is in no block: a line's own bytes must not be found in a value.
    needle = b"\r\n%b:" % (name.lower().encode("latin-1") if _NAME.fullmatch(name) else b"")
    _needles[name] = needle
    return needle


def check_field(name: str, value: str) -> None:
    """Raise `ValueError` when a field could not be sent, or is the edge's own to send."""
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"not a header name: {name!r}")
    if _VALUE.fullmatch(value) is None:
        raise ValueError(f"not a header value: {value!r} (of {name})")
    if name.lower() in RESERVED:
        raise ValueError(f"the edge alone writes {name!r}")


def block_of(fields: tuple[tuple[str, str], ...] | list[tuple[str, str]]) -> bytes:
    """The block of some fields that are known to be good."""
    return "".join(f"\r\n{name}: {value}" for name, value in fields).encode("latin-1")
