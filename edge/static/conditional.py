"""Preconditions of a request, RFC 9110 section 13, and validators to compare them with."""

import re
from collections.abc import Callable
from email.utils import formatdate, parsedate_to_datetime
from enum import Enum, auto
from typing import Final

_TAG: Final = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_DATE_BYTES: Final = 64

Get = Callable[[str], str]
"""The value of a field by its name, "" when it is not there."""


class Outcome(Enum):
    """What the preconditions come to."""

    PASSED = auto()
    NOT_MODIFIED = auto()  # 304
    FAILED = auto()  # 412


def etag_of(size: int, mtime_ns: int, encoding: str = "") -> str:
    """A strong validator: it differs for each state and each encoding of a file."""
    suffix = f"-{encoding}" if encoding else ""
    return f'"{mtime_ns:x}-{size:x}{suffix}"'


def date_of(mtime_ns: int) -> str:
    """The Last-Modified of a file."""
    return formatdate(mtime_ns // 1_000_000_000, usegmt=True)


def evaluate(get: Get, etag: str, mtime_ns: int) -> Outcome:
    """The preconditions of a GET or HEAD, in the order of section 13.2.2."""
    modified = mtime_ns // 1_000_000_000
    if wanted := get("if-match"):
        if not _matches(wanted, etag, weak=False):
            return Outcome.FAILED
    elif (date := _seconds(get("if-unmodified-since"))) is not None and modified > date:
        return Outcome.FAILED
    if unwanted := get("if-none-match"):
        return Outcome.NOT_MODIFIED if _matches(unwanted, etag, weak=True) else Outcome.PASSED
    date = _seconds(get("if-modified-since"))
    return Outcome.NOT_MODIFIED if date is not None and modified <= date else Outcome.PASSED


def range_holds(get: Get, etag: str, mtime_ns: int) -> bool:
    """Whether a Range counts: If-Range is not there, or names the very state that is served."""
    wanted = get("if-range").strip()
    if not wanted:
        return True
    if wanted.startswith(('"', "W/")):
        return wanted == etag
    return _seconds(wanted) == mtime_ns // 1_000_000_000


# Private


def _matches(field: str, etag: str, *, weak: bool) -> bool:
    if field.strip() == "*":
        return True
    opaque = etag[1:-1]
    return any(tag == opaque and (weak or not mark) for mark, tag in _TAG.findall(field))


def _seconds(text: str) -> int | None:
    """A date as Unix seconds; None for what is none, which is then ignored (section 5.6.7)."""
    if not text or len(text) > _DATE_BYTES:
        return None
    try:
        return int(parsedate_to_datetime(text.strip()).timestamp())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
