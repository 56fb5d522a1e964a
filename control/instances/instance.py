"""An instance: one process at a time, from its first start until it is wanted no more.

A greenlet lives its life: launch, prove, watch, and after a death wait and begin again. `stop` only
tells the process to end; that greenlet sees the end, as it sees every other. Callers learn of each
change by `changed`, which must return at once and raise nothing.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import gevent
from gevent.event import Event as Signal

from control.instances.launch import Launch, Launcher
from control.instances.life import Event, State, advance, deaths_in_row, pause_s
from control.instances.lines import Take
from control.instances.ports import NoPort, Ports, is_free
from control.instances.process import Process, Record, adopt
from control.instances.readiness import NotReady, Proof, prove
from control.instances.spawn import SpawnFailed
from control.instances.wellness import Wellness
from control.refusal import Refused

log = logging.getLogger("control.apps")

UNREADY_DRAIN_S: Final = 2.0
"""What was not ready in time has nothing to finish."""

OTHER_PORTS: Final = 3
"""So often a start that failed since somebody was quicker on its port is tried on another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How an instance is to live."""

    launch: Launch  # with a port it listens there; without one it is given one
    proof: Proof = field(default_factory=Proof)
    chooses_port: bool = False  # PORT=0: it says on descriptor 4 which it took
    drain_s: float = 30.0  # from SIGTERM to SIGKILL
    stable_s: float = 8.0  # ready for so long, a process has not failed
    deaths: int = 5  # in a row without having been stable: no more is tried
    hang_s: float = 30.0  # without any answer to its health checks it is ended


class Instance:
    """An instance. `why` says what is wrong, `last_death` what was when its process died last, and
    `last_output` what that has printed."""

    def __init__(
        self,
        launcher: Launcher,
        ports: Ports,
        plan: Plan,
        take: Take,
        changed: "Callable[[Instance], None]",
    ) -> None:
        self.plan = plan
        self.state = State.STARTING
        self.why = ""
        self.last_death = ""
        self.port = 0
        self.deaths = 0
        self.process: Process | None = None
        self._launcher = launcher
        self._ports = ports
        self._take = take
        self._changed = changed
        self._last_words: tuple[bytes, ...] = ()
        self._wake = Signal()
        self.stopped = Signal()

    def __repr__(self) -> str:
        return f"<Instance {self.state.name} {self.plan.launch.name} port={self.port}>"

    @property
    def record(self) -> Record | None:
        """What the next control needs to adopt it, with the port that it has."""
        if self.process is None or self.process.exit is not None:
            return None
        return replace(self.process.record, port=self.port)

    @property
    def last_output(self) -> str:
        """The last lines of the process that has ended last, or of the only one that there was."""
        lines = self._last_words
        if not lines and self.process is not None:
            lines = tuple(self.process.last_lines)
        return "\n".join(line.decode(errors="replace") for line in lines)

    def start(self) -> None:
        """Begin its life with a new process. Raises `Refused` when its environment cannot be had:
        who asks is told at once."""
        self.plan.launch.more_env()
        gevent.spawn(self._live, None)

    def adopt(self, record: Record, *, was_ready: bool) -> None:
        """Begin with a process that an earlier control launched; one that has ended has died."""
        launch = replace(self.plan.launch, name=record.name)  # by which its log knows it
        self.plan = replace(self.plan, launch=launch)
        shortage = record.kin.shortage()
        process = adopt(record, self._take)
        if process is None:
            self.why = f"it ended while nobody watched it{shortage}"
        else:
            self.process, self.port = process, record.port
            self._ports.take(record.port)
            if was_ready:
                self._advance(Event.PROVEN)
        gevent.spawn(self._live, process, adopted=True)

    def stop(self, drain_s: float | None = None) -> None:
        """Have it end. `stopped` is set when nothing is left of it."""
        if self.state is State.STOPPED:
            return
        self._advance(Event.STOP)
        self._wake.set()
        if self.state is State.DRAINING and self.process is not None:
            gevent.spawn(self.process.end, self.plan.drain_s if drain_s is None else drain_s)

    def restart(self) -> None:
        """Start one that waits or has failed now, with a clean record."""
        if self.state in (State.BACKOFF, State.FAILED):
            self.deaths = 0
            self._wake.set()

    # Private

    def _live(self, process: Process | None, *, adopted: bool = False) -> None:
        if adopted and process is None:
            if self.state is State.DRAINING:  # told to before it could be buried
                self._advance(Event.ENDED)
            else:
                self._bury(0.0)
        while not self._is_over():
            process = self._proven(process) if process is not None else self._launch()
            ready_s = self._serve(process) if process is not None else 0.0
            process = None
            if self.state is State.DRAINING:
                self._advance(Event.ENDED)
            elif not self._is_over():
                self._bury(ready_s)
        self._ports.give_back(self.port)
        self.stopped.set()

    def _is_over(self) -> bool:
        return self.state is State.STOPPED

    def _launch(self) -> Process | None:
        """A process that serves, or is told to end; None when it comes to nothing."""
        for tries_left in range(OTHER_PORTS, -1, -1):
            try:
                launched = self._launch_on(self._port())
            except (NoPort, OSError, Refused, SpawnFailed) as failure:
                self.why = str(failure)
            else:
                if proven := self._proven(launched):
                    return proven
            was_taken = self._is_given_ports() and not is_free(self.plan.launch.host, self.port)
            if self.state is not State.STARTING or not was_taken or tries_left == 0:
                break
            log.info("%s: port %d is another's by now", self.plan.launch.name, self.port)
        return None

    def _proven(self, process: Process) -> Process | None:
        """The process when it serves, or is told to end; else it is ended, and there is none."""
        try:
            if self.state is State.STARTING:
                self.port = prove(process, self.plan.proof)
                self._ports.take(self.port)
            return process
        except NotReady as failure:
            self.why = str(failure)
        process.end(UNREADY_DRAIN_S)
        return None

    def _is_given_ports(self) -> bool:
        return not self.plan.launch.port and not self.plan.chooses_port

    def _port(self) -> int:
        if self.port and self.port != self.plan.launch.port:
            self._ports.give_back(self.port)
        self.port = self.plan.launch.port
        if self._is_given_ports():
            self.port = self._ports.choose(self.plan.launch.host)
        return self.port

    def _launch_on(self, port: int) -> Process:
        process = self._launcher.launch(replace(self.plan.launch, port=port), self._take)
        self.process = process
        if self.state is State.DRAINING:  # told to while it was launched
            gevent.spawn(process.end, self.plan.drain_s)
        return process

    def _serve(self, process: Process) -> float:
        """Until its process has ended; the result is how long it was ready."""
        began = time.monotonic()
        if self.state is State.STARTING:
            self.why = ""
            self._advance(Event.PROVEN)
        check, wellness, minding = self.plan.proof.check, None, None
        if check is not None and self.state is not State.DRAINING:
            wellness = Wellness(process.record.host, self.port, check, self.plan.hang_s)
            minding = gevent.spawn(self._mind, process, wellness)
        process.ended.wait()
        if minding is not None:
            minding.kill(block=False)
        if process.exit is not None and self.state is not State.DRAINING:
            hung = wellness is not None and wellness.hangs
            self.why = self._silence() if hung else f"it {process.exit.text}"
        return time.monotonic() - began

    def _mind(self, process: Process, wellness: Wellness) -> None:
        while self.state in (State.READY, State.UNHEALTHY):
            wellness.pause()
            was_well = self.state is State.READY
            is_well = wellness.look(is_well=was_well)
            if self.state not in (State.READY, State.UNHEALTHY):
                return
            if was_well and not is_well:
                self.why = wellness.why
                self._advance(Event.FELL)
            elif is_well and not was_well:
                self.why = ""
                self._advance(Event.ROSE)
            if wellness.hangs:
                log.error("%s: %s: ending it", self.plan.launch.name, self._silence())
                gevent.spawn(process.end, UNREADY_DRAIN_S)
                return

    def _silence(self) -> str:
        return f"it did not answer its health path for {self.plan.hang_s:g} s"

    def _bury(self, ready_s: float) -> None:
        """After a death: wait for the next start, or for ever."""
        self.deaths = deaths_in_row(self.deaths, ready_s, self.plan.stable_s)
        self._last_words = tuple(self.process.last_lines) if self.process is not None else ()
        self.last_death = self.why
        self._wake.clear()
        self._advance(Event.DIED)
        if self.state is State.BACKOFF and self.deaths >= self.plan.deaths:
            self._advance(Event.GAVE_UP)
        if self.state is State.BACKOFF:
            self._wake.wait(pause_s(self.deaths))
        elif self.state is State.FAILED:
            self._wake.wait()
        if not self._is_over():
            self._advance(Event.RESTART)

    def _advance(self, event: Event) -> None:
        self.state = advance(self.state, event)
        self._changed(self)
