"""Bodies: sized, chunked, until close. RFC 9112 sections 6 and 7."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import EdgeError, Reason
from edge.http1.framing import (
    ChunkedDecoder,
    SizedDecoder,
    UntilCloseDecoder,
    chunk,
    decoder_for,
    last_chunk,
)
from edge.message import CHUNKED, UNTIL_CLOSE


def chunked() -> ChunkedDecoder:
    return ChunkedDecoder(Reason.BAD_REQUEST)


def test_a_sized_body_ends_where_it_says_and_leaves_the_rest() -> None:
    decoder = SizedDecoder(5)
    assert decoder.feed(b"ab") == b"ab"
    assert decoder.feed(b"cdeGET /") == b"cde"
    assert (decoder.done, decoder.rest) == (True, b"GET /")


def test_an_empty_sized_body_is_done_at_once() -> None:
    assert SizedDecoder(0).done


def test_a_close_ends_only_the_body_that_has_no_other_end() -> None:
    assert UntilCloseDecoder().finish()
    assert not SizedDecoder(1).finish()
    assert not chunked().finish()


@pytest.mark.parametrize(
    ("data", "body", "trailers"),
    [
        (b"0\r\n\r\n", b"", b""),
        (b"3\r\nabc\r\n0\r\n\r\n", b"abc", b""),
        (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", b""),
        (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789", b""),
        (b"003\r\nabc\r\n000\r\n\r\n", b"abc", b""),
        (b"3;name=value\r\nabc\r\n0;last\r\n\r\n", b"abc", b""),
        (b"3 ; x\r\nabc\r\n0\r\n\r\n", b"abc", b""),
        (b"1\r\na\r\n1\r\nb\r\n0\r\nX-Sum: 2\r\n\r\n", b"ab", b"\r\nX-Sum: 2"),
        (b"0\r\nContent-Length: 5\r\nX-A: 1\r\n\r\n", b"", b"\r\nX-A: 1"),
        (b"0\r\nTransfer-Encoding: chunked\r\n\r\n", b"", b""),
        (b"0\r\nX-Forwarded-For: evil\r\n\r\n", b"", b""),
    ],
)
def test_chunks_are_joined_and_forbidden_trailers_dropped(
    data: bytes, body: bytes, trailers: bytes
) -> None:
    decoder = chunked()
    assert decoder.feed(data + b"NEXT") == body
    assert (decoder.done, decoder.trailers, decoder.rest) == (True, trailers, b"NEXT")


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"g\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\na\r\n",
        b"1\na\n0\n\n",
        b" 1\r\na\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\n",
        b"1\r\naX",
        b"1000000000000000\r\n",
        b"1;\x00\r\na\r\n",
        b"1;a\rb\r\na\r\n",
        b"1_0\r\n",
        b"1" * 300,
        b"1;" + b"x" * 300 + b"\r\n",
        b"0\r\nbad trailer\r\n\r\n",
        b"0\r\n folded: 1\r\n\r\n",
        b"0\r\nX: " + b"y" * 9000,
    ],
)
def test_bad_chunks_are_refused(data: bytes) -> None:
    with pytest.raises(EdgeError) as caught:
        chunked().feed(data)
    assert caught.value.reason is Reason.BAD_REQUEST


@given(st.lists(st.binary(max_size=40), max_size=6), st.data())
def test_however_it_is_cut_the_body_is_the_same(pieces: list[bytes], data: st.DataObject) -> None:
    wire = b"".join(map(chunk, pieces)) + last_chunk(b"\r\nX-A: 1") + b"rest"
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)), max_size=12)) | {0, len(wire)})
    decoder = chunked()
    body = b""
    rest = b""
    for start, stop in itertools.pairwise(cuts):
        if decoder.done:
            rest += wire[start:stop]
        else:
            body += decoder.feed(wire[start:stop])
            rest = decoder.rest
    assert body == b"".join(pieces)
    assert decoder.trailers == b"\r\nX-A: 1"
    assert rest == b"rest"


def test_the_decoder_fits_the_length() -> None:
    assert isinstance(decoder_for(CHUNKED, Reason.BAD_REQUEST), ChunkedDecoder)
    assert isinstance(decoder_for(UNTIL_CLOSE, Reason.BAD_RESPONSE), UntilCloseDecoder)
    assert isinstance(decoder_for(3, Reason.BAD_REQUEST), SizedDecoder)


def test_an_empty_piece_never_ends_a_body() -> None:
    assert chunk(b"") == b""
