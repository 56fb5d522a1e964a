"""Who waits for whom among builds."""

from collections.abc import Iterator

import gevent
import pytest
from gevent.event import Event

from control.apps.builds import Builds
from tests.support.programs import until

SLOW_S = 0.2


class Build:
    """One that begins when it has a place, and ends when it is told."""

    def __init__(self, builds: Builds) -> None:
        self.begun = Event()
        self.told = Event()
        self.task = gevent.spawn(self._run, builds)

    def end(self) -> None:
        self.told.set()
        self.task.get(timeout=5)

    def _run(self, builds: Builds) -> None:
        with builds.place():
            self.begun.set()
            self.told.wait()


@pytest.fixture
def made() -> Iterator[list[Build]]:
    builds: list[Build] = []
    yield builds
    for each in builds:
        each.task.kill()


def begun(made: list[Build]) -> list[bool]:
    gevent.sleep(0)
    return [each.begun.is_set() for each in made]


def test_so_many_begin_at_once_and_the_next_when_one_has_ended(made: list[Build]) -> None:
    builds = Builds(2, 8, 60.0)
    made += [Build(builds) for _ in range(4)]
    assert begun(made) == [True, True, False, False]
    made[1].end()
    assert begun(made) == [True, True, True, False]


def test_nobody_waits_for_a_slow_one(made: list[Build]) -> None:
    builds = Builds(1, 2, SLOW_S)
    made += [Build(builds) for _ in range(3)]
    assert begun(made) == [True, False, False]
    until(lambda: begun(made)[1])
    made[0].end()
    until(lambda: begun(made)[2])


def test_there_are_never_more_than_the_most(made: list[Build]) -> None:
    builds = Builds(1, 2, 0.01)
    made += [Build(builds) for _ in range(3)]
    until(lambda: begun(made)[1])
    with pytest.raises(AssertionError):
        until(lambda: begun(made)[2], SLOW_S)
    made[1].end()
    until(lambda: begun(made)[2])


def test_a_place_is_given_back_once(made: list[Build]) -> None:
    builds = Builds(1, 8, 0.01)
    slow = Build(builds)
    until(lambda: "1 begin at once" in repr(builds))
    slow.end()
    assert "1 begin at once, 8 in all" in repr(builds)
    made += [Build(builds), Build(builds)]
    assert begun(made) == [True, False]
