"""What all apps share: how their processes are made, where they are, who hears of them."""

import os
import secrets as randomness
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from control.apps.environment import environment
from control.apps.home import Home
from control.apps.record import AppRecord, Release
from control.apps.secrets import Secrets
from control.durable import Owner
from control.events import Events
from control.instances.cgroup import Limits
from control.instances.instance import Instance, Plan
from control.instances.launch import Launch, Launcher
from control.instances.lines import Take
from control.instances.ports import Ports
from control.instances.readiness import Proof
from control.manifest.deno import RESERVED_BYTES
from control.manifest.spec import AppSpec, Listen, Pairs
from edge.shared.segment import Segment
from edge.table.model import HealthCheck

HOST: Final = "127.0.0.1"
FIRST_UID: Final = 200_000
"""Users of apps need no entry in /etc/passwd; distributions give nobody numbers from here on."""

RESERVED: Final = {"deno": RESERVED_BYTES}
"""By runtime."""

HANG_PART: Final = 3.0
"""Without any answer for so many intervals of its health check an instance is ended."""


@dataclass(frozen=True, slots=True)
class Tools:
    """For all apps."""

    folder: str  # of all apps
    launcher: Launcher
    ports: Ports
    secrets: Secrets
    segment: Segment
    events: Events
    publish: Callable[[], None]  # the routes of an app are others. Raises `Refused`
    keep: Callable[[AppRecord], None]  # raises `Refused`
    drop: Callable[[AppRecord], None]  # the same

    def home(self, record: AppRecord) -> Home:
        """The folders of an app."""
        return Home(os.path.join(self.folder, record.id), self.owner(record))

    def forget(self, record: AppRecord) -> None:
        """Remove its folders, and then its record: whoever finds that goes on. Raises `Refused`."""
        self.home(record).remove()
        self.drop(record)

    def remove(self, record: AppRecord) -> None:
        """The same with its secrets. Raises `Refused`."""
        self.secrets.remove(record.id)
        self.forget(record)

    def owner(self, record: AppRecord) -> Owner | None:
        """Whom its processes run as; None for edged's own user."""
        return Owner(record.uid, record.uid) if record.uid >= 0 else None

    def launch(
        self, record: AppRecord, release: Release, argv: tuple[str, ...], more: Pairs = ()
    ) -> Launch:
        """One process of a release. Its secrets are read when it starts, and not before: what runs
        already is taken up without them."""
        spec, home = release.spec, self.home(record)
        folder = home.release(release.number)

        def env() -> dict[str, str]:
            values = self.secrets.values(record.id).environment()
            return environment(spec, folder, home.data, values, more)

        name = record.id.replace("/", ".")
        return Launch(
            name=f"{name}.{release.number}.{randomness.token_hex(3)}",
            argv=argv,
            cwd=folder,
            more_env=env,
            host=HOST,
            owner=home.owner,
            has_socket=spec.listen is Listen.SOCKET and argv == spec.start,
            limits=Limits(
                memory_bytes=spec.resources.memory_bytes,
                reserved_bytes=RESERVED.get(spec.runtime, 0),
                cpu_cores=spec.resources.cpus,
                pids=spec.resources.pids,
            ),
        )

    def instance(
        self,
        record: AppRecord,
        release: Release,
        role: str,
        take: Take,
        changed: Callable[[Instance], None],
    ) -> Instance:
        """An instance that serves, or one of a process beside."""
        spec = release.spec
        beside = next((each for each in spec.processes if each.name == role), None)
        argv = beside.argv if beside is not None else spec.start
        plan = Plan(
            launch=self.launch(record, release, argv),
            proof=Proof(listens=False) if beside is not None else _proof(spec),
            drain_s=spec.times.drain_s,
            stable_s=spec.times.stability_s,
            hang_s=max(30.0, HANG_PART * spec.health.interval_s),
        )
        return Instance(self.launcher, self.ports, plan, take, changed)


# Private


def _proof(spec: AppSpec) -> Proof:
    health = spec.health
    check = None
    if health.path:
        low, high = health.statuses[0]
        check = HealthCheck(
            path=health.path,
            host=health.host or _host_of(spec),
            interval_s=health.interval_s,
            timeout_s=health.timeout_s,
            fall=health.fall,
            low=low,
            high=high,
        )
    return Proof(start_s=spec.times.start_s, check=check, has_socket=spec.listen is Listen.SOCKET)


def _host_of(spec: AppSpec) -> str:
    """That of the first route: an app may answer for its own names only."""
    hosts = (route.partition("/")[0] for route in spec.routes)
    return next((host.replace("*", "www", 1) for host in hosts if host != "*"), "")
