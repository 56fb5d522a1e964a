"""The scoreboard: what each worker process says of itself, one row each, for all to read.

The master assigns a row before the fork and clears it after the reaping; in between only the
worker writes it, but for DRAINING, which the worker itself stores when the master's signal comes.
Times are CLOCK_MONOTONIC nanoseconds, which all processes of one machine share.
"""

from enum import IntEnum
from typing import Final

ROW_CELLS: Final = 32


class Column(IntEnum):
    """The cells of a row."""

    PID = 0
    SLOT = 1
    STATE = 2  # a `State`
    CODE = 3  # which roll of the workers this one belongs to: counts up with each roll
    ACKED = 4  # generation of the table that it serves
    HEARTBEAT = 5  # when its loop last turned
    STARTED = 6  # when it was forked
    CONNECTIONS = 7  # downstream connections open
    EXCHANGES = 8  # exchanges under way
    UPGRADED = 9  # tunnels open
    PROBLEMS = 10  # `Problem` bits
    IDLE_PEERS = 11  # idle upstream connections in its pool


class State(IntEnum):
    """The life of a row."""

    FREE = 0
    STARTING = 1
    READY = 2
    DRAINING = 3


class Problem(IntEnum):
    """What a worker serves in spite of; `edgectl status` names each."""

    LOG_UNWRITABLE = 1
    TABLE_UNREADABLE = 2
    DESCRIPTORS = 4  # out of file descriptors: accepting pauses


HEARTBEAT_S: Final = 0.1
"""How often a worker's loop stores its heartbeat."""

STALLED_S: Final = 0.5
"""A heartbeat older than this: a neighbour accepts from the slot's sockets meanwhile."""
