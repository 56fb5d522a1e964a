"""What a kind of value is, and how one is made: `kinds` has all of them."""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from control.config.units import toml_type

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of value."""

    name: str
    example: str  # as TOML
    read: Callable[[object], Any]
    show: Callable[[Any], str]  # as TOML, for the reference


def textual(name: str, example: str, read: Callable[[str], str]) -> Kind:
    """A kind that is text in TOML and stays text."""
    return Kind(name=name, example=f'"{example}"', read=reader(example, read), show=show_text)


def reader(example: str, read: Callable[[str], T]) -> Callable[[object], T]:
    """Reads a string, and refuses all that is none."""
    return lambda value: read(read_text(value, example))


def choice(what: str, words: tuple[str, ...]) -> Callable[[str], str]:
    """Reads one of some words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"{quote(text)} is no {what}: use {listed(words)}")
        return text

    return read


def read_text(value: object, example: str) -> str:
    """A string; raises `ValueError`."""
    if not isinstance(value, str):
        raise ValueError(f'must be a string such as "{example}", not {toml_type(value)}')
    return value


def show_text(value: object) -> str:
    """Text as TOML."""
    return f'"{value}"'


def quote(text: str) -> str:
    """Text as it is shown in a message."""
    return '"' + text.encode("unicode_escape").decode("ascii").replace('"', '\\"') + '"'


def listed(words: Iterable[str]) -> str:
    """Words to choose from."""
    return " or ".join(f'"{word}"' for word in words)


def nearest(word: str, known: Iterable[str]) -> str:
    """`: did you mean "x"?` when a known word is near, else nothing."""
    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f': did you mean "{match[0]}"?' if match else ""
