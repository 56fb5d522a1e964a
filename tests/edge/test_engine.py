"""Turns: so many tasks at a time, the others in the order in which they came."""

from collections.abc import Iterator

import gevent
import gevent.event
import pytest

from edge.engine import PATIENCE_S, Runners, Turns


class Tasks:
    """Tasks that write down when they begin, and end when they are told to."""

    def __init__(self, at_most: int) -> None:
        self.turns = Turns(Runners())
        self.turns.at_most = at_most
        self.began: list[str] = []
        self._hub = gevent.get_hub()

    def task(self, name: str, *, fails: bool = False) -> "Task":
        return Task(self, name, fails=fails)

    def take(self, *tasks: "Task") -> None:
        for task in tasks:
            self._hub.loop.run_callback(self.turns.take, task.run)
        gevent.sleep(0.001)


class Task:
    def __init__(self, tasks: Tasks, name: str, *, fails: bool) -> None:
        self.tasks = tasks
        self.name = name
        self._fails = fails
        self._over = gevent.event.Event()

    def run(self) -> None:
        self.tasks.began.append(self.name)
        if not self._fails:
            self._over.wait()
        self.tasks.turns.end()

    def end(self) -> None:
        self._over.set()
        gevent.sleep(0.001)

    def forgo(self) -> None:
        self.tasks.turns.forgo(self.run)


@pytest.fixture
def two() -> Iterator[Tasks]:
    with gevent.Timeout(10):
        yield Tasks(2)


def test_the_third_of_two_waits_and_they_go_on_in_order(two: Tasks) -> None:
    a, b, c, d = (two.task(name) for name in "abcd")
    two.take(a, b, c, d)
    assert two.began == ["a", "b"]
    assert repr(two.turns) == "<Turns 2 of 2 taken, 2 waiting>"
    b.end()
    assert two.began == ["a", "b", "c"]
    a.end()
    c.end()
    d.end()
    assert two.began == ["a", "b", "c", "d"]
    assert repr(two.turns) == "<Turns 0 of 2 taken, 0 waiting>"


def test_one_that_waits_may_forgo_its_turn(two: Tasks) -> None:
    a, b, c, d = (two.task(name) for name in "abcd")
    two.take(a, b, c, d)
    c.forgo()
    c.forgo()
    a.forgo()  # it has its turn: nothing to forgo
    b.end()
    assert two.began == ["a", "b", "d"]


def test_turns_that_end_at_once_stop_nobody(two: Tasks) -> None:
    a, b = two.task("a"), two.task("b")
    quick = [two.task(str(number), fails=True) for number in range(50)]
    last = two.task("last")
    two.take(a, b, *quick, last)
    a.end()
    assert two.began == ["a", "b", *map(str, range(50)), "last"]


def test_more_room_is_used_at_the_next_end(two: Tasks) -> None:
    tasks = [two.task(str(number)) for number in range(6)]
    two.take(*tasks)
    two.turns.at_most = 5
    tasks[0].end()
    assert two.began == ["0", "1", "2", "3", "4", "5"]


# Turns that are lent


def test_a_turn_that_is_lent_is_used_when_one_has_waited_for_long(two: Tasks) -> None:
    a, b, c, d = (two.task(name) for name in "abcd")
    two.take(a, b)
    two.turns.lend(a.run)
    two.take(c, d)
    assert two.began == ["a", "b"]
    gevent.sleep(PATIENCE_S + 0.1)
    assert two.began == ["a", "b", "c"]
    two.turns.lend(b.run)
    gevent.sleep(0.1)
    assert two.began == ["a", "b", "c", "d"]  # it had waited for as long
    for task in (a, b):
        two.turns.take_back(task.run)
    assert repr(two.turns) == "<Turns 4 of 2 taken, 0 waiting>"
    for task in (a, b, c, d):
        task.end()
    assert repr(two.turns) == "<Turns 0 of 2 taken, 0 waiting>"


def test_a_turn_that_is_taken_back_in_time_is_as_before(two: Tasks) -> None:
    a, b, c = (two.task(name) for name in "abc")
    two.take(a, b, c)
    two.turns.lend(a.run)
    two.turns.take_back(a.run)
    gevent.sleep(PATIENCE_S + 0.1)
    assert two.began == ["a", "b"]
    a.end()
    assert two.began == ["a", "b", "c"]
    b.end()
    c.end()
    assert repr(two.turns) == "<Turns 0 of 2 taken, 0 waiting>"
