"""Readiness: what proves it, and what is said when nothing does."""

import socket
import time

import gevent
import pytest

from control.instances.launch import listening_socket
from control.instances.process import adopt
from control.instances.readiness import NotReady, Proof, prove
from edge.table.model import HealthCheck
from tests.support.ports import free_port
from tests.support.programs import LISTEN, SERVE, Bench

NEVER = "import time; print('up', flush=True); time.sleep(60)"
ELSEWHERE = LISTEN.replace('int(os.environ["PORT"])', "int(os.environ['ELSEWHERE'])")
CHOOSES = (
    SERVE
    + """
server = http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler)
os.write(4, b"%d\\n" % server.server_port)
server.serve_forever()
"""
)
CHILD = "import os, time\nif os.fork():\n    time.sleep(60)\n" + LISTEN
HANDED = (
    SERVE
    + """
import socket
server = http.server.HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=3)
server.serve_forever()
"""
)
HEALTHY = HealthCheck(path="/healthz", timeout_s=1)


def test_one_that_listens_on_its_port_is_ready_at_once(bench: Bench) -> None:
    port = free_port()
    assert prove(bench.run(LISTEN, port=port), Proof(start_s=10)) == port


def test_one_whose_child_listens_is_ready(bench: Bench) -> None:
    port = free_port()
    assert prove(bench.run(CHILD, port=port), Proof(start_s=10)) == port


def test_one_that_chooses_its_port_says_it_on_descriptor_4(bench: Bench) -> None:
    port = prove(bench.run(CHOOSES, port=0), Proof(start_s=10))
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b" 200 OK" in client.recv(4096)


def test_the_port_that_was_said_is_heard_by_a_later_control_too(bench: Bench) -> None:
    process = bench.run(CHOOSES, port=0)
    port = prove(process, Proof(start_s=10))
    process.leave()
    adopted = adopt(process.record, bench.take)
    bench.processes.append(adopted)
    assert adopted.record.port == 0, "nobody has written it down"
    assert prove(adopted, Proof(start_s=10)) == port


def test_one_may_say_that_it_is_ready_and_more(bench: Bench) -> None:
    port = free_port()
    process = bench.run("import os\nos.write(4, b'ready\\n' * 9)\n" + LISTEN, port=port)
    assert prove(process, Proof(start_s=10)) == port


def test_one_with_a_socket_proves_itself_by_an_answer(bench: Bench) -> None:
    with listening_socket("127.0.0.1") as listening:
        port = listening.getsockname()[1]
        process = bench.run(HANDED, port=port, socket_fd=listening.fileno())
        assert prove(process, Proof(start_s=10, has_socket=True)) == port
        process.end(0)
        process = bench.run(NEVER, port=port, socket_fd=listening.fileno(), name="idle")
        with pytest.raises(NotReady, match="it does not answer on the socket of its descriptor 3"):
            prove(process, Proof(start_s=0.5, has_socket=True))


def test_one_that_never_listens_is_found_out(bench: Bench) -> None:
    port = free_port()
    with pytest.raises(
        NotReady, match=f"^it was not ready within 0.3 s: it listens on no port, .* PORT={port}$"
    ):
        prove(bench.run(NEVER, port=port), Proof(start_s=0.3))


def test_one_that_listens_on_another_port_is_told_which(bench: Bench) -> None:
    port, elsewhere = free_port(), free_port()
    process = bench.run(ELSEWHERE, port=port, env={"ELSEWHERE": str(elsewhere)})
    with pytest.raises(NotReady, match=f": it listens on {elsewhere}, not on PORT={port}$"):
        prove(process, Proof(start_s=1.5))


def test_one_that_exits_is_known_long_before_its_time_is_over(bench: Bench) -> None:
    process = bench.run("print('no config'); raise SystemExit(3)", port=free_port())
    began = time.monotonic()
    with pytest.raises(NotReady, match=r"^it exited with code 3 before it was ready$"):
        prove(process, Proof(start_s=30))
    assert time.monotonic() - began < 5
    assert list(process.last_lines) == [b"no config"]


def test_a_port_on_which_somebody_else_listens_proves_nothing(bench: Bench) -> None:
    with listening_socket("127.0.0.1") as stranger:
        port = stranger.getsockname()[1]
        with pytest.raises(NotReady, match=f"another program listens on port {port}$"):
            prove(bench.run(NEVER, port=port), Proof(start_s=0.3))


def test_the_health_path_must_be_content_too(bench: Bench) -> None:
    (bench.folder / "status").write_text("500")
    process = bench.run(LISTEN, port=free_port())
    with pytest.raises(NotReady, match=r": its health path /healthz gives status 500$"):
        prove(process, Proof(start_s=1, check=HEALTHY))
    (bench.folder / "status").write_text("200")
    assert prove(process, Proof(start_s=5, check=HEALTHY)) == process.record.port


def test_proving_adds_little_to_the_start(bench: Bench) -> None:
    bench.launch("true").ended.wait()  # the spawner is there
    port, began = free_port(), time.monotonic()
    process = bench.run(LISTEN, port=port)
    proof = gevent.spawn(prove, process, Proof(start_s=10))
    until_it_says_so(bench)
    listening_s = time.monotonic() - began
    proof.get()
    assert time.monotonic() - began < listening_s * 1.5 + 0.1


def until_it_says_so(bench: Bench) -> None:
    while b"listening" not in bench.out():
        gevent.sleep(0.0005)
