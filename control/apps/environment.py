"""What an app's commands and processes find in their environment: this, and nothing of edged's."""

import os
from collections.abc import Mapping

from control.apps import inplace
from control.manifest.programs import PATH
from control.manifest.spec import AppSpec, Pairs


def usual_path() -> str:
    """The PATH of an app that sets none."""
    return os.environ.get("PATH", PATH) if inplace.is_on() else PATH


def environment(
    spec: AppSpec, folder: str, data: str, secrets: Mapping[str, str], more: Pairs = ()
) -> dict[str, str]:
    """The environment in a release's folder. What the app itself sets comes last, so it holds;
    secrets come before its `vars`, since a name cannot mean both."""
    first = [os.path.join(folder, each) for each in spec.path]
    values = {
        "PATH": usual_path(),
        "HOME": data,
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",  # what is printed goes to a log, which shows no colours
        "EDGED_APP": spec.id,
        "DATA_DIR": data,
        **secrets,
        **dict(spec.vars),
        **dict(more),
    }
    return values | {"PATH": ":".join([*first, values["PATH"]])}
