"""Plain values, as JSON has them, become dataclasses: each of the type that its field says.

What was kept on a disk may be half a file, or somebody's edit. Whoever reads it here gets either
what was written or a `ValueError` with the place of what is wrong, never a surprise later.
"""

import functools
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

_WORDS: Final[dict[object, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
}


def read(kind: type[T], value: object, place: str = "") -> T:
    """A dataclass of that value. A field that is missing has its default, if it has one.

    `place` is where the value was found. Raises `ValueError`.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{place or 'it'} is {_shown(value)}, and not an object")
    return _dataclass(kind, value, place)


# Private


def _dataclass(kind: type[T], value: Mapping[Any, object], place: str) -> T:
    hints = _hints(kind)
    for name in value:
        if name not in hints:
            raise ValueError(f"{_within(place, str(name))} is nothing that is known")
    made = {
        name: _read(hint, value[name], _within(place, name))
        for name, hint in hints.items()
        if name in value
    }
    for each in fields(kind):
        has_default = each.default is not MISSING or each.default_factory is not MISSING
        if each.name not in made and not has_default:
            raise ValueError(f"{_within(place, each.name)} is missing")
    return kind(**made)


def _read(hint: object, value: object, place: str) -> object:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        [hint] = [each for each in arguments if each is not type(None)]
        return _read(hint, value, place)
    if origin in (tuple, list):
        return origin(_items(origin, arguments, value, place))
    if isinstance(hint, type) and is_dataclass(hint):
        return read(hint, value, place)
    if isinstance(hint, type) and issubclass(hint, Enum):
        known = [each.value for each in hint]
        if value not in known:
            listed = ", ".join(map(str, known))
            raise ValueError(f"{place} is {_shown(value)}, and none of {listed}")
        return hint(value)
    return _plain(hint, value, place)


def _items(origin: object, arguments: tuple[Any, ...], value: object, place: str) -> list[object]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{place} is {_shown(value)}, and not a list")
    if origin is list or arguments[-1] is Ellipsis:
        hints = [arguments[0]] * len(value)
    else:
        hints = [*arguments]
    if len(hints) != len(value):
        raise ValueError(f"{place} has {len(value)} items, and not {len(hints)}")
    return [
        _read(hint, each, f"{place}[{number}]")
        for number, (hint, each) in enumerate(zip(hints, value, strict=True))
    ]


def _plain(hint: object, value: object, place: str) -> object:
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise ValueError(f"{place} is {_shown(value)}, and not {_WORDS[hint]}")
    return value


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _within(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
