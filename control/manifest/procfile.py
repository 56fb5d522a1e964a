"""A Procfile, as Heroku and foreman have it: a name and a command on each line."""

import re
from typing import Final

from control.manifest import command
from control.manifest.project import Project, Undetected

FILE_NAME: Final = "Procfile"


def read_procfile(project: Project) -> dict[str, tuple[str, ...]]:
    """The commands of a folder's Procfile; {} when there is none. Raises `Undetected`."""
    found = {}
    for number, line in enumerate(project.text(FILE_NAME).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise Undetected(f'{FILE_NAME}:{number}: is no line of it: write "web: COMMAND"')
        try:
            found[match[1].lower().replace("_", "-")] = _argv(match[1], match[2])
        except ValueError as error:
            raise Undetected(f"{FILE_NAME}:{number}: {error}") from None
    return found


# Private

_LINE: Final = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?)\s*:\s*(.+)")


def _argv(name: str, text: str) -> tuple[str, ...]:
    """A command; what serves or works gets SIGTERM itself where that can be had."""
    if name.lower() == "release":
        return command.in_shell(text)
    return command.split(text) or command.at_last([text]) or command.in_shell(text)
