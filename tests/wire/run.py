"""Runs a wire case against a real edge and a real origin.

Whatever a case expects, this holds for every request that an origin gets: h11 reads it whole, and
the fields that the edge adds are there once, with the edge's own values. After each case a request
on another connection must get its own answer, and the origin must have seen nothing in between.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import h11

from tests.support.client import Answer, Client, Closed, Reset, cut_at, fetch
from tests.support.eventually import eventually
from tests.support.origin import End, Received, Reply, ScriptedOrigin
from tests.wire.case import Act, Case, Expectation, Interim, Send

HOST: Final = "wire.test"
ADDED: Final = {b"x-forwarded-for", b"x-real-ip", b"x-forwarded-proto", b"x-forwarded-host",
                b"x-request-id", b"via"}  # fmt: skip
FRAMING: Final = {b"content-length", b"transfer-encoding"}
MOVED: Final = {b"expect", b"upgrade", b"connection", b"te"}
_ENDINGS: Final = {"close": End.CLOSE, "reset": End.RESET, "hang": End.HANG}


@dataclass
class Wire:
    """What the cases of a module share."""

    address: str
    origin: ScriptedOrigin
    count: int = 0
    probed: int = 0  # the number of the last probe, as the one worker counts its requests

    def run(self, case: Case, *, bytewise: bool) -> None:
        """Run one case; an `AssertionError` says what was wrong."""
        self.origin.forget()
        self.origin.reply = _Script(case, bytewise=bytewise)
        source = case.source or "127.0.0.1"
        with Client(self.address, source=source) as client:
            _Talk(client, case, bytewise=bytewise).run()
            if _is_kept(case):
                self.probe(client)
        self.probe()
        self._check_origin(case)

    def probe(self, client: Client | None = None) -> None:
        """A request that has nothing to do with the case gets its own answer."""
        self.count += 1
        target = f"/probe-{self.count}"
        if client is None:
            answer = fetch(self.address, target, host=HOST)
        else:
            client.send(f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            answer = client.read_answer()
        assert (answer.status, answer.body) == (200, target.encode()), f"the probe got {answer}"

    # Private

    def _check_origin(self, case: Case) -> None:
        requests = self.origin.requests
        probe = f"/probe-{self.count}"
        eventually(lambda: any(each.target == probe for each in requests))
        # What the case before has cut short may be heard of as late as now.
        got = [
            each for each in requests
            if not each.target.startswith("/probe-") and _number(each) > self.probed
        ]  # fmt: skip
        self.probed = min(_number(each) for each in requests if each.target == probe)
        for each in got:
            assert each.state != "broken", f"the origin could not read {each.raw!r}"
        whole = [each for each in got if each.state == "whole"]
        if case.origin in ("nothing", "cut"):
            assert not whole, f"the origin got {[each.raw for each in whole]}"
            assert case.origin == "cut" or not got, f"the origin got the start of {got}"
        elif case.origin != "any":
            wanted = case.wanted if case.origin == "request" else list(_split(case.sent))
            assert len(whole) == len(got) == len(wanted), f"the origin got {got}"
            for each, raw in zip(whole, wanted, strict=True):
                assert _comparable(each.raw) == _comparable(raw), f"sent on as {each.raw!r}"
        for each in whole:
            _check_added(each, case)
        for name, value in case.seen:
            assert whole[-1].get(name) == value, whole[-1].raw


def echo(request: Received) -> Reply:
    """An answer with the target that was asked for."""
    body = b"" if request.method == "HEAD" else request.target.encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(request.target), body)


class _Script:
    """The origin's side: probes get their own target back, other requests what the case says."""

    def __init__(self, case: Case, *, bytewise: bool) -> None:
        self._replies = list(case.replies)
        self._bytewise = bytewise

    def __call__(self, request: Received) -> Reply:
        if not self._replies or request.target.startswith("/probe-"):
            return echo(request)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        steps: list[bytes | End] = list(_pieces(reply.data, bytewise=self._bytewise))
        if reply.ending:
            steps.append(_ENDINGS[reply.ending])
        return steps


class _Talk:
    """The client's side."""

    def __init__(self, client: Client, case: Case, *, bytewise: bool) -> None:
        self._client = client
        self._case = case
        self._bytewise = bytewise

    def run(self) -> None:
        for step in self._case.steps:
            if isinstance(step, Send):
                self._send(step.data)
            elif isinstance(step, Interim):
                answer = self._client.read_answer(until_status=step.status)
                assert answer.status == step.status, f"got {answer} instead of {step.status}"
                for word, value in step.notes:
                    _check_note(answer, word, value)
            elif isinstance(step, Act):
                self._client.finish_writing() if step.how == "finish" else self._client.reset()
            else:
                self._expect(step)

    # Private

    def _send(self, data: bytes) -> None:
        try:
            self._client.send(*_pieces(data, bytewise=self._bytewise))
        except Reset:
            return  # refused before the end of it: the answer may be here already

    def _expect(self, wanted: Expectation) -> None:
        client = self._client
        if not wanted.status:
            got = client.read_to_end()
            assert got == b"", f"got {got!r} instead of an end"
            return
        if wanted.ending in ("cut", "reset"):
            self._expect_cut(wanted)
            return
        answer = client.read_answer(wanted.method)
        assert answer.status == wanted.status, f"got {answer}"
        for word, value in wanted.notes:
            _check_note(answer, word, value)
        if wanted.ending == "keep":
            assert not answer.closes, f"closes: {answer}"
        elif wanted.ending == "close":
            assert answer.closes, f"does not say that it closes: {answer}"
            assert client.ending() == "fin"

    def _expect_cut(self, wanted: Expectation) -> None:
        head = self._client.read_until(b"\r\n\r\n")
        assert head.split(b" ")[1] == b"%d" % wanted.status, head
        self._client.buffer = head + self._client.buffer
        try:
            answer = self._client.read_answer(wanted.method)
        except Reset:
            return
        except Closed:
            assert wanted.ending == "cut", "closed properly instead of a reset"
            return
        raise AssertionError(f"looks whole: {answer}")


def _number(received: Received) -> int:
    """Which request of the worker that was; one that has another id, or none yet, is the latest."""
    found = re.fullmatch(r"[0-9a-f]+-[0-9a-f]+-([0-9a-f]+)", received.get("X-Request-Id"))
    return int(found[1], 16) if found else sys.maxsize


def _is_kept(case: Case) -> bool:
    last = case.steps[-1]
    return isinstance(last, Expectation) and last.ending == "keep"


def _pieces(data: bytes, *, bytewise: bool) -> list[bytes]:
    return cut_at(data, range(1, len(data))) if bytewise and data else [data]


def _check_note(answer: Answer, word: str, value: str) -> None:
    if word == "body":
        assert answer.body.decode("latin-1") == value, answer
    elif word == "no-header":
        assert value.lower() not in [name.lower() for name, _ in answer.headers], answer
    elif word == "reason":
        assert answer.get("X-Edge-Error") == value, answer
    else:
        name, _, wanted = value.partition(":")
        fields = answer.headers if word == "header" else answer.trailers
        got = [text for key, text in fields if key.lower() == name.lower()]
        assert got == [wanted.strip()], answer


def _split(data: bytes) -> Iterator[bytes]:
    """The requests of a pipeline, cut by h11."""
    while data.strip(b"\r\n"):
        reader = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        reader.receive_data(data)
        while not isinstance(event := reader.next_event(), h11.EndOfMessage):
            assert not isinstance(event, type(h11.NEED_DATA)) or event is not h11.NEED_DATA, data
        end = len(data) - len(reader.trailing_data[0])
        yield data[:end]
        data = data[end:]


def _comparable(raw: bytes) -> tuple[bytes, list[bytes], list[bytes], bool, bytes, object]:
    """A request without what the edge adds: line, fields, moved fields, body and trailers.

    The order of fields counts, save for those that the edge writes itself. How a body is framed
    does not, but whether it is framed at all does.
    """
    raw = raw.lstrip(b"\r\n")
    head, _, rest = raw.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    named = [(field.partition(b":")[0].lower(), field) for field in fields]
    kept = [f for name, f in named if name not in ADDED | FRAMING | MOVED]
    moved = sorted(_spelled(f) for name, f in named if name in MOVED)
    framed = any(name in FRAMING for name, _ in named)
    return line, kept, moved, framed, *_body(raw, rest)


def _spelled(field: bytes) -> bytes:
    name, _, value = field.partition(b":")
    return b"%b: %b" % (name.lower(), value.strip().lower())


def _body(raw: bytes, rest: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    if not rest:
        return b"", []
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    reader.receive_data(raw)
    body = b""
    while True:
        event = reader.next_event()
        if isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return body, event.headers.raw_items()  # type: ignore[attr-defined]
        elif not isinstance(event, h11.Request):
            raise AssertionError(f"not a whole request: {raw!r}: {event}")


def _check_added(request: Received, case: Case) -> None:
    """The edge's own fields, once each and true."""
    names = [name.lower() for name, _ in request.headers]
    for name in ("host", "x-forwarded-for", "x-real-ip", "x-forwarded-proto", "x-request-id"):
        assert names.count(name) == 1, f"{names.count(name)} of {name} in {request.raw!r}"
    for name in ("content-length", "transfer-encoding"):
        assert names.count(name) <= 1, request.raw
    assert re.search(r"(^|, )1\.[01] edged$", request.get("via")), request.raw
    if case.source in ("", "127.0.0.1"):
        assert request.get("x-forwarded-for") == "127.0.0.1", request.raw
        assert request.get("x-real-ip") == "127.0.0.1", request.raw
        assert request.get("x-forwarded-proto") == "http", request.raw
        asked = request.get("host").lower() if _names_host(case.sent) else ""
        assert request.get("x-forwarded-host") == asked, request.raw
        assert "forwarded" not in names, request.raw


def _names_host(data: bytes) -> bool:
    return b"\nhost:" in data.lower() or b"://" in data
