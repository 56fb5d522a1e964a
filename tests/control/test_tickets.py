"""Ticket keys get old by the clock, not by the life of a control."""

import pytest

from control.tickets import RENEWED_S, renew_if_due
from edge.shared.segment import _TICKETS, TICKET_BYTES, Segment

BEGIN_NS = 5_000_000_000
HOUR_NS = 3600 * 1_000_000_000


@pytest.fixture
def segment() -> Segment:
    return Segment.create(2)


def test_the_first_control_makes_keys(segment: Segment) -> None:
    assert renew_if_due(segment, BEGIN_NS) == RENEWED_S
    assert len(segment.ticket_keys()) == TICKET_BYTES
    assert segment.ticket_keys_made_ns == BEGIN_NS


def test_controls_that_are_restarted_all_the_time_renew_them_at_their_time(
    segment: Segment,
) -> None:
    renew_if_due(segment, BEGIN_NS)
    first = segment.ticket_keys()
    for hours in range(1, 12):
        again = Segment.attach(segment.fd)  # another control
        assert renew_if_due(again, BEGIN_NS + hours * HOUR_NS) == (12 - hours) * 3600
        assert segment.ticket_keys() == first
    assert renew_if_due(Segment.attach(segment.fd), BEGIN_NS + 12 * HOUR_NS) == RENEWED_S
    assert segment.ticket_keys() != first


def test_a_control_that_was_killed_while_it_wrote_keys_is_followed_by_one_that_writes_them(
    segment: Segment,
) -> None:
    renew_if_due(segment, BEGIN_NS)
    segment.cells[_TICKETS] += 1  # odd: it was about to
    assert segment.ticket_keys() == b""
    renew_if_due(segment, BEGIN_NS + HOUR_NS)
    assert len(segment.ticket_keys()) == TICKET_BYTES
    assert segment.ticket_keys_made_ns == BEGIN_NS + HOUR_NS
