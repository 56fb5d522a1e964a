"""What hooks see of an exchange's two messages, of the client and of the peer."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from edge.headers import Headers, block_of, check_field

if TYPE_CHECKING:
    import io

    from edge.peers import PeerState
    from edge.table.model import Certificate, UpstreamTls

CHUNKED: Final = -1
"""Body length of a message whose body is chunked."""

UNTIL_CLOSE: Final = -2
"""Body length of an answer that ends when the peer closes."""


class Request:
    """A request as the client sent it. The parser has checked every byte of its head."""

    __slots__ = (
        "_headers",
        "_path",
        "_reader",
        "authority",
        "block",
        "body",
        "drops",
        "end",
        "expects",
        "forwarded",
        "host",
        "keep",
        "length",
        "method",
        "minor",
        "scheme",
        "sized",
        "target",
        "trailers",
        "upgrade",
    )

    def __init__(self, method: str = "", target: str = "", block: bytes = b"") -> None:
        self.method = method
        """The method, a token of at most 32 characters; "" when no head could be parsed."""
        self.target = target
        """Path and query as the client sent them: what goes upstream unless a route rewrites it."""
        self.host = ""
        """The host that was asked for: lower case, no port, IPv6 in brackets; may be ""."""
        self.authority = b""  # the Host field, lower-cased, with its port
        self.scheme = "http"
        self.minor = 1
        self.block = block
        self.length = 0  # body bytes, or CHUNKED
        self.sized = False  # it had a Content-Length
        self.trailers = False  # TE: trailers
        self.end = 0  # where the body starts in the parsed buffer
        self.keep = False  # the client allows another request on this connection
        self.expects = False  # Expect: 100-continue
        self.upgrade = b""  # the Upgrade field, when Connection names it
        self.drops: list[tuple[int, int]] = []  # spans of `block` that go no further
        self.forwarded: dict[bytes, bytes] = {}  # X-Forwarded-* and the like, by name
        self.body: bytes | None = None  # the whole body, once `read` has it
        self._headers: Headers | None = None
        self._path = ""
        self._reader: Callable[[int], bytes] | None = None

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.host}{self.target}>"

    @property
    def path(self) -> str:
        """The path for matching: percent-decoded, free of dot segments and double slashes."""
        return self._path

    @property
    def query(self) -> str:
        """What stands behind the first "?", or ""."""
        return self.target.partition("?")[2]

    @property
    def version(self) -> str:
        """The client's HTTP version, "1.0" or "1.1"."""
        return f"1.{self.minor}"

    @property
    def headers(self) -> Headers:
        """The fields as the client sent them. A change goes upstream."""
        if self._headers is None:
            self._headers = Headers(self.block)
        return self._headers

    @property
    def fields_changed(self) -> bool:
        """Whether a hook has changed the fields."""
        return self._headers is not None and self._headers.changed

    def cookie(self, name: str, default: str = "") -> str:
        """The value of the first cookie of that name (RFC 6265 section 5.4), or `default`."""
        for field in self.headers.get_all("cookie"):
            for pair in field.split(";"):
                key, mark, value = pair.partition("=")
                if mark and key.strip() == name:
                    return value.strip()
        return default

    def read(self, limit_bytes: int = 65536) -> bytes:
        """Wait for the whole body and return it; it still goes upstream, from memory.

        Lets a hook choose the peer by the body. Raises `EdgeError` (413 `body-too-large`) past the
        limit; of use from `request_filter` to `upstream_peer`, later the body is on its way.
        """
        if self.body is None:
            if self._reader is None:
                raise RuntimeError("the request's body is already on its way upstream")
            self.body = self._reader(limit_bytes)
        return self.body


class FileBody:
    """A body that is in a file: pieces of bytes, offset and length, sent one after the other.

    The file closes when nobody refers to it any more.
    """

    __slots__ = ("file", "length", "pieces")

    def __init__(self, file: "io.FileIO", pieces: tuple[tuple[bytes, int, int], ...]) -> None:
        self.file = file
        self.pieces = pieces  # bytes that come before, first byte in the file, how many
        self.length = sum(len(before) + count for before, _, count in pieces)

    def __repr__(self) -> str:
        return f"<FileBody {self.length} bytes>"


class Response:
    """An answer: a peer's, or one that a hook returns: `Response(403, "no")`."""

    __slots__ = ("_headers", "block", "body", "drops", "end", "file", "keep", "length", "minor",
                 "reason", "status", "upgrade")  # fmt: skip

    def __init__(
        self,
        status: int = 200,
        body: str | bytes = b"",
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
    ) -> None:
        """An answer of the edge itself. Text is sent as UTF-8; Content-Length is added.

        Raises `ValueError` for a status outside 200 to 599 or a field that HTTP does not allow.
        """
        if not 200 <= status <= 599:
            raise ValueError(f"an answer's status is 200 to 599, not {status}")
        fields = list(headers.items()) if isinstance(headers, dict) else list(headers or ())
        for name, value in fields:
            check_field(name, value)
        if isinstance(body, str):
            body = body.encode()
            if not any(name.lower() == "content-type" for name, _ in fields):
                fields.append(("Content-Type", "text/plain; charset=utf-8"))
        self.status = status
        self.reason = ""
        self.body: bytes | None = body
        self.file: FileBody | None = None  # the body is there instead
        self.block = block_of(fields)
        self.length = len(body)
        self.minor = 1
        self.end = 0
        self.keep = True
        self.upgrade = False
        self.drops: list[tuple[int, int]] = []
        self._headers: Headers | None = None

    @classmethod
    def prepared(cls, status: int, block: bytes, body: bytes) -> "Response":
        """An answer whose fields are known to be good, as a block."""
        response = cls.__new__(cls)
        response.status = status
        response.reason = ""
        response.body = body
        response.file = None
        response.block = block
        response.length = len(body)
        response.minor = 1
        response.end = 0
        response.keep = True
        response.upgrade = False
        response.drops = []
        response._headers = None
        return response

    def __repr__(self) -> str:
        return f"<Response {self.status}>"

    @property
    def headers(self) -> Headers:
        """The fields. A change goes to the client."""
        if self._headers is None:
            self._headers = Headers(self.block)
        return self._headers

    @property
    def fields_changed(self) -> bool:
        """Whether a hook has changed the fields."""
        return self._headers is not None and self._headers.changed


class TlsFacts:
    """What is known of a connection that speaks TLS."""

    __slots__ = ("certificate", "cipher", "resumed", "served", "server_name", "version")

    def __init__(
        self,
        server_name: str = "",
        version: str = "",
        cipher: str = "",
        *,
        resumed: bool = False,
        certificate: bytes = b"",
        served: "Certificate | None" = None,
    ) -> None:
        self.server_name = server_name
        """The name that the client asked for; "" when it named none."""
        self.version = version
        self.cipher = cipher
        self.resumed = resumed
        self.certificate = certificate
        """The client's own certificate (DER), verified; b"" when it showed none."""
        self.served = served
        """What the client got: whose it is, and whose certificates were asked for."""

    def __repr__(self) -> str:
        return f"<TlsFacts {self.version} {self.server_name or 'no name'}>"


class Client:
    """Who asks: the right-most address that no trusted proxy vouches for."""

    __slots__ = ("address", "port", "tls", "trusted")

    def __init__(
        self, address: str, port: int = 0, *, trusted: bool = False, tls: TlsFacts | None = None
    ) -> None:
        self.address = address
        self.port = port
        self.tls = tls
        """What is known of the TLS of its connection; None without."""
        self.trusted = trusted  # the connection itself comes from a trusted proxy

    def __repr__(self) -> str:
        return f"<Client {self.address}>"


class Peer:
    """One address that can be dialled: "127.0.0.1:9000", "[::1]:9000", "unix:/run/app.sock"."""

    __slots__ = ("address", "server_name", "state", "tls", "way")

    def __init__(
        self, address: str, *, tls: "UpstreamTls | None" = None, server_name: str = ""
    ) -> None:
        """`tls` says how it is spoken to with TLS, `server_name` whom its certificate is for."""
        self.address = address
        self.tls = tls
        self.server_name = server_name
        self.way = address if tls is None else f"{address} {server_name} {tls}"  # in the pool
        self.state: PeerState | None = None  # what is known of it, for a peer of a route

    def __repr__(self) -> str:
        return f"<Peer {self.address}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Peer) and other.address == self.address

    def __hash__(self) -> int:
        return hash(self.address)
