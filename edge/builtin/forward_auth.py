"""Asking a service whether a request may pass."""

from typing import Final

from edge.errors import EdgeError, Reason
from edge.exchange import Exchange
from edge.headers import RESERVED
from edge.hooks import Hook
from edge.message import Response
from edge.table.model import ForwardAuth, Route

_NOT_ASKED: Final = RESERVED | {"content-type", "content-encoding", "expect", "accept-encoding",
                                "range", "if-match", "if-none-match", "if-modified-since",
                                "if-unmodified-since", "if-range", "host"}  # fmt: skip
"""What a request says about its body, about a part of an answer, or to the route's own peers."""

_HEADER_PARTS: Final = ("x-forwarded-", "x-real-ip", "forwarded")


class AskWhoMayPass(Hook):
    """Asks before the route's own answer; 2xx passes."""

    def applies_to(self, route: Route | None) -> bool:
        """Routes that ask."""
        return route is not None and route.forward_auth is not None

    def request_filter(self, exchange: Exchange) -> Response | None:
        """The service's answer when it is not 2xx. Raises `EdgeError` (502 `auth-failed`)."""
        rules = exchange.route.forward_auth if exchange.route is not None else None
        if rules is None:
            return None
        answer = _asked(exchange, rules)
        if not 200 <= answer.status < 300:
            return _passed_on(answer)
        headers = exchange.request.headers
        for name in rules.copy:
            headers.remove(name)
            if value := answer.headers.get(name):
                headers.set(name, value)
        return None


# Private


def _asked(exchange: Exchange, rules: ForwardAuth) -> Response:
    request = exchange.request
    fields: dict[str, str] = {}
    for name, value in request.headers.items():
        low = name.lower()
        if low not in _NOT_ASKED and not low.startswith(_HEADER_PARTS):
            before = fields.get(name)
            fields[name] = value if before is None else f"{before}{_joint(low)}{value}"
    fields |= {
        "X-Forwarded-Method": request.method,
        "X-Forwarded-Proto": request.scheme,
        "X-Forwarded-Host": request.authority.decode("latin-1"),
        "X-Forwarded-Uri": request.target,
        "X-Forwarded-For": exchange.client.address,
        "X-Request-Id": exchange.id,
    }
    try:
        return exchange.fetch(rules.upstream, rules.path, headers=fields, timeout_s=rules.timeout_s)
    except EdgeError as error:
        raise EdgeError(Reason.AUTH_FAILED, f"{rules.upstream}: {error}") from None


def _joint(name: str) -> str:
    return "; " if name == "cookie" else ", "


def _passed_on(answer: Response) -> Response:
    """The service's refusal, such as a redirect to its login page, for the client."""
    fields = [
        (name, value) for name, value in answer.headers.items()
        if name.lower() not in RESERVED and name.lower() != "content-length"
    ]  # fmt: skip
    return Response(answer.status, answer.body or b"", fields)
