"""The process main of a worker: what it inherits becomes listeners, a table, a chain and a loop.

A worker is READY when its hooks are loaded, its table is read and it accepts. SIGTERM drains it,
SIGQUIT ends it at once, SIGUSR1 reopens the access log, SIGUSR2 writes down where it stands.
"""

import faulthandler
import gc
import logging
import os
import resource
import signal
import time
from typing import Any, Final

import gevent
import gevent.event
from gevent import monkey  # noqa: TID251  the worker is one of the two that patch

from edge.access_log import FLUSH_S, AccessLog
from edge.builtin.order import Platform
from edge.connection import monotonic
from edge.engine import Engine
from edge.hooks import Chains, HookLoadError, Watch, load
from edge.listener import Listener
from edge.peers import Peers
from edge.setup import WorkerSetup
from edge.shared import names
from edge.shared.counters import HOOK_ERRORS
from edge.shared.scoreboard import HEARTBEAT_S, STALLED_S, Column, Problem, State
from edge.shared.segment import Segment
from edge.table.model import Certificate
from edge.table.reader import TableError, TableReader
from edge.tls.contexts import Contexts
from edge.wishes import Wishes

log = logging.getLogger("edge.worker")

EXIT_DONE: Final = 0
EXIT_BOOT: Final = 3

SWEEP_S: Final = 0.25
TABLE_WAIT_S: Final = 5.0
"""A worker serves what an earlier edged published when control publishes nothing for so long."""

FIRST_TABLE_WAIT_S: Final = 25.0
"""There is no earlier table: control may have many routes to check before it publishes one."""

IDLE_GRACE_S: Final = 5.0
"""A draining worker gives idle connections that long for one last request before it closes them:
closing at once would reset a request that is on its way."""


def run(setup: WorkerSetup) -> int:
    """Serve until told to stop. Called after the fork, with privileges already dropped."""
    monkey.patch_all()
    faulthandler.register(signal.SIGUSR2, setup.stack_fd, all_threads=False)
    _raise_descriptor_limit()
    try:
        worker = Worker(setup)
    except HookLoadError as error:
        log.error("%s\n%s", error, error.trace)
        return EXIT_BOOT
    except TableError as error:
        log.error("cannot read the table: %s", error)
        return EXIT_BOOT
    return worker.serve()


class Worker:
    """One worker process."""

    def __init__(self, setup: WorkerSetup) -> None:
        """Raises `HookLoadError` and `TableError`: a worker that cannot boot never gets READY."""
        self.setup = setup
        self.segment = Segment.attach(setup.segment_fd)
        self.row = self.segment.scoreboard_row(setup.row)
        names.bind(self.segment, setup.row)
        self.row[Column.PID] = os.getpid()
        self._beat_row()
        cells = self.segment.counter_row(setup.row)
        self._parent = os.getppid()
        self._watch = Watch(lambda: self._turns)
        self._turns = 0
        self._ticket_keys = b""
        self._watch.failed = lambda: cells.__setitem__(HOOK_ERRORS, cells[HOOK_ERRORS] + 1)
        hooks = load(setup.options.hooks, setup.options.hook_path)
        self._reader = TableReader(setup.options.table_path)
        self._wait_for_table()
        table = self._reader.read()
        self.platform = Platform(table)
        self.engine = Engine(
            table,
            Chains(self.platform.hooks, hooks, self._watch),
            AccessLog(setup.options.access_log, cells),
            cells,
            Peers(self.segment, setup.row),
            self.platform.follow,
        )
        self.engine.wishes = Wishes(self.engine.fetcher, setup.options.control_path)
        self.platform.wake.bind(self.engine.wishes, self.engine.plan_of)
        self.engine.via = f"\r\nVia: 1.1 {setup.options.server_name}".encode("latin-1")
        self.contexts = self._contexts()
        self.listeners = [
            Listener(self.engine, s, self.contexts, own=s.slot == setup.slot) for s in setup.sockets
        ]
        self._bans = names.bans()
        self._stopped = gevent.event.Event()
        self._refreshing = False
        self._table_problem = 0
        self._watchers: list[Any] = []

    def __repr__(self) -> str:
        return f"<Worker {State(self.row[Column.STATE]).name} slot={self.setup.slot}>"

    def serve(self) -> int:
        """Accept, and return the exit code when all is done."""
        self._start_watchers()
        for listener in self.listeners:
            if listener.own:
                listener.start()
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        self.row[Column.ACKED] = self.engine.table.generation
        self.row[Column.STATE] = State.READY
        log.info("ready: slot %d, generation %d", self.setup.slot, self.engine.table.generation)
        self._stopped.wait()
        self.engine.access_log.flush_now()
        return EXIT_DONE

    # Private

    def _contexts(self) -> Contexts | None:
        """For listeners that speak TLS, if there are any."""
        if not any(each.tls for each in self.setup.sockets):
            return None
        engine = self.engine

        def find(name: str) -> Certificate | None:
            table = engine.table
            settings = table.settings.tls
            found = table.certificate(name) if name else None
            if found is None and settings is not None and settings.default:
                found = table.certificate(settings.default)
            return found

        contexts = Contexts(find, lambda name: engine.table.challenge(name))
        self._share_tickets(contexts)
        return contexts

    def _share_tickets(self, contexts: Contexts | None) -> None:
        """Take up the keys that control made last."""
        keys = self.segment.ticket_keys()
        if contexts is not None and keys and keys != self._ticket_keys:
            self._ticket_keys = keys
            contexts.share_tickets(keys)

    def _start_watchers(self) -> None:
        loop = gevent.get_hub().loop
        doorbell = loop.io(self.setup.doorbell_fd, 1)
        doorbell.start(self._ring)
        self._watchers.append(doorbell)
        timers = (
            (HEARTBEAT_S, self._beat),
            (SWEEP_S, self._sweep),
            (FLUSH_S, self.engine.access_log.flush),
        )
        for interval_s, task in timers:
            timer = loop.timer(interval_s, repeat=interval_s)
            timer.start(task)
            self._watchers.append(timer)
        signals = (
            (signal.SIGTERM, self._begin_drain),
            (signal.SIGQUIT, self._stop_now),
            (signal.SIGUSR1, self.engine.access_log.reopen),
        )
        for number, act in signals:
            watcher = loop.signal(number)
            watcher.start(act)
            self._watchers.append(watcher)

    def _beat_row(self) -> None:
        self.row[Column.HEARTBEAT] = time.monotonic_ns()

    def _beat(self) -> None:
        """The loop has turned: say so, and look after table, neighbours and master."""
        self._turns += 1
        self._beat_row()
        row, engine = self.row, self.engine
        row[Column.CONNECTIONS] = engine.sessions
        row[Column.EXCHANGES] = engine.exchanges
        row[Column.UPGRADED] = engine.upgraded
        row[Column.IDLE_PEERS] = engine.pool.idle
        row[Column.PROBLEMS] = self._problems()
        engine.peers.refresh(monotonic())
        self._bans.refresh()
        self._share_tickets(self.contexts)
        if self.segment.generation > engine.table.generation and self._turns % 10 == 0:
            self._refresh_soon()
        if not engine.draining:
            self._mind_neighbours()
            if os.getppid() != self._parent:
                log.error("the master is gone: draining")
                self._begin_drain()

    def _problems(self) -> int:
        bits = self._table_problem
        if self.engine.access_log.broken:
            bits |= Problem.LOG_UNWRITABLE
        if any(listener.exhausted for listener in self.listeners):
            bits |= Problem.DESCRIPTORS
        return bits

    def _sweep(self) -> None:
        now = monotonic()
        for connection in tuple(self.engine.connections):
            if connection.read_deadline < now or connection.write_deadline < now:
                connection.expire(now)
        limit_s = self.engine.timeouts.hook_s
        for session in tuple(self.engine.live):
            session.check_hook(now, limit_s)

    # The table

    def _wait_for_table(self) -> None:
        has_older = os.path.exists(self.setup.options.table_path)
        deadline = monotonic() + (TABLE_WAIT_S if has_older else FIRST_TABLE_WAIT_S)
        while not self.segment.generation and monotonic() < deadline:
            self._beat_row()
            gevent.sleep(0.01)

    def _ring(self) -> None:
        try:
            os.eventfd_read(self.setup.doorbell_fd)
        except BlockingIOError:
            return
        self._refresh_soon()

    def _refresh_soon(self) -> None:
        if not self._refreshing:
            self._refreshing = True
            gevent.spawn(self._refresh)

    def _refresh(self) -> None:
        """Take up the newest generation; the old table serves until the new one is whole."""
        engine = self.engine
        try:
            while self.segment.generation > engine.table.generation:
                wanted = self.segment.generation
                table = self._reader.refresh(engine.table, wanted, engine.yield_loop)
                self.platform.router.table = table
                engine.apply(table)
                self.row[Column.ACKED] = table.generation
                if table.generation < wanted:
                    break
            self._table_problem = 0
        except TableError as error:
            log.error("cannot refresh the table, serving generation %d: %s",
                      engine.table.generation, error)  # fmt: skip
            self._table_problem = Problem.TABLE_UNREADABLE
        finally:
            self._refreshing = False

    # Neighbours

    def _mind_neighbours(self) -> None:
        """Accept for the slots before ours whose workers stand still, as long as they do."""
        slots = sorted({listener.slot for listener in self.listeners})
        if len(slots) < 2:
            return
        live = self._live_slots()
        mine = slots.index(self.setup.slot)
        ours = set()
        for step in range(1, len(slots)):
            slot = slots[mine - step]
            if slot in live:
                break
            ours.add(slot)
        for listener in self.listeners:
            if listener.own:
                continue
            if listener.slot in ours:
                listener.start()
            else:
                listener.stop()

    def _live_slots(self) -> set[int]:
        """The slots that have a READY worker whose loop turns."""
        oldest = time.monotonic_ns() - int(STALLED_S * 1e9)
        live = set()
        for number in range(self.segment.rows):
            row = self.segment.scoreboard_row(number)
            if row[Column.STATE] == State.READY and row[Column.HEARTBEAT] >= oldest:
                live.add(row[Column.SLOT])
        return live

    # Ending

    def _begin_drain(self) -> None:
        if not self.engine.draining:
            self.engine.draining = True
            self.row[Column.STATE] = State.DRAINING
            for listener in self.listeners:
                listener.stop()
            gevent.spawn(self._drain)

    def _drain(self) -> None:
        """Finish what there is; idle, ordinary and long-lived connections have their own limits."""
        started = monotonic()
        idle: dict[Any, float] = {}  # since when: one that has just shaken hands has its grace, too
        while self.engine.live:
            now = monotonic()
            idle = {each: idle.get(each, now) for each in self.engine.live if each.is_idle}
            for session in tuple(self.engine.live):
                is_spent = now - idle.get(session, now) >= IDLE_GRACE_S
                if is_spent or self._is_over(session, now - started):
                    session.close()
            gevent.sleep(0.05)
        self._stopped.set()

    def _is_over(self, session: Any, lasted_s: float) -> bool:  # noqa: ANN401  or a `Handshake`
        options = self.setup.options
        if lasted_s < min(options.drain_s, options.drain_upgraded_s):
            return False
        limit_s = options.drain_upgraded_s if session.is_long_lived else options.drain_s
        return lasted_s >= limit_s

    def _stop_now(self) -> None:
        self._begin_drain()
        for session in tuple(self.engine.live):
            session.close()
        self._stopped.set()


def _raise_descriptor_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
