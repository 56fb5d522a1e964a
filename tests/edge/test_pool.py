"""The pool: what is kept of a peer's connections, and until when."""

from collections.abc import Iterator

import gevent.socket
import pytest

from edge.message import Peer
from edge.pool import Pool


@pytest.fixture
def peer() -> Iterator[Peer]:
    with gevent.socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield Peer(f"127.0.0.1:{listening.getsockname()[1]}")


def test_a_connection_that_was_put_back_is_taken_again(peer: Peer) -> None:
    pool = Pool(set())
    made = pool.connect(peer, 1.0)
    pool.put(peer.way, made)
    assert pool.take(peer.way) is made
    assert pool.take(peer.way) is None
    made.close()


def test_of_a_peer_that_is_to_end_no_connection_is_kept(peer: Peer) -> None:
    pool = Pool(set())
    idle, busy = pool.connect(peer, 1.0), pool.connect(peer, 1.0)
    pool.put(peer.way, idle)
    pool.leave(peer.way)
    assert idle.closed
    assert not busy.closed  # it has an exchange
    pool.put(peer.way, busy)
    assert busy.closed
    assert pool.idle == 0


def test_another_peer_on_the_same_port_is_a_peer_like_others(peer: Peer) -> None:
    pool = Pool(set())
    pool.leave(peer.way)
    made = pool.connect(peer, 1.0)
    pool.put(peer.way, made)
    assert pool.take(peer.way) is made
    made.close()
