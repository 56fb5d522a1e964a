"""Changes of an app's files: of those that would be deployed, and no others."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchfiles import Change

LOOK_MS = 150
STEP_MS = 50


def changes(folder: str) -> Iterator[list[str]]:
    """The names of files that have changed, some times a second; mostly none."""
    from watchfiles import watch

    from control.apps.selection import GIT_RULES, NEVER, OWN_RULES, Rules

    def counts(_: "Change", path: str) -> bool:
        name = os.path.relpath(path, folder)
        if not NEVER.isdisjoint(name.split(os.sep)):
            return False
        return not Rules(folder, GIT_RULES, OWN_RULES).ignores(name)

    for found in watch(
        folder, watch_filter=counts, step=STEP_MS, rust_timeout=LOOK_MS, yield_on_timeout=True,
        raise_interrupt=True,
    ):  # fmt: skip
        yield sorted({os.path.relpath(path, folder) for _, path in found})
