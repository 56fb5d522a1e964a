"""A line of a log: read as it was written, and cut where no character is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.apps.logline import (
    PIECE_BYTES,
    Line,
    Stream,
    cut,
    head_of,
    read,
    repaired,
    written,
)  # fmt: skip

TEXT = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=60)


@given(text=TEXT, stream=st.sampled_from(Stream), goes_on=st.booleans())
def test_a_line_is_read_as_it_was_written(text: str, stream: Stream, goes_on: bool) -> None:
    head = head_of(1732450000.1234, stream, "3", goes_on)
    raw = written(head, [text.encode(), b"second"])
    assert raw.count(b"\n") == 2
    first, second, _ = raw.split(b"\n")
    assert read(first) == Line(
        time=1732450000.123, stream=stream, instance="3", text=text, goes_on=goes_on
    )
    assert second.endswith(b" 3 second")


def test_how_a_line_looks() -> None:
    assert (
        written(head_of(1.5, Stream.STDOUT, "3"), [b"a b", b""]) == b"1.500 o 3 a b\n1.500 o 3 \n"
    )
    assert written(head_of(1.5, Stream.STDERR, "3", True), [b"a"]) == b"1.500 E 3 a\n"
    assert written(head_of(1.5, Stream.EDGED, "-"), []) == b""


@pytest.mark.parametrize("raw", [b"", b"\0" * 50, b"text", b"1.0 o 3", b"x o 3 a", b"1.0 q 3 a"])
def test_what_is_damaged_is_no_line(raw: bytes) -> None:
    assert read(raw) is None


@given(raw=st.binary(max_size=60))
def test_whatever_is_in_a_file_can_be_read_past(raw: bytes) -> None:
    assert isinstance(read(raw), Line | None)


@given(
    letter=st.sampled_from(["a", "ä", "€", "😀"]), lead=st.integers(0, 4), more=st.integers(0, 3)
)
def test_pieces_are_whole_characters_and_together_the_text(
    letter: str, lead: int, more: int
) -> None:
    text = ("x" * lead + letter * (PIECE_BYTES + more)).encode()
    pieces = cut(text)
    assert b"".join(pieces) == text
    assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)
    assert all(piece.decode() for piece in pieces)
    assert len(pieces) <= len(text) // (PIECE_BYTES - 3) + 1


def test_what_is_no_utf_8_is_cut_and_repaired_all_the_same() -> None:
    assert [len(piece) for piece in cut(b"\x80" * (PIECE_BYTES + 1))] == [PIECE_BYTES, 1]
    assert repaired([b"caf\xe9!", b"ok"]) == ["caf\ufffd!".encode(), b"ok"]
