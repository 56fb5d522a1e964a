"""How bytes are cut on their way changes nothing: RFC 9112 knows messages, not segments."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import EdgeError
from edge.http1.parse import parse_request, parse_response
from tests.wire.case import Case, load
from tests.wire.messages import LIMITS, cuts, doubtful_requests, ours, right_requests

MOST_BYTES = 2000

REQUESTS = [each for each in load("requests") if 0 < len(each.sent) <= MOST_BYTES]
RESPONSES = [
    each
    for each in load("responses")
    if each.replies and 0 < len(each.replies[0].data) <= MOST_BYTES
]
names = {"ids": lambda case: case.name.removesuffix(".http")}


@pytest.mark.parametrize("case", [c for c in REQUESTS if c.source != "127.0.0.3"], **names)
def test_a_cut_at_any_byte_leaves_the_reading_as_it_is(case: Case) -> None:
    data = case.sent
    whole = ours([data])
    for place in range(1, len(data)):
        assert ours([data[:place], data[place:]]) == whole, data[:place]
    assert ours([data[i : i + 1] for i in range(len(data))]) == whole


@pytest.mark.parametrize("case", RESPONSES, **names)
def test_the_head_of_an_answer_is_read_when_its_last_byte_is_here(case: Case) -> None:
    data = case.replies[0].data
    whole = verdict(data)
    for place in range(1, len(data)):
        early = verdict(data[:place])
        assert early in ("more", whole), data[:place]
        if whole.isdigit() and place < int(whole):
            assert early == "more", data[:place]


def verdict(data: bytes) -> str:
    """Where the head ends, "more", or why it is refused."""
    try:
        response = parse_response(data, "GET", LIMITS.head_bytes)
    except EdgeError as error:
        return error.reason
    return "more" if response is None else str(response.end)


@given(st.data())
@settings(max_examples=1500)
def test_a_pipeline_in_any_pieces_reads_the_same(data: st.DataObject) -> None:
    requests = data.draw(st.lists(right_requests() | doubtful_requests(), min_size=1, max_size=4))
    sent = b"".join(requests)
    assert ours(data.draw(cuts(sent))) == ours([sent])


@pytest.mark.parametrize(
    "start", [b"", b"\r", b"G", b"GET", b"GET ", b"GET / H", b"GET / HTTP/1.1"]
)
def test_a_start_is_neither_taken_nor_refused(start: bytes) -> None:
    assert parse_request(start, LIMITS) is None


@pytest.mark.parametrize(
    "start", [b"\n", b" ", b"\0", b"GET\n", b"GET /\0", b"GET / X", b"\x16\x03"]
)
def test_what_can_become_no_request_is_refused_at_once(start: bytes) -> None:
    with pytest.raises(EdgeError):
        parse_request(start, LIMITS)
