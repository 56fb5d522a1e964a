"""Apps without an edged around them: the real tools, a state database, nothing published."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from control.apps.app import App
from control.apps.record import AppRecord, Release
from control.apps.secrets import Secrets
from control.apps.tools import Tools
from control.events import Events
from control.manifest.spec import AppSpec
from control.state import State
from edge.shared.segment import Segment
from tests.support.programs import Bench, bench

NAME = "blog"
ENV = "production"


class AppBench:
    """Makes apps, each with one release in a folder of its own."""

    def __init__(self, programs: Bench) -> None:
        self.programs = programs
        self.state = State(str(programs.folder / "state.db"))
        self.events = Events(self.state)
        self.kept: dict[str, AppRecord] = {}
        self.tools = Tools(
            folder=str(programs.folder / "apps"),
            launcher=programs.launcher,
            ports=programs.ports,
            secrets=Secrets(self.state, str(programs.folder)),
            segment=Segment.create(1),
            events=self.events,
            publish=lambda: None,
            keep=lambda record: self.kept.update({record.id: record}),
            drop=lambda record: self.kept.pop(record.id),
        )
        self.apps: list[App] = []

    def app(self, **spec: object) -> App:
        """An app whose first release serves."""
        release = Release(number=1, time=0.0, spec=AppSpec(name=NAME, env=ENV, **spec))
        record = AppRecord(id=f"{NAME}/{ENV}", last=1, current=1, releases=[release])
        home = self.tools.home(record)
        home.make()
        os.makedirs(home.release(1), exist_ok=True)
        app = App(record, self.tools)
        self.apps.append(app)
        return app

    def told(self, kind: str = "") -> list[str]:
        """The texts of the events so far, or those of a kind."""
        return [
            each["text"] for each in self.events.latest(1000) if kind in ("", each.get("event"))
        ]

    def close(self) -> None:
        for app in self.apps:
            app.end()


@contextmanager
def app_bench() -> Iterator[AppBench]:
    """One whose processes are all gone after it."""
    with bench() as programs:
        made = AppBench(programs)
        try:
            yield made
        finally:
            made.close()
