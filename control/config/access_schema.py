"""The settings of a `[[route]]` about who may ask, and how often."""

from dataclasses import asdict
from typing import Final

from control.config import kinds
from control.config.setting import DAY_S, Group, Setting, Shape
from edge.table.model import BasicAuth, RateLimit

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
    ),
    required=("requests",),
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
    Setting(key="limit", shape=Shape.TABLE, group=LIMIT, doc="How often they may ask."),
)
