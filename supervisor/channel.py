"""The channel between control and master: SOCK_SEQPACKET, one JSON object per packet.

Control asks `{"id": 7, "verb": "status"}` and gets `{"id": 7, "ok": true, …}` or
`{"id": 7, "ok": false, "error": "…"}`. The master tells events, without an id.
Nothing that comes in can hurt the master: what is no request is logged and dropped.
"""

import array
import contextlib
import json
import logging
import selectors
import socket
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from supervisor.journal import Packet

log = logging.getLogger("edged.channel")

PACKET_BYTES: Final = 1 << 20
WAITING: Final = 1024
"""Packets that may wait for a control that does not read; the oldest events go first."""

BATCH: Final = 32
"""Packets taken per turn of the loop."""


class Verb(StrEnum):
    """What control may ask of the master."""

    READY = "ready"
    STATUS = "status"
    APPLY = "apply"
    STOP = "stop"
    REOPEN_LOGS = "reopen-logs"
    UPGRADE = "upgrade"


def pair() -> tuple[int, int]:
    """Two connected descriptors: the master's and control's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for sock in (ours, theirs):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PACKET_BYTES)
    return ours.detach(), theirs.detach()


class Channel:
    """The master's end. Calls `on_request` per request and `on_closed` once at the end."""

    def __init__(
        self,
        fd: int,
        selector: selectors.BaseSelector,
        on_request: Callable[["Channel", Packet], None],
        on_closed: Callable[[], None],
    ) -> None:
        self._sock = socket.socket(fileno=fd)
        self._sock.setblocking(False)
        self._selector = selector
        self._on_request = on_request
        self._on_closed = on_closed
        self._waiting: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self.closed = False
        selector.register(fd, selectors.EVENT_READ, self.serve)

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<Channel {state} fd={self.fd} waiting={len(self._waiting)}>"

    @property
    def fd(self) -> int:
        """Its descriptor; -1 when it is closed."""
        return self._sock.fileno()

    def serve(self) -> None:
        """Read what has come and write what waits."""
        self._flush()
        for _ in range(BATCH):
            if self.closed:
                return
            try:
                packet = self._sock.recv(PACKET_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                log.warning("control's channel broke: %s", error)
                packet = b""
            if not packet:
                self.close()
                self._on_closed()
                return
            self._receive(packet)

    def answer(
        self, request: Packet, *, error: str = "", fds: tuple[int, ...] = (), **fields: object
    ) -> None:
        """Answer a request: ok, or not with that error."""
        if error:
            self.send({"id": request["id"], "ok": False, "error": error, **fields})
        else:
            self.send({"id": request["id"], "ok": True, **fields}, fds)

    def send(self, packet: Packet, fds: tuple[int, ...] = ()) -> None:
        """Send a packet, now or when control reads again. Never blocks and never raises."""
        if self.closed:
            return
        if len(self._waiting) >= WAITING:
            self._waiting.popleft()
        self._waiting.append((json.dumps(packet, separators=(",", ":")).encode(), fds))
        self._flush()

    def close(self) -> None:
        """Close our end: control sees the end of the channel."""
        if not self.closed:
            self.closed = True
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(self._sock)
            self._sock.close()

    # Private

    def _receive(self, packet: bytes) -> None:
        try:
            request = json.loads(packet)
            if not isinstance(request, dict) or not isinstance(request.get("verb"), str):
                raise ValueError("no object with a verb")
        except (ValueError, RecursionError) as error:
            log.error("control sent a packet that is no request (%s): %.200r", error, packet)
            return
        request.setdefault("id", None)
        self._on_request(self, request)

    def _flush(self) -> None:
        while self._waiting and not self.closed:
            packet, fds = self._waiting[0]
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            try:
                self._sock.sendmsg([packet], rights)
            except BlockingIOError:
                break
            except OSError as error:
                # Too large, or control is gone: then the end of the channel follows.
                log.warning("cannot tell control %.80r: %s", packet, error)
            self._waiting.popleft()
        if not self.closed:
            writing = selectors.EVENT_WRITE if self._waiting else 0
            self._selector.modify(self._sock, selectors.EVENT_READ | writing, self.serve)
