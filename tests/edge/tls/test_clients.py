"""Dialling peers with TLS: whatever comes between, nothing of it stays open."""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import gevent
import pytest

from edge.connection import Connection, Expired, Gone
from edge.table.model import UpstreamTls
from edge.tls.clients import dial_tls
from edge.tls.connection import HandshakeFailed

T = TypeVar("T")

ANYBODY = UpstreamTls(verify=False)


class Peer:
    """Listens. `registry` and descriptors must be as before when a test is over."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        host, port = self._listener.getsockname()
        self.address = f"{host}:{port}"
        self.registry: set[Connection] = set()
        self._accepted: socket.socket | None = None

    def dial(self, rules: UpstreamTls = ANYBODY, timeout_s: float = 5.0) -> gevent.Greenlet:
        def run() -> None:
            dial_tls(self.address, rules, "peer.test", timeout_s, self.registry)

        return gevent.spawn(run)

    def accept(self) -> socket.socket:
        """The connection of one that waits for its handshake: its hello is here."""
        self._listener.setblocking(False)
        self._accepted, _ = in_time(self._listener.accept)
        accepted = self._accepted
        assert in_time(lambda: accepted.recv(1, socket.MSG_DONTWAIT)) == b"\x16"
        return accepted

    def close(self) -> None:
        self._listener.close()
        if self._accepted is not None:
            self._accepted.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    gevent.sleep(0)  # what the loop itself needs is open now
    before = descriptors()
    made = Peer()
    with gevent.Timeout(20):
        yield made
    gevent.sleep(0.01)  # nobody is thrown into who has left
    assert not made.registry
    made.close()
    assert descriptors() == before


def in_time(act: Callable[[], T]) -> T:
    """What it returns when it would not block any more."""
    while True:
        gevent.sleep(0.001)
        with contextlib.suppress(BlockingIOError):
            return act()


def descriptors() -> set[tuple[str, str]]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.add((entry.name, os.readlink(entry)))
        except OSError:
            continue
    return {(name, target) for name, target in found if target.startswith("socket:")}


def test_one_that_is_killed_while_it_shakes_hands_leaves_nothing(peer: Peer) -> None:
    task = peer.dial()
    peer.accept()
    assert len(peer.registry) == 1
    task.kill()
    assert isinstance(task.value, gevent.GreenletExit)  # and no error in its place
    assert not peer.registry


def test_a_stranger_thrown_in_comes_out_as_itself(peer: Peer) -> None:
    class Overran(Exception):
        pass

    task = peer.dial()
    peer.accept()
    task.kill(Overran)
    assert isinstance(task.exception, Overran)


def test_a_silent_peer_has_its_time(peer: Peer) -> None:
    task = peer.dial()
    peer.accept()
    (connection,) = peer.registry
    late = connection.read_deadline + 1
    gevent.get_hub().loop.run_callback(connection.expire, late)  # as the sweeper does
    task.join()
    assert isinstance(task.exception, Expired)


def say(data: bytes) -> Callable[[socket.socket], None]:
    def act(accepted: socket.socket) -> None:
        accepted.sendall(data)

    return act


def leave(accepted: socket.socket) -> None:
    accepted.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("act", [say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), say(b"\x15"), leave])
def test_a_peer_that_speaks_no_tls_is_no_peer(
    peer: Peer, act: Callable[[socket.socket], None]
) -> None:
    task = peer.dial()
    accepted = peer.accept()
    act(accepted)
    accepted.shutdown(socket.SHUT_WR)
    task.join()
    assert isinstance(task.exception, HandshakeFailed | Gone)


@pytest.mark.parametrize(
    "rules",
    [UpstreamTls(ca="/nowhere.pem"), UpstreamTls(verify=False, chain="/nowhere.pem")],
    ids=["ca", "chain"],
)
def test_files_that_cannot_be_read_are_a_failed_handshake(peer: Peer, rules: UpstreamTls) -> None:
    task = peer.dial(rules)
    task.join()
    assert isinstance(task.exception, HandshakeFailed)


def test_a_name_that_cannot_be_one_is_a_failed_handshake(peer: Peer) -> None:
    with pytest.raises(HandshakeFailed):
        dial_tls(peer.address, ANYBODY, ".test", 5.0, peer.registry)
