"""Loading: a server file becomes a Spec, routes and settings, or a list of all its problems."""

import os
import re
import tomllib
from dataclasses import dataclass, field
from typing import Any, Final

from control.config.check import check
from control.config.hosts import Acme, HostTls, acme_of
from control.config.machine import Machine, ThisMachine
from control.config.positions import scan
from control.config.problem import Problem, Report
from control.config.resolve import resolve_hosts, resolve_routes, resolve_settings, resolve_spec
from edge.table.model import Route, Settings
from supervisor.spec import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What a file without problems asks for."""

    spec: Spec
    routes: tuple[Route, ...]
    settings: Settings
    nameservers: tuple[str, ...] = ()  # who control asks for names; none is those of the system
    hosts: tuple[HostTls, ...] = ()  # where their certificates come from; none without TLS
    acme: Acme = field(default_factory=Acme)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A file that was loaded. Ask for `problems` first: a file that has any resolves to nothing."""

    text: str = ""  # what was read, so that it can be kept as the applied configuration
    problems: tuple[Problem, ...] = ()
    resolved: Resolved | None = None

    @property
    def spec(self) -> Spec:
        """The desired process tree."""
        return self._sound().spec

    @property
    def routes(self) -> tuple[Route, ...]:
        """One route per pattern, in the order of the file."""
        return self._sound().routes

    @property
    def settings(self) -> Settings:
        """What holds for all routes."""
        return self._sound().settings

    @property
    def nameservers(self) -> tuple[str, ...]:
        """Who is asked for the names among the upstreams."""
        return self._sound().nameservers

    @property
    def hosts(self) -> tuple[HostTls, ...]:
        """Where each host's certificate comes from; none when nothing speaks TLS."""
        return self._sound().hosts

    @property
    def acme(self) -> Acme:
        """How certificates are had from public CAs."""
        return self._sound().acme

    def _sound(self) -> Resolved:
        if self.resolved is None:
            raise ValueError(f"the configuration has {len(self.problems)} problems")
        return self.resolved


def load(path: str | os.PathLike[str], machine: Machine | None = None) -> Loaded:
    """Load a file. Raises nothing for bad input."""
    file = os.fspath(path)
    try:
        with open(file, "rb") as stream:
            data = stream.read()
    except (OSError, ValueError) as error:
        return Loaded(problems=(_problem(file, 0, _why_unreadable(error)),))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Loaded(problems=(_problem(file, line, "is not UTF-8: save the file as UTF-8"),))
    return loads(text, file, machine)


def loads(text: str, path: str | os.PathLike[str], machine: Machine | None = None) -> Loaded:
    """Load a text as if it were the file at `path`. Raises nothing for bad input."""
    file = os.fspath(path)
    raw = _parse(text, file)
    if isinstance(raw, Problem):
        return Loaded(text=text, problems=(raw,))
    machine = machine or ThisMachine.look()
    report = Report(file)
    checked = check(raw, scan(text), report, machine)
    if report.problems:
        return Loaded(text=text, problems=report.problems)
    absolute = os.path.abspath(file)
    resolved = Resolved(
        spec=resolve_spec(checked, absolute, machine),
        routes=tuple(resolve_routes(checked, absolute)),
        settings=resolve_settings(checked, absolute),
        nameservers=checked.server["resolver"],
        acme=acme_of(checked.tls, absolute),
        hosts=resolve_hosts(checked, absolute),
    )
    return Loaded(text=text, resolved=resolved)


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
"""What tomllib says, where it says it in the words of a parser."""


def _parse(text: str, file: str) -> dict[str, Any] | Problem:
    try:
        return tomllib.loads(text)
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


def _last_line(text: str) -> int:
    return text.rstrip("\n").count("\n") + 1


def _problem(file: str, line: int, message: str) -> Problem:
    return Problem(file=file, line=line, key="", message=message)


def _why_unreadable(error: OSError | ValueError) -> str:
    match error:
        case FileNotFoundError():
            return "there is no such file: name the server file with --config"
        case PermissionError():
            return "may not be read by this user: check its owner and mode"
        case IsADirectoryError():
            return "is a folder: name the server file in it"
        case OSError():
            return f"cannot be read: {error.strerror}"
    return f"cannot be read: {error}"
