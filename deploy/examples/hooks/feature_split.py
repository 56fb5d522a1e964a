"""Send some users to a second version of an app: those with the cookie, and a share of the rest.

`shared.flag("beta-percent")` is seen by all workers at once: set it from any hook or test.
"""

import zlib

from edge import Exchange, Hook, Peer, shared

BETA = Peer("127.0.0.1:9001")


class FeatureSplit(Hook):
    """Beta peers for `Cookie: beta=1` and for a share of clients that stays the same."""

    def __init__(self) -> None:
        self.percent = shared.flag("beta-percent")
        self.sent = shared.counter("beta-requests")

    def upstream_peer(self, exchange: Exchange) -> Peer | None:
        chosen = "beta=1" in exchange.request.headers.get("cookie")
        share = zlib.crc32(exchange.client.address.encode()) % 100
        # After a failed attempt on beta, the route's own peers answer.
        if (chosen or share < self.percent.value) and BETA not in exchange.tried:
            self.sent.add()
            return BETA
        return None
