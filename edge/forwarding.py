"""Who the client is, and what the edge tells peers about it and about this hop."""

import re
from typing import Final

from edge.exchange import Exchange
from edge.http1.parse import drops_of
from edge.message import Client, Request
from edge.rewrite import Networks, client_of, is_within, without

_ID: Final = re.compile(rb"[!-~]{1,128}")


class Forwarding:
    """Made once per connection: most of what goes upstream with each request is known then.

    From an untrusted address every `X-Forwarded-*`, `X-Real-IP`, `X-Request-Id` and `Forwarded` is
    replaced. What a trusted proxy said is kept, and the right-most untrusted address is the client.
    """

    __slots__ = ("_fields", "_trusted", "address", "client", "via")

    def __init__(self, address: str, trusted: Networks, via: bytes) -> None:
        self.address = address
        self.via = via
        self._trusted = trusted if trusted and is_within(address, trusted) else ()
        self.client = Client(address, trusted=bool(self._trusted))
        encoded = address.encode("ascii")
        self._fields = b"\r\nX-Forwarded-For: " + encoded + b"\r\nX-Real-IP: " + encoded

    def __repr__(self) -> str:
        return f"<Forwarding {'trusted' if self._trusted else 'untrusted'} {self.address}>"

    def client_of(self, request: Request) -> Client:
        """Who asks."""
        if self._trusted:
            chain = request.forwarded.get(b"x-forwarded-for", b"")
            if chain:
                found = client_of(self.address, chain, self._trusted)
                return Client(found, trusted=True, tls=self.client.tls)
        return self.client

    def id_of(self, request: Request) -> str:
        """The id that a trusted proxy gave to the request, or ""."""
        if self._trusted:
            said = request.forwarded.get(b"x-request-id", b"")
            if _ID.fullmatch(said):
                return said.decode("ascii")
        return ""

    def upstream_fields(self, exchange: Exchange) -> bytes:
        """The fields that go upstream: the client's, without hop-by-hop, with the edge's own."""
        request = exchange.request
        if request.fields_changed:
            block = request.headers.render()
            block = without(block, drops_of(block))
        else:
            block = without(request.block, request.drops)
        if not request.minor and b"\r\nhost:" not in block.lower():
            host = request.authority or (exchange.peer.address.encode() if exchange.peer else b"")
            block = b"\r\nHost: " + host + block
        id_ = exchange.id.encode("ascii")
        if self._trusted:
            return block + self._trusted_fields(exchange, id_) + self.via
        return b"%b%b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\nX-Request-Id: %b%b" % (
            block, self._fields, request.scheme.encode("ascii"), request.authority, id_, self.via,
        )  # fmt: skip

    # Private

    def _trusted_fields(self, exchange: Exchange, id_: bytes) -> bytes:
        request = exchange.request
        said = dict(request.forwarded)
        said.pop(b"forwarded", None)
        before = said.pop(b"x-forwarded-for", b"")
        here = self.address.encode("ascii")
        said[b"x-forwarded-for"] = before + b", " + here if before else here
        said[b"x-real-ip"] = exchange.client.address.encode("ascii")
        said[b"x-request-id"] = id_
        said.setdefault(b"x-forwarded-proto", request.scheme.encode("ascii"))
        said.setdefault(b"x-forwarded-host", request.authority)
        return b"".join(b"\r\n" + name.title() + b": " + said[name] for name in said)
