"""From a checked file to what runs: the Spec of the process tree, the routes, the settings."""

import os
from collections.abc import Callable, Iterator
from typing import Any, Final

from control.config import schema
from control.config.access_schema import LIMIT
from control.config.check import Checked, CheckedRoute
from control.config.machine import Machine
from control.config.peer_schema import BALANCING, EJECTION, HEALTH
from control.config.route_schema import FILES
from control.config.setting import Group
from edge.setup import WorkerOptions
from edge.table.model import (
    Access,
    Balancing,
    BasicAuth,
    Ejection,
    FieldRules,
    Files,
    Fixed,
    HealthCheck,
    Limits,
    PathRewrite,
    RateLimit,
    Redirect,
    Route,
    Settings,
    Timeouts,
)
from supervisor.spec import MAX_WORKERS, Spec

TABLE_NAME: Final = "table.db"


def resolve_spec(checked: Checked, path: str, machine: Machine) -> Spec:
    """The process tree that a file wants. `path` is the file's own, absolute."""
    folder = os.path.dirname(path)
    server = checked.server
    state_dir, run_dir = (_join(folder, server[key]) for key in ("state_dir", "run_dir"))
    workers = server["workers"] or min(machine.cores, MAX_WORKERS)
    http = server["http"] or ((":80",) if machine.may_bind_80 else (":8080",))
    return Spec(
        config_path=path,
        http=tuple(_listener(address, machine) for address in http),
        workers=workers,
        state_dir=state_dir,
        run_dir=run_dir,
        metrics=_listener(server["metrics"], machine) if server["metrics"] else "",
        user=_user(server["user"], machine),
        group=server["group"] or "",
        hang_s=server["hang"],
        worker=WorkerOptions(
            hooks=tuple(_hook(folder, hook) for hook in server["hooks"]),
            hook_path=folder,
            access_log=_access_log(folder, run_dir, server["access_log"]),
            table_path=os.path.join(state_dir, TABLE_NAME),
            drain_s=checked.timeouts["drain"],
            drain_upgraded_s=checked.timeouts["drain_upgraded"],
        ),
    )


def resolve_settings(checked: Checked) -> Settings:
    """What holds for all routes."""
    values = _fields(schema.LIMITS, checked.limits) | _fields(schema.TIMEOUTS, checked.timeouts)
    return Settings(
        limits=Limits(**_part(Limits, values)),
        timeouts=Timeouts(**_part(Timeouts, values)),
        trusted_proxies=checked.server["trusted_proxies"],
        proxy_protocol=checked.server["proxy_protocol"],
        underscore_headers=checked.server["underscore_headers"],
    )


def resolve_routes(checked: Checked, path: str) -> Iterator[Route]:
    """One route per pattern, in the order of the file."""
    folder, file = os.path.split(path)
    for route in checked.routes:
        parts = _route_parts(route, folder)
        for owned in route.patterns:
            yield Route(pattern=owned.pattern, owner=f"{file}:{owned.line}", **parts)


# Private


def _join(folder: str, path: str) -> str:
    return os.path.normpath(os.path.join(folder, path))


def _listener(address: str, machine: Machine) -> str:
    if not address.startswith(":"):
        return address
    return f"[::]{address}" if machine.has_ipv6 else f"0.0.0.0{address}"


def _hook(folder: str, hook: str) -> str:
    return _join(folder, hook) if hook.endswith(".py") else hook


def _access_log(folder: str, run_dir: str, text: str | None) -> str:
    if text is None:
        return os.path.join(run_dir, "access.log")
    return _join(folder, text) if text not in ("", "-") else text


def _user(user: str | None, machine: Machine) -> str:
    if machine.user != "root" or user == "root":
        return ""  # the master's own
    return user or ("edged" if machine.has_user("edged") else "nobody")


def _fields(group: Group, values: dict[str, Any]) -> dict[str, Any]:
    return {setting.target: values[setting.key] for setting in group.settings}


def _part(kind: type[Limits] | type[Timeouts], values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in kind.__dataclass_fields__ if name in values}


def _route_parts(route: CheckedRoute, folder: str) -> dict[str, Any]:
    values = route.values
    parts: dict[str, Any] = {
        "upstreams": tuple(_peer(folder, peer) for peer in values.get("upstreams", ()))
    }
    if "upstream_host" in values:
        parts["upstream_host"] = values["upstream_host"]
    if "allow" in values or "deny" in values:
        parts["access"] = Access(allow=values.get("allow", ()), deny=values.get("deny", ()))
    if "root" in values:
        root = _join(folder, values["root"])
        parts["files"] = Files(root=root, **_written(FILES, values.get("files", {})))
    if balancing := _balancing(values):
        parts["balancing"] = balancing
    for key, into in (("body", "body_bytes"), ("first_byte", "first_byte_s")):
        if key in values:
            parts[into] = values[key]
    for key, make in _TABLES.items():
        if key in values:
            parts[key] = make(values[key])
    if not values.keys().isdisjoint(("strip_prefix", "add_prefix", "rewrite")):
        parts["path"] = _path_rewrite(values)
    return parts


def _written(group: Group, values: dict[str, Any]) -> dict[str, Any]:
    """What is written, by the names of the dataclass."""
    return {s.target: values[s.key] for s in group.settings if s.key in values}


def _balancing(values: dict[str, Any]) -> Balancing | None:
    written = {s.target: values[s.key] for s in BALANCING if s.key in values}
    policy, _, key = str(written.get("policy", "")).partition("(")
    if key:
        written |= {"policy": policy, "by": key.removesuffix(")")}
    found = Balancing(**written)
    return found if found != Balancing() else None


def _health(values: dict[str, Any]) -> HealthCheck:
    written = _written(HEALTH, values)
    if "status" in written:
        written["low"], written["high"] = written.pop("status")
    return HealthCheck(**written)


def _peer(folder: str, peer: str) -> str:
    if peer.startswith("unix:"):
        return f"unix:{_join(folder, peer.removeprefix('unix:'))}"
    return peer


def _rules(values: dict[str, Any]) -> FieldRules:
    remove = tuple(name.lower() for name in values.get("remove", ()))
    return FieldRules(set=values.get("set", ()), remove=remove)


def _path_rewrite(values: dict[str, Any]) -> PathRewrite:
    rewrite = values.get("rewrite", {})
    return PathRewrite(
        strip_prefix=values.get("strip_prefix", ""),
        pattern=rewrite.get("pattern", ""),
        replacement=rewrite.get("to", ""),
        add_prefix=values.get("add_prefix", ""),
    )


_TABLES: Final[dict[str, Callable[[dict[str, Any]], object]]] = {
    "redirect": lambda values: Redirect(**values),
    "respond": lambda values: Fixed(**values),
    "request_headers": _rules,
    "response_headers": _rules,
    "ejection": lambda values: Ejection(**_written(EJECTION, values)),
    "health": _health,
    "basic_auth": lambda values: BasicAuth(**values),
    "limit": lambda values: RateLimit(**_written(LIMIT, values)),
}
