"""Every setting of an app's file, declared once: key, kind, default, bounds, what it does.

An environment may say anew whatever its table has: tables and `vars` are joined key by key, all
else takes the place of what stands above.
"""

from dataclasses import replace
from typing import Final

from control.config import kinds
from control.config.setting import Group, Setting, Shape
from control.manifest import app_kinds
from control.manifest.spec import RUNTIMES
from control.manifest.table_schema import (
    ASSETS,
    BUILD,
    CRON,
    HEALTH,
    INSTANCES,
    LIMITS,
    PROCESS,
    WAITING,
)

_LISTED: Final = ", ".join(f"`{name}`" for name in RUNTIMES)

TABLES: Final = (BUILD, INSTANCES, HEALTH, LIMITS, WAITING, ASSETS)

_VARS: Final = Setting(
    key="vars",
    kind=app_kinds.VAR_VALUE,
    names=app_kinds.VAR_NAME,
    shape=Shape.MAP,
    default=(),
    doc="Environment of all its commands and processes. Secrets do not belong here.",
)


def _table(group: Group) -> Setting:
    title = f"[{group.name}]"
    return Setting(
        key=group.name, shape=Shape.TABLE, group=group, default_doc="see below", doc=f"`{title}`."
    )


def _homes() -> tuple[tuple[str, str], ...]:
    """Keys of one table alone: who writes them elsewhere is told where they belong."""
    owned = [(setting.key, group.name) for group in TABLES for setting in group.settings]
    keys = [key for key, _ in owned]
    return tuple((key, f"under [{name}]") for key, name in owned if keys.count(key) == 1)


_COMMON: Final = (
    Setting(
        key="routes",
        kind=kinds.PATTERN,
        shape=Shape.MANY,
        default=(),
        doc="Patterns of hosts and paths that it serves, as in `[[route]]`.",
    ),
    Setting(
        key="servers",
        kind=app_kinds.SERVER,
        shape=Shape.MANY,
        default=(),
        doc="Where it is deployed to.",
    ),
    Setting(
        key="start",
        kind=app_kinds.PROCESS,
        default_doc="as the runtime is usually started",
        doc="The program; it listens on `$HOST` and `$PORT`.",
    ),
    Setting(
        key="main",
        kind=app_kinds.MAIN,
        default_doc="found in the usual files",
        doc="What the runtime starts: `module:object` for python, else a file.",
    ),
    Setting(
        key="root",
        kind=app_kinds.FOLDER,
        default_doc="found in the usual places",
        doc="The folder that a static site serves.",
    ),
    Setting(
        key="release",
        kind=app_kinds.COMMAND,
        default_doc="none",
        doc="Run once per deploy, before its first instance: migrations.",
    ),
    Setting(
        key="listen",
        kind=app_kinds.LISTEN,
        default="port",
        doc='`"port"`: where HOST and PORT say; `"socket"`: at descriptor 3.',
    ),
    _VARS,
    *map(_table, TABLES),
    Setting(
        key="process",
        shape=Shape.TABLES,
        group=PROCESS,
        names=app_kinds.PROCESS_NAME,
        default_doc="none",
        doc="`[process.NAME]`: processes beside those that serve.",
    ),
    Setting(
        key="cron",
        shape=Shape.TABLES,
        group=CRON,
        names=app_kinds.CRON_NAME,
        default_doc="none",
        doc="`[cron.NAME]`: commands by the clock.",
    ),
)


def _loose(setting: Setting) -> Setting:
    """The same where an environment has it: what its table requires may stand at the top."""
    if setting.group is None:
        return setting
    return replace(setting, group=replace(setting.group, required=()))


ENV: Final = Group(
    name="envs",
    doc="`[envs.NAME]`: an environment, and what it has of its own. It may say anew all of"
    " these; tables and `vars` are joined key by key.",
    settings=tuple(_loose(setting) for setting in _COMMON),
    elsewhere=(
        ("name", "at the top of the file"),
        ("runtime", "at the top of the file"),
        *_homes(),
    ),
)

APP: Final = Group(
    name="",
    doc="What stands at the top holds in all environments.",
    required=("name",),
    elsewhere=_homes(),
    settings=(
        Setting(key="name", kind=app_kinds.APP_NAME, doc="With its environment, `NAME/ENV`."),
        Setting(
            key="runtime",
            kind=app_kinds.RUNTIME,
            default_doc="detected",
            doc=f"How it is built and started: {_LISTED}. With `start` it may be none of them.",
        ),
        *_COMMON,
        Setting(
            key="envs",
            shape=Shape.TABLES,
            group=ENV,
            names=app_kinds.ENV_NAME,
            default_doc="any",
            doc="`[envs.NAME]`: its environments.",
        ),
    ),
)

GROUPS: Final = (
    ("At the top", APP),
    *((f"[{group.name}]", group) for group in TABLES),
    ("[process.NAME]", PROCESS),
    ("[cron.NAME]", CRON),
)
"""All groups, and what the reference calls them."""
