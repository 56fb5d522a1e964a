"""What is: the documents of `edgectl status` and `edgectl workers`, from shared memory mostly.

They are made even when the master does not answer or a database is broken: then that is one of
the problems they name.
"""

import importlib.metadata
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from control import metrics
from control.apps.desk import AppDesk
from control.bans import BanDesk
from control.channel import Channel
from control.crashes import TOLD_S, crashes
from control.events import Events
from control.modes import ModeDesk
from control.peers import PeerDesk
from control.publish import Publisher
from control.refusal import Refused
from control.reload import Reloader, changed_hooks, differs
from control.state import State as StateDatabase
from edge.shared.scoreboard import STALLED_S, Column, Problem, State
from edge.shared.segment import Segment

MASTER_WAIT_S: Final = 2.0
LOOPING_DEATHS: Final = 3
LOOPING_WITHIN_S: Final = 60.0

_WORDS: Final = {
    Problem.LOG_UNWRITABLE: ("log-unwritable", "cannot write the access log: lines are dropped"),
    Problem.TABLE_UNREADABLE: ("table-unreadable", "cannot read the table: serves an older one"),
    Problem.DESCRIPTORS: (
        "descriptors",
        "is out of file descriptors and accepts nothing: raise the limit (ulimit -n)",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the facts come from."""

    segment: Segment
    channel: Channel
    state: StateDatabase
    publisher: Publisher
    reloader: Reloader
    events: Events
    peers: PeerDesk
    bans: BanDesk
    modes: ModeDesk
    apps: AppDesk


def status(sources: Sources) -> dict[str, Any]:
    """The document of `GET /v1/status`."""
    master, silent = _ask_master(sources.channel)
    spec, applied = sources.reloader.spec, sources.reloader.applied
    listed = workers(sources.segment, master)
    crashed = crashes(
        sources.events,
        master.get("uptime_s") or TOLD_S,
        ready={each["slot"] for each in listed if each["state"] == "ready"},
        has_spawner=bool(sources.apps.tools.launcher.spawner.pid),
    )
    return {
        "version": version(),
        "master_pid": master.get("master_pid", os.getppid()),
        "control_pid": os.getpid(),
        "control_restarts": master.get("control_restarts", 0),
        "uptime_s": master.get("uptime_s"),
        "config": spec.config_path,
        "applied_at": applied.time if applied else None,
        "generation": sources.publisher.generation,
        "routes": sources.publisher.routes,
        "http": list(spec.http),
        "https": list(spec.https),
        "metrics": spec.metrics,
        "workers": listed,
        "modes": sources.modes.listed(),
        "apps": [
            {key: app[key] for key in ("app", "state", "release", "problem")}
            for app in sources.apps.listed()
        ],
        "isolation_missing": [*sources.apps.missing()],
        "bans": len(sources.bans.listed()),
        "crash_count": crashed.count,
        "crashes": [*crashed.latest],
        "problems": [*silent, *_problems(sources, listed)],
        "totals": _totals(sources.segment),
    }


def workers(segment: Segment, master: dict[str, Any]) -> list[dict[str, Any]]:
    """Every worker process, by slot; and the slots whose worker waits to be started again."""
    now = time.monotonic_ns()
    listed = []
    for number in range(segment.rows):
        row = segment.scoreboard_row(number)
        if row[Column.STATE]:
            listed.append(_worker(number, row, now))
    rows = {worker["row"] for worker in listed}
    for told in master.get("workers", ()):
        if told.get("row") not in rows:
            listed.append({name: told.get(name) for name in ("slot", "pid", "state", "row")})
    return sorted(listed, key=lambda worker: (worker["slot"], worker.get("code", 0)))


def version() -> str:
    """Of this edged."""
    try:
        return importlib.metadata.version("edged")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


# Private


def _ask_master(channel: Channel) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    try:
        return channel.ask("status", timeout_s=MASTER_WAIT_S), []
    except Refused as refusal:
        return {}, [_problem(refusal.code, refusal.message)]


def _worker(number: int, row: memoryview, now: int) -> dict[str, Any]:
    return {
        "slot": row[Column.SLOT],
        "pid": row[Column.PID],
        "state": State(row[Column.STATE]).name.lower(),
        "row": number,
        "code": row[Column.CODE],
        "acked": row[Column.ACKED],
        "heartbeat_age_s": round(max(now - row[Column.HEARTBEAT], 0) / 1e9, 3),
        "age_s": round(max(now - row[Column.STARTED], 0) / 1e9, 1) if row[Column.STARTED] else None,
        "connections": row[Column.CONNECTIONS],
        "exchanges": row[Column.EXCHANGES],
        "upgraded": row[Column.UPGRADED],
        "idle_peers": row[Column.IDLE_PEERS],
        "problems": [_WORDS[bit][0] for bit in Problem if row[Column.PROBLEMS] & bit],
    }


def _problems(sources: Sources, listed: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    reloader = sources.reloader
    for broken in (sources.state.problem, sources.publisher.problem, reloader.problem):
        if broken is not None:
            yield _problem(broken.code, broken.message)
    if differs(reloader.applied):
        yield _problem(
            "config-differs",
            f"{reloader.spec.config_path} is not what was applied last:"
            " see 'edgectl check', then 'edgectl reload'.",
        )
    if reloader.applied is not None:
        for path in changed_hooks(reloader.applied.hooks):
            yield _problem("hooks-differ", f"{path} was changed since it was loaded: reload.")
    yield from _problems_of_apps(sources.apps)
    for text in reloader.names.problems():
        yield _problem("name-unresolved", f"{text}.")
    yield from _problems_of_workers(sources, listed)


def _problems_of_apps(apps: AppDesk) -> Iterator[dict[str, Any]]:
    for app in apps.listed():
        if app["state"] == "broken":
            yield _problem("app-broken", app["problem"])
        elif app["state"] == "failed":
            text = f"{app['app']} has failed, and waits for 'edgectl start': {app['problem']}"
            yield _problem("app-failed", text)
        elif app["lacks_secrets"]:
            text = f"{app['app']} can start no process, and what runs goes on: {app['problem']}"
            yield _problem("secrets-unreadable", text)


def _problems_of_workers(
    sources: Sources, listed: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    words = dict(_WORDS.values())
    for worker in listed:
        slot = worker["slot"]
        for code in worker.get("problems", ()):
            yield _problem(code, f"The worker of slot {slot} {words[code]}.", slot)
        if worker["state"] == "ready" and worker["heartbeat_age_s"] > STALLED_S:
            age_s = worker["heartbeat_age_s"]
            yield _problem(
                "stalled", f"The worker of slot {slot} stands still for {age_s} s.", slot
            )
    for slot in sources.publisher.behind():
        yield _problem("behind", f"The worker of slot {slot} serves an older generation.", slot)
    deaths = Counter(
        event.get("slot") for event in sources.events.recent("worker-died", LOOPING_WITHIN_S)
    )
    for slot, count in deaths.items():
        if count >= LOOPING_DEATHS:
            yield _problem(
                "crash-loop",
                f"The worker of slot {slot} died {count} times in the last minute:"
                " see 'edgectl events' and edged's log.",
                slot,
            )
    if not any(worker["state"] == "ready" for worker in listed):
        yield _problem("no-worker", "No worker is ready: nothing is served.")


def _problem(code: str, message: str, slot: int | None = None) -> dict[str, Any]:
    problem: dict[str, Any] = {"code": code, "message": message}
    if slot is not None:
        problem["slot"] = slot
    return problem


def _totals(segment: Segment) -> dict[str, Any]:
    keys = metrics.by_key(segment)
    statuses = {
        key.partition("{")[2][:-1]: value
        for key, value in keys.items()
        if key.startswith("edged_exchanges_total{")
    }
    errors = {
        key.partition("{")[2][:-1]: value
        for key, value in keys.items()
        if key.startswith("edged_errors_total{") and value
    }
    plain = {
        key.removeprefix("edged_").removesuffix("_total"): value
        for key, value in keys.items()
        if key.endswith("_total")
    }
    return {"exchanges": sum(statuses.values()), "statuses": statuses, "errors": errors, **plain}
