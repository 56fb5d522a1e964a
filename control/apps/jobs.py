"""The commands of one app that the clock has begun: each at most once at a time, and not for ever.

They outlive control as instances do: the next one takes up those that still run, with what is left
of their time. How such a one ends is not told with its exit code, which only a parent learns.
"""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import gevent

from control.apps.applog import AppLog
from control.apps.logline import Stream
from control.apps.record import AppRecord, Release, Running
from control.apps.tools import Tools
from control.instances.process import Process, Record, adopt
from control.instances.spawn import SpawnFailed
from control.manifest.spec import CronSpec
from control.refusal import Refused

ROLE: Final = "cron "
"""What comes before a cron's name in the role of its process: no process of edge.toml has a space
in its name."""

PAUSE_S: Final = 0.01
STREAMS: Final = {"out": Stream.STDOUT, "err": Stream.STDERR}


class Jobs:
    """Those of one app."""

    def __init__(
        self, record: AppRecord, tools: Tools, log: AppLog, changed: Callable[[], None]
    ) -> None:
        """`changed` is told when other processes run."""
        self._record = record
        self._tools = tools
        self._log = log
        self._changed = changed
        self._running: dict[str, tuple[int, Process | None]] = {}  # None: about to begin
        self._is_ending = False

    def __repr__(self) -> str:
        return f"<Jobs of {self._record.id}: {', '.join(self._running) or 'none'}>"

    def begin(self, release: Release, cron: CronSpec) -> None:
        """Run it now, unless it runs."""
        if self._is_ending:
            return
        if cron.name in self._running:
            self._tell("cron-skipped", cron.name, "was due, and skipped: it still runs")
            return
        self._running[cron.name] = release.number, None
        gevent.spawn(self._run, release, cron)

    def adopt(self, running: Running) -> None:
        """Take up one that an earlier control has begun."""
        name = running.role.removeprefix(ROLE)
        process = adopt(running.record, self._taker(running.record.name))
        if process is None:
            self._tell("cron-ended", name, "has ended while nobody watched")
            return
        release = self._record.release(running.release)
        crons = release.spec.crons if release is not None else ()
        limit_s = next((each.timeout_s for each in crons if each.name == name), 0.0)
        self._running[name] = running.release, process
        gevent.spawn(self._watch, name, process, max(0.0, limit_s - _age_s(running.record)))

    def end(self, *, for_good: bool = False) -> None:
        """End those that run; returns when they are gone. `for_good` is: none begins any more."""
        self._is_ending = True
        while self._running:
            ending = [process for _, process in self._running.values() if process is not None]
            gevent.joinall([gevent.spawn(each.end, self._drain_s()) for each in ending])
            gevent.sleep(PAUSE_S)
        self._is_ending = for_good

    def running(self) -> list[Running]:
        """What the next control must know."""
        return [
            Running(record=process.record, release=number, role=ROLE + name)
            for name, (number, process) in self._running.items()
            if process is not None
        ]

    # Private

    def _run(self, release: Release, cron: CronSpec) -> None:
        try:
            made = self._tools.launch(self._record, release, cron.argv)
            launch = replace(made, name=f"{made.name}.{cron.name}")
            process = self._tools.launcher.launch(launch, self._taker(launch.name))
        except (Refused, SpawnFailed) as error:
            self._running.pop(cron.name, None)
            self._tell("cron-failed", cron.name, f"does not run: {error}")
            return
        self._running[cron.name] = release.number, process
        self._changed()
        self._watch(cron.name, process, cron.timeout_s)

    def _watch(self, name: str, process: Process, limit_s: float) -> None:
        began_s = time.monotonic()
        in_time = process.ended.wait(limit_s)
        exit_ = process.end(self._drain_s())
        del self._running[name]
        self._log.end(process.record.name)
        took_s = time.monotonic() - began_s
        if not in_time:
            self._tell("cron-failed", name, "was ended: it took longer than its timeout")
        elif self._is_ending:
            self._tell("cron-ended", name, "was ended, as its app was")
        elif exit_.status is None:
            self._tell("cron-ended", name, "has ended; a control before this one had begun it")
        elif exit_.status:
            self._tell("cron-failed", name, exit_.text)
        else:
            self._tell("cron-done", name, f"is done, in {took_s:.1f} s")
        self._changed()

    def _taker(self, instance: str) -> Callable[[str, bytes], None]:
        def take(stream: str, line: bytes) -> None:
            self._log.feed(instance, STREAMS[stream], line + b"\n")

        return take

    def _drain_s(self) -> float:
        spec = self._record.spec
        return spec.times.drain_s if spec is not None else 0.0

    def _tell(self, kind: str, name: str, text: str) -> None:
        self._log.say(f"{name} {text}", "cron")
        self._tools.events.add(
            kind, f"{self._record.id}: cron {name} {text}", app=self._record.id, cron=name
        )


# Private


def _age_s(record: Record) -> float:
    """For how long a process has been running."""
    began_s = record.start_ticks / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began_s
