"""Checking: from the values of a TOML text to typed settings, and every problem on the way.

Nothing stops at the first problem. A value that is refused is left out of the result; the result
of a file with problems is never used.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from control.config import kinds, schema
from control.config.hosts import Declared, check_hosts, host_of
from control.config.kinds import nearest
from control.config.machine import Machine
from control.config.positions import Keys, Node, inside, line_of
from control.config.problem import Report
from control.config.route_schema import ROUTE
from control.config.routes import check_files, check_route
from control.config.server import ServerCheck, fill_in
from control.config.setting import Group, Setting, Shape
from control.config.units import toml_type


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


@dataclass(slots=True)
class Checked:
    """A file as read. Groups are complete; routes hold only what is written."""

    server: dict[str, Any]
    tls: dict[str, Any]
    limits: dict[str, Any]
    timeouts: dict[str, Any]
    routes: list[CheckedRoute]
    hosts: list[Declared]  # what the routes say of the hosts' certificates


def check(raw: dict[str, Any], places: Keys, report: Report, machine: Machine) -> Checked:
    """Read all values of a file; its problems go to the report."""
    walk = _Walk(report)
    names = [group.name for group in schema.GROUPS]
    for key in raw:
        if key not in names:
            report.add(line_of(inside(places, key)), key, _unknown_table(key, names))
    groups = {
        group.name: group.defaults() | _single(walk, group, raw, places)
        for group in schema.GROUPS
        if group is not ROUTE
    }
    fill_in(groups["server"], machine)
    routes = _routes(walk, raw, places, machine)
    hosts = [
        Declared(host_of(owned.pattern), owned.line, route.values.get("tls"), route.place)
        for route in routes
        for owned in route.patterns
    ]
    checked = Checked(
        groups["server"], groups["tls"], groups["limits"], groups["timeouts"], routes, hosts
    )
    listens, asks = bool(groups["server"]["https"]), bool(groups["tls"]["ask"])
    check_hosts(hosts, report, listens=listens, asks=asks)
    _check_patterns(checked, report)
    _check_limits(checked, inside(places, "limits"), report)
    ServerCheck(checked.server, inside(places, "server"), report, machine).run()
    return checked


# Private

_SKIP: Final = object()  # a value that was refused


def _single(walk: "_Walk", group: Group, raw: dict[str, Any], places: Keys) -> dict[str, Any]:
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


def _routes(
    walk: "_Walk", raw: dict[str, Any], places: Keys, machine: Machine
) -> list[CheckedRoute]:
    tables = raw.get("route", [])
    place = inside(places, "route")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        walk.report.add(line_of(place), "route", "write [[route]] with double brackets")
        return []
    routes = []
    for index, table in enumerate(tables):
        here = inside(place, index)
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


class _Walk:
    """Reads tables by their schema."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def table(self, group: Group, raw: dict[str, Any], place: Node) -> dict[str, Any]:
        """The values of a table that could be read."""
        values = {}
        for key, value in raw.items():
            setting = group.find(key)
            here = inside(place, key)
            name = f"{group.name}.{key}"
            if setting is None:
                self.report.add(line_of(here), name, _unknown(key, group.keys()))
            elif (
                result := self._readers[setting.shape](self, setting, value, here, name)
            ) is not _SKIP:
                values[key] = result
        for key in group.required:
            if key not in raw:
                self.report.add(line_of(place), group.name, f'has no "{key}"')
        return values

    def _one(self, setting: Setting, value: object, place: Node, name: str) -> object:
        try:
            result = setting.kind.read(value)
        except ValueError as error:
            self.report.add(line_of(place), name, str(error))
            return _SKIP
        if setting.low is not None and result < setting.low:
            message = f"{_shown(value)} is too little: at least {setting.kind.show(setting.low)}"
        elif setting.high is not None and result > setting.high:
            message = f"{_shown(value)} is too much: at most {setting.kind.show(setting.high)}"
        else:
            return result
        self.report.add(line_of(place), name, message)
        return _SKIP

    def _many(self, setting: Setting, value: object, place: Node, name: str) -> object:
        """All values in order, None for a refused one."""
        if isinstance(value, str):
            value, place = [value], line_of(place)
        if not isinstance(value, list):
            message = f"must be an array such as [{setting.kind.example}], not {toml_type(value)}"
            self.report.add(line_of(place), name, message)
            return _SKIP
        items: dict[object, None] = {}
        result = []
        for index, item in enumerate(value):
            here = inside(place, index)
            one = self._one(setting, item, here, name)
            if one in items and not setting.repeats:
                self.report.add(line_of(here), name, f"{_shown(one)} is listed twice")
            elif one is not _SKIP:
                items[one] = None
            result.append(None if one is _SKIP else one)
        return tuple(result)

    def _fields(self, setting: Setting, value: object, place: Node, name: str) -> object:
        if not isinstance(value, dict):
            message = f'must be a table such as {{ "X-Name" = "value" }}, not {toml_type(value)}'
            self.report.add(line_of(place), name, message)
            return _SKIP
        fields: dict[str, tuple[str, str]] = {}
        for key, text in value.items():
            line = line_of(inside(place, key))
            where = name
            try:
                kinds.read_name(key)
                where = f"{name}.{key}"
                pair = key, kinds.read_field_value(text)
            except ValueError as error:
                self.report.add(line, where, str(error))
                continue
            if key.lower() in fields:
                other = fields[key.lower()][0]
                self.report.add(line, name, f'"{key}" and "{other}" are the same header')
            fields[key.lower()] = pair
        return tuple(fields.values())

    def _pages(self, setting: Setting, value: object, place: Node, name: str) -> object:
        if not isinstance(value, dict):
            message = f'must be a table such as {{ "404" = "404.html" }}, not {toml_type(value)}'
            self.report.add(line_of(place), name, message)
            return _SKIP
        pages = []
        for key, path in value.items():
            here = inside(place, key)
            try:
                kinds.read_page_status(key)
            except ValueError as error:
                self.report.add(line_of(here), name, str(error))
                continue
            read = self._one(setting, path, here, name)
            if read is not _SKIP:
                pages.append((key, read))
        return tuple(pages)

    def _inner(self, setting: Setting, value: object, place: Node, name: str) -> object:
        group = setting.group
        assert group is not None
        if isinstance(value, str) and group.short:
            value, place = {group.short: value}, line_of(place)
        if not isinstance(value, dict):
            kinds_taken = "a string or a table" if group.short else "a table"
            message = f"must be {kinds_taken}, not {toml_type(value)}"
            self.report.add(line_of(place), name, message)
            return _SKIP
        return self.table(group, value, place)

    _readers: Final[dict[Shape, Callable[..., Any]]] = {
        Shape.ONE: _one,
        Shape.MANY: _many,
        Shape.FIELDS: _fields,
        Shape.PAGES: _pages,
        Shape.TABLE: _inner,
    }


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


def _unknown(key: str, known: list[str]) -> str:
    return f"unknown key{nearest(key, known)}"


def _unknown_table(key: str, names: list[str]) -> str:
    homes = [group.name for group in schema.GROUPS if group.find(key) is not None]
    if homes and not nearest(key, names):
        return f"unknown key: it belongs under [{homes[0]}]"
    return _unknown(key, names)


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
