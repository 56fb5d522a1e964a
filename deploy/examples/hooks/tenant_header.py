"""Tell the app which tenant a request is for: the first label of `TENANT.example.com`.

Set where the fields for the peer are made, so no client can set it itself, and each tenant's
answers are counted in memory that all workers share.
"""

from edge import Exchange, Hook, Response, shared

DOMAIN = ".example.com"


class TenantHeader(Hook):
    """`X-Tenant` for the app; 404 for hosts that are no tenant's."""

    def __init__(self) -> None:
        self.requests = shared.counter("tenant-requests")

    def request_filter(self, exchange: Exchange) -> Response | None:
        name = exchange.request.host.removesuffix(DOMAIN)
        if name == exchange.request.host or not name or "." in name:
            return Response(404, "No such tenant.\n")
        exchange.ctx.tenant = name
        return None

    def upstream_request_filter(self, exchange: Exchange) -> None:
        if exchange.upstream_headers is not None:
            exchange.upstream_headers["X-Tenant"] = exchange.ctx.tenant

    def response_filter(self, exchange: Exchange) -> None:
        self.requests.add()
        if exchange.response is not None:
            exchange.response.headers["Vary"] = "Host"
