"""Keys of session tickets: one set for all workers, another one twice a day."""

import os
import time
from typing import Final

import gevent

from edge.shared.segment import TICKET_BYTES, Segment

RENEWED_S: Final = 12 * 3600.0


def renew_on(segment: Segment) -> None:
    """Have keys, and renew them from time to time; does not return."""
    while True:
        gevent.sleep(renew_if_due(segment, time.monotonic_ns()))


def renew_if_due(segment: Segment, now_ns: int) -> float:
    """Have keys that are young enough, whichever control has made them. When to look again, in
    seconds."""
    left_s = RENEWED_S - (now_ns - segment.ticket_keys_made_ns) / 1e9
    if segment.ticket_keys() and left_s > 0:
        return left_s
    segment.store_ticket_keys(os.urandom(TICKET_BYTES), now_ns)
    return RENEWED_S
