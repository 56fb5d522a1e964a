r"""A wire case: bytes as data, what must come of them, and the rule that says so.

    # RFC 9112 §6.1: both framings at once are refused
    > POST / HTTP/1.1\r\n
    > Host: wire.test\r\n
    > Content-Length: 5\r\nTransfer-Encoding: chunked\r\n
    > \r\n
    expect: 400 close
    reason: bad-request
    origin: nothing

Lines run from top to bottom. The first is a comment with an RFC section or a CVE.

`> ` `< ` `= `   bytes that the client sends, that the origin answers, that the origin must receive.
                 Ends of lines do not count; \r \n \t \0 \\ \xHH are escapes, and \*{9000 abc} is
                 "abc" 9000 times
`expect:`        [METHOD] STATUS [keep|close|cut|reset]; or "closed": an end without an answer.
                 keep: the connection must serve another request. cut: it must not look whole
`interim:`       wait for that 1xx before going on
`header:` `no-header:` `body:` `trailer:` `reason:`   of the answer, or 1xx, named last
`origin:`        nothing; same (all that was sent, as it was sent); cut (no whole request);
                 request (`= ` lines follow); any
`origin-header:` a field of the last request that the origin got, where the edge writes it itself
`reply:`         `< ` lines for the next request follow; only needed when requests differ in it
`origin-ends:`   close, reset or hang, after the bytes of the reply
`from:`          client's local address: 127.0.0.2 is a trusted proxy, 127.0.0.3 must send PROXY
`client:`        finish (close the sending half) or reset
`whole-only:`    why the bytes are not sent one by one as well
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent

_REFERENCE: Final = re.compile(r"# .*?(RFC \d{3,4} §\d|CVE-\d{4}-\d{4,}|PROXY protocol §\d)")
_ESCAPE: Final = re.compile(rb"\\(?:([rnt0\\])|x([0-9A-Fa-f]{2})|\*\{(\d+) ([^}]*)\})")
_PLAIN: Final = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}
_ENDINGS: Final = ("", "keep", "close", "cut", "reset")
_NOTES: Final = ("header", "no-header", "body", "trailer", "reason")


class BadCase(Exception):
    """A case file that does not say what it must."""


@dataclass
class Expectation:
    """One answer."""

    method: str = "GET"
    status: int = 0  # 0: none, the connection ends
    ending: str = ""
    notes: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Send:
    """The client sends."""

    data: bytes


@dataclass
class Interim:
    """The client waits for a 1xx."""

    status: int
    notes: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Act:
    """The client ends its side."""

    how: str


@dataclass
class Reply:
    """What the origin answers."""

    data: bytes = b""
    ending: str = ""


@dataclass
class Case:
    """One file."""

    name: str
    reference: str
    steps: list[Send | Interim | Act | Expectation] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    origin: str = "any"
    wanted: list[bytes] = field(default_factory=list)  # requests, with `origin: request`
    seen: list[tuple[str, str]] = field(default_factory=list)  # fields of the last request
    source: str = ""
    whole_only: str = ""

    @property
    def sent(self) -> bytes:
        """All that the client sends."""
        return b"".join(step.data for step in self.steps if isinstance(step, Send))


def unescape(text: str) -> bytes:
    """The bytes of an escaped line."""

    def plain(match: re.Match[bytes]) -> bytes:
        letter, code, count, repeated = match.groups()
        if letter:
            return _PLAIN[letter]
        if code:
            return bytes([int(code, 16)])
        return _ESCAPE.sub(plain, repeated) * int(count)

    return _ESCAPE.sub(plain, text.encode("latin-1"))


def parse(text: str, name: str) -> Case:
    """The case in a file's text. Raises `BadCase`."""
    lines = text.split("\n")
    found = _REFERENCE.match(lines[0])
    if found is None:
        raise BadCase(f"{name}: the first line names no RFC section and no CVE")
    case = Case(name, found[1])
    for number, line in enumerate(lines, 1):
        try:
            _take(case, line)
        except (ValueError, IndexError, AttributeError) as error:
            raise BadCase(f"{name}:{number}: {line!r}: {error}") from None
    if not any(isinstance(step, Expectation) for step in case.steps):
        raise BadCase(f"{name}: nothing is expected")
    return case


def load(family: str) -> list[Case]:
    """All cases below a folder."""
    return [
        parse(path.read_text("utf-8"), str(path.relative_to(FOLDER)))
        for path in sorted((FOLDER / family).rglob("*.http"))
    ]


# Private


def _take(case: Case, line: str) -> None:
    if not line or line.startswith("#"):
        return
    if line[:2] in ("> ", "< ", "= "):
        _take_bytes(case, line[0], unescape(line[2:]))
        return
    word, mark, value = line.partition(":")
    if not mark:
        raise ValueError("neither bytes nor `word: value`")
    value = value.strip()
    if word == "expect":
        case.steps.append(_expectation(value))
    elif word == "interim":
        case.steps.append(Interim(int(value)))
    elif word == "client":
        case.steps.append(Act(value))
    elif word in _NOTES:
        case.steps[-1].notes.append((word, value))  # type: ignore[union-attr]
    else:
        _take_setting(case, word, value)


def _take_setting(case: Case, word: str, value: str) -> None:
    if word == "origin":
        if value not in ("nothing", "same", "cut", "any", "request"):
            raise ValueError("unknown origin")
        case.origin = value
        if value == "request":
            case.wanted.append(b"")
    elif word == "origin-header":
        name, _, text = value.partition(": ")
        case.seen.append((name, text))
    elif word == "reply":
        case.replies.append(Reply())
    elif word == "origin-ends":
        case.replies = case.replies or [Reply()]
        case.replies[-1].ending = value
    elif word == "from":
        case.source = value
    elif word == "whole-only":
        case.whole_only = value
    else:
        raise ValueError("unknown word")


def _take_bytes(case: Case, mark: str, data: bytes) -> None:
    if mark == ">":
        if not case.steps or not isinstance(case.steps[-1], Send):
            case.steps.append(Send(b""))
        case.steps[-1].data += data  # type: ignore[union-attr]
    elif mark == "<":
        case.replies = case.replies or [Reply()]
        case.replies[-1].data += data
    else:
        case.wanted[-1] += data


def _expectation(value: str) -> Expectation:
    if value == "closed":
        return Expectation(ending="close")
    words = value.split()
    wanted = Expectation()
    if not words[0].isdigit():
        wanted.method = words.pop(0)
    wanted.status = int(words.pop(0))
    wanted.ending = words.pop(0) if words else ""
    if wanted.ending not in _ENDINGS or words:
        raise ValueError("unknown ending")
    return wanted
