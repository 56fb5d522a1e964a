"""The folder of an app as detection sees it: its files, read and never run."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import tomli

from control.manifest.programs import PATH, advice, is_on_path
from control.manifest.spec import Listen, Pairs, Step

FILE_BYTES: Final = 4 << 20
"""Longer files are not looked into."""

SKIPPED: Final = frozenset(
    {"node_modules", "vendor", "venv", "env", "__pycache__", "site-packages"}
)


class Undetected(Exception):
    """What an app lacks, for its owner: what was looked for, and what to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """How an app is built and started, and why."""

    runtime: str
    build: tuple[Step, ...] = ()
    start: tuple[str, ...] = ()
    root: str = ""
    vars: Pairs = ()
    path: tuple[str, ...] = ()
    files: Pairs = ()  # of edged's own that the start needs: names and texts
    assets: tuple[str, str] | None = None  # folder and path
    found: Pairs = ()  # setting and reason

    def but(self, **changes: Any) -> "Detection":  # noqa: ANN401
        """The same with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A folder, and what its edge.toml says that matters to detection."""

    folder: str
    name: str = "app"
    main: str = ""
    root: str = ""
    listen: Listen = Listen.PORT
    drain_s: float = 30.0
    has_start: bool = False  # only the build is asked for
    memory_bytes: int = 0  # the limit of an instance; 0 is none
    vars: Pairs = ()  # what edge.toml sets
    path: str = PATH  # where its programs are looked for
    finds: Callable[[str, str], bool] = is_on_path  # whether a program is on a path

    def has(self, *names: str) -> bool:
        """Whether one of these files is there."""
        return self.first(*names) != ""

    def first(self, *names: str) -> str:
        """The first of these files that is there; "" for none."""
        return next((name for name in names if os.path.isfile(self._path(name))), "")

    def has_folder(self, name: str) -> bool:
        """Whether there is such a folder."""
        return os.path.isdir(self._path(name))

    def is_program(self, name: str) -> bool:
        """Whether that file may be run."""
        return os.path.isfile(self._path(name)) and os.access(self._path(name), os.X_OK)

    def names(self, folder: str = "") -> list[str]:
        """What is in a folder, in order, without what is hidden or made by tools."""
        try:
            found = os.listdir(self._path(folder))
        except OSError:
            return []
        return sorted(name for name in found if name[0] != "." and name not in SKIPPED)

    def text(self, name: str) -> str:
        """A file's text; "" for one that is not there or cannot be text."""
        try:
            with open(self._path(name), "rb") as stream:
                data = stream.read(FILE_BYTES + 1)
        except OSError:
            return ""
        return data.decode("utf-8-sig", "replace") if len(data) <= FILE_BYTES else ""

    def lines(self, name: str, pattern: str) -> list[re.Match[str]]:
        """The lines of a file that match."""
        return list(re.finditer(pattern, self.text(name), re.M))

    def json(self, name: str) -> dict[str, Any]:
        """The object in a file; {} when it is not there. Raises `Undetected` for a broken one."""
        return self._read(name, json.loads)

    def toml(self, name: str) -> dict[str, Any]:
        """Likewise of TOML."""
        return self._read(name, tomli.loads)

    def scripts(self, name: str, key: str) -> dict[str, str]:
        """The commands that a JSON file has under a key."""
        found = self.json(name).get(key, {})
        if not isinstance(found, dict):
            raise Undetected(f"{name}: its {key} are no object")
        return {label: text for label, text in found.items() if isinstance(text, str)}

    def has_tool(self, name: str) -> bool:
        """Whether this server has a program to build and run the app with."""
        return self.finds(name, self.path)

    def need_tool(self, *names: str, why: str) -> str:
        """The first of these programs that the server has; raises `Undetected` when none is."""
        for name in names:
            if self.has_tool(name):
                return name
        listed, advised = " or ".join(names), advice(*reversed(names))
        where = f"which this server's apps do not find in PATH={self.path}"
        raise Undetected(f"{why} needs {listed}, {where}{advised}")

    # Private

    def _path(self, name: str) -> str:
        """Where a file is; nothing that leads out of the folder is anywhere."""
        inner = os.path.normpath(name or ".")
        leads_out = inner == ".." or inner.startswith(("../", "/")) or "\0" in inner
        return "" if leads_out else os.path.join(self.folder, inner)

    def _read(self, name: str, read: Callable[[str], Any]) -> dict[str, Any]:
        text = self.text(name)
        if not text:
            return {}
        try:
            value = read(text)
        except (ValueError, RecursionError) as error:
            raise Undetected(f"{name} cannot be read: {error}") from None
        if not isinstance(value, dict):
            raise Undetected(f"{name} holds no object")
        return value
