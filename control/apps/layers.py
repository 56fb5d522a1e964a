"""The two layers of an app's file: what stands at the top, and what one environment says anew."""

from dataclasses import dataclass
from typing import Any

from control.config.positions import Node, inside, line_of
from control.config.problem import Report
from control.config.setting import Group, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """The values of a table as read, where it stands, and how messages call it."""

    name: str  # "envs.production"; "" is the top
    values: dict[str, Any]
    place: Node


class Layers:
    """An environment over the top: joined values, and where each is written."""

    def __init__(self, group: Group, top: Layer, env: Layer | None, report: Report) -> None:
        self.values = _joined(group, top.values, env.values) if env else top.values
        self._layers = (env, top) if env else (top,)
        self._report = report

    def add(self, path: str, message: str) -> None:
        """Note a problem of a setting, such as "instances.min", where it is written."""
        layer, node = self._find(path.split("."))
        name = f"{layer.name}.{path}" if layer.name else path
        self._report.add(line_of(node), name, message)

    # Private

    def _find(self, steps: list[str]) -> tuple[Layer, Node]:
        for layer in self._layers:
            values: Any = layer.values
            node = layer.place
            for step in steps:
                if not isinstance(values, dict) or step not in values:
                    break
                values, node = values[step], inside(node, step)
            else:
                return layer, node
        return self._layers[0], self._layers[0].place


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
