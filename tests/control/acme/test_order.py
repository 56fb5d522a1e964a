"""The life of an order, cell by cell; what is kept of it can be read again."""

import json

import pytest

from control.acme.order import Event, State, advance, is_over
from control.acme.record import OrderRecord, Record, record_of
from tests.architecture.sources import ROOT
from tests.support.pictures import assert_drawn, assert_follows, cells

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


@pytest.mark.parametrize(("state", "event", "cell"), cells(PICTURE, State, Event))
def test_the_table_is_the_picture(state: State, event: Event, cell: str) -> None:
    assert_follows(advance, state, event, cell)


def test_the_page_of_the_folder_has_the_same_picture() -> None:
    assert_drawn(ROOT / "control" / "acme" / "README.md", PICTURE)


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
