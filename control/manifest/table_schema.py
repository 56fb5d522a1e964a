"""The tables of an app's file. Defaults are those of `spec`."""

from dataclasses import asdict
from typing import Final

from control.config import kinds
from control.config.setting import DAY_S, Group, Setting, Shape
from control.manifest import app_kinds
from control.manifest.spec import AppHealth, Assets, Instances, Resources, Times, Waiting

_INSTANCES: Final = asdict(Instances())
_HEALTH: Final = asdict(AppHealth())
_TIMES: Final = asdict(Times())
_RESOURCES: Final = asdict(Resources())
_WAITING: Final = asdict(Waiting())
_ASSETS: Final = asdict(Assets())


def _time(key: str, doc: str, high: float) -> Setting:
    return Setting(
        key=key,
        kind=kinds.DURATION,
        default=_TIMES[f"{key}_s"],
        into=f"{key}_s",
        low=0.0 if key == "stability" else 0.1,
        high=high,
        doc=doc,
    )


BUILD: Final = Group(
    name="build",
    doc="How a release is made ready, in its folder.",
    settings=(
        Setting(
            key="commands",
            kind=app_kinds.COMMAND,
            shape=Shape.MANY,
            repeats=True,
            default_doc="as the runtime is usually built",
            doc="What is run, in this order; `[]` is nothing.",
        ),
        Setting(
            key="vars",
            kind=app_kinds.VAR_VALUE,
            names=app_kinds.VAR_NAME,
            shape=Shape.MAP,
            default=(),
            doc="Environment of these commands alone, besides the app's.",
        ),
        Setting(
            key="timeout",
            kind=kinds.DURATION,
            default=_TIMES["build_s"],
            into="build_s",
            low=1.0,
            high=DAY_S,
            doc="For all of them together.",
        ),
    ),
)

INSTANCES: Final = Group(
    name="instances",
    doc="How many processes serve.",
    settings=(
        Setting(
            key="min",
            kind=kinds.COUNT,
            default=_INSTANCES["min"],
            low=0,
            high=100,
            doc="So many always run; with 0 the app sleeps when it is idle.",
        ),
        Setting(
            key="max",
            kind=kinds.COUNT,
            default=_INSTANCES["max"],
            default_doc="`1`, or `min` if that is more",
            low=1,
            high=100,
            doc="So many at most, when there is much to do.",
        ),
        Setting(
            key="idle",
            kind=kinds.DURATION,
            default=_INSTANCES["idle_s"],
            into="idle_s",
            low=1.0,
            high=30 * DAY_S,
            doc="After so long without a byte the app sleeps.",
        ),
        Setting(
            key="concurrency",
            kind=kinds.COUNT,
            default=_INSTANCES["concurrency"],
            low=1,
            high=100_000,
            doc="Exchanges under way in each, past which one more is started.",
        ),
    ),
)

HEALTH: Final = Group(
    name="health",
    doc="What an instance is asked before it serves, and while it does.",
    short="path",
    settings=(
        Setting(
            key="path",
            kind=kinds.HEALTH_PATH,
            default=_HEALTH["path"],
            doc='What is asked for by GET; "" only connects.',
        ),
        Setting(
            key="host",
            kind=kinds.AUTHORITY,
            default_doc="that of the first route",
            doc="The Host that is asked for.",
        ),
        Setting(
            key="interval",
            kind=kinds.DURATION,
            default=_HEALTH["interval_s"],
            into="interval_s",
            low=0.1,
            high=DAY_S,
            doc="From one question to the next.",
        ),
        Setting(
            key="timeout",
            kind=kinds.DURATION,
            default=_HEALTH["timeout_s"],
            into="timeout_s",
            low=0.05,
            high=300.0,
            doc="For an answer.",
        ),
        Setting(
            key="fall",
            kind=kinds.COUNT,
            default=_HEALTH["fall"],
            low=1,
            high=100,
            doc="Bad answers in a row until an instance is replaced.",
        ),
        Setting(
            key="expected",
            kind=kinds.STATUS_RANGE,
            shape=Shape.MANY,
            default=_HEALTH["statuses"],
            into="statuses",
            default_doc='`["200-399"]` where `path` is written, else `["200-499"]`',
            doc="What good answers have.",
        ),
    ),
)

LIMITS: Final = Group(
    name="limits",
    doc="How long things may take, and what all processes of one instance, or of one command of a"
    " deploy, may use together.",
    settings=(
        _time("start", "Until a new instance is ready.", 3600.0),
        _time("drain", "For an instance to finish what it has, and to end.", 3600.0),
        _time("stability", "How long new instances must stay well before they serve.", 3600.0),
        _time("release", "For the release command.", DAY_S),
        Setting(
            key="memory",
            kind=kinds.SIZE,
            default=_RESOURCES["memory_bytes"],
            into="memory_bytes",
            doc="Past it the instance is killed and started anew. 0: no limit.",
        ),
        Setting(
            key="cpus",
            kind=app_kinds.CPUS,
            default=_RESOURCES["cpus"],
            doc="Cores, such as `0.5`; at least 0.01. 0: no limit.",
        ),
        Setting(
            key="pids",
            kind=kinds.COUNT,
            default=_RESOURCES["pids"],
            low=0,
            high=4_000_000,
            doc="Processes and threads. 0: no limit.",
        ),
    ),
)

WAITING: Final = Group(
    name="waiting",
    doc="What becomes of requests while the app wakes.",
    settings=(
        Setting(
            key="room",
            kind=kinds.COUNT,
            default=_WAITING["room"],
            low=1,
            high=1_000_000,
            doc="So many wait, over all workers; those past it get 503.",
        ),
        Setting(
            key="page",
            kind=kinds.FLAG,
            default=_WAITING["page"],
            doc="Browsers see a page meanwhile that loads itself anew.",
        ),
    ),
)

ASSETS: Final = Group(
    name="assets",
    doc="Files of the release that are served in front of the app, which is not asked for them.",
    short="folder",
    required=("folder",),
    settings=(
        Setting(
            key="folder",
            kind=app_kinds.FOLDER,
            doc="Where they are; what it lacks is asked of the app.",
        ),
        Setting(
            key="path",
            kind=kinds.PREFIX,
            default=_ASSETS["path"],
            doc="Below which they are found.",
        ),
    ),
)

PROCESS: Final = Group(
    name="process",
    doc="A process beside those that serve, such as a worker of a queue. It does not sleep.",
    required=("command",),
    settings=(
        Setting(key="command", kind=app_kinds.PROCESS, into="argv", doc="What is run."),
        Setting(
            key="instances",
            kind=kinds.COUNT,
            default=1,
            low=0,
            high=100,
            doc="How many of it.",
        ),
    ),
)

CRON: Final = Group(
    name="cron",
    doc="A command that is run by the clock, in UTC; never twice at a time.",
    required=("schedule", "command"),
    settings=(
        Setting(
            key="schedule",
            kind=app_kinds.SCHEDULE,
            doc='`minute hour day month weekday` as in cron, or `"@daily"` and its kin.',
        ),
        Setting(key="command", kind=app_kinds.COMMAND, into="argv", doc="What is run."),
        Setting(
            key="timeout",
            kind=kinds.DURATION,
            default=3600.0,
            into="timeout_s",
            low=1.0,
            high=30 * DAY_S,
            doc="Then it is ended.",
        ),
    ),
)
