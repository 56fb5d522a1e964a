"""Deploys as they are asked for: told line by line, at once or held for a word, never half done."""

import logging
import time
from collections.abc import Iterator
from typing import IO, Any, Final, NamedTuple

import gevent
from gevent.queue import Empty, Queue

from control.apps.desk import AppDesk
from control.apps.hold import Hold
from control.apps.record import Release
from control.apps.rollout import Rollout
from control.manifest.app_kinds import APP_NAME, ENV_NAME
from control.refusal import Refused

log = logging.getLogger("control.apps")

LISTENING_S: Final = 1.0
"""How soon it is known that nobody listens to a deploy that is to be held."""

Told = dict[str, Any]


class Deploys:
    """Those under way, of all apps."""

    def __init__(self, desk: AppDesk) -> None:
        self.desk = desk
        self._holds: dict[str, Hold] = {}

    def __repr__(self) -> str:
        return f"<Deploys {len(self._holds)} to be held>"

    def deploy(
        self,
        archive: IO[bytes],
        name: str,
        env: str,
        by: str,
        hold_s: float = 0.0,
        in_place: str = "",
    ) -> Iterator[Told | None]:
        """What happens, as it happens; the last document is the outcome. It goes on when nobody
        listens any more. `by` says for the log by whom or from where: "by uid 1000".

        With `hold_s` it waits for `commit` once it is proven, so long at most, and is undone when
        nobody listens: the document with `held` names it, None tells whether somebody does.
        `in_place` is the folder where the app is written; then the archive is empty.
        """
        app_id = _vetted_id(name, env)
        hold = Hold(hold_s) if hold_s else None
        told: Queue = Queue()
        log.info("%s: a deploy begins (%s)", app_id, by)
        gevent.spawn(self._act, _Order(archive, app_id, by, in_place), told, hold)
        if hold is None:
            yield from _heard(told, None)
            return
        self._holds[hold.token] = hold
        try:
            yield from _heard(told, LISTENING_S)
        finally:
            hold.abandon("who asked for it is gone")
            del self._holds[hold.token]

    def commit(self, token: str) -> Told:
        """Have a deploy that is held switch. Raises `Refused`."""
        self._held(token).commit()
        return {"held": token}

    def abandon(self, token: str) -> Told:
        """Have a deploy that is held undone. Raises `Refused`."""
        self._held(token).abandon("it was called off")
        return {"held": token}

    # Private

    def _held(self, token: str) -> Hold:
        found = self._holds.get(token)
        if found is None:
            raise Refused("not-found", "There is no such deploy: it is over, or was undone.")
        return found

    def _act(self, order: "_Order", told: Queue, hold: Hold | None) -> None:
        desk, events, app_id = self.desk, self.desk.tools.events, order.app_id
        began_s = time.monotonic()

        def say(line: str) -> None:
            told.put({"line": line})

        def wait(release: Release) -> None:
            if hold is not None:
                told.put({"held": hold.token, "app": app_id, "release": release.number})
                hold.wait()

        try:
            with desk.held(app_id, say) as app:
                rollout = Rollout(app, say, desk.vet, wait, order.in_place)
                release = rollout.deploy(order.archive, app_id.partition("/")[2])
            took_s = time.monotonic() - began_s
            how = f"deployed {order.by} in {took_s:.1f} s"
            text = f"{app_id}: release {release.number} serves ({how})"
            events.add("app-deployed", text, app=app_id, release=release.number)
            told.put({"app": app_id, "release": release.number})
        except Refused as refusal:
            text = f"{app_id} is not deployed: {refusal.message}"
            events.add("deploy-failed", text, app=app_id)
            told.put({"error": refusal.code, "message": refusal.message, **refusal.more})
        finally:
            order.archive.close()
            told.put(None)


# Private


class _Order(NamedTuple):
    """A deploy as it was asked for."""

    archive: IO[bytes]
    app_id: str
    by: str
    in_place: str


def _vetted_id(name: str, env: str) -> str:
    """Both become names of folders. Raises `Refused`."""
    try:
        return f"{APP_NAME.read(name)}/{ENV_NAME.read(env)}"
    except ValueError as error:
        raise Refused("bad-request", f"The app's name {error}.") from None


def _heard(told: Queue, idle_s: float | None) -> Iterator[Told | None]:
    """What is told until its end, which is None; None when there was nothing for so long."""
    while True:
        try:
            document = told.get(timeout=idle_s)
        except Empty:
            yield None
            continue
        if document is None:
            return
        yield document
