"""Requests for properties: right ones, wrong ones, and what two readers make of them.

`ours` reads with the edge's parser and decoders, `theirs` with h11, which shares no code with it.
"""

from dataclasses import dataclass, field

import h11
from hypothesis import strategies as st

from edge.errors import EdgeError, Reason
from edge.http1.framing import decoder_for
from edge.http1.parse import parse_request
from edge.table.model import Limits
from tests.support.client import cut_at

LIMITS = Limits()


@dataclass
class Reading:
    """What a reader made of a connection's bytes."""

    requests: list[tuple[str, str, bytes]] = field(default_factory=list)  # method, target, body
    ending: str = "waits"  # or "closes", "refuses"


def ours(pieces: list[bytes]) -> Reading:
    """The edge's reading of bytes that come in pieces."""
    reading = Reading()
    buffer = b""
    feeds = iter(pieces)
    try:
        while True:
            while buffer[:2] == b"\r\n":
                buffer = buffer[2:]
            request = parse_request(buffer, LIMITS) if buffer else None
            if request is None:
                buffer += next(feeds)
                continue
            decoder = decoder_for(request.length, Reason.BAD_REQUEST)
            body = decoder.feed(buffer[request.end :]) if request.length else b""
            while not decoder.done:
                body += decoder.feed(next(feeds))
            buffer = decoder.rest if request.length else buffer[request.end :]
            reading.requests.append((request.method, request.target, body))
            if not request.keep:
                reading.ending = "closes"
                return reading
    except EdgeError as error:
        reading.ending = f"refuses: {error.reason}"
    except StopIteration:
        pass
    return reading


def theirs(data: bytes) -> Reading:
    """The reading of h11, one connection object for each request."""
    reading = Reading()
    while True:
        while data[:2] == b"\r\n":
            data = data[2:]
        reader = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        reader.receive_data(data)
        method = target = ""
        body = b""
        try:
            while not isinstance(event := reader.next_event(), h11.EndOfMessage):
                if isinstance(event, h11.Request):
                    method, target = event.method.decode(), event.target.decode("latin-1")
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                else:
                    return reading
        except h11.RemoteProtocolError:
            reading.ending = "refuses"
            return reading
        reading.requests.append((method, target, body))
        data = reader.trailing_data[0]


def cuts(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """The data in pieces, cut anywhere."""
    places = st.sets(st.integers(1, max(1, len(data) - 1)), max_size=12)
    return places.map(lambda chosen: cut_at(data, sorted(chosen)))


@st.composite
def right_requests(draw: st.DrawFn) -> bytes:
    """A request that every server takes."""
    method = draw(st.sampled_from(["GET", "POST", "PUT", "DELETE", "BREW"]))
    target = draw(st.sampled_from(["/", "/a", "/a/b?c=d", "/%41;x?y=%zz", "//a"]))
    fields = draw(st.lists(st.sampled_from(_RIGHT_FIELDS), max_size=4))
    places = draw(st.permutations([b"Host: wire.test", *fields]))
    framing, body = draw(_right_bodies())
    head = f"{method} {target} HTTP/1.1".encode()
    return b"\r\n".join([head, *places, *framing, b"", b""]) + body


@st.composite
def doubtful_requests(draw: st.DrawFn) -> bytes:
    """A right request with a few faults, at the places where servers differ."""
    data = draw(right_requests())
    for _ in range(draw(st.integers(1, 3))):
        data = draw(st.sampled_from(_FAULTS))(draw, data)
    return data


# Private

_RIGHT_FIELDS = [
    b"Accept: */*", b"accept-encoding:gzip", b"Cookie: a=b; c=d", b"X-Empty:", b"X-A: \t one\t ",
    b"Connection: keep-alive", b"TE: trailers", b"X-Bytes: caf\xe9", b"Expect: 100-continue",
]  # fmt: skip

_WRONG_FIELDS = [
    b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: +5", b"Content-Length: 5, 5",
    b"Content-Length : 5", b"Content-Length: 0x5", b"Content-Length:", b"content-length: 00",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: xchunked", b"Transfer-Encoding : chunked",
    b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding:\x0bchunked",
    b"transfer-encoding: CHUNKED", b"Transfer-Encoding:\r\n chunked", b"Transfer_Encoding: chunked",
    b"Host: other.test", b" X-Folded: yes", b"X-A: one\n two", b"X-A: one\rX-B: two", b"X-\0: y",
    b"Connection: close", b"Connection: content-length", b"Upgrade: h2c", b": no name", b"no colon",
]  # fmt: skip

_WRONG_BYTES = [
    b"\r", b"\n", b"\0", b" ", b"\t", b":", b"\x0b", b"\x85", b"\xa0", b"\x7f", b";", b",", b"0",
    b"5", b"a", b"_", b"\r\n", b"\r\n\r\n", b"GET / HTTP/1.1\r\n",
]  # fmt: skip


@st.composite
def _right_bodies(draw: st.DrawFn) -> tuple[list[bytes], bytes]:
    payload = draw(st.sampled_from([b"", b"hello", b"0\r\n\r\n", b"GET /evil HTTP/1.1\r\n\r\n"]))
    if draw(st.booleans()):
        return ([b"Content-Length: %d" % len(payload)], payload) if payload else ([], b"")
    size = draw(st.sampled_from([b"%x", b"%X", b"0%x"])) % len(payload)
    extension = draw(st.sampled_from([b"", b";a", b";a=b", b';a="b c"']))
    chunk = size + extension + b"\r\n" + payload + b"\r\n" if payload else b""
    trailers = draw(st.sampled_from([b"", b"X-Check: 1\r\n"]))
    return [b"Transfer-Encoding: chunked"], chunk + b"0\r\n" + trailers + b"\r\n"


def _another_field(draw: st.DrawFn, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    # In the head only: what may trail is judged by taste, and h11 has another.
    place = draw(st.integers(1, lines.index(b"") if b"" in lines else 1))
    lines.insert(place, draw(st.sampled_from(_WRONG_FIELDS)))
    return b"\r\n".join(lines)


def _other_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    place = draw(st.integers(0, len(data)))
    gone = draw(st.integers(0, 2))
    return data[:place] + draw(st.sampled_from(_WRONG_BYTES)) + data[place + gone :]


def _fewer_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    place = draw(st.integers(0, len(data)))
    return data[:place] + data[place + draw(st.integers(1, 3)) :]


def _other_line_end(draw: st.DrawFn, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    place = draw(st.integers(1, max(1, len(lines) - 1)))
    end = draw(st.sampled_from([b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n "]))
    return b"\r\n".join(lines[:place]) + end + b"\r\n".join(lines[place:])


def _other_version(draw: st.DrawFn, data: bytes) -> bytes:
    version = draw(st.sampled_from([b"HTTP/1.0", b"HTTP/1.2", b"HTTP/0.9", b"http/1.1", b""]))
    return data.replace(b"HTTP/1.1", version, 1)


_FAULTS = [_another_field, _other_bytes, _fewer_bytes, _other_line_end, _other_version]
