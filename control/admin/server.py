"""The admin API's HTTP server: on a unix socket that the master made, for those who may.

Who asks is what the kernel says (SO_PEERCRED): root, edged's own user, or a member of the group
that the socket's file belongs to. The file's mode says the same to whom cannot connect at all.
Workers come here, too, with what they wish for, and get nothing else.
"""

import json
import logging
import os
import pwd
import socket as stdlib_socket
import struct
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol

import gevent
from gevent import pywsgi, socket
from gevent.pool import Pool

from control.admin.protocol import UID, WORKER

log = logging.getLogger("control.admin")

CONNECTIONS: Final = 512
HEAD_WAIT_S: Final = 30.0
SO_PEERGROUPS: Final = 59  # linux/socket.h; Python has no name for it


class Peer(NamedTuple):
    """Who asks."""

    uid: int = -1
    refusal: str = ""  # why it may not
    is_worker: bool = False  # it may ask for wishes only


class Connection(Protocol):
    """What is asked of a connection's socket: who is at its other end."""

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
        """As `socket.getsockopt` with a size. Raises `OSError`."""


class Handler(pywsgi.WSGIHandler):  # type: ignore[misc]
    """One connection. What is malformed, slow or not allowed gets a JSON error and is closed."""

    def handle(self) -> None:
        """Serve the connection, if its peer may ask."""
        self.peer: Peer = self.server.check(self.socket)
        if not self.peer.refusal:
            super().handle()
            return
        try:
            self.socket.sendall(_raw("403 Forbidden", "forbidden", self.peer.refusal))
        except OSError as error:
            log.debug("a refused peer is gone: %s", error)
        finally:
            self.socket.close()

    def get_environ(self) -> dict[str, Any]:
        """As WSGI has it, and who asks."""
        environ: dict[str, Any] = super().get_environ()
        environ[WORKER], environ[UID] = self.peer.is_worker, self.peer.uid
        return environ

    def handle_one_request(self) -> Any:  # noqa: ANN401  pywsgi's own protocol
        """A request, or whatever else came."""
        try:
            return super().handle_one_request()
        except (ValueError, LookupError, OSError, TypeError) as error:
            return self._handle_client_error(error)

    def read_requestline(self) -> str:
        """The first line, in time."""
        with gevent.Timeout(HEAD_WAIT_S, TimeoutError("no request line in time")):
            line: str = super().read_requestline()
        return line

    def read_request(self, raw_requestline: str) -> bool:
        """The rest of the head, in time."""
        with gevent.Timeout(HEAD_WAIT_S, TimeoutError("no whole head in time")):
            return bool(super().read_request(raw_requestline))

    def _handle_client_error(self, ex: BaseException) -> tuple[str, bytes]:
        log.debug("malformed request: %s", ex)
        return "400", _raw("400 Bad Request", "bad-request", "The request is malformed HTTP.")


class Server(pywsgi.WSGIServer):  # type: ignore[misc]
    """A WSGI server on an inherited listening socket, which stays the master's."""

    handler_class = Handler

    def __init__(
        self,
        fd: int,
        application: Callable[..., Iterable[bytes]],
        check: Callable[[Connection], Peer] = lambda _: Peer(),
    ) -> None:
        """`check` says of a connection who its peer is."""
        self.check = check
        super().__init__(
            socket.socket(fileno=fd),
            application,
            spawn=Pool(CONNECTIONS),
            log=None,
            error_log=_Quiet(),
        )

    def __repr__(self) -> str:
        return f"<Server {'open' if self.started else 'closed'}>"

    def update_environ(self) -> None:
        """Nothing to say of an address: a unix socket has none."""
        self.environ.setdefault("SERVER_NAME", "edged")
        self.environ.setdefault("SERVER_PORT", "0")


class PeerCheck:
    """Who may use the admin socket, and for what: the workers' user, if that is another than ours,
    faces strangers all day."""

    def __init__(self, socket_path: str, workers_uid: int) -> None:
        self._path = socket_path
        self._workers_uid = workers_uid

    def __repr__(self) -> str:
        return f"<PeerCheck {self._path}>"

    def __call__(self, connection: Connection) -> Peer:
        """The peer of a connection."""
        size = struct.calcsize("3i")
        ucred = connection.getsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_PEERCRED, size)
        _, uid, gid = struct.unpack("3i", ucred)
        if uid in (0, os.geteuid()):
            return Peer(uid)
        if uid == self._workers_uid:
            return Peer(uid, is_worker=True)
        try:
            wanted = os.stat(self._path).st_gid
        except OSError as error:
            return Peer(uid, f"{self._path} cannot be looked at: {error.strerror}.")
        if wanted == gid or wanted in _groups(connection, uid, gid):
            return Peer(uid)
        return Peer(
            uid,
            f"User id {uid} may not use this socket: be root, edged's own user,"
            f" or in group id {wanted}.",
        )


# Private


class _Quiet:
    """Where pywsgi's complaints about clients go."""

    def write(self, text: str) -> None:
        log.debug("%s", text.rstrip())

    def flush(self) -> None:
        """Nothing is held back."""


def _groups(connection: Connection, uid: int, gid: int) -> list[int]:
    try:
        packed = connection.getsockopt(stdlib_socket.SOL_SOCKET, SO_PEERGROUPS, 1024)
        return list(struct.unpack(f"{len(packed) // 4}I", packed))
    except OSError:
        # Too many groups for the buffer: those that the user has now will do.
        try:
            return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
        except KeyError:
            return []


def _raw(status: str, code: str, message: str) -> bytes:
    body = json.dumps({"error": code, "message": message}).encode() + b"\n"
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
