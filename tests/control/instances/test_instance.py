"""An instance's whole life, with real processes."""

import os
import signal
from pathlib import Path

import pytest

from control.instances.instance import Instance
from control.instances.launch import listening_socket
from control.instances.life import State
from control.instances.ports import HIGHEST, LOWEST
from control.instances.readiness import Proof
from edge.table.model import HealthCheck
from tests.support.programs import LISTEN, SERVE, Bench, can_connect, until

CHECK = HealthCheck(path="/healthz", interval_s=0.05, timeout_s=0.3, fall=3, rise=2)

HANGS = (
    SERVE
    + """
import time
class Stubborn(Handler):
    def do_GET(self):
        while os.path.exists("hang"):
            time.sleep(0.05)
        Handler.do_GET(self)
http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Stubborn).serve_forever()
"""
)

NEVER = "import time; time.sleep(60)"

CHOOSES = (
    SERVE
    + """
server = http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler)
os.write(4, b"%d\\n" % server.server_port)
server.serve_forever()
"""
)


class Seen:
    """The states that an instance went through."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def __call__(self, instance: Instance) -> None:
        self.states.append(instance.state.name)


def test_it_starts_serves_and_stops(bench: Bench) -> None:
    seen = Seen()
    instance = bench.instance(LISTEN, seen)
    instance.start()
    until(lambda: instance.state is State.READY)
    assert LOWEST <= instance.port <= HIGHEST
    assert can_connect(instance.port)
    instance.stop()
    assert instance.stopped.wait(10)
    assert seen.states == ["READY", "DRAINING", "STOPPED"]
    assert not can_connect(instance.port)
    assert instance.record is None


def test_one_that_dies_is_started_again_at_once(bench: Bench) -> None:
    seen = Seen()
    instance = bench.instance(LISTEN, seen)
    instance.start()
    until(lambda: instance.state is State.READY)
    os.kill(instance.process.record.pid, signal.SIGKILL)
    until(lambda: seen.states == ["READY", "BACKOFF", "STARTING", "READY"])
    assert instance.deaths == 1


def test_a_crash_loop_is_parked_with_its_last_output(bench: Bench) -> None:
    seen = Seen()
    instance = bench.instance("raise SystemExit('no database')", seen, deaths=2)
    instance.start()
    until(lambda: instance.state is State.FAILED)
    assert seen.states == ["BACKOFF", "STARTING", "BACKOFF", "FAILED"]
    assert instance.why == "it exited with code 1 before it was ready"
    assert instance.last_output == "no database"


def test_a_first_start_that_fails_can_be_the_last(bench: Bench) -> None:
    instance = bench.instance("import nothing_such", deaths=1)
    instance.start()
    until(lambda: instance.state is State.FAILED)
    assert "No module named 'nothing_such'" in instance.last_output


def test_one_that_has_failed_starts_again_when_it_is_told_to(bench: Bench) -> None:
    instance = bench.instance(f"import os\nif not os.path.exists('db'): raise SystemExit\n{LISTEN}",
                              deaths=1)  # fmt: skip
    instance.start()
    until(lambda: instance.state is State.FAILED)
    (bench.folder / "db").touch()
    instance.restart()
    until(lambda: instance.state is State.READY)
    assert (instance.why, instance.deaths) == ("", 0)


def test_one_that_has_failed_can_be_stopped(bench: Bench) -> None:
    instance = bench.instance("raise SystemExit", deaths=1)
    instance.start()
    until(lambda: instance.state is State.FAILED)
    instance.stop()
    assert instance.stopped.wait(5)


def test_a_program_that_is_not_there_is_a_death_that_says_so(bench: Bench) -> None:
    instance = bench.instance("", deaths=1, launch={})
    object.__setattr__(instance.plan.launch, "argv", ("/nowhere/server",))
    instance.start()
    until(lambda: instance.state is State.FAILED)
    assert instance.why == "cannot start /nowhere/server: no such file or directory"


def test_one_that_is_stopped_while_it_starts_ends(bench: Bench) -> None:
    instance = bench.instance(NEVER)
    instance.start()
    until(lambda: instance.process is not None)
    instance.stop(1)
    assert instance.stopped.wait(10)


def test_one_that_is_not_ready_in_time_is_ended(bench: Bench) -> None:
    instance = bench.instance(NEVER, deaths=1, proof=Proof(start_s=0.3))
    instance.start()
    until(lambda: instance.state is State.FAILED)
    assert instance.why.startswith("it was not ready within 0.3 s: it listens on no port")
    assert not Path(f"/proc/{instance.process.record.pid}").exists()


def test_health_that_answers_500_takes_it_out_of_service_and_lets_it_live(bench: Bench) -> None:
    instance = bench.instance(LISTEN, proof=Proof(check=CHECK), hang_s=0.5)
    instance.start()
    until(lambda: instance.state is State.READY)
    pid = instance.process.record.pid
    (bench.folder / "status").write_text("500")
    until(lambda: instance.state is State.UNHEALTHY)
    assert instance.why == "status 500"
    (bench.folder / "status").write_text("204")
    until(lambda: instance.state is State.READY)
    assert instance.process.record.pid == pid


def test_one_that_hangs_is_ended_and_started_again(bench: Bench) -> None:
    seen = Seen()
    instance = bench.instance(HANGS, seen, proof=Proof(check=CHECK), hang_s=1.0)
    whys: list[str] = []
    instance._changed = lambda one: (seen(one), whys.append(one.why))
    instance.start()
    until(lambda: instance.state is State.READY)
    pid = instance.process.record.pid
    (bench.folder / "hang").touch()
    until(lambda: "BACKOFF" in seen.states)
    (bench.folder / "hang").unlink()
    until(lambda: instance.state is State.READY)
    assert instance.process.record.pid != pid
    assert seen.states[:3] == ["READY", "UNHEALTHY", "BACKOFF"]
    assert "it did not answer its health path for 1 s" in whys


def test_one_whose_port_was_taken_meanwhile_gets_another(bench: Bench) -> None:
    strangers = []
    instance = bench.instance(LISTEN, deaths=1)
    choose = instance._ports.choose

    def choose_and_lose(host: str) -> int:
        port = choose(host)
        if not strangers:
            strangers.append(listening_socket("127.0.0.1", port))
        return port

    instance._ports.choose = choose_and_lose
    instance.start()
    until(lambda: instance.state is State.READY)
    assert instance.port != strangers[0].getsockname()[1]
    strangers[0].close()


def test_one_that_chooses_its_port_is_known_by_it(bench: Bench) -> None:
    instance = bench.instance(CHOOSES, chooses_port=True)
    instance.start()
    until(lambda: instance.state is State.READY)
    assert instance.record.port == instance.port > 0
    assert can_connect(instance.port)


def test_a_later_control_goes_on_with_it(bench: Bench) -> None:
    first = bench.instance(LISTEN)
    first.start()
    until(lambda: first.state is State.READY)
    record = first.record
    first.process.leave()
    bench.instances.remove(first)
    seen = Seen()
    second = bench.instance(LISTEN, seen)
    second.adopt(record, was_ready=True)
    assert second.state is State.READY
    os.kill(record.pid, signal.SIGKILL)
    until(lambda: seen.states == ["READY", "BACKOFF", "STARTING", "READY"])


def test_one_that_was_still_starting_is_proven_by_the_later_control(bench: Bench) -> None:
    first = bench.instance(LISTEN)
    first.start()
    until(lambda: first.state is State.READY)
    record = first.record
    first.process.leave()
    bench.instances.remove(first)
    second = bench.instance(LISTEN)
    second.adopt(record, was_ready=False)
    until(lambda: second.state is State.READY)
    assert (second.port, second.process.record.pid) == (record.port, record.pid)


def test_one_that_never_served_is_not_presumed_to_by_the_later_control(bench: Bench) -> None:
    process = bench.run(NEVER, port=bench.ports.choose("127.0.0.1"))
    process.leave()
    record, seen = process.record, Seen()
    second = bench.instance(NEVER, seen, deaths=1, proof=Proof(start_s=0.3))
    second.adopt(record, was_ready=False)
    until(lambda: second.state is State.FAILED)
    assert seen.states == ["BACKOFF", "FAILED"]
    assert second.why.startswith("it was not ready within 0.3 s")


def test_one_that_died_while_nobody_watched_is_started_again(bench: Bench) -> None:
    first = bench.instance(LISTEN)
    first.start()
    until(lambda: first.state is State.READY)
    record = first.record
    first.stop(0)
    first.stopped.wait(10)
    seen = Seen()
    second = bench.instance(LISTEN, seen)
    second.adopt(record, was_ready=True)
    until(lambda: second.state is State.READY)
    assert seen.states == ["BACKOFF", "STARTING", "READY"]


@pytest.mark.timeout(60)
def test_twenty_start_side_by_side(bench: Bench) -> None:
    many = [bench.instance(LISTEN, launch={"name": f"many.{n}"}) for n in range(20)]
    for each in many:
        each.start()
    until(lambda: all(each.state is State.READY for each in many), 40)
    assert len({each.port for each in many}) == 20
