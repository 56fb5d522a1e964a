"""The life of an instance: one table.

Rule 1: every change goes through here, by `advance`. Nothing else assigns a state.
Rule 2: this module does no I/O and reads no clock. Who has the process reports an `Event`.

BACKOFF and FAILED are apart because they need different people: BACKOFF heals by itself, FAILED
waits for an operator or for another release. UNHEALTHY has a process that lives, and gets no
requests. DRAINING gets none, too, and has been told to finish.
"""

from enum import Enum, auto
from typing import Final

from supervisor.transitions import follow


class State(Enum):
    """Where an instance is in its life."""

    STARTING = auto()  # has a process, or is about to have one, that has not proven that it serves
    READY = auto()  # serves
    UNHEALTHY = auto()  # served, and its health path is not content
    BACKOFF = auto()  # its process died; there will be another one after a while
    FAILED = auto()  # its processes died too often, or at once: none is started any more
    DRAINING = auto()  # told to end; finishes what it has
    STOPPED = auto()  # nothing is left of it, and nobody wants it back


class Event(Enum):
    """What can happen to an instance."""

    PROVEN = auto()  # it serves
    FELL = auto()  # its health path was not content for several times
    ROSE = auto()  # it is again
    DIED = auto()  # its process ended unasked, or could not be started, or was not ready in time
    RESTART = auto()  # its time of waiting is over, or an operator asked
    GAVE_UP = auto()  # that was one death too many
    STOP = auto()  # it is wanted no more
    ENDED = auto()  # its process ended as it was told to


TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    State.STARTING: {
        Event.PROVEN: State.READY,
        Event.DIED: State.BACKOFF,
        Event.STOP: State.DRAINING,
    },
    State.READY: {
        Event.FELL: State.UNHEALTHY,
        Event.DIED: State.BACKOFF,
        Event.STOP: State.DRAINING,
    },
    State.UNHEALTHY: {
        Event.ROSE: State.READY,
        Event.DIED: State.BACKOFF,
        Event.STOP: State.DRAINING,
    },
    State.BACKOFF: {
        Event.RESTART: State.STARTING,
        Event.GAVE_UP: State.FAILED,
        Event.STOP: State.STOPPED,
    },
    State.FAILED: {Event.RESTART: State.STARTING, Event.STOP: State.STOPPED},
    State.DRAINING: {Event.STOP: State.DRAINING, Event.ENDED: State.STOPPED},
    State.STOPPED: {},
}

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0


def advance(state: State, event: Event) -> State:
    """Return the state that follows, or raise `IllegalTransition`."""
    return follow(TRANSITIONS, state, event)


def deaths_in_row(deaths: int, ready_s: float, stable_s: float) -> int:
    """That one counted, too; one that served for the stability window ends the row before it."""
    return 1 if ready_s >= stable_s else deaths + 1


def pause_s(deaths: int) -> float:
    """How long to wait after so many deaths in a row: 0, 1, 2, 4, … 60 s."""
    if deaths <= 1:
        return 0.0
    # The exponent is bounded, so that a float holds it whatever the number of deaths.
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(deaths - 2, 32))
