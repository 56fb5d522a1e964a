"""Loading: a server file becomes a Spec, routes and settings, or a list of all its problems."""

import os
from dataclasses import dataclass, field

from control.config.app_folders import AppFolder
from control.config.check import check
from control.config.document import parse, read_text
from control.config.hosts import Acme, HostTls, acme_of
from control.config.machine import Machine, ThisMachine
from control.config.positions import scan
from control.config.problem import Problem, Report
from control.config.resolve import (
    resolve_apps,
    resolve_hosts,
    resolve_routes,
    resolve_settings,
    resolve_spec,
)
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
    apps: tuple[AppFolder, ...] = ()  # what edged deploys by itself


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

    @property
    def apps(self) -> tuple[AppFolder, ...]:
        """What edged deploys by itself."""
        return self._sound().apps

    def _sound(self) -> Resolved:
        if self.resolved is None:
            raise ValueError(f"the configuration has {len(self.problems)} problems")
        return self.resolved


def load(path: str | os.PathLike[str], machine: Machine | None = None) -> Loaded:
    """Load a file. Raises nothing for bad input."""
    file = os.fspath(path)
    text = read_text(file, "name the server file with --config")
    if isinstance(text, Problem):
        return Loaded(problems=(text,))
    return loads(text, file, machine)


def loads(text: str, path: str | os.PathLike[str], machine: Machine | None = None) -> Loaded:
    """Load a text as if it were the file at `path`. Raises nothing for bad input."""
    file = os.fspath(path)
    raw = parse(text, file)
    if isinstance(raw, Problem):
        return Loaded(text=text, problems=(raw,))
    machine = machine or ThisMachine.look()
    report = Report(file)
    checked = check(raw, scan(text), report, machine)
    if report.problems:
        return Loaded(text=text, problems=report.problems)
    absolute = os.path.abspath(file)
    hosts = resolve_hosts(checked, absolute)
    resolved = Resolved(
        spec=resolve_spec(checked, absolute, machine),
        routes=tuple(resolve_routes(checked, absolute, hosts)),
        settings=resolve_settings(checked, absolute, hosts),
        nameservers=checked.server["resolver"],
        acme=acme_of(checked.tls, absolute),
        hosts=hosts,
        apps=resolve_apps(checked, absolute),
    )
    return Loaded(text=text, resolved=resolved)
