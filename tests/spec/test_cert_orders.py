"""`edgectl certs renew` and `certs revoke`: they return when it is so, or say why it is not."""

import re
from collections.abc import Iterator

import pytest

from tests.support.acme_front import AcmeFront
from tests.support.automatic import HOST, Automatic, fingerprint, line, state
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.tls_client import TlsClient

Served = tuple[Automatic, AcmeFront, Edged]


@pytest.fixture
def served(automatic: Automatic) -> Iterator[Served]:
    """An edged with a certificate, and a front of its CA."""
    text = route(HOST, extra='respond = "secure"')
    with (
        AcmeFront(automatic.pebble) as front,
        automatic.edged(text, directory=front.directory) as edged,
    ):
        eventually(lambda: state(edged) == "valid", 40)
        yield automatic, front, edged


@pytest.mark.parametrize("verb", ["renew", "revoke"])
def test_every_worker_has_the_new_one_when_the_order_returns(served: Served, verb: str) -> None:
    automatic, _, edged = served
    for _ in range(3):
        [former] = serials(automatic, 20)
        outcome = edged.ctl("certs", verb, HOST)
        assert outcome, outcome
        [latter] = serials(automatic, 20)
        assert latter != former
        expected = "Revoked" if verb == "revoke" else "Valid"
        assert automatic.pebble.status_of(former.lower()) == expected
    assert re.search("has a new certificate of Pebble .*, good until 20", outcome.out)
    document = edged.ctl_json("certs", verb, HOST)
    assert document["fingerprint"] == fingerprint(edged)
    assert document["unacked"] == []


def test_a_ca_that_refuses_is_quoted_and_the_former_one_serves_on(served: Served) -> None:
    automatic, front, edged = served
    former = fingerprint(edged)
    front.refuse("order-plz", "rejectedIdentifier", 400, times=2)
    outcome = edged.ctl("certs", "renew", HOST)
    assert outcome.code == 1
    assert f"There is no new certificate for {HOST}: rejectedIdentifier as told" in outcome.err
    assert re.search(r"The next attempt is in \d+ s\. The former one serves on\.", outcome.err)
    assert outcome.out == ""
    assert fingerprint(edged) == former
    assert automatic.get() == b"secure"
    # Each order is an attempt of its own, whatever the schedule says.
    assert edged.ctl("certs", "renew", HOST).code == 1
    assert edged.ctl("certs", "renew", HOST)
    assert fingerprint(edged) != former


def test_a_revocation_without_a_successor_says_both(served: Served) -> None:
    automatic, front, edged = served
    [serial] = serials(automatic, 1)
    front.refuse("order-plz", "rejectedIdentifier", 400)
    outcome = edged.ctl("certs", "revoke", HOST)
    assert outcome.code == 1
    assert f"The certificate of {HOST} is revoked. There is no new" in outcome.err
    assert "rejectedIdentifier as told" in outcome.err
    assert automatic.pebble.status_of(serial.lower()) == "Revoked"


def test_a_revocation_does_not_wait_for_a_schedule_of_before(served: Served) -> None:
    _, front, edged = served
    former = fingerprint(edged)
    front.refuse("order-plz", "rejectedIdentifier", 400)
    assert not edged.ctl("certs", "renew", HOST)
    assert line(edged)["next_at"] is not None
    assert edged.ctl("certs", "revoke", HOST)
    assert fingerprint(edged) != former


@pytest.mark.parametrize("verb", ["renew", "revoke"])
def test_a_ca_that_hangs_is_waited_for_as_long_as_one_likes(served: Served, verb: str) -> None:
    _, front, edged = served
    former = fingerprint(edged)
    front.hang("*", times=1000)
    outcome = edged.ctl("certs", verb, HOST, "--timeout", "0.5s", timeout_s=10.0)
    assert outcome.code == 1
    assert "takes longer: see 'edgectl " in outcome.err
    assert fingerprint(edged) == former


def test_a_time_that_is_none_is_refused(served: Served) -> None:
    _, _, edged = served
    outcome = edged.ctl("certs", "renew", HOST, "--timeout", "1h")
    assert outcome.code == 1
    assert "'within_s' is 0 to 600 seconds" in outcome.err


def serials(automatic: Automatic, connections: int) -> set[str]:
    """Which certificates so many clients get."""
    context, found = automatic.context(), set()
    for _ in range(connections):
        with TlsClient(automatic.https, HOST, context) as client:
            found.add(str(client.tls.getpeercert()["serialNumber"]))
    return found
