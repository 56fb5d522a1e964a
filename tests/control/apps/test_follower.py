"""Following: in order, bounded, and told what was missed where it was missed."""

import gevent
from hypothesis import given
from hypothesis import strategies as st

from control.apps.follower import ROOM, ROOM_BYTES, Follower
from control.apps.logline import Line, Stream


def line(number: int, size: int = 0) -> Line:
    text = str(number).ljust(size, ".")
    return Line(time=float(number), stream=Stream.STDOUT, instance="1", text=text)


def drained(follower: Follower) -> list[str]:
    follower.end()
    return [each.text for each in follower.lines(5.0) if each is not None]


def test_what_is_missed_is_told_in_its_place() -> None:
    follower = Follower()
    follower.add([line(number) for number in range(ROOM + 5)])
    lines = follower.lines(5.0)
    first = next(lines)
    assert first is not None
    assert first.text == "0"
    assert next(lines)
    follower.add([line(9999)])
    texts = drained(follower)
    assert texts[: ROOM - 2] == [str(number) for number in range(2, ROOM)]
    assert texts[ROOM - 2 :] == [
        "5 lines were missed here: they came faster than they were read",
        "9999",
    ]


def test_large_lines_are_bounded_by_their_size() -> None:
    follower = Follower()
    follower.add([line(number, 100_000) for number in range(30)])
    texts = drained(follower)
    assert len(texts) - 1 == ROOM_BYTES // 100_000
    assert texts[-1].startswith("20 lines were missed")


def test_who_waits_is_woken_and_who_waits_for_long_hears_nothing() -> None:
    follower = Follower()
    lines = follower.lines(0.01)
    assert next(lines) is None
    gevent.spawn(follower.add, [line(1)])
    patient = follower.lines(5.0)
    found = next(patient)
    assert found is not None
    assert found.text == "1"
    gevent.spawn(follower.end)
    assert list(patient) == []
    assert repr(follower) == "<Follower 0 waiting, 0 missed>"


@given(steps=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 700)), max_size=12))
def test_what_is_read_and_what_is_missed_is_all_that_came(steps: list[tuple[int, int]]) -> None:
    follower, sent, read, missed = Follower(), 0, 0, 0
    lines = follower.lines(0.0)
    for more, less in [*steps, (0, 10_000)]:
        follower.add([line(number) for number in range(sent, sent + more)])
        sent += more
        for _ in range(less):
            each = next(lines)
            if each is None:
                break
            if each.stream is Stream.EDGED:
                missed += int(each.text.split(" ")[0].replace(",", ""))
            else:
                assert int(each.text) == read + missed
                read += 1
    assert read + missed == sent
