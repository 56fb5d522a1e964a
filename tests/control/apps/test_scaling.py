"""How many instances there should be, and whether there should be any: tables of plain numbers."""

import pytest

from control.apps.scaling import CALM_S, Load, is_calm, is_idle, wanted
from control.manifest.spec import Instances


@pytest.mark.parametrize(
    ("least", "most", "there", "under_way", "calm_s", "count"),
    [
        (0, 1, 1, 500, 0, 1),  # one at most
        (0, 4, 1, 50, 0, 1),
        (0, 4, 1, 51, 0, 2),
        (0, 4, 1, 1000, 0, 4),  # all that it may have, at once
        (0, 4, 3, 10, 10, 3),  # not calm for long enough
        (0, 4, 3, 10, CALM_S, 2),  # one at a time
        (2, 4, 2, 0, 1e6, 2),  # never below the least
        (0, 4, 1, 0, 1e6, 1),  # from one to none is another question
        (3, 3, 1, 0, 0, 3),
        (0, 2, 4, 0, 0, 2),  # scaled down by an operator
    ],
)
def test_so_many_are_wanted(
    least: int, most: int, there: int, under_way: int, calm_s: float, count: int
) -> None:
    rules = Instances(min=least, max=most, concurrency=50)
    assert wanted(rules, Load(instances=there, under_way=under_way, calm_s=calm_s)) == count


@pytest.mark.parametrize(
    ("there", "under_way", "calm"), [(2, 35, True), (2, 36, False), (1, 1, False)]
)
def test_it_is_calm_when_one_less_would_do_with_room_to_spare(
    there: int, under_way: int, calm: bool
) -> None:
    load = Load(instances=there, under_way=under_way, calm_s=0)
    assert is_calm(Instances(concurrency=50), load) is calm


@pytest.mark.parametrize(
    ("least", "under_way", "idle_s", "idle"),
    [(0, 0, 300, True), (0, 0, 299, False), (0, 1, 1e6, False), (1, 0, 1e6, False)],
)
def test_it_sleeps_when_nobody_has_asked_for_long(
    least: int, under_way: int, idle_s: float, idle: bool
) -> None:
    assert is_idle(Instances(min=least), under_way=under_way, idle_s=idle_s) is idle
