"""Byte ranges, RFC 9110 section 14: which parts of a file a request asks for."""

import re
from typing import Final

MOST: Final = 16
"""A request for more ranges than that gets the whole file (section 14.2 allows to ignore it)."""

_UNIT: Final = re.compile(r"bytes[ \t]*=[ \t]*", re.IGNORECASE)
_SPEC: Final = re.compile(r"[ \t]*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))[ \t]*")
_FIELD_BYTES: Final = 1024

Span = tuple[int, int]
"""First and last byte, both inside."""


class Unsatisfiable(Exception):
    """None of the ranges is inside the file: 416."""


def parse_range(field: str, size: int) -> list[Span]:
    """The spans that are asked for; empty when the whole file is to be sent.

    Spans that overlap or touch become one, so that the answer is never larger than the file. Raises
    `Unsatisfiable`.
    """
    unit = _UNIT.match(field)
    if unit is None or len(field) > _FIELD_BYTES:
        return []
    specs = field[unit.end() :].split(",")
    if len(specs) > MOST:
        return []
    spans: list[Span] = []
    for spec in specs:
        match = _SPEC.fullmatch(spec)
        if match is None:
            return []
        first, last, suffix = match.groups()
        if first is not None and last and int(last) < int(first):
            return []
        span = _span(first, last, suffix, size)
        if span is not None:
            spans.append(span)
    if not spans:
        raise Unsatisfiable
    return _joined(spans)


# Private


def _span(first: str | None, last: str, suffix: str | None, size: int) -> Span | None:
    if first is None:
        count = min(int(suffix or 0), size)
        return (size - count, size - 1) if count else None
    start = int(first)
    return (start, min(int(last) if last else size - 1, size - 1)) if start < size else None


def _joined(spans: list[Span]) -> list[Span]:
    """In the order that was asked for, unless some overlap: then sorted and joined."""
    ordered = sorted(spans)
    joined = [ordered[0]]
    for first, last in ordered[1:]:
        if first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return spans if len(joined) == len(spans) else joined
