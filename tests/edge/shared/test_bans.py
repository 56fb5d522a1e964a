"""Bans: added, seen by others, over after their time."""

import pytest

from edge.shared.bans import Bans, canonical
from edge.shared.segment import Segment


class World:
    def __init__(self) -> None:
        self.now = 100.0
        self.segment = Segment.create(1)

    def bans(self) -> Bans:
        return Bans(self.segment.bans, lambda: self.now)


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7/32", "203.0.113.7"),
        ("203.0.113.7/24", "203.0.113.0/24"),
        ("2001:DB8::1", "2001:db8::1"),
        ("2001:db8::1/64", "2001:db8::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
    ],
)
def test_a_network_has_one_name(written: str, named: str) -> None:
    assert canonical(written) == named


def test_what_one_adds_others_see_when_they_look() -> None:
    world = World()
    one, other = world.bans(), world.bans()
    assert not one.active
    one.add("203.0.113.7", 10)
    assert one.covers("203.0.113.7")
    assert not other.covers("203.0.113.7")
    other.refresh()
    assert other.covers("203.0.113.7")
    assert not other.covers("203.0.113.8")
    assert other.lift("203.0.113.7")
    one.refresh()
    assert not one.covers("203.0.113.7")
    assert not one.lift("203.0.113.7")


def test_a_network_covers_what_is_in_it() -> None:
    bans = World().bans()
    bans.add("2001:db8::/64", 10)
    bans.add("198.51.100.0/24", 10)
    assert bans.covers("2001:db8::9")
    assert bans.covers("198.51.100.9")
    assert not bans.covers("2001:db8:0:1::9")
    assert not bans.covers("nonsense")


def test_a_ban_is_over_after_its_time_and_gives_its_place_back() -> None:
    world = World()
    bans = world.bans()
    bans.add("203.0.113.7", 10)
    bans.add("203.0.113.7", 20)
    world.now += 15
    assert bans.covers("203.0.113.7")
    world.now += 10
    assert not bans.covers("203.0.113.7")
    bans.reclaim()
    assert world.segment.bans.names() == [""]


@pytest.mark.parametrize(("network", "for_s"), [("x", 10.0), ("203.0.113.7", 0.0), ("", 1.0)])
def test_what_is_no_ban_raises(network: str, for_s: float) -> None:
    with pytest.raises(ValueError, match=r"not|ban"):
        World().bans().add(network, for_s)


def test_there_is_an_end_of_places() -> None:
    bans = World().bans()
    count = bans._registry.kind.names
    for index in range(count):
        bans._registry._write_name(index, str(index).encode())
    bans._registry._header[0] = count
    with pytest.raises(MemoryError, match="bans are taken"):
        bans.add("203.0.113.7", 10)
