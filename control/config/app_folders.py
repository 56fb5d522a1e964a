"""`[[app]]` on this machine: where its folder is, and whether an app is in it."""

import os
from dataclasses import dataclass
from typing import Any, Final

from control.config.machine import Machine
from control.config.positions import Node, inside, line_of
from control.config.problem import Report

FILE_NAME: Final = "edge.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppFolder:
    """An `[[app]]`."""

    folder: str  # absolute
    env: str = ""  # "" is the only one of its edge.toml, else "production"


def app_folder(values: dict[str, Any], home: str) -> AppFolder:
    """Of an `[[app]]`; `home` is the folder of the server file, where paths start."""
    whole = os.path.normpath(os.path.join(home, values["path"]))
    folder = os.path.dirname(whole) if os.path.basename(whole) == FILE_NAME else whole
    return AppFolder(folder=folder, env=values["env"])


def check_apps(
    apps: list[dict[str, Any]], places: list[Node], report: Report, machine: Machine
) -> None:
    """Whether each is there, and no other too."""
    home = os.path.dirname(os.path.abspath(report.file))
    found: set[AppFolder] = set()
    for values, place in zip(apps, places, strict=True):
        if values["path"] is None:
            continue
        one = app_folder(values, home)
        file = os.path.join(one.folder, FILE_NAME)
        if one in found:
            report.add(line_of(place), "app", "that app is there twice: remove one")
        elif not machine.is_file(file):
            line = line_of(inside(place, "path"))
            report.add(line, "app.path", f'there is no "{file}": an app has one')
        found.add(one)
