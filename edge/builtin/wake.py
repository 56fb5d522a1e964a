"""Apps that sleep: a request for one waits until it is awake."""

from collections.abc import Callable
from typing import Final

import gevent

from edge.builtin.route import Router
from edge.connection import monotonic
from edge.errors import EdgeError, Reason
from edge.exchange import Exchange
from edge.hooks import Hook
from edge.message import Peer
from edge.plan import Plan
from edge.shared import Slots, slots
from edge.table.model import AppRoute, Route
from edge.wishes import Wishes

APP: Final = "app"
LONGER_S: Final = 5.0
"""Control gives up at the app's own limit; a worker waits a little longer for what it says."""

PAGE_S: Final = 1
NEWS_S: Final = 0.05
TABLE_S: Final = 2.0
REASONS: Final = {
    "app-failed": Reason.APP_FAILED,
    "app-stopped": Reason.APP_STOPPED,
    "timeout": Reason.APP_START_TIMEOUT,
}


class Wake(Hook):
    """Has control wake the app, and goes on with the peers that it then has."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._rooms: dict[tuple[str, int], Slots] = {}  # by app, and how many may wait
        self._wishes: Wishes | None = None
        self._plan_of: Callable[[Route], Plan] | None = None

    def bind(self, wishes: Wishes, plan_of: Callable[[Route], Plan]) -> None:
        """How this worker wishes for something, and how it plans for a route."""
        self._wishes, self._plan_of = wishes, plan_of

    def applies_to(self, route: Route | None) -> bool:
        """Routes of apps."""
        return route is not None and route.app is not None

    def upstream_peer(self, exchange: Exchange) -> Peer | None:
        """Never a peer: it sees that there are some to choose from. Raises `EdgeError`: 503
        `queue-full`, `app-starting`, `app-stopped`; 502 `app-failed`; 504 `app-start-timeout`."""
        route = exchange.route
        if route is None or self._wishes is None or self._plan_of is None:
            return None
        if route.upstreams and not exchange.tried:
            return None
        found = self._now(route, exchange)
        if found is None or found.app is None:
            return None
        if not found.upstreams:
            self._have_awake(exchange, found.app, self._wishes)
            found = self._awake(route) or found
        if found is not route:
            exchange.route, exchange.plan = found, self._plan_of(found)
        return None

    # Private

    def _now(self, route: Route, exchange: Exchange) -> Route | None:
        """The route as the table has it. An instance that has just ended is in it for a moment
        more: control hears of an end before it can tell."""
        found = self._router.table.named(route.pattern)
        tried = {peer.address for peer in exchange.tried}
        if found is not None and found.upstreams and tried.issuperset(found.upstreams):
            gevent.sleep(NEWS_S)
            found = self._router.table.named(route.pattern)
        return found

    def _awake(self, route: Route) -> Route | None:
        """The route with its upstreams: control has published it."""
        until = monotonic() + TABLE_S
        while True:
            found = self._router.table.named(route.pattern)
            if found is None or found.upstreams or monotonic() >= until:
                return found
            gevent.sleep(0.005)

    def _have_awake(self, exchange: Exchange, app: AppRoute, wishes: Wishes) -> None:
        if app.page and _is_page_wanted(exchange):
            wishes.begin(APP, app.id, app.start_s + LONGER_S)
            again = (("Refresh", str(PAGE_S)), ("Retry-After", str(PAGE_S)))
            message = "It is starting: this page comes again by itself."
            raise EdgeError(Reason.APP_STARTING, app.id, fields=again, message=message)
        room = self._room(app)
        if not room.enter(app.id):
            fields = (("Retry-After", "1"),)
            raise EdgeError(Reason.QUEUE_FULL, f"{app.queue} wait for {app.id}", fields=fields)
        try:
            answer = wishes.wait(APP, app.id, app.start_s + LONGER_S)
        finally:
            room.leave(app.id)
        if not answer:
            raise EdgeError(REASONS.get(answer.reason, Reason.APP_FAILED), answer.message)

    def _room(self, app: AppRoute) -> Slots:
        """The waiting room, over all workers."""
        key = (app.id, app.queue)
        found = self._rooms.get(key)
        if found is None:
            found = self._rooms[key] = slots("waiting room", app.queue)
        return found


# Private


def _is_page_wanted(exchange: Exchange) -> bool:
    """Whether a person looks at it, and not a program."""
    request = exchange.request
    wants_html = "text/html" in request.headers.get("accept", "")
    return request.method == "GET" and not request.upgrade and wants_html
