"""What a table holds. Workers read it, so they define it; control writes these very types.

Times are seconds, sizes are bytes, 0 means "no limit" where a field says so. Everything is
frozen: a change is a new object of a later generation.
"""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

TABLE_FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one exchange may cost. The same for all listeners."""

    head_bytes: int = 16384
    request_line_bytes: int = 8192
    fields: int = 100
    body_bytes: int = 0  # 0 is no limit; a route's own limit comes before it
    replay_bytes: int = 65536  # a request body up to this size can be sent to a second peer
    attempts: int = 3
    attempts_s: float = 10.0  # no further attempt starts later than this
    pool_idle: int = 256  # idle connections kept per peer and worker
    connections: int = 10000  # downstream connections per worker; past it, accepting waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long each step may take, in seconds. All are finite."""

    head_s: float = 15.0  # the whole head, from its first byte
    body_idle_s: float = 60.0
    body_rate: int = 256  # bytes per second on average that a request body keeps up after 10 s
    write_idle_s: float = 60.0
    keep_alive_s: float = 75.0
    connect_s: float = 3.0
    first_byte_s: float = 60.0
    stream_idle_s: float = 3600.0  # between two pieces of an answer that has begun
    upgraded_idle_s: float = 3600.0
    pool_idle_s: float = 60.0
    hook_s: float = 30.0  # a hook that keeps a request waiting longer ends it: 500 hook-error


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds for all routes."""

    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    trusted_proxies: tuple[str, ...] = ()  # networks whose X-Forwarded-* are believed
    proxy_protocol: tuple[str, ...] = ()  # networks that must begin with a PROXY header
    underscore_headers: bool = False  # keep field names with "_" or "."
    error_pages: tuple[tuple[str, str], ...] = ()  # status ("404", "5xx") and file, absolute
    modes: tuple["Mode", ...] = ()  # what `edgectl` has put routes into
    secret: str = ""  # of this edged: keys what clients must not be able to make up
    tls: "TlsSettings | None" = None  # None: no listener speaks TLS


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a name is served with. Another fingerprint is another certificate."""

    chain: str  # PEM file, the leaf first
    key: str  # PEM file, readable by the workers' user alone
    fingerprint: str  # SHA-256 of chain and key
    owner: str = ""  # whose it is: names of one owner may share a connection
    client_ca: str = ""  # PEM file: clients are asked for a certificate of one of these
    client_ca_from: str = ""  # the file that it was taken from, as routes name it
    client_required: bool = False
    origin: str = ""  # what control has made it from
    issuer: str = ""
    not_before: float = 0.0  # seconds since 1970
    not_after: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """What holds for all names."""

    redirect: bool = True  # 308 to https where a host has a certificate
    hsts_s: int = 0  # Strict-Transport-Security on https answers; 0 is none
    handshake_s: float = 10.0
    handshakes: int = 1000  # under way per worker; past it, they take turns (`edge.engine.Turns`)
    default: str = ""  # the name whose certificate is for clients that ask for an unknown one
    https_port: int = 443  # where a redirect leads
    on_demand: tuple[str, ...] = ()  # hosts whose certificates are had when they are asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamTls:
    """How peers of a route are spoken to."""

    server_name: str = ""  # what their certificate must be for; "" is the peer's own name
    ca: str = ""  # PEM file of who may have signed it; "" is the system's
    verify: bool = True
    chain: str = ""  # the certificate that the edge shows
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """Routes that do not serve as usual, by order of an operator."""

    target: str  # a pattern, a host (all its routes), or "*"
    kind: str  # maintenance, pause
    allow: tuple[str, ...] = ()  # networks of the clients who notice nothing
    message: str = ""  # what a maintenance page says
    hold_s: float = 30.0  # how long a paused request waits
    retry_after_s: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRules:
    """Header fields to set and to remove. Removing comes first."""

    set: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()  # lower case


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """An answer that sends the client elsewhere.

    `to` may hold `{host}`, `{path}`, `{query}` (with its `?`, or empty) and `{uri}` (path + query).
    """

    to: str
    status: int = 308


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """An answer that the route itself holds."""

    status: int = 200
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRewrite:
    """How the path changes on its way upstream; applied in this order."""

    strip_prefix: str = ""  # "/api": "/api/x" goes up as "/x"
    pattern: str = ""  # a regular expression that is searched in the path
    replacement: str = ""  # what its first match becomes; \1 to \9 are its groups
    add_prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balancing:
    """How a route's peer is chosen, and what each may have to do."""

    policy: str = "round_robin"  # weighted, least_conn, random2, consistent
    by: str = "client"  # of consistent: client, path, host, header:NAME, cookie:NAME
    weights: tuple[int, ...] = ()  # one for each upstream; none are all 1
    max_connections: int = 0  # exchanges under way per peer, over all workers; 0 is no limit
    queue: int = 1000  # exchanges per worker that may wait for a peer with room
    queue_s: float = 30.0
    slow_start_s: float = 0.0  # a peer that comes back gets its full share after that long
    panic: float = 0.25  # with less than that part of the peers usable, all are asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Ejection:
    """When a peer that fails is left alone for a while."""

    failures: int = 5  # in a row; 0 is never
    lasts_s: float = 10.0  # the first time; each further time twice as long, up to 5 minutes
    statuses: tuple[int, ...] = (502, 503, 504)  # answers of the peer that count as failures
    slow_s: float = 0.0  # an answer that begins later counts as one; 0 is never
    rate: float = 0.0  # part of a peer's exchanges within 10 s that may fail; 0 is not looked at
    outlier: float = 0.0  # so many times slower than the route's other peers; 0 is not looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """What control asks each peer of a route, again and again."""

    path: str = ""  # "" only connects
    interval_s: float = 5.0
    timeout_s: float = 2.0
    rise: int = 1  # good answers in a row until it is up
    fall: int = 3  # bad ones until it is down
    low: int = 200  # statuses that are good
    high: int = 399
    body: str = ""  # must be in the first 64 KiB
    host: str = ""  # the Host that is asked for; "" is the peer's address


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """How often the requests of one key may come."""

    requests: int
    per_s: float = 1.0
    burst: int = 0  # at once; 0 is `requests`
    by: str = "client"  # or host, path, header:NAME, cookie:NAME
    fields: bool = False  # RateLimit-* on every answer, not just on refusals
    ban_s: float = 0.0  # how long a client is banned that does not stop; 0 is never
    ban_after: int = 100  # refusals within a minute


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """How many requests of one key may be under way."""

    requests: int
    by: str = "client"  # or host, path, header:NAME, cookie:NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardAuth:
    """A service that is asked whether a request may pass."""

    upstream: str
    path: str = "/"  # what is asked for
    copy: tuple[str, ...] = ()  # fields of its answer that go on upstream, lower case
    timeout_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwt:
    """A signed token that a request must carry."""

    jwks: str  # the URL or the file of the keys
    algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    issuer: str = ""  # "" is not checked
    audience: tuple[str, ...] = ()
    cookie: str = ""  # where the token is; "" is the Authorization field
    leeway_s: float = 30.0
    claims: tuple[tuple[str, str], ...] = ()  # field for the peer, claim
    forward: bool = True  # the peer gets the token, too


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """Which pages of other origins may read the answers (the Fetch standard's CORS protocol)."""

    origins: tuple[str, ...]  # "*" is any
    methods: tuple[str, ...] = ("GET", "HEAD", "POST")
    headers: tuple[str, ...] = ()  # "*" is whatever is asked for
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age_s: int = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """Other peers that get some of the requests."""

    upstreams: tuple[str, ...]
    part: float = 0.0  # of the clients, always the same ones
    header: str = ""  # a field that decides: "always" and "never"
    cookie: str = ""  # a cookie that does


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """Another server that gets a copy of some requests; what it answers is dropped."""

    upstream: str
    part: float = 1.0
    timeout_s: float = 10.0
    at_once: int = 50  # copies under way per worker; past it there are none


@dataclass(frozen=True, slots=True, kw_only=True)
class Sticky:
    """A cookie that sends a client to the peer that it had."""

    cookie: str = "edged_peer"
    lasts_s: float = 0.0  # 0 is until the browser closes
    secure: bool = False
    same_site: str = "Lax"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """When a worker stops asking an upstream of which too much fails."""

    failures: float = 0.5  # part of the exchanges of a window
    least: int = 20  # exchanges of a window, below which nothing is said
    window_s: float = 10.0
    lasts_s: float = 5.0  # then one exchange finds out


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicAuth:
    """Who may ask, by name and password."""

    users: tuple[tuple[str, str], ...]  # name, bcrypt hash
    realm: str = "restricted"
    forward: bool = False  # the peer gets the Authorization field, too


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Whose requests a route takes, by the client's address."""

    allow: tuple[str, ...] = ()  # networks; empty is everybody
    deny: tuple[str, ...] = ()  # comes first


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """A folder whose files a route answers with."""

    root: str  # absolute
    index: str = "index.html"  # of a folder
    fallback: str = ""  # the file for every path that is none; "" is a 404
    # Paths whose files never change: here those with 8 or more hex digits, as bundlers name them.
    immutable: str = r"[.-][0-9a-f]{8,}\.[0-9a-z]+$"
    cache_control: str = ""  # of all others; "" is no such field
    precompressed: bool = True  # .br, .zst and .gz beside a file are sent to who takes them
    former: tuple[str, ...] = ()  # roots of before, for immutable files that are gone by now
    beside: bool = False  # what is no file goes to the peers


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A name that was written among the upstreams, and the addresses that stand there for it."""

    name: str  # "app.internal:9000", "srv:_http._tcp.api.internal"
    addresses: tuple[str, ...] = ()  # none: it was never resolved
    weights: tuple[int, ...] = ()  # what SRV records say, one for each address


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRoute:
    """An app that control runs. Its instances are the upstreams of its routes."""

    id: str  # "blog/production"
    start_s: float = 30.0  # how long it may take to be awake
    queue: int = 1000  # requests that may wait for that, over all workers
    page: bool = False  # browsers get a page meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAuth:
    """Certificates that a host asks its clients for."""

    ca: str  # the file of who signs them, as it is configured: `Certificate.client_ca_from`
    required: bool = True  # nobody is let in without


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One pattern and what its requests get: peers, a redirect or a fixed answer (just one)."""

    pattern: str  # canonical, see `edge.table.match.canonical`
    owner: str  # "edged.toml:" and the first pattern of its [[route]], or "app blog/production"
    upstreams: tuple[str, ...] = ()  # "127.0.0.1:9000", "[::1]:9000", "unix:/run/app.sock"
    names: tuple[Resolved, ...] = ()  # where those come from that were written as names
    balancing: Balancing | None = None  # None is round robin over peers that are all alike
    ejection: Ejection | None = None  # None is the default one
    health: HealthCheck | None = None  # None: nobody asks
    files: Files | None = None  # instead of peers
    limit: RateLimit | None = None
    access: Access | None = None
    basic_auth: BasicAuth | None = None
    concurrent: Concurrency | None = None
    forward_auth: ForwardAuth | None = None
    jwt: Jwt | None = None
    cors: Cors | None = None
    canary: Canary | None = None
    mirror: Mirror | None = None
    sticky: Sticky | None = None
    breaker: Breaker | None = None
    redirect: Redirect | None = None
    respond: Fixed | None = None
    request_headers: FieldRules | None = None
    response_headers: FieldRules | None = None
    path: PathRewrite | None = None
    upstream_host: str = ""  # the Host that goes up; "" is the client's own
    body_bytes: int = -1  # -1 is the limit of the settings, 0 is none
    first_byte_s: float = 0.0  # 0 is the timeout of the settings
    hedge_s: float = 0.0  # without an answer for that long a second peer is asked, too; 0: never
    bandwidth: int = 0  # bytes per second that each client may get; 0 is no limit
    error_pages: tuple[tuple[str, str], ...] = ()  # before those of the settings
    intercept: bool = False  # error pages take the place of a peer's own error answers, too
    security_headers: bool = False
    upstream_tls: UpstreamTls | None = None
    client_auth: ClientAuth | None = None  # what its host asks of clients
    app: AppRoute | None = None  # whose it is: without upstreams it sleeps


def encode(value: Route | Settings | Certificate) -> str:
    """The JSON text of a row. Fields at their default are left out, so most rows are short."""
    if isinstance(value, Certificate):
        return _ENCODER.encode(value)
    defaults = _ROUTE_DEFAULTS if isinstance(value, Route) else _SETTINGS_DEFAULTS
    parts = ((name, getattr(value, name), default) for name, default in defaults)
    return _ENCODER.encode({name: part for name, part, default in parts if part != default})


def decode_route(text: str) -> Route:
    """The route of a row's text; `ValueError` or `TypeError` for what `encode` never made."""
    raw: dict[str, Any] = json.loads(text)
    for name, kind in _ROUTE_PARTS.items():
        if name in raw:
            raw[name] = _decode_part(kind, raw[name])
    for name in ("upstreams", "error_pages"):
        raw[name] = _frozen(raw.get(name, []))
    if "names" in raw:
        raw["names"] = tuple(_decode_part(Resolved, found) for found in raw["names"])
    return Route(**raw)


def decode_settings(text: str) -> Settings:
    """The settings of a row's text."""
    raw: dict[str, Any] = json.loads(text)
    return Settings(
        limits=Limits(**raw.get("limits", {})),
        timeouts=Timeouts(**raw.get("timeouts", {})),
        trusted_proxies=tuple(raw.get("trusted_proxies", ())),
        proxy_protocol=tuple(raw.get("proxy_protocol", ())),
        underscore_headers=bool(raw.get("underscore_headers", False)),
        error_pages=tuple((status, path) for status, path in raw.get("error_pages", ())),
        modes=tuple(
            Mode(**mode | {"allow": tuple(mode["allow"])}) for mode in raw.get("modes", ())
        ),
        secret=raw.get("secret", ""),
        tls=_decode_tls(raw.get("tls")),
    )


def decode_certificate(text: str) -> Certificate:
    """The certificate of a row's text."""
    return Certificate(**json.loads(text))


# Private

_ROUTE_PARTS: Final[dict[str, type]] = {
    "redirect": Redirect,
    "respond": Fixed,
    "request_headers": FieldRules,
    "response_headers": FieldRules,
    "path": PathRewrite,
    "balancing": Balancing,
    "ejection": Ejection,
    "health": HealthCheck,
    "files": Files,
    "limit": RateLimit,
    "access": Access,
    "basic_auth": BasicAuth,
    "concurrent": Concurrency,
    "forward_auth": ForwardAuth,
    "jwt": Jwt,
    "cors": Cors,
    "canary": Canary,
    "mirror": Mirror,
    "sticky": Sticky,
    "breaker": Breaker,
    "upstream_tls": UpstreamTls,
    "client_auth": ClientAuth,
    "app": AppRoute,
}


def _defaults(kind: type[Route | Settings]) -> tuple[tuple[str, Any], ...]:
    """Its fields in order, each with what it is when it is not written; what has no default always
    is."""
    return tuple((each.name, each.default) for each in fields(kind))


_ROUTE_DEFAULTS: Final = _defaults(Route)
_SETTINGS_DEFAULTS: Final = _defaults(Settings)
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), default=asdict)


def _decode_tls(raw: dict[str, Any] | None) -> TlsSettings | None:
    if not raw:
        return None
    return TlsSettings(**raw | {"on_demand": tuple(raw["on_demand"])})


def _decode_part(kind: type, raw: dict[str, Any]) -> object:
    if kind is FieldRules:
        pairs = tuple((name, text) for name, text in raw.get("set", ()))
        return FieldRules(set=pairs, remove=tuple(raw.get("remove", ())))
    return kind(**{name: _frozen(part) for name, part in raw.items()})


def _frozen(part: object) -> object:
    """JSON has no tuples."""
    return tuple(map(_frozen, part)) if isinstance(part, list) else part
