"""The two layers of an app's file: what stands at the top, and what one environment says anew."""

from dataclasses import dataclass
from typing import Any

from control.config.positions import Node, inside, line_of
from control.config.problem import Report
from control.config.setting import Group, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A table: as written, as read, where it stands, and how messages call it."""

    name: str  # "envs.production"; "" is the top
    raw: dict[str, Any]
    values: dict[str, Any]  # without what was refused
    place: Node


class Layers:
    """An environment over the top: joined values, and where each is written."""

    def __init__(self, group: Group, top: Layer, env: Layer | None, report: Report) -> None:
        self.values = _joined(group, top.values, env.values) if env else top.values
        self._layers = (env, top) if env else (top,)
        self._report = report

    def add(self, path: str, message: str) -> None:
        """Note a problem of a setting, such as "instances.min", where it is written.

        One of no setting ("") is about the file as a whole.
        """
        if not path:
            self._report.add(0, "", message)
            return
        layer, node = self._find(path.split(".")) or (self._layers[0], self._layers[0].place)
        name = f"{layer.name}.{path}" if layer.name else path
        self._report.add(line_of(node), name, message)

    def has(self, path: str) -> bool:
        """Whether that is written, be it refused."""
        return self._find(path.split(".")) is not None

    # Private

    def _find(self, steps: list[str]) -> tuple[Layer, Node] | None:
        for layer in self._layers:
            values: Any = layer.raw
            node = layer.place
            for step in steps:
                if isinstance(values, str):  # in place of a whole table
                    continue
                if not isinstance(values, dict) or step not in values:
                    break
                values, node = values[step], inside(node, step)
            else:
                return layer, node
        return None


# Private


def _joined(group: Group, below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    values = dict(below)
    for key, value in above.items():
        setting = group.find(key)
        assert setting is not None, f"{key} was refused"
        inner = setting.group
        if setting.shape is Shape.MAP:
            value = tuple((dict(below.get(key, ())) | dict(value)).items())
        elif setting.shape is Shape.TABLE and inner:
            value = _joined(inner, below.get(key, {}), value)
        elif setting.shape is Shape.TABLES and inner:
            under = below.get(key, {})
            value = under | {
                name: _joined(inner, under.get(name, {}), table) for name, table in value.items()
            }
        values[key] = value
    return values
