"""The settings of `[[app]]`: an app that edged deploys by itself from a folder of this machine."""

import re
from typing import Final

from control.config import kinds
from control.config.kind import Kind, quote, textual
from control.config.setting import Group, Setting

_ENV: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def _env(text: str) -> str:
    if not _ENV.fullmatch(text):
        raise ValueError(f"{quote(text)} is no environment: write the NAME of an [envs.NAME]")
    return text


ENV: Final[Kind] = textual("name", "production", _env)

APP: Final = Group(
    name="app",
    doc="An app that edged deploys by itself, at its start and at a reload, when its folder has"
    " changed since it was deployed from there. Neither waits for that: the outcome is an event,"
    " and in `edgectl apps`. An app that is taken out of the file is stopped and kept, with its"
    " data and secrets: `edgectl delete` removes it. One that an operator has stopped stays so.",
    settings=(
        Setting(
            key="path",
            kind=kinds.PATH,
            doc="Its `edge.toml`, or the folder of that.",
        ),
        Setting(
            key="env",
            kind=ENV,
            default="",
            default_doc="the only one of its file, else `production`",
            doc="Which `[envs.NAME]` of its file.",
        ),
    ),
    required=("path",),
)
