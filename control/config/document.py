"""A TOML file as text and as values, or the one problem that keeps it from being either."""

import re
from typing import Any, Final

import tomli

from control.config.problem import Problem


def read_text(file: str, missing: str) -> str | Problem:
    """The text of a file. `missing` says what to do when there is none."""
    try:
        with open(file, "rb") as stream:
            data = stream.read()
    except (OSError, ValueError) as error:
        return _problem(file, 0, _why_unreadable(error, missing))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return _problem(file, line, "is not UTF-8: save the file as UTF-8")


def parse(text: str, file: str) -> dict[str, Any] | Problem:
    """The values of a text; `file` is what the problem names."""
    try:
        return tomli.loads(text)
    except RecursionError:
        return _problem(file, 0, "is nested too deeply")
    except ValueError as error:
        message, line = str(error), 0
        if (match := _PLACE.search(message)) is not None:
            message = message[: match.start()]
            line = int(match[1]) if match[1] else _last_line(text)
        for pattern, better in _WORDING:
            message = pattern.sub(better, message)
        return _problem(file, line, f"bad TOML: {message[:1].lower()}{message[1:]}")


# Private

_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")

_WORDING: Final = (
    (re.compile(r"^Cannot overwrite a value$"), "the key on this line is set twice"),
    (
        re.compile(r"^Cannot declare \('(.*?)',?\) twice$"),
        r"the table [\1] is declared twice: put its keys together",
    ),
    (
        re.compile(r"^Unescaped '\\' in a string$"),
        "a backslash in \"…\" must be doubled; '…' takes it as it is",
    ),
)
"""What tomli says, where it says it in the words of a parser."""


def _why_unreadable(error: OSError | ValueError, missing: str) -> str:
    match error:
        case FileNotFoundError():
            return f"there is no such file: {missing}"
        case PermissionError():
            return "may not be read by this user: check its owner and mode"
        case IsADirectoryError():
            return "is a folder: name the file in it"
        case OSError():
            return f"cannot be read: {error.strerror}"
    return f"cannot be read: {error}"


def _last_line(text: str) -> int:
    return text.rstrip("\n").count("\n") + 1


def _problem(file: str, line: int, message: str) -> Problem:
    return Problem(file=file, line=line, key="", message=message)
