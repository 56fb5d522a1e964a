"""Certificates on demand: a name has one when a client first asks for it, if it may."""

import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.allowing import Allowing
from tests.support.automatic import Automatic
from tests.support.client import Client
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.ports import split_address
from tests.support.tls_client import TlsClient, context_for

PATTERNS = ["*.shop.example", "*"]
TEXT = route(PATTERNS, extra='respond = "welcome"\ntls = "on_demand"')


@pytest.fixture
def allowing() -> Iterator[Allowing]:
    with Allowing() as service:
        service.statuses = {f"{name}.shop.example": 200 for name in ("a", "b", "c")}
        service.statuses["customer.example"] = 204
        yield service


@pytest.fixture
def edged(automatic: Automatic, allowing: Allowing) -> Iterator[Edged]:
    with automatic.edged(TEXT, f'ask = "{allowing.url}"') as started:
        yield started


def listed(edged: Edged) -> set[str]:
    return {each["host"] for each in edged.ctl_json("certs")["certs"]}


@pytest.mark.parametrize("name", ["a.shop.example", "customer.example"])
def test_a_name_that_is_allowed_is_served_on_the_first_connection(
    automatic: Automatic, allowing: Allowing, edged: Edged, name: str
) -> None:
    assert listed(edged) == set()
    assert automatic.get(name) == b"welcome"
    assert {automatic.get(name) for _ in range(4)} == {b"welcome"}
    assert allowing.asked == [name]
    assert listed(edged) == {name}


def test_a_name_that_is_not_allowed_gets_an_alert_and_no_order(
    automatic: Automatic, allowing: Allowing, edged: Edged
) -> None:
    for _ in range(3):
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            automatic.get("stranger.example")
    assert allowing.asked == ["stranger.example"]
    assert listed(edged) == set()


def test_many_clients_of_a_new_name_share_one_order(
    automatic: Automatic, allowing: Allowing, edged: Edged
) -> None:
    context = automatic.context()
    got: list[bytes] = []

    def ask() -> None:
        with TlsClient(automatic.https, "b.shop.example", context) as client:
            got.append(client.get(host="b.shop.example"))

    threads = [threading.Thread(target=ask) for _ in range(12)]  # noqa: TID251  blocking clients
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert got == [b"welcome"] * 12
    # Once for each worker at the most: control asks once for all who come at the same time.
    assert set(allowing.asked) == {"b.shop.example"}
    assert len(allowing.asked) <= 2
    assert edged.ctl("events").out.count("is obtained from") == 1


def test_what_was_allowed_is_known_after_a_restart_and_a_reload(
    automatic: Automatic, allowing: Allowing, edged: Edged
) -> None:
    assert automatic.get("a.shop.example") == b"welcome"
    edged.reload()
    edged.stop()
    edged.start()
    allowing.statuses.clear()
    assert automatic.get("a.shop.example") == b"welcome"
    assert allowing.asked == ["a.shop.example"]
    assert listed(edged) == {"a.shop.example"}


def test_control_may_die_while_a_client_waits(
    automatic: Automatic, allowing: Allowing, edged: Edged
) -> None:
    allowing.wait.clear()
    context = automatic.context()
    got: list[bytes] = []

    def ask() -> None:
        with TlsClient(automatic.https, "c.shop.example", context) as client:
            got.append(client.get(host="c.shop.example"))

    thread = threading.Thread(target=ask)  # noqa: TID251  a blocking client
    thread.start()
    eventually(lambda: allowing.asked)
    edged.kill(edged.control_pid())
    allowing.wait.set()
    thread.join(60)
    assert got == [b"welcome"]


def test_without_somebody_to_ask_it_is_refused(automatic: Automatic) -> None:
    edged = automatic.edged(TEXT)
    outcome = edged.run_again()
    edged.remove()
    assert outcome.code != 0
    assert 'needs "ask" in [tls]' in outcome.err


def test_a_hello_in_pieces_is_understood(automatic: Automatic, edged: Edged) -> None:
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = automatic.context().wrap_bio(inward, outward, server_hostname="b.shop.example")
    with socket.create_connection(split_address(automatic.https), timeout=30) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                for byte in outward.read():
                    sock.sendall(bytes((byte,)))
                inward.write(sock.recv(65536))
    assert tls.version() == "TLSv1.3"


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"])
def test_what_is_no_hello_is_no_wish(
    automatic: Automatic, allowing: Allowing, edged: Edged, first: bytes
) -> None:
    with Client(automatic.https) as client:
        client.send(first)
        client.finish_writing()
        client.read_to_end()
    assert automatic.get("a.shop.example") == b"welcome"
    assert allowing.asked == ["a.shop.example"]


def test_internal_names_may_be_on_demand_too(automatic: Automatic, allowing: Allowing) -> None:
    """They wait for no CA."""
    allowing.statuses["x.app.localhost"] = 200
    text = route("*.app.localhost", extra='respond = "inside"\ntls = "on_demand"')
    with automatic.edged(text, f'ask = "{allowing.url}"') as edged:
        with TlsClient(automatic.https, "x.app.localhost", context_for(None)) as client:
            assert client.get(host="x.app.localhost") == b"inside"
        assert listed(edged) == {"x.app.localhost"}


@pytest.mark.skipif(os.geteuid() != 0, reason="workers have a user of their own under root only")
def test_workers_may_wish_and_nothing_else(edged: Edged) -> None:
    """Who has taken over a worker has not taken over edged."""

    def ask(method: str, path: str, body: str = "{}") -> dict[str, Any]:
        done = subprocess.run(
            ["curl", "-sS", "--unix-socket", str(edged.socket_path), "-X", method, "-d", body,
             f"http://control{path}"],
            user=edged.uid_of(edged.workers()[0]), group=edged.socket_path.stat().st_gid,
            capture_output=True, text=True, check=True, timeout=20,
        )  # fmt: skip
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    wish = ask("POST", "/v1/wishes/certificate", '{"name": "stranger.example"}')
    assert wish["error"] == "denied"
    for method, path in (("GET", "/v1/status"), ("POST", "/v1/reload"), ("POST", "/v1/stop")):
        assert ask(method, path)["error"] == "forbidden"
