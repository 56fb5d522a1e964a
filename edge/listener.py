"""Listening sockets of one slot: accepting, and handing each connection to a session."""

import _socket
import errno
import logging

import gevent

from edge.connection import Connection
from edge.engine import Engine
from edge.handshake import Handshake
from edge.session import Session
from edge.setup import Socket
from edge.shared import counters
from edge.tls.connection import Socket as RawSocket
from edge.tls.connection import TlsConnection
from edge.tls.contexts import Contexts

log = logging.getLogger("edge.listener")

BATCH = 64
"""Connections taken per turn of the loop, so that those already open are served between."""

PAUSE_S = 0.1
"""Out of descriptors or at the limit: try again after that long."""


class Listener:
    """One of the master's sockets, watched while this worker accepts from it."""

    def __init__(
        self, engine: Engine, socket_: Socket, contexts: Contexts | None = None, *, own: bool
    ) -> None:
        """`contexts` are for a socket that speaks TLS."""
        self._contexts = contexts
        self.engine = engine
        self.address = socket_.address
        self.slot = socket_.slot
        self.own = own
        self.tls = socket_.tls
        self._kind = RawSocket if socket_.tls else _socket.socket
        self.exhausted = False  # out of descriptors, for the scoreboard
        self._fd = socket_.fd
        self._family = _socket.AF_INET6 if "[" in socket_.address else _socket.AF_INET
        self._sock = _socket.socket(self._family, _socket.SOCK_STREAM, 0, socket_.fd)
        self._sock.setblocking(False)
        self._loop = gevent.get_hub().loop
        self._watcher = self._loop.io(socket_.fd, 1)
        self._timer = self._loop.timer(PAUSE_S)
        self.accepting = False

    def __repr__(self) -> str:
        state = "accepting" if self.accepting else "paused"
        return f"<Listener {state} {self.address} slot={self.slot}>"

    def start(self) -> None:
        """Accept from now on."""
        if not self.accepting:
            self.accepting = True
            self._watcher.start(self._accept)

    def stop(self) -> None:
        """Accept no more. The socket stays open: its queue belongs to the slot's next worker."""
        if self.accepting:
            self.accepting = False
            self._watcher.stop()
            self._timer.stop()

    # Private

    def _accept(self) -> None:
        engine = self.engine
        for _ in range(BATCH):
            if engine.sessions >= engine.limits.connections:
                self._rest()
                return
            try:
                fd, address = self._sock._accept()  # type: ignore[attr-defined]  # spares the address objects
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self.exhausted = True
                    self._rest()
                    return
                continue  # ECONNABORTED and the like: that one client is gone
            self._welcome(fd, address)
        self.exhausted = False

    def _welcome(self, fd: int, address: tuple[str, int]) -> None:
        engine = self.engine
        sock = self._kind(self._family, _socket.SOCK_STREAM, 0, fd)
        sock.setblocking(False)
        host = address[0]
        if host.startswith("::ffff:"):
            host = host[7:]
        engine.cells[counters.CONNECTIONS] += 1
        if not self.own:
            engine.cells[counters.TAKEOVERS] += 1
        host = host.partition("%")[0]
        if isinstance(sock, RawSocket) and self._contexts is not None:
            Handshake(engine, self._contexts, TlsConnection(sock, engine.connections), host)
        else:
            Session(engine, Connection(sock, engine.connections), host)

    def _rest(self) -> None:
        """Stop for a moment; what waits stays in the kernel's queue."""
        self._watcher.stop()
        self._timer.start(self._resume)

    def _resume(self) -> None:
        self._timer.stop()
        if self.accepting:
            self._watcher.start(self._accept)
