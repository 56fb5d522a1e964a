"""Checking: from the values of a TOML text to typed settings, and every problem on the way.

Nothing stops at the first problem. A value that is refused is left out of the result; the result
of a file with problems is never used.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from control.config import kinds, schema
from control.config.kinds import nearest
from control.config.machine import Machine
from control.config.positions import Keys, Node, inside, line_of
from control.config.problem import Report
from control.config.routes import check_route
from control.config.schema import Group, Setting, Shape
from control.config.units import toml_type

SOCKET_NAME: Final = "edged.sock"
SOCKET_PATH_BYTES: Final = 107


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


@dataclass(slots=True)
class Checked:
    """A file as read. Groups are complete; routes hold only what is written."""

    server: dict[str, Any]
    limits: dict[str, Any]
    timeouts: dict[str, Any]
    routes: list[CheckedRoute]


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
        if group is not schema.ROUTE
    }
    routes = _routes(walk, raw, places)
    checked = Checked(groups["server"], groups["limits"], groups["timeouts"], routes)
    _check_patterns(checked, report)
    _check_limits(checked, inside(places, "limits"), report)
    _ServerCheck(checked.server, inside(places, "server"), report, machine).run()
    return checked


# Private

_ALL: Final = ("", "[::]", "0.0.0.0")
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


def _routes(walk: "_Walk", raw: dict[str, Any], places: Keys) -> list[CheckedRoute]:
    tables = raw.get("route", [])
    place = inside(places, "route")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        walk.report.add(line_of(place), "route", "write [[route]] with double brackets")
        return []
    routes = []
    for index, table in enumerate(tables):
        here = inside(place, index)
        values = walk.table(schema.ROUTE, table, here)
        route = CheckedRoute(line_of(here), values)
        match = inside(here, "match")
        several = isinstance(table.get("match"), list)
        for number, pattern in enumerate(values.get("match", ())):
            line = line_of(inside(match, number) if several else match)
            if pattern is not None:
                route.patterns.append(Owned(pattern, line))
        check_route(table, values, here, walk.report)
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
            if one in items:
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


class _ServerCheck:
    """What the [server] table says must fit together and fit the machine."""

    def __init__(
        self, values: dict[str, Any], place: Node, report: Report, machine: Machine
    ) -> None:
        self.values = values
        self.place = place
        self.report = report
        self.machine = machine
        self.folder = os.path.dirname(os.path.abspath(report.file))

    def run(self) -> None:
        """All of it."""
        self._check_folders()
        self._check_access_log()
        self._check_hooks()
        self._check_addresses()
        self._check_accounts()

    def _add(self, key: str, message: str, index: int | None = None) -> None:
        place = inside(self.place, key)
        if index is not None:
            place = inside(place, index)
        self.report.add(line_of(place), f"server.{key}", message)

    def _path(self, text: str) -> str:
        return os.path.normpath(os.path.join(self.folder, text))

    def _check_folders(self) -> None:
        state, run = self._path(self.values["state_dir"]), self._path(self.values["run_dir"])
        if state == run:
            key = "run_dir" if isinstance(self.place, Keys) and "run_dir" in self.place.keys else ""
            message = f'state_dir and run_dir are the same folder "{state}": they must differ'
            self._add(key or "state_dir", message)
        for key, path in (("state_dir", state), ("run_dir", run)):
            if self.machine.is_file(path):
                self._add(key, f'"{path}" is a file: name a folder')
        socket_path = os.path.join(run, SOCKET_NAME)
        if len(socket_path.encode()) > SOCKET_PATH_BYTES:
            message = f'"{socket_path}" is too long for a unix socket: choose a shorter path'
            self._add("run_dir", message)

    def _check_access_log(self) -> None:
        text = self.values["access_log"]
        if text and text != "-" and self.machine.is_folder(self._path(text)):
            self._add("access_log", f'"{self._path(text)}" is a folder: name a file')

    def _check_hooks(self) -> None:
        for index, hook in enumerate(self.values["hooks"]):
            if (
                hook is not None
                and hook.endswith(".py")
                and not self.machine.is_file(self._path(hook))
            ):
                self._add("hooks", f'there is no file "{self._path(hook)}"', index)

    def _check_addresses(self) -> None:
        http = [address for address in self.values["http"] or () if address is not None]
        if self.values["http"] == ():
            self._add("http", "is empty: edged needs an address to listen on")
        if len({_wide(address) for address in http}) < len(set(http)):
            self._add("http", '":port" and "[::]:port" are the same address: keep one')
        metrics = self.values["metrics"]
        overlapping = [address for address in http if metrics and _overlap(metrics, address)]
        if overlapping:
            self._add("metrics", f'"{metrics}" overlaps with "{overlapping[0]}" of server.http')

    def _check_accounts(self) -> None:
        user, group, me = self.values["user"], self.values["group"], self.machine.user
        if user and not self.machine.has_user(user):
            self._add("user", f'there is no user "{user}": create it, or leave the key out')
        elif user and me not in ("root", user):
            message = f'only root can start workers as "{user}": edged is started as "{me}"'
            self._add("user", message)
        if group and not self.machine.has_group(group):
            self._add("group", f'there is no group "{group}": create it, or leave the key out')
        elif group and me != "root" and not self.machine.in_group(group):
            self._add("group", f'"{me}" is not in the group "{group}"')


def _wide(address: str) -> str:
    return f"[::]{address}" if address.startswith(":") else address


def _overlap(one: str, other: str) -> bool:
    (host, port), (other_host, other_port) = one.rsplit(":", 1), other.rsplit(":", 1)
    return port == other_port and (host == other_host or not {host, other_host}.isdisjoint(_ALL))


def _unknown(key: str, known: list[str]) -> str:
    return f"unknown key{nearest(key, known)}"


def _unknown_table(key: str, names: list[str]) -> str:
    homes = [group.name for group in schema.GROUPS if group.find(key) is not None]
    if homes and not nearest(key, names):
        return f"unknown key: it belongs under [{homes[0]}]"
    return _unknown(key, names)


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
