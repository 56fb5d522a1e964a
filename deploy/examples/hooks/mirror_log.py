"""Keep a copy of some requests in a file, with the first bytes of their bodies: a flight recorder.

The body is seen on its way up, so nothing waits for it. Lines are written where `logging` runs,
once per request, whatever happened to it.
"""

import json
import os
from pathlib import Path

from edge import Exchange, Hook

KEPT_BYTES = 2048
SECRET = {"authorization", "cookie", "proxy-authorization"}


class MirrorLog(Hook):
    """One JSON line per request with a body, to the file that EDGED_MIRROR names."""

    on_error = "continue"  # recording must never cost a request

    def __init__(self) -> None:
        self.path = Path(os.environ.get("EDGED_MIRROR", "mirror.jsonl"))

    def request_body_filter(self, exchange: Exchange, data: bytes, end: bool) -> None:
        kept: bytes = getattr(exchange.ctx, "mirror", b"")
        exchange.ctx.mirror = kept + data[: KEPT_BYTES - len(kept)]

    def logging(self, exchange: Exchange) -> None:
        body: bytes = getattr(exchange.ctx, "mirror", b"")
        if not body:
            return
        request = exchange.request
        fields = {n: v for n, v in request.headers.items() if n.lower() not in SECRET}
        line = {
            "id": exchange.id,
            "method": request.method,
            "url": f"{request.scheme}://{request.host}{request.target}",
            "headers": fields,
            "body": body.decode("utf-8", "replace"),
            "status": exchange.status,
        }
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
