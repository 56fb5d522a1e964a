"""Ten thousand names with TLS on one edged: each its own certificate, and memory for few."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.edged import Edged, memory_of, route
from tests.support.eventually import eventually
from tests.support.origin import ScriptedOrigin
from tests.support.secure import Secure, own, serving, subject_of
from tests.support.tls_client import TlsClient, context_for

COUNT: Final = 10_000
OWN: Final = 20
KEPT: Final = 2_000
"""A worker keeps the certificates of that many names in memory."""

ALIKE: Final = [f"host-{number}.many.test" for number in range(COUNT - OWN)]
APART: Final = [f"host-{number}.apart.test" for number in range(OWN)]
MIB: Final = 1 << 20


@pytest.fixture(scope="module")
def many() -> Iterator[Secure]:
    """Most names share a file, so that a test need not make ten thousand keys; some do not."""
    with ScriptedOrigin() as origin, serving(origin, workers=1) as served:
        served.ca.issue("*.many.test", into="many")
        for name in APART:
            served.ca.issue(name)
        served.edged.write(
            "".join(
                route(name, extra=f'respond = "{name}"') + own(stem)
                for names, stem in ((ALIKE, "many"), *(([name], name) for name in APART))
                for name in names
            )
        )
        served.edged.ctl("reload")
        yield served


@pytest.mark.parametrize("name", [*APART[::7], ALIKE[0], ALIKE[COUNT // 2], ALIKE[-1]])
def test_each_of_ten_thousand_names_gets_its_own_certificate_and_answer(
    many: Secure, name: str
) -> None:
    for spelling in (name, name.upper()):
        with many.client(spelling) as client:
            assert subject_of(client) == {name if name in APART else "*.many.test"}
            assert client.get(host=name) == name.encode()


def test_a_name_beside_ten_thousand_others_gets_no_certificate_of_theirs(many: Secure) -> None:
    for name in (f"host-{COUNT}.many.test", "many.test", "host-0.apart.test.test"):
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            many.client(name)


def test_what_one_connection_may_ask_for_is_what_its_name_is_of(many: Secure) -> None:
    with many.client(ALIKE[0]) as client:
        client.send(f"GET / HTTP/1.1\r\nHost: {ALIKE[1]}\r\n\r\n".encode())
        assert client.read_answer().status == 421


def test_names_that_were_asked_for_once_do_not_stay_in_memory(many: Secure) -> None:
    (worker,) = many.edged.workers()
    context = context_for(None)
    ask(many, ALIKE[: 2 * KEPT], context)  # what they leave free is in pieces at first
    before = memory_of(worker)
    ask(many, ALIKE[2 * KEPT : 3 * KEPT], context)
    assert memory_of(worker) - before < 8 * MIB  # kept, they would be 50 MiB


def test_a_reload_of_ten_thousand_names_exchanges_the_one_certificate_that_is_another(
    many: Secure,
) -> None:
    before = fingerprints(many.edged)
    many.ca.issue(APART[0])
    many.edged.ctl("reload")
    changed = eventually(lambda: fingerprints(many.edged).items() - before.items())
    assert {name for name, _ in changed} == {APART[0]}
    with many.client(APART[0]) as client:
        served = client.tls.getpeercert(binary_form=True)
    pem = Path(many.ca.folder / f"{APART[0]}.crt").read_text()
    assert served == ssl.PEM_cert_to_DER_cert(pem)


def ask(many: Secure, names: list[str], context: Any) -> None:
    for name in names:
        TlsClient(many.https, name, context).close()


def fingerprints(edged: Edged) -> dict[str, str]:
    return {each["host"]: each["fingerprint"] for each in edged.ctl_json("certs")["certs"]}
