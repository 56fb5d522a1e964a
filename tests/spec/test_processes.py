"""The process tree heals: hung, killed and crash-looping workers, a killed control or master."""

import os
import signal
import sys

import pytest

from tests.support.client import Client, fetch
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.load import Load
from tests.support.web_origin import WebOrigin

SPIN = """
from edge import Hook, Response

class Spin(Hook):
    def request_filter(self, exchange):
        if exchange.request.path == "/spin":
            self.never_ends()
        return Response(200, "fine")

    def never_ends(self):
        while True:
            pass
"""

FRAGILE = """
import os
from pathlib import Path
from edge import Hook, Response

class Fragile(Hook):
    def request_filter(self, exchange):
        if exchange.request.path == "/die":
            os._exit(9)
        return Response(200, "alive")
"""

AS_NOBODY = """
import ctypes, os, sys
import control.serve, control.main, edge.preload, supervisor.master
edge.preload.preload()
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as after an exec: its own /proc/self is readable
sys.argv = ["edged", "--config", sys.argv[1]]
sys.exit(control.serve.main())
"""


def states(edged: Edged) -> list[str]:
    return [worker["state"] for worker in edged.ctl_json("workers")["workers"]]


def test_a_worker_that_hangs_is_named_with_its_stack_and_replaced() -> None:
    config = route("*", extra='respond = "unused"')
    with (
        Edged(
            config, server='hooks = ["spin.py"]\nhang = "1s"', workers=2, files={"spin.py": SPIN}
        ) as edged,
        Client(edged.address, patience_s=20) as stuck,
    ):
        before = set(edged.workers())
        stuck.send(b"GET /spin HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: len(set(edged.workers()) - before) == 1, 20)
        eventually(lambda: "never_ends" in edged.log)
        assert "stood still" in edged.log
        assert "spin.py" in edged.log
        assert len(before & set(edged.workers())) == 1, "the other worker was replaced as well"
        eventually(lambda: states(edged) == ["ready", "ready"])
        assert stuck.ending() in ("fin", "reset")


def test_while_a_worker_hangs_the_other_one_answers_everybody() -> None:
    config = route("*", extra='respond = "unused"')
    with (
        Edged(
            config, server='hooks = ["spin.py"]\nhang = "30s"', workers=2, files={"spin.py": SPIN}
        ) as edged,
        Client(edged.address) as stuck,
    ):
        stuck.send(b"GET /spin HTTP/1.1\r\nHost: a\r\n\r\n")
        # Half of these go to the socket of the slot that hangs, and a neighbour takes them.
        for _ in range(40):
            assert fetch(edged.address, "/").status == 200
        eventually(lambda: edged.ctl_json("status")["totals"]["takeovers"] > 0)
        for pid in edged.workers():
            os.kill(pid, signal.SIGKILL)


def test_a_worker_that_dies_again_and_again_is_started_less_often_and_heals() -> None:
    config = route("*", extra='respond = "unused"')
    with Edged(config, server='hooks = ["fragile.py"]', files={"fragile.py": FRAGILE}) as edged:
        for number in range(1, 4):
            with Client(edged.address) as client:
                client.send(b"GET /die HTTP/1.1\r\nHost: a\r\n\r\n")
                assert client.read_to_end() == b""
            eventually(lambda n=number: edged.log.count("exited with code 9") == n)
            eventually(lambda: fetch(edged.address, "/").body == b"alive")
        assert "starting it again in 0.25 s" in edged.log
        assert "starting it again in 0.5 s" in edged.log
        problems = edged.ctl_json("status")["problems"]
        assert [each["code"] for each in problems] == ["crash-loop"]


def test_the_workers_of_a_killed_master_end_and_the_next_master_serves(
    web_origin: WebOrigin,
) -> None:
    with Edged(route("*", web_origin.address), workers=2) as edged:
        children = [*edged.workers(), edged.control_pid()]
        edged.signal(signal.SIGKILL)
        edged.wait()
        edged.start()
        assert len(fetch(edged.address, "/bytes/3").body) == 3
        eventually(lambda: not any(is_alive(pid) for pid in children))


def test_a_second_edged_says_who_runs_already(web_origin: WebOrigin) -> None:
    with Edged(route("*", web_origin.address)) as edged:
        second = edged.run_again()
        assert second.code == 1
        assert str(edged.master_pid) in second.err
        assert "Traceback" not in second.err
        assert fetch(edged.address, "/bytes/3").status == 200


def test_a_port_that_somebody_else_has_is_named(web_origin: WebOrigin) -> None:
    with Edged(route("*", web_origin.address)) as edged:
        other = Edged(route("*", web_origin.address), addresses=[edged.address])
        try:
            outcome = other.run_again()
            assert outcome.code == 1
            assert edged.address in outcome.err
            assert "Traceback" not in outcome.err
        finally:
            other.remove()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_started_by_an_ordinary_user_it_serves_on_a_high_port(web_origin: WebOrigin) -> None:
    with Edged(route("*", web_origin.address)) as edged:
        edged.stop()
        for name in ("run", "state"):
            edged.give_away(name, 65534)
        edged.start(command=[sys.executable, "-c", AS_NOBODY, str(edged.config)])
        assert fetch(edged.address, "/bytes/3").status == 200
        uids = {os.stat(f"/proc/{pid}").st_uid for pid in edged.processes()}
        assert uids <= {65534, 0}
        assert edged.uid_of(edged.master_pid) == 65534
        assert edged.reload()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops privileges")
def test_started_by_root_the_workers_are_somebody_else(web_origin: WebOrigin) -> None:
    with Edged(route("*", web_origin.address), workers=2) as edged:
        assert all(edged.uid_of(pid) != 0 for pid in edged.workers())
        assert edged.uid_of(edged.master_pid) == 0


def test_a_stop_answers_what_is_under_way_and_ends_with_code_0(web_origin: WebOrigin) -> None:
    with (
        Edged(route("*", web_origin.address)) as edged,
        Client(edged.address) as client,
    ):
        client.send(b"GET /drip/0.1/5 HTTP/1.1\r\nHost: a\r\n\r\n")
        client.read_until(b"\r\n\r\n")
        edged.signal(signal.SIGTERM)
        assert client.read_to_end() == b"....."
        assert edged.wait() == 0


def test_edgectl_stop_waits_for_the_end_and_leaves_nothing(web_origin: WebOrigin) -> None:
    with Edged(route("*", web_origin.address)) as edged:
        pids = edged.processes()
        assert edged.ctl("stop")
        assert edged.wait() == 0
        assert not any(is_alive(pid) for pid in pids)
        assert not edged.socket_path.exists()


def test_stop_now_does_not_wait_for_anybody(web_origin: WebOrigin) -> None:
    with (
        Edged(route("*", web_origin.address)) as edged,
        Client(edged.address) as client,
    ):
        client.send(b"GET /slow/60 HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: edged.ctl_json("workers")["workers"][0]["exchanges"] == 1)
        assert edged.ctl("stop", "--now")
        assert edged.wait() == 0


def test_every_process_says_what_it_is(web_origin: WebOrigin) -> None:
    with Edged(route("*", web_origin.address), workers=2) as edged:
        titles = sorted(edged.title_of(pid) for pid in edged.processes())
        assert titles == ["edged: control", "edged: master", "edged: worker 1", "edged: worker 2"]


def test_an_upgrade_to_something_broken_is_refused_and_the_old_one_goes_on(
    web_origin: WebOrigin,
) -> None:
    with (
        Edged(route("*", web_origin.address), workers=2) as edged,
        Load(edged.address, kept=4, fresh=2) as load,
    ):
        before = edged.workers()
        broken = edged.write_file("broken", "#!/bin/sh\necho 'no such library' >&2\nexit 1\n")
        broken.chmod(0o755)
        outcome = edged.ctl("upgrade", "--executable", str(broken))
        assert outcome.code == 1
        assert "no such library" in outcome.err + outcome.out
        report = load.stop()
        assert report.failed == 0, report
        assert edged.workers() == before


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
