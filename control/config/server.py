"""What the settings of [server] must agree on, and what they need of the machine."""

import os
from typing import Any, Final

from control.config.address import UNIX_PATH_BYTES
from control.config.machine import Machine
from control.config.positions import Keys, Node, inside, line_of
from control.config.problem import Report
from supervisor.spec import SOCKET_NAME


def fill_in(values: dict[str, Any], machine: Machine) -> None:
    """Where to listen when nothing is said: on the web's own ports, if they may be bound."""
    says_nothing = values["http"] is None and values["https"] is None
    if values["https"] is None:
        values["https"] = (":443",) if says_nothing and machine.may_bind_80 else ()
    if values["http"] is None:
        values["http"] = (":80",) if machine.may_bind_80 else (":8080",)


class ServerCheck:
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
        self._check_pages()
        self._check_addresses()
        self._check_accounts()

    # Private

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
        if len(socket_path.encode()) > UNIX_PATH_BYTES:
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

    def _check_pages(self) -> None:
        for status, path in self.values["error_pages"]:
            if not self.machine.is_file(self._path(path)):
                place = inside(inside(self.place, "error_pages"), status)
                message = f'there is no file "{self._path(path)}"'
                self.report.add(line_of(place), "server.error_pages", message)

    def _check_addresses(self) -> None:
        http = [
            address
            for address in (*self.values["http"], *self.values["https"])
            if address is not None
        ]
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


# Private

_ALL: Final = ("", "[::]", "0.0.0.0")


def _wide(address: str) -> str:
    return f"[::]{address}" if address.startswith(":") else address


def _overlap(one: str, other: str) -> bool:
    (host, port), (other_host, other_port) = one.rsplit(":", 1), other.rsplit(":", 1)
    return port == other_port and (host == other_host or not {host, other_host}.isdisjoint(_ALL))
