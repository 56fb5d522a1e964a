"""Making listening sockets: one descriptor each, or an error that says what to do.

Sockets are plain descriptors here. A socket object that the collector closes in a child would
close whatever has its number by then.
"""

import contextlib
import ctypes
import errno
import os
import socket
import stat
import struct
from typing import Final

from supervisor.errors import ListenError

BACKLOG: Final = 4096
"""Connections that may wait in one slot's queue; the kernel caps it at net.core.somaxconn."""

UNIX_PATH_BYTES: Final = 107

_LISTEN_FDS_START: Final = 3
_SO_ATTACH_REUSEPORT_CBPF: Final = 51


def expand(address: str) -> tuple[str, ...]:
    """The addresses to bind for one that is configured: "[::]:80" means IPv4 as well.

    It becomes a socket for IPv6 only and a companion "0.0.0.0:80". So dual stack needs no mode of
    its own, and "[::]:80" beside "0.0.0.0:80" is no conflict.
    """
    host, port = _split(address)
    return (address, f"0.0.0.0:{port}") if host == "::" else (address,)


def listen(address: str) -> int:
    """A new listening SO_REUSEPORT socket of that address; raises `ListenError`."""
    return _listening(address, reuse_port=True)


def listen_alone(address: str) -> int:
    """A new listening socket that shares its address with no other; raises `ListenError`."""
    return _listening(address, reuse_port=False)


def probe(address: str) -> None:
    """Raise `ListenError` when another process listens there.

    SO_REUSEPORT would let us bind beside another server of the same user, and each would get a
    part of the other's connections.
    """
    with _bound(address, reuse_port=False):
        pass


def listen_unix(path: str, mode: int, gid: int) -> int:
    """A new listening unix socket in place of a stale one; raises `ListenError`."""
    if len(os.fsencode(path)) > UNIX_PATH_BYTES:
        raise ListenError(
            f"cannot listen on {path}: the path of a unix socket has at most {UNIX_PATH_BYTES}"
            f" bytes. Choose a shorter server.run_dir."
        )
    try:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                os.unlink(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
            before = os.umask(0o777 & ~mode)
            try:
                sock.bind(path)
            finally:
                os.umask(before)
            os.chown(path, -1, gid)
            sock.listen(128)
            sock.setblocking(False)
            return sock.detach()
    except OSError as error:
        raise ListenError(
            f"cannot listen on {path}: {_reason(error)}. Make the folder writable for the user"
            f" that runs edged, or choose another server.run_dir."
        ) from None


def close_for_all(fd: int) -> None:
    """Stop listening in every process that holds the socket, and close our descriptor.

    A draining worker may hold the socket for an hour yet; without the shutdown the kernel would go
    on completing handshakes that nobody answers.
    """
    sock = socket.socket(fileno=fd)
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def steer(fd: int, sockets: int) -> bool:
    """Have the kernel give new connections of the socket's group to its first `sockets` only.

    The group is in the order in which its sockets began to listen. False where the kernel has no
    such program; then a connection waits until its slot's worker or a neighbour accepts.
    """
    program = struct.pack(
        "HBBI" * 3,
        *(0x20, 0, 0, 0xFFFFF000 + 56),  # A = a random number
        *(0x94, 0, 0, sockets),  # A %= sockets
        *(0x16, 0, 0, 0),  # return A
    )
    buffer = ctypes.create_string_buffer(program, len(program))
    filter_ = struct.pack("HL", 3, ctypes.addressof(buffer))
    sock = socket.socket(fileno=fd)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, filter_)
    except OSError:
        return False
    finally:
        sock.detach()
    return True


def activated() -> dict[str, list[int]]:
    """The sockets that the service manager passed (LISTEN_FDS), by address or unix path.

    Raises `ListenError` for a descriptor that is no socket.
    """
    if os.environ.pop("LISTEN_PID", "") != str(os.getpid()):
        return {}
    said = os.environ.pop("LISTEN_FDS", "0")
    count = int(said) if said.isdigit() else 0
    os.environ.pop("LISTEN_FDNAMES", None)
    found: dict[str, list[int]] = {}
    for fd in range(_LISTEN_FDS_START, _LISTEN_FDS_START + count):
        try:
            os.set_inheritable(fd, False)
            sock = socket.socket(fileno=fd)
        except OSError as error:
            text = f"descriptor {fd} of LISTEN_FDS={said} is no socket: {error.strerror}"
            raise ListenError(text) from None
        try:
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
            found.setdefault(_name(sock), []).append(fd)
        finally:
            sock.detach()
    return found


# Private


def _name(sock: socket.socket) -> str:
    name = sock.getsockname()
    if sock.family == socket.AF_INET6:
        return f"[{name[0]}]:{name[1]}"
    return f"{name[0]}:{name[1]}" if sock.family == socket.AF_INET else str(name)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _listening(address: str, *, reuse_port: bool) -> int:
    with _bound(address, reuse_port=reuse_port) as sock:
        # Accepted sockets inherit it: one setsockopt per address, not per connection.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        try:
            sock.listen(BACKLOG)
        except OSError as error:
            raise _refusal(address, error) from None
        return sock.detach()


def _bound(address: str, *, reuse_port: bool) -> socket.socket:
    host, port = _split(address)
    is_v6 = address.startswith("[")
    sock: socket.socket | None = None
    try:
        family = socket.AF_INET6 if is_v6 else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if is_v6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        info = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
        sock.bind(info[0][4])
    except OSError as error:
        if sock is not None:
            sock.close()
        raise _refusal(address, error) from None
    return sock


def _refusal(address: str, error: OSError) -> ListenError:
    _, port = _split(address)
    advice = {
        errno.EACCES: "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE (in the"
        " systemd unit: AmbientCapabilities=CAP_NET_BIND_SERVICE), or choose a port from 1024 up",
        errno.EADDRINUSE: f"another process listens there; find it with `ss -ltnp sport = :{port}`"
        " and stop it, or choose another port",
        errno.EADDRNOTAVAIL: "no interface of this machine has that address; list them with"
        " `ip address`",
        errno.EAFNOSUPPORT: "this machine has no IPv6; use an IPv4 address",
        errno.EMFILE: "edged is out of file descriptors; raise its limit (LimitNOFILE= in systemd)",
    }.get(error.errno or 0, "check the address")
    refusal = ListenError(f"cannot listen on {address}: {_reason(error)}; {advice}")
    refusal.__cause__ = error
    return refusal


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
