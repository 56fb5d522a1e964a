"""Certificates: those that clients show, and those that come from files."""

import socket
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import TestAuthority
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.origin import ScriptedOrigin
from tests.support.ports import free_address, split_address
from tests.support.secure import Secure, body, own, serving, subject_of
from tests.support.tls_client import TlsClient, context_for


@pytest.fixture
def secure(origin: ScriptedOrigin) -> Iterator[Secure]:
    with serving(origin) as served:
        yield served


# Certificates of clients


def test_a_host_may_ask_clients_for_certificates(origin: ScriptedOrigin) -> None:
    more = 'client_ca = "tls/clients.pem"\n'
    text = (
        route("a.test", origin.address)
        + own("a.test", more)
        + route("b.test", origin.address)
        + own("b.test", more + "client_required = false\n")
        + route("plain.test", origin.address)
    )
    https = free_address()
    edged = Edged(workers=2, server=f'https = ["{https}"]')
    folder = edged.folder / "tls"
    folder.mkdir()
    ca, clients, others = (TestAuthority(folder, name) for name in ("tests", "clients", "others"))
    for name in ("a.test", "b.test"):
        ca.issue(name)
    ada, eve = clients.issue("ada", into="ada"), others.issue("eve", into="eve")
    edged.write(text)

    def ask(host: str, pair: tuple[Path, Path] | None) -> str:
        context = context_for(ca.root)
        if pair:
            context.load_cert_chain(*pair)
        fields = "X-Client-Certificate-Sha256: forged\r\n"
        with TlsClient(https, host, context) as client:
            client.get(host=host, fields=fields)
        return origin.requests[-1].get("X-Client-Certificate-Sha256")

    with edged:
        assert len(ask("a.test", ada)) == 64
        assert ask("b.test", ada) == ask("a.test", ada)
        assert ask("b.test", None) == ""
        for pair in (None, eve):
            with pytest.raises((ssl.SSLError, OSError)):
                ask("a.test", pair)
        with pytest.raises((ssl.SSLError, OSError)):
            ask("b.test", eve)


# Files


def test_keys_are_readable_by_the_workers_user_alone(secure: Secure) -> None:
    kept = secure.edged.folder / "state" / "certs"
    keys = sorted(kept.glob("*/key.pem"))
    assert len(keys) >= 4
    uid = secure.edged.uid_of(secure.edged.workers()[0])
    for key in keys:
        found = key.stat()
        assert stat.S_IMODE(found.st_mode) == 0o600
        assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
        assert found.st_uid == uid


def test_bad_files_are_refused_and_the_old_ones_stay(secure: Secure) -> None:
    good = body(free_address())
    folder = secure.ca.folder
    secure.ca.issue("a.test", days=-1, into="old")
    for stem, names in (("old", "expired on"), ("b.test", "is for also-b.test, b.test")):
        secure.edged.write(good.replace("tls/a.test.", f"tls/{stem}."))
        outcome = secure.edged.ctl("reload")
        assert outcome.code == 1
        assert names in outcome.err
        assert "edged.toml:" in outcome.err
    mixed = good.replace('key = "tls/a.test.key"', 'key = "tls/b.test.key"')
    secure.edged.write(mixed)
    assert "is not the key of" in secure.edged.ctl("reload").err
    (folder / "broken.crt").write_text("hello")
    secure.edged.write(good.replace("tls/a.test.crt", "tls/broken.crt"))
    assert "holds no certificate" in secure.edged.ctl("reload").err
    with secure.client() as client:
        assert subject_of(client) == {"a.test"}


def test_files_that_change_are_served_without_a_reload(secure: Secure) -> None:
    before = ssl.PEM_cert_to_DER_cert((secure.ca.folder / "a.test.crt").read_text())
    secure.ca.issue("a.test")
    after = ssl.PEM_cert_to_DER_cert((secure.ca.folder / "a.test.crt").read_text())
    assert before != after

    def served() -> bytes | None:
        with secure.client() as client:
            der: bytes | None = client.tls.getpeercert(True)
            return der

    eventually(lambda: {served() for _ in range(4)} == {after}, 20)
    (secure.ca.folder / "a.test.crt").write_text("hello")
    eventually(lambda: "keeps its certificate" in secure.edged.ctl("events").out, 20)
    assert served() == after


def test_sockets_without_tls_are_not_needed(origin: ScriptedOrigin) -> None:
    with serving(origin) as served, socket.create_connection(split_address(served.https)):
        assert served.edged.ctl_json("status")["https"] == [served.https]
        hosts = {each["host"] for each in served.edged.ctl_json("certs")["certs"]}
        assert hosts == {"a.test", "b.test", "also-b.test", "*.wild.test", "exact.wild.test"}
