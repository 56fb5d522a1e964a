"""Certificates that come from files."""

import contextlib
import os
import socket
import sqlite3
import ssl
import stat
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.eventually import eventually
from tests.support.origin import ScriptedOrigin
from tests.support.ports import free_address, split_address
from tests.support.secure import Secure, body, serving, subject_of


@pytest.fixture
def secure(origin: ScriptedOrigin) -> Iterator[Secure]:
    with serving(origin) as served:
        yield served


def test_keys_are_readable_by_the_workers_user_alone_who_cannot_replace_them(
    secure: Secure,
) -> None:
    kept = secure.edged.folder / "state" / "certs"
    keys = sorted(kept.glob("*/key.pem"))
    assert len(keys) >= 4
    uid = secure.edged.uid_of(secure.edged.workers()[0])
    for key in keys:
        found = key.stat()
        assert stat.S_IMODE(found.st_mode) == 0o600
        assert found.st_uid == uid
        folder = key.parent.stat()
        assert folder.st_uid == os.geteuid()
        assert stat.S_IMODE(folder.st_mode) == (0o700 if uid == os.geteuid() else 0o711)


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


def test_what_cannot_be_published_yet_is_published_later(secure: Secure) -> None:
    table = sqlite3.connect(secure.edged.folder / "state" / "table.db", isolation_level=None)
    with contextlib.closing(table):
        table.execute("BEGIN IMMEDIATE")
        secure.ca.issue("a.test")
        eventually(lambda: "are not in place yet" in secure.edged.log, 30)
        table.execute("ROLLBACK")
    after = ssl.PEM_cert_to_DER_cert((secure.ca.folder / "a.test.crt").read_text())

    def is_served() -> bool:
        with secure.client() as client:
            return client.tls.getpeercert(True) == after

    eventually(is_served, 30)


def test_sockets_without_tls_are_not_needed(origin: ScriptedOrigin) -> None:
    with serving(origin) as served, socket.create_connection(split_address(served.https)):
        assert served.edged.ctl_json("status")["https"] == [served.https]
        hosts = {each["host"] for each in served.edged.ctl_json("certs")["certs"]}
        assert hosts == {"a.test", "b.test", "also-b.test", "*.wild.test", "exact.wild.test"}


def test_a_key_that_is_too_weak_to_serve_is_refused_at_the_reload(secure: Secure) -> None:
    """It is in order as such, and workers could not load it."""
    folder = secure.ca.folder
    for command in (
        "req -x509 -newkey rsa:512 -nodes -subj /CN=a.test -addext subjectAltName=DNS:a.test"
        " -keyout weak.key -out weak.crt -days 3",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    secure.edged.write(body(free_address()).replace("tls/a.test.", "tls/weak."))
    outcome = secure.edged.ctl("reload")
    assert outcome.code == 1
    assert "tls/weak.crt" in outcome.err
    with secure.client() as client:
        assert subject_of(client) == {"a.test"}
