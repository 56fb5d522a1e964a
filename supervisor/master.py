"""The master: one process, one thread, one loop, no gevent hub, no requests.

It owns what must outlive everything else (sockets, shared memory, children) and composes the parts
that look after it. Nothing that a child does or sends can end it: whatever a callback raises is
logged, and the loop goes on.
"""

import functools
import importlib
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from typing import Final

import setproctitle

from edge.setup import WorkerSetup
from supervisor import folders, handover, identity, rehearsal
from supervisor.apply import Apply
from supervisor.channel import Verb
from supervisor.control import ControlHandle, RunControl
from supervisor.errors import StartError
from supervisor.fork import assert_forkable, share_pages
from supervisor.handle import Plan
from supervisor.holdings import acquire
from supervisor.journal import Packet
from supervisor.signals import Signals
from supervisor.spec import Spec, addresses, to_json
from supervisor.stop import Stop
from supervisor.takeover import Takeover, take_up
from supervisor.tree import Job, Tree
from supervisor.upgrade import Upgrade
from supervisor.watch import Watch
from supervisor.workers import RunWorker

log = logging.getLogger("edged.master")

TICK_S: Final = 0.25
TICK_WAITING_S: Final = 0.01
"""How often the scoreboard is read: while a worker is on its way up, somebody waits for it."""

EXIT_DONE: Final = 0
EXIT_REFUSED: Final = 1


def serve(
    spec: Spec,
    run_control: RunControl,
    run_worker: RunWorker | None = None,
) -> int:
    """Keep the tree of that spec up until told to stop; returns the exit code.

    `run_control` and `run_worker` are the mains of the children, called after the fork.
    """
    _log_to_stderr()
    if run_worker is None:
        run_worker = preload()
    try:
        if rehearsal.is_on():
            return rehearsal.rehearse(spec, run_worker)
        master = _make(spec, run_control, run_worker)
    except StartError as error:
        sys.stderr.write(f"edged: {error}\n")
        return EXIT_REFUSED
    return master.run()


def preload() -> RunWorker:
    """Import the worker's modules, so that all workers share their pages; gives its main."""
    module = importlib.import_module("edge.worker")
    importlib.import_module("edge.preload").preload()
    assert_forkable()
    run: Callable[[WorkerSetup], int] = module.run
    return run


class Master:
    """The loop, and what it dispatches to."""

    def __init__(self, tree: Tree, takeover: Takeover | None) -> None:
        self.tree = tree
        self._pid = os.getpid()
        self._takeover = takeover
        self._jobs: deque[Job] = deque()
        self._stop: Stop | None = None
        self._over = False
        self._said_ready = False
        self._tick_timer = tree.timers.after(0.0, self._tick)
        self._watch = Watch(tree.pool, tree.journal, tree.timers)
        self._signals = Signals(tree.selector, self._on_signal)
        tree.on_request = self._on_request

    def __repr__(self) -> str:
        return f"<Master {'stopping' if self._stop else 'serving'} {self.tree!r}>"

    def run(self) -> int:
        """Serve until the tree is gone."""
        if os.getpid() != self._pid:
            raise AssertionError("the master's loop runs in the master only")
        self._contain(self._begin)
        tree = self.tree
        while not self._over:
            for key, _ in tree.selector.select(tree.timers.next_s()):
                self._contain(key.data)
            for callback in tree.timers.due():
                self._contain(callback)
            self._contain(self._turn)
        log.info("stopped")
        return EXIT_DONE

    # Private

    def _begin(self) -> None:
        tree = self.tree
        if tree.notifier.watchdog_s:
            self._pet()
        if self._takeover is not None:
            self._takeover.begin()
            self._jobs.append(self._takeover)
            return
        log.info(
            "starting: %d workers on %s",
            tree.plan.spec.workers,
            " ".join(addresses(tree.plan.spec)),
        )
        for slot in range(1, tree.plan.spec.workers + 1):
            tree.pool.start(slot, tree.plan)
        tree.control.start(tree.plan.spec)

    def _contain(self, callback: Callable[[], None]) -> None:
        """The loop's dispatch: a bug or a full machine must not end the master."""
        try:
            callback()
        except Exception:  # the one place
            log.exception("the master goes on after an error in %r", callback)

    def _turn(self) -> None:
        """What is done at every turn of the loop: the job at hand, or the stop."""
        tree = self.tree
        if self._stop is not None:
            self._over = self._stop.progress()
            return
        if self._jobs and self._jobs[0].progress():
            self._jobs.popleft()
        if not self._said_ready and tree.pool.count_ready() >= tree.plan.spec.workers:
            self._said_ready = True
            tree.notifier.ready()
        tree.notifier.status(tree.summary())
        if tree.pool.is_waiting and self._tick_timer.when - tree.timers.clock() > TICK_WAITING_S:
            self._tick_timer.cancel()
            self._tick()

    def _tick(self) -> None:
        self._tick_timer = self.tree.timers.after(self._tick_s(), self._tick)
        self._watch.check()
        self._reap()

    def _tick_s(self) -> float:
        is_hurried = self.tree.pool.is_waiting or self._stop is not None
        return TICK_WAITING_S if is_hurried else TICK_S

    def _pet(self) -> None:
        self.tree.timers.after(self.tree.notifier.watchdog_s, self._pet)
        self.tree.notifier.alive()

    # Signals

    def _on_signal(self, number: signal.Signals) -> None:
        if number is signal.SIGCHLD:
            self._reap()
        elif number is signal.SIGHUP:
            self.tree.notifier.reloading()
            self.tree.journal.report("reload", "reload asked for by SIGHUP")
            self.tree.timers.after(RELOAD_S, self.tree.notifier.ready)
        elif number is signal.SIGUSR1:
            self._reopen_logs()
        elif number is signal.SIGQUIT or self._stop is not None:
            self._begin_stop().hurry()
        else:
            self._begin_stop()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._contain(functools.partial(self.tree.reap, pid, status))

    def _begin_stop(self) -> Stop:
        if self._stop is None:
            if self._jobs:
                self._contain(functools.partial(self._jobs[0].abandon, "edged is stopping"))
            self._stop = Stop(self.tree)
        return self._stop

    def _reopen_logs(self) -> str:
        plan = self.tree.plan
        problem = folders.make_access_log(plan.spec, plan.identity)
        self.tree.pool.signal_all(signal.SIGUSR1)
        return problem

    # Requests of control's

    def _on_request(self, control: ControlHandle, request: Packet) -> None:
        channel = control.channel
        if channel is None:
            return
        verb = request["verb"]
        if verb == Verb.READY:
            channel.answer(request)
            control.say_ready(self.tree.plan.spec)
        elif verb == Verb.STATUS:
            channel.answer(request, **self._status())
        elif verb == Verb.STOP:
            stop = self._begin_stop()
            stop.answer_when_done(channel, request)
            if request.get("now"):
                stop.hurry()
        elif verb == Verb.REOPEN_LOGS:
            channel.answer(request, error=self._reopen_logs())
        elif verb not in (Verb.APPLY, Verb.UPGRADE):
            channel.answer(request, error=f"the master knows no verb {verb!r}")
        elif self._stop is not None:
            channel.answer(request, error="edged is stopping")
        else:
            kind = Apply if verb == Verb.APPLY else Upgrade
            self._jobs.append(kind(self.tree, channel, request))

    def _status(self) -> Packet:
        return {
            **self.tree.status(),
            "master_pid": self._pid,
            "control_pid": self.tree.control.pid,
            "busy": repr(self._jobs[0]) if self._jobs else "",
            "stopping": self._stop is not None,
            "spec": to_json(self.tree.plan.spec),
        }


# Private

RELOAD_S: Final = 5.0
"""The service manager is told that a reload is over at the latest after that long."""


def _make(spec: Spec, run_control: RunControl, run_worker: RunWorker) -> Master:
    setproctitle.setproctitle("edged: master")
    identity.become_subreaper()
    fd = handover.inherited_fd()
    if fd >= 0:
        del os.environ[handover.VARIABLE]
        state = handover.read(fd)
        os.close(fd)
        tree = take_up(state, spec, run_control, run_worker)
        takeover: Takeover | None = Takeover(tree, state)
    else:
        who = identity.resolve(spec)
        holdings = acquire(spec, who)
        plan = Plan(spec=spec, code=1, identity=who)
        folders.make_access_log(spec, who)
        tree, takeover = Tree(plan, holdings, run_control, run_worker), None
    master = Master(tree, takeover)
    share_pages()
    return master


def _log_to_stderr() -> None:
    """Log lines go to stderr, unless whoever called has said where they go."""
    if not logging.getLogger().handlers:
        logging.basicConfig(
            level=logging.INFO,
            format="%(asctime)s %(levelname)s %(name)s[%(process)d]: %(message)s",
        )
