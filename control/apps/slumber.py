"""An app between asleep and awake: one table.

Rule 1: every change goes through here, by `advance`. Nothing else assigns a state.
Rule 2: this module does no I/O and reads no clock. Who has the app's instances reports an `Event`.

DROWSY is a step of its own, since workers may still be choosing an instance when it is decided that
the app sleeps: it gets no new requests, finishes those that it has, and is awake again at once if
somebody asks before it has.
"""

from enum import Enum, auto
from typing import Final

from supervisor.transitions import follow


class State(Enum):
    """How awake an app is."""

    ASLEEP = auto()  # no instance; a request wakes it
    WAKING = auto()  # an instance is being started; requests wait
    AWAKE = auto()  # serves
    DROWSY = auto()  # gets no requests any more, and has some under way
    STOPPED = auto()  # an operator wants it so
    FAILED = auto()  # its instances died too often: it waits for an operator, or for a deploy


class Event(Enum):
    """What can happen to an app."""

    WISHED = auto()  # somebody asks for it
    SERVED = auto()  # an instance is ready
    LOST = auto()  # none is any more
    IDLED = auto()  # nobody has asked for long
    EMPTIED = auto()  # it has nothing under way
    GAVE_UP = auto()  # no instance is tried any more
    STOP = auto()
    START = auto()  # by an operator, or by a deploy


TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    State.ASLEEP: {
        Event.WISHED: State.WAKING,
        Event.SERVED: State.AWAKE,
        Event.STOP: State.STOPPED,
    },
    State.WAKING: {
        Event.SERVED: State.AWAKE,
        Event.GAVE_UP: State.FAILED,
        Event.STOP: State.STOPPED,
    },
    State.AWAKE: {
        Event.LOST: State.WAKING,
        Event.IDLED: State.DROWSY,
        Event.GAVE_UP: State.FAILED,
        Event.STOP: State.STOPPED,
    },
    State.DROWSY: {
        Event.WISHED: State.AWAKE,
        Event.SERVED: State.AWAKE,
        Event.EMPTIED: State.ASLEEP,
        Event.LOST: State.ASLEEP,
        Event.GAVE_UP: State.FAILED,
        Event.STOP: State.STOPPED,
    },
    State.STOPPED: {Event.START: State.ASLEEP, Event.STOP: State.STOPPED},
    State.FAILED: {
        Event.START: State.ASLEEP,
        Event.SERVED: State.AWAKE,
        Event.STOP: State.STOPPED,
    },
}


def advance(state: State, event: Event) -> State:
    """Return the state that follows, or raise `IllegalTransition`."""
    return follow(TRANSITIONS, state, event)
