"""The settings of a `[[route]]` about its peers: balancing, health, ejection."""

from dataclasses import asdict
from typing import Final

from control.config import kinds
from control.config.setting import DAY_S, Group, Setting, Shape
from edge.table.model import Balancing, Ejection, HealthCheck

_BALANCING: Final = asdict(Balancing())
_EJECTION: Final = asdict(Ejection())
_HEALTH: Final = asdict(HealthCheck())

BALANCING: Final = (
    Setting(
        key="balance",
        kind=kinds.BALANCE,
        default="round_robin",
        into="policy",
        needs_upstreams=True,
        doc="How the peer is chosen: `round_robin`, `weighted`, `least_conn` (over all workers),"
        " `random2` (the less busy of two), or `consistent(KEY)` with `client`, `path`, `host`,"
        " `header:NAME` or `cookie:NAME` as key.",
    ),
    Setting(
        key="weights",
        kind=kinds.COUNT,
        shape=Shape.MANY,
        repeats=True,
        low=1,
        high=1000,
        needs_upstreams=True,
        default_doc="those of SRV records, else 1",
        doc="One for each of `upstreams`, and so for each address of a name; for every way to"
        " balance but `round_robin`.",
    ),
    Setting(
        key="max_connections",
        kind=kinds.COUNT,
        default=_BALANCING["max_connections"],
        low=0,
        high=1_000_000,
        needs_upstreams=True,
        doc="Exchanges under way with one peer, over all workers; past it they wait. 0: no limit.",
    ),
    Setting(
        key="queue",
        kind=kinds.COUNT,
        default=_BALANCING["queue"],
        low=0,
        high=100_000,
        needs_upstreams=True,
        doc="How many exchanges of a worker may wait for a peer; past it 503 `queue-full`.",
    ),
    Setting(
        key="queue_timeout",
        kind=kinds.DURATION,
        default=_BALANCING["queue_s"],
        into="queue_s",
        low=0.01,
        high=3600.0,
        needs_upstreams=True,
        doc="How long they wait; then 504 `queue-timeout`.",
    ),
    Setting(
        key="slow_start",
        kind=kinds.DURATION,
        default=_BALANCING["slow_start_s"],
        into="slow_start_s",
        low=0.0,
        high=3600.0,
        needs_upstreams=True,
        doc="A peer that comes back gets its full share only after that long.",
    ),
    Setting(
        key="panic",
        kind=kinds.PART,
        default=_BALANCING["panic"],
        low=0.0,
        high=1.0,
        needs_upstreams=True,
        doc="With less than that part of the peers usable, all are asked.",
    ),
)

EJECTION: Final = Group(
    name="route.ejection",
    doc="A peer that fails several times in a row is left alone for a while by all workers; then"
    " one request at a time finds out whether it is well again.",
    settings=(
        Setting(
            key="failures",
            kind=kinds.COUNT,
            default=_EJECTION["failures"],
            low=0,
            high=1000,
            doc="In a row; 0 is never.",
        ),
        Setting(
            key="lasts",
            kind=kinds.DURATION,
            default=_EJECTION["lasts_s"],
            into="lasts_s",
            low=0.1,
            high=300.0,
            doc="The first time; each further time twice as long, up to 5m.",
        ),
        Setting(
            key="statuses",
            kind=kinds.COUNT,
            shape=Shape.MANY,
            default=_EJECTION["statuses"],
            low=400,
            high=599,
            doc="Answers that count as failures.",
        ),
        Setting(
            key="slow",
            kind=kinds.DURATION,
            default=_EJECTION["slow_s"],
            into="slow_s",
            low=0.0,
            high=DAY_S,
            doc="So does an answer that begins later than this; 0 is never.",
        ),
        Setting(
            key="rate",
            kind=kinds.PART,
            default=_EJECTION["rate"],
            low=0.0,
            high=1.0,
            doc="Part of its last 20 or more exchanges within 10s that may fail; 0% is not"
            " looked at.",
        ),
        Setting(
            key="outlier",
            kind=kinds.COUNT,
            default=int(_EJECTION["outlier"]),
            low=0,
            high=1000,
            doc="So many times slower than the route's other peers on average; 0 is not looked at.",
        ),
    ),
)

HEALTH: Final = Group(
    name="route.health",
    doc="What control asks each peer. A peer is not used before it was found well.",
    settings=(
        Setting(
            key="path",
            default=_HEALTH["path"],
            kind=kinds.HEALTH_PATH,
            doc='What is asked for by GET; "" only connects.',
        ),
        Setting(
            key="interval",
            kind=kinds.DURATION,
            default=_HEALTH["interval_s"],
            into="interval_s",
            low=0.1,
            high=DAY_S,
            doc="From one check of a peer to its next.",
        ),
        Setting(
            key="timeout",
            kind=kinds.DURATION,
            default=_HEALTH["timeout_s"],
            into="timeout_s",
            low=0.05,
            high=300.0,
            doc="For all of a check.",
        ),
        Setting(
            key="rise",
            kind=kinds.COUNT,
            default=_HEALTH["rise"],
            low=1,
            high=100,
            doc="Good checks in a row until a peer is used.",
        ),
        Setting(
            key="fall",
            kind=kinds.COUNT,
            default=_HEALTH["fall"],
            low=1,
            high=100,
            doc="Bad ones until it is not.",
        ),
        Setting(
            key="status",
            kind=kinds.STATUS_RANGE,
            default=(_HEALTH["low"], _HEALTH["high"]),
            doc='What a good answer has: "200" or "200-399".',
        ),
        Setting(key="body", default=_HEALTH["body"], doc="What its first 64 KiB must hold."),
        Setting(
            key="host",
            kind=kinds.AUTHORITY,
            default_doc="the peer as written, its address for SRV",
            doc="The Host that is asked for.",
        ),
    ),
)
