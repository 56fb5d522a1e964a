"""What a worker knows of peers: ejections with back-off, what others found, and who is gone."""

import pytest

from edge.peers import LONGEST_EJECTION_S, Peers
from edge.shared.peers import Health, Own, Shared
from edge.shared.scoreboard import Column, State
from edge.shared.segment import Segment

ADDRESS = "127.0.0.1:9000"


@pytest.fixture
def segment() -> Segment:
    made = Segment.create(3)
    for row in range(2):
        made.scoreboard_row(row)[Column.STATE] = State.READY
    return made


def test_a_peer_is_ejected_after_so_many_failures_in_a_row(segment: Segment) -> None:
    peers = Peers(segment, 0)
    state = peers.of(ADDRESS)
    changes = peers.changes
    assert [state.fail(3, 10, 100.0) for _ in range(2)] == [False, False]
    state.succeed()
    assert [state.fail(3, 10, 100.0) for _ in range(3)] == [False, False, True]
    assert not state.usable
    assert peers.changes > changes  # whoever chooses looks again at once


def test_all_workers_leave_it_alone_and_come_back_later(segment: Segment) -> None:
    here, there = Peers(segment, 0), Peers(segment, 1)
    state, seen = here.of(ADDRESS), there.of(ADDRESS)
    assert state.fail(1, 10, 100.0)
    there.refresh(100.1)
    assert not seen.usable
    changes = there.changes
    there.refresh(112.0)
    assert seen.usable
    assert there.changes == changes + 1


def test_an_ejection_lasts_longer_each_time(segment: Segment) -> None:
    peers = Peers(segment, 0)
    state = peers.of(ADDRESS)
    now, lengths = 1000.0, []
    for _ in range(8):
        assert state.fail(1, 10, now)
        lengths.append(state.own[Own.EJECTED_UNTIL] / 1000 - now)
        now += lengths[-1] + 0.01
        peers.refresh(now)
        assert state.usable
    expected = [10, 20, 40, 80, 160, 300, 300, 300]
    for length, middle in zip(lengths, expected, strict=True):
        assert middle * 0.89 < length < middle * 1.11
    assert state.fail(1, 10, now + 10 * LONGEST_EJECTION_S)
    assert state.own[Own.EJECTED_UNTIL] / 1000 - now - 10 * LONGEST_EJECTION_S < 12


def test_what_still_fails_during_an_ejection_makes_it_no_longer(segment: Segment) -> None:
    state = Peers(segment, 0).of(ADDRESS)
    assert state.fail(1, 10, 100.0)
    until = state.own[Own.EJECTED_UNTIL]
    assert not any(state.fail(1, 10, 101.0) for _ in range(2000))
    assert state.own[Own.EJECTED_UNTIL] == until
    assert state.fail(1, 10, 120.0)
    assert state.own[Own.EJECTED_UNTIL] / 1000 < 120 + 20 * 1.11


def test_a_peer_may_be_dead_for_weeks(segment: Segment) -> None:
    state = Peers(segment, 0).of(ADDRESS)
    assert all(state.fail(1, 10, 350.0 * each) for each in range(1, 3000))


def test_each_worker_tries_it_again_with_one_exchange_first(segment: Segment) -> None:
    here, there = Peers(segment, 0), Peers(segment, 1)
    state, seen = here.of(ADDRESS), there.of(ADDRESS)
    state.fail(1, 10, 100.0)
    there.refresh(100.1)
    there.refresh(120.0)
    assert seen.usable
    assert not seen.proven


def test_after_an_ejection_one_failure_is_enough(segment: Segment) -> None:
    peers = Peers(segment, 0)
    state = peers.of(ADDRESS)
    for _ in range(5):
        state.fail(5, 10, 100.0)
    peers.refresh(120.0)
    assert state.usable
    assert not state.proven
    assert state.fail(5, 10, 120.0)
    peers.refresh(200.0)
    state.succeed()
    assert not state.fail(5, 10, 200.0)


@pytest.mark.parametrize(
    ("health", "usable"),
    [(Health.UNCHECKED, True), (Health.UNPROVEN, False), (Health.UP, True), (Health.DOWN, False)],
)
def test_what_control_found_counts(segment: Segment, health: Health, usable: bool) -> None:
    peers = Peers(segment, 0)
    state = peers.of(ADDRESS)
    segment.peers.shared(state.index)[Shared.HEALTH] = health
    peers.refresh(1.0)
    assert state.usable is usable


def test_a_drained_peer_is_not_usable(segment: Segment) -> None:
    peers = Peers(segment, 0)
    state = peers.of(ADDRESS)
    segment.peers.shared(state.index)[Shared.DRAINED] = 1
    peers.refresh(1.0)
    assert not state.usable
    assert state.is_drained


def test_a_new_worker_has_nothing_under_way(segment: Segment) -> None:
    Peers(segment, 0).of(ADDRESS).own[Own.UNDER_WAY] = 7
    assert Peers(segment, 0).of(ADDRESS).under_way == 0


def test_a_place_that_was_given_back_is_asked_for_again(segment: Segment) -> None:
    peers = Peers(segment, 0)
    old = peers.of(ADDRESS)
    segment.peers.release(old.index)
    assert segment.peers.claim("127.0.0.1:1") == old.index
    peers.refresh(1.0)
    assert peers.of(ADDRESS).index != old.index


def test_past_the_last_place_a_peer_is_known_to_this_worker_only(segment: Segment) -> None:
    peers = Peers(segment, 0)
    state = peers.of("unix:/" + "x" * 200)
    assert state.index == -1
    assert state.fail(1, 10, 1.0)
    peers.refresh(1.5)
    assert not state.usable
