"""Keys of session tickets: one set for all workers, another one twice a day."""

import os
from typing import Final

import gevent

from edge.shared.segment import TICKET_BYTES, Segment

RENEWED_S: Final = 12 * 3600.0


def renew_on(segment: Segment) -> None:
    """Have keys, and renew them from time to time; does not return."""
    if not segment.ticket_keys():  # a former control's are as good
        _renew(segment)
    while True:
        gevent.sleep(RENEWED_S)
        _renew(segment)


# Private


def _renew(segment: Segment) -> None:
    segment.store_ticket_keys(os.urandom(TICKET_BYTES))
