"""From a checked file to what runs: the Spec of the process tree, the routes, the settings."""

import os
from collections.abc import Iterable, Iterator
from typing import Any, Final

from control.config import schema
from control.config.app_folders import AppFolder, app_folder
from control.config.check import Checked
from control.config.hosts import HostTls, host_of, hosts_of, owner_of
from control.config.machine import Machine
from control.config.parts import join, pages, route_parts
from control.config.setting import Group
from control.config.tls_schema import TLS
from edge.setup import WorkerOptions
from edge.table.model import ClientAuth, Limits, Route, Settings, Timeouts, TlsSettings
from supervisor.spec import MAX_WORKERS, SOCKET_NAME, Spec

TABLE_NAME: Final = "table.db"


def resolve_spec(checked: Checked, path: str, machine: Machine) -> Spec:
    """The process tree that a file wants. `path` is the file's own, absolute."""
    folder = os.path.dirname(path)
    server = checked.server
    state_dir, run_dir = (join(folder, server[key]) for key in ("state_dir", "run_dir"))
    workers = server["workers"] or min(machine.cores, MAX_WORKERS)
    return Spec(
        config_path=path,
        http=tuple(_listener(address, machine) for address in server["http"]),
        https=tuple(_listener(address, machine) for address in server["https"]),
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
            control_path=os.path.join(run_dir, SOCKET_NAME),
            drain_s=checked.timeouts["drain"],
            drain_upgraded_s=checked.timeouts["drain_upgraded"],
        ),
    )


def resolve_settings(checked: Checked, path: str, hosts: Iterable[HostTls]) -> Settings:
    """What holds for all routes; `hosts` is what `resolve_hosts` gave."""
    values = _fields(schema.LIMITS, checked.limits) | _fields(schema.TIMEOUTS, checked.timeouts)
    return Settings(
        limits=Limits(**_part(Limits, values)),
        timeouts=Timeouts(**_part(Timeouts, values)),
        trusted_proxies=checked.server["trusted_proxies"],
        proxy_protocol=checked.server["proxy_protocol"],
        underscore_headers=checked.server["underscore_headers"],
        tls=_tls(checked, hosts),
        error_pages=pages(os.path.dirname(path), checked.server["error_pages"]),
    )


def resolve_hosts(checked: Checked, path: str) -> tuple[HostTls, ...]:
    """Every host that is served with TLS."""
    return hosts_of(checked.hosts, path) if checked.server["https"] else ()


def resolve_routes(checked: Checked, path: str, hosts: Iterable[HostTls]) -> Iterator[Route]:
    """One route per pattern, in the order of the file; `hosts` is what `resolve_hosts` gave."""
    folder, file = os.path.split(path)
    asked = {
        host.host: ClientAuth(ca=host.client_ca, required=host.client_required)
        for host in hosts
        if host.client_ca
    }
    for route in checked.routes:
        parts = route_parts(route, folder)
        for owned in route.patterns:
            yield Route(
                pattern=owned.pattern,
                owner=owner_of(file, route.name),
                client_auth=asked.get(host_of(owned.pattern)),  # on all of the host's routes
                **parts,
            )


def resolve_apps(checked: Checked, path: str) -> tuple[AppFolder, ...]:
    """The apps that are deployed from here."""
    home = os.path.dirname(path)
    return tuple(app_folder(values, home) for values in checked.apps)


# Private


def _tls(checked: Checked, hosts: Iterable[HostTls]) -> TlsSettings | None:
    """None when nothing speaks TLS."""
    https = checked.server["https"]
    if not https:
        return None
    values = _fields(TLS, checked.tls)
    values["hsts_s"] = int(values["hsts_s"])
    values["default"] = values["default"] or ""
    ports = [int(address.rpartition(":")[2]) for address in https]
    port = 443 if 443 in ports else ports[0]
    names = TlsSettings.__dataclass_fields__
    return TlsSettings(
        https_port=port,
        on_demand=tuple(host.host for host in hosts if host.stands_for_many),
        **{name: value for name, value in values.items() if name in names},
    )


def _listener(address: str, machine: Machine) -> str:
    if not address.startswith(":"):
        return address
    return f"[::]{address}" if machine.has_ipv6 else f"0.0.0.0{address}"


def _hook(folder: str, hook: str) -> str:
    return join(folder, hook) if hook.endswith(".py") else hook


def _access_log(folder: str, run_dir: str, text: str | None) -> str:
    if text is None:
        return os.path.join(run_dir, "access.log")
    return join(folder, text) if text not in ("", "-") else text


def _user(user: str | None, machine: Machine) -> str:
    if machine.user != "root" or user == "root":
        return ""  # the master's own
    return user or ("edged" if machine.has_user("edged") else "nobody")


def _fields(group: Group, values: dict[str, Any]) -> dict[str, Any]:
    return {setting.target: values[setting.key] for setting in group.settings}


def _part(kind: type[Limits] | type[Timeouts], values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in kind.__dataclass_fields__ if name in values}
