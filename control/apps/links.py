"""Where a symbolic link leads: inside its folder at every step, or out of it."""

import os
from typing import Final

_HOPS: Final = 40
"""The kernel follows no more either."""


def leads_out(root: str, name: str) -> bool:
    """Whether the link of that name beneath `root` leaves it at some step, or goes in circles.

    What is not there is taken for a folder. `os.path.realpath` is no help here: it forgives a path
    that is too long for the system, and a way that leaves the folder and comes back.
    """
    way = name.split("/")[:-1]
    ahead = _steps(os.readlink(os.path.join(root, name)))
    hops = 0
    while ahead:
        step = ahead.pop()
        if step == "/":
            return True
        if step == "..":
            if not way:
                return True
            way.pop()
            continue
        further = _link_at(os.path.join(root, *way, step))
        if further is None:
            way.append(step)
            continue
        hops += 1
        if hops > _HOPS:
            return True
        ahead += _steps(further)
    return False


# Private


def _steps(target: str) -> list[str]:
    """The steps of a link, the first one last."""
    steps = [step for step in target.split("/") if step not in ("", ".")]
    return [*reversed(steps), "/"] if target.startswith("/") else steps[::-1]


def _link_at(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None
