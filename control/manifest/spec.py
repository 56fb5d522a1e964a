"""What an app is in one of its environments: everything that is known before it is built.

The manifest makes an `AppSpec`; whoever builds, starts, watches and routes apps reads it. It is
kept with the release as JSON (`to_json`, `from_json`). Commands are argument vectors that no shell
reads; what `control.manifest.command.fill` puts in for `$HOST` and `$PORT` is known at the start.
"""

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final

from control import shape

RUNTIMES: Final = (
    "python", "node", "bun", "deno", "go", "ruby", "php", "java", "binary", "static",
)  # fmt: skip

Pairs = tuple[tuple[str, str], ...]


class Listen(StrEnum):
    """How an instance is told where to listen."""

    PORT = "port"  # by HOST and PORT in its environment
    SOCKET = "socket"  # it finds a listening socket at descriptor 3 (LISTEN_FDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command of the build, run in the release's folder."""

    argv: tuple[str, ...]
    vars: Pairs = ()  # for this command alone
    reason: str = ""  # why it is run, for the operator


@dataclass(frozen=True, slots=True, kw_only=True)
class Instances:
    """How many processes serve."""

    min: int = 0  # 0 lets the app sleep
    max: int = 1
    idle_s: float = 300.0
    concurrency: int = 50  # exchanges under way in each, past which one more is started


@dataclass(frozen=True, slots=True, kw_only=True)
class AppHealth:
    """What an instance is asked before it serves, and while it does."""

    path: str = "/"  # "" only connects
    host: str = ""  # the Host that is asked for; "" is that of the first route
    interval_s: float = 10.0
    timeout_s: float = 5.0
    fall: int = 3  # bad answers in a row until an instance is replaced
    statuses: tuple[tuple[int, int], ...] = ((200, 499),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long things may take."""

    start_s: float = 30.0  # until an instance is ready
    drain_s: float = 30.0  # to finish what is under way, and to end
    stability_s: float = 8.0  # how long new instances must stay well before they serve
    build_s: float = 900.0
    release_s: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What all processes of an app may use together; 0 is no limit."""

    memory_bytes: int = 0
    cpus: float = 0.0
    pids: int = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What becomes of requests while the app wakes."""

    room: int = 1000  # so many wait; the others are refused
    page: bool = False  # browsers see a page meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class Assets:
    """Files that are served in front of the app."""

    folder: str = ""  # in the release; "" is none
    path: str = "/"  # below which they are found


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """A process beside those that serve, such as a worker of a queue."""

    name: str
    argv: tuple[str, ...]
    instances: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CronSpec:
    """A command that is run by the clock."""

    name: str
    schedule: str  # as `control.manifest.crontab.parse` reads it
    argv: tuple[str, ...]
    timeout_s: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSpec:
    """An app in one environment."""

    name: str
    env: str
    runtime: str = ""  # of `RUNTIMES`; "" is a program that only `start` knows
    routes: tuple[str, ...] = ()  # canonical patterns
    servers: tuple[str, ...] = ()
    build: tuple[Step, ...] = ()
    release: tuple[str, ...] = ()  # run once per deploy, before the new instances start
    start: tuple[str, ...] = ()  # () where `root` is served, or nothing but processes
    root: str = ""  # the folder of a static site
    vars: Pairs = ()  # of all commands and processes
    path: tuple[str, ...] = ()  # folders of the release that come first in PATH
    files: Pairs = ()  # names and texts of edged's own files in the release, in .edged/
    listen: Listen = Listen.PORT
    instances: Instances = field(default_factory=Instances)
    health: AppHealth = field(default_factory=AppHealth)
    times: Times = field(default_factory=Times)
    resources: Resources = field(default_factory=Resources)
    waiting: Waiting = field(default_factory=Waiting)
    assets: Assets = field(default_factory=Assets)
    processes: tuple[ProcessSpec, ...] = ()
    crons: tuple[CronSpec, ...] = ()
    found: Pairs = ()  # what was detected, and why: ("start", "found app.py: …")

    @property
    def id(self) -> str:
        """Its name and environment: one such app on a server."""
        return f"{self.name}/{self.env}"


def to_json(spec: AppSpec) -> str:
    """The text of a spec."""
    return json.dumps(asdict(spec), separators=(",", ":"))


def from_json(text: str) -> AppSpec:
    """The spec of a text that `to_json` made; raises `ValueError`."""
    return shape.read(AppSpec, json.loads(text))
