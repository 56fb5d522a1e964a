"""What the settings of one environment must agree on, and what they become in a spec."""

from typing import Any, Final

from control.config.setting import Group
from control.manifest.layers import Layers
from control.manifest.spec import (
    AppHealth,
    Assets,
    CronSpec,
    Instances,
    ProcessSpec,
    Resources,
    Times,
    Waiting,
)
from control.manifest.table_schema import ASSETS, BUILD, CRON, HEALTH, INSTANCES, LIMITS, PROCESS
from control.manifest.table_schema import WAITING as WAITING_TABLE


def check_agreement(layers: Layers) -> None:
    """Note what contradicts itself, and what is required and nowhere written."""
    values = layers.values
    instances = values.get("instances", {})
    low, high = instances.get("min", 0), instances.get("max")
    if high is not None and low > high:
        layers.add("instances.min", f"{low} is more than instances.max, which is {high}")
    for path, what in _NOT_EMPTY:
        table, _, key = path.rpartition(".")
        if (values.get(table, {}) if table else values).get(key) == ():
            layers.add(path, f"is empty: name at least one {what}")
    if "start" in values and "main" in values:
        layers.add("main", 'means nothing beside "start", which says all')
    _check_required(layers)
    _check_site(layers)


def parts_of(values: dict[str, Any]) -> dict[str, Any]:
    """The parts of a spec that come from the file alone, by their names in `AppSpec`."""
    times = _fields(LIMITS, values.get("limits", {})) | {
        "build_s": _fields(BUILD, values.get("build", {}))["build_s"]
    }
    health = _fields(HEALTH, values.get("health", {}))
    health["host"] = health["host"] or _first_host(values.get("routes", ()))
    if values.get("health", {}).get("path") and "expected" not in values["health"]:
        health["statuses"] = ((200, 399),)
    instances = _fields(INSTANCES, values.get("instances", {}))
    instances["max"] = max(instances["min"], instances["max"])
    assets = _fields(ASSETS, values.get("assets", {}))
    return {
        "routes": values.get("routes", ()),
        "servers": values.get("servers", ()),
        "instances": Instances(**instances),
        "health": AppHealth(**health),
        "times": Times(**{key: times[key] for key in Times.__dataclass_fields__}),
        "resources": Resources(**{key: times[key] for key in Resources.__dataclass_fields__}),
        "waiting": Waiting(**_fields(WAITING_TABLE, values.get("waiting", {}))),
        "assets": Assets(**assets | {"folder": assets["folder"] or ""}),
        "processes": tuple(
            ProcessSpec(name=name, **_fields(PROCESS, table))
            for name, table in values.get("process", {}).items()
        ),
        "crons": tuple(
            CronSpec(name=name, **_fields(CRON, table))
            for name, table in values.get("cron", {}).items()
        ),
    }


# Private

_NOT_EMPTY: Final = (("routes", "pattern, or leave it out"), ("health.expected", "status"))
_NOT_STATIC: Final = ("start", "main", "listen", "assets", "health", "waiting")


def _check_required(layers: Layers) -> None:
    tables = [("assets", ASSETS)] if "assets" in layers.values else []
    tables += [(f"process.{name}", PROCESS) for name in layers.values.get("process", {})]
    tables += [(f"cron.{name}", CRON) for name in layers.values.get("cron", {})]
    for path, group in tables:
        for key in group.required:
            if not layers.has(f"{path}.{key}"):
                layers.add(path, f'has no "{key}"')


def _check_site(layers: Layers) -> None:
    values = layers.values
    runtime = values.get("runtime", "")
    if runtime == "static":
        for key in _NOT_STATIC:
            if key in values:
                layers.add(key, 'means nothing with runtime = "static": nothing runs')
    elif "root" in values and (runtime or "start" in values):
        layers.add("root", 'is for runtime = "static": write assets = "…" for files beside an app')


def _fields(group: Group, written: dict[str, Any]) -> dict[str, Any]:
    """All fields of a table: what is written, else the default."""
    values = group.defaults() | written
    return {setting.target: values[setting.key] for setting in group.settings}


def _first_host(routes: tuple[str, ...]) -> str:
    """The Host that a client of the first route sends; a wildcard's own is made up."""
    host = routes[0].partition("/")[0] if routes else "localhost"
    return host.replace("*.", "health.", 1) if host != "*" else "localhost"
