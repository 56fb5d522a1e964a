"""Reading tables by their schema: values become typed, and every problem goes to the report.

Nothing stops at the first problem. A value that is refused is left out of the result; the result
of a file with problems is never used.
"""

from collections.abc import Callable
from typing import Any, Final

from control.config import kinds
from control.config.kind import nearest
from control.config.positions import Node, inside, line_of
from control.config.problem import Report
from control.config.setting import Group, Setting, Shape
from control.config.units import toml_type


class Walk:
    """Reads tables; problems go to the report."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def table(
        self, group: Group, raw: dict[str, Any], place: Node, name: str | None = None
    ) -> dict[str, Any]:
        """The values of a table that could be read. `name` is how messages call it."""
        name = group.name if name is None else name
        values = {}
        for key, value in raw.items():
            setting = group.find(key)
            here = inside(place, key)
            whole = f"{name}.{key}" if name else key
            if setting is None:
                self.report.add(line_of(here), whole, unknown(key, group.keys(), group.elsewhere))
            elif (
                result := self._readers[setting.shape](self, setting, value, here, whole)
            ) is not _SKIP:
                values[key] = result
        for key in group.required:
            if key not in raw:
                self.report.add(line_of(place), name, f'has no "{key}"')
        return values

    # Private

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

    def _map(self, setting: Setting, value: object, place: Node, name: str) -> object:
        """Pairs of name and value, in the order of the file."""
        if not isinstance(value, dict):
            example = f"{{ {setting.names.example} = {setting.kind.example} }}"
            message = f"must be a table such as {example}, not {toml_type(value)}"
            self.report.add(line_of(place), name, message)
            return _SKIP
        pairs = []
        for key, item in value.items():
            here = inside(place, key)
            if not self._named(setting, key, here, name):
                continue
            read = self._one(setting, item, here, f"{name}.{key}")
            if read is not _SKIP:
                pairs.append((key, read))
        return tuple(pairs)

    def _tables(self, setting: Setting, value: object, place: Node, name: str) -> object:
        """The values of each table, by its name."""
        group = setting.group
        assert group is not None
        form = f"[{name}.{setting.names.example.strip(chr(34))}]"
        if not isinstance(value, dict):
            message = f"must be a table: write {form}, not {toml_type(value)}"
            self.report.add(line_of(place), name, message)
            return _SKIP
        tables = {}
        for key, table in value.items():
            here = inside(place, key)
            if not self._named(setting, key, here, name):
                continue
            if isinstance(table, dict):
                tables[key] = self.table(group, table, here, f"{name}.{key}")
            else:
                message = f"must be a table: write {form}, not {toml_type(table)}"
                self.report.add(line_of(here), f"{name}.{key}", message)
        return tables

    def _named(self, setting: Setting, key: str, place: Node, name: str) -> bool:
        """Whether a name of the user's own is a good one."""
        try:
            setting.names.read(key)
        except ValueError as error:
            self.report.add(line_of(place), name, str(error))
            return False
        return True

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
        return self.table(group, value, place, name)

    _readers: Final[dict[Shape, Callable[..., Any]]] = {
        Shape.ONE: _one,
        Shape.MANY: _many,
        Shape.FIELDS: _fields,
        Shape.MAP: _map,
        Shape.TABLE: _inner,
        Shape.TABLES: _tables,
    }


def unknown(key: str, known: list[str], elsewhere: tuple[tuple[str, str], ...] = ()) -> str:
    """What is said of a key that nobody knows here."""
    place = dict(elsewhere).get(key)
    return f"unknown key: it belongs {place}" if place else f"unknown key{nearest(key, known)}"


# Private

_SKIP: Final = object()  # a value that was refused


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
