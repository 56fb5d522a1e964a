"""All apps: what an operator asks of them, what workers wish for, and their part of the table."""

import contextlib
import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import gevent
from gevent.lock import RLock
from gevent.queue import Queue

from control.apps import builder, inplace
from control.apps.app import LOOK_S, App
from control.apps.broken import BrokenApps
from control.apps.recall import recall
from control.apps.record import KEPT, AppRecord, Release
from control.apps.rollout import Rollout
from control.apps.routes import hosts_of, owner_of, routes_of
from control.apps.secrets import Secrets
from control.apps.slumber import State
from control.apps.tools import FIRST_UID, Tools
from control.apps.view import described
from control.config.hosts import HostTls
from control.events import Events
from control.instances.cgroup import Cgroups
from control.instances.isolation import missing
from control.instances.launch import Launcher
from control.instances.ports import Ports
from control.instances.spawn import Spawner
from control.manifest.spec import AppSpec
from control.refusal import Refused
from control.store import Store
from edge.shared.segment import Segment
from edge.table.model import Route
from supervisor.spec import Spec

log = logging.getLogger("control.apps")

RUN_S: Final = 3600.0


@dataclass(slots=True)
class AppDesk:
    """The apps."""

    tools: Tools
    kept: Store
    broken: BrokenApps
    apps: dict[str, App] = field(default_factory=dict)
    ours: "dict[str, str]" = field(default_factory=dict)  # patterns of the server file, by owner
    publish: Callable[[], None] = field(default=lambda: None)  # raises `Refused`
    _is_recalled: bool = False
    _recalling: RLock = field(default_factory=RLock)

    # Life

    def recall(self) -> None:
        """Take up what an earlier control has left: before anything is published. Raises
        `Refused`."""
        with self._recalling:
            if not self._is_recalled:
                apps, self.broken.found = recall(self.kept, self.tools)
                self.apps |= apps
                self._is_recalled = True
        if self.apps or self.broken.found:
            self._keep_spawner()

    def start(self) -> None:
        """Begin to look after them, as soon as they are known."""
        gevent.spawn(self._look_on)

    def end(self) -> None:
        """End all instances: edged stops."""
        gevent.joinall([gevent.spawn(app.end) for app in self.apps.values()])
        self.tools.launcher.cgroups.close()

    # The table

    def routes(self) -> list[Route]:
        """Of all apps, as they are now."""
        own = [route for app in self.apps.values() for route in routes_of(app)]
        return own + [each for each in self.broken.routes() if each.pattern not in self.ours]

    def hosts(self, known: Sequence[HostTls]) -> tuple[HostTls, ...]:
        """Those of apps that the server file does not name itself."""
        return hosts_of(self.routes(), {host.host for host in known})

    def check(self, routes: Sequence[Route]) -> None:
        """Whether none of the server file's patterns is an app's. Raises `Refused`."""
        self.ours = {route.pattern: route.owner for route in routes}
        for app in self.apps.values():
            if app.record.spec is not None:
                self.vet(app, app.record.spec)

    # Wishes of workers

    def wake(self, app_id: str) -> dict[str, Any]:
        """Have an app awake, and every worker know. Raises `Refused`."""
        self._app(app_id).wake()
        self.publish()
        return {"app": app_id}

    # Orders

    def rollback(self, app_id: str, number: int) -> dict[str, Any]:
        """Have an earlier release serve: that one, or the one before. Raises `Refused`."""
        with self._ordered(app_id) as app:
            release = self._earlier(app, number)
            Rollout(app, lambda line: None, self.vet).return_to(release)
        text = f"{app_id}: release {release.number} serves again"
        self.tools.events.add("app-rolled-back", text, app=app_id, release=release.number)
        return {"app": app_id, "release": release.number}

    def restart(self, app_id: str) -> dict[str, Any]:
        """Other instances of the same release, without a gap. Raises `Refused`."""
        with self._ordered(app_id) as app:
            release = app.record.serving
            if release is None:
                raise Refused("not-found", f"{app_id} has no release: deploy one.")
            if app.state in (State.AWAKE, State.WAKING, State.DROWSY):
                Rollout(app, lambda line: None, self.vet).return_to(release)
            else:
                app.start()
        return {"app": app_id, "release": release.number}

    def scale(self, app_id: str, least: int, most: int) -> dict[str, Any]:
        """How many instances it has, whatever its edge.toml says. Raises `Refused`."""
        if not 0 <= least <= most <= 1000 or not most:
            raise Refused("bad-request", "'least' and 'most' are 0 to 1000, and most at least 1.")
        with self._ordered(app_id) as app:
            app.record.scale = (least, most)
            app.keep()
            if app.fleet is not None and app.state is State.AWAKE:
                app.fleet.grow_to(least)
                app.part(app.shrink_to(max(1, most)))
            else:
                app.rise()
        return {"app": app_id, "least": least, "most": most}

    def stop(self, app_id: str) -> dict[str, Any]:
        """It serves no more, also after a restart. Raises `Refused`."""
        with self._ordered(app_id) as app:
            app.stop()
        self.tools.events.add("app-stopped", f"{app_id} is stopped", app=app_id)
        return {"app": app_id}

    def begin(self, app_id: str) -> dict[str, Any]:
        """It serves again. Raises `Refused`."""
        with self._ordered(app_id) as app:
            app.start()
            if app.record.serving is not None and app.record.serving.spec.start:
                app.wake()
            else:
                app.settle()
        return {"app": app_id}

    def delete(self, app_id: str) -> dict[str, Any]:
        """Remove an app with its releases, data, secrets and log. Raises `Refused`."""
        if app_id in self.broken.found:
            self.broken.delete(app_id)
        else:
            with self._ordered(app_id) as app:
                app.delete()
                del self.apps[app_id]
        self.publish()
        self.tools.events.add("app-deleted", f"{app_id} is deleted", app=app_id)
        return {"app": app_id}

    def run(self, app_id: str, argv: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        """Run a command in the app's environment; its lines, then its exit code."""
        app = self._app(app_id)
        release = app.record.serving
        if release is None:
            raise Refused("not-found", f"{app_id} has no release: deploy one.")
        launch = self.tools.launch(app.record, release, argv)
        told: Queue = Queue()

        def act() -> None:
            try:
                ended = builder.run(
                    self.tools.launcher, launch, RUN_S, lambda line: told.put({"line": line})
                )
                if ended.out_of_memory:
                    told.put({"line": f"edged: {argv[0]} {ended.text}"})
                told.put({"exit_code": os.waitstatus_to_exitcode(ended.status or 0)})
            except Refused as refusal:
                told.put({"error": refusal.code, "message": refusal.message})
            finally:
                told.put(None)

        task = gevent.spawn(act)
        try:
            while (document := told.get()) is not None:
                yield document
        finally:
            task.kill(block=False)  # who asked is gone: so is the command

    # Questions

    def listed(self) -> list[dict[str, Any]]:
        """All apps."""
        unreadable = self.tools.secrets.unreadable(self.apps)
        broken = self.broken.found
        return [
            self.broken.described(app_id)
            if app_id in broken
            else described(self.apps[app_id], unreadable.get(app_id, ""))
            for app_id in sorted(self.apps.keys() | broken.keys())
        ]

    def missing(self) -> tuple[str, ...]:
        """What keeps apps apart less than it could, as sentences; none without apps."""
        has_some = self.apps or self.broken.found
        return missing(self.tools.launcher.cgroups) if has_some else ()

    def releases(self, app_id: str) -> list[dict[str, Any]]:
        """The releases of an app that are there. Raises `Refused`."""
        record = self._app(app_id).record
        return [
            {"release": each.number, "time": each.time, "serves": each.number == record.current}
            for each in record.releases
        ]

    def whole_id(self, name: str) -> str:
        """The id of an app, also by its name alone when it has one environment. Raises
        `Refused`."""
        ids = self.apps.keys() | self.broken.found.keys()
        if name in ids:
            return name
        same = sorted(each for each in ids if each.partition("/")[0] == name)
        if len(same) == 1:
            return same[0]
        known = ", ".join(same or sorted(ids)) or "none yet"
        raise Refused("not-found", f"There is no app {name!r} (there are: {known}).")

    def find(self, app_id: str) -> App:
        """An app, also by its name alone when it has one environment. Raises `Refused`."""
        return self._app(app_id)

    # For deploys

    @contextlib.contextmanager
    def held(self, app_id: str, say: Callable[[str], None]) -> Iterator[App]:
        """An app, or a new one, for a deploy: others wait. Raises `Refused`."""
        while True:
            app = self.find_or_make(app_id)
            if not app.lock.acquire(blocking=False):
                say(f"waiting for another order for {app_id} to end")
                app.lock.acquire()
            if self.apps.get(app_id) is app:
                break
            app.lock.release()  # that order has removed it
        try:
            yield app
            self.broken.end_former(app)
        finally:
            self._drop_empty(app)
            app.lock.release()

    def find_or_make(self, app_id: str) -> App:
        """An app; one that was never deployed has nothing yet. Raises `Refused`."""
        self.recall()  # or a new one would be taken for one that there is
        self._keep_spawner()
        app = self.apps.get(app_id)
        if app is None:
            uid = -1
            if os.geteuid() == 0 and not inplace.is_on():
                taken = {each.record.uid for each in self.apps.values()} | self.broken.uids()
                uid = next(uid for uid in range(FIRST_UID, FIRST_UID + 65536) if uid not in taken)
            app = self.apps[app_id] = App(self.broken.record(app_id, uid), self.tools)
            try:
                app.keep()  # first: what nobody knows of would stay for ever
                self.tools.home(app.record).make()
            except OSError as error:
                self._drop_empty(app)
                text = f"{error.filename} cannot be made: {error.strerror}."
                raise Refused("disk-full", text) from None
            except Refused:
                self._drop_empty(app)
                raise
        return app

    def _drop_empty(self, app: App) -> None:
        """A first deploy that failed leaves no app."""
        if not app.record.releases and not app.record.deploying:
            with contextlib.suppress(Refused):
                app.close()
                if not self.broken.restore(app.record.id):
                    self.tools.forget(app.record)
            del self.apps[app.record.id]

    def vet(self, app: App, spec: AppSpec) -> None:
        """Raises `Refused` when a pattern is somebody else's."""
        owners = dict(self.ours)
        for route in self.broken.routes():
            if route.owner != owner_of(app):
                owners[route.pattern] = route.owner
        for other in self.apps.values():
            if other is not app and other.record.spec is not None:
                owners |= dict.fromkeys(other.record.spec.routes, owner_of(other))
        for pattern in spec.routes:
            if pattern in owners:
                text = f'"{pattern}" of {owner_of(app)} is {owners[pattern]}\'s already.'
                raise Refused("route-taken", text)

    # Private

    @contextlib.contextmanager
    def _ordered(self, app_id: str) -> Iterator[App]:
        """An app for an order: others wait. Raises `Refused`."""
        app = self._app(app_id)
        with app.lock:
            if self._app(app_id) is not app:
                raise Refused("busy", f"{app_id} was removed meanwhile, and is there anew.")
            yield app

    def _app(self, app_id: str) -> App:
        found = self.whole_id(app_id)
        self.broken.refuse(found)
        return self.apps[found]

    def _keep_spawner(self) -> None:
        """It is there whenever apps are, so that none waits for it."""

        def died(pid: int, how: str) -> None:
            text = f"the spawner (pid {pid}) {how}; starting it again; apps go on"
            self.tools.events.add("spawner-died", text, pid=pid, how=how)

        self.tools.launcher.spawner.keep(died)

    def _earlier(self, app: App, number: int) -> Release:
        record = app.record
        if number:
            found = record.release(number)
        else:
            before = [each for each in record.releases if each.number < record.current]
            found = before[-1] if before else None
        if found is None:
            known = ", ".join(str(each.number) for each in record.releases)
            text = f"{record.id} has no such release to return to (there are: {known})."
            raise Refused("not-found", text)
        return found

    def _rise(self, app: App) -> None:
        said = ""
        while True:
            try:
                app.rise()
                app.see_off()
            except Refused as refusal:
                if refusal.message != said:
                    log.error("%s: %s", app.record.id, refusal.message)
                said = refusal.message
                gevent.sleep(LOOK_S)
            else:
                return

    def _look_on(self) -> None:
        while not self._is_recalled:
            gevent.sleep(LOOK_S)
        for app in self.apps.values():
            gevent.spawn(self._rise, app)
        while True:
            gevent.sleep(LOOK_S)
            for app in [*self.apps.values()]:
                try:
                    app.look()
                except Refused as refusal:
                    log.error("%s: %s", app.record.id, refusal.message)
                except Exception:  # one app's bug must not end the others
                    log.exception("%s could not be looked after", app.record.id)


def apps_of(spec: Spec, segment: Segment, store: Store, events: Events) -> AppDesk:
    """The apps of an edged."""
    label = hashlib.sha256(spec.run_dir.encode()).hexdigest()[:8]
    folder = os.path.join(spec.state_dir, "apps")
    launcher = Launcher(os.path.join(spec.run_dir, "apps"), Cgroups.find(label), Spawner())
    desk: AppDesk

    def publish() -> None:
        desk.publish()

    def keep(record: AppRecord) -> None:
        if desk.broken.is_written(record):
            store.keep(KEPT + record.id, record.to_json())

    def drop(record: AppRecord) -> None:
        store.keep(KEPT + record.id, None)

    secrets = Secrets(store, spec.state_dir)
    tools = Tools(folder, launcher, Ports(), secrets, segment, events, publish, keep, drop)
    desk = AppDesk(tools, store, BrokenApps(store, tools))
    return desk
