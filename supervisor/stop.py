"""Ending the tree: the workers drain, then control goes, then the master."""

import logging
import signal
import time
from typing import Final

from edge.shared.scoreboard import Column
from edge.shared.scoreboard import State as RowState
from supervisor.channel import Channel
from supervisor.journal import Packet
from supervisor.lifecycle import State
from supervisor.tree import Tree

log = logging.getLogger("edged.stop")

MARGIN_S: Final = 5.0
"""So much longer than their drain limit the workers may take before they are stopped."""

ENDING_S: Final = 90.0
"""So long control may take to end the apps: each has its own limit, which is less."""

DEAF_S: Final = 1.0
"""The workers have stopped accepting by then: the sockets are closed, and clients refused."""


class Stop:
    """The way to the end. `progress` is called at every turn of the loop until it is over."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._waiting: list[tuple[Channel, Packet]] = []
        self._listening = True
        self._ends_control = False
        now_s = time.monotonic()
        self._refuse_s = now_s + DEAF_S
        self._quit_s = now_s + tree.plan.spec.worker.drain_s + MARGIN_S
        self._hurried = False
        log.info("stopping: the workers finish what they have, at most %g s",
                 tree.plan.spec.worker.drain_s)  # fmt: skip
        tree.notifier.stopping()
        for handle in list(tree.pool):
            if handle.state is not State.DRAINING:
                tree.pool.drain(handle)

    def __repr__(self) -> str:
        return f"<Stop {'at once' if self._hurried else 'draining'} {self._tree.pool!r}>"

    def answer_when_done(self, channel: Channel, request: Packet) -> None:
        """Control waits for the end of the workers."""
        self._waiting.append((channel, request))

    def hurry(self) -> None:
        """End the workers at once."""
        if not self._hurried:
            self._hurried = True
            for handle in list(self._tree.pool):
                self._tree.pool.stop(handle, signal.SIGQUIT)

    def progress(self) -> bool:
        """Go as far as one can now; True when no child is left."""
        tree, now_s = self._tree, time.monotonic()
        if now_s > self._quit_s and not self._hurried:
            log.warning("workers still busy at the end of their drain limit: stopping them")
            self.hurry()
        if self._listening and (now_s > self._refuse_s or self._all_deaf()):
            self._listening = False
            tree.holdings.listeners.close()
        if not tree.pool.is_empty:
            return False
        if not self._ends_control:
            self._ends_control = True
            for channel, request in self._waiting:
                channel.answer(request)
            for control in (tree.control, tree.retiring):
                if control is not None:
                    control.stop(signal.SIGQUIT, ENDING_S)  # and its apps
        if tree.control.is_live or (tree.retiring is not None and tree.retiring.is_live):
            return False
        tree.holdings.close_admin(tree.plan.spec.run_dir)
        return True

    # Private

    def _all_deaf(self) -> bool:
        """Whether no worker accepts any more, as far as the scoreboard says."""
        segment = self._tree.holdings.segment
        return not any(
            segment.scoreboard_row(handle.row)[Column.STATE] == RowState.READY
            for handle in self._tree.pool
            if handle.is_live and handle.watched
        )
