"""The kinds of values that only an app's file has."""

import re
from typing import Final

from control.config.kind import Kind, choice, quote, reader, textual
from control.config.units import toml_type
from control.manifest import command, crontab
from control.manifest.spec import RUNTIMES, Listen

RESERVED_VARS: Final = ("HOST", "PORT", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID")
"""What edged itself tells each instance."""


def show_command(argv: tuple[str, ...]) -> str:
    """A command as TOML."""
    return "[" + ", ".join(f'"{word}"' for word in argv) + "]"


# Private

_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_VAR_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SERVER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/@\[\]-]*")
_LEAST_CPUS: Final = 0.01  # the kernel takes no less
_MAX_CPUS: Final = 1024


def _label(text: str) -> str:
    if not _LABEL.fullmatch(text):
        raise ValueError(
            f"{quote(text)} is no name: use 1 to 63 lower-case letters, digits and hyphens, with"
            " a letter or digit at both ends"
        )
    return text


def _server(text: str) -> str:
    if not _SERVER.fullmatch(text):
        raise ValueError(f'{quote(text)} is no server: write "prod" or "ssh://me@host"')
    return text


def _folder(text: str) -> str:
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not text or "\0" in text:
        raise ValueError('is empty: name a folder, or "." for the whole')
    if text.startswith("/") or ".." in parts:
        raise ValueError(f"{quote(text)} leads out of the app's folder")
    return "/".join(parts) or "."


def _main(text: str) -> str:
    if not text or "\0" in text or text.startswith(("/", "-")) or ".." in text.split("/"):
        raise ValueError(
            f'{quote(text)} is nothing of the app\'s folder: write "server.js" or "main:app"'
        )
    return text


def _words(value: object) -> tuple[str, ...] | str:
    """An array as arguments; a string stays one."""
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("holds a NUL character")
        return value
    if not isinstance(value, list):
        raise ValueError(f"must be an array of strings or a string, not {toml_type(value)}")
    for word in value:
        if not isinstance(word, str):
            raise ValueError(f"must be an array of strings, but holds {toml_type(word)}")
        if "\0" in word:
            raise ValueError("holds a NUL character")
    if not value or not value[0]:
        raise ValueError("is empty: write a command")
    return tuple(value)


def _command(value: object) -> tuple[str, ...]:
    words = _words(value)
    return command.in_shell(words) if isinstance(words, str) else words


def _process(value: object) -> tuple[str, ...]:
    words = _words(value)
    if isinstance(words, tuple):
        return words
    argv = command.split(words)
    if argv is None:
        raise ValueError(
            f"{quote(words)} takes a shell, which would hear SIGTERM in place of the program: write"
            ' ["sh", "-c", "… exec PROGRAM"]'
        )
    return argv


def _var_name(text: str) -> str:
    if not _VAR_NAME.fullmatch(text):
        raise ValueError(f"{quote(text)} is no name of a variable: use letters, digits and _")
    if text in RESERVED_VARS:
        raise ValueError(f'"{text}" is set by edged for each instance')
    return text


def _var_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"must be a string, not {toml_type(value)}")
    if "\0" in value:
        raise ValueError("holds a NUL character")
    return value


def _cpus(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a number such as 0.5, not {toml_type(value)}")
    if value != 0 and not _LEAST_CPUS <= value <= _MAX_CPUS:
        raise ValueError(f"{value} is no number of cores: {_LEAST_CPUS} to {_MAX_CPUS}, or 0")
    return float(value)


def _schedule(text: str) -> str:
    crontab.parse(text)
    return text.strip()


# The kinds

APP_NAME: Final = textual("name", "api", _label)
ENV_NAME: Final = textual("name", "production", _label)
PROCESS_NAME: Final = textual("name", "worker", _label)
CRON_NAME: Final = textual("name", "cleanup", _label)
RUNTIME: Final = textual("choice", "python", choice("runtime", RUNTIMES))
LISTEN: Final = textual("choice", "port", choice("way to listen", tuple(Listen)))
SERVER: Final = textual("server", "prod", _server)
FOLDER: Final = textual("folder", "public", _folder)
MAIN: Final = textual("file or object", "main:app", _main)
SCHEDULE: Final = Kind(
    name="schedule",
    example='"30 4 * * *"',
    read=reader("30 4 * * *", _schedule),
    show=lambda value: f'"{value}"',
)
COMMAND: Final = Kind(
    name="command",
    example='["python", "manage.py", "migrate"]',
    read=_command,
    show=show_command,
)
PROCESS: Final = Kind(
    name="command",
    example='["./server", "--port", "$PORT"]',
    read=_process,
    show=show_command,
)
VAR_NAME: Final = textual("name", "LOG_LEVEL", _var_name)
VAR_VALUE: Final = Kind(
    name="string", example='"info"', read=_var_value, show=lambda value: f'"{value}"'
)
CPUS: Final = Kind(name="number", example="0.5", read=_cpus, show=lambda value: f"{value:g}")
