"""Commands as people write them, and as they are run: an argument vector, no shell.

A string is split as a shell would split it. What takes a shell (pipes, `&&`, variables, globs) is
given to one where that does no harm. A process that must hear SIGTERM is not: the shell would hear
it. `$HOST` and `$PORT` alone are put in here, so that no other value ever stands in an argument.
"""

import re
import shlex
from typing import Final


def split(text: str) -> tuple[str, ...] | None:
    """The arguments of a simple command; None for one that takes a shell, `ValueError` for none."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"is no command: {str(error).lower()}") from None
    if not words:
        raise ValueError("is empty: write a command")
    if _takes_shell(text):
        return None
    settings = 0
    while settings < len(words) and _SETTING.match(words[settings]):
        settings += 1
    if settings == len(words):
        return None
    return ("env", *words) if settings else tuple(words)


def in_shell(text: str) -> tuple[str, ...]:
    """The arguments of any command: one that takes a shell is given to it."""
    return split(text) or ("sh", "-c", text)


def at_last(texts: list[str]) -> tuple[str, ...] | None:
    """One command after the other, the last in place of the shell; None where that is unsure."""
    parts = [part for text in texts for part in text.split("&&")]
    try:
        if any(split(part) is None for part in parts):
            return None
    except ValueError:  # an "&&" in quotes
        return None
    if len(parts) == 1:
        return split(parts[0])
    *before, last = (part.strip() for part in parts)
    argv = split(last)
    prefix = "exec " if argv and not _SETTING.match(last) else "exec env "
    return ("sh", "-c", " && ".join([*before, prefix + last]))


def fill(argv: tuple[str, ...], host: str, port: int) -> tuple[str, ...]:
    """The arguments with the address that an instance shall listen on."""
    values = {"HOST": host, "PORT": str(port)}
    return tuple(_PLACE.sub(lambda match: values[match[1] or match[2]], word) for word in argv)


# Private

_PLACE: Final = re.compile(r"\$(?:(HOST|PORT)\b|\{(HOST|PORT)\})")
_SETTING: Final = re.compile(r"[A-Za-z_]\w*=")
_QUOTED: Final = re.compile(r"""'[^']*'|"(?:[^"\\]|\\.)*"|\\.""", re.S)
_FOR_SHELLS: Final = re.compile(r"[|&;<>()`$*?\[{}\n#!]|(?:^|\s)~")


def _takes_shell(text: str) -> bool:
    plain = _PLACE.sub("", text)
    quoted = _QUOTED.findall(plain)
    if any(one[0] == '"' and re.search(r"[$`]", one) for one in quoted):
        return True
    if any(one[0] == "'" and _PLACE.search(one) for one in _QUOTED.findall(text)):
        return True  # there it is text, not a place
    return _FOR_SHELLS.search(_QUOTED.sub("", plain)) is not None
