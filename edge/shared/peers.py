"""What all workers know of a peer: its health and its exchanges, in cells of a `Registry`.

Control alone writes the shared cells, each worker its own. Times are CLOCK_MONOTONIC milliseconds.
"""

from enum import IntEnum
from typing import Final

from edge.shared.registry import Kind


class Shared(IntEnum):
    """The cells that control writes."""

    HEALTH = 0  # a `Health`
    SINCE = 1  # when that was found
    DRAINED = 2  # 1: `edgectl peer drain`


class Own(IntEnum):
    """The cells of each worker."""

    UNDER_WAY = 0  # exchanges
    EJECTED_UNTIL = 1  # this worker has found it failing, and so nobody asks it until then
    EXCHANGES = 2  # all of them so far
    FAILURES = 3  # of them, those that were the peer's fault


class Health(IntEnum):
    """What the active check found."""

    UNCHECKED = 0  # nobody checks it
    UNPROVEN = 1  # not found healthy yet
    UP = 2
    DOWN = 3


KIND: Final = Kind(what="peer", names=4096, name_bytes=128, shared=len(Shared) + 1, own=len(Own))
"""Past that many, peers are used without what is known of them."""
