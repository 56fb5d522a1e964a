"""Rewrite HTML on its way down: here, old links to new ones.

Pieces come as the peer sends them, so a match may be cut in two: the filter keeps back as many
bytes as a match could have begun with.
"""

from edge import Exchange, Hook

OLD, NEW = b"http://old.example.com/", b"https://new.example.com/"


class ResponseRewrite(Hook):
    """Streams: never holds more than a few bytes back. Leaves all but plain HTML alone."""

    def response_filter(self, exchange: Exchange) -> None:
        response = exchange.response
        headers = response.headers if response is not None else None
        is_html = headers is not None and headers.get("content-type").startswith("text/html")
        if not is_html or (headers is not None and "content-encoding" in headers):
            exchange.pass_body(self)
            return
        if headers is not None:
            headers.remove("etag")  # the bytes are no longer those that it names
        exchange.ctx.held = b""

    def response_body_filter(self, exchange: Exchange, data: bytes, end: bool) -> bytes:
        data = (exchange.ctx.held + data).replace(OLD, NEW)
        keep = 0 if end else max(n for n in range(len(OLD)) if data.endswith(OLD[:n]))
        exchange.ctx.held = data[len(data) - keep :]
        return data[: len(data) - keep]
