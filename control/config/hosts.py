"""Which host gets its certificate from where, from all routes together."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from control.config.positions import Node, inside, line_of
from control.config.problem import Report

ON_DEMAND: Final = "on_demand"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTls:
    """One host of the routes: "example.com", "*.example.com", an address."""

    host: str
    owner: str  # who declared it, "edged.toml:example.com", as `Route.owner` names it
    place: str = ""  # where, for people: "edged.toml:12", or the app
    mode: str = "auto"
    cert: str = ""  # absolute
    key: str = ""
    client_ca: str = ""
    client_required: bool = True

    @property
    def stands_for_many(self) -> bool:
        """Whether each name that it stands for has a certificate of its own: one on demand, and one
        of a wildcard that no client believes, such as "*.localhost"."""
        return self.mode == ON_DEMAND or (self.is_wide and self.mode in ("auto", "internal"))

    @property
    def is_wide(self) -> bool:
        """Whether it is a wildcard right below a name that nobody owns: clients refuse it."""
        below = self.host.removeprefix("*.")
        return below != self.host and ("." not in below or below == "home.arpa")


@dataclass(frozen=True, slots=True, kw_only=True)
class Acme:
    """How certificates are had from public CAs."""

    directories: tuple[str, ...] = ()  # none is the usual one
    email: str = ""
    ca_file: str = ""
    account: tuple[str, str] | None = None
    profile: str = ""
    key_type: str = "p256"
    challenges: tuple[str, ...] = ()  # none is all
    dns_hook: str = ""  # absolute
    dns_wait_s: float = 0.0
    ask: str = ""  # who allows certificates on demand


@dataclass(slots=True)
class Declared:
    """What one route says of one host."""

    host: str
    route: str  # its name
    line: int
    values: dict[str, Any] | None  # None: nothing
    place: Node = field(repr=False)


def check_hosts(declared: Iterable[Declared], report: Report, *, listens: bool, asks: bool) -> None:
    """All routes of a host must say the same, and what they say must be whole. `listens` and `asks`
    say whether there are `server.https` and `tls.ask`."""
    said: dict[str, Declared] = {}
    seen: set[int] = set()  # a route with several patterns is checked once
    for one in declared:
        if one.values is None:
            continue
        line = line_of(inside(one.place, "tls"))
        if line in seen:
            said.setdefault(one.host, one)
            continue
        seen.add(line)
        if not listens and one.values.get("mode") != "off":
            report.add(
                line, "route.tls", "means nothing without server.https: nobody listens there"
            )
            continue
        _check_one(one, line, report)
        if one.values.get("mode") == ON_DEMAND and not asks:
            message = 'needs "ask" in [tls]: without, anybody could have certificates of us'
            report.add(line, "route.tls", message)
        elif one.host == "*" and one.values.get("mode") not in (ON_DEMAND, "off"):
            message = 'means nothing for "*", which names no host: "on_demand" does'
            report.add(line, "route.tls", message)
        other = said.setdefault(one.host, one)
        if other.values != one.values:
            message = f'"{one.host}" has another "tls" on line {other.line}: write it once'
            report.add(line, "route.tls", message)


def hosts_of(declared: Iterable[Declared], path: str) -> tuple[HostTls, ...]:
    """Every host, and where its certificate comes from. `path` is the file's own, absolute."""
    folder, file = os.path.split(path)
    found: dict[str, Declared] = {}
    for one in declared:
        known = found.get(one.host)
        if known is None or (known.values is None and one.values is not None):
            found[one.host] = one
    hosts = (_host(one, folder, file) for one in found.values())
    return tuple(host for host in hosts if host.host != "*" or host.mode == ON_DEMAND)


def owner_of(file: str, route: str) -> str:
    """Whose the patterns of a route are, by its name: a line that moves makes no other owner, whose
    hosts, limits and rows would be others."""
    return f"{file}:{route}"


def host_of(pattern: str) -> str:
    """The host of a route's pattern: "*.example.com" of "*.example.com/api/*"."""
    return pattern.partition("/")[0]


def acme_of(values: dict[str, Any], path: str) -> Acme:
    """What [tls] says of CAs. `path` is the file's own, absolute."""
    folder = os.path.dirname(path)

    def place(key: str) -> str:
        written = values.get(key)
        return os.path.normpath(os.path.join(folder, written)) if written else ""

    return Acme(
        directories=values["acme_directory"],
        email=values["acme_email"],
        ca_file=place("acme_ca_file"),
        account=values["acme_account"],
        profile=values["acme_profile"],
        key_type=values["acme_key"],
        challenges=values["acme_challenges"],
        dns_hook=place("dns_hook"),
        dns_wait_s=values["dns_wait"],
        ask=values["ask"] or "",
    )


# Private


def _check_one(one: Declared, line: int, report: Report) -> None:
    values = one.values or {}
    mode = values.get("mode", "own" if "cert" in values else "auto")
    if ("cert" in values) != ("key" in values):
        missing = "key" if "cert" in values else "cert"
        report.add(line, "route.tls", f'has no "{missing}": a certificate and its key go together')
    elif mode == "own" and "cert" not in values:
        report.add(line, "route.tls", 'has no "cert" and "key", which mode "own" is about')
    elif mode != "own" and "cert" in values:
        report.add(line, "route.tls", f'has "cert", which means nothing with mode "{mode}"')
    if "client_required" in values and "client_ca" not in values:
        where = line_of(inside(inside(one.place, "tls"), "client_required"))
        report.add(where, "route.tls.client_required", 'means nothing without "client_ca"')


def _host(one: Declared, folder: str, file: str) -> HostTls:
    values = dict(one.values or {})
    values.setdefault("mode", "own" if "cert" in values else "auto")
    for key in ("cert", "key", "client_ca"):
        if key in values:
            values[key] = os.path.normpath(os.path.join(folder, values[key]))
    owner, place = owner_of(file, one.route), f"{file}:{one.line}"
    return HostTls(host=one.host, owner=owner, place=place, **values)
