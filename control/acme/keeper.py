"""The keeper: says what is due, has it obtained, and remembers how that went.

Rule 1: it disturbs nobody. The certificate that there is serves until the next one is in the vault;
        without a CA, a disk or a database it waits, and says what it waits for.
Rule 2: what was decided is decided by `renewal.py`, what happens to an order by `order.py`.
Rule 3: one attempt at a time for each certificate, a few at a time in all.
"""

import hashlib
import logging
import random
from collections.abc import Callable, Iterable
from typing import Any, Final

import gevent
from gevent.event import Event
from gevent.pool import Pool

from control.acme.accounts import Accounts
from control.acme.agenda import Agenda, Duty
from control.acme.clock import Clock, WallClock
from control.acme.failure import HELD, STORAGE, IssueFailed
from control.acme.issuance import Desk, Issuance
from control.acme.record import Record, record_of
from control.acme.renewal import held_s, retry_s
from control.acme.solver import Solver
from control.acme.spec import Authority, CertSpec, Kind, problem_of
from control.acme.steps import Steps
from control.acme.vault import Cert, Vault
from control.acme.watched import Watched
from control.acme.windows import Windows
from control.events import Events
from control.refusal import Refused
from control.store import Store

log = logging.getLogger("control.acme")

ATTEMPTS_AT_ONCE: Final = 16
LOOK_S: Final = 60.0
"""The wall clock may be set: nothing is waited for longer without a look at it."""

STORE_RETRY_S: Final = 2.0
REVOKE_S: Final = 60.0
SLICE: Final = 200
"""After so many of ten thousand certificates others get their turn."""
KEPT: Final = "acme/"
TALLY: Final = "acme-tally"


class Keeper:
    """All certificates that are wanted, and the way to each."""

    def __init__(
        self,
        vault: Vault,
        store: Store,
        events: Events,
        solver: Solver,
        clock: Clock | None = None,
        toss: Callable[[], float] = random.random,
    ) -> None:
        self.installed: Callable[[Cert], None] = lambda cert: None  # raises `Refused`
        clock = clock or WallClock()
        steps = Steps(clock)
        self.desk = Desk(vault, Accounts(vault, steps), solver, steps, clock, toss)
        self._windows = Windows(self.desk)
        self._store = store
        self._events = events
        self._watched: dict[str, Watched] = {}
        self._pool = Pool(ATTEMPTS_AT_ONCE)
        self._wake = Event()
        self._task: gevent.Greenlet | None = None

    def __repr__(self) -> str:
        failing = sum(bool(each.record.failures) for each in self._watched.values())
        return f"<Keeper {failing} failing of {len(self._watched)}>"

    def start(self) -> None:
        """Begin to obtain and to renew."""
        self._task = gevent.spawn(self._run_on)

    def stop(self) -> None:
        """Leave everything as it is written down: the next keeper goes on with it."""
        if self._task is not None:
            self._task.kill()  # first: it would begin anew what is ended
        for watched in self._watched.values():
            self._end(watched)

    def want(self, specs: Iterable[CertSpec]) -> None:
        """Those certificates, and no others, from now on. Waits for the disk, never for a CA."""
        wanted = {spec.id: spec for spec in specs}
        for name in self._watched.keys() - wanted.keys():
            self._end(self._watched.pop(name))
            self._try_keep(name, Record())
        for name, spec in wanted.items():
            watched = self._watched.get(name)
            if watched is not None and watched.spec != spec:
                self._end(watched)
                watched.spec = spec
                self._begin_anew(watched)
        new = [wanted[name] for name in wanted.keys() - self._watched.keys()]
        found = self.desk.steps.file(self.desk.vault.load, [one.id for one in new]) if new else {}
        for spec in new:
            cert = found.get(spec.id)
            ask_at = self._windows.first_ask(cert) if cert else 0.0
            self._watched[spec.id] = Watched(spec, cert, ask_at=ask_at)
        self._wake.set()

    def latest(self, name: str) -> Cert | None:
        """What there is to serve for a wanted one, by its id."""
        watched = self._watched.get(name)
        return watched.cert if watched is not None else None

    def listed(self) -> list[dict[str, Any]]:
        """Every certificate for an operator: what it is, and what happens next."""
        now = self.desk.clock.now()
        return [each.described(now) for _, each in sorted(self._watched.items())]

    def line(self, name: str) -> dict[str, Any]:
        """The same of one, or nothing."""
        watched = self._watched.get(name)
        return watched.described(self.desk.clock.now()) if watched is not None else {}

    def renew(self, name: str) -> None:
        """Obtain a new one now, also one that was given up. Raises `Refused`."""
        watched = self._known(name)
        if problem := problem_of(watched.spec):
            raise Refused("acme-failed", f"{problem}.")
        self._take_up(watched)  # first: what was kept would overwrite what this order asks for
        if watched.doing in (Duty.NOTHING, Duty.ASK):
            self._ask_anew(watched)

    def revoke(self, name: str, reason: int = 0, within_s: float = REVOKE_S) -> None:
        """Have a certificate revoked; a new one with a new key follows. Raises `Refused`."""
        watched = self._known(name)
        if watched.cert is None:
            raise Refused("not-found", f"{name} has no certificate yet: see 'edgectl certs'.")
        if watched.task is not None and watched.doing is Duty.ASK:
            watched.task.join(within_s)
        if watched.task is not None:
            text = f"The certificate of {name} is being worked on: try again when it is done."
            raise Refused("busy", text)
        task = self._begin(self._revoke, watched, Duty.REVOKE, reason)
        task.join(within_s)
        if not task.ready():
            text = f"To revoke the certificate of {name} takes longer: see 'edgectl events'."
            raise Refused("timeout", text)
        failure = task.get()
        if failure is not None:
            raise Refused("acme-failed", f"{name} is not revoked: {failure}.")

    # Private

    def _known(self, name: str) -> Watched:
        try:
            return self._watched[name]
        except KeyError:
            text = f"There is no certificate {name}: see 'edgectl certs'."
            raise Refused("not-found", text) from None

    def _end(self, watched: Watched) -> None:
        if watched.task is not None:
            watched.task.kill(block=False)
            watched.task, watched.doing = None, Duty.NOTHING

    def _run_on(self) -> None:
        self._tidy()
        while True:
            self._wake.clear()
            pause_s = LOOK_S if self._recall() else STORE_RETRY_S
            self.desk.clock.wait(self._wake, min(pause_s, self._begin_due()))

    def _tidy(self) -> None:
        try:
            self.desk.steps.file(self.desk.vault.tidy, self.desk.clock.now())
            raw = self._store.kept(TALLY) or {}
            self.desk.tally.update({Kind(kind): (int(s), int(n)) for kind, (s, n) in raw.items()})
        except (Refused, IssueFailed, ValueError, TypeError) as problem:
            log.warning("not tidied up: %s", problem)

    def _recall(self) -> bool:
        """Take up what was kept of those that are new; whether that worked."""
        for number, watched in enumerate([*self._watched.values()]):
            try:
                self._take_up(watched)
            except Refused as refusal:
                log.warning("certificates wait for the database: %s", refusal)
                return False
            if not number % SLICE:
                gevent.sleep(0)
        return True

    def _take_up(self, watched: Watched) -> None:
        """What was kept of one, if that is not known yet. Raises `Refused`."""
        if watched.recalled:
            return
        record = record_of(self._store.kept(KEPT + watched.spec.id))
        if watched.recalled:
            return  # the database made us wait, and another was quicker
        cert, wanted = watched.cert, _digest(watched.spec)
        if record.wanted != wanted:
            record = Record(wanted=wanted, orders=record.orders)
        for directory, order in [*record.orders.items()]:
            if cert is not None and order.url == cert.order:
                del record.orders[directory]  # it came into the vault, no further
        watched.record, watched.recalled = record, True

    def _begin_due(self) -> float:
        """Begin what is due, as much as there is room for; when to look again."""
        now = self.desk.clock.now()
        agendas: list[tuple[Agenda, Watched]] = []
        for number, watched in enumerate([*self._watched.values()], 1):
            agendas.append((watched.agenda(), watched))
            if not number % SLICE:
                gevent.sleep(0)
        agendas.sort(key=lambda pair: pair[0].at)
        for agenda, watched in agendas:
            if agenda.at > now:
                return agenda.at - now
            is_wanted = self._watched.get(watched.spec.id) is watched
            if watched.task is not None or not watched.recalled or not is_wanted:
                continue
            if not self._pool.free_count():
                break  # whoever ends wakes us
            agenda = watched.agenda()  # others had their turn since
            if agenda.at <= now:
                self._begin(self._attempt, watched, agenda.duty)
        return LOOK_S

    def _begin(
        self, act: Callable[..., object], watched: Watched, duty: Duty, *more: object
    ) -> gevent.Greenlet:
        task = self._pool.spawn(act, watched, *more)
        watched.doing, watched.task = duty, task

        def end(_: object) -> None:
            if watched.task is task:  # nobody has ended it for another
                watched.task, watched.doing = None, Duty.NOTHING
            self._wake.set()

        task.rawlink(end)  # after the pool's own: then there is room for the next
        return task

    def _revoke(self, watched: Watched, reason: int) -> IssueFailed | None:
        assert watched.cert is not None
        try:
            watched.cert = self._windows.revoke(watched.spec, watched.cert, reason)
        except IssueFailed as failure:
            return failure
        self._ask_anew(watched)
        name = watched.spec.id
        self._say("certificate-revoked", watched, f"the certificate of {name} is revoked")
        return None

    def _attempt(self, watched: Watched) -> None:
        try:
            if watched.doing is Duty.ASK:
                assert watched.cert is not None
                watched.cert, watched.ask_at = self._windows.ask(watched.spec, watched.cert)
            else:
                self._obtain(watched)
        except IssueFailed as failure:
            self._fail(watched, failure)
        except Exception as error:  # one certificate's bug must not end the others
            log.exception("the certificate of %s could not be obtained", watched.spec.id)
            self._fail(watched, IssueFailed("bug", repr(error)))

    def _obtain(self, watched: Watched) -> None:
        spec, record = watched.spec, watched.record
        failures: list[IssueFailed] = []
        for authority in spec.authorities:
            try:
                cert = self._obtain_from(watched, authority)
            except IssueFailed as failure:
                failures.append(failure)
                if failure.retry_after_s:
                    until = self.desk.clock.now() + held_s(failure.retry_after_s)
                    record.held[authority.directory] = until
                if not failure.elsewhere:
                    break
                log.info("no certificate for %s from %s: %s", spec.id, authority.directory, failure)
            else:
                self._install(watched, cert)
                return
        raise _together(failures, spec.authorities)

    def _obtain_from(self, watched: Watched, authority: Authority) -> Cert:
        record, now = watched.record, self.desk.clock.now()
        until = record.held.get(authority.directory, 0.0)
        if until > now:
            raise IssueFailed(HELD, f"it is asked again in {until - now:.0f} s only")
        probe = authority.probe
        if probe is not None and record.failures and authority.directory not in record.orders:
            self._rehearse(watched, probe)
        issuance = self._issuance(watched, authority)
        if watched.cert is not None and watched.cert.directory == authority.directory:
            issuance.replaces = watched.cert.ari_id
        cert = issuance.run()
        assert cert is not None
        return cert

    def _rehearse(self, watched: Watched, probe: Authority) -> None:
        """Try it where failures cost nothing; trouble of the staging CA itself says nothing."""
        rehearsal = self._issuance(watched, probe)
        rehearsal.rehearsal = True
        try:
            rehearsal.run()
        except IssueFailed as failure:
            if failure.is_final or not failure.elsewhere:
                raise
            log.info("%s is no help for %s: %s", probe.directory, watched.spec.id, failure)

    def _issuance(self, watched: Watched, authority: Authority) -> Issuance:
        def keep() -> None:
            try:
                self._store.keep(KEPT + watched.spec.id, watched.record.to_json())
            except Refused as refusal:
                raise IssueFailed(STORAGE, refusal.message, elsewhere=False) from None

        return Issuance(self.desk, watched.spec, authority, watched.record, keep)

    def _install(self, watched: Watched, cert: Cert) -> None:
        former, watched.cert = watched.cert, cert
        watched.record = Record(wanted=watched.record.wanted)
        self._try_keep(cert.id, watched.record)
        try:
            self._store.keep(TALLY, {str(kind): pair for kind, pair in self.desk.tally.items()})
        except Refused as refusal:
            log.debug("the tally is not kept: %s", refusal)
        verb = "obtained" if former is None else "renewed"
        text = f"the certificate of {cert.id} is {verb} from {cert.issuer}"
        self._say(f"certificate-{verb}", watched, text)
        try:
            self.installed(cert)  # who could not take it looks at `latest` again
        except Refused as refusal:
            log.error("a new certificate of %s is not served yet: %s", cert.id, refusal.message)
        watched.ask_at = 0.0  # the CA may have wishes

    def _fail(self, watched: Watched, failure: IssueFailed) -> None:
        now, record, name = self.desk.clock.now(), watched.record, watched.spec.id
        if watched.doing is Duty.ASK:
            log.info("%s: no window for its renewal: %s", name, failure)
            watched.ask_at = self._windows.again_at()
            return
        record.failures += 1
        record.failing_since = record.failing_since or now
        record.last_error = str(failure)
        record.asked = False
        wait_s = retry_s(record.failures, now - record.failing_since)
        record.given_up = wait_s is None
        record.next_at = now + (wait_s or 0.0)
        held = [record.held.get(each.directory, 0.0) for each in watched.spec.authorities]
        record.next_at = max(record.next_at, min(held))
        self._try_keep(name, record)
        if record.given_up:
            text = f"the certificate of {name} is given up: {failure}; try 'edgectl certs'"
            self._say("certificate-given-up", watched, text)
        else:
            wait = f"next attempt in {record.next_at - now:.0f} s"
            self._say(
                "certificate-failed", watched, f"no certificate for {name}: {failure}; {wait}"
            )

    def _ask_anew(self, watched: Watched) -> None:
        """An operator wants another one now, however often that has failed."""
        former = watched.record
        watched.record = Record(wanted=former.wanted, orders=former.orders, asked=True)
        self._try_keep(watched.spec.id, watched.record)
        self._wake.set()

    def _begin_anew(self, watched: Watched) -> None:
        watched.record = Record(wanted=_digest(watched.spec), orders=watched.record.orders)

    def _try_keep(self, name: str, record: Record) -> None:
        try:
            self._store.keep(KEPT + name, None if record.is_blank else record.to_json())
        except Refused as refusal:
            log.warning("the schedule of %s is not kept: %s", name, refusal)

    def _say(self, kind: str, watched: Watched, text: str) -> None:
        self._events.add(kind, text, certificate=watched.spec.id)


# Private


def _digest(spec: CertSpec) -> str:
    return hashlib.sha256(repr(spec).encode()).hexdigest()[:16]


def _together(failures: list[IssueFailed], authorities: tuple[Authority, ...]) -> IssueFailed:
    if len(failures) == 1:
        return failures[0]
    pairs = zip(authorities, failures, strict=False)
    text = "; ".join(f"{authority.directory}: {failure}" for authority, failure in pairs)
    return IssueFailed("all-failed", text)
