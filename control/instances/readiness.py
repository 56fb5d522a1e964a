"""Whether a process serves: proven, never presumed.

A connection to its port must be accepted by a socket of its own, not by somebody else's who was
quicker. A process that was given a socket that listens already has to answer on it. Where there is
a health path, it must be content, too. The pause before the next look is a part of the time that
has passed, so that it adds that part at most to the start of an app.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import gevent
from gevent import socket

from control.health import ask
from control.instances import procfs
from control.instances.process import Process
from edge.table.model import HealthCheck

FIRST_PAUSE_S: Final = 0.001
LAST_PAUSE_S: Final = 0.05
PAUSE_PART: Final = 0.04
CONNECT_S: Final = 1.0

ANY_ANSWER: Final = HealthCheck(path="/", low=100, high=599)


class NotReady(Exception):
    """It does not serve. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What an instance must show."""

    start_s: float = 30.0
    check: HealthCheck | None = None
    has_socket: bool = False  # its socket listened before it was there
    listens: bool = True  # False: it serves nobody, and is there when it runs


def prove(process: Process, proof: Proof) -> int:
    """Wait until it serves; the result is its port. Raises `NotReady`."""
    if not proof.listens:
        return 0
    search = _Search(process, proof)
    started = time.monotonic()
    with gevent.Timeout(proof.start_s, False):
        while True:
            process.news.clear()
            if search.look():
                return search.port
            if process.exit is not None:
                raise NotReady(f"it {process.exit.text} before it was ready")
            passed_s = time.monotonic() - started
            process.news.wait(min(max(passed_s * PAUSE_PART, FIRST_PAUSE_S), LAST_PAUSE_S))
    raise NotReady(f"it was not ready within {proof.start_s:g} s: {search.explanation()}")


# Private


class _Search:
    """What is known by now."""

    def __init__(self, process: Process, proof: Proof) -> None:
        self.port = process.record.port
        self._process = process
        self._proof = proof
        self._unwell = ""
        self._is_strangers = False

    def look(self) -> bool:
        """Whether it serves."""
        for word in self._process.said().split():
            if word.isdigit() and 0 < int(word) < 65536:
                self.port = int(word)
        if self.port == 0 or self._process.exit is not None:
            return False
        if self._proof.has_socket:
            return self._answers(self._proof.check or ANY_ANSWER)
        if not _connects(self._process.record.host, self.port) or not self._is_its_own():
            return False
        return self._proof.check is None or self._answers(self._proof.check)

    def explanation(self) -> str:
        """Why it does not."""
        if self._unwell:
            return self._unwell
        if self._is_strangers:
            return f"another program listens on port {self.port}"
        ports = sorted({*self._ports(self._process.record.kin.pids())})
        asked = f"PORT={self.port}" if self.port else "a port that it says on descriptor 4"
        if ports and self.port not in ports:
            return f"it listens on {', '.join(map(str, ports))}, not on {asked}"
        if ports:
            return f"it listens on port {self.port}, but not on HOST={self._process.record.host}"
        return f"it listens on no port, and should on {asked}"

    # Private

    def _is_its_own(self) -> bool:
        """Whether it is this process, or one that it forked, who listens."""
        record = self._process.record
        # Most often it is the first; all are looked for only when it is not.
        is_its_own = self.port in self._ports([record.pid]) or (
            self.port in self._ports(record.kin.pids())
        )
        self._is_strangers = not is_its_own
        return is_its_own

    def _ports(self, pids: list[int]) -> Iterator[int]:
        """Where these processes listen.

        Where we may not look into them (root without CAP_SYS_PTRACE), that of their user; where
        that is no user of their own, all.
        """
        uid = self._process.record.uid
        own, is_complete = procfs.sockets_of(pids)
        for inode, listener in procfs.listeners():
            if inode in own or (not is_complete and uid in (0, listener.uid)):
                yield listener.port

    def _answers(self, check: HealthCheck) -> bool:
        host = self._process.record.host
        address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        if self._proof.has_socket:
            # It was asked before it was there: the answer may take as long as the start does.
            check = replace(check, timeout_s=self._proof.start_s)
            self._unwell = "it does not answer on the socket of its descriptor 3"
        question = gevent.spawn(ask, address, check)
        try:
            gevent.wait([question, self._process.ended], count=1)
            if not question.ready():
                return False
            found: str = question.get()
        finally:
            question.kill(block=False)
        self._unwell = f"its health path {check.path} gives {found}" if found else ""
        return not found


def _connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), CONNECT_S).close()
    except OSError:
        return False
    return True
