"""What CAs answer: read when it makes sense, a failure when it does not."""

import datetime
import email.utils
import json

import pytest

from control.acme.answers import (
    Answer,
    authorization_of,
    is_token,
    order_of,
    problem_of,
    retry_after_s,
    window_of,
)
from control.acme.failure import IssueFailed

ORDER = {
    "status": "pending",
    "finalize": "https://ca.test/f",
    "authorizations": ["https://ca.test/a"],
}
AUTHORIZATION = {
    "identifier": {"type": "dns", "value": "A.test"},
    "status": "pending",
    "challenges": [
        {"type": "http-01", "url": "https://ca.test/c", "token": "abc-_9"},
        {"type": "strange", "url": "https://ca.test/d"},
        {"type": "http-01", "url": "https://ca.test/e", "token": "../../etc/passwd"},
        "nonsense",
    ],
}


def answer(found: object, **more: object) -> Answer:
    return Answer(status=200, text=json.dumps(found), **more)


def test_an_order_is_read() -> None:
    order = order_of(answer(ORDER, retry_after_s=3.0), "https://ca.test/o")
    assert (order.status, order.authorizations) == ("pending", ("https://ca.test/a",))
    assert (order.retry_after_s, order.is_open) == (3.0, True)


@pytest.mark.parametrize(
    "harm",
    [{"status": "fine"}, {"status": 3}, {"finalize": None}, {"status": "valid"}],
)
def test_an_order_that_makes_no_sense_is_a_failure(harm: dict) -> None:
    with pytest.raises(IssueFailed) as caught:
        order_of(answer({**ORDER, **harm}), "https://ca.test/o")
    assert caught.value.kind == "strange-answer"
    assert not caught.value.is_final


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "<html>"])
def test_what_is_no_object_is_a_failure(text: str) -> None:
    with pytest.raises(IssueFailed, match="no JSON object"):
        order_of(Answer(status=200, text=text), "https://ca.test/o")


def test_an_order_without_an_address_is_none() -> None:
    with pytest.raises(IssueFailed, match="no address"):
        order_of(answer(ORDER), "")


def test_an_authorization_has_the_challenges_that_can_be_answered() -> None:
    found = authorization_of(answer(AUTHORIZATION), "https://ca.test/a", "thumb")
    [challenge] = found.challenges
    assert (found.name, challenge.key_authorization) == ("a.test", "abc-_9.thumb")


@pytest.mark.parametrize(
    ("token", "is_one"),
    [("abc", True), ("a-_9", True), ("", False), ("a/b", False), ("a.b", False), ("ä", False),
     (None, False), (3, False), ("a b", False), ("-_", True)],
)  # fmt: skip
def test_a_token_is_a_word_and_nothing_else(token: object, is_one: bool) -> None:
    assert is_token(token) is is_one


@pytest.mark.parametrize(
    ("status", "body", "kind", "is_final"),
    [
        (400, {"type": "urn:ietf:params:acme:error:malformed", "detail": "x"}, "malformed", True),
        (400, {"type": "urn:ietf:params:acme:error:badNonce"}, "badNonce", False),
        (429, {"type": "urn:ietf:params:acme:error:rateLimited"}, "rateLimited", False),
        (403, {"type": "urn:ietf:params:acme:error:rateLimited"}, "rateLimited", False),
        (404, {}, "http-404", True),
        (500, {}, "http-500", False),
        (503, {"type": "about:blank"}, "about:blank", False),
    ],
)
def test_a_problem_says_whether_the_order_is_dead(
    status: int, body: dict, kind: str, is_final: bool
) -> None:
    failure = problem_of(Answer(status=status, text=json.dumps(body)))
    assert (failure.kind, failure.is_final, failure.status) == (kind, is_final, status)


def test_a_problem_has_the_words_of_those_inside_it() -> None:
    inside = [{"detail": "a.test: forbidden"}, {"detail": "b.test: unknown"}]
    failure = problem_of(answer({"type": "x", "detail": "two problems", "subproblems": inside}))
    assert failure.detail == "two problems; a.test: forbidden; b.test: unknown"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 0),
        ("120", 120),
        (" 7 ", 7),
        ("-5", 0),
        ("soon", 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    ],
)
def test_a_retry_after_is_seconds(text: str, seconds: float) -> None:
    assert retry_after_s(text) == seconds


def test_a_retry_after_can_be_a_date() -> None:
    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    text = email.utils.format_datetime(then, usegmt=True)
    assert retry_after_s(text) == pytest.approx(3600, abs=5)


def test_a_window_is_two_instants() -> None:
    window = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00+00:00"}
    start, end = window_of(answer({"suggestedWindow": window}))
    assert end - start == 86400


@pytest.mark.parametrize(
    "window", [None, 3, {}, {"start": "x", "end": "y"}, {"start": 1, "end": 2}]
)
def test_a_window_that_makes_no_sense_is_a_failure(window: object) -> None:
    with pytest.raises(IssueFailed):
        window_of(answer({"suggestedWindow": window}))
