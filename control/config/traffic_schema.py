"""The settings of a `[[route]]` about where its traffic goes besides its peers' balance."""

from dataclasses import asdict
from typing import Final

from control.config import kinds
from control.config.setting import DAY_S, Group, Setting, Shape
from edge.table.model import Breaker, Canary, Mirror, Sticky

_BREAKER: Final = asdict(Breaker())
_MIRROR: Final = asdict(Mirror(upstream=""))
_STICKY: Final = asdict(Sticky())

CANARY: Final = Group(
    name="route.canary",
    doc="Other peers that get some of the requests. When none of them can be reached, the"
    " route's own"
    " are asked.",
    settings=(
        Setting(key="upstreams", kind=kinds.PEER, shape=Shape.MANY, doc="The other peers."),
        Setting(
            key="part",
            kind=kinds.PART,
            default=Canary(upstreams=()).part,
            low=0.0,
            high=1.0,
            doc="Of the clients, by their address: always the same ones.",
        ),
        Setting(
            key="header",
            kind=kinds.TOKEN_NAME,
            default_doc="none",
            doc='A field that decides before it: "always" or "never".',
        ),
        Setting(
            key="cookie",
            kind=kinds.TOKEN_NAME,
            default_doc="none",
            doc="A cookie that does.",
        ),
    ),
    required=("upstreams",),
)

MIRROR: Final = Group(
    name="route.mirror",
    doc="Another server that gets a copy of requests once they are answered. What it answers is"
    " dropped, so it can neither slow nor fail a request. A string alone is its `upstream`.",
    settings=(
        Setting(key="upstream", kind=kinds.PEER, doc="The other server."),
        Setting(
            key="part",
            kind=kinds.PART,
            default=_MIRROR["part"],
            low=0.0,
            high=1.0,
            doc="Of the requests, at random. Those whose body is over limits.replay have no copy.",
        ),
        Setting(
            key="timeout",
            kind=kinds.DURATION,
            default=_MIRROR["timeout_s"],
            into="timeout_s",
            low=0.01,
            high=300.0,
            doc="For all of a copy.",
        ),
        Setting(
            key="at_once",
            kind=kinds.COUNT,
            default=_MIRROR["at_once"],
            low=1,
            high=10_000,
            doc="Copies under way per worker; past it requests have none.",
        ),
    ),
    required=("upstream",),
    short="upstream",
)

STICKY: Final = Group(
    name="route.sticky",
    doc="A cookie, keyed so that nobody can make one up, that sends a client to the peer that it"
    " had"
    " as long as that one may be asked.",
    settings=(
        Setting(key="cookie", kind=kinds.TOKEN_NAME, default=_STICKY["cookie"], doc="Its name."),
        Setting(
            key="lasts",
            kind=kinds.DURATION,
            default=_STICKY["lasts_s"],
            into="lasts_s",
            low=0.0,
            high=365 * DAY_S,
            doc="How long a browser keeps it; 0 is until it closes.",
        ),
        Setting(
            key="secure",
            kind=kinds.FLAG,
            default=_STICKY["secure"],
            doc="It is sent over https only.",
        ),
        Setting(
            key="same_site",
            kind=kinds.SAME_SITE,
            default=_STICKY["same_site"],
            doc="`Lax`, `Strict` or `None`.",
        ),
    ),
)

BREAKER: Final = Group(
    name="route.breaker",
    doc="A worker whose exchanges with the route's peers fail too often stops asking them for a"
    " while: 503 `circuit-open` at once, instead of a wait for each. Then one exchange finds out.",
    settings=(
        Setting(
            key="failures",
            kind=kinds.PART,
            default=_BREAKER["failures"],
            low=0.01,
            high=1.0,
            doc="Part of them that fail, in a window.",
        ),
        Setting(
            key="least",
            kind=kinds.COUNT,
            default=_BREAKER["least"],
            low=1,
            high=1_000_000,
            doc="With fewer exchanges in the window it stays closed.",
        ),
        Setting(
            key="window",
            kind=kinds.DURATION,
            default=_BREAKER["window_s"],
            into="window_s",
            low=0.1,
            high=3600.0,
            doc="The window.",
        ),
        Setting(
            key="lasts",
            kind=kinds.DURATION,
            default=_BREAKER["lasts_s"],
            into="lasts_s",
            low=0.1,
            high=3600.0,
            doc="How long it is open.",
        ),
    ),
)

TRAFFIC: Final = (
    Setting(
        key="sticky",
        shape=Shape.TABLE,
        group=STICKY,
        needs_upstreams=True,
        doc="Clients keep their peer.",
    ),
    Setting(
        key="canary",
        shape=Shape.TABLE,
        group=CANARY,
        needs_upstreams=True,
        doc="Other peers for some requests.",
    ),
    Setting(
        key="mirror",
        shape=Shape.TABLE,
        group=MIRROR,
        needs_upstreams=True,
        doc="A server that gets copies.",
    ),
    Setting(
        key="hedge",
        kind=kinds.DURATION,
        default=0.0,
        into="hedge_s",
        low=0.0,
        high=DAY_S,
        needs_upstreams=True,
        doc="Without an answer for that long, a second peer is asked too and the first answer"
        " counts:"
        " for GET, HEAD and OPTIONS without a body. 0 is never.",
    ),
    Setting(
        key="breaker",
        shape=Shape.TABLE,
        group=BREAKER,
        needs_upstreams=True,
        doc="When the upstream as a whole is left alone.",
    ),
)
