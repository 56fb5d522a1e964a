"""Slots: so many at a time, over workers that each write their own cells."""

import sys

import pytest

from edge.shared import places
from edge.shared.places import PLACES, PROBES, ROW_CELLS
from edge.shared.slots import LOOK_S, Slots


class Fleet:
    """Workers that share one limit; those of `dead` are not looked at."""

    def __init__(self, workers: int, count: int) -> None:
        self.now = 1000.0
        self.dead: set[int] = set()
        self.rows = [memoryview(bytearray(ROW_CELLS * 8)).cast("Q") for _ in range(workers)]
        for row in self.rows:
            places.begin(row)
        self.workers = [self.worker(number, count) for number in range(workers)]

    def worker(self, number: int, count: int) -> Slots:
        def others() -> list[memoryview]:
            return [
                row for other, row in enumerate(self.rows)
                if other != number and other not in self.dead
            ]  # fmt: skip

        return Slots("api", count, self.rows[number], others, lambda: self.now)


def test_there_are_so_many_and_no_more() -> None:
    (one,) = Fleet(1, 3).workers
    assert [one.enter("a") for _ in range(4)] == [True, True, True, False]
    assert one.enter("b")
    one.leave("a")
    assert one.taken("a") == 2
    assert [one.enter("a"), one.enter("a")] == [True, False]


def test_all_workers_count() -> None:
    one, two = Fleet(2, 2).workers
    assert one.enter("a")
    assert two.enter("a")
    assert not one.enter("a")
    assert not two.enter("a")
    one.leave("a")
    assert two.enter("a")


def test_what_a_dead_worker_held_is_free_and_its_successor_begins_anew() -> None:
    fleet = Fleet(2, 1)
    one, two = fleet.workers
    assert one.enter("a")
    assert not two.enter("a")
    fleet.dead.add(0)
    fleet.now += LOOK_S
    assert two.enter("a")
    places.begin(fleet.rows[0])
    fleet.dead.clear()
    fleet.now += LOOK_S
    assert two.taken("a") == 1
    two.leave("a")
    assert fleet.worker(0, 1).enter("a")


def test_leaving_what_was_not_entered_changes_nothing() -> None:
    (one,) = Fleet(1, 1).workers
    one.leave("a")
    assert one.enter("a")
    one.leave("a")
    one.leave("a")
    assert one.taken("a") == 0


def test_keys_that_hold_nothing_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["edge.shared.slots"]  # `edge.shared.slots` is the function
    monkeypatch.setattr(module, "tag_of", lambda key, salt: int(key) * PLACES + 1)
    (one,) = Fleet(1, 1).workers
    for key in range(1, PROBES + 1):
        assert one.enter(str(key))
    assert one.enter("99"), "no place to count it: it passes"
    assert not one.enter("3")
    one.leave("3")
    assert one.enter("100")
    assert not one.enter("100")
