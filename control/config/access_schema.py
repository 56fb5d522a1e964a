"""The settings of a `[[route]]` about who may ask, and how often."""

from dataclasses import asdict
from typing import Final

from control.config import kinds
from control.config.setting import DAY_S, Group, Setting, Shape
from edge.table.model import BasicAuth, Concurrency, Cors, ForwardAuth, Jwt, RateLimit

_JWT: Final = asdict(Jwt(jwks=""))
_CORS: Final = asdict(Cors(origins=()))
_LIMIT: Final = asdict(RateLimit(requests=0))

LIMIT: Final = Group(
    name="route.limit",
    doc="How often the requests of one key may come, counted over all workers: a token bucket."
    " Past it they get 429 `rate-limited` with `Retry-After`.",
    settings=(
        Setting(key="requests", kind=kinds.COUNT, low=1, high=10_000_000, doc="How many may come."),
        Setting(
            key="per",
            kind=kinds.DURATION,
            default=_LIMIT["per_s"],
            into="per_s",
            low=0.001,
            high=30 * DAY_S,
            doc="In that time.",
        ),
        Setting(
            key="burst",
            kind=kinds.COUNT,
            default=_LIMIT["burst"],
            low=0,
            high=10_000_000,
            default_doc="as many as `requests`",
            doc="How many may come at once.",
        ),
        Setting(
            key="by",
            kind=kinds.KEY,
            default=_LIMIT["by"],
            doc="What has a bucket of its own: each `client` (an IPv6 network of /64 is one),"
            " `host`, `path`, `header:NAME` or `cookie:NAME`.",
        ),
        Setting(
            key="fields",
            kind=kinds.FLAG,
            default=_LIMIT["fields"],
            doc="`RateLimit-*` on every answer, and not only on refusals.",
        ),
        Setting(
            key="ban",
            kind=kinds.DURATION,
            default=_LIMIT["ban_s"],
            into="ban_s",
            low=0.0,
            high=30 * DAY_S,
            doc="How long a client is banned (403 `banned`) that goes on all the same; 0 is never.",
        ),
        Setting(
            key="ban_after",
            kind=kinds.COUNT,
            default=_LIMIT["ban_after"],
            low=1,
            high=1_000_000,
            doc="After how many refusals within a minute.",
        ),
    ),
    required=("requests",),
)

CONCURRENT: Final = Group(
    name="route.concurrent",
    doc="How many requests of one key may be under way at the same time, counted over all workers."
    " Past it they get 429 `concurrency-limited`.",
    settings=(
        Setting(key="requests", kind=kinds.COUNT, low=1, high=1_000_000, doc="So many."),
        Setting(
            key="by",
            kind=kinds.KEY,
            default=Concurrency(requests=1).by,
            doc="What has a count of its own, as in [route.limit].",
        ),
    ),
    required=("requests",),
)

FORWARD_AUTH: Final = Group(
    name="route.forward_auth",
    doc="Asks a service whether a request may pass: it gets the request's fields without its body,"
    " and `X-Forwarded-Method` and `X-Forwarded-Uri`. Its 2xx lets it pass, any other answer"
    " goes to"
    " the client, and none is 502 `auth-failed`. A string alone is its `upstream`.",
    settings=(
        Setting(key="upstream", kind=kinds.PEER, doc="The service."),
        Setting(
            key="path",
            kind=kinds.PREFIX,
            default=ForwardAuth(upstream="").path,
            doc="What is asked for, with GET.",
        ),
        Setting(
            key="copy",
            kind=kinds.FIELD_NAME,
            shape=Shape.MANY,
            default=(),
            doc="Fields of its answer that go upstream; what the client sent by these names does"
            " not.",
        ),
        Setting(
            key="timeout",
            kind=kinds.DURATION,
            default=ForwardAuth(upstream="").timeout_s,
            into="timeout_s",
            low=0.01,
            high=60.0,
            doc="For all of the question.",
        ),
    ),
    required=("upstream",),
    short="upstream",
)

JWT: Final = Group(
    name="route.jwt",
    doc="Asks for a signed token (RFC 7519) as `Authorization: Bearer` or in a cookie; without a"
    " good"
    " one 401 `unauthorized`. A string alone is its `jwks`.",
    settings=(
        Setting(
            key="jwks",
            kind=kinds.KEYS,
            doc="Where the public keys are (RFC 7517): a URL, asked again every 10 minutes and for"
            " unknown keys, or a file.",
        ),
        Setting(
            key="algorithms",
            kind=kinds.ALGORITHM,
            shape=Shape.MANY,
            default=_JWT["algorithms"],
            default_doc="`RS256`, `ES256`, `EdDSA`",
            doc="How it may be signed.",
        ),
        Setting(key="issuer", default=_JWT["issuer"], doc='Its `iss`; "" is not checked.'),
        Setting(
            key="audience",
            shape=Shape.MANY,
            default=(),
            default_doc="any",
            doc="Its `aud` must be one of these.",
        ),
        Setting(
            key="cookie",
            kind=kinds.TOKEN_NAME,
            default_doc="the Authorization field",
            doc="The cookie that it is in.",
        ),
        Setting(
            key="leeway",
            kind=kinds.DURATION,
            default=_JWT["leeway_s"],
            into="leeway_s",
            low=0.0,
            high=3600.0,
            doc="How wrong the clocks may be.",
        ),
        Setting(
            key="claims",
            shape=Shape.FIELDS,
            kind=kinds.FIELD_VALUE,
            default=(),
            doc='Fields for the peer, from its claims: `{ X-User = "sub" }`. What the client'
            " sent by"
            " these names does not go upstream.",
        ),
        Setting(
            key="forward",
            kind=kinds.FLAG,
            default=_JWT["forward"],
            doc="The peer gets the token, too.",
        ),
    ),
    required=("jwks",),
    short="jwks",
)

CORS: Final = Group(
    name="route.cors",
    doc="Which pages of other origins may read the answers. Preflight requests are answered by"
    " edged.",
    settings=(
        Setting(
            key="origins",
            kind=kinds.ORIGIN,
            shape=Shape.MANY,
            doc='Such as "https://app.example.com"; "*" is any.',
        ),
        Setting(
            key="methods",
            kind=kinds.TOKEN_NAME,
            shape=Shape.MANY,
            default=_CORS["methods"],
            default_doc="`GET`, `HEAD`, `POST`",
            doc="With which methods.",
        ),
        Setting(
            key="headers",
            kind=kinds.TOKEN_NAME,
            shape=Shape.MANY,
            default=(),
            doc='With which request fields besides the usual; "*" is any.',
        ),
        Setting(
            key="expose",
            kind=kinds.TOKEN_NAME,
            shape=Shape.MANY,
            default=(),
            doc="Which fields of the answer they may read besides the usual.",
        ),
        Setting(
            key="credentials",
            kind=kinds.FLAG,
            default=_CORS["credentials"],
            doc='With cookies; not together with the origin "*".',
        ),
        Setting(
            key="max_age",
            kind=kinds.DURATION,
            default=float(_CORS["max_age_s"]),
            into="max_age_s",
            low=0.0,
            high=DAY_S,
            doc="How long a browser may remember it.",
        ),
    ),
    required=("origins",),
)

BASIC_AUTH: Final = Group(
    name="route.basic_auth",
    doc="Asks for a name and a password; without the right ones 401 `unauthorized`. Use it with"
    " TLS: what a browser sends is the password itself.",
    settings=(
        Setting(
            key="users",
            kind=kinds.USER,
            shape=Shape.MANY,
            doc='Each as "NAME:HASH", as `htpasswd -nB NAME` prints it (bcrypt).',
        ),
        Setting(
            key="realm",
            kind=kinds.REALM,
            default=BasicAuth(users=()).realm,
            doc="What a browser shows.",
        ),
        Setting(
            key="forward",
            kind=kinds.FLAG,
            default=BasicAuth(users=()).forward,
            doc="Peers get the Authorization field, too.",
        ),
    ),
    required=("users",),
)

ACCESS: Final = (
    Setting(
        key="allow",
        kind=kinds.NETWORK,
        shape=Shape.MANY,
        default_doc="everybody",
        doc="Networks of the clients that may ask; others get 403 `denied`.",
    ),
    Setting(
        key="deny",
        kind=kinds.NETWORK,
        shape=Shape.MANY,
        default=(),
        doc="Networks of the clients that may not; comes before `allow`.",
    ),
    Setting(
        key="basic_auth",
        shape=Shape.TABLE,
        group=BASIC_AUTH,
        doc="A name and a password before this route.",
    ),
    Setting(
        key="forward_auth",
        shape=Shape.TABLE,
        group=FORWARD_AUTH,
        doc="A service that decides who passes.",
    ),
    Setting(key="jwt", shape=Shape.TABLE, group=JWT, doc="A signed token before this route."),
    Setting(key="cors", shape=Shape.TABLE, group=CORS, doc="Who may read the answers elsewhere."),
    Setting(
        key="security_headers",
        kind=kinds.FLAG,
        default=False,
        doc="`X-Content-Type-Options: nosniff`, `X-Frame-Options: SAMEORIGIN` and `Referrer-Policy:"
        " strict-origin-when-cross-origin`, where the answer has no such field.",
    ),
    Setting(key="limit", shape=Shape.TABLE, group=LIMIT, doc="How often they may ask."),
    Setting(
        key="concurrent", shape=Shape.TABLE, group=CONCURRENT, doc="How much they may at once."
    ),
    Setting(
        key="bandwidth",
        kind=kinds.SIZE,
        default=0,
        low=0,
        high=1 << 30,
        doc="Bytes per second that each client gets of bodies, over all workers; 0 is no limit.",
    ),
)
