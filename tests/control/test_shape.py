"""Values become what their dataclasses say, or the place of what is wrong is told."""

import re
from dataclasses import dataclass, field
from enum import StrEnum

import pytest

from control import shape


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, kw_only=True)
class Inner:
    name: str
    size: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Outer:
    count: int
    on: bool = False
    colour: Colour = Colour.RED
    pair: tuple[int, str] | None = None
    inner: Inner = field(default_factory=lambda: Inner(name="a"))
    many: tuple[Inner, ...] = ()
    listed: list[int] = field(default_factory=list)


def test_what_is_well_is_read() -> None:
    value = {
        "count": 1,
        "on": True,
        "colour": "red",
        "pair": [1, "b"],
        "inner": {"name": "c", "size": 2},
        "many": [{"name": "d"}],
        "listed": [3],
    }
    read = shape.read(Outer, value)
    assert read == Outer(
        count=1,
        on=True,
        pair=(1, "b"),
        inner=Inner(name="c", size=2.0),
        many=(Inner(name="d"),),
        listed=[3],
    )
    assert isinstance(read.colour, Colour)
    assert isinstance(read.inner.size, float)
    assert shape.read(Outer, {"count": 1, "pair": None}) == Outer(count=1)


WRONG = [
    ([], "it is [], and not an object"),
    (None, "it is None, and not an object"),
    ({}, "count is missing"),
    ({"count": 1, "other": 2}, "other is nothing that is known"),
    ({"count": "1"}, "count is '1', and not a whole number"),
    ({"count": True}, "count is True, and not a whole number"),
    ({"count": 1.0}, "count is 1.0, and not a whole number"),
    ({"count": 1, "on": 1}, "on is 1, and not true or false"),
    ({"count": 1, "colour": "blue"}, "colour is 'blue', and none of red"),
    ({"count": 1, "colour": []}, "colour is [], and none of red"),
    ({"count": 1, "pair": [1]}, "pair has 1 items, and not 2"),
    ({"count": 1, "pair": [1, 2]}, "pair[1] is 2, and not a text"),
    ({"count": 1, "inner": 2}, "inner is 2, and not an object"),
    ({"count": 1, "inner": {"name": "a", "size": "b"}}, "inner.size is 'b', and not a number"),
    ({"count": 1, "many": {}}, "many is {}, and not a list"),
    ({"count": 1, "many": [{"name": "a"}, {}]}, "many[1].name is missing"),
    ({"count": 1, "listed": "12"}, "listed is '12', and not a list"),
]


@pytest.mark.parametrize(("value", "says"), WRONG, ids=[says for _, says in WRONG])
def test_what_is_wrong_is_told_with_its_place(value: object, says: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(says)}$"):
        shape.read(Outer, value)
