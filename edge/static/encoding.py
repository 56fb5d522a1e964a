"""Content codings that a client takes (RFC 9110 section 12.5.3), and files that have them."""

import re
from typing import Final

SUFFIXES: Final = (("br", ".br"), ("zstd", ".zst"), ("gzip", ".gz"))
"""Codings of precompressed files, the better ones first."""

_ITEM: Final = re.compile(
    r"[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*(?:;[ \t]*[qQ]=([01](?:\.[0-9]{0,3})?)[ \t]*)?"
)
_FIELD_BYTES: Final = 1024


def accepted(field: str) -> list[tuple[str, str]]:
    """The codings of `SUFFIXES` that the client takes at least as gladly as none, best first."""
    if not field or len(field) > _FIELD_BYTES:
        return []
    weights: dict[str, float] = {}
    for item in field.split(","):
        match = _ITEM.fullmatch(item)
        if match is not None:
            weights.setdefault(match[1].lower(), float(match[2] or 1))
    anything = weights.get("*", 0.0)
    plain = weights.get("identity", anything if "*" in weights else 0.001)
    taken = [
        (weights.get(coding, anything), -place, (coding, suffix))
        for place, (coding, suffix) in enumerate(SUFFIXES)
    ]
    taken = [item for item in taken if item[0] > 0 and item[0] >= plain]
    return [each for _, _, each in sorted(taken, reverse=True)]
