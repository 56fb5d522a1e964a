"""The life of a child process: one table for workers and control.

Rule 1: every state change of a child goes through `advance`. Nothing else assigns a state.
Rule 2: this module does no I/O and reads no clock. The pool and the reaper do that, and
        report what happened as an `Event`.

A child that dies unasked goes to BACKOFF and heals by itself: edged never gives up on its own
children, it only tries less often. A child that was told to go is GONE when it is reaped.
"""

from enum import Enum, auto
from typing import Final

from supervisor.transitions import follow


class State(Enum):
    """Where a child is in its life."""

    STARTING = auto()  # forked, has not said it is ready
    READY = auto()  # does its work
    HUNG = auto()  # stands still: its stack is being taken, SIGKILL follows
    DRAINING = auto()  # finishes what it has, takes nothing new
    STOPPING = auto()  # told to exit; SIGKILL follows at the deadline
    BACKOFF = auto()  # died unasked; will be started again, the first time at once
    GONE = auto()  # reaped, and nobody wants it back


class Event(Enum):
    """What can happen to a child."""

    SAID_READY = auto()
    STOOD_STILL = auto()  # no heartbeat, or not ready in time
    RECOVERED = auto()  # its heart beat again while its stack was taken
    DRAIN = auto()
    STOP = auto()
    EXITED = auto()
    RESTART = auto()  # its delay is over


TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    State.STARTING: {
        Event.SAID_READY: State.READY,
        Event.STOOD_STILL: State.HUNG,
        Event.STOP: State.STOPPING,
        Event.EXITED: State.BACKOFF,
    },
    State.READY: {
        Event.STOOD_STILL: State.HUNG,
        Event.DRAIN: State.DRAINING,
        Event.STOP: State.STOPPING,
        Event.EXITED: State.BACKOFF,
    },
    State.HUNG: {
        Event.RECOVERED: State.READY,
        Event.STOP: State.STOPPING,
        Event.EXITED: State.BACKOFF,
    },
    State.DRAINING: {Event.STOP: State.STOPPING, Event.EXITED: State.GONE},
    State.STOPPING: {Event.STOP: State.STOPPING, Event.EXITED: State.GONE},
    State.BACKOFF: {Event.RESTART: State.STARTING, Event.STOP: State.GONE},
    State.GONE: {},
}


def advance(state: State, event: Event) -> State:
    """Return the state that follows, or raise `IllegalTransition`."""
    return follow(TRANSITIONS, state, event)
