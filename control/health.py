"""Active checks of peers, once for all workers: each peer is asked again and again.

What is found goes into shared memory, where every worker reads it. So a control that ends leaves
what it knew, and the next one goes on from there.
"""

import errno
import logging
import random
import socket as stdlib_socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import gevent
from gevent import socket

from control.config.address import is_service
from control.events import Events
from edge.errors import EdgeError, Reason
from edge.http1.framing import decoder_for
from edge.http1.parse import parse_response
from edge.shared.peers import Health, Shared
from edge.shared.segment import Segment
from edge.table.model import HealthCheck, Route, decode_route

log = logging.getLogger("control.health")

HEAD_BYTES: Final = 65536
BODY_BYTES: Final = 65536
SPREAD: Final = 0.1
"""Checks come up to that part of their interval earlier or later, so that they spread out."""

_MARK: Final = '"health":'


@dataclass(slots=True)
class _Watched:
    """One peer that is asked."""

    address: str
    check: HealthCheck
    cells: memoryview
    task: gevent.Greenlet | None = None
    good: int = 0  # in a row
    bad: int = 0
    why: str = ""  # it is down


@dataclass(slots=True)
class HealthChecks:
    """All peers that are asked. `why` is for `edgectl peers`."""

    segment: Segment
    events: Events
    _watched: dict[str, _Watched] = field(default_factory=dict)

    def follow(self, published: Mapping[str, str]) -> None:
        """Ask the peers of the routes that are published, or are about to be."""
        wanted = _wanted(published.values())
        for address in [*self._watched]:
            if wanted.get(address) != self._watched[address].check:
                self._forget(address, gone=address not in wanted)
        for address, check in wanted.items():
            if address not in self._watched:
                self._watch(address, check)

    def why(self, address: str) -> str:
        """Why a peer is down, as its last check found."""
        watched = self._watched.get(address)
        return watched.why if watched is not None else ""

    # Private

    def _watch(self, address: str, check: HealthCheck) -> None:
        try:
            index = self.segment.peers.claim(address)
        except (MemoryError, ValueError) as error:
            log.error("%s is used unchecked: %s", address, error)
            return
        watched = _Watched(address, check, self.segment.peers.shared(index))
        if watched.cells[Shared.HEALTH] == Health.UNCHECKED:
            watched.cells[Shared.HEALTH] = Health.UNPROVEN
        self._watched[address] = watched
        watched.task = gevent.spawn(self._ask_on, watched)

    def _forget(self, address: str, *, gone: bool) -> None:
        watched = self._watched.pop(address)
        if watched.task is not None:
            watched.task.kill(block=False)
        if gone:
            watched.cells[Shared.HEALTH] = Health.UNCHECKED

    def _ask_on(self, watched: _Watched) -> None:
        check = watched.check
        while True:
            started = time.monotonic()
            try:
                self._take(watched, ask(watched.address, check))
            except Exception:  # one peer's check must not end silently
                log.exception("the check of %s failed", watched.address)
            pause_s = check.interval_s * random.uniform(1 - SPREAD, 1 + SPREAD)
            gevent.sleep(max(0.0, pause_s - (time.monotonic() - started)))

    def _take(self, watched: _Watched, why: str) -> None:
        """Count one check; `why` is "" for a good one."""
        watched.good, watched.bad = (0, watched.bad + 1) if why else (watched.good + 1, 0)
        watched.why = why
        health = watched.cells[Shared.HEALTH]
        if not why and health != Health.UP and watched.good >= watched.check.rise:
            self._set(watched, Health.UP, "peer-up", f"{watched.address} is up")
        # Never found well: one bad check says as much as three.
        needed = watched.check.fall if health == Health.UP else 1
        if why and health != Health.DOWN and watched.bad >= needed:
            self._set(watched, Health.DOWN, "peer-down", f"{watched.address} is down: {why}")

    def _set(self, watched: _Watched, health: Health, event: str, text: str) -> None:
        watched.cells[Shared.SINCE] = int(time.monotonic() * 1000)
        watched.cells[Shared.HEALTH] = health
        self.events.add(event, text, peer=watched.address)


def ask(address: str, check: HealthCheck) -> str:
    """Check a peer once: "" when it is well, else what was wrong."""
    try:
        late = TimeoutError(f"no answer for {check.timeout_s:g} s")
        with gevent.Timeout(check.timeout_s, late), _connected(address) as sock:
            return _ask(sock, address, check) if check.path else ""
    except (OSError, EdgeError) as error:
        return _reason(error)


# Private


def _wanted(texts: Iterable[str]) -> dict[str, HealthCheck]:
    wanted: dict[str, HealthCheck] = {}
    for text in texts:
        if _MARK in text:
            route = decode_route(text)
            if route.health is not None:
                canary = route.canary.upstreams if route.canary is not None else ()
                for address in route.upstreams + canary:
                    wanted.setdefault(address, _check_of(address, route, route.health))
    return wanted


def _check_of(address: str, route: Route, check: HealthCheck) -> HealthCheck:
    """What is asked of that peer: by its name where it was written as one."""
    for found in route.names:
        if address in found.addresses and not check.host and not is_service(found.name):
            return replace(check, host=found.name)
    return check


def _connected(address: str) -> socket.socket:
    if address.startswith("unix:"):
        sock = socket.socket(stdlib_socket.AF_UNIX, stdlib_socket.SOCK_STREAM)
        try:
            sock.connect(address.removeprefix("unix:"))
        except BaseException:
            sock.close()
            raise
        return sock
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.removeprefix("[").removesuffix("]"), int(port)))


def _ask(sock: socket.socket, address: str, check: HealthCheck) -> str:
    host = check.host or ("localhost" if address.startswith("unix:") else address)
    sock.sendall(
        f"GET {check.path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: edged-health\r\n"
        "Connection: close\r\n\r\n".encode("latin-1")
    )
    buffer = b""
    while (response := parse_response(buffer, "GET", HEAD_BYTES)) is None or response.status < 200:
        if response is not None:
            buffer = buffer[response.end :]
            continue
        data = sock.recv(HEAD_BYTES)
        if not data:
            return "it closed without an answer"
        buffer += data
    if not check.low <= response.status <= check.high:
        return f"status {response.status}"
    if not check.body:
        return ""
    decoder = decoder_for(response.length, Reason.BAD_RESPONSE)
    body = decoder.feed(buffer[response.end :])
    while not decoder.done and len(body) < BODY_BYTES:
        data = sock.recv(HEAD_BYTES)
        if not data:
            break
        body += decoder.feed(data)
    return "" if check.body.encode() in body[:BODY_BYTES] else f"its body lacks {check.body!r}"


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return errno.errorcode.get(error.errno, str(error))
    return str(error)
