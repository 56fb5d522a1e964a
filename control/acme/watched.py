"""One certificate that is wanted, and what is known of it."""

from dataclasses import dataclass, field
from typing import Any

import gevent

from control.acme.agenda import Agenda, Duty, agenda_of, described
from control.acme.record import Record
from control.acme.spec import CertSpec
from control.acme.vault import Cert


@dataclass(slots=True)
class Watched:
    """One certificate that is wanted."""

    spec: CertSpec
    cert: Cert | None = None
    record: Record = field(default_factory=Record)
    recalled: bool = False  # the record is the one that was kept
    ask_at: float = 0.0  # when to ask the CA for its window
    task: gevent.Greenlet | None = None
    doing: Duty = Duty.NOTHING

    def described(self, now: float) -> dict[str, Any]:
        """It for an operator."""
        return described(self.spec, self.cert, self.record, self.agenda(), self.doing, now)

    def agenda(self) -> Agenda:
        """What is next, and when."""
        return agenda_of(self.spec, self.cert, self.record, self.ask_at)
