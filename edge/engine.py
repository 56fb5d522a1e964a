"""What all sessions of one worker share: the table in force, the chain, the pool, the counters."""

import os
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import gevent
from gevent import getcurrent
from greenlet import greenlet

from edge.access_log import AccessLog
from edge.connection import Connection, monotonic
from edge.fetch import Fetcher
from edge.hooks import Chains
from edge.peers import Peers
from edge.plan import Plan
from edge.pool import Pool
from edge.rewrite import Networks, networks
from edge.table.model import Limits, Route, Settings, Timeouts, TlsSettings
from edge.table.reader import Table
from edge.wishes import Wishes

PATIENCE_S: Final = 1.0
"""How long a task waits for its turn because of others that wait for somebody themselves."""


class Engine:
    """The worker's shared state. One writer (the worker's loop), so no locks anywhere."""

    def __init__(
        self,
        table: Table,
        chains: Chains,
        access_log: AccessLog,
        cells: memoryview,
        peers: Peers,
        applying: Callable[[Settings], bool] = lambda settings: False,
    ) -> None:
        """`applying` hears of settings first; whether routes need other hooks of the edge then."""
        self.connections: set[Connection] = set()
        self.live: set[Any] = set()  # the open sessions, and handshakes before them
        self.pool = Pool(self.connections)
        self.fetcher = Fetcher(self.pool)
        self.wishes = Wishes(self.fetcher, "")
        self.chains = chains
        self.base = chains.base()  # what passes before a route is known, and without one
        self.peers = peers
        self._plans: dict[str, Plan] = {}
        self.access_log = access_log
        self.cells = cells
        self.via = b"\r\nVia: 1.1 edged"
        self.hsts = b""  # a field of answers over TLS
        self.draining = False
        self.exchanges = 0
        self.sessions = 0  # downstream connections that are open, silent ones too
        self.upgraded = 0
        self.turns = 0  # how often the loop's heartbeat has come
        self.runners = Runners()
        self.handshakes = Turns(self.runners)
        self.limits = Limits()
        self.timeouts = Timeouts()
        self.trusted: Networks = ()
        self.proxy_protocol: Networks = ()
        self.underscores = False
        self.applying: Callable[[Settings], bool] = applying
        self.table = table
        self.apply(table)
        self.new_id = _id_maker()
        """Gives an id that no other worker, now or later, gives to a request."""

    def __repr__(self) -> str:
        state = "draining" if self.draining else "serving"
        return f"<Engine {state} sessions={self.sessions} exchanges={self.exchanges}>"

    def apply(self, table: Table) -> None:
        """Serve another table from the next request on."""
        settings: Settings = table.settings
        self._leave_instances(table)
        if self.applying(settings):
            self._plans.clear()  # requests pass other hooks now
            self.base = self.chains.base()
        self.table = table
        self.limits = settings.limits
        self.timeouts = settings.timeouts
        self.trusted = networks(settings.trusted_proxies)
        self.proxy_protocol = networks(settings.proxy_protocol)
        self.underscores = settings.underscore_headers
        tls = settings.tls or _DEFAULT_TLS
        self.hsts = b"\r\nStrict-Transport-Security: max-age=%d" % tls.hsts_s if tls.hsts_s else b""
        self.handshakes.at_most = tls.handshakes
        self.pool.limit = settings.limits.pool_idle
        self.pool.idle_s = settings.timeouts.pool_idle_s

    def plan_of(self, route: Route) -> Plan:
        """The plan of a route, made at its first request and again when the route has changed."""
        plan = self._plans.get(route.pattern)
        if plan is None or plan.route is not route:
            if len(self._plans) >= _MAX_PLANS:
                self._plans.clear()
            plan = self._plans[route.pattern] = Plan(route, self.chains.of(route), self.peers)
        return plan

    def yield_loop(self) -> None:
        """Let others run: for a greenlet that has worked for long without waiting."""
        gevent.sleep(0)

    # Private

    def _leave_instances(self, table: Table) -> None:
        """Those that serve no more in another table, of the routes that were asked for."""
        for plan in self._plans.values():
            before = plan.route
            if before.app is None or not before.upstreams:
                continue
            now = table.named(before.pattern)
            if now is not before:
                for address in set(before.upstreams).difference(now.upstreams if now else ()):
                    self.pool.leave(address)


class Runners:
    """Greenlets that sessions borrow while they have something to do.

    An idle keep-alive connection thus holds no stack. Runs in the hub's greenlet.
    """

    def __init__(self) -> None:
        self._idle: list[greenlet] = []
        self._hub = gevent.get_hub()
        self._task: Callable[[], Any] | None = None

    def run(self, task: Callable[[], Any]) -> None:
        """Switch to a greenlet that runs the task; returns when it first waits or is done."""
        self._task = task
        runner = self._idle.pop() if self._idle else greenlet(self._main, self._hub)
        runner.switch()

    # Private

    def _main(self) -> None:
        idle = self._idle
        wait = self._hub.switch
        while True:
            task = self._task
            if task is not None:
                self._task = None
                task()
            if len(idle) >= _SPARE_RUNNERS:
                return
            idle.append(getcurrent())
            wait()


class Turns:
    """So many tasks at a time, in borrowed greenlets; the others wait, in the order they came.

    A task that waits for somebody else lends its turn meanwhile. Such turns are used when one has
    waited for `PATIENCE_S`: the prompt are done before, and the silent hold up nobody.
    """

    def __init__(self, runners: Runners) -> None:
        self.at_most = 1
        self._runners = runners
        self._loop = gevent.get_hub().loop
        self._taken = 0
        self._waiting: OrderedDict[Callable[[], Any], float] = OrderedDict()  # since when
        self._lent: OrderedDict[Callable[[], Any], None] = OrderedDict()  # and not used yet
        self._timer = self._loop.timer(_LOOK_S, _LOOK_S, ref=False)

    def __repr__(self) -> str:
        return f"<Turns {self._taken} of {self.at_most} taken, {len(self._waiting)} waiting>"

    def take(self, task: Callable[[], Any]) -> None:
        """Run the task when there is room; it calls `end` once. For the hub's greenlet."""
        self._waiting[task] = monotonic()
        self._give()

    def forgo(self, task: Callable[[], Any]) -> None:
        """The task waits no more, if it did."""
        self._waiting.pop(task, None)

    def end(self) -> None:
        """A turn is over."""
        self._taken -= 1
        if self._waiting:
            self._loop.run_callback(self._give)

    def resume(self) -> None:
        """For a task that had ended its turn to wait for something, and goes on now."""
        self._taken += 1

    def lend(self, task: Callable[[], Any]) -> None:
        """The task, which has its turn, waits for somebody else until it calls `take_back`."""
        self._lent[task] = None

    def take_back(self, task: Callable[[], Any]) -> None:
        """It goes on, also when its turn was used: it does not wait again."""
        if self._lent.pop(task, self) is self:
            self._taken += 1

    # Private

    def _give(self) -> None:
        while self._waiting:
            task, since = next(iter(self._waiting.items()))
            if self._taken >= self.at_most:
                if not self._lent or monotonic() - since < PATIENCE_S:
                    self._timer.start(self._give)
                    return
                self._lent.popitem(last=False)
                self._taken -= 1
            del self._waiting[task]
            self._taken += 1
            self._runners.run(task)
        self._timer.stop()


_DEFAULT_TLS = TlsSettings()
_SPARE_RUNNERS = 256
_LOOK_S = 0.05
_MAX_PLANS = 10_000
"""Past it all are made anew: only what is asked for stays in memory."""


def _id_maker() -> Callable[[], str]:
    prefix = f"{time.time_ns() // 1_000_000:x}-{os.getpid():x}-"
    count = 0

    def make() -> str:
        nonlocal count
        count += 1
        return f"{prefix}{count:x}"

    return make
