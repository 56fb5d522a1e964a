"""Under steady load nothing is lost: by reloads, rolls, upgrades, or by processes that are killed.

A load of new and kept connections runs all the while, with WebSockets and event streams beside it,
and counts what fails. Only what a killed worker held itself may fail.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.connections import client_ports_of
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.load import Load, Report
from tests.support.web_origin import WebOrigin

WORKERS = 2
LONG_LIVED = 5
LEAST_REQUESTS = 2000

HOOK = """
from edge import Hook

class Mark(Hook):
    def response_filter(self, exchange):
        exchange.response.headers["X-Mark"] = "{mark}"
"""


@pytest.fixture
def loaded(web_origin: WebOrigin) -> Iterator[tuple[Edged, Load]]:
    """An edged under as much load as the machine gives, hooks and all."""
    server = 'hooks = ["mark.py"]'
    edged = Edged(
        route("*", web_origin.address),
        server=server,
        workers=WORKERS,
        files={"mark.py": HOOK.format(mark=0)},
    )
    with edged, Load(edged.address, websockets=LONG_LIVED, streams=LONG_LIVED) as load:
        yield edged, load


def assert_nothing_failed(report: Report) -> None:
    assert report.failed == 0, report
    assert report.ok >= LEAST_REQUESTS, f"hardly a load: {report}"


def assert_long_lived(report: Report) -> None:
    assert len(report.websockets) == LONG_LIVED, report
    assert len(report.streams) == LONG_LIVED, report
    assert min(report.websockets + report.streams) > 0, report


def test_fifty_reloads_of_routes_fail_no_request_and_end_no_stream(
    loaded: tuple[Edged, Load], web_origin: WebOrigin
) -> None:
    edged, load = loaded
    before = edged.workers()
    for number in range(50):
        edged.write(
            route("*", web_origin.address)
            + route(
                f"new-{number}.test",
                extra=f'respond = "{number}"',
            )
        )
        answer = edged.ctl_json("reload")
        assert answer["routes"]["added"] == 1
        assert not answer["rolled"]
    report = load.stop()
    assert_nothing_failed(report)
    assert_long_lived(report)
    assert edged.workers() == before


def test_ten_reloads_of_hook_code_roll_the_workers_and_fail_no_request(
    loaded: tuple[Edged, Load],
) -> None:
    edged, load = loaded
    for number in range(1, 11):
        before = set(edged.workers())
        edged.write_file("mark.py", HOOK.format(mark=number))
        assert edged.ctl_json("reload")["rolled"]
        assert set(edged.workers()) - before, "the workers are the same"
    report = load.stop()
    assert_nothing_failed(report)
    assert_long_lived(report)


def test_three_upgrades_in_place_fail_no_request(loaded: tuple[Edged, Load]) -> None:
    edged, load = loaded
    master = edged.master_pid
    for _ in range(3):
        control = edged.control_pid()
        outcome = edged.ctl("upgrade")
        assert outcome, outcome
        eventually(lambda old=control: edged.control_pid() not in (0, old))
    report = load.stop()
    assert_nothing_failed(report)
    assert_long_lived(report)
    assert edged.master_pid == master
    assert edged.is_running


def test_control_killed_three_times_fails_no_request(loaded: tuple[Edged, Load]) -> None:
    edged, load = loaded
    for _ in range(3):
        control = edged.control_pid()
        os.kill(control, signal.SIGKILL)
        eventually(lambda old=control: edged.control_pid() not in (0, old))
        eventually(lambda: edged.ctl("status"))
    report = load.stop()
    assert_nothing_failed(report)
    assert_long_lived(report)


def test_a_killed_worker_takes_only_its_own_connections_with_it(web_origin: WebOrigin) -> None:
    with (
        Edged(route("*", web_origin.address), workers=3) as edged,
        Load(edged.address) as load,
    ):
        held: set[int] = set()
        for pid in edged.workers():
            # Stopped first: what it holds cannot change between the look and the end.
            os.kill(pid, signal.SIGSTOP)
            eventually(lambda pid=pid: _is_stopped(pid))
            held |= client_ports_of(pid, edged.address)
            os.kill(pid, signal.SIGKILL)
            eventually(lambda pid=pid: pid not in edged.workers() and len(edged.workers()) == 3)
            eventually(
                lambda: (
                    len([w for w in edged.ctl_json("workers")["workers"] if w["state"] == "ready"])
                    == 3
                )
            )
        report = load.stop()
        assert held
        foreign = [each for each in report.failures if each["port"] not in held]
        assert not foreign, f"{foreign}\n{report}"
        assert report.failed <= len(held)
        assert report.ok >= LEAST_REQUESTS, report


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
