"""Paths and hosts in the one form in which routes are matched."""

import ipaddress
import re
from typing import Final
from urllib.parse import unquote_to_bytes

_PLAIN: Final = re.compile(rb"(?:/(?!\.\.?(?:/|\Z))[!-$&-.0-\[\]-~]+)*/?\Z")
_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_BAD: Final = re.compile(rb"[\x00-\x1f\x7f\\]")
_REG_NAME: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_\-.]*[a-z0-9_\-])?")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_CACHED_HOSTS: Final = 4096

_hosts: dict[bytes, str] = {}


def normalize(raw: bytes) -> str:
    """A path percent-decoded once, without dot segments and double slashes.

    Only for matching: what goes upstream stays as it came. Raises `ValueError` for a path that does
    not begin with "/", climbs above the root, holds a bad escape, or, decoded, a control character
    or a backslash (which some servers take for a slash).
    """
    if _PLAIN.match(raw) and raw:
        return raw.decode("ascii")
    if raw[:1] != b"/":
        raise ValueError("a path begins with a slash")
    if _ESCAPE.search(raw):
        raise ValueError("bad percent-escape in the path")
    decoded = unquote_to_bytes(raw)
    if _BAD.search(decoded):
        raise ValueError("control character or backslash in the path")
    kept: list[bytes] = []
    segments = decoded.split(b"/")
    for segment in segments:
        if segment == b"..":
            if not kept:
                raise ValueError("the path climbs above the root")
            kept.pop()
        elif segment not in (b"", b"."):
            kept.append(segment)
    path = b"/" + b"/".join(kept)
    if kept and segments[-1] in (b"", b".", b".."):
        path += b"/"
    return path.decode("utf-8", "surrogateescape")


def canonical_host(raw: bytes | str) -> str:
    """The host of an authority for the lookup: lower case, no port, no trailing dot.

    IPv6 literals keep their brackets. Raises `ValueError` for what is no host: user info, a bad
    port, an address that does not parse, characters that no name has.
    """
    key = raw if isinstance(raw, bytes) else raw.encode("latin-1", "replace")
    host = _hosts.get(key)
    if host is None:
        host = _parse_host(key.decode("latin-1").lower())
        if len(_hosts) >= _CACHED_HOSTS:
            _hosts.clear()
        _hosts[key] = host
    return host


# Private


def _parse_host(text: str) -> str:
    if text.startswith("["):
        literal, bracket, port = text[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise ValueError(f"bad host {text[:60]!r}")
        _check_port(port[1:] if port else "")
        return f"[{ipaddress.IPv6Address(literal)}]"
    host, colon, port = text.partition(":")
    if colon:
        _check_port(port)
    host = host.removesuffix(".")
    if len(host) > 253 or _REG_NAME.fullmatch(host) is None or ".." in host:
        raise ValueError(f"bad host {text[:60]!r}")
    return host


def _check_port(port: str) -> None:
    if port and (_PORT.fullmatch(port) is None or int(port) > 65535):
        raise ValueError(f"bad port {port[:20]!r}")
