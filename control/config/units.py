"""Durations and sizes as people write them, exact in both directions."""

import re
from fractions import Fraction
from typing import Final

DURATION_UNITS: Final = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
}

SIZE_UNITS: Final = {
    "": 1,
    "b": 1,
    "k": 1024,
    "m": 1024**2,
    "g": 1024**3,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
}
"""One letter is binary, as in nginx; "kB" and "KiB" are what the standards say."""


def parse_duration(value: object) -> float:
    """The seconds of "250ms", "15s", "2m", "1h30m" or 0; raises `ValueError`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value == 0:
            return 0.0
        raise ValueError(f'{value} has no unit: write "{value}s" if seconds are meant')
    if not isinstance(value, str):
        raise ValueError(f'must be a duration such as "15s", not {toml_type(value)}')
    text = value.strip()
    if text == "0":
        return 0.0
    if _NUMBER.fullmatch(text):
        raise ValueError(f'"{value}" has no unit: write "{text}s" if seconds are meant')
    if not _DURATION.fullmatch(text):
        raise ValueError(f'"{value}" is no duration: write "250ms", "15s", "2m", "1h" or "1d"')
    total = Fraction(0)
    for number, unit in _PART.findall(text):
        if unit not in DURATION_UNITS:
            raise ValueError(f'"{value}" has the unknown unit "{unit}": use ms, s, m, h or d')
        total += Fraction(number) * DURATION_UNITS[unit]
    return float(total)


def parse_size(value: object) -> int:
    """The bytes of 65536, "64k", "16KiB" or "1MB"; raises `ValueError`."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError(f"{value} is negative: a size is 0 or more")
        return value
    if not isinstance(value, str):
        raise ValueError(f'must be a size such as "16KiB", not {toml_type(value)}')
    match = _PART.fullmatch(value.strip())
    if match is None:
        raise ValueError(f'"{value}" is no size: write "16KiB", "64k", "1MB" or a number of bytes')
    number, unit = match.groups()
    if unit.lower() not in SIZE_UNITS:
        raise ValueError(
            f'"{value}" has the unknown unit "{unit}": use B, KiB, MiB, GiB, kB, MB, GB'
        )
    size = Fraction(number) * SIZE_UNITS[unit.lower()]
    if size.denominator != 1:
        raise ValueError(f'"{value}" is not a whole number of bytes')
    return int(size)


def show_duration(seconds: float) -> str:
    """The shortest way to write a duration."""
    exact = Fraction(seconds).limit_denominator(1000)
    if exact == 0:
        return "0"
    for unit in ("d", "h", "m", "s"):
        if (exact / DURATION_UNITS[unit]).denominator == 1:
            return f"{exact / DURATION_UNITS[unit]}{unit}"
    return f"{exact * 1000}ms"


def show_size(size_bytes: int) -> str:
    """The shortest way to write a size."""
    for unit in ("GiB", "MiB", "KiB"):
        scale = SIZE_UNITS[unit.lower()]
        if size_bytes and size_bytes % scale == 0:
            return f"{size_bytes // scale}{unit}"
    return str(size_bytes)


def toml_type(value: object) -> str:
    """What TOML calls the type of a value, with its article."""
    for kind, name in _TOML_TYPES:
        if isinstance(value, kind):
            return name
    return "a date or time"


# Private

_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_PART: Final = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?([A-Za-z]*)")
_DURATION: Final = re.compile(r"(?:[0-9]{1,18}(?:\.[0-9]{1,9})? ?[A-Za-z]+ ?)+")
_TOML_TYPES: Final = (
    (str, "a string"),
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a float"),
    (list, "an array"),
    (dict, "a table"),
)
