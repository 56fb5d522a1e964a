"""The clock of all apps: what `[cron.NAME]` says is begun when it is due.

Times are UTC. What was due while control did not run, or while the app was stopped, is not made up.
"""

import datetime
import logging
from collections.abc import Callable, Iterable
from typing import Final

import gevent

from control.apps.app import App
from control.apps.minutes import MINUTE_S, Minutes
from control.apps.slumber import State
from control.events import wall_time
from control.manifest.crontab import is_due, parse

log = logging.getLogger("control.apps")

LOOK_S: Final = 1.0


class Crons:
    """Begins the jobs of apps."""

    def __init__(
        self, apps: Callable[[], Iterable[App]], now_s: Callable[[], float] = wall_time
    ) -> None:
        self._apps = apps
        self._now_s = now_s
        self._minutes = Minutes(now_s())

    def __repr__(self) -> str:
        return f"<Crons {self._minutes!r}>"

    def start(self) -> None:
        """Look at the clock from now on."""
        gevent.spawn(self._look_on)

    def look(self) -> None:
        """Begin what has become due since the last look."""
        times = [
            datetime.datetime.fromtimestamp(minute * MINUTE_S, datetime.UTC)
            for minute in self._minutes.begun(self._now_s())
        ]
        for app in [*self._apps()] if times else ():
            release = app.record.serving
            if release is None or app.state is State.STOPPED:
                continue
            for cron in release.spec.crons:
                schedule = parse(cron.schedule)
                if any(is_due(schedule, each) for each in times):
                    app.jobs.begin(release, cron)

    # Private

    def _look_on(self) -> None:
        while True:
            gevent.sleep(LOOK_S)
            self.look()
