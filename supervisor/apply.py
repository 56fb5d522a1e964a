"""Taking the tree from one spec to the next: all of it, or nothing.

New addresses are bound first, then the workers roll, then what is no longer wanted goes. Whatever
fails before the roll is over leaves the old spec, the old sockets and the old workers.
"""

import json
import logging
import os
from dataclasses import replace
from typing import Any

from supervisor import folders, identity, sockets
from supervisor.channel import Channel
from supervisor.errors import StartError
from supervisor.handle import Plan
from supervisor.journal import Packet
from supervisor.listeners import Extension
from supervisor.roll import Roll
from supervisor.spec import Spec, addresses, from_json
from supervisor.tree import Tree

log = logging.getLogger("edged.apply")


class Apply:
    """One `apply` of control's."""

    def __init__(self, tree: Tree, channel: Channel, request: Packet) -> None:
        self._tree = tree
        self._channel = channel
        self._request = request
        self._old = tree.plan
        self._new = tree.plan
        self._extension: Extension | None = None
        self._metrics_fd = -1
        self._roll: Roll | None = None
        self._undoing = ""  # why the slots that were rolled go back

    def __repr__(self) -> str:
        return f"<Apply {self._roll!r}>"

    def progress(self) -> bool:
        """Begin it, or go on with its roll."""
        if self._roll is None:
            try:
                return self._begin()
            except (StartError, ValueError, KeyError, TypeError, OSError) as error:
                self._give_up(f"{error}")
                return True
        if not self._roll.progress():
            return False
        if self._undoing:
            self._give_up(self._undoing)
        elif not self._roll.error:
            self._commit()
        elif self._roll.done:
            self._undoing = self._roll.error
            self._roll = Roll(
                self._tree.pool,
                replace(self._old, code=self._new.code + 1),
                [slot for slot in self._roll.done if slot <= self._old.spec.workers],
            )
            return False
        else:
            self._give_up(self._roll.error)
        return True

    def abandon(self, why: str) -> None:
        """The tree stops in the middle of it."""
        if self._roll is not None:
            self._roll.abandon()
        self._channel.answer(self._request, error=why)

    # Private

    def _begin(self) -> bool:
        tree, old = self._tree, self._old.spec
        spec = _parse(self._request.get("spec"))
        _refuse(old, spec, tree.holdings.capacity)
        who = identity.resolve(spec)
        rolls = bool(self._request.get("roll")) or _needs_roll(old, spec)
        self._new = Plan(spec=spec, code=self._old.code + rolls, identity=who)
        folders.make_access_log(spec, who)
        if spec.metrics != old.metrics and spec.metrics:
            self._metrics_fd = sockets.listen_alone(spec.metrics)
        self._extension = tree.holdings.listeners.extend(
            addresses(spec), spec.workers, hold_back=True
        )
        if not rolls:
            self._commit()
            return True
        tree.notifier.reloading()
        text = f"rolling {spec.workers} workers, one by one"
        tree.journal.report("roll-started", text, code=self._new.code)
        self._roll = Roll(tree.pool, self._new)
        return False

    def _commit(self) -> None:
        tree, spec = self._tree, self._new.spec
        tree.plan = self._new
        for handle in tree.pool.current.values():
            handle.plan = replace(self._new, code=handle.plan.code)
        tree.holdings.listeners.keep_only(addresses(spec), spec.workers)
        for slot in sorted(tree.pool.current, reverse=True):
            if slot > spec.workers:
                tree.pool.retire(slot)
        tree.control.respec(spec)
        fds = self._take_metrics(spec)
        if self._roll is not None:
            tree.journal.report("roll-done", "all workers rolled", code=self._new.code)
        tree.notifier.ready()
        self._channel.answer(
            self._request, fds=fds, rolled=self._roll is not None, code=self._new.code
        )

    def _take_metrics(self, spec: Spec) -> tuple[int, ...]:
        """A new metrics socket goes to the running control with the answer."""
        holdings = self._tree.holdings
        if spec.metrics == holdings.metrics:
            return ()
        if holdings.metrics_fd >= 0:
            sockets.close_for_all(holdings.metrics_fd)
        holdings.metrics, holdings.metrics_fd = spec.metrics, self._metrics_fd
        return (self._metrics_fd,) if self._metrics_fd >= 0 else ()

    def _give_up(self, why: str) -> None:
        if self._extension is not None:
            self._extension.undo()
        if self._metrics_fd >= 0:
            os.close(self._metrics_fd)
        tree = self._tree
        for slot in [slot for slot in tree.pool.current if slot > self._old.spec.workers]:
            tree.pool.retire(slot)
        if self._roll is not None:
            tree.plan = replace(tree.plan, code=self._roll.plan.code)
            text = f"the roll was given up, the old workers stay: {why}"
            tree.journal.report("roll-failed", text, code=self._new.code)
            tree.notifier.ready()
        self._channel.answer(self._request, error=why)


# Private


def _parse(value: Any) -> Spec:  # noqa: ANN401  it is JSON
    try:
        return from_json(json.dumps(value))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the request has no proper spec: {error!r}") from None


def _refuse(old: Spec, new: Spec, capacity: int) -> None:
    """What a running tree cannot change; raises `ValueError`."""
    if new.workers > capacity:
        raise ValueError(
            f"server.workers = {new.workers} is more than the {capacity} that this edged has room"
            f" for: restart it to have so many"
        )
    if new.workers < 1:
        raise ValueError(f"server.workers = {new.workers}: there must be at least one")
    for name in ("state_dir", "run_dir"):
        if getattr(old, name) != getattr(new, name):
            raise ValueError(f"server.{name} cannot change while edged runs: restart it")


def _needs_roll(old: Spec, new: Spec) -> bool:
    return (
        old.worker != new.worker
        or (old.http, old.https) != (new.http, new.https)
        or old.workers != new.workers
        or (old.user, old.group) != (new.user, new.group)
    )
