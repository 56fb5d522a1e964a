"""The internal CA, seen from clients."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.ports import free_address, split_address
from tests.support.tls_client import TlsClient, context_for


@pytest.fixture
def inside() -> Iterator[tuple[Edged, str]]:
    https = free_address()
    body = (
        route(["localhost", "*.app.localhost", "127.0.0.1"], extra='respond = "inside"')
        + route("forced.example.com", extra='respond = "forced"\ntls = "internal"')
        + route("off.localhost", extra='respond = "off"\ntls = "off"')
    )
    with Edged(body, server=f'https = ["{https}"]', workers=2) as edged:
        yield edged, https


def root_of(edged: Edged) -> Path:
    done = subprocess.run(
        ["curl", "-sS", "--unix-socket", str(edged.socket_path), "http://x/v1/authority"],
        capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip
    return edged.write_file("root.pem", json.loads(done.stdout)["root_pem"])


@pytest.mark.parametrize("name", ["localhost", "x.app.localhost", "forced.example.com"])
def test_an_internal_name_is_served_at_once(inside: tuple[Edged, str], name: str) -> None:
    edged, https = inside
    with TlsClient(https, name, context_for(root_of(edged))) as client:
        assert client.get(host=name) in (b"inside", b"forced")


def test_an_address_is_a_name_too(inside: tuple[Edged, str]) -> None:
    edged, https = inside
    with TlsClient(https, "127.0.0.1", context_for(root_of(edged))) as client:
        assert client.get(host="127.0.0.1") == b"inside"


def test_curl_believes_it(inside: tuple[Edged, str]) -> None:
    edged, https = inside
    port = split_address(https)[1]
    done = subprocess.run(
        ["curl", "-sS", "--cacert", str(root_of(edged)), f"https://localhost:{port}/"],
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    assert done.stdout == "inside", done.stderr


def test_it_stays_the_same_over_a_restart(inside: tuple[Edged, str]) -> None:
    edged, https = inside
    root = root_of(edged)
    edged.stop(expect=0)
    edged.start()
    with TlsClient(https, "localhost", context_for(root)) as client:
        assert client.get(host="localhost") == b"inside"


def test_it_is_listed(inside: tuple[Edged, str]) -> None:
    edged, _ = inside
    listed = {each["host"]: each for each in edged.ctl_json("certs")["certs"]}
    assert listed["localhost"]["issuer"] == "the internal CA"
    assert "off.localhost" not in listed


def test_a_broken_one_stops_nothing_else(inside: tuple[Edged, str]) -> None:
    edged, https = inside
    edged.stop(expect=0)
    (edged.folder / "state" / "authority" / "intermediate" / "cert.pem").write_text("half")
    edged.start()
    eventually(lambda: "cannot be read" in edged.ctl("certs").out)
    assert edged.ctl("status")
    assert https
