"""From the values of one `[[route]]` to what its patterns get."""

import os
from collections.abc import Callable
from typing import Any, Final

from control.config.access_schema import CORS, FORWARD_AUTH, JWT, LIMIT
from control.config.check import CheckedRoute
from control.config.peer_schema import BALANCING, EJECTION, HEALTH
from control.config.route_schema import FILES
from control.config.setting import Group
from control.config.tls_schema import UPSTREAM_TLS
from control.config.traffic_schema import BREAKER, CANARY, MIRROR, STICKY
from edge.table.model import (
    Access,
    Balancing,
    BasicAuth,
    Breaker,
    Canary,
    Concurrency,
    Cors,
    Ejection,
    FieldRules,
    Files,
    Fixed,
    ForwardAuth,
    HealthCheck,
    Jwt,
    Mirror,
    PathRewrite,
    RateLimit,
    Redirect,
    Sticky,
    UpstreamTls,
)  # fmt: skip


def route_parts(route: CheckedRoute, folder: str) -> dict[str, Any]:
    """What its patterns get: the fields of `Route` but for the pattern and its owner.

    `folder` is where its relative paths start.
    """
    values = route.values
    parts: dict[str, Any] = {
        "upstreams": tuple(_peer(folder, peer) for peer in values.get("upstreams", ()))
    }
    if "upstream_host" in values:
        parts["upstream_host"] = values["upstream_host"]
    if "allow" in values or "deny" in values:
        parts["access"] = Access(allow=values.get("allow", ()), deny=values.get("deny", ()))
    if "root" in values:
        root = join(folder, values["root"])
        parts["files"] = Files(root=root, **_written(FILES, values.get("files", {})))
    if balancing := _balancing(values):
        parts["balancing"] = balancing
    parts |= {into: values[key] for key, into in _PLAIN.items() if key in values}
    parts |= {key: make(values[key]) for key, make in _TABLES.items() if key in values}
    parts |= {key: make(folder, values[key]) for key, make in _PLACED.items() if key in values}
    if not values.keys().isdisjoint(("strip_prefix", "add_prefix", "rewrite")):
        parts["path"] = _path_rewrite(values)
    return parts


def pages(folder: str, pages: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Error pages with their files' absolute paths."""
    return tuple((status, join(folder, path)) for status, path in pages)


def join(folder: str, path: str) -> str:
    """A path of the file as an absolute one."""
    return os.path.normpath(os.path.join(folder, path))


# Private


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
        return f"unix:{join(folder, peer.removeprefix('unix:'))}"
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


def _jwt(folder: str, values: dict[str, Any]) -> Jwt:
    written = _written(JWT, values)
    if "://" not in written["jwks"]:
        written["jwks"] = join(folder, written["jwks"])
    return Jwt(**written)


def _upstream_tls(folder: str, values: dict[str, Any]) -> UpstreamTls:
    written = _written(UPSTREAM_TLS, values)
    for name in ("ca", "chain", "key"):
        if name in written:
            written[name] = join(folder, written[name])
    return UpstreamTls(**written)


def _cors(values: dict[str, Any]) -> Cors:
    written = _written(CORS, values)
    if "max_age_s" in written:
        written["max_age_s"] = int(written["max_age_s"])
    return Cors(**written)


_PLAIN: Final = {
    "body": "body_bytes",
    "first_byte": "first_byte_s",
    "hedge": "hedge_s",
    "bandwidth": "bandwidth",
    "intercept": "intercept",
    "security_headers": "security_headers",
}
"""What a route holds as it is written: the key, and the field."""

_PLACED: Final[dict[str, Callable[[str, Any], object]]] = {
    "error_pages": pages,
    "jwt": _jwt,
    "canary": lambda folder, values: Canary(
        **_written(CANARY, values)
        | {"upstreams": tuple(_peer(folder, peer) for peer in values["upstreams"])}
    ),
    "mirror": lambda folder, values: Mirror(
        **_written(MIRROR, values) | {"upstream": _peer(folder, values["upstream"])}
    ),
    "upstream_tls": _upstream_tls,
    "forward_auth": lambda folder, values: ForwardAuth(
        **_written(FORWARD_AUTH, values) | {"upstream": _peer(folder, values["upstream"])}
    ),
}
"""What holds paths, which start at the file's folder."""

_TABLES: Final[dict[str, Callable[[dict[str, Any]], object]]] = {
    "redirect": lambda values: Redirect(**values),
    "respond": lambda values: Fixed(**values),
    "request_headers": _rules,
    "response_headers": _rules,
    "ejection": lambda values: Ejection(**_written(EJECTION, values)),
    "health": _health,
    "basic_auth": lambda values: BasicAuth(**values),
    "limit": lambda values: RateLimit(**_written(LIMIT, values)),
    "concurrent": lambda values: Concurrency(**values),
    "cors": _cors,
    "sticky": lambda values: Sticky(**_written(STICKY, values)),
    "breaker": lambda values: Breaker(**_written(BREAKER, values)),
}
