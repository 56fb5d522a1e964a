"""Token buckets: exact for one worker, and for several that each write their own cells."""

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.shared.buckets import Bucket
from edge.shared.places import IN_USE, PLACES, PROBES, ROW_CELLS


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Fleet:
    """Workers that share one limit."""

    def __init__(self, count: int, rate: float, burst: int) -> None:
        self.clock = Clock()
        rows = [memoryview(bytearray(ROW_CELLS * 8)).cast("Q") for _ in range(count)]
        for row in rows:
            row[IN_USE] = 1
        self.workers = [
            Bucket("api", rate, burst, lambda own=row: [own, *(r for r in rows if r is not own)],
                   self.clock)
            for row in rows
        ]  # fmt: skip


def test_a_burst_passes_and_then_the_rate() -> None:
    fleet = Fleet(1, rate=2, burst=5)
    (worker,) = fleet.workers
    assert [worker.take("a").allowed for _ in range(6)] == [True] * 5 + [False]
    assert worker.take("b").allowed
    fleet.clock.now += 0.5
    assert [worker.take("a").allowed for _ in range(2)] == [True, False]
    fleet.clock.now += 100
    assert [worker.take("a").allowed for _ in range(6)] == [True] * 5 + [False]


def test_a_verdict_says_what_is_left_and_when_there_is_more() -> None:
    fleet = Fleet(1, rate=2, burst=2)
    (worker,) = fleet.workers
    first = worker.take("a")
    assert (first.allowed, first.remaining, first.wait_s, first.full_s) == (True, 1, 0.0, 0.5)
    worker.take("a")
    last = worker.take("a")
    assert (last.allowed, last.remaining, last.wait_s, last.full_s) == (False, 0, 0.5, 1.0)


def test_workers_share_one_bucket() -> None:
    fleet = Fleet(4, rate=1, burst=10)
    passed = sum(fleet.workers[n % 4].take("a").allowed for n in range(40))
    assert passed == 10
    fleet.clock.now += 3
    assert sum(fleet.workers[n % 4].take("a").allowed for n in range(40)) == 3


def test_several_tokens_at_once() -> None:
    fleet = Fleet(1, rate=1, burst=10)
    (worker,) = fleet.workers
    assert worker.take("a", 8).allowed
    assert not worker.take("a", 3).allowed
    assert worker.take("a", 2).allowed


steps = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["a", "b"]), st.sampled_from([0.0, 0.01, 0.3, 7])),
    max_size=120,
)


@given(steps)
@settings(max_examples=200)
def test_it_is_the_textbook_bucket_whoever_asks(taken: list[tuple[int, str, float]]) -> None:
    rate, burst = 3.0, 5
    fleet = Fleet(4, rate, burst)
    levels = {"a": (float(burst), 1000.0), "b": (float(burst), 1000.0)}
    for number, key, pause_s in taken:
        fleet.clock.now += pause_s
        tokens, since = levels[key]
        tokens = min(burst, tokens + rate * (fleet.clock.now - since))
        verdict = fleet.workers[number].take(key)
        if abs(tokens - 1) > 0.01:  # cells count thousandths
            assert verdict.allowed == (tokens >= 1)
        levels[key] = (tokens - verdict.allowed, fleet.clock.now)


def test_a_full_bucket_gives_its_place_to_another_key() -> None:
    fleet = Fleet(2, rate=1, burst=1)
    first, second = fleet.workers
    for number in range(3 * PLACES):
        first.take(f"key {number}")
    fleet.clock.now += 2
    assert [first.take("late").allowed, second.take("late").allowed] == [True, False]


def test_a_flood_of_keys_makes_none_of_them_wait() -> None:
    fleet = Fleet(1, rate=0.001, burst=1)
    (worker,) = fleet.workers
    assert all(worker.take(f"key {number}").allowed for number in range(4 * PLACES))
    assert PROBES < PLACES


def test_another_rate_counts_anew() -> None:
    fleet = Fleet(1, rate=0.001, burst=1)
    (worker,) = fleet.workers
    assert [worker.take("a").allowed for _ in range(2)] == [True, False]
    changed = Bucket("api", 5.0, 1, worker._find_rows, fleet.clock)
    assert changed.take("a").allowed
