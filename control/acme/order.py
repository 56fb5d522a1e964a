"""The life of an order at a CA: one table.

Rule 1: every change goes through here, by `advance`. Nothing else assigns a state.
Rule 2: a state is written down before the CA is asked for what it allows, and an answer before
        the next question. So whoever takes up a written state asks for nothing twice.
Rule 3: this module does no I/O and reads no clock. Who talks to the CA reports an `Event`.

A state says what is known for certain. ASKING is apart from NEW because of the moment between
question and answer: an order may be at the CA whose address nobody has written down; it is looked
for before a second one is asked for.
"""

from enum import Enum, auto
from typing import Final

from supervisor.transitions import follow


class State(Enum):
    """Where an order is in its life."""

    NEW = auto()  # nothing was asked for
    ASKING = auto()  # the CA may have an order of ours whose address we do not know
    PLACED = auto()  # the order's address is written down; its names are to be proven
    PROVING = auto()  # challenges are answered, the CA is looking at them
    PROVEN = auto()  # all names are ours: the key is to be made
    KEYED = auto()  # the key is in the vault; the CA may have got a request with it
    ISSUED = auto()  # the certificate is at the CA: to be fetched
    STORED = auto()  # chain and key are in the vault
    DEAD = auto()  # refused, expired or forgotten by the CA; another order may do better


class Event(Enum):
    """What can happen to an order."""

    ASK = auto()  # the question is about to be sent
    PLACE = auto()  # the CA has an order, this is its address
    ANSWER = auto()  # the CA was told to look at the challenges
    PROVE = auto()  # the CA is content with all names
    KEY = auto()  # a key was made and written down
    ISSUE = auto()  # the CA has signed
    STORE = auto()  # chain and key were written down
    FAIL = auto()  # the CA will not do it in this order


TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    State.NEW: {Event.ASK: State.ASKING},
    State.ASKING: {
        Event.ASK: State.ASKING,
        Event.PLACE: State.PLACED,
        Event.FAIL: State.DEAD,
    },
    State.PLACED: {
        Event.ANSWER: State.PROVING,
        Event.PROVE: State.PROVEN,
        Event.FAIL: State.DEAD,
    },
    State.PROVING: {
        Event.ANSWER: State.PROVING,
        Event.PROVE: State.PROVEN,
        Event.FAIL: State.DEAD,
    },
    State.PROVEN: {Event.KEY: State.KEYED, Event.FAIL: State.DEAD},
    State.KEYED: {Event.ISSUE: State.ISSUED, Event.FAIL: State.DEAD},
    State.ISSUED: {Event.STORE: State.STORED, Event.FAIL: State.DEAD},
    State.STORED: {},
    State.DEAD: {},
}


def advance(state: State, event: Event) -> State:
    """Return the state that follows, or raise `IllegalTransition`."""
    return follow(TRANSITIONS, state, event)


def is_over(state: State) -> bool:
    """Whether nothing can happen to it any more."""
    return not TRANSITIONS[state]
