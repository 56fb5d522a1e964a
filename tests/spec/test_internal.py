"""The internal CA, seen from clients."""

import json
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import TestAuthority
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.ports import free_address, split_address
from tests.support.secure import subject_of
from tests.support.tls_client import TlsClient, context_for


@pytest.fixture
def inside() -> Iterator[tuple[Edged, str]]:
    https = free_address()
    body = (
        route(["localhost", "*.app.localhost", "printer", "127.0.0.1"], extra='respond = "inside"')
        + route("forced.example.com", extra='respond = "forced"\ntls = "internal"')
        + route("*.localhost", extra='respond = "wide"')
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


def test_a_wildcard_that_clients_would_refuse_is_a_certificate_for_each_name(
    inside: tuple[Edged, str],
) -> None:
    """curl and browsers take none for "*.localhost"."""
    edged, https = inside
    context = context_for(root_of(edged))
    for name in ("one.localhost", "two.deep.localhost"):
        with TlsClient(https, name, context) as client:
            assert client.get(host=name) == b"wide"
            assert subject_of(client) == {name}
    edged.stop()
    edged.start()
    with TlsClient(https, "one.localhost", context) as client:
        assert client.get(host="one.localhost") == b"wide"


def test_an_address_is_a_name_too(inside: tuple[Edged, str]) -> None:
    edged, https = inside
    with TlsClient(https, "127.0.0.1", context_for(root_of(edged))) as client:
        assert client.get(host="127.0.0.1") == b"inside"


@pytest.mark.parametrize("name", ["localhost", "x.app.localhost", "printer", "127.0.0.1"])
def test_curl_believes_it(inside: tuple[Edged, str], name: str) -> None:
    edged, https = inside
    port = split_address(https)[1]
    done = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "--cacert", str(root_of(edged)),
         "--resolve", f"{name}:{port}:127.0.0.1", f"https://{name}:{port}/"],
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    assert done.stdout == "inside", done.stderr


def test_settings_of_a_name_change_at_once_and_its_certificate_stays(
    inside: tuple[Edged, str],
) -> None:
    edged, https = inside
    root = root_of(edged)
    clients = TestAuthority(edged.folder, "clients")
    ada = clients.issue("ada", into="ada")

    def leaf(pair: tuple[Path, Path] | None = None) -> bytes | None:
        context = context_for(root)
        if pair:
            context.load_cert_chain(*pair)
        with TlsClient(https, "localhost", context) as client:
            assert client.get(host="localhost") == b"inside"
            return client.tls.getpeercert(binary_form=True)

    before = leaf()
    extra = 'respond = "inside"\n[route.tls]\nclient_ca = "clients.pem"'
    edged.write(route("localhost", extra=extra))
    edged.reload()
    with pytest.raises((ssl.SSLError, OSError)):
        leaf()
    assert leaf(ada) == before


def test_a_name_that_had_own_files_is_internal_from_the_reload_on(
    inside: tuple[Edged, str],
) -> None:
    edged, https = inside
    ca = TestAuthority(edged.folder, "ca")
    ca.issue("localhost")
    own = '[route.tls]\ncert = "localhost.crt"\nkey = "localhost.key"'
    edged.write(route("localhost", extra=f'respond = "own"\n{own}'))
    edged.reload()
    with TlsClient(https, "localhost", context_for(ca.root)) as client:
        assert client.get(host="localhost") == b"own"
    edged.write(route("localhost", extra='respond = "inside"'))
    edged.reload()
    with TlsClient(https, "localhost", context_for(root_of(edged))) as client:
        assert client.get(host="localhost") == b"inside"


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


def test_an_intermediate_that_is_broken_is_made_anew(inside: tuple[Edged, str]) -> None:
    edged, https = inside
    root = root_of(edged)
    edged.stop(expect=0)
    (edged.folder / "state" / "authority" / "intermediate" / "cert.pem").write_text("half")
    edged.start()
    with TlsClient(https, "localhost", context_for(root)) as client:
        assert client.get(host="localhost") == b"inside"


def test_a_root_that_is_broken_stops_nothing_else(inside: tuple[Edged, str]) -> None:
    edged, _ = inside
    edged.stop(expect=0)
    (edged.folder / "state" / "authority" / "root" / "cert.pem").write_text("half")
    edged.start()
    eventually(lambda: "cannot be read" in edged.ctl("certs").out)
    assert edged.ctl("status")
