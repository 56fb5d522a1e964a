"""Apps whose record cannot be read: each is left as it is until a deploy mends it.

Rule 1: nothing of such an app is ended, removed or overwritten. Its instances run on, unwatched;
        its routes stay as they were published last.
Rule 2: a deploy is in memory alone until its release serves. Then the record that could not be
        read is set aside, and what ran before ends as it does after every deploy.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from control import shape
from control.apps.app import App
from control.apps.record import ASIDE, KEPT, AppRecord, Running
from control.apps.tools import FIRST_UID, Tools
from control.instances import strays
from control.refusal import Refused
from control.store import Store
from edge.table.model import Route, decode_route


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """One such app."""

    id: str
    why: str
    file: str  # where its record is
    running: tuple[Running, ...] = ()  # what can be read of those that its record names

    @property
    def message(self) -> str:
        """For an operator: what is wrong, where, and what to do."""
        return (
            f'The record of {self.id} cannot be read: {self.why} ("{KEPT}{self.id}" in'
            f" {self.file}). What runs of it goes on. Deploy it anew, or restore the file from a"
            " backup and restart edged."
        )

    def is_its_own(self, instance: str) -> bool:
        """Whether an instance of that name is one of this app."""
        return instance.startswith(self.id.replace("/", ".") + ".")


def broken_of(app_id: str, raw: object, why: str, file: str) -> Broken:
    """An app of which that is kept."""
    listed = raw.get("running") if isinstance(raw, dict) else None
    return Broken(id=app_id, why=why, file=file, running=tuple(_readable(listed)))


@dataclass(slots=True)
class BrokenApps:
    """All of them."""

    store: Store
    tools: Tools
    found: dict[str, Broken] = field(default_factory=dict)
    published: Callable[[], Mapping[str, str] | None] = field(default=lambda: None)
    _routes: dict[str, tuple[Route, ...]] = field(default_factory=dict)
    _ran: dict[str, frozenset[str]] = field(default_factory=dict)  # when a deploy of it began
    _mended: dict[str, Broken] = field(default_factory=dict)

    def refuse(self, app_id: str) -> None:
        """Raises `Refused` when it is one of them."""
        if app_id in self.found:
            raise Refused("app-broken", self.found[app_id].message)

    def routes(self) -> list[Route]:
        """What is published of them. Those of which nothing runs have no upstreams: others may
        listen there by now."""
        return [route for app_id in [*self.found] for route in self.routes_of(app_id)]

    def routes_of(self, app_id: str) -> tuple[Route, ...]:
        """The same of one."""
        published = self.published()
        if app_id not in self._routes and published is not None:
            owner = f"app {app_id}"
            runs = bool(self._instances(app_id))
            found = [route for text in published.values() if (route := _owned(text, owner))]
            kept = [route if runs else replace(route, upstreams=()) for route in found]
            for port in {int(each.rpartition(":")[2]) for one in kept for each in one.upstreams}:
                self.tools.ports.take(port)
            self._routes[app_id] = tuple(kept)
        return self._routes.get(app_id, ())

    def described(self, app_id: str) -> dict[str, Any]:
        """One of them as an operator sees it."""
        broken = self.found[app_id]
        return {
            "app": app_id,
            "state": "broken",
            "release": 0,
            "deploying": 0,
            "runtime": "",
            "routes": [route.pattern for route in self.routes_of(app_id)],
            "instances": [
                {"name": name, "state": "unwatched", "pid": pid, "port": 0, "deaths": 0, "why": ""}
                for name, pid in sorted(self._instances(app_id).items())
            ],
            "processes": [],
            "least": 0,
            "most": 0,
            "problem": broken.message,
            "lacks_secrets": False,
        }

    def uids(self) -> set[int]:
        """The users of their data: nobody else may be given one."""
        return {uid for app_id in self.found if (uid := self._uid(app_id)) >= FIRST_UID}

    def record(self, app_id: str, uid: int) -> AppRecord:
        """With which an app is deployed for the first time, or one of them anew; `uid` when nothing
        says whom it ran as."""
        if app_id not in self.found:
            return AppRecord(id=app_id, uid=uid)
        known = self._uid(app_id)
        self._ran[app_id] = self._names(app_id)
        numbers = [0]
        with contextlib.suppress(OSError):
            folder = self.tools.home(AppRecord(id=app_id)).releases
            numbers += [int(name) for name in os.listdir(folder) if name.isdigit()]
        is_known = uid >= 0 and known >= FIRST_UID
        return AppRecord(id=app_id, uid=known if is_known else uid, last=max(numbers))

    def is_written(self, record: AppRecord) -> bool:
        """Whether a record is to be written down: of one of them when it serves. Then it is one
        no more, and what could not be read is set aside. Raises `Refused`."""
        if record.id in self.found and record.current:
            self.store.keep_copy(KEPT + record.id, ASIDE + record.id)
            self._mended[record.id] = self.found.pop(record.id)
        return record.id not in self.found

    def restore(self, app_id: str) -> bool:
        """A deploy came to nothing. Whether it was of one of them, which is as it was before.
        Raises `Refused`."""
        if app_id in self._mended:
            self.store.keep_copy(ASIDE + app_id, KEPT + app_id)
            self.found[app_id] = self._mended.pop(app_id)
        return app_id in self.found

    def delete(self, app_id: str) -> None:
        """Remove one of them with all that it has and runs. Raises `Refused`."""
        self._end(self._names(app_id))
        self.tools.remove(AppRecord(id=app_id))
        del self.found[app_id]

    def end_former(self, app: App) -> None:
        """What ran of an app that was one of them, and what is left of its releases, is of no use
        any more if another one serves. Waits for its end. Raises `Refused`."""
        mended = self._mended.pop(app.record.id, None)
        if mended is None:
            return
        for running in mended.running:
            app.adopt(running)
        app.see_off()
        goes_on = {each.record.name for each in app.record.running}
        self._end(self._ran.pop(app.record.id) - goes_on)
        self.tools.home(app.record).tidy({each.number for each in app.record.releases})

    # Private

    def _names(self, app_id: str) -> frozenset[str]:
        launcher = self.tools.launcher
        listed = strays.names(launcher.folder, launcher.cgroups)
        return frozenset(filter(self.found[app_id].is_its_own, listed))

    def _instances(self, app_id: str) -> dict[str, int]:
        return strays.running(self.tools.launcher.folder, self._names(app_id))

    def _end(self, names: frozenset[str]) -> None:
        strays.end(self.tools.launcher.folder, self.tools.launcher.cgroups, names)

    def _uid(self, app_id: str) -> int:
        try:
            return os.stat(self.tools.home(AppRecord(id=app_id)).data).st_uid
        except OSError:
            return -1


# Private

_TEXT: Final = '"owner":"%s"'


def _readable(listed: object) -> Iterable[Running]:
    for each in listed if isinstance(listed, list) else ():
        with contextlib.suppress(ValueError):
            yield shape.read(Running, each)


def _owned(text: str, owner: str) -> Route | None:
    if _TEXT % owner not in text:
        return None
    try:
        route = decode_route(text)
    except (TypeError, ValueError):
        return None
    return route if route.owner == owner else None
