"""Copies of requests for another server, made when the request is answered.

So a copy can neither slow nor fail the request that it is of: nobody waits for it, it has a
connection and a time limit of its own, and past `at_once` there are no more of them.
"""

import logging
import random

import gevent

from edge.errors import EdgeError
from edge.exchange import Exchange
from edge.fetch import Fetcher
from edge.hooks import Hook
from edge.shared import counter
from edge.table.model import Mirror, Route

log = logging.getLogger("edge.mirror")


class Copy(Hook):
    """Sends them. `mirror.sent`, `.failed` and `.dropped` are shared counters."""

    def __init__(self) -> None:
        self._sent, self._failed, self._dropped = (
            counter(f"mirror.{name}") for name in ("sent", "failed", "dropped")
        )

    def applies_to(self, route: Route | None) -> bool:
        """Routes with a mirror."""
        return route is not None and route.mirror is not None

    def logging(self, exchange: Exchange) -> None:
        """Begins a copy of what went to a peer, unless its body is gone already."""
        plan, fetcher = exchange.plan, exchange.fetcher
        rules = plan.route.mirror if plan is not None else None
        if plan is None or fetcher is None or rules is None or not exchange.attempts:
            return
        if exchange.request.upgrade or random.random() >= rules.part:
            return
        under_way: set[object] = plan.memo.setdefault(self, set())
        if not exchange.sent_head or len(under_way) >= rules.at_once:
            self._dropped.add()
            return
        data, method = exchange.sent_head, exchange.request.method
        task = gevent.spawn(self._send, fetcher, rules, method, data)
        under_way.add(task)
        task.rawlink(under_way.discard)

    # Private

    def _send(self, fetcher: Fetcher, rules: Mirror, method: str, data: bytes) -> None:
        try:
            fetcher.send(rules.upstream, method, data, timeout_s=rules.timeout_s)
            self._sent.add()
        except EdgeError as error:
            self._failed.add()
            log.debug("a copy for %s failed: %s", rules.upstream, error)
