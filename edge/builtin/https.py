"""What concerns TLS in a request: challenges of a CA, redirects to https, names that must agree."""

import hashlib
from typing import Final

from edge.builtin.route import Router
from edge.errors import EdgeError, Reason
from edge.exchange import Exchange
from edge.hooks import Hook
from edge.message import Response, TlsFacts
from edge.table.model import ClientAuth, Route
from edge.table.reader import Table

CHALLENGE: Final = "/.well-known/acme-challenge/"
DEFAULT_PORT: Final = 443


class Challenge(Hook):
    """Answers the HTTP-01 challenges of a CA (RFC 8555 section 8.3), before everything else."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def applies_to(self, route: Route | None) -> bool:
        """All, where something speaks TLS. (The chains are made anew when that changes.)"""
        return self._router.table.settings.tls is not None

    def early_request_filter(self, exchange: Exchange) -> Response | None:
        """The answer; None for a token that nobody has, which an app may know."""
        path = exchange.request.path
        if not path.startswith(CHALLENGE):
            return None
        answer = self._router.table.token(path.removeprefix(CHALLENGE))
        if answer is None:
            return None
        return Response(200, answer.encode(), [("Content-Type", "application/octet-stream")])


class ToHttps(Hook):
    """Sends clients to https where their host has a certificate, and sees that names agree."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def applies_to(self, route: Route | None) -> bool:
        """All, where something speaks TLS."""
        return self._router.table.settings.tls is not None

    def early_request_filter(self, exchange: Exchange) -> Response | None:
        """Raises `EdgeError` (421 `misdirected`)."""
        table = self._router.table
        settings = table.settings.tls
        if settings is None:
            return None
        request, tls = exchange.request, exchange.client.tls
        if tls is not None:
            if request.host != tls.server_name:
                _check_names(table, request.host, tls)
            return None
        if not settings.redirect or exchange.route is None:
            return None
        if table.certificate(request.host) is None or _came_by_https(exchange):
            return None
        port = "" if settings.https_port == DEFAULT_PORT else f":{settings.https_port}"
        target = f"https://{request.host}{port}{request.target}"
        return Response(308, b"", [("Location", target)])


class ClientCertificate(Hook):
    """Lets in who has shown a certificate of the host's own CA, and tells peers whose it was.

    What counts is the connection that a request came on, and whom its client was verified with: not
    the port, nor the name that was asked for when it began.
    """

    def applies_to(self, route: Route | None) -> bool:
        """Routes of hosts that ask for one."""
        return route is not None and route.client_auth is not None

    def request_filter(self, exchange: Exchange) -> None:
        """Raises `EdgeError` (403 `client-certificate`, 421 `misdirected`)."""
        rules = exchange.route.client_auth if exchange.route is not None else None
        if rules is None or not rules.required or _is_verified(exchange):
            return
        tls = exchange.client.tls
        if tls is not None and not _was_asked(tls, rules):  # on another connection it will be
            raise EdgeError(Reason.MISDIRECTED, "a connection that was asked for no certificate")
        raise EdgeError(Reason.CLIENT_CERTIFICATE, exchange.client.address)

    def upstream_request_filter(self, exchange: Exchange) -> None:
        """`X-Client-Certificate-Sha256`, which no client can make up."""
        headers, tls = exchange.upstream_headers, exchange.client.tls
        if headers is None:
            return
        headers.remove(FINGERPRINT)
        if tls is not None and _is_verified(exchange):
            headers.set(FINGERPRINT, hashlib.sha256(tls.certificate).hexdigest())


FINGERPRINT: Final = "X-Client-Certificate-Sha256"


# Private


def _check_names(table: Table, host: str, tls: TlsFacts) -> None:
    """A connection of one owner's name must not carry requests to another's (RFC 9110 7.4).

    Whose they are now counts: a reload while the connection is open may give both to another.
    """
    certificate = table.certificate(host)
    if certificate is None:
        return
    named = table.certificate(tls.server_name) or tls.served
    if certificate.owner != (named.owner if named else ""):
        raise EdgeError(Reason.MISDIRECTED, f"{host} on a connection of another name")


def _is_verified(exchange: Exchange) -> bool:
    route, tls = exchange.route, exchange.client.tls
    if route is None or route.client_auth is None or tls is None or not tls.certificate:
        return False
    return _was_asked(tls, route.client_auth)


def _was_asked(tls: TlsFacts, rules: ClientAuth) -> bool:
    return tls.served is not None and tls.served.client_ca_from == rules.ca


def _came_by_https(exchange: Exchange) -> bool:
    """Whether a trusted proxy says that its client used https."""
    said = exchange.request.forwarded.get(b"x-forwarded-proto", b"")
    return exchange.client.trusted and said.lower() == b"https"
