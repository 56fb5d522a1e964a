"""What the workers have under way with an app's instances, as shared memory says."""

from collections.abc import Iterable
from typing import NamedTuple

from edge.shared.peers import Own
from edge.shared.scoreboard import Column
from edge.shared.segment import Segment


class Traffic(NamedTuple):
    """Exchanges with some peers, over all workers."""

    under_way: int
    total: int  # since edged runs: another number says that somebody has asked


def traffic_of(segment: Segment, addresses: Iterable[str]) -> Traffic:
    """That of peers by their addresses."""
    wanted = set(addresses)
    names = segment.peers.names()
    places = [index for index, name in enumerate(names) if name in wanted]
    under_way = total = 0
    for row in range(segment.rows):
        is_live = bool(segment.scoreboard_row(row)[Column.STATE])
        for index in places:
            cells = segment.peers.own(row, index)
            under_way += cells[Own.UNDER_WAY] if is_live else 0
            total += cells[Own.EXCHANGES]
    return Traffic(under_way, total)
