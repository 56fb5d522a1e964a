"""Reloading: from the file on disk to what serves, or to a list of what is wrong with it.

All that can fail comes before anything that is seen: the file is loaded, the hooks are tried in a
process that is thrown away, the configuration is staged in the state database and the rows are
written in an open transaction. Then the master is asked to apply what the process tree must
change (it changes nothing either when it cannot). Only then the rows are committed and announced.
Whatever fails on the way is undone, and the running edge has not noticed.
"""

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from gevent.event import Event

from control import hookcheck
from control.apps.rows import AppRows
from control.certificates import desk_of
from control.channel import Channel
from control.config import Loaded, load, loads
from control.config.hosts import HostTls
from control.events import Events, wall_time
from control.hookcheck import HookInfo, HookReport
from control.names import Names, Wanted, has_names, names_of
from control.publish import Changes, Publisher, entries, rows_of
from control.refusal import Refused
from control.state import Applied, State
from edge.table.model import Route, Settings
from supervisor.spec import Spec

log = logging.getLogger("control.reload")

FIXED: Final = ("state_dir", "run_dir", "user", "group", "metrics")
"""Settings of [server] that the process tree is built on: they change with a restart only."""

NAMES_WAIT_S: Final = 2.0
"""How long new names may take; what is resolved later is published later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What a reload would do."""

    loaded: Loaded
    hooks: HookReport
    changes: Changes
    roll: bool  # roll although the spec does not say so: the hooks' code is another
    rolls: bool  # the workers will roll

    @property
    def spec(self) -> Spec:
        return self.loaded.spec


class Reloader:
    """Owns which configuration is in force."""

    def __init__(
        self,
        spec: Spec,
        channel: Channel,
        state: State,
        publisher: Publisher,
        events: Events,
        names: Names,
    ) -> None:
        self.spec = spec  # what the master keeps up
        self.applied: Applied | None = None
        self.problem: Refused | None = None  # why the configuration in force is not fully so
        self.aligned = Event()  # `align` was tried: what the hooks are is known, or why not
        self.completed: Callable[[Settings], Settings] = lambda settings: settings
        self.names = names
        self.certificates = desk_of(spec, publisher, events, state)
        self.apps: AppRows  # whoever makes a reloader gives it one
        self._in_force: Loaded | None = None
        self._wanted = Wanted()
        self._named: tuple[Route, ...] = ()  # the routes with names, as they are written
        self._unwritten = False  # `applied` is not in the state database yet
        self._channel = channel
        self._state = state
        self._publisher = publisher
        self._events = events

    def __repr__(self) -> str:
        return f"<Reloader {self.spec.config_path} {self._publisher!r}>"

    def reload(self, *, roll: bool = False) -> dict[str, Any]:
        """Make the file on disk the configuration in force. Raises `Refused`: nothing changed."""
        started = time.monotonic()
        with self._publisher.lock:
            try:
                loaded = load(self.spec.config_path)
                if not loaded.problems:
                    self.names.learn(_wanted(loaded), NAMES_WAIT_S)
                plan = self._plan(loaded, roll=roll)
                outcome = self._apply(plan)
                self._settle(loaded)
                self.apps.follow(loaded.apps, look=True)
            except Refused as refusal:
                text = f"reload refused: {refusal.message}"
                self._events.add("reload-refused", text, code=refusal.code)
                self.names.follow(self._wanted)
                raise
        outcome["milliseconds"] = round((time.monotonic() - started) * 1000, 1)
        text = _summary(outcome)
        self._events.add("reload-done", text, detail=outcome)
        return outcome

    def check(self) -> dict[str, Any]:
        """What a reload would do, without doing it. Raises `Refused` as a reload would."""
        with self._publisher.lock:
            plan = self._plan(load(self.spec.config_path), roll=False)
        return {
            "path": self.spec.config_path,
            "routes": _counts(plan.changes),
            "rolls": plan.rolls,
            "hooks": [asdict(hook) for hook in plan.hooks.hooks],
        }

    def hooks(self) -> tuple[HookInfo, ...]:
        """The hooks in force, in order. Right after the start: when they have been tried."""
        self.aligned.wait(hookcheck.TIMEOUT_S)
        return self.applied.hooks.hooks if self.applied else ()

    def take_up(self, *, boot: bool, found: Loaded | None = None) -> None:
        """At the start of control: publish what is to be in force.

        That is the file for the first control of a master, as it was `found`, or as it is now; for
        a later one what was applied last, since the file may have been edited meanwhile. Raises
        `Refused` when that must be tried again; what is published stays so until then. After a
        reload there is nothing to take up any more.
        """
        with self._publisher.lock:
            if self._in_force is not None:
                return
            if not self._publisher.is_open:
                self._publisher.open()
            self.names.recall(self._publisher.published)
            try:
                earlier = self._state.applied()
            except Refused:
                if not boot:
                    self._publisher.announce()
                    raise
                earlier = None  # the file says it all
            loaded = self._loaded(earlier, found, boot=boot)
            if loaded is None:
                self.applied = earlier
            else:
                self.names.learn(_wanted(loaded), NAMES_WAIT_S if boot else 0.0)
                self._take_over(loaded, earlier)
                self._settle(loaded)
                self.apps.follow(loaded.apps, look=boot)
            self._publisher.announce()
        log.info("generation %d, %d routes", self._publisher.generation, self._publisher.routes)

    def align(self, *, boot: bool) -> None:
        """After `take_up`: what the master keeps up, and what the hooks are, follow.

        Raises `Refused` when the master cannot apply the configuration.
        """
        with self._publisher.lock:
            loaded = self._in_force
            if self.applied is None or loaded is None:
                return
            if loaded.spec != self.spec and not _needs_restart(self.spec, loaded.spec):
                self._ask_apply(loaded.spec, roll=False)
                self.spec = loaded.spec
            if boot:
                hooks = hookcheck.check(self.spec)
                since = self._publisher.first_worker_started()
                self.applied = replace(self.applied, hooks=hooks.doubting(since))
                self._unwritten = True
                self.write_down()

    def renew(self, names: frozenset[str]) -> None:
        """Publish anew the routes with names that have other addresses now. Raises `Refused`."""
        with self._publisher.lock:
            routes = [route for route in self._named if has_names(route, names)]
            published = self._publisher.published
            rows = rows_of(map(self.names.expand, routes)).items()
            put = {key: text for key, text in rows if published.get(key, text) != text}
            if put:
                self._publisher.publish(Changes(put=put, changed=len(put)), within_s=0.0)

    def publish_all(self) -> None:
        """What is in force, with what the apps have become. Raises `Refused`."""
        with self._publisher.lock:
            if self._in_force is None:
                return
            changes = self._changes(self._in_force, strict=False)
            if changes:
                self._publisher.publish(changes)
            self._settle(self._in_force)

    def write_down(self) -> None:
        """Bring into the database what was taken up while it did not work. Raises `Refused`."""
        with self._publisher.lock:
            if self._unwritten and self.applied is not None:
                number = self._state.stage(self.applied)
                self._state.enforce(number, self.applied.generation)
                self._unwritten = False

    # Private

    def _plan(self, loaded: Loaded, *, roll: bool) -> _Plan:
        if loaded.problems:
            problems = [asdict(problem) for problem in loaded.problems]
            lines = "\n".join(str(problem) for problem in loaded.problems)
            raise Refused("config-invalid", lines, {"problems": problems})
        stuck = _needs_restart(self.spec, loaded.spec)
        if stuck:
            raise Refused(
                "restart-needed",
                f"A reload cannot change {', '.join(stuck)} of [server]: restart edged for that.",
            )
        hooks = hookcheck.check(loaded.spec)
        before = self.applied.hooks if self.applied else HookReport()
        forced = roll or hooks.files != before.files
        return _Plan(
            loaded=loaded,
            hooks=hooks,
            changes=self._changes(loaded),
            roll=forced,
            rolls=forced or _rolls(self.spec, loaded.spec),
        )

    def _changes(self, loaded: Loaded, *, strict: bool = True) -> Changes:
        desk = self.apps.desk
        desk.check(loaded.routes)
        routes = (*map(self.names.expand, loaded.routes), *desk.routes())
        table = entries(routes, self.completed(loaded.settings))
        rows = self.certificates.rows(self._hosts(loaded), strict=strict)
        return self._publisher.changes(table | rows)

    def _hosts(self, loaded: Loaded) -> tuple[HostTls, ...]:
        apps = self.apps.desk.hosts(loaded.hosts) if loaded.spec.https else ()
        return loaded.hosts + apps

    def _settle(self, loaded: Loaded) -> None:
        """That one is published: its names are the ones to follow."""
        self._wanted = _wanted(loaded)
        self._named = tuple(route for route in loaded.routes if names_of((route,)))
        self.names.follow(self._wanted)
        self.certificates.follow(self._hosts(loaded), loaded.acme)
        self._in_force = loaded
        self.apps.note()

    def _apply(self, plan: _Plan) -> dict[str, Any]:
        applied = Applied(
            text=plan.loaded.text, path=self.spec.config_path, time=wall_time(), hooks=plan.hooks
        )
        old = self.spec
        number = self._state.stage(applied)
        if plan.changes:
            self._publisher.prepare(plan.changes)
        rolled = False
        try:
            if plan.roll or plan.spec != old:
                answer = self._ask_apply(plan.spec, roll=plan.roll)
                rolled = bool(answer.get("rolled", plan.rolls))
            try:
                self._commit(number, plan.changes)
            except Refused:
                self._undo(old, plan)
                raise
        except Refused:
            self._publisher.rollback()
            raise
        self.spec, self.problem, self._unwritten = plan.spec, None, False
        self.applied = replace(applied, generation=self._publisher.generation)
        announced = time.monotonic()
        self._publisher.announce()
        late = list(self._publisher.wait())
        return {
            "routes": _counts(plan.changes),
            "rolled": rolled,
            "generation": self._publisher.generation,
            "unacked": late,
            "publish_ms": round((time.monotonic() - announced) * 1000, 1),
        }

    def _commit(self, number: int, changes: Changes) -> None:
        self._state.enforce(number, self._publisher.generation + bool(changes))
        if changes:
            try:
                self._publisher.commit()
            except Refused:
                self._state.restore(number)
                raise

    def _ask_apply(self, spec: Spec, *, roll: bool) -> dict[str, Any]:
        try:
            return self._channel.ask("apply", spec=asdict(spec), roll=roll)
        except Refused as refusal:
            raise Refused("apply-failed", refusal.message) from None

    def _undo(self, old: Spec, plan: _Plan) -> None:
        """The master has applied what could not be committed: back to what was."""
        if plan.spec == old:
            return
        try:
            self._ask_apply(old, roll=False)
        except Refused as refusal:
            log.error("cannot apply the former configuration again: %s", refusal.message)
            self.problem = refusal

    def _loaded(
        self, earlier: Applied | None, found: Loaded | None, *, boot: bool
    ) -> Loaded | None:
        """What is to be in force; None leaves what is published."""
        if boot:
            loaded = found or load(self.spec.config_path)
        elif earlier is not None:
            loaded = loads(earlier.text, earlier.path)
        else:
            return None
        if not loaded.problems:
            self.problem = None
            return loaded
        lines = "\n".join(str(problem) for problem in loaded.problems)
        self.problem = Refused("config-invalid", f"Serving what was published last: {lines}")
        log.error("%s", self.problem.message)
        return None

    def _take_over(self, loaded: Loaded, earlier: Applied | None) -> None:
        """Publish a configuration; serving does not wait for the state database."""
        changes = self._changes(loaded, strict=False)
        if changes:
            self._publisher.prepare(changes)
            self._publisher.commit()
        self.applied = Applied(
            text=loaded.text,
            path=self.spec.config_path,
            time=wall_time() if earlier is None or earlier.text != loaded.text else earlier.time,
            generation=self._publisher.generation,
            hooks=HookReport() if earlier is None else earlier.hooks,
        )
        self._unwritten = self.applied != earlier
        try:
            self.write_down()
        except Refused as refusal:
            log.error("the applied configuration cannot be kept yet: %s", refusal.message)


def differs(applied: Applied | None) -> bool:
    """Whether the file on disk is another than the one in force."""
    if applied is None:
        return False
    try:
        return Path(applied.path).read_text("utf-8-sig") != applied.text
    except (OSError, ValueError):
        return True


def changed_hooks(hooks: HookReport) -> list[str]:
    """The hook files on disk that are not what the workers have loaded."""
    changed = []
    for path, known in hooks.files.items():
        try:
            found = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        except OSError:
            found = ""
        if found != known:
            changed.append(path)
    return changed


# Private


def _wanted(loaded: Loaded) -> Wanted:
    return Wanted(names=names_of(loaded.routes), nameservers=loaded.nameservers)


def _needs_restart(old: Spec, new: Spec) -> list[str]:
    return [name for name in FIXED if getattr(old, name) != getattr(new, name)]


def _rolls(old: Spec, new: Spec) -> bool:
    parts = ("worker", "http", "workers")
    return any(getattr(old, name) != getattr(new, name) for name in parts)


def _counts(changes: Changes) -> dict[str, int]:
    return {"added": changes.added, "changed": changes.changed, "removed": changes.gone}


def _summary(outcome: dict[str, Any]) -> str:
    counts = outcome["routes"]
    changed = ", ".join(f"{counts[name]} {name}" for name in ("added", "changed", "removed"))
    rolled = "workers rolled" if outcome["rolled"] else "no worker restarted"
    late = outcome["unacked"]
    behind = f", not taken up by slots {', '.join(map(str, late))}" if late else ""
    return f"reloaded: routes {changed}; {rolled}; generation {outcome['generation']}{behind}"
