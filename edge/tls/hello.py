"""The name that a client asks for, from the bytes of its hello (RFC 8446 section 4.1.2, RFC 6066
section 3).

Rule 1: takes bytes, gives a name; OpenSSL judges everything else. What makes no sense names nobody.
"""

from typing import Final

LARGEST: Final = 16384 + 5
"""More than one record for a hello is sent by nobody who is in order."""

_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_SERVER_NAME: Final = 0
_HOST_NAME: Final = 0


def server_name(data: bytes) -> str | None:
    """The name as it was sent; "" for none; None when more bytes are needed."""
    if len(data) < 5:
        return None if data[:1] in (b"", b"\x16") else ""
    size = 5 + int.from_bytes(data[3:5], "big")
    if data[0] != _HANDSHAKE or size > LARGEST:
        return ""
    if len(data) < size:
        return None
    try:
        return _name_in(data[5:size])
    except (IndexError, UnicodeDecodeError):
        return ""


def missing(data: bytes) -> int:
    """How long the bytes must be to tell more than they do now; 0 when OpenSSL should have them."""
    if data[:1] != b"\x16":
        return 0
    if len(data) < 5:
        return 5
    size = 5 + int.from_bytes(data[3:5], "big")
    return size if len(data) < size <= LARGEST else 0


# Private


def _name_in(hello: bytes) -> str:
    if hello[0] != _CLIENT_HELLO:
        return ""
    at = 4 + 2 + 32  # its head, the version, the random
    at += 1 + hello[at]  # the session
    at += 2 + _number(hello, at)  # cipher suites
    at += 1 + hello[at]  # compression
    end = at + 2 + _number(hello, at)
    at += 2
    while at + 4 <= end:
        kind, size = _number(hello, at), _number(hello, at + 2)
        if kind == _SERVER_NAME:
            if hello[at + 6] != _HOST_NAME:
                return ""
            first = at + 9
            return hello[first : first + _number(hello, at + 7)].decode("ascii")
        at += 4 + size
    return ""


def _number(data: bytes, at: int) -> int:
    return data[at] << 8 | data[at + 1]
