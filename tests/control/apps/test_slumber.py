"""The table of an app's slumber, against the picture of it."""

import re

import pytest

from control.apps.slumber import TRANSITIONS, Event, State, advance
from supervisor.transitions import IllegalTransition
from tests.docs.pages import ROOT

PICTURE = """
          WISHED  SERVED  LOST    IDLED   EMPTIED  GAVE_UP  STOP     START
ASLEEP    WAKING  AWAKE   .       .       .        .        STOPPED  .
WAKING    .       AWAKE   .       .       .        FAILED   STOPPED  .
AWAKE     .       .       WAKING  DROWSY  .        FAILED   STOPPED  .
DROWSY    AWAKE   AWAKE   ASLEEP  .       ASLEEP   FAILED   STOPPED  .
STOPPED   .       .       .       .       .        .        STOPPED  ASLEEP
FAILED    .       AWAKE   .       .       .        .        STOPPED  ASLEEP
"""


def pictured() -> dict[State, dict[Event, State]]:
    head, *lines = PICTURE.strip("\n").splitlines()
    events = [Event[name] for name in head.split()]
    rows = {}
    for line in lines:
        state, *cells = line.split()
        pairs = zip(events, cells, strict=True)
        rows[State[state]] = {event: State[cell] for event, cell in pairs if cell != "."}
    return rows


def test_the_table_is_the_picture() -> None:
    assert pictured() == TRANSITIONS


def test_the_page_has_the_same_picture() -> None:
    page = (ROOT / "control" / "apps" / "README.md").read_text(encoding="utf-8")
    drawn = [block for block in re.findall(r"```\n(.*?)```", page, re.S) if "DROWSY" in block]
    assert [block.strip("\n") for block in drawn] == [PICTURE.strip("\n")]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_an_event_that_is_not_in_the_table_raises(state: State, event: Event) -> None:
    if event in TRANSITIONS[state]:
        assert advance(state, event) is TRANSITIONS[state][event]
    else:
        with pytest.raises(IllegalTransition, match=f"{event.name} is illegal in {state.name}"):
            advance(state, event)
