"""Addresses as people write them: where edged listens, and where peers are."""

import ipaddress
import re
from typing import Final

UNIX_PATH_BYTES: Final = 107
"""The longest path of a unix socket that Linux takes."""


def parse_listener(text: str) -> str:
    """The canonical form of ":80", "0.0.0.0:80", "[::]:80"; raises `ValueError`.

    ":80" stays as it is: what it stands for depends on the machine, see `resolve`.
    """
    _refuse_scheme(text)
    if re.fullmatch("[0-9]+", text):
        raise ValueError(f'"{text}" is a port only: write ":{text}"')
    host, port = _split(text, "127.0.0.1:8080")
    if host in ("", "*"):
        return f":{port}"
    try:
        return f"{_literal(host)}:{port}"
    except ValueError:
        raise ValueError(
            f'"{host}" is no IP address: write "127.0.0.1:{port}" for this machine only,'
            f' ":{port}" for all addresses'
        ) from None


def parse_peer(text: str) -> str:
    """The canonical form of "IP:port", "[v6]:port", "name:port", "srv:name", "unix:/path"; or
    `ValueError`.

    A relative unix path stays relative, see `resolve`.
    """
    if text.startswith("unix:"):
        return f"unix:{_unix_path(text)}"
    if is_service(text):
        return _service(text)
    _refuse_scheme(text)
    if re.fullmatch(":?[0-9]*", text):
        raise ValueError(f'"{text}" has no host: write "127.0.0.1:{text.lstrip(":")}"')
    host, port = _split(text, "127.0.0.1:9000")
    try:
        return f"{_literal(host)}:{port}"
    except ValueError:
        if not is_hostname(host):
            raise ValueError(f'"{host}" in "{text}" is no IP address and no host name') from None
    return f"{host.lower()}:{port}"


def is_service(peer: str) -> bool:
    """Whether that is the name of SRV records, and not a host "srv" with its port."""
    return peer.startswith("srv:") and not peer.removeprefix("srv:").isdigit()


def is_name(peer: str) -> bool:
    """Whether a peer in canonical form stands for addresses that must be looked up."""
    return not _ADDRESS.match(peer)


def parse_nameserver(text: str) -> str:
    """The canonical form of "IP" (port 53), "IP:port" or "[v6]:port"; raises `ValueError`."""
    _refuse_scheme(text)
    try:
        ip = ipaddress.ip_address(text)
        return f"[{ip}]:53" if ip.version == 6 else f"{ip}:53"
    except ValueError:
        host, port = _split(text, "127.0.0.1:53")
    try:
        return f"{_literal(host)}:{port}"
    except ValueError:
        raise ValueError(f'"{host}" is no IP address: write "127.0.0.1:{port}"') from None


def parse_network(text: str) -> str:
    """The canonical form of an address or a CIDR block; raises `ValueError`."""
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        pass
    try:
        meant = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f'"{text}" is no network: write "10.0.0.0/8", "fd00::/8" or one address'
        ) from None
    raise ValueError(f'"{text}" has bits set behind its prefix: write "{meant}"')


def parse_authority(text: str) -> str:
    """A `host` or `host:port` that may stand in a Host field; raises `ValueError`."""
    _refuse_scheme(text)
    if not _AUTHORITY.fullmatch(text):
        raise ValueError(f'"{text}" is no host: write "app.internal" or "app.internal:8080"')
    return text.lower()


def is_hostname(text: str) -> bool:
    """Whether that is a name, and no address."""
    return bool(_NAME.fullmatch(text)) and not text.rsplit(".", 1)[-1].isdigit()


# Private

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_LABEL: Final = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_NAME: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_ADDRESS: Final = re.compile(r"unix:|\[|[0-9.]+:[0-9]+\Z")
_AUTHORITY: Final = re.compile(
    rf"(?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\])(?::[1-9][0-9]{{0,4}})?"
)


def _refuse_scheme(text: str) -> None:
    if (match := _SCHEME.fullmatch(text)) is None:
        return
    rest = match[2].split("/", 1)[0]
    raise ValueError(
        f'"{text}" is a URL: drop the scheme and write "{rest}"'
        if rest
        else f'"{text}" is a URL: write "127.0.0.1:9000" or "unix:/path"'
    )


def _service(text: str) -> str:
    name = text.removeprefix("srv:")
    bare, colon, _ = name.partition(":")
    if colon:
        raise ValueError(f'"{text}" has a port: SRV records say it, write "srv:{bare}"')
    if not is_hostname(name):
        raise ValueError(f'"{text}" names no service: write it like "srv:_http._tcp.api.internal"')
    return f"srv:{name.lower()}"


def _split(text: str, example: str) -> tuple[str, int]:
    if not text:
        raise ValueError(f'is empty: write an address like "{example}"')
    host, colon, port = text.rpartition(":")
    if colon and ":" in host and not host.startswith("["):
        raise ValueError(f'"{text}" is ambiguous: an IPv6 address goes in brackets, "[::1]:8080"')
    if not colon or host.startswith("[") != host.endswith("]"):
        raise ValueError(f'"{text}" has no port: write it like "{example}"')
    if "/" in port:
        raise ValueError(f'"{text}" has a path: an address is host and port, like "{example}"')
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ValueError(f'"{text}" has a bad port: ports are 1 to 65535')
    return host, int(port)


def _literal(host: str) -> str:
    if host.startswith("["):
        return f"[{ipaddress.IPv6Address(host[1:-1])}]"
    return str(ipaddress.IPv4Address(host))


def _unix_path(text: str) -> str:
    path = text.removeprefix("unix:")
    if path.startswith("//"):
        path = "/" + path.lstrip("/")
    if not path or "\0" in path:
        raise ValueError(f'"{text}" has no path: write "unix:/run/app.sock"')
    if len(path.encode()) > UNIX_PATH_BYTES:
        raise ValueError(f'"{text}" is too long: a socket path has at most {UNIX_PATH_BYTES} bytes')
    return path
