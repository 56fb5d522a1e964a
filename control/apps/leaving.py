"""Instances that get no new requests any more: each ends when it has none, or its time is over."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import gevent

from control.apps.fleet import running_of
from control.apps.record import Running
from control.apps.traffic import traffic_of
from control.instances.instance import Instance
from edge.shared.segment import Segment

LEAVING: Final = "(leaving)"
"""The role of instances that are ending: the next control goes on with that. No process that
somebody names has it."""

BUSY_LOOK_S: Final = 0.05
NOTICE_S: Final = 5.0
NOTICE_PART: Final = 0.25
"""What an instance has left of its time to drain when it is told to end with something under way:
that part of it, and not more than so long."""


@dataclass(slots=True)
class Leaving:
    """Those of one app."""

    segment: Segment
    instances: list[Instance] = field(default_factory=list)

    def add(self, gone: Iterable[Instance]) -> None:
        """They are about to end: the next control must know."""
        self.instances += [each for each in gone if each not in self.instances]

    def strike(self, instances: list[Instance]) -> None:
        """They are not, or no longer, about to end."""
        self.instances = [each for each in self.instances if each not in instances]

    def see_out(self, gone: list[Instance]) -> None:
        """Have them end, each when it has nothing under way, and within the time that it has to
        drain. Returns when nothing is left of any."""
        self.add(gone)
        gevent.joinall([gevent.spawn(self._see_out, each) for each in gone], raise_error=True)
        self.strike(gone)

    def running(self) -> list[Running]:
        """What the next control must know."""
        return [running_of(each, 0, LEAVING) for each in self.instances if each.record]

    # Private

    def _see_out(self, instance: Instance) -> None:
        """What it has under way may take almost all of its time. What is open yet, such as a
        WebSocket, learns of the end by SIGTERM, and is cut when the time is over."""
        drain_s = instance.plan.drain_s
        deadline = time.monotonic() + drain_s
        told_by = deadline - min(NOTICE_S, drain_s * NOTICE_PART)
        while self._is_busy(instance) and time.monotonic() < told_by:
            gevent.sleep(BUSY_LOOK_S)
        instance.stop(max(0.0, deadline - time.monotonic()))
        instance.stopped.wait()

    def _is_busy(self, instance: Instance) -> bool:
        address = f"{instance.plan.launch.host}:{instance.port}"
        return traffic_of(self.segment, (address,)).under_way > 0
