"""The demo that `make run` serves: each address that it prints answers as it says."""

import base64
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.docs.pages import ROOT
from tests.support.client import Client, fetch
from tests.support.edged import Edged
from tests.support.eventually import eventually
from tests.support.ports import free_address, free_port
from tests.support.tls_client import TlsClient, context_for

DEMO = ROOT / "deploy" / "demo"
ANSWERS = {"/": 200, "/echo": 200, "/sse": 200, "/hello": 200, "/old/x": 302, "/teapot": 418}
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: demo.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
) % base64.b64encode(bytes(16))


@pytest.fixture(scope="module")
def demo() -> Iterator[Edged]:
    port = free_port()
    command = [sys.executable, str(DEMO / "origin.py"), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as origin:
        assert origin.stdout is not None
        assert origin.stdout.readline() == "ready\n"
        text = (DEMO / "edged.toml").read_text(encoding="utf-8")
        server, mark, rest = text.partition("[timeouts]")
        hooks = re.search(r"^hooks = .*$", server, re.M)
        assert hooks
        https = free_address()
        body = mark + rest.replace("127.0.0.1:9180", f"127.0.0.1:{port}")
        files = {"hooks.py": (DEMO / "hooks.py").read_text(encoding="utf-8")}
        edged = Edged(body, server=f'{hooks[0]}\nhttps = ["{https}"]', files=files, workers=2)
        shutil.copytree(DEMO / "app", edged.folder / "app")
        try:
            with edged:
                yield edged
        finally:
            origin.kill()


def test_it_prints_just_these_addresses() -> None:
    printed = (DEMO / "run.py").read_text(encoding="utf-8")
    named = re.findall(r"http://127\.0\.0\.1:8080(/[\w/]*)|[;,] (/\w+)", printed)
    assert {one or other for one, other in named} == {*ANSWERS, "/ws"}


@pytest.mark.parametrize("path", [path for path in ANSWERS if path != "/sse"])
def test_an_address_answers(path: str, demo: Edged) -> None:
    answer = fetch(demo.address, path)
    assert answer.status == ANSWERS[path]
    assert int(answer.get("x-demo-visits")) > 0


def test_it_speaks_tls_on_the_port_that_it_prints(demo: Edged) -> None:
    assert "curl -ik https://localhost:8443/ " in (DEMO / "run.py").read_text(encoding="utf-8")
    [https] = demo.ctl_json("status")["https"]
    with TlsClient(https, "localhost", context_for(None)) as client:
        assert b"<html" in client.get(host="localhost")


def test_its_app_is_deployed_sleeps_and_wakes(demo: Edged) -> None:
    assert "curl -ik https://app.localhost:8443/ " in (DEMO / "run.py").read_text(encoding="utf-8")
    [https] = demo.ctl_json("status")["https"]

    def ask() -> bytes:
        with TlsClient(https, "app.localhost", context_for(None)) as client:
            return client.get(host="app.localhost")

    def state() -> str:
        [app] = demo.ctl_json("apps")["apps"]
        return str(app["state"])

    first = eventually(ask, 40)
    assert first.startswith(b"Process ")
    eventually(lambda: state() == "asleep", 30)
    assert ask().split()[1] != first.split()[1]


def test_events_come_one_by_one(demo: Edged) -> None:
    with Client(demo.address) as client:
        client.send(b"GET /sse HTTP/1.1\r\nHost: demo.test\r\n\r\n")
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        client.read_until(b"data: ")
        client.read_until(b"data: ")


def test_a_websocket_echoes(demo: Edged) -> None:
    with Client(demo.address) as client:
        client.send(HANDSHAKE)
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        client.send(b"\x81\x82\0\0\0\0hi")
        assert client.read_exactly(4) == b"\x81\x02hi"
