"""Ejection by share of failures and by slowness: what is known of a peer lately."""

import pytest

from edge.builtin.balance import LEAST, _is_slow
from edge.peers import Peers, PeerState, Record
from edge.shared.segment import Segment


def states(*means_s: float) -> list[PeerState]:
    peers = Peers(Segment.create(1), 0)
    made = [peers.of(f"127.0.0.1:{number}") for number in range(1, len(means_s) + 1)]
    for state, mean_s in zip(made, means_s, strict=True):
        for _ in range(LEAST):
            state.record.note(1.0, failed=False, first_byte_s=mean_s)
    return made


@pytest.mark.parametrize(
    ("means_s", "is_slow"),
    [
        ((0.1, 0.01, 0.01), True),
        ((0.02, 0.01, 0.01), False),
        ((0.004, 0.0001, 0.0001), False),  # nobody notices
        ((0.1,), False),  # nobody to compare it with
        ((0.1, 0.01), True),
        ((0.1, 0.01, 0.09, 0.09), False),
    ],
)
def test_a_peer_is_slow_beside_others(means_s: tuple[float, ...], is_slow: bool) -> None:
    first, *others = states(*means_s)
    assert _is_slow(first, [first, *others], 5) is is_slow


def test_one_that_is_hardly_known_is_not_slow() -> None:
    first, second = states(0.1, 0.01)
    first.record.seen = LEAST - 1
    assert not _is_slow(first, [first, second], 5)


def test_a_record_forgets_failures_of_an_earlier_window() -> None:
    record = Record()
    record.note(100.0, failed=True)
    record.note(101.0, failed=False, first_byte_s=0.5)
    assert (record.total, record.failed, record.mean_s) == (2, 1, 0.5)
    record.note(120.0, failed=False, first_byte_s=0.5)
    assert (record.total, record.failed, record.seen) == (1, 0, 2)
