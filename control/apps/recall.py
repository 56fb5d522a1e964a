"""Taking up what an earlier control has left: its apps, what runs of them, what was half done.

A deploy that was not at its switch is undone: what it had started is ended, and its release is
removed. One that was is finished: it only had to end what served before. An app whose record cannot
be read is left as it is.
"""

import logging
from collections.abc import Sequence

from control.apps.app import App
from control.apps.broken import Broken, broken_of
from control.apps.record import KEPT, AppRecord, record_of
from control.apps.tools import Tools
from control.instances import strays
from control.refusal import Refused
from control.store import Store

log = logging.getLogger("control.apps")


def recall(store: Store, tools: Tools) -> tuple[dict[str, App], dict[str, Broken]]:
    """The apps by their ids, and those whose record cannot be read. Raises `Refused`, and then
    nothing was touched."""
    records, broken = _read_all(store)
    _end_strays(records, broken, tools)  # first: they may be writing into what is removed next
    apps = {}
    for record in records:
        if record.deleting:
            log.warning("%s: its removal was cut short, and is finished", record.id)
            tools.remove(record)
            continue
        _undo_deploy(record, tools)
        if record.releases:
            apps[record.id] = _taken_up(record, tools)
        else:  # as of every first deploy that has failed
            tools.forget(record)
    return apps, {each.id: each for each in broken}


# Private


def _read_all(store: Store) -> tuple[list[AppRecord], list[Broken]]:
    records, broken = [], []
    for name in store.names(KEPT):
        app_id, raw = name.removeprefix(KEPT), None
        try:
            raw = store.kept(name)
            records.append(record_of(app_id, raw))
        except ValueError as error:
            broken.append(broken_of(app_id, raw, str(error), store.path))
        except Refused as refusal:
            if refusal.code != "value-damaged":
                raise
            broken.append(broken_of(app_id, None, "it is no JSON", store.path))
    for each in broken:
        log.error("%s", each.message)
    return records, broken


def _end_strays(records: Sequence[AppRecord], broken: Sequence[Broken], tools: Tools) -> None:
    launcher = tools.launcher
    kept = [record for record in records if not record.deleting]
    known = {running.record.name for record in kept for running in record.running}
    names = strays.names(launcher.folder, launcher.cgroups).difference(known)
    unknown = {name for name in names if not any(each.is_its_own(name) for each in broken)}
    ended = strays.end(launcher.folder, launcher.cgroups, unknown)
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
