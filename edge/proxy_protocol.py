"""PROXY protocol headers, versions 1 and 2 (haproxy.org, proxy-protocol.txt), without I/O.

Only connections from the networks of `proxy_protocol` begin with one, and they must: guessing
whether a header is there would let any client claim any address.
"""

import ipaddress
import re
import struct
from typing import Final

from edge.errors import EdgeError, Reason

_V2: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_V1: Final = re.compile(rb"PROXY (TCP4|TCP6|UNKNOWN)(?: ([^ \r\n]+) ([^ \r\n]+) (\d+) (\d+))?")
_V1_BYTES: Final = 107
_V2_BYTES: Final = 4096


class NeedMore(Exception):
    """The header is not complete."""


def parse_proxy(buffer: bytes) -> tuple[str, bytes]:
    """The client's address ("" where the proxy speaks for itself) and what follows the header.

    Raises `NeedMore`, or `EdgeError` (`bad-request`) for what is no PROXY header.
    """
    if buffer[:12] == _V2[: len(buffer)]:
        return _parse_v2(buffer)
    if buffer[:6] == b"PROXY "[: len(buffer)]:
        return _parse_v1(buffer)
    raise EdgeError(Reason.BAD_REQUEST, "no PROXY header from an address that must send one")


def _parse_v1(buffer: bytes) -> tuple[str, bytes]:
    end = buffer.find(b"\r\n", 0, _V1_BYTES)
    if end < 0:
        if len(buffer) >= _V1_BYTES:
            raise EdgeError(Reason.BAD_REQUEST, "PROXY header too long")
        raise NeedMore
    match = _V1.fullmatch(buffer, 0, end)
    if match is None:
        # After UNKNOWN anything may stand, to be ignored.
        if buffer.startswith(b"PROXY UNKNOWN"):
            return "", buffer[end + 2 :]
        raise EdgeError(Reason.BAD_REQUEST, f"bad PROXY header {buffer[:end]!r}")
    family, source = match.group(1, 2)
    if family == b"UNKNOWN":
        return "", buffer[end + 2 :]
    return _checked(source or b"", 4 if family == b"TCP4" else 6), buffer[end + 2 :]


def _parse_v2(buffer: bytes) -> tuple[str, bytes]:
    if len(buffer) < 16:
        raise NeedMore
    kind, family, length = struct.unpack_from("!BBH", buffer, 12)
    if kind not in (0x20, 0x21) or length > _V2_BYTES:
        raise EdgeError(Reason.BAD_REQUEST, "bad PROXY v2 header")
    if len(buffer) < 16 + length:
        raise NeedMore
    rest = buffer[16 + length :]
    if kind == 0x20:
        return "", rest  # LOCAL: the proxy's own health check
    if family == 0x11 and length >= 12:
        return str(ipaddress.IPv4Address(buffer[16:20])), rest
    if family == 0x21 and length >= 36:
        return str(ipaddress.IPv6Address(buffer[16:32])), rest
    if family in (0x11, 0x21):
        raise EdgeError(Reason.BAD_REQUEST, "PROXY v2 header too short for its addresses")
    return "", rest


def _checked(text: bytes, version: int) -> str:
    try:
        address = ipaddress.ip_address(text.decode("latin-1"))
    except ValueError:
        raise EdgeError(Reason.BAD_REQUEST, f"bad address in PROXY header {text!r}") from None
    if address.version != version:
        raise EdgeError(Reason.BAD_REQUEST, "PROXY header's address is of the other family")
    return str(address)
