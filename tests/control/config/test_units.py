"""Durations and sizes: what is read, what is refused, and that both ways agree."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.config.units import parse_duration, parse_size, show_duration, show_size, toml_type

DURATIONS = [
    ("250ms", 0.25),
    ("1ms", 0.001),
    ("15s", 15.0),
    ("1.5s", 1.5),
    ("2m", 120.0),
    ("1h", 3600.0),
    ("1h30m", 5400.0),
    ("1d", 86400.0),
    ("1d 12h", 129600.0),
    (" 10 s ", 10.0),
    ("0s", 0.0),
    ("0", 0.0),
    (0, 0.0),
    (0.0, 0.0),
]

NO_DURATIONS = [
    (15, '15 has no unit: write "15s" if seconds are meant'),
    (1.5, '1.5 has no unit: write "1.5s" if seconds are meant'),
    ("15", '"15" has no unit: write "15s" if seconds are meant'),
    ("15S", '"15S" has the unknown unit "S": use ms, s, m, h or d'),
    ("15sec", '"15sec" has the unknown unit "sec": use ms, s, m, h or d'),
    ("", '"" is no duration: write "250ms", "15s", "2m", "1h" or "1d"'),
    ("-1s", '"-1s" is no duration: write "250ms", "15s", "2m", "1h" or "1d"'),
    ("1e3s", '"1e3s" has the unknown unit "e": use ms, s, m, h or d'),
    (".5s", '".5s" is no duration: write "250ms", "15s", "2m", "1h" or "1d"'),
    (True, 'must be a duration such as "15s", not a boolean'),
    ([], 'must be a duration such as "15s", not an array'),
]

SIZES = [
    (0, 0),
    (65536, 65536),
    ("0", 0),
    ("512", 512),
    ("512B", 512),
    ("64k", 65536),
    ("64K", 65536),
    ("16KiB", 16384),
    ("16 KiB", 16384),
    ("16kB", 16000),
    ("16KB", 16000),
    ("1MB", 1000000),
    ("1MiB", 1048576),
    ("1m", 1048576),
    ("1.5MiB", 1572864),
    ("2GiB", 2147483648),
    ("2GB", 2000000000),
    ("1g", 1073741824),
]

NO_SIZES = [
    (-1, "-1 is negative: a size is 0 or more"),
    (1.5, 'must be a size such as "16KiB", not a float'),
    (False, 'must be a size such as "16KiB", not a boolean'),
    ("", '"" is no size: write "16KiB", "64k", "1MB" or a number of bytes'),
    ("-1k", '"-1k" is no size: write "16KiB", "64k", "1MB" or a number of bytes'),
    ("1XB", '"1XB" has the unknown unit "XB": use B, KiB, MiB, GiB, kB, MB, GB'),
    ("0.3KiB", '"0.3KiB" is not a whole number of bytes'),
]


@pytest.mark.parametrize(("text", "seconds"), DURATIONS)
def test_durations(text, seconds) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(("text", "message"), NO_DURATIONS)
def test_what_is_no_duration(text, message) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "size_bytes"), SIZES)
def test_sizes(text, size_bytes) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(("text", "message"), NO_SIZES)
def test_what_is_no_size(text, message) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_size(text)


@given(st.integers(0, 10**12))
def test_a_shown_duration_reads_as_the_same(milliseconds: int) -> None:
    assert parse_duration(show_duration(milliseconds / 1000)) == milliseconds / 1000


@given(st.integers(0, 2**50))
def test_a_shown_size_reads_as_the_same(size_bytes: int) -> None:
    assert parse_size(show_size(size_bytes)) == size_bytes


@given(st.text() | st.floats() | st.integers() | st.booleans() | st.none() | st.dates())
def test_nothing_else_is_raised(value) -> None:
    for parse in (parse_duration, parse_size):
        with contextlib.suppress(ValueError):
            assert parse(value) >= 0


def test_types_are_called_as_toml_calls_them() -> None:
    values = ("x", True, 1, 1.5, [], {}, object())
    assert [toml_type(value) for value in values] == [
        "a string",
        "a boolean",
        "an integer",
        "a float",
        "an array",
        "a table",
        "a date or time",
    ]
