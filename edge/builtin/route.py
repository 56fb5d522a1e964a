"""Routing: which route a request gets, and the answers and field rules that a route holds."""

from edge.errors import EdgeError, Reason
from edge.exchange import Exchange
from edge.hooks import Hook
from edge.message import Response
from edge.rewrite import apply_rules, fill
from edge.table.model import Route
from edge.table.reader import Table


class Router(Hook):
    """Chooses the route."""

    def __init__(self, table: Table) -> None:
        self.table = table  # replaced when another generation is in force

    def early_request_filter(self, exchange: Exchange) -> None:
        """Choose the route, unless a hook has."""
        if exchange.route is None:
            request = exchange.request
            exchange.route = self.table.find(request.host, request.path)
            if exchange.route is None:
                raise EdgeError(Reason.NO_ROUTE, f"{request.host}{request.path}")


class OwnAnswer(Hook):
    """Answers redirects and fixed responses: what needs no peer."""

    def applies_to(self, route: Route | None) -> bool:
        """Routes without peers."""
        return route is not None and bool(route.redirect or route.respond)

    def request_filter(self, exchange: Exchange) -> Response | None:
        """The route's own answer."""
        route = exchange.route
        if route is None:
            return None
        if route.redirect is not None:
            target = fill(route.redirect.to, exchange.request)
            return Response(route.redirect.status, b"", [("Location", target)])
        if route.respond is not None:
            fixed = route.respond
            return Response(
                fixed.status, fixed.body.encode(), [("Content-Type", fixed.content_type)]
            )
        return None


class FieldRules(Hook):
    """Applies the header rules of a route, before the user's hooks see the fields."""

    def applies_to(self, route: Route | None) -> bool:
        """Routes that have rules."""
        return route is not None and bool(route.request_headers or route.response_headers)

    def upstream_request_filter(self, exchange: Exchange) -> None:
        """The rules for the request's fields."""
        route, headers = exchange.route, exchange.upstream_headers
        if route is not None and route.request_headers is not None and headers is not None:
            apply_rules(headers, route.request_headers)

    def response_filter(self, exchange: Exchange) -> None:
        """The rules for the answer's fields."""
        route, response = exchange.route, exchange.response
        if route is not None and route.response_headers is not None and response is not None:
            apply_rules(response.headers, route.response_headers)
