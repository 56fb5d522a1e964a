"""PROXY headers, versions 1 and 2."""

import struct

import pytest

from edge.errors import EdgeError
from edge.proxy_protocol import NeedMore, parse_proxy

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def v2(command: int, family: int, payload: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(payload)) + payload


TCP4 = bytes([192, 0, 2, 7, 10, 0, 0, 1]) + struct.pack("!HH", 1234, 80)
TCP6 = b"\x20\x01\x0d\xb8" + bytes(11) + b"\x07" + bytes(16) + struct.pack("!HH", 1, 2)
GOOD = [
    (b"PROXY TCP4 192.0.2.7 10.0.0.1 1234 80\r\n", "192.0.2.7"),
    (b"PROXY TCP6 2001:db8::7 ::1 1234 80\r\n", "2001:db8::7"),
    (b"PROXY UNKNOWN\r\n", ""),
    (b"PROXY UNKNOWN whatever it says\r\n", ""),
    (v2(0x21, 0x11, TCP4), "192.0.2.7"),
    (v2(0x21, 0x21, TCP6), "2001:db8::7"),
    (v2(0x21, 0x11, TCP4 + b"\x04\x00\x01x"), "192.0.2.7"),
    (v2(0x20, 0x00, b""), ""),
    (v2(0x21, 0x31, b"x" * 216), ""),
]
BAD = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"PROXY TCP4 192.0.2.7\r\n",
    b"PROXY TCP4 ::1 ::1 1 2\r\n",
    b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 nonsense 10.0.0.1 1 2\r\n",
    b"PROXY TCP4 " + b"1" * 200,
    v2(0x31, 0x11, TCP4),
    v2(0x22, 0x11, TCP4),
    v2(0x21, 0x11, b"short"),
    SIGNATURE + struct.pack("!BBH", 0x21, 0x11, 60000),
]


@pytest.mark.parametrize(("header", "address"), GOOD)
def test_the_address_comes_out_and_the_rest_stays(header: bytes, address: str) -> None:
    assert parse_proxy(header + b"GET /") == (address, b"GET /")


@pytest.mark.parametrize(("header", "address"), GOOD)
def test_a_header_that_is_cut_anywhere_needs_more(header: bytes, address: str) -> None:
    for cut in range(1, len(header)):
        with pytest.raises(NeedMore):
            parse_proxy(header[:cut])


@pytest.mark.parametrize("data", BAD)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(EdgeError):
        parse_proxy(data)
