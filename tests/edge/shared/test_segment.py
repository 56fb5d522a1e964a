"""Shared memory: one layout, checked at every mapping, with a writer per byte."""

import multiprocessing
import os
from pathlib import Path

import pytest

from edge.shared import counters, names
from edge.shared.names import counter, flag
from edge.shared.segment import Segment, SegmentMismatch, carry_over


def test_a_segment_is_mapped_again_from_its_descriptor() -> None:
    first = Segment.create(4)
    second = Segment.attach(first.fd)
    first.publish(7)
    first.scoreboard_row(2)[0] = 42
    assert second.generation == 7
    assert second.scoreboard_row(2)[0] == 42
    assert second.scoreboard_row(1)[0] == 0


def test_rows_do_not_overlap() -> None:
    segment = Segment.create(3)
    views = [
        segment.scoreboard_row,
        segment.counter_row,
        segment.users.row,
        segment.peers.row,
        segment.bucket_row,
    ]
    for number, view in enumerate(views):
        for row in range(3):
            cells = view(row)
            for index in range(len(cells)):
                cells[index] = 1 + number * 3 + row
    for number, view in enumerate(views):
        for row in range(3):
            assert set(view(row).tolist()) == {1 + number * 3 + row}
    assert Segment.attach(segment.fd).rows == 3


@pytest.mark.parametrize("row", [-1, 3])
def test_a_row_that_is_not_there_is_an_error(row: int) -> None:
    with pytest.raises(IndexError):
        Segment.create(3).counter_row(row)


def test_a_descriptor_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(b"x" * 100_000)
    fd = os.open(path, os.O_RDWR)
    with pytest.raises(SegmentMismatch, match="no edged segment"):
        Segment.attach(fd)


def test_another_layout_is_refused_and_its_counters_are_carried_over() -> None:
    old = Segment.create(2)
    old.counter_row(0)[counters.CONNECTIONS] = 3
    old.counter_row(1)[counters.CONNECTIONS] = 4
    old.cells[4] += 1  # the checksum of a layout that is not ours
    with pytest.raises(SegmentMismatch, match="another layout"):
        Segment.attach(old.fd)
    new = Segment.create(5)
    assert carry_over(old.fd, new) == len(counters.TABLE)
    assert new.counter_row(0)[counters.CONNECTIONS] == 7


def test_histogram_cells_are_where_the_table_says() -> None:
    cells = Segment.create(1).counter_row(0)
    counters.observe(cells, counters.EXCHANGE_BUCKETS, 0.0005)
    counters.observe(cells, counters.EXCHANGE_BUCKETS, 99.0)
    assert cells[counters.INDEX["edged_exchange_seconds{0.001}"]] == 1
    assert cells[counters.INDEX["edged_exchange_seconds{+Inf}"]] == 1
    assert cells[counters.EXCHANGE_SUM_US] == 99_000_500


def test_counters_sum_over_processes_and_flags_are_seen_by_all() -> None:
    segment = Segment.create(3)

    def count(row: int) -> None:
        names.bind(segment, row)
        counter("test-logins").add(row)
        flag("test-mode").set(row)

    context = multiprocessing.get_context("fork")
    for row in (1, 2):
        child = context.Process(target=count, args=(row,))
        child.start()
        child.join()
        assert child.exitcode == 0
    before = names._segment, names._row
    names.bind(segment, 0)
    try:
        assert counter("test-logins").value == 3
        assert flag("test-mode").value == 2
        assert bool(flag("test-other")) is False
    finally:
        names._segment, names._row = before


@pytest.mark.parametrize("name", ["", "x" * 64])
def test_names_have_a_length(name: str) -> None:
    with pytest.raises(ValueError, match="shared name"):
        Segment.create(1).users.claim(name)


def test_names_run_out_with_a_message() -> None:
    segment = Segment.create(1)
    for number in range(512):
        segment.users.claim(f"n{number}")
    with pytest.raises(MemoryError, match="512"):
        segment.users.claim("one-more")


def test_a_counter_only_grows() -> None:
    with pytest.raises(ValueError, match="only grows"):
        counter("test-negative").add(-1)
