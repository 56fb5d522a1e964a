"""What is next for a certificate, and when; and how an operator reads it."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from control.acme.record import Record
from control.acme.renewal import due_at, emergency_at
from control.acme.spec import CertSpec, problem_of
from control.acme.vault import Cert


class Duty(StrEnum):
    """What can be next."""

    NOTHING = "nothing"
    OBTAIN = "obtain"
    RENEW = "renew"
    REVOKE = "revoke"
    ASK = "ask-window"  # ask the CA when it would like the renewal


@dataclass(frozen=True, slots=True)
class Agenda:
    """What, and when: 0 is now, infinity is never."""

    duty: Duty
    at: float


NEVER = Agenda(Duty.NOTHING, math.inf)


def agenda_of(spec: CertSpec, cert: Cert | None, record: Record, ask_at: float) -> Agenda:
    """What is next for a certificate on which nobody works."""
    duty = Duty.OBTAIN if cert is None else Duty.RENEW
    if record.given_up or problem_of(spec):
        return NEVER
    if record.failures:
        return Agenda(duty, record.next_at)
    if cert is None or record.asked or record.orders or is_unfit(spec, cert):
        return Agenda(duty, 0.0)
    due = _due_at(cert)
    return Agenda(Duty.ASK, ask_at) if ask_at < due else Agenda(Duty.RENEW, due)


def is_unfit(spec: CertSpec, cert: Cert) -> bool:
    """Whether it is not the certificate that is wanted, however long it lasts."""
    return cert.revoked or not set(spec.names) <= set(cert.names)


def described(
    spec: CertSpec, cert: Cert | None, record: Record, agenda: Agenda, doing: Duty, now: float
) -> dict[str, Any]:
    """One line of `edgectl certs`. Instants are seconds since 1970, None is "never"."""
    duty, at = (agenda.duty, agenda.at) if doing is Duty.NOTHING else (doing, now)
    if duty is Duty.ASK and cert is not None:
        # That question is asked again and again; what an operator wants to know is the renewal.
        duty, at = Duty.RENEW, _due_at(cert)
    return {
        "id": spec.id,
        "names": [*spec.names],
        "state": _state_of(spec, cert, record, doing, now),
        "issuer": cert.issuer if cert else None,
        "serial": cert.serial if cert else None,
        "directory": cert.directory if cert else None,
        "issued": cert.not_before if cert else None,
        "expires": cert.not_after if cert else None,
        "next": str(duty),
        "next_at": max(at, now) if math.isfinite(at) else None,
        "failures": record.failures,
        "last_error": problem_of(spec) or record.last_error,
    }


# Private


def _due_at(cert: Cert) -> float:
    return due_at(cert.not_before, cert.not_after, cert.window, cert.stored)


def _state_of(spec: CertSpec, cert: Cert | None, record: Record, doing: Duty, now: float) -> str:
    """The first that holds says most."""
    is_tried = doing in (Duty.OBTAIN, Duty.RENEW)
    end = cert.not_after if cert else math.inf
    emergency = emergency_at(cert.not_before, end) if cert else math.inf
    states = {
        "obtaining": is_tried and cert is None,
        "renewing": is_tried,
        "impossible": bool(problem_of(spec)),
        "given-up": record.given_up,
        "revoked": cert is not None and cert.revoked,
        "expired": now >= end,
        "expiring": now >= emergency,
        "failing": bool(record.failures),
        "missing": cert is None,
    }
    return next((state for state, holds in states.items() if holds), "valid")
