"""Connecting to a peer's address."""

import _socket
from collections.abc import Callable
from typing import Any

from edge.connection import Connection


def dial(
    address: str,
    timeout_s: float,
    registry: set[Connection],
    *,
    kind: type[_socket.socket] = _socket.socket,
    make: Callable[[_socket.socket, set[Connection]], Connection] = Connection,
) -> Connection:
    """Connect to "IP:port", "[v6]:port" or "unix:/path"; `Expired` or `OSError` when it fails."""
    family, target = parse_address(address)
    sock = kind(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    sock.setblocking(False)
    if family != _socket.AF_UNIX:
        sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    code = sock.connect_ex(target)
    if code not in (0, 115):  # EINPROGRESS
        sock.close()
        raise OSError(code, "cannot connect")
    connection = make(sock, registry)
    if code:
        try:
            connection.wait_writable(timeout_s)
        except BaseException:
            connection.close()
            raise
        code = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        if code:
            connection.close()
            raise OSError(code, "cannot connect")
    return connection


def parse_address(address: str) -> tuple[int, Any]:
    """Socket family and target of a peer's address. Names are not resolved here."""
    if address.startswith("unix:"):
        return _socket.AF_UNIX, address[5:]
    host, _, port = address.rpartition(":")
    if host.startswith("["):
        return _socket.AF_INET6, (host[1:-1], int(port))
    return _socket.AF_INET, (host, int(port))
