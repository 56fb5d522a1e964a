"""Every setting of the server file, declared once: key, kind, default, bounds, what it does.

Loading, checking, the reference and its tests all read these tables. Defaults of limits and
timeouts are those of `edge.table.model`, so nothing is said twice.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from control.config import kinds
from control.config.kinds import Kind
from edge.setup import WorkerOptions
from edge.table.model import Fixed, Limits, Redirect, Timeouts
from supervisor.spec import MAX_WORKERS

DAY_S: Final = 86400.0


class Shape(Enum):
    """What a setting holds."""

    ONE = auto()  # one value
    MANY = auto()  # an array of values; one value alone is an array of one
    FIELDS = auto()  # a table of header names and values
    TABLE = auto()  # a table with settings of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One key."""

    key: str
    kind: Kind = kinds.TEXT
    doc: str
    shape: Shape = Shape.ONE
    default: Any = None  # as read; None is no value at all
    default_doc: str = ""  # where the default is more than a value
    low: float | None = None
    high: float | None = None
    into: str = ""  # the field of the dataclass that it becomes; "" is the key itself
    group: "Group | None" = None  # of a TABLE
    needs_upstreams: bool = False  # means nothing on a route that answers by itself

    @property
    def field(self) -> str:
        """The field of the dataclass that it becomes."""
        return self.into or self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A table of settings."""

    name: str
    doc: str
    settings: tuple[Setting, ...]
    required: tuple[str, ...] = ()
    short: str = ""  # the setting that a string in place of the whole table means

    def find(self, key: str) -> Setting | None:
        """The setting of that key."""
        return _BY_KEY[self.name].get(key)

    def keys(self) -> list[str]:
        """All keys."""
        return [setting.key for setting in self.settings]

    def defaults(self) -> dict[str, Any]:
        """What holds when nothing is written."""
        return {setting.key: setting.default for setting in self.settings}


_LIMITS: Final = Limits()
_TIMEOUTS: Final = Timeouts()
_WORKER: Final = WorkerOptions()
_REDIRECT: Final = Redirect(to="")
_FIXED: Final = Fixed()


def _limit(
    key: str, doc: str, kind: Kind, low: float, high: float | None, into: str = ""
) -> Setting:
    default = getattr(_LIMITS, into or key)
    return Setting(key=key, doc=doc, kind=kind, default=default, low=low, high=high, into=into)


def _timeout(key: str, doc: str, low: float = 0.01, high: float = DAY_S) -> Setting:
    default = getattr(_TIMEOUTS, f"{key}_s")
    return Setting(
        key=key,
        doc=doc,
        kind=kinds.DURATION,
        default=default,
        low=low,
        high=high,
        into=f"{key}_s",
    )


SERVER: Final = Group(
    name="server",
    doc="The process tree: a change of `state_dir`, `run_dir`, `metrics`, `user` or `group` needs"
    " a restart, all else a reload.",
    settings=(
        Setting(
            key="http",
            kind=kinds.LISTENER,
            shape=Shape.MANY,
            default_doc='`[":80"]` where the process may bind port 80, else `[":8080"]`',
            doc='Where to listen: ":80" is all addresses, IPv6 and IPv4; or "127.0.0.1:8080".',
        ),
        Setting(
            key="workers",
            kind=kinds.WORKERS,
            default=0,
            high=MAX_WORKERS,
            doc='How many workers serve; "auto" is one per core that edged may use.',
        ),
        Setting(
            key="state_dir",
            kind=kinds.PATH,
            default="state",
            doc="Folder of what must survive a restart.",
        ),
        Setting(
            key="run_dir",
            kind=kinds.PATH,
            default="run",
            doc="Folder of the admin socket `edged.sock` and the lock.",
        ),
        Setting(
            key="hooks",
            kind=kinds.HOOK,
            shape=Shape.MANY,
            default=(),
            doc="Files or modules with hooks, in the order in which they run.",
        ),
        Setting(
            key="trusted_proxies",
            kind=kinds.NETWORK,
            shape=Shape.MANY,
            default=(),
            doc="Networks whose X-Forwarded-* fields are believed.",
        ),
        Setting(
            key="proxy_protocol",
            kind=kinds.NETWORK,
            shape=Shape.MANY,
            default=(),
            doc="Networks whose connections begin with a PROXY header (v1 or v2).",
        ),
        Setting(
            key="access_log",
            kind=kinds.OPTIONAL_PATH,
            default_doc='`"run/access.log"` (in `run_dir`)',
            doc='File for one JSON line per answer; "-" is stdout, "" is none.',
        ),
        Setting(
            key="metrics",
            kind=kinds.LISTENER,
            default_doc="off",
            doc="Where Prometheus can scrape `/metrics`.",
        ),
        Setting(
            key="user",
            kind=kinds.ACCOUNT,
            default_doc="as root `edged` if there is such a user, else `nobody`",
            doc='User that workers run as when edged is started as root; "root" keeps its rights.',
        ),
        Setting(
            key="group",
            kind=kinds.ACCOUNT,
            default_doc="the user's own",
            doc="Group of the workers and of the admin socket.",
        ),
        Setting(
            key="underscore_headers",
            kind=kinds.FLAG,
            default=False,
            doc='Keep header fields with "_" or "." in their name instead of dropping them.',
        ),
        Setting(
            key="hang",
            kind=kinds.DURATION,
            default=10.0,
            low=1.0,
            high=3600.0,
            into="hang_s",
            doc="A worker whose loop stands still that long is replaced.",
        ),
    ),
)

LIMITS: Final = Group(
    name="limits",
    doc="What one exchange may cost. A reload changes them, no worker restarts.",
    settings=(
        _limit("head", "A request head in all.", kinds.SIZE, 1024, 1 << 20, "head_bytes"),
        _limit("request_line", "Its first line.", kinds.SIZE, 256, 1 << 20, "request_line_bytes"),
        _limit("fields", "Header fields of a message.", kinds.COUNT, 10, 10000),
        _limit("body", "A request body; 0 is no limit.", kinds.SIZE, 0, None, "body_bytes"),
        _limit(
            "replay",
            "A request body up to this size can be sent to a second peer.",
            kinds.SIZE,
            0,
            16 << 20,
            "replay_bytes",
        ),
        _limit("attempts", "How many peers a request is tried on.", kinds.COUNT, 1, 100),
        _limit(
            "pool_idle",
            "Idle connections kept per peer and worker.",
            kinds.COUNT,
            0,
            100_000,
        ),
        _limit(
            "connections",
            "Downstream connections per worker; past it, new ones wait.",
            kinds.COUNT,
            1,
            1_000_000,
        ),
    ),
)

TIMEOUTS: Final = Group(
    name="timeouts",
    doc="How long each step may take. All are finite. A reload changes them; a change of `drain`"
    " or `drain_upgraded` rolls the workers.",
    settings=(
        _timeout("head", "A request head in all, from its first byte."),
        _timeout("body_idle", "Between two pieces of a request body."),
        Setting(
            key="body_rate",
            kind=kinds.SIZE,
            default=_TIMEOUTS.body_rate,
            low=0,
            high=1 << 30,
            doc="Bytes per second that a request body must keep up on average; 0 is none.",
        ),
        _timeout("write_idle", "A write that the other side does not take."),
        _timeout("keep_alive", "An idle downstream connection."),
        _timeout("connect", "Connecting to a peer."),
        _timeout("first_byte", "From the request's end to the answer's first byte."),
        _timeout("stream_idle", "Between two pieces of an answer that has begun.", high=30 * DAY_S),
        _timeout("upgraded_idle", "An upgraded connection without a byte.", high=30 * DAY_S),
        _timeout("pool_idle", "An idle connection to a peer."),
        _timeout("hook", "A hook that keeps a request waiting; then it is answered with 500."),
        Setting(
            key="attempts",
            kind=kinds.DURATION,
            default=_LIMITS.attempts_s,
            low=0.0,
            high=3600.0,
            into="attempts_s",
            doc="No further attempt on another peer starts later than this.",
        ),
        Setting(
            key="drain",
            kind=kinds.DURATION,
            default=_WORKER.drain_s,
            low=0.0,
            high=DAY_S,
            into="drain_s",
            doc="How long a leaving worker may finish its exchanges.",
        ),
        Setting(
            key="drain_upgraded",
            kind=kinds.DURATION,
            default=_WORKER.drain_upgraded_s,
            low=0.0,
            high=30 * DAY_S,
            into="drain_upgraded_s",
            doc="How long it may keep upgraded connections and event streams.",
        ),
    ),
)

REDIRECT: Final = Group(
    name="route.redirect",
    doc='A redirect; a string alone is its `to`. `to` may hold "{host}", "{path}", "{query}" (with'
    ' its "?") and "{uri}" (path and query).',
    settings=(
        Setting(key="to", kind=kinds.TARGET, doc="Where the client is sent."),
        Setting(
            key="status",
            kind=kinds.REDIRECT_STATUS,
            default=_REDIRECT.status,
            doc="301, 302, 303, 307 or 308.",
        ),
    ),
    required=("to",),
    short="to",
)

RESPOND: Final = Group(
    name="route.respond",
    doc="A fixed answer; a string alone is its `body`.",
    settings=(
        Setting(
            key="status",
            kind=kinds.COUNT,
            default=_FIXED.status,
            low=200,
            high=599,
            doc="The status.",
        ),
        Setting(key="body", default=_FIXED.body, doc="The text."),
        Setting(
            key="content_type",
            kind=kinds.FIELD_VALUE,
            default=_FIXED.content_type,
            doc="What the text is.",
        ),
    ),
    short="body",
)

REQUEST_HEADERS: Final = Group(
    name="route.request_headers",
    doc="Changes to the fields that go upstream. Removing comes first.",
    settings=(
        Setting(
            key="set",
            shape=Shape.FIELDS,
            kind=kinds.FIELD_VALUE,
            default=(),
            doc="Fields to set, replacing what there was.",
        ),
        Setting(
            key="remove",
            kind=kinds.FIELD_NAME,
            shape=Shape.MANY,
            default=(),
            doc="Fields to remove.",
        ),
    ),
)

RESPONSE_HEADERS: Final = Group(
    name="route.response_headers",
    doc="Changes to the fields that go to the client. Removing comes first.",
    settings=REQUEST_HEADERS.settings,
)

REWRITE: Final = Group(
    name="route.rewrite",
    doc="A change of the path that goes upstream, after `strip_prefix` and before `add_prefix`.",
    settings=(
        Setting(
            key="pattern",
            kind=kinds.EXPRESSION,
            doc="Regular expression; its first match in the path is replaced.",
        ),
        Setting(
            key="to",
            kind=kinds.TEXT,
            doc=r"What the match becomes; `\1` to `\9` are its groups.",
        ),
    ),
    required=("pattern", "to"),
)

ROUTE: Final = Group(
    name="route",
    doc="Which requests go where; as many as wanted. A route has just one of `upstreams`,"
    " `redirect` and `respond`.",
    settings=(
        Setting(
            key="match",
            kind=kinds.PATTERN,
            shape=Shape.MANY,
            doc="`host`, `*.host` or `*`, each with an optional `/path` or `/path/*`.",
        ),
        Setting(
            key="upstreams",
            kind=kinds.PEER,
            shape=Shape.MANY,
            doc='Peers: "IP:port", "name:port", "unix:/path".',
        ),
        Setting(
            key="balance",
            kind=kinds.BALANCE,
            default="round_robin",
            needs_upstreams=True,
            doc="How the peer is chosen: `round_robin`.",
        ),
        Setting(key="redirect", shape=Shape.TABLE, group=REDIRECT, doc="A redirect instead."),
        Setting(key="respond", shape=Shape.TABLE, group=RESPOND, doc="A fixed answer instead."),
        Setting(
            key="request_headers",
            shape=Shape.TABLE,
            group=REQUEST_HEADERS,
            needs_upstreams=True,
            doc="Header fields to set and remove on the way upstream.",
        ),
        Setting(
            key="response_headers",
            shape=Shape.TABLE,
            group=RESPONSE_HEADERS,
            doc="Header fields to set and remove on the way back.",
        ),
        Setting(
            key="strip_prefix",
            kind=kinds.PREFIX,
            needs_upstreams=True,
            doc='Taken off the path: "/api" makes "/api/x" go up as "/x".',
        ),
        Setting(
            key="add_prefix",
            kind=kinds.PREFIX,
            needs_upstreams=True,
            doc="Put before the path.",
        ),
        Setting(
            key="rewrite",
            shape=Shape.TABLE,
            group=REWRITE,
            needs_upstreams=True,
            doc="A change of the path by a regular expression.",
        ),
        Setting(
            key="upstream_host",
            kind=kinds.AUTHORITY,
            needs_upstreams=True,
            default_doc="the client's own",
            doc="The Host that goes upstream.",
        ),
        Setting(
            key="body",
            kind=kinds.SIZE,
            default_doc="that of [limits]",
            into="body_bytes",
            doc="A request body; 0 is no limit.",
        ),
        Setting(
            key="first_byte",
            kind=kinds.DURATION,
            default_doc="that of [timeouts]",
            low=0.01,
            high=DAY_S,
            into="first_byte_s",
            needs_upstreams=True,
            doc="From the request's end to the answer's first byte.",
        ),
    ),
    required=("match",),
)

GROUPS: Final = (SERVER, LIMITS, TIMEOUTS, ROUTE)
"""The tables of the file. `route` is an array of tables."""

ALL_GROUPS: Final = (*GROUPS, REDIRECT, RESPOND, REQUEST_HEADERS, RESPONSE_HEADERS, REWRITE)

_BY_KEY: Final = {
    group.name: {setting.key: setting for setting in group.settings} for group in ALL_GROUPS
}
