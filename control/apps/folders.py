"""`[[app]]` of the server file: apps that are deployed from folders of this machine.

Rule 1: what counts is whether a folder has changed since it was deployed from there. So a rollback,
        or a deploy from elsewhere, holds until somebody changes the folder.
Rule 2: an operator's word comes first: an app that he has stopped stays so, and one that is no
        longer in the file is stopped, never deleted.
Rule 3: nobody waits for this: not the start, not a reload, and no folder for long for another one.
        A deploy that a death of control cut off is begun again by the next one.
"""

import contextlib
import logging
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any, Final

import gevent
from gevent.event import Event

from control import shape
from control.apps.builds import Builds
from control.apps.deploys import Deploys
from control.apps.packing import Packed, pack_as_owner
from control.config.app_folders import AppFolder
from control.refusal import Refused
from control.store import Store

log = logging.getLogger("control.apps")

KEPT: Final = "app-folders"
AT_ONCE: Final = 2
AT_MOST: Final = 8
SLOW_S: Final = 10.0
"""A build that takes longer holds up no other, as long as there are not too many of them."""

RETRY_S: Final = 2.0


@dataclass(slots=True, kw_only=True)
class Folder:
    """One `[[app]]`, and what became of it."""

    folder: str
    env: str
    app: str = ""  # its id, once it was read
    digest: str = ""  # of what was deployed from it last
    state: str = "waiting"  # deploying, deployed, unchanged, failed, stopped, removed
    message: str = ""  # why it failed
    is_pending: bool = False  # to be looked at, also by the next control
    was_removed: bool = False  # it is stopped since it is not in the file any more


class Folders:
    """Those of the file."""

    def __init__(self, deploys: Deploys, store: Store) -> None:
        self._deploys = deploys
        self._desk = deploys.desk
        self._store = store
        self._known: dict[tuple[str, str], Folder] = {}
        self._wanted: dict[tuple[str, str], AppFolder] = {}
        self._looks = False
        self._again: set[tuple[str, str]] = set()  # to be looked at once more
        self._unread: set[tuple[str, str]] = set()  # it is not known yet which app they are of
        self._tasks: dict[tuple[str, str], gevent.Greenlet] = {}
        self._builds = Builds(AT_ONCE, AT_MOST, SLOW_S)
        self._wake = Event()
        self._task: gevent.Greenlet | None = None

    def __repr__(self) -> str:
        return f"<Folders {len(self._known)}>"

    def follow(self, wanted: Sequence[AppFolder], *, look: bool) -> None:
        """These are in the file. Without `look` only what was cut off is deployed."""
        self._wanted = {(one.folder, one.env): one for one in wanted}
        self._looks = self._looks or look
        self._wake.set()
        self._task = self._task or gevent.spawn(self._follow_on)

    def listed(self) -> list[dict[str, Any]]:
        """All of them, for an operator."""
        return [
            {key: getattr(each, key) for key in ("folder", "env", "app", "state", "message")}
            for each in self._known.values()
        ]

    # Private

    def _recall(self) -> None:
        """What an earlier control knew; waits until the database says so."""
        while True:
            try:
                kept = self._store.kept(KEPT)
                break
            except Refused as refusal:
                log.error("no apps are deployed from folders yet: %s", refusal.message)
                if refusal.code == "value-damaged":
                    return  # as if none had ever been deployed
                gevent.sleep(RETRY_S)
        for raw in kept if isinstance(kept, list) else ():
            try:
                known = shape.read(Folder, raw)
            except ValueError as error:
                log.error("a folder is deployed as if for the first time: %s", error)
            else:
                self._known[known.folder, known.env] = known

    def _keep(self) -> None:
        try:
            self._store.keep(KEPT, [asdict(each) for each in self._known.values()])
        except Refused as refusal:
            log.error("what was deployed from folders cannot be kept: %s", refusal.message)

    def _follow_on(self) -> None:
        self._recall()
        while True:
            self._wake.wait()
            self._wake.clear()
            looks, self._looks = self._looks, False
            for key in self._wanted:
                known = self._known.setdefault(key, Folder(folder=key[0], env=key[1]))
                known.is_pending = known.is_pending or looks
                if key in self._tasks and looks:
                    self._again.add(key)
                elif key not in self._tasks and known.is_pending:
                    self._unread.add(key)
                    self._tasks[key] = gevent.spawn(self._bring_up, key, known)
            if not self._unread:  # another folder may be of an app that seems to be gone
                self._part()
            self._keep()

    def _bring_up(self, key: tuple[str, str], folder: Folder) -> None:
        try:
            while folder.is_pending and key in self._wanted:
                self._again.discard(key)
                with self._builds.place():
                    self._look_at(folder)
                folder.is_pending = key in self._again
                self._keep()
        finally:
            self._unread.discard(key)
            del self._tasks[key]
            self._wake.set()

    def _look_at(self, folder: Folder) -> None:
        try:
            self._deploy(folder)
        except Refused as refusal:
            folder.state, folder.message = "failed", refusal.message
        except OSError as error:
            folder.state, folder.message = "failed", str(error)

    def _deploy(self, folder: Folder) -> None:
        """Raises `Refused` and `OSError`."""
        os.makedirs(self._desk.tools.folder, 0o711, exist_ok=True)
        with contextlib.ExitStack() as opened:
            archive = opened.enter_context(tempfile.TemporaryFile(dir=self._desk.tools.folder))
            packed = self._packed(folder, archive)
            app_id = f"{packed.name}/{packed.env}"
            app = self._desk.apps.get(app_id)
            if app is not None and app.record.stopped and not folder.was_removed:
                folder.state = "stopped"
                return
            folder.message = ""
            if not packed.is_packed:
                if folder.was_removed:
                    self._desk.begin(app_id)
                folder.state, folder.was_removed = "unchanged", False
                return
            opened.pop_all()  # the deploy closes it
        folder.state = "deploying"
        self._unread.discard((folder.folder, folder.env))
        self._wake.set()
        said = f"from {folder.folder}"
        for document in self._deploys.deploy(archive, packed.name, packed.env, said):
            if document is not None and "error" in document:
                raise Refused(document["error"], _explained(document))
        folder.digest, folder.was_removed = packed.digest, False
        folder.state = "deployed"

    def _packed(self, folder: Folder, archive: IO[bytes]) -> Packed:
        """Raises `Refused`, which is an event."""
        try:
            packed = pack_as_owner(folder.folder, folder.env, self._digest(folder), archive)
            self._claim(folder, f"{packed.name}/{packed.env}")
        except Refused as error:
            text = f"{folder.folder} is not deployed: {error.message}"
            self._desk.tools.events.add("deploy-failed", text, folder=folder.folder)
            raise
        return packed

    def _digest(self, folder: Folder) -> str:
        """What was deployed, as long as it is there."""
        app = self._desk.apps.get(folder.app)
        return folder.digest if app is not None and app.record.serving is not None else ""

    def _claim(self, folder: Folder, app_id: str) -> None:
        """Raises `Refused` when another folder of the file is of that app."""
        for key, other in self._known.items():
            if key in self._wanted and other is not folder and other.app == app_id:
                text = f"{app_id} is deployed from {other.folder} already: remove one [[app]]."
                raise Refused("app-taken", text)
        if folder.app != app_id:
            folder.app, folder.digest = app_id, ""

    def _part(self) -> None:
        """Stop apps that were taken out of the file."""
        served = {each.app for key, each in self._known.items() if key in self._wanted}
        for key, folder in [*self._known.items()]:
            if key in self._wanted or key in self._tasks:
                continue
            if folder.app in served or folder.app not in self._desk.apps:
                del self._known[key]
            elif folder.state != "removed":
                before, folder.state = folder.state, "removed"
                gevent.spawn(self._stop, folder, before)  # it may take its time

    def _stop(self, folder: Folder, before: str) -> None:
        try:
            if not self._desk.apps[folder.app].record.stopped:
                folder.was_removed = True
                self._desk.stop(folder.app)
            text = (
                f"{folder.app} is no longer in the server file: it is stopped, and kept until"
                f" 'edgectl delete {folder.app}'"
            )
            self._desk.tools.events.add("app-removed", text, app=folder.app)
        except Refused as refusal:
            log.error("%s is not stopped: %s", folder.app, refusal.message)
            folder.state, folder.was_removed = before, False
        self._keep()


# Private


def _explained(document: dict[str, Any]) -> str:
    return "\n".join([document["message"], *document.get("output", ())])
