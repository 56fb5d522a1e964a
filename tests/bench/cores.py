"""Which process runs on which core, so that a ratio compares servers and not schedulers."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cores:
    """The server under test has a core to itself; origin and load share what is left."""

    server: int
    origin: tuple[int, ...]
    load: tuple[int, ...]

    def __str__(self) -> str:
        return f"server on core {self.server}, origin on {self.origin}, load on {self.load}"


def divide() -> Cores:
    """The cores of this machine; two at least."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("bench: needs two cores: one for the server and one for the rest")
    if len(cores) == 2:
        return Cores(cores[0], (cores[1],), (cores[1],))
    if len(cores) == 3:
        return Cores(cores[0], (cores[1],), (cores[2],))
    return Cores(cores[0], (cores[1],), tuple(cores[2:4]))


def pin(pid: int, cores: Iterable[int]) -> None:
    """Bind a process, and all threads it has, to those cores."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)
