"""What browsers are told: which pages may read the answers, and what they must not do with them."""

from typing import Final

from edge.errors import EdgeError
from edge.exchange import Exchange
from edge.hooks import Hook
from edge.message import Response
from edge.table.model import Cors, Route

SECURITY: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
)

ANY: Final = "*"


class CrossOrigin(Hook):
    """The CORS protocol of the Fetch standard (section 3.2): preflights, and fields on answers."""

    def applies_to(self, route: Route | None) -> bool:
        """Routes that say who may read."""
        return route is not None and route.cors is not None

    def request_filter(self, exchange: Exchange) -> Response | None:
        """Answers a preflight request; it never gets to a peer, nor to authentication."""
        request, rules = exchange.request, _rules(exchange)
        headers = request.headers
        if rules is None or request.method != "OPTIONS":
            return None
        origin, method = headers.get("origin"), headers.get("access-control-request-method")
        if not origin or not method:
            return None
        fields = [("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")]
        if _is_allowed(rules, origin):
            asked = headers.get("access-control-request-headers")
            fields.append(("Access-Control-Allow-Methods", ", ".join(rules.methods)))
            allowed = asked if ANY in rules.headers else ", ".join(rules.headers)
            if allowed:
                fields.append(("Access-Control-Allow-Headers", allowed))
            fields.append(("Access-Control-Max-Age", str(rules.max_age_s)))
        return Response(204, b"", fields)

    def response_filter(self, exchange: Exchange) -> None:
        """The edge decides: what a peer said of it is replaced."""
        response, rules = exchange.response, _rules(exchange)
        if rules is None or response is None:
            return
        headers = response.headers
        for name in ("Access-Control-Allow-Origin", "Access-Control-Allow-Credentials",
                     "Access-Control-Expose-Headers"):  # fmt: skip
            headers.remove(name)
        for name, value in _fields(rules, exchange.request.headers.get("origin")):
            headers.add(name, value)

    def fail_to_proxy(self, exchange: Exchange, error: EdgeError) -> None:
        """Errors can be read, too: a page must be able to tell a limit from a broken network."""
        rules = _rules(exchange)
        if rules is not None:
            error.fields += _fields(rules, exchange.request.headers.get("origin"))


class Secure(Hook):
    """Security headers, where an answer has none of its own."""

    def applies_to(self, route: Route | None) -> bool:
        """Routes that want them."""
        return route is not None and route.security_headers

    def response_filter(self, exchange: Exchange) -> None:
        """Adds what is missing."""
        response = exchange.response
        if response is None:
            return
        for name, value in SECURITY:
            if name not in response.headers:
                response.headers.add(name, value)

    def fail_to_proxy(self, exchange: Exchange, error: EdgeError) -> None:
        """Error pages have them all."""
        error.fields += SECURITY


# Private


def _rules(exchange: Exchange) -> Cors | None:
    return exchange.route.cors if exchange.route is not None else None


def _is_allowed(rules: Cors, origin: str) -> bool:
    return ANY in rules.origins or origin in rules.origins


def _fields(rules: Cors, origin: str) -> tuple[tuple[str, str], ...]:
    """What an answer says to a page of that origin."""
    if ANY in rules.origins:
        fields = [("Access-Control-Allow-Origin", ANY)]
    else:
        fields = [("Vary", "Origin")]
        if not origin or not _is_allowed(rules, origin):
            return tuple(fields)
        fields.append(("Access-Control-Allow-Origin", origin))
    if rules.credentials:
        fields.append(("Access-Control-Allow-Credentials", "true"))
    if rules.expose:
        fields.append(("Access-Control-Expose-Headers", ", ".join(rules.expose)))
    return tuple(fields)
