"""What changes between the two sides: hop-by-hop fields, forwarding fields, paths."""

import functools
import ipaddress
import re
from collections.abc import Sequence

from edge.headers import Headers
from edge.message import CHUNKED, Request, Response
from edge.table.model import FieldRules, PathRewrite

Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


def without(block: bytes, drops: Sequence[tuple[int, int]]) -> bytes:
    """A block without some spans, which come in order and may touch but not overlap."""
    if not drops:
        return block
    if len(drops) == 1:
        start, stop = drops[0]
        return block[:start] + block[stop:]
    pieces = []
    position = 0
    for start, stop in drops:
        if start > position:
            pieces.append(block[position:start])
        position = max(position, stop)
    pieces.append(block[position:])
    return b"".join(pieces)


def framing_fields(request: Request, *, chunked: bool) -> bytes:
    """The fields about body, trailers and upgrade that the edge writes upstream itself."""
    fields = b""
    if chunked or request.length == CHUNKED:
        fields = b"\r\nTransfer-Encoding: chunked"
    elif request.length or request.sized:
        fields = b"\r\nContent-Length: %d" % request.length
    if request.expects:
        fields += b"\r\nExpect: 100-continue"
    if request.upgrade:
        fields += b"\r\nUpgrade: " + request.upgrade + b"\r\nConnection: Upgrade"
    elif request.trailers:
        fields += b"\r\nTE: trailers\r\nConnection: TE"
    return fields


def with_host(block: bytes, host: str) -> bytes:
    """A block whose Host is another (or one, where an HTTP/1.0 request had none)."""
    cut = _HOST.sub(b"", block, count=1)
    return b"\r\nHost: " + host.encode("latin-1") + cut


def apply_rules(headers: Headers, rules: FieldRules) -> None:
    """Remove, then set."""
    for name in rules.remove:
        headers.remove(name)
    for name, value in rules.set:
        headers.set(name, value)


def upstream_path(rewrite: PathRewrite | None, target: str) -> str:
    """The target that goes upstream. Only the path changes; the query stays as it is."""
    if rewrite is None:
        return target
    path, mark, query = target.partition("?")
    if rewrite.strip_prefix and _has_prefix(path, rewrite.strip_prefix):
        path = path[len(rewrite.strip_prefix) :]
    if rewrite.pattern:
        path = _compiled(rewrite.pattern).sub(rewrite.replacement, path, count=1)
    path = rewrite.add_prefix + path
    if not path.startswith("/"):
        path = "/" + path
    return _UNSAFE.sub(_escape, path) + mark + query


def fill(template: str, request: Request) -> str:
    """A redirect's target with `{host}`, `{path}`, `{query}` and `{uri}` filled in."""
    path, _, query = request.target.partition("?")
    parts = {
        "host": request.host,
        "path": path,
        "query": f"?{query}" if query else "",
        "uri": request.target,
    }
    return _PLACE.sub(lambda match: parts[match[1]], template)


def networks(texts: Sequence[str]) -> Networks:
    """Parsed networks; raises `ValueError` for a bad one."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def is_within(address: str, among: Networks) -> bool:
    """Whether an address (IPv4-mapped ones count as IPv4) is in one of the networks."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    parsed = mapped if mapped is not None else parsed
    return any(parsed.version == network.version and parsed in network for network in among)


def client_of(address: str, forwarded_for: bytes, trusted: Networks) -> str:
    """The right-most address that no trusted proxy vouches for; the left-most if all are."""
    hops = [hop.strip() for hop in forwarded_for.decode("latin-1").split(",")]
    for hop in reversed(hops):
        host = hop[1 : hop.find("]")] if hop.startswith("[") else hop
        try:
            ipaddress.ip_address(host)
        except ValueError:
            break
        address = host
        if not is_within(host, trusted):
            break
    return address


def response_block(response: Response) -> bytes:
    """The fields of an answer that go downstream, without hop-by-hop ones."""
    if response.fields_changed:
        return HOP_BY_HOP.sub(b"", response.headers.render())
    return without(response.block, response.drops)


def upgrade_fields(response: Response) -> bytes:
    """The two fields that make a 101 one."""
    found = _UPGRADE.search(response.block)
    protocol = found[1].strip() if found else b""
    return b"\r\nUpgrade: " + protocol + b"\r\nConnection: Upgrade"


# Private

_UPGRADE = re.compile(rb"\r\n(?i:upgrade):([^\r]*)")
_HOST = re.compile(rb"\r\n(?i:host):[^\r]*")
_PLACE = re.compile(r"\{(host|path|query|uri)\}")
_UNSAFE = re.compile(r"[^!-\"$-~]")
HOP_BY_HOP = re.compile(
    rb"\r\n(?i:connection|keep-alive|proxy-connection|proxy-authenticate|te|transfer-encoding"
    rb"|upgrade):[^\r]*"
)


def _has_prefix(path: str, prefix: str) -> bool:
    return path.startswith(prefix) and (
        len(path) == len(prefix) or path[len(prefix)] == "/" or prefix.endswith("/")
    )


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogateescape"))


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
