"""Taking up what an earlier control has left: its apps, what runs of them, what was half done.

A deploy that was not at its switch is undone: what it had started is ended, and its release is
removed. One that was is finished: it only had to end what served before.
"""

import logging
from collections.abc import Iterable

from control.apps.app import App
from control.apps.record import INDEX, KEPT, AppRecord, record_of
from control.apps.tools import Tools
from control.instances.strays import end_strays
from control.store import Store

log = logging.getLogger("control.apps")


def recall(store: Store, tools: Tools) -> dict[str, App]:
    """The apps by their ids. Raises `Refused`, and then nothing was touched."""
    records = [
        record_of(raw)
        for app_id in store.kept(INDEX) or ()
        if (raw := store.kept(KEPT + app_id)) is not None
    ]
    _end_strays(records, tools)  # first: they may be writing into what is removed next
    apps = {}
    for record in records:
        _undo_deploy(record, tools)
        if record.releases:
            apps[record.id] = _taken_up(record, tools)
        else:
            tools.home(record).remove()  # as of every first deploy that has failed
            store.keep(KEPT + record.id, None)
    if len(apps) < len(records):
        store.keep(INDEX, [*apps])
    return apps


# Private


def _end_strays(records: Iterable[AppRecord], tools: Tools) -> None:
    known = {running.record.name for record in records for running in record.running}
    launcher = tools.launcher
    ended = end_strays(launcher.folder, launcher.cgroups, known)
    if ended:
        log.warning("ended what was started and not written down: %s", " ".join(sorted(ended)))


def _undo_deploy(record: AppRecord, tools: Tools) -> None:
    number, record.deploying = record.deploying, 0
    if number and number != record.current:
        log.warning("%s: the deploy of release %d was cut short, and is undone", record.id, number)
        record.releases = [each for each in record.releases if each.number != number]
    tools.home(record).tidy({each.number for each in record.releases})


def _taken_up(record: AppRecord, tools: Tools) -> App:
    app = App(record, tools)
    for running in record.running:
        app.adopt(running)
    app.resume()
    return app
