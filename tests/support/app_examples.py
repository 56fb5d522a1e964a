"""An example app of deploy/examples/apps, deployed as it is but for shorter times, and what each of
them shows: it sleeps, wakes, rolls and returns.

    with example("flask", folder) as guestbook:
        assert guestbook.ask().status == 200
        guestbook.sleep_and_wake()
"""

import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.app_stories import app_of, state_of, wait_for_sleep
from tests.support.client import Answer, fetch
from tests.support.edged import ROOT, Edged, Outcome
from tests.support.load import Load

EXAMPLES: Final = ROOT / "deploy" / "examples" / "apps"
SHORTER: Final = '\n[instances]\nidle = "2s"\n\n[limits]\nstability = "300ms"\ndrain = "5s"\n'
BUILD_S: Final = 300.0
IN_A_SECOND: Final = 100
AT_LEAST: Final = 20
"""Requests, while it rolls."""


@dataclass
class Example:
    """One of them, served."""

    edged: Edged
    folder: Path
    name: str
    host: str
    deployed: Outcome

    def ask(self, target: str = "/", **more: Any) -> Answer:
        """One request for it."""
        return fetch(self.edged.address, target, host=self.host, **more)

    def deploy(self) -> Outcome:
        """Deploy the folder as it is now; it must succeed."""
        outcome = self.edged.ctl("deploy", str(self.folder), timeout_s=BUILD_S)
        assert outcome, f"{outcome.err}\n{self.edged.log}"
        return outcome

    def change(self, name: str, old: str, new: str) -> None:
        """Change a file of the folder."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def fall_asleep(self) -> None:
        """Wait until it sleeps."""
        wait_for_sleep(self.edged, self.name, within_s=20.0)

    def sleep_and_wake(self, target: str = "/") -> None:
        """It sleeps when nobody asks, and its first request is answered."""
        assert self.ask(target).status == 200
        before = self.pids()
        self.fall_asleep()
        assert self.ask(target).status == 200
        assert state_of(self.edged, self.name) == "awake"
        assert before
        assert not before & self.pids()

    def roll_and_return(self, target: str = "/") -> tuple[Answer, Answer]:
        """A second deploy, then a return to the release before it, while requests come; how each
        answers."""
        number = app_of(self.edged, self.name)["release"]
        with self.load(target) as load:
            self.deploy()
            second = self.ask(target)
            assert self.edged.ctl("rollback", self.name)
            first = self.ask(target)
            report = load.stop()
        assert app_of(self.edged, self.name)["release"] == number
        assert report.failed == 0, report
        assert set(report.statuses) == {"200"}
        assert report.ok > AT_LEAST
        return second, first

    def load(self, target: str) -> Load:
        """Some requests at a time."""
        return Load(
            self.edged.address, kept=3, fresh=2, rate=IN_A_SECOND, host=self.host, path=target
        )

    def pids(self) -> set[int]:
        """Its processes that serve."""
        return {each["pid"] for each in app_of(self.edged, self.name)["instances"]}


@contextmanager
def example(name: str, folder: Path) -> Iterator[Example]:
    """The example of that folder, deployed to an edged of its own."""
    with Edged(workers=2) as edged:
        made = written(edged, name, folder)
        made.deployed = made.deploy()
        yield made


def written(edged: Edged, name: str, folder: Path, more: str = SHORTER) -> Example:
    """A copy of the example, with `more` in its edge.toml, that is not deployed yet."""
    copied = folder / name
    shutil.copytree(EXAMPLES / name, copied)
    manifest = copied / "edge.toml"
    text = manifest.read_text(encoding="utf-8")
    said = tomllib.loads(text)
    [host] = said["envs"]["production"]["routes"]
    manifest.write_text(text + more, encoding="utf-8")
    return Example(edged, copied, said["name"], host, Outcome(0, "", ""))
