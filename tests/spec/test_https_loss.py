"""Under load over TLS nothing is lost: by reloads, by rolls, by certificates that change."""

from collections.abc import Iterator

import pytest

from tests.support.https_load import HttpsLoad
from tests.support.origin import ScriptedOrigin
from tests.support.secure import Secure, body, serving


@pytest.fixture
def served(origin: ScriptedOrigin) -> Iterator[tuple[Secure, ScriptedOrigin]]:
    with serving(origin) as secure:
        yield secure, origin


def test_twenty_reloads_fail_no_request(served: tuple[Secure, ScriptedOrigin]) -> None:
    secure, origin = served
    with HttpsLoad(secure) as load:
        for number in range(20):
            more = f'[[route]]\nmatch = "new-{number}.test"\nrespond = "new"\n'
            secure.edged.write(body(origin.address) + more)
            secure.edged.reload()
    assert not load.failures
    assert load.ok > 100


def test_five_rolls_fail_no_request(served: tuple[Secure, ScriptedOrigin]) -> None:
    secure, _ = served
    with HttpsLoad(secure) as load:
        for _ in range(5):
            assert secure.edged.ctl("reload", "--roll")
    assert not load.failures
    assert load.ok > 100


def test_certificates_that_change_fail_no_handshake(
    served: tuple[Secure, ScriptedOrigin],
) -> None:
    secure, _ = served

    def fingerprint() -> str:
        listed = secure.edged.ctl_json("certs")["certs"]
        return next(each["fingerprint"] for each in listed if each["host"] == "a.test")

    with HttpsLoad(secure) as load:
        for _ in range(3):
            before = fingerprint()
            secure.ca.issue("a.test")
            secure.edged.reload()
            assert fingerprint() != before
    assert not load.failures
    assert load.ok > 100
