"""The demo's hook. Change it, then `edgectl reload`: workers roll, and no request is lost."""

from edge import Exchange, Hook, Response, shared


class Visits(Hook):
    """Counts the requests of all workers, tells the count in a header, and answers /hello."""

    def __init__(self) -> None:
        self.visits = shared.counter("demo-visits")

    def request_filter(self, exchange: Exchange) -> Response | None:
        self.visits.add()
        if exchange.request.path == "/hello":
            return Response(200, f"Hello, {exchange.client.address}. A hook answered this.\n")
        return None

    def response_filter(self, exchange: Exchange) -> None:
        if exchange.response is not None:
            exchange.response.headers["X-Demo-Visits"] = str(self.visits.value)
