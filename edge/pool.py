"""Connections to peers: made, kept while idle, and taken again last-in first-out.

An idle connection stays watched: when its peer closes it, or sends what nobody asked for, it is
dropped at once. So taking one costs no system call, and a connection that holds stray bytes (an
answer too many) never serves another client.
"""

import errno

import gevent.socket

from edge.connection import Connection, Expired, Gone, monotonic
from edge.dial import dial
from edge.errors import EdgeError, Reason, Retry
from edge.message import Peer
from edge.tls.clients import dial_tls
from edge.tls.connection import HandshakeFailed

RESOLVE_S = 10.0
"""How long the address of a name is believed that a hook has chosen: those of the configuration are
resolved by control. A failed lookup keeps the old one."""


class Pool:
    """The idle upstream connections of one worker, by the peer's address."""

    def __init__(self, registry: set[Connection]) -> None:
        self._registry = registry
        self._idle: dict[str, list[Connection]] = {}
        self._left: set[str] = set()
        self._names: dict[str, tuple[float, str]] = {}
        self.limit = 256
        self.idle_s = 60.0

    def __repr__(self) -> str:
        return f"<Pool {self.idle} idle>"

    @property
    def idle(self) -> int:
        """How many connections wait."""
        return sum(map(len, self._idle.values()))

    def take(self, way: str) -> Connection | None:
        """The connection that was put back last, or None."""
        waiting = self._idle.get(way)
        while waiting:
            connection = waiting.pop()
            if not connection.closed:
                connection.idle = False
                return connection
        return None

    def put(self, way: str, connection: Connection) -> None:
        """Keep a connection whose answer was complete. Past the limit it is closed."""
        waiting = self._idle.setdefault(way, [])
        if len(waiting) >= self.limit or connection.closed or way in self._left:
            connection.close()
            return
        connection.read_deadline = monotonic() + self.idle_s
        connection.idle = True
        connection.watch()
        waiting.append(connection)

    def connect(self, peer: Peer, timeout_s: float) -> Connection:
        """A new connection. Raises `EdgeError`, always to be retried: nothing was sent."""
        address = peer.address
        try:
            target = self._resolve(address, timeout_s)
            if peer.tls is None:
                connection = dial(target, timeout_s, self._registry)
            else:
                connection = dial_tls(target, peer.tls, peer.server_name, timeout_s, self._registry)
        except (HandshakeFailed, Gone) as error:
            text = f"{address}: no TLS: {error}"
            raise EdgeError(Reason.TLS_FAILED, text, retry=Retry.ALWAYS) from None
        except Expired:
            text = f"{address}: no answer for {timeout_s:g} s"
            raise EdgeError(Reason.CONNECT_TIMEOUT, text, retry=Retry.ALWAYS) from None
        except OSError as error:
            refused = error.errno in (errno.ECONNREFUSED, errno.ENOENT)
            reason = Reason.CONNECT_REFUSED if refused else Reason.CONNECT_FAILED
            text = f"{address}: {errno.errorcode.get(error.errno or 0, str(error))}"
            raise EdgeError(reason, text, retry=Retry.ALWAYS) from None
        self._left.discard(peer.way)
        self._mind(peer.way, connection)
        return connection

    def leave(self, way: str) -> None:
        """Keep no connection to a peer that is to end, until it is connected to again: many servers
        wait for those they have."""
        self._left.add(way)
        waiting = self._idle.get(way)
        while waiting:
            waiting.pop().close()

    def close(self) -> None:
        """Close all that wait."""
        for waiting in self._idle.values():
            while waiting:
                waiting.pop().close()

    # Private

    def _resolve(self, address: str, timeout_s: float) -> str:
        """An address as it is; a name by the resolver, off the loop, remembered for a while."""
        if address[0] in "[u" and (address[0] == "[" or address.startswith("unix:")):
            return address
        if address[0].isdigit():
            return address
        known = self._names.get(address)
        now = monotonic()
        if known is not None and known[0] > now:
            return known[1]
        host, _, port = address.rpartition(":")
        try:
            with gevent.Timeout(timeout_s, OSError(errno.ETIMEDOUT, "name lookup timed out")):
                found = gevent.socket.getaddrinfo(host, int(port), type=gevent.socket.SOCK_STREAM)
        except OSError:
            if known is None:
                raise
            return known[1]
        host = str(found[0][4][0])
        resolved = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._names[address] = (now + RESOLVE_S, resolved)
        return resolved

    def _mind(self, way: str, connection: Connection) -> None:
        """Drop it when anything comes while it is idle: its end, or bytes nobody asked for."""
        waiting = self._idle.setdefault(way, [])

        def drop() -> None:
            if not connection.idle:
                connection.pause()
                return
            if not connection.is_stale():
                return  # with TLS: a ticket that came late
            end()

        def end() -> None:
            connection.close()
            if connection in waiting:
                waiting.remove(connection)

        connection.on_readable = drop
        connection.on_expired = end
