"""Names with cells: given out once, given back, and given to the next."""

import pytest

from edge.shared.registry import Kind
from edge.shared.segment import Segment


def test_a_name_has_one_place_for_all() -> None:
    segment = Segment.create(2)
    other = Segment.attach(segment.fd)
    assert segment.peers.claim("127.0.0.1:1") == 0
    assert other.peers.claim("127.0.0.1:2") == 1
    assert other.peers.claim("127.0.0.1:1") == 0
    assert segment.peers.names() == ["127.0.0.1:1", "127.0.0.1:2"]


def test_a_place_that_is_given_back_is_clean_for_the_next() -> None:
    peers = Segment.create(2).peers
    for name in ("a", "b", "c"):
        peers.shared(peers.claim(name))[0] = 7
    before = peers.version
    peers.release(1)
    assert peers.version != before
    assert peers.names() == ["a", "", "c"]
    assert peers.claim("d") == 1
    assert peers.shared(1).tolist() == [0] * peers.kind.shared
    assert peers.shared(2)[0] == 7


def test_cells_of_names_and_rows_do_not_overlap() -> None:
    segment = Segment.create(3)
    places = [segment.peers.claim(f"p{n}") for n in range(3)]
    number = 0
    views = [segment.peers.own(row, place) for row in range(3) for place in places]
    views += [segment.peers.shared(place) for place in places]
    for view in views:
        for cell in range(len(view)):
            number += 1
            view[cell] = number
    flat = [cell for view in views for cell in view.tolist()]
    assert flat == list(range(1, number + 1))


@pytest.mark.parametrize("name", ["", "x" * 128])
def test_a_name_of_the_wrong_length_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 127 bytes"):
        Segment.create(1).peers.claim(name)


def test_a_kind_knows_its_size() -> None:
    kind = Kind(what="thing", names=4, name_bytes=16, shared=2, own=3)
    assert kind.fixed_cells == 8 + 4 * (2 + 2)
    assert kind.row_cells == 12
