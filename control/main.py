"""Process main of control: what the master hands over becomes the admin API, the metrics, and the
one place from which the table is published.

Workers serve without it. So it may end at any time, and takes up where it was: what is in force is
in the state database, what is published in the table. It never closes its databases, also when it
ends in good order: the last one to close a database removes its -wal and -shm files, and the
workers, who may not write, could not make them again.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import gevent
from gevent.event import Event

from control import status
from control.admin.api import Api
from control.admin.app_commands import AppCommands
from control.admin.commands import Commands
from control.admin.server import PeerCheck, Server
from control.apps.crons import Crons
from control.apps.deploys import Deploys
from control.apps.desk import apps_of
from control.apps.folders import Folders
from control.apps.rows import AppRows
from control.bans import BanDesk
from control.channel import Channel
from control.config import Loaded
from control.events import Events
from control.explain import Explainer
from control.health import HealthChecks
from control.metrics import EdgeCollector, application
from control.modes import ModeDesk
from control.names import Names
from control.peers import PeerDesk
from control.publish import Publisher, owner_of
from control.refusal import Refused
from control.reload import Reloader
from control.state import State
from control.upgrade import Upgrader
from edge.shared.segment import Segment
from supervisor.identity import resolve
from supervisor.spec import SOCKET_NAME, ControlSetup

log = logging.getLogger("control")

STATE_NAME: Final = "state.db"
MEND_S: Final = 2.0
LAST_ANSWER_S: Final = 30.0
MASTER_FACTS_S: Final = 5.0


class Main:
    """What the master forks: with the file as it was found, which so is read once at the start."""

    def __init__(self, found: Loaded | None = None) -> None:
        self._found = found

    def __call__(self, setup: ControlSetup) -> int:
        """Serve until told to stop, or until the master is gone. Called after the fork."""
        control = Control(setup, self._found)
        self.settle()
        control.serve()
        _leave(0)

    def settle(self) -> None:
        """A later control takes up what is in force, not what was found."""
        self._found = None


class Control:
    """The control process."""

    def __init__(self, setup: ControlSetup, found: Loaded | None = None) -> None:
        """`found` is the file as the master has read it, for the first control."""
        self.setup = setup
        spec = setup.spec
        segment = Segment.attach(setup.segment_fd)
        state = State(os.path.join(spec.state_dir, STATE_NAME))
        publisher = Publisher(spec.worker.table_path, segment, setup.doorbells, owner_of(spec))
        self.events = Events(state)
        channel = Channel(setup.channel_fd, self._take_event, self._end_with_master)
        names = Names(self.events)
        self.apps = apps_of(spec, segment, state, self.events)
        rows = AppRows(publisher, self.apps)
        self.apps.publish = rows.publish
        self.apps.broken.published = rows.published
        deploys = Deploys(self.apps)
        folders = Folders(deploys, state)
        rows.follow = folders.follow
        reloader = Reloader(spec, channel, state, publisher, self.events, names)
        reloader.apps = rows
        rows.publish_all = reloader.publish_all
        names.changed = reloader.renew
        checks = HealthChecks(segment, self.events)
        publisher.announcing = checks.follow
        modes = ModeDesk(publisher, state, self.events)
        reloader.completed = modes.completed
        self.sources = status.Sources(
            segment=segment, channel=channel, state=state, publisher=publisher,
            reloader=reloader, events=self.events, peers=PeerDesk(segment, checks, self.events),
            bans=BanDesk(segment, state, self.events), modes=modes, apps=self.apps,
        )  # fmt: skip
        self.upgrader = Upgrader(channel, publisher)
        explainer = Explainer(spec.worker.table_path)
        commands = Commands(self.sources, self.upgrader, explainer)
        self.api = Api(commands, AppCommands(deploys, folders))
        self._found = found
        self._taken_up = self._ends_apps = False
        self._stopping = Event()
        self._facts: dict[str, Any] = {}
        self._facts_until = 0.0

    def __repr__(self) -> str:
        return f"<Control {'stopping' if self._stopping.is_set() else 'serving'}>"

    def serve(self) -> None:
        """Until SIGTERM, and until the answer under way is given."""
        self._term = gevent.get_hub().loop.signal(signal.SIGTERM)
        self._term.start(self._stopping.set)
        self._quit = gevent.get_hub().loop.signal(signal.SIGQUIT)
        self._quit.start(self._end_all)
        self.sources.channel.start()
        self.events.start()
        self.sources.reloader.names.start()
        self.sources.reloader.certificates.start()
        self._take_up()
        self.apps.start()
        Crons(self.apps.apps.values).start()
        try:
            self.sources.bans.keep()
        except Refused as refusal:
            log.error("bans are not taken up yet: %s", refusal.message)
        admin = Server(
            self.setup.admin_fd,
            self.api,
            PeerCheck(self._socket_path(), resolve(self.setup.spec).uid),
        )
        admin.start()
        if self.setup.metrics_fd >= 0:
            collector = EdgeCollector(self.sources.segment, self._gauges)
            Server(self.setup.metrics_fd, application(collector)).start()
        gevent.spawn(self._say_ready)
        gevent.spawn(self._mend_on)
        self._stopping.wait()
        admin.stop_accepting()
        deadline = time.monotonic() + LAST_ANSWER_S
        while self.api.under_way and time.monotonic() < deadline:
            gevent.sleep(0.01)
        if self._ends_apps:
            self.apps.end()
        self.events.flush()

    # Private

    def _end_all(self) -> None:
        """Edged stops, and so do its apps. At an upgrade they go on: the next control has them."""
        self._ends_apps = True
        self._stopping.set()

    def _socket_path(self) -> str:
        return os.path.join(self.setup.spec.run_dir, SOCKET_NAME)

    def _take_event(self, event: dict[str, Any]) -> None:
        self.events.take(event)
        self.upgrader.take(event)
        if event.get("event") == "reload":
            gevent.spawn(self._reload)

    def _reload(self) -> None:
        """As the master was asked to by SIGHUP. The outcome is logged, and an event."""
        try:
            self.sources.reloader.reload()
        except Refused as refusal:
            log.debug("the reload by signal was refused: %s", refusal.code)

    def _end_with_master(self) -> None:
        log.error("the master is gone: ending")
        _leave(0)

    def _say_ready(self) -> None:
        try:
            self.sources.channel.ask("ready")
            self.sources.reloader.align(boot=self.setup.boot)
        except Refused as refusal:
            log.error("%s", _with_traceback(refusal))
            self.sources.reloader.problem = refusal
        finally:
            self.sources.reloader.aligned.set()

    def _take_up(self) -> None:
        try:
            self.apps.recall()
            self.sources.reloader.take_up(boot=self.setup.boot, found=self._found)
            self._taken_up, self._found = True, None
        except Refused as refusal:
            log.error("cannot publish yet: %s", refusal.message)

    def _mend_on(self) -> None:
        """Try again what a locked, full or broken database did not let us do."""
        state, publisher = self.sources.state, self.sources.publisher
        while True:
            gevent.sleep(MEND_S)
            if not self._taken_up:
                self._take_up()
            self.sources.peers.reclaim(publisher.published)
            try:
                if state.problem is not None:
                    state.change(lambda database: None)
                self.sources.reloader.write_down()
                self.sources.bans.keep()
                if publisher.problem is not None:
                    with publisher.lock:
                        publisher.open()
            except Refused as refusal:
                log.debug("not mended yet: %s", refusal.message)

    def _gauges(self) -> Mapping[str, float]:
        """What metrics say of the whole; the master is asked every few seconds only."""
        now = time.monotonic()
        if now >= self._facts_until:
            self._facts_until = now + MASTER_FACTS_S
            try:
                self._facts = self.sources.channel.ask("status", timeout_s=1.0)
            except Refused:
                log.debug("metrics without the master's facts")
        publisher = self.sources.publisher
        return {
            "generation": publisher.generation,
            "routes": publisher.routes,
            "control_restarts": self._facts.get("control_restarts", 0),
            "uptime_seconds": self._facts.get("uptime_s") or 0,
        }


# Private


def _with_traceback(refusal: Refused) -> str:
    trace = refusal.more.get("traceback", "")
    return f"{refusal.message}\n{trace}" if trace else refusal.message


def _leave(code: int) -> NoReturn:
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
