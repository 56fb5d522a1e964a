"""Heads of requests and answers, RFC 9112 sections 2 to 6, read strictly.

One compiled pattern checks every byte of a head at once; a second picks out the dozen fields that
the edge itself must understand. All others stay in the block they came in. A head that the first
pattern refuses is looked at again, slowly, to say what is wrong with it.

A function returns None while the head is not complete, and raises `EdgeError` for what it refuses:
a refused request is answered and its connection closed, since its end cannot be known.
"""

import re
from typing import Final

from edge.errors import EdgeError, Reason
from edge.message import CHUNKED, UNTIL_CLOSE, Request, Response
from edge.table.model import Limits
from edge.table.path import canonical_host, normalize

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_PLAIN = rb"[!#$%&'*+\-^`|~0-9A-Za-z]"  # a field name without "_" and "."
_VALUE = rb"[\t\x20-\x7e\x80-\xff]"
_LINE = rb"(" + _TOKEN + rb"{1,32}+) ([\x21\x22\x24-\x7e]++) HTTP/1\.([01])"

# Possessive quantifiers stand on single sets only: Python before 3.11.5 gets others wrong.
# The groups: method, target, minor version. Fields keep the CRLF before them.
_REQUEST: Final = re.compile(_LINE + rb"(?:\r\n" + _PLAIN + rb"++:" + _VALUE + rb"*+)*\r\n\r\n")
_REQUEST_WIDE: Final = re.compile(
    _LINE + rb"(?:\r\n" + _TOKEN + rb"++:" + _VALUE + rb"*+)*\r\n\r\n"
)
_RESPONSE: Final = re.compile(
    rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: (" + _VALUE + rb"*+))?"
    rb"(?:\r\n" + _TOKEN + rb"++:" + _VALUE + rb"*+)*\r\n\r\n"
)

# On a lower-cased block: the fields that the edge must understand, or must not pass on.
_PICKED_REQUEST: Final = re.compile(
    rb"\r\n(host|connection|content-length|transfer-encoding|te|expect|upgrade|keep-alive"
    rb"|proxy-connection|proxy-authorization|http2-settings|x-forwarded-[a-z]+|x-real-ip"
    rb"|x-request-id|forwarded):[\t ]*([^\r]*)"
)
_PICKED_RESPONSE: Final = re.compile(
    rb"\r\n(connection|content-length|transfer-encoding|upgrade|keep-alive|proxy-connection"
    rb"|proxy-authenticate|te):[\t ]*([^\r]*)"
)
_DROPPED_NAMES: Final = re.compile(rb"\r\n[^:\r]*[_.][^:\r]*:[^\r]*")
_DIGITS: Final = re.compile(rb"[0-9]{1,18}")
_FORWARDED: Final = frozenset({b"x-real-ip", b"x-request-id", b"forwarded"})
_END_TO_END: Final = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"te"}
)
_BODILESS: Final = (204, 304)


def parse_request(buffer: bytes, limits: Limits, *, underscores: bool = False) -> Request | None:
    """The request whose head starts the buffer; `request.end` is where its body starts.

    Raises `EdgeError`: `bad-request`, `head-too-large`, `target-too-long`, `method-refused`
    (CONNECT), `version`, `transfer-coding`, `expectation`.
    """
    match = _REQUEST.match(buffer)
    wide = match is None
    if match is None:
        match = _REQUEST_WIDE.match(buffer)
        if match is None:
            _refuse_unmatched(buffer, limits)
            return None
    method, target, minor = match.group(1, 2, 3)
    line_end = match.end(3)
    if line_end > limits.request_line_bytes:
        raise EdgeError(Reason.TARGET_TOO_LONG, f"request line of {line_end} bytes")
    end = match.end() - 4
    if end + 4 > limits.head_bytes:
        raise EdgeError(Reason.HEAD_TOO_LARGE, f"head over {limits.head_bytes} bytes")
    block = buffer[line_end:end]
    if block.count(b"\n") > limits.fields:
        raise EdgeError(Reason.HEAD_TOO_LARGE, f"more than {limits.fields} fields")
    if method == b"CONNECT":
        raise EdgeError(Reason.METHOD_REFUSED, "CONNECT")
    request = Request(method.decode("ascii"), target.decode("ascii"), block)
    request.minor = 1 if minor == b"1" else 0
    request.end = end + 4
    picked = _Picked(block)
    if wide and not underscores:
        picked.drop_odd_names()
    _apply_target(request, target, picked)
    _apply_framing(request, picked)
    request.drops = picked.drops
    request.forwarded = picked.forwarded
    return request


def parse_response(buffer: bytes, method: str, limit_bytes: int) -> Response | None:
    """The answer to a request of that method whose head starts the buffer.

    Raises `EdgeError` (`bad-response`) for what no sane peer sends. The head may be twice as large
    as `limit_bytes`: peers are trusted with that much more than clients.
    """
    match = _RESPONSE.match(buffer)
    if match is None:
        _refuse_response(buffer, 2 * limit_bytes)
        return None
    end = match.end() - 4
    if end > 2 * limit_bytes:
        raise EdgeError(Reason.BAD_RESPONSE, f"head of more than {2 * limit_bytes} bytes")
    minor, status, phrase = match.group(1, 2, 3)
    response = Response.__new__(Response)
    response.status = int(status)
    response.reason = (phrase or b"").decode("latin-1")
    response.minor = 1 if minor == b"1" else 0
    response.end = end + 4
    # The block starts behind the phrase; without fields it is empty.
    start = match.end(3) if phrase is not None else match.end(2)
    response.block = buffer[start:end]
    response.body = None
    response.file = None
    response._headers = None
    response.upgrade = False
    _apply_response_framing(response, method)
    return response


def drops_of(block: bytes) -> list[tuple[int, int]]:
    """The spans of a request block, of a hook's making, that go no further."""
    return _Picked(block).drops


class _Picked:
    """The picked fields of one request block, checked for what must not come twice."""

    __slots__ = ("block", "connection", "drops", "forwarded", "low", "values")

    def __init__(self, block: bytes) -> None:
        self.block = block
        self.low = low = block.lower()
        self.drops: list[tuple[int, int]] = []
        self.forwarded: dict[bytes, bytes] = {}
        self.values: dict[bytes, bytes] = {}
        values = self.values
        for match in _PICKED_REQUEST.finditer(low):
            name = match.group(1)
            if name != b"host":
                self.drops.append(match.span())
                if name in _FORWARDED or name.startswith(b"x-forwarded-"):
                    self._keep_forwarded(name, match.span(2))
                    continue
            if name in values:
                if name in (b"host", b"content-length", b"transfer-encoding"):
                    raise EdgeError(Reason.BAD_REQUEST, f"two {name.decode()} fields")
                values[name] += b"," + match.group(2)
            else:
                values[name] = match.group(2)
        self.connection: frozenset[bytes] = _NO_OPTIONS
        if b"connection" in values:
            self._apply_connection(values[b"connection"])

    def drop_odd_names(self) -> None:
        """Drop fields whose names hold "_" or ".": peers confuse them with others."""
        for match in _DROPPED_NAMES.finditer(self.low):
            if match.span() not in self.drops:
                self.drops.append(match.span())
        self.drops.sort()

    # Private

    def _keep_forwarded(self, name: bytes, span: tuple[int, int]) -> None:
        value = self.block[span[0] : span[1]].rstrip(b" \t")
        before = self.forwarded.get(name)
        self.forwarded[name] = value if before is None else before + b", " + value

    def _apply_connection(self, value: bytes) -> None:
        if value in (b"keep-alive", b"close"):
            self.connection = _KEEP if value == b"keep-alive" else _CLOSE
            return
        self.connection = frozenset(option.strip(b" \t") for option in value.split(b","))
        for option in self.connection - _END_TO_END - _KEEP - _CLOSE:
            if option:
                self._drop_named(option)

    def _drop_named(self, name: bytes) -> None:
        start = 0
        needle = b"\r\n" + name + b":"
        while (found := self.low.find(needle, start)) >= 0:
            stop = self.low.find(b"\r\n", found + 2)
            span = (found, stop if stop >= 0 else len(self.low))
            if span not in self.drops:
                self.drops.append(span)
            start = span[1]
        self.drops.sort()


_NO_OPTIONS: Final[frozenset[bytes]] = frozenset()
_KEEP: Final = frozenset({b"keep-alive"})
_CLOSE: Final = frozenset({b"close"})


def _apply_target(request: Request, target: bytes, picked: _Picked) -> None:
    """Check target and Host against each other (RFC 9112 sections 3.2 and 3.3)."""
    host = picked.values.get(b"host")
    try:
        if host is not None:
            request.authority = host = host.rstrip(b" \t")
            request.host = canonical_host(host) if host else ""
        elif request.minor == 1:
            raise ValueError("no Host")
        if target[:1] == b"/":
            request._path = normalize(target.partition(b"?")[0])
        else:
            _apply_odd_target(request, target, host is not None)
    except ValueError as error:
        raise EdgeError(Reason.BAD_REQUEST, str(error)) from None
    if host is not None and not request.host and target[:1] == b"/" and request.minor == 1:
        raise EdgeError(Reason.BAD_REQUEST, "empty Host")


def _apply_odd_target(request: Request, target: bytes, has_host: bool) -> None:
    """Absolute form, which becomes origin form, and the asterisk of OPTIONS."""
    if target == b"*":
        if request.method != "OPTIONS":
            raise ValueError("an asterisk is for OPTIONS only")
        request._path = "/"
        return
    scheme, mark, rest = target.partition(b"://")
    if not mark or scheme.lower() not in (b"http", b"https"):
        raise ValueError(f"bad target {target[:60]!r}")
    cut = next((i for i, byte in enumerate(rest) if byte in b"/?"), len(rest))
    host = canonical_host(rest[:cut])
    if has_host and request.host != host:
        raise ValueError("Host and absolute target disagree")
    request.host = host
    request.authority = request.authority or rest[:cut].lower()
    origin = rest[cut:]
    if origin[:1] != b"/":
        origin = b"/" + origin
    request.target = origin.decode("ascii")
    request._path = normalize(origin.partition(b"?")[0])


def _apply_framing(request: Request, picked: _Picked) -> None:
    """Body length and connection options (RFC 9112 sections 6 and 9)."""
    values = picked.values
    options = picked.connection
    request.keep = b"close" not in options if request.minor else b"keep-alive" in options
    if not values:
        return
    coding = values.get(b"transfer-encoding")
    length = values.get(b"content-length")
    if coding is not None:
        _apply_coding(request, coding.strip(b" \t"), length)
    elif length is not None:
        length = length.rstrip(b" \t")
        if _DIGITS.fullmatch(length) is None:
            raise EdgeError(Reason.BAD_REQUEST, f"bad Content-Length {length[:30]!r}")
        request.length = int(length)
        request.sized = True
    if b"te" in values:
        request.trailers = b"trailers" in values[b"te"]
    expect = values.get(b"expect")
    if expect is not None and request.minor == 1:
        if any(each.strip(b" \t") != b"100-continue" for each in expect.split(b",")):
            raise EdgeError(Reason.EXPECTATION, repr(expect[:30]))
        request.expects = request.length != 0
    if b"upgrade" in options and request.minor == 1:
        request.upgrade = _upgrade_of(values.get(b"upgrade", b""))


def _apply_coding(request: Request, coding: bytes, length: bytes | None) -> None:
    if length is not None:
        raise EdgeError(Reason.BAD_REQUEST, "Content-Length with Transfer-Encoding")
    if request.minor == 0:
        raise EdgeError(Reason.BAD_REQUEST, "Transfer-Encoding in HTTP/1.0")
    if coding != b"chunked":
        raise EdgeError(Reason.TRANSFER_CODING, repr(coding[:30]))
    request.length = CHUNKED


def _upgrade_of(value: bytes) -> bytes:
    """The protocols to offer upstream: h2c never goes on (it would smuggle past the edge)."""
    offers = [offer.strip(b" \t") for offer in value.split(b",")]
    return b", ".join(o for o in offers if o and not o.startswith((b"h2", b"http/")))


def _refuse_response(buffer: bytes, limit_bytes: int) -> None:
    """Raise when what came so far of an answer can never become a good head."""
    if b"\r\n\r\n" in buffer[: limit_bytes + 4]:
        raise EdgeError(Reason.BAD_RESPONSE, f"malformed head: {buffer[:60]!r}")
    if len(buffer) > limit_bytes:
        raise EdgeError(Reason.BAD_RESPONSE, f"head of more than {limit_bytes} bytes")
    if b"HTTP/1."[: len(buffer)] != buffer[:7]:
        raise EdgeError(Reason.BAD_RESPONSE, f"not HTTP/1: {buffer[:20]!r}")


def _refuse_unmatched(buffer: bytes, limits: Limits) -> None:
    """Raise for a head that is complete and bad, or too large; else wait for the rest of it."""
    end = buffer.find(b"\r\n\r\n")
    if 0 <= end <= limits.head_bytes - 4:
        raise _diagnosis(buffer[: end + 4], limits)
    _refuse_partial(buffer, limits, complete=end >= 0)


def _refuse_partial(buffer: bytes, limits: Limits, *, complete: bool) -> None:
    """Raise when what came so far can never become a good head; cheap enough for each read."""
    if buffer in (b"", b"\r"):
        return
    line = buffer.find(b"\r\n", 0, limits.request_line_bytes + 2)
    if line < 0 and len(buffer) > limits.request_line_bytes:
        raise EdgeError(Reason.TARGET_TOO_LONG, f"over {limits.request_line_bytes} bytes")
    if complete or len(buffer) > limits.head_bytes:
        raise EdgeError(Reason.HEAD_TOO_LARGE, f"head over {limits.head_bytes} bytes")
    # In the order of `_diagnosis`: what is refused early is refused for the same reason.
    if line < 0:
        if _LINE_START.match(buffer) is None:
            raise EdgeError(Reason.BAD_REQUEST, f"not a request line: {buffer[:40]!r}")
    elif _LINE_WHOLE.match(buffer, 0, line) is None:
        raise _diagnosis(buffer[: line + 2] + b"\r\n", limits)
    if _bare_newline(buffer):
        raise EdgeError(Reason.BAD_REQUEST, "line ends without CR")


_LINE_START: Final = re.compile(_TOKEN + rb"{1,32}(?: [\x21\x22\x24-\x7e]*(?: [HTP/0-9.]*)?)?\r?\Z")
_LINE_WHOLE: Final = re.compile(_LINE + rb"\Z")


def _bare_newline(head: bytes) -> bool:
    return head.count(b"\n") != head.count(b"\r\n")


_LINE_PARTS: Final = re.compile(_TOKEN + rb"{1,32} [\x21\x22\x24-\x7e]+ HTTP/([0-9])\.([0-9])")


def _diagnosis(head: bytes, limits: Limits) -> EdgeError:
    """Why a complete head was refused, for the log; the status follows from the reason."""
    line, _, fields = head.partition(b"\r\n")
    if len(line) > limits.request_line_bytes:
        return EdgeError(Reason.TARGET_TOO_LONG, f"request line of {len(line)} bytes")
    parts = _LINE_PARTS.fullmatch(line)
    if parts is not None and (parts[1] != b"1" or parts[2] not in (b"0", b"1")):
        return EdgeError(Reason.VERSION, f"HTTP/{parts[1].decode()}.{parts[2].decode()}")
    if _LINE_WHOLE.match(line) is None:
        return EdgeError(Reason.BAD_REQUEST, f"bad request line {line[:80]!r}")
    if _bare_newline(head):
        return EdgeError(Reason.BAD_REQUEST, "line ends without CR")
    bad = next((f for f in fields.split(b"\r\n") if f and _GOOD_FIELD.fullmatch(f) is None), b"")
    if bad[:1] in (b" ", b"\t"):
        return EdgeError(Reason.BAD_REQUEST, "folded header line")
    return EdgeError(Reason.BAD_REQUEST, f"bad header line {bad[:80]!r}")


_GOOD_FIELD: Final = re.compile(_TOKEN + rb"+:" + _VALUE + rb"*")


def _apply_response_framing(response: Response, method: str) -> None:
    """Body length and connection options of an answer (RFC 9112 section 6.3)."""
    response.drops = []
    low = response.block.lower()
    length, coding, options = _pick_response(response, low)
    if coding is not None:
        if length is not None:
            raise EdgeError(Reason.BAD_RESPONSE, "Content-Length with Transfer-Encoding")
        if coding != b"chunked" or response.minor == 0:
            raise EdgeError(Reason.BAD_RESPONSE, f"Transfer-Encoding {coding[:30]!r}")
    _apply_options(response, low, options)
    if method == "HEAD" or response.status < 200 or response.status in _BODILESS:
        response.length = 0
    elif coding is not None:
        response.length = CHUNKED
    elif length is not None:
        response.length = int(length)
    else:
        response.length = UNTIL_CLOSE
        response.keep = False


def _pick_response(response: Response, low: bytes) -> tuple[bytes | None, bytes | None, bytes]:
    """Content-Length, Transfer-Encoding and Connection of an answer; marks what goes no further."""
    length: bytes | None = None
    coding: bytes | None = None
    options = b""
    for match in _PICKED_RESPONSE.finditer(low):
        name, value = match.group(1, 2)
        if name == b"content-length":
            if length is not None:
                raise EdgeError(Reason.BAD_RESPONSE, "two Content-Length fields")
            length = value.rstrip(b" \t")
            if _DIGITS.fullmatch(length) is None:
                raise EdgeError(Reason.BAD_RESPONSE, f"bad Content-Length {length[:30]!r}")
            if response.status < 200 or response.status == 204:
                response.drops.append(match.span())  # RFC 9110 section 8.6
            continue
        response.drops.append(match.span())
        if name == b"transfer-encoding":
            coding = value.rstrip(b" \t") if coding is None else b"twice"
        elif name == b"connection":
            options = value if not options else options + b"," + value
    return length, coding, options


def _apply_options(response: Response, low: bytes, options: bytes) -> None:
    if not options or options == b"keep-alive":
        response.keep = response.minor == 1 or bool(options)
        return
    if options == b"close":
        response.keep = False
        return
    names = {option.strip(b" \t") for option in options.split(b",")}
    response.keep = b"close" not in names and (response.minor == 1 or b"keep-alive" in names)
    response.upgrade = b"upgrade" in names
    extra = names - _END_TO_END - _KEEP - _CLOSE - {b""}
    for name in extra:
        for match in re.finditer(rb"\r\n" + re.escape(name) + rb":[^\r]*", low):
            if match.span() not in response.drops:
                response.drops.append(match.span())
    if extra:
        response.drops.sort()
