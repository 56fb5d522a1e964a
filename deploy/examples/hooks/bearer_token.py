"""Ask for a bearer token on `/api`, compared in constant time, and tell the app who came.

Tokens are read from the file that EDGED_TOKENS names: lines of `name:token`. If the file cannot be
read the module does not load, so a reload with a broken file changes nothing.
"""

import hmac
import os
from pathlib import Path

from edge import Exchange, Hook, Response


class BearerToken(Hook):
    """401 without a known token; the name behind the token goes up as `X-Caller`."""

    def __init__(self) -> None:
        lines = Path(os.environ.get("EDGED_TOKENS", "tokens.txt")).read_text().split()
        self.tokens = [line.partition(":")[::2] for line in lines]

    def request_filter(self, exchange: Exchange) -> Response | None:
        headers = exchange.request.headers
        headers.remove("X-Caller")  # a client cannot name itself
        if not (exchange.request.path + "/").startswith("/api/"):
            return None
        scheme, _, given = headers.get("authorization").partition(" ")
        for name, token in self.tokens:
            if scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), token.encode()):
                headers["X-Caller"] = name
                return None
        return Response(401, "A bearer token is needed.\n", {"WWW-Authenticate": "Bearer"})
