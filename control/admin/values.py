"""Values of questions and orders: read, or refused."""

from typing import IO, Any, NamedTuple

from control.refusal import Refused

Query = dict[str, list[str]]
Document = dict[str, Any]


class Upload(NamedTuple):
    """The body of an order that is more than a document, and whose it is."""

    file: IO[bytes]
    uid: int


def one(query: Query, name: str) -> str:
    """The last value of a parameter; "" without any."""
    return query.get(name, [""])[-1]


def number(query: Query, name: str, default: int, largest: int = 2**53) -> int:
    """A parameter that is a number, at most `largest`. Raises `Refused`."""
    text = one(query, name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 16:
        raise Refused("bad-request", f"The parameter '{name}' is a number, not {text[:20]!r}.")
    return min(int(text), largest)


def flag(body: Document, name: str) -> bool:
    """A field that is true or false. Raises `Refused`."""
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise Refused("bad-request", f"'{name}' is true or false.")
    return value


def text(body: Document, name: str) -> str:
    """A field that is a text; "" without. Raises `Refused`."""
    value = body.get(name, "")
    if not isinstance(value, str):
        raise Refused("bad-request", f"'{name}' is a text.")
    return value


def texts(body: Document, name: str) -> tuple[str, ...]:
    """A field that is a list of texts. Raises `Refused`."""
    value = body.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise Refused("bad-request", f"'{name}' is a list of texts.")
    return tuple(value)


def seconds(body: Document, name: str, default: float) -> float:
    """A field that is a number of seconds. Raises `Refused`."""
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused("bad-request", f"'{name}' is a number of seconds.")
    return float(value)
