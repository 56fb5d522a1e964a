"""Checking: all of a server file, its tables and what they must agree on, in one report."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from control.config import kinds, schema
from control.config.app_folders import check_apps
from control.config.app_schema import APP
from control.config.hosts import Declared, check_hosts, host_of
from control.config.kind import nearest
from control.config.machine import Machine
from control.config.positions import Keys, Node, inside, line_of
from control.config.problem import Report
from control.config.route_schema import ROUTE
from control.config.routes import check_files, check_route
from control.config.server import ServerCheck, fill_in
from control.config.setting import Group
from control.config.walk import Walk, unknown


@dataclass(slots=True)
class Owned:
    """A canonical pattern and the line that declares it."""

    pattern: str
    line: int


@dataclass(slots=True)
class CheckedRoute:
    """One `[[route]]`: its settings as read, and its patterns."""

    line: int
    values: dict[str, Any]
    patterns: list[Owned] = field(default_factory=list)
    place: Node = field(default=0, repr=False)

    @property
    def name(self) -> str:
        """What it is known by, wherever in the file it stands: its first pattern, which no other
        route has."""
        return self.patterns[0].pattern


@dataclass(slots=True)
class Checked:
    """A file as read. Groups are complete; routes hold only what is written."""

    server: dict[str, Any]
    tls: dict[str, Any]
    limits: dict[str, Any]
    timeouts: dict[str, Any]
    routes: list[CheckedRoute]
    hosts: list[Declared]  # what the routes say of the hosts' certificates
    apps: list[dict[str, Any]]


def check(raw: dict[str, Any], places: Keys, report: Report, machine: Machine) -> Checked:
    """Read all values of a file; its problems go to the report."""
    walk = Walk(report)
    names = [group.name for group in schema.GROUPS]
    for key in raw:
        if key not in names:
            report.add(line_of(inside(places, key)), key, _unknown_table(key, names))
    groups = {
        group.name: group.defaults() | _single(walk, group, raw, places)
        for group in schema.GROUPS
        if group not in schema.ARRAYS
    }
    fill_in(groups["server"], machine)
    routes = _routes(walk, raw, places, machine)
    hosts = [
        Declared(
            host_of(owned.pattern), route.name, owned.line, route.values.get("tls"), route.place
        )
        for route in routes
        for owned in route.patterns
    ]
    apps = _apps(walk, raw, places, machine)
    checked = Checked(
        groups["server"], groups["tls"], groups["limits"], groups["timeouts"], routes, hosts, apps
    )
    listens, asks = bool(groups["server"]["https"]), bool(groups["tls"]["ask"])
    check_hosts(hosts, report, listens=listens, asks=asks)
    _check_patterns(checked, report)
    _check_limits(checked, inside(places, "limits"), report)
    ServerCheck(checked.server, inside(places, "server"), report, machine).run()
    return checked


# Private


def _single(walk: Walk, group: Group, raw: dict[str, Any], places: Keys) -> dict[str, Any]:
    table = raw.get(group.name, {})
    place = inside(places, group.name)
    if isinstance(table, list):
        message = f"there is only one [{group.name}]: write it with single brackets"
        walk.report.add(line_of(inside(place, 0)), group.name, message)
        return {}
    if not isinstance(table, dict):
        walk.report.add(line_of(place), group.name, f"must be a table: write [{group.name}]")
        return {}
    return walk.table(group, table, place)


def _routes(walk: Walk, raw: dict[str, Any], places: Keys, machine: Machine) -> list[CheckedRoute]:
    routes = []
    for table, here in _tables(walk, ROUTE, raw, places):
        values = walk.table(ROUTE, table, here)
        route = CheckedRoute(line_of(here), values, place=here)
        match = inside(here, "match")
        several = isinstance(table.get("match"), list)
        for number, pattern in enumerate(values.get("match", ())):
            line = line_of(inside(match, number) if several else match)
            if pattern is not None:
                route.patterns.append(Owned(pattern, line))
        check_route(table, values, here, walk.report)
        check_files(values, here, walk.report, machine)
        routes.append(route)
    return routes


def _apps(walk: Walk, raw: dict[str, Any], places: Keys, machine: Machine) -> list[dict[str, Any]]:
    tables = [*_tables(walk, APP, raw, places)]
    apps = [APP.defaults() | walk.table(APP, table, here) for table, here in tables]
    check_apps(apps, [here for _, here in tables], walk.report, machine)
    return apps


def _tables(
    walk: Walk, group: Group, raw: dict[str, Any], places: Keys
) -> Iterator[tuple[dict[str, Any], Node]]:
    """Those of an array, each with its place."""
    tables, place = raw.get(group.name, []), inside(places, group.name)
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        message = f"write [[{group.name}]] with double brackets"
        walk.report.add(line_of(place), group.name, message)
        return
    for index, table in enumerate(tables):
        yield table, inside(place, index)


def _check_patterns(checked: Checked, report: Report) -> None:
    owners: dict[str, tuple[CheckedRoute, int]] = {}
    file = os.path.basename(report.file)
    for route in checked.routes:
        for owned in route.patterns:
            owner, line = owners.setdefault(owned.pattern, (route, owned.line))
            if owner is not route:  # twice in one route was found already
                message = (
                    f'"{owned.pattern}" has two owners, {file}:{line} and {file}:{owned.line}:'
                    " remove one"
                )
                report.add(owned.line, "route.match", message)


def _check_limits(checked: Checked, place: Node, report: Report) -> None:
    line, head = checked.limits["request_line"], checked.limits["head"]
    if line > head:
        show = kinds.SIZE.show
        message = f"{show(line)} is more than a whole head may have: limits.head is {show(head)}"
        report.add(line_of(inside(place, "request_line")), "limits.request_line", message)


def _unknown_table(key: str, names: list[str]) -> str:
    homes = [group.name for group in schema.GROUPS if group.find(key) is not None]
    if homes and not nearest(key, names):
        return f"unknown key: it belongs under [{homes[0]}]"
    return unknown(key, names)
