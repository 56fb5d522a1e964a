"""What the master knows of control: its process, its channel, and when to start it again."""

import contextlib
import functools
import logging
import os
import selectors
import signal
import time
from collections.abc import Callable
from typing import Final, Protocol

from supervisor import backoff, channel
from supervisor.channel import Channel
from supervisor.fork import fork
from supervisor.handle import describe_exit
from supervisor.holdings import Holdings
from supervisor.inherit import Inheritance
from supervisor.journal import Journal, Packet
from supervisor.lifecycle import Event, State, advance
from supervisor.spec import ControlSetup, Spec
from supervisor.timers import Timer, Timers

log = logging.getLogger("edged.control")

STOP_S: Final = 5.0
"""A control that was told to exit is killed after that long."""

DEAF_S: Final = 0.5
"""A control that has closed its channel is told to exit after that long."""

OnRequest = Callable[["ControlHandle", Packet], None]


class RunControl(Protocol):
    """The main of control."""

    def __call__(self, setup: ControlSetup) -> int:
        """Called after the fork; the result is the exit code."""

    def settle(self) -> None:
        """A control has served: nothing that only the first one needs is needed any more."""


class ControlHandle:
    """The control process. It lives apart from the traffic: its death costs no request."""

    def __init__(
        self,
        holdings: Holdings,
        journal: Journal,
        timers: Timers,
        selector: selectors.BaseSelector,
        run: RunControl,
    ) -> None:
        self.state = State.STARTING
        self.pid = 0
        self.restarts = 0
        self.was_ready = False
        self.channel: Channel | None = None
        self.on_request: OnRequest = lambda _handle, _request: None
        self._holdings = holdings
        self._journal = journal
        self._timers = timers
        self._selector = selector
        self._run = run
        self._life = _Life()

    def __repr__(self) -> str:
        return f"<ControlHandle {self.state.name} pid={self.pid} restarts={self.restarts}>"

    @property
    def is_live(self) -> bool:
        """Whether it has a process."""
        return self.pid != 0

    def start(self, spec: Spec) -> None:
        """Fork its process; without room for it, the back-off answers."""
        self._life.spec, self._life.started_s = spec, time.monotonic()
        try:
            ours, theirs = channel.pair()
        except OSError as error:
            self._end(f"could not be started: {error.strerror or error}")
            return
        try:
            self.pid = fork(*self._fork_arguments(spec, theirs))
        except OSError as error:
            os.close(ours)
            self._end(f"could not be started: {error.strerror or error}")
            return
        finally:
            os.close(theirs)
        self.connect(ours)

    def connect(self, fd: int) -> None:
        """Serve the channel to its process."""
        self.channel = Channel(fd, self._selector, self._serve, self._hung_up)

    def adopt(self, pid: int, fd: int, restarts: int, spec: Spec) -> None:
        """Take over a process that the master forked before it exec'ed itself."""
        self.pid, self.restarts, self.was_ready = pid, restarts, True
        self._run.settle()
        self._life.spec = spec
        self.state = State.READY
        self.connect(fd)

    def say_ready(self, spec: Spec) -> None:
        """It serves: tell it what happened while there was none."""
        if self.state is State.STARTING:
            self.state = advance(self.state, Event.SAID_READY)
            self.was_ready = True
            self._run.settle()
        self._life.spec = spec
        if self.channel is not None:
            self._journal.connect(self.channel.send)

    def stop(self, number: signal.Signals = signal.SIGTERM, within_s: float = STOP_S) -> None:
        """Have it exit, and nobody in its place. SIGQUIT has it end the apps, too."""
        self._life.set_timer(None)
        if self.state is not State.GONE:
            self.state = advance(self.state, Event.STOP)
        if self.pid:
            self._signal(number)
            kill = functools.partial(self._signal, signal.SIGKILL)
            self._life.set_timer(self._timers.after(within_s, kill))

    def reap(self, pid: int, status: int) -> bool:
        """A process has ended; False when it is not this one."""
        if pid != self.pid:
            return False
        self.pid = 0
        self._close()
        self._end(describe_exit(status), pid)
        return True

    def respec(self, spec: Spec) -> None:
        """What the next process is started with."""
        self._life.spec = spec

    # Private

    def _fork_arguments(self, spec: Spec, fd: int) -> tuple[Inheritance, Callable[[], int]]:
        holdings = self._holdings
        setup = ControlSetup(
            spec=spec,
            # One that dies before it served has not read the file: then the next one is to.
            boot=not self.was_ready,
            segment_fd=holdings.segment.fd,
            doorbells=holdings.doorbells,
            channel_fd=fd,
            admin_fd=holdings.admin_fd,
            metrics_fd=holdings.metrics_fd,
        )
        metrics = () if holdings.metrics_fd < 0 else (holdings.metrics_fd,)
        fds = (holdings.segment.fd, *holdings.doorbells, fd, holdings.admin_fd, *metrics)
        inheritance = Inheritance(title="edged: control", fds=fds)
        return inheritance, functools.partial(self._run, setup)

    def _serve(self, _channel: Channel, request: Packet) -> None:
        self.on_request(self, request)

    def _hung_up(self) -> None:
        """The channel ended. A process that still runs without one is of no use."""
        self._quieten()
        if self.pid and self.state is not State.STOPPING:
            # A process that died is reaped within the moment.
            end = functools.partial(self._end_deaf, self.pid)
            self._life.set_timer(self._timers.after(DEAF_S, end))

    def _end_deaf(self, pid: int) -> None:
        log.warning("control (pid %d) closed its channel and lives on: ending it", pid)
        self._signal(signal.SIGTERM, pid)
        kill = functools.partial(self._signal, signal.SIGKILL, pid)
        self._life.set_timer(self._timers.after(STOP_S, kill))

    def _close(self) -> None:
        if self.channel is not None:
            self._quieten()
            self.channel.close()
            self.channel = None

    def _quieten(self) -> None:
        if self.channel is not None and self._journal.deliver == self.channel.send:
            self._journal.disconnect()

    def _end(self, how: str, pid: int = 0) -> None:
        self._life.set_timer(None)
        self.state = advance(self.state, Event.EXITED)
        if self.state is State.GONE:
            log.info("control %s", how)
            return
        lived_s = time.monotonic() - self._life.started_s
        self._life.deaths, delay_s = backoff.after_death(self._life.deaths, lived_s)
        when = f"in {delay_s:g} s" if delay_s else "now"
        text = f"control (pid {pid}) {how}; starting it again {when}; traffic goes on"
        self._journal.report("control-died", text, pid=pid)
        self._life.set_timer(self._timers.after(delay_s, self._restart))

    def _restart(self) -> None:
        if self.state is State.BACKOFF and self._life.spec is not None:
            self.state = advance(self.state, Event.RESTART)
            self.restarts += 1
            self.start(self._life.spec)

    def _signal(self, number: signal.Signals, only_pid: int = 0) -> None:
        if self.pid and only_pid in (0, self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class _Life:
    """What its next start goes by."""

    def __init__(self) -> None:
        self.spec: Spec | None = None
        self.started_s = 0.0
        self.deaths = 0
        self.timer: Timer | None = None

    def set_timer(self, timer: Timer | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.timer = timer
