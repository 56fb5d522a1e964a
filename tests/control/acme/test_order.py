"""The life of an order, cell by cell; what is kept of it can be read again."""

import json
import re

import pytest

from control.acme.order import Event, State, advance, is_over
from control.acme.record import OrderRecord, Record, record_of
from supervisor.transitions import IllegalTransition
from tests.architecture.sources import ROOT

# Double entry: the table is in the code, the picture is here. Change both or neither.
PICTURE = """
            ASK      PLACE    ANSWER   PROVE    KEY      ISSUE    STORE    FAIL
NEW         ASKING   .        .        .        .        .        .        .
ASKING      ASKING   PLACED   .        .        .        .        .        DEAD
PLACED      .        .        PROVING  PROVEN   .        .        .        DEAD
PROVING     .        .        PROVING  PROVEN   .        .        .        DEAD
PROVEN      .        .        .        .        KEYED    .        .        DEAD
KEYED       .        .        .        .        .        ISSUED   .        DEAD
ISSUED      .        .        .        .        .        .        STORED   DEAD
STORED      .        .        .        .        .        .        .        .
DEAD        .        .        .        .        .        .        .        .
"""


def cells() -> list[tuple[State, Event, str]]:
    header, *rows = (line.split() for line in PICTURE.strip().splitlines())
    return [
        (State[name], Event[event], cell)
        for name, *row in rows
        for event, cell in zip(header, row, strict=True)
    ]


def test_the_picture_has_every_state_and_every_event() -> None:
    assert len(cells()) == len(State) * len(Event)


@pytest.mark.parametrize(("state", "event", "cell"), cells())
def test_the_table_is_the_picture(state: State, event: Event, cell: str) -> None:
    if cell == ".":
        with pytest.raises(IllegalTransition, match=f"{event.name} is illegal in {state.name}"):
            advance(state, event)
    else:
        assert advance(state, event) is State[cell]


def test_the_page_of_the_folder_has_the_same_picture() -> None:
    page = (ROOT / "control" / "acme" / "README.md").read_text(encoding="utf-8")
    [picture] = re.findall(r"```\n( +ASK .*?)```", page, re.S)
    assert [line.split() for line in picture.splitlines()] == [
        line.split() for line in PICTURE.strip("\n").splitlines()
    ]


def test_an_order_is_over_when_it_is_stored_or_dead() -> None:
    assert {state for state in State if is_over(state)} == {State.STORED, State.DEAD}


@pytest.mark.parametrize("state", State)
def test_an_order_that_was_kept_is_the_same_order(state: State) -> None:
    order = OrderRecord(names=("a.test", "*.b.test"), state=state, url="https://ca.test/1")
    record = Record(wanted="x", failures=3, held={"https://ca.test": 7.5}, orders={"ca": order})
    assert record_of(json.loads(json.dumps(record.to_json()))) == record


@pytest.mark.parametrize("kept", [None, 3, "x", [], {}, {"version": 99}, {"version": 1}])
def test_what_cannot_be_read_is_a_record_of_nothing(kept: object) -> None:
    assert record_of(kept) == Record()
