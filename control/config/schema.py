"""Every setting of the server file, declared once: key, kind, default, bounds, what it does.

Loading, checking, the reference and its tests all read these tables. Defaults of limits and
timeouts are those of `edge.table.model`, so nothing is said twice.
"""

from typing import Final

from control.config import kinds
from control.config.access_schema import BASIC_AUTH, CONCURRENT, CORS, FORWARD_AUTH, JWT, LIMIT
from control.config.app_schema import APP
from control.config.kind import Kind
from control.config.peer_schema import EJECTION, HEALTH
from control.config.route_schema import (
    FILES,
    REDIRECT,
    REQUEST_HEADERS,
    RESPOND,
    RESPONSE_HEADERS,
    REWRITE,
    ROUTE,
)
from control.config.setting import DAY_S, Group, Setting, Shape
from control.config.tls_schema import ROUTE_TLS, TLS, UPSTREAM_TLS
from control.config.traffic_schema import BREAKER, CANARY, MIRROR, STICKY
from edge.setup import WorkerOptions
from edge.table.model import Limits, Timeouts
from supervisor.spec import MAX_WORKERS

_LIMITS: Final = Limits()
_TIMEOUTS: Final = Timeouts()
_WORKER: Final = WorkerOptions()


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
            key="https",
            kind=kinds.LISTENER,
            shape=Shape.MANY,
            default_doc='`[":443"]` where `http` is not set either and the process may bind it,'
            " else none",
            doc="Where to listen with TLS, likewise.",
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
            key="resolver",
            kind=kinds.NAMESERVER,
            shape=Shape.MANY,
            default=(),
            default_doc="those of the system",
            doc="Nameservers for the names among `upstreams`; with any, only they and /etc/hosts"
            " are asked.",
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
            key="error_pages",
            kind=kinds.PAGE,
            names=kinds.PAGE_STATUS,
            shape=Shape.MAP,
            default=(),
            doc='Files that clients see instead of edged\'s own pages: `{ "404" = "404.html",'
            ' "5xx" ='
            ' "sorry.html" }`. `{status}`, `{reason}`, `{request}` and `{message}` in them are'
            " filled"
            " in.",
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

GROUPS: Final = (SERVER, TLS, LIMITS, TIMEOUTS, APP, ROUTE)
"""The tables of the file."""

ARRAYS: Final = (APP, ROUTE)
"""Those that are arrays of tables."""

ALL_GROUPS: Final = (
    *GROUPS, ROUTE_TLS, UPSTREAM_TLS, BASIC_AUTH, FORWARD_AUTH, JWT, CORS, LIMIT, CONCURRENT,
    EJECTION, HEALTH, STICKY, CANARY, MIRROR, BREAKER, FILES, REDIRECT, RESPOND, REQUEST_HEADERS,
    RESPONSE_HEADERS, REWRITE,
)  # fmt: skip
