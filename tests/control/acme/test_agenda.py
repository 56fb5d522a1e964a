"""What is next for a certificate, and how an operator reads it."""

import math
from dataclasses import replace

import pytest

from control.acme.agenda import Agenda, Duty, agenda_of, described
from control.acme.order import State
from control.acme.record import OrderRecord, Record
from control.acme.renewal import Window
from control.acme.spec import Authority, CertSpec, DnsHook, Kind
from control.acme.vault import Cert

CA = Authority(directory="https://ca.test/dir")
SPEC = CertSpec(id="a.test", names=("a.test",), authorities=(CA,))
CERT = Cert(
    id="a.test", names=("a.test",), directory=CA.directory, issuer="CA", serial="1",
    not_before=0.0, not_after=900.0, ari_id="x.y", order="o", stored=0.0,
)  # fmt: skip
LATE = 1e9


@pytest.mark.parametrize(
    ("cert", "record", "ask_at", "agenda"),
    [
        (None, Record(), 0.0, Agenda(Duty.OBTAIN, 0.0)),
        (CERT, Record(), LATE, Agenda(Duty.RENEW, 600.0)),
        (CERT, Record(), 50.0, Agenda(Duty.ASK, 50.0)),
        (CERT, Record(asked=True), LATE, Agenda(Duty.RENEW, 0.0)),
        (replace(CERT, revoked=True), Record(), LATE, Agenda(Duty.RENEW, 0.0)),
        (replace(CERT, names=("b.test",)), Record(), LATE, Agenda(Duty.RENEW, 0.0)),
        (
            replace(CERT, not_after=9e5, window=Window(start=5e5, end=6e5, instant=5.5e5)),
            Record(),
            LATE,
            Agenda(Duty.RENEW, 5.5e5),
        ),
        (
            CERT,
            Record(orders={"d": OrderRecord(names=("a.test",), state=State.KEYED)}),
            LATE,
            Agenda(Duty.RENEW, 0.0),
        ),
        (None, Record(failures=2, next_at=77.0), 0.0, Agenda(Duty.OBTAIN, 77.0)),
        (CERT, Record(failures=2, next_at=77.0), 0.0, Agenda(Duty.RENEW, 77.0)),
        (None, Record(failures=50, given_up=True), 0.0, Agenda(Duty.NOTHING, math.inf)),
    ],
)
def test_what_is_next(cert: Cert | None, record: Record, ask_at: float, agenda: Agenda) -> None:
    assert agenda_of(SPEC, cert, record, ask_at) == agenda


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"names": ()}, "a.test has no names"),
        ({"authorities": ()}, "a.test has no CA"),
        ({"names": ("*.a.test",)}, "it needs a dns_hook"),
        ({"names": ("*.a.test",), "kinds": (Kind.HTTP,), "dns": DnsHook(file="x")}, "dns_hook"),
        ({"kinds": (Kind.DNS,)}, "a.test has no way to be proven"),
    ],
)
def test_what_can_never_be_is_not_tried_and_says_why(more: dict, reason: str) -> None:
    spec = replace(SPEC, **more)
    assert agenda_of(spec, None, Record(), 0.0).at == math.inf
    line = described(spec, None, Record(), Agenda(Duty.NOTHING, math.inf), Duty.NOTHING, 0.0)
    assert (line["state"], line["next_at"]) == ("impossible", None)
    assert reason in line["last_error"]


@pytest.mark.parametrize(
    ("cert", "record", "doing", "now", "state"),
    [
        (None, Record(), Duty.NOTHING, 0, "missing"),
        (None, Record(failures=1), Duty.NOTHING, 0, "failing"),
        (None, Record(), Duty.OBTAIN, 0, "obtaining"),
        (CERT, Record(), Duty.NOTHING, 0, "valid"),
        (CERT, Record(), Duty.ASK, 0, "valid"),
        (CERT, Record(), Duty.RENEW, 0, "renewing"),
        (CERT, Record(failures=1), Duty.NOTHING, 700, "failing"),
        (CERT, Record(failures=1), Duty.NOTHING, 860, "expiring"),
        (CERT, Record(failures=1), Duty.NOTHING, 900, "expired"),
        (CERT, Record(given_up=True), Duty.NOTHING, 950, "given-up"),
        (replace(CERT, revoked=True), Record(), Duty.NOTHING, 0, "revoked"),
    ],
)
def test_the_state_that_says_most_is_shown(
    cert: Cert | None, record: Record, doing: Duty, now: float, state: str
) -> None:
    agenda = agenda_of(SPEC, cert, record, LATE)
    assert described(SPEC, cert, record, agenda, doing, now)["state"] == state


def test_an_operator_reads_of_the_renewal_and_not_of_questions() -> None:
    line = described(SPEC, CERT, Record(), Agenda(Duty.ASK, 5.0), Duty.NOTHING, 1.0)
    assert (line["next"], line["next_at"], line["expires"]) == ("renew", 600.0, 900.0)
