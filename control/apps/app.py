"""One app: its instances, and how awake it is.

Rule 1: what happens to instances only stirs the app; one greenlet settles what follows: the state,
        the published routes, what the next control must know.
Rule 2: a request is never cut: who sleeps or leaves gets no new ones first, and ends when it has
        none.
"""

import contextlib
import logging
import time
from typing import Final

import gevent
from gevent.event import Event as Signal
from gevent.lock import RLock

from control.apps import scaling
from control.apps.applog import AppLog
from control.apps.fleet import Fleet, end_all
from control.apps.jobs import ROLE as CRON
from control.apps.jobs import STREAMS, Jobs
from control.apps.leaving import BUSY_LOOK_S, LEAVING, Leaving
from control.apps.logfiles import LogFiles
from control.apps.pace import Pace
from control.apps.record import AppRecord, Release, Running
from control.apps.scaling import Load
from control.apps.slumber import Event, State, advance
from control.apps.tools import Tools
from control.apps.traffic import traffic_of
from control.instances.instance import Instance
from control.instances.life import State as Life
from control.instances.process import clear
from control.refusal import Refused

log = logging.getLogger("control.apps")

LOOK_S: Final = 0.5
"""How often it is looked whether an app is idle or has too much to do."""


class App:
    """One app. `record` is what is kept of it."""

    def __init__(self, record: AppRecord, tools: Tools) -> None:
        self.record = record
        self.tools = tools
        self.lock = RLock()  # deploys and orders of operators, one at a time
        self.state = State.STOPPED if record.stopped else State.ASLEEP
        self.fleet: Fleet | None = None
        self.beside: list[Fleet] = []
        self.log = AppLog(LogFiles(tools.home(record).log))
        self.jobs = Jobs(record, tools, self.log, self.stir)
        self.problem = ""
        self._stirred = Signal()
        self._turned = Signal()
        self._pace = Pace(time.monotonic)
        self._leaving = Leaving(tools.segment)
        self._task = gevent.spawn(self._settle_on)

    def __repr__(self) -> str:
        return f"<App {self.state.name} {self.record.id} {self.fleet!r}>"

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where requests go now; none while it sleeps, or is about to."""
        if self.state is not State.AWAKE or self.fleet is None:
            return ()
        return self.fleet.addresses

    @property
    def shown(self) -> State:
        """Files alone do not sleep: they are served as long as nobody stops them."""
        spec = self.record.spec
        is_files = spec is not None and not spec.start and self.state is State.ASLEEP
        return State.AWAKE if is_files else self.state

    def wake(self) -> None:
        """Have it awake; waits for that, at most for its own limit. Raises `Refused`:
        `app-stopped`, `app-failed`, `timeout`."""
        spec = self.record.spec
        if spec is None:
            raise self._stopped()
        if self.state is State.ASLEEP:
            self._have(max(1, spec.instances.min))  # first: it may not be possible
            self._advance(Event.WISHED)
        elif self.state is State.DROWSY:
            self._advance(Event.WISHED)
            self.stir()
        deadline = time.monotonic() + spec.times.start_s
        deaths = self.fleet.deaths if self.fleet is not None else 0
        while self.state is State.WAKING:
            if self.fleet is not None and self.fleet.deaths > deaths:
                raise self._failure()
            turned = self._turned
            if not turned.wait(max(0.0, deadline - time.monotonic())):
                text = f"{self.record.id} was not ready within {spec.times.start_s:g} s."
                raise Refused("timeout", text)
        if self.state is State.FAILED:
            raise self._failure()
        if self.state is State.STOPPED:
            raise self._stopped()

    def stop(self) -> None:
        """By an operator: until `start`, also over a restart. Raises `Refused`."""
        self.record.stopped = True
        self.keep()
        self._advance(Event.STOP)
        self.settle()
        self.jobs.end()
        gone = self._all()
        self.fleet, self.beside = None, []
        self.part(gone)
        self.keep()

    def delete(self) -> None:
        """End it, and remove all that is kept of it. However far it has come, the next control
        finishes that. Raises `Refused`."""
        self.record.deleting = True
        try:
            self.stop()
        except Refused:
            self.record.deleting = False
            with contextlib.suppress(Refused):
                self.keep()
            raise
        self.close()
        self.tools.remove(self.record)

    def start(self) -> None:
        """After `stop`, or after it has failed. Raises `Refused`."""
        self.record.stopped = False
        self.problem = ""
        if self.state in (State.STOPPED, State.FAILED):
            if self.fleet is not None:
                end_all(self.fleet.part(0))
                self.fleet = None
            self._advance(Event.START)
        self.keep()
        self.rise()

    def adopt(self, running: Running) -> None:
        """A process that an earlier control has started: it goes on, or is to end."""
        release, role = self.record.serving, running.role
        if role.startswith(CRON) and not self.record.stopped:
            self.jobs.adopt(running)
            return
        is_wanted = release is not None and release.number == running.release
        if release is None or self.record.stopped or not is_wanted or role == LEAVING:
            self._adopt_leaving(running)
        elif role:
            fleet = next((each for each in self.beside if each.role == role), None)
            if fleet is None:
                fleet = Fleet(release, self.make, role)
                self.beside.append(fleet)
            fleet.adopt(running)
        else:
            self.fleet = self.fleet or Fleet(release, self.make)
            self.fleet.adopt(running)

    def resume(self) -> None:
        """Its fleet was adopted from an earlier control: it is what that says it is."""
        if self.fleet is not None and self.state is State.ASLEEP:
            self._advance(Event.SERVED if self.fleet.addresses else Event.WISHED)
            self.stir()

    def rise(self) -> None:
        """Have what is wanted without being asked for: least instances, processes beside."""
        spec = self.record.spec
        if spec is None or self.state is State.STOPPED:
            return
        release = self.record.serving
        assert release is not None
        for process in spec.processes:
            if all(each.role != process.name for each in self.beside):
                self.beside.append(Fleet(release, self.make, process.name))
            fleet = next(each for each in self.beside if each.role == process.name)
            fleet.grow_to(process.instances)
        if spec.start and spec.instances.min and self.state is State.ASLEEP:
            self._have(spec.instances.min)
            self._advance(Event.WISHED)
        self.stir()

    def switch(self, release: Release, fleet: Fleet | None) -> list[Instance]:
        """That release serves from now on, if need be by a fleet that is ready. The instances of
        before serve no more, and are the caller's to end. Raises `Refused`: nothing is changed."""
        record = self.record
        kept = record.current, record.deploying, record.stopped
        former = self.fleet, self.beside, self.state
        gone = self._all()
        self._leaving.add(gone)  # before it is written down, so that the next control knows of them
        record.current, record.deploying, record.stopped = release.number, 0, False
        self.fleet, self.beside = fleet, []
        if fleet is not None and self.state is not State.AWAKE:
            if self.state is State.STOPPED:
                self._advance(Event.START)
            self._advance(Event.SERVED)
        elif fleet is None:
            self.state = State.ASLEEP
        try:
            self.keep()
            self.tools.publish()
        except Refused:
            self.fleet, self.beside, self.state = former
            record.current, record.deploying, record.stopped = kept
            self._leaving.strike(gone)
            with contextlib.suppress(Refused):  # also for the next control
                self.keep()
            raise
        self.problem = ""
        self._pace.touch()
        self.rise()
        return gone

    def make(self, release: Release, role: str) -> Instance:
        """An instance of it, which stirs the app."""
        made: Instance

        def take(stream: str, line: bytes) -> None:
            self.log.feed(made.plan.launch.name, STREAMS[stream], line + b"\n")

        made = self.tools.instance(self.record, release, role, take, self._changed)
        return made

    def stir(self) -> None:
        """Something has happened."""
        self._stirred.set()

    def keep(self) -> None:
        """Write down what the next control must know. Raises `Refused`."""
        running = self.fleet.running() if self.fleet is not None else []
        for each in self.beside:
            running += each.running()
        running += self.jobs.running()
        self.record.running = running + self._leaving.running()
        self.tools.keep(self.record)

    def settle(self) -> None:
        """Bring state, routes and record to what the instances are. Raises `Refused`."""
        fleet = self.fleet
        ready = fleet is not None and bool(fleet.addresses)
        if ready and self.state in (State.ASLEEP, State.WAKING, State.FAILED):
            self._pace.touch()
            self._advance(Event.SERVED)
        elif fleet is not None and fleet.has_failed and self.state in _TRYING:
            self.problem = fleet.explain()
            self._advance(Event.GAVE_UP)
            first = self.problem.splitlines()[0]
            text = f"{self.record.id} has failed: {first}"
            self.tools.events.add("app-failed", text, app=self.record.id)
        elif not ready and self.state in (State.AWAKE, State.DROWSY):
            self._advance(Event.LOST)
        self.tools.publish()
        turned, self._turned = self._turned, Signal()
        turned.set()
        self.keep()

    def look(self) -> None:
        """Whether it is idle, or has too much or too little to do. Raises `Refused`."""
        spec, fleet = self.record.spec, self.fleet
        if spec is None or fleet is None or self.state is not State.AWAKE:
            return
        traffic = traffic_of(self.tools.segment, fleet.addresses)
        idle_s = self._pace.idle_s(traffic.under_way, traffic.total)
        rules = spec.instances
        if scaling.is_idle(rules, under_way=traffic.under_way, idle_s=idle_s):
            self._advance(Event.IDLED)
            gevent.spawn(self._fall_asleep)
            return
        load = Load(instances=len(fleet), under_way=traffic.under_way, calm_s=0.0)
        calm_s = self._pace.calm_s(is_calm=scaling.is_calm(rules, load))
        load = Load(instances=len(fleet), under_way=traffic.under_way, calm_s=calm_s)
        count = scaling.wanted(rules, load)
        if count != len(fleet):
            self._pace.count_anew()
        if count > len(fleet):
            fleet.grow_to(count)
        elif count < len(fleet):
            gevent.spawn(self.part, self.shrink_to(count))

    def shrink_to(self, count: int) -> list[Instance]:
        """So many serve from now on; the others are the caller's to end. Raises `Refused`: nothing
        is changed."""
        assert self.fleet is not None
        gone = self.fleet.part(count)
        self._leaving.add(gone)
        try:
            self.settle()
        except Refused:
            self.fleet.instances += gone
            self._leaving.strike(gone)
            raise
        return gone

    def part(self, gone: list[Instance]) -> None:
        """End instances that get no requests any more, each when it has none, and within the time
        that it has to drain; waits for that."""
        self._leaving.see_out(gone)
        for each in gone:
            self.log.end(each.plan.launch.name)
        self.stir()

    def see_off(self) -> None:
        """End what an earlier control was about to end, when nobody is sent there any more. Raises
        `Refused`."""
        if self._leaving.instances:
            self.settle()
            self.part([*self._leaving.instances])

    def close(self) -> None:
        """Watch it no more; what runs goes on."""
        self._task.kill(block=False)
        self.log.close()

    def end(self) -> None:
        """End all that it runs."""
        self.jobs.end(for_good=True)
        self.part(self._all())
        self.close()

    # Private

    def _changed(self, instance: Instance) -> None:
        if instance.state is Life.BACKOFF:  # whatever follows: every death is told once
            name = instance.plan.launch.name
            self.log.say(instance.last_death, name)
            text = f"{name}: {instance.last_death} (death {instance.deaths})"
            self.tools.events.add("instance-died", text, app=self.record.id, instance=name)
        self.stir()

    def _stopped(self) -> Refused:
        return Refused("app-stopped", f"{self.record.id} is stopped: 'edgectl start' starts it.")

    def _advance(self, event: Event) -> None:
        self.state = advance(self.state, event)
        log.debug("%s is %s", self.record.id, self.state.name.lower())

    def _all(self) -> list[Instance]:
        found = [*self.fleet.instances] if self.fleet is not None else []
        return found + [each for fleet in self.beside for each in fleet.instances]

    def _have(self, count: int) -> None:
        release = self.record.serving
        assert release is not None
        if self.fleet is None:
            self.fleet = Fleet(release, self.make)
        self.fleet.grow_to(count)

    def _adopt_leaving(self, running: Running) -> None:
        release = self.record.release(running.release) or self.record.serving
        if release is None:
            gevent.spawn(clear, running.record)
            return
        made = self.make(release, LEAVING)
        made.adopt(running.record, was_ready=running.was_ready)
        self._leaving.add([made])

    def _failure(self) -> Refused:
        why = self.problem or (self.fleet.explain() if self.fleet is not None else "")
        return Refused("app-failed", f"{self.record.id} does not start: {why}")

    def _settle_on(self) -> None:
        while True:
            self._stirred.wait()
            self._stirred.clear()
            try:
                self.settle()
            except Refused as refusal:
                log.error("%s: %s", self.record.id, refusal.message)
                gevent.sleep(LOOK_S)
                self._stirred.set()

    def _fall_asleep(self) -> None:
        """It gets no requests any more; it ends when it has none."""
        try:
            self.settle()
        except Refused as refusal:
            log.error("%s stays awake: %s", self.record.id, refusal.message)
        fleet = self.fleet
        while fleet is not None and self.state is State.DROWSY:
            if not traffic_of(self.tools.segment, fleet.addresses).under_way:
                self._advance(Event.EMPTIED)
                self.fleet, gone = None, fleet.part(0)
                self._leaving.add(gone)
                self.stir()
                self.tools.events.add("app-asleep", f"{self.record.id} sleeps", app=self.record.id)
                self.part(gone)
                self.log.settle()
                return
            gevent.sleep(BUSY_LOOK_S)


# Private

_TRYING = (State.WAKING, State.AWAKE, State.DROWSY)
