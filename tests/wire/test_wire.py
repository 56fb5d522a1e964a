"""The corpus of bytes, against a real edged and a real origin. `case.py` says how a case reads."""

import pytest

from tests.wire.case import BadCase, Case, load, parse
from tests.wire.run import Wire

MOST_BYTES_ONE_BY_ONE = 2000

REQUESTS = load("requests")
RESPONSES = load("responses")


def named(cases: list[Case]) -> list[object]:
    return [pytest.param(case, id=case.name.removesuffix(".http")) for case in cases]


@pytest.mark.parametrize("case", named(REQUESTS + RESPONSES))
def test_case(wire: Wire, case: Case) -> None:
    wire.run(case, bytewise=False)


def in_pieces(cases: list[Case]) -> list[Case]:
    def size(case: Case) -> int:
        return len(case.sent) + sum(len(reply.data) for reply in case.replies)

    return [case for case in cases if size(case) <= MOST_BYTES_ONE_BY_ONE and not case.whole_only]


@pytest.mark.parametrize("case", named(in_pieces(REQUESTS + RESPONSES)))
def test_case_byte_by_byte(wire: Wire, case: Case) -> None:
    wire.run(case, bytewise=True)


def test_the_corpus_is_large_enough() -> None:
    assert len(REQUESTS) >= 150
    assert len(RESPONSES) >= 50


def test_a_case_without_a_reference_fails() -> None:
    with pytest.raises(BadCase, match="names no RFC"):
        parse("# just because\n> GET / HTTP/1.1\\r\\n\\r\\n\nexpect: 200\n", "x")


def test_a_case_that_expects_nothing_fails() -> None:
    with pytest.raises(BadCase, match="nothing is expected"):
        parse("# RFC 9112 §2.1: x\n> GET / HTTP/1.1\\r\\n\\r\\n\n", "x")
