"""The settings of a `[[route]]` and of the tables in it."""

from dataclasses import asdict
from typing import Final

from control.config import kinds
from control.config.access_schema import ACCESS
from control.config.peer_schema import BALANCING, EJECTION, HEALTH
from control.config.setting import DAY_S, Group, Setting, Shape
from control.config.tls_schema import ROUTE_TLS, UPSTREAM_TLS
from control.config.traffic_schema import TRAFFIC
from edge.table.model import Files, Fixed, Redirect

_REDIRECT: Final = Redirect(to="")
_FIXED: Final = Fixed()
_FILES: Final = asdict(Files(root=""))

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

FILES: Final = Group(
    name="route.files",
    doc="How the files beneath `root` are served. Symbolic links in it are not followed, and names"
    " with a leading dot are hidden, but for `.well-known`.",
    settings=(
        Setting(key="index", kind=kinds.FILE_NAME, default=_FILES["index"], doc="A folder's page."),
        Setting(
            key="fallback",
            kind=kinds.OPTIONAL_PATH,
            default=_FILES["fallback"],
            doc="The file for paths that are none, as applications in the browser want it.",
        ),
        Setting(
            key="immutable",
            kind=kinds.OPTIONAL_EXPRESSION,
            default=_FILES["immutable"],
            default_doc="names with a hash, such as `app.3f2a9c1b.js`",
            doc='Regular expression for paths whose files never change; "" is none.',
        ),
        Setting(
            key="cache_control",
            kind=kinds.FIELD_VALUE,
            default=_FILES["cache_control"],
            doc="The Cache-Control of all others.",
        ),
        Setting(
            key="precompressed",
            kind=kinds.FLAG,
            default=_FILES["precompressed"],
            doc="Send `x.br`, `x.zst` or `x.gz` for `x` to clients that take them.",
        ),
    ),
)

ROUTE: Final = Group(
    name="route",
    doc="Which requests go where; as many as wanted. A route has just one of `upstreams`,"
    " `root`, `redirect` and `respond`.",
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
            doc='Peers: "IP:port", "unix:/path", "name:port" (each address of the name),'
            ' "srv:name" (what its SRV records say).',
        ),
        Setting(key="tls", shape=Shape.TABLE, group=ROUTE_TLS, doc="The certificate of its hosts."),
        Setting(
            key="upstream_tls",
            shape=Shape.TABLE,
            group=UPSTREAM_TLS,
            needs_upstreams=True,
            doc="Speak TLS with the peers.",
        ),
        *ACCESS,
        *BALANCING,
        Setting(
            key="ejection",
            shape=Shape.TABLE,
            group=EJECTION,
            needs_upstreams=True,
            doc="When a peer that fails is left alone.",
        ),
        Setting(
            key="health",
            shape=Shape.TABLE,
            group=HEALTH,
            needs_upstreams=True,
            doc="A check of the peers.",
        ),
        *TRAFFIC,
        Setting(
            key="root",
            kind=kinds.PATH,
            doc="A folder whose files are the answers instead.",
        ),
        Setting(key="files", shape=Shape.TABLE, group=FILES, doc="How those files are served."),
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
            key="error_pages",
            kind=kinds.PAGE,
            names=kinds.PAGE_STATUS,
            shape=Shape.MAP,
            default=(),
            doc="Before those of [server].",
        ),
        Setting(
            key="intercept",
            kind=kinds.FLAG,
            default=False,
            needs_upstreams=True,
            doc="They take the place of a peer's own error answers, too.",
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
