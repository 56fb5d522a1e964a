"""The gate: much may pass at once, and over time no more than its rate."""

from hypothesis import given
from hypothesis import strategies as st

from control.apps.flood import BURST_S, Gate


def test_a_burst_passes_and_then_the_rate() -> None:
    gate = Gate(lines_s=100, bytes_s=1e9)
    assert gate.admit(1000, 10, now=50.0) == 100 * BURST_S
    assert gate.admit(1000, 10, now=50.0) == 0
    assert gate.admit(1000, 10, now=50.5) == 50
    assert gate.admit(1000, 10, now=1000.0) == 100 * BURST_S


def test_large_lines_pass_by_their_size() -> None:
    gate = Gate(lines_s=1e9, bytes_s=1000)
    assert gate.admit(10, 1000 * int(BURST_S), now=1.0) == 10
    assert gate.admit(10, 1000, now=1.5) == 5
    assert gate.admit(1, 10_000, now=2.5) == 0


def test_nothing_passes_where_there_is_nothing() -> None:
    assert Gate().admit(0, 0, now=1.0) == 0


@given(
    steps=st.lists(
        st.tuples(st.floats(0, 2), st.integers(0, 500), st.integers(0, 50_000)), max_size=30
    )
)
def test_over_any_time_no_more_passes_than_burst_and_rate(
    steps: list[tuple[float, int, int]],
) -> None:
    gate = Gate(lines_s=100, bytes_s=10_000)
    now, lines, size = 0.0, 0, 0.0
    for wait_s, count, size_bytes in steps:
        now += wait_s
        admitted = gate.admit(count, size_bytes, now)
        assert 0 <= admitted <= count
        lines += admitted
        size += size_bytes * admitted / count if count else 0
    assert lines <= 100 * (BURST_S + now) + 1
    assert size <= 10_000 * (BURST_S + now) + 1
