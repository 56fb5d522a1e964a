"""Routing: which route a request gets, and the answers that a route holds itself."""

from edge.errors import EdgeError, Reason
from edge.exchange import Exchange
from edge.hooks import Hook
from edge.message import Response
from edge.rewrite import apply_rules, fill
from edge.table.reader import Table


class Router(Hook):
    """Chooses the route, answers redirects and fixed responses, and applies header rules."""

    def __init__(self, table: Table) -> None:
        self.table = table  # replaced when another generation is in force

    def early_request_filter(self, exchange: Exchange) -> None:
        """Choose the route, unless a hook has."""
        if exchange.route is None:
            request = exchange.request
            exchange.route = self.table.find(request.host, request.path)
            if exchange.route is None:
                raise EdgeError(Reason.NO_ROUTE, f"{request.host}{request.path}")

    def request_filter(self, exchange: Exchange) -> Response | None:
        """Answer what needs no peer."""
        route = exchange.route
        if route is None or route.upstreams:
            return None
        if route.redirect is not None:
            target = fill(route.redirect.to, exchange.request)
            return Response(route.redirect.status, b"", [("Location", target)])
        if route.respond is not None:
            fixed = route.respond
            return Response(fixed.status, fixed.body.encode(), [("Content-Type", fixed.content_type)])
        return None

    def upstream_request_filter(self, exchange: Exchange) -> None:
        """Apply the route's rules for the request's fields."""
        route = exchange.route
        if route is not None and route.request_headers is not None:
            if exchange.upstream_headers is not None:
                apply_rules(exchange.upstream_headers, route.request_headers)

    def response_filter(self, exchange: Exchange) -> None:
        """Apply the route's rules for the answer's fields."""
        route = exchange.route
        if route is not None and route.response_headers is not None:
            if exchange.response is not None:
                apply_rules(exchange.response.headers, route.response_headers)
