"""What an app's commands and processes find in their environment: this, and nothing of edged's."""

import os
from collections.abc import Mapping
from typing import Final

from control.apps import inplace
from control.manifest.spec import AppSpec, Pairs

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment(
    spec: AppSpec, folder: str, data: str, secrets: Mapping[str, str], more: Pairs = ()
) -> dict[str, str]:
    """The environment in a release's folder. What the app itself sets comes last, so it holds;
    secrets come before its `vars`, since a name cannot mean both."""
    first = [os.path.join(folder, each) for each in spec.path]
    return {
        "PATH": ":".join([*first, os.environ.get("PATH", PATH) if inplace.is_on() else PATH]),
        "HOME": data,
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
        "LANG": "C.UTF-8",
        "EDGED_APP": spec.id,
        "DATA_DIR": data,
        **secrets,
        **dict(spec.vars),
        **dict(more),
    }
