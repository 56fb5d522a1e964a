"""One certificate from one CA: the shell that walks an order through the table of `order.py`.

Each step asks the CA for one thing and writes down what it learnt before the next. A walk that was
ended anywhere, by a failure or by a SIGKILL, goes on from what was written down.
"""

import functools
import logging
import random
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final, TypeVar

from control.acme.accounts import NOT_OURS, Accounts
from control.acme.answers import FINAL, Authorization, OrderView
from control.acme.chain import trouble_with
from control.acme.client import Client
from control.acme.clock import Clock
from control.acme.failure import LOST, STRANGE, TIMED_OUT, IssueFailed
from control.acme.keys import new_key, request_of
from control.acme.order import Event, State
from control.acme.proof import ProofFailed, Prover, Task, failure_of, tasks_for
from control.acme.record import OrderRecord, Record
from control.acme.renewal import ORDERS, in_order, room_s
from control.acme.solver import Solver
from control.acme.spec import Authority, CertSpec, Kind, usable_kinds
from control.acme.steps import Steps
from control.acme.vault import Account, Cert, Issue, Vault

log = logging.getLogger("control.acme")

T = TypeVar("T")

POLL_S: Final = 180.0
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 5.0
LONGEST_RETRY_AFTER_S: Final = 60.0


@dataclass(slots=True)
class Desk:
    """What every issuance works with."""

    vault: Vault
    accounts: Accounts
    solver: Solver
    steps: Steps
    clock: Clock
    toss: Callable[[], float] = random.random
    tally: dict[Kind, tuple[int, int]] = field(default_factory=dict)  # successes and attempts
    placed: dict[tuple[str, str], deque[float]] = field(default_factory=dict)

    def await_room(self, directory: str, email: str) -> None:
        """Wait until there may be another order with that account, and count it."""
        placed = self.placed.setdefault((directory, email), deque(maxlen=ORDERS))
        while wait_s := room_s(placed, self.clock.now()):
            self.clock.pause(wait_s)
        placed.append(self.clock.now())

    def count(self, kind: Kind, *, success: bool) -> None:
        """One more challenge that was looked at."""
        successes, attempts = self.tally.get(kind, (0, 0))
        self.tally[kind] = (successes + success, attempts + 1)


class Issuance:
    """The walk. `keep` writes the record down, and raises `IssueFailed` when it cannot."""

    def __init__(
        self,
        desk: Desk,
        spec: CertSpec,
        authority: Authority,
        record: Record,
        keep: Callable[[], None],
    ) -> None:
        self.desk = desk
        self.spec = spec
        self.authority = authority
        self.record = record
        self.replaces = ""  # the certificate that this one comes after, as the CA knows it
        self.rehearsal = False  # ends before the vault
        self._keep = keep
        self._refused: set[Kind] = set()
        self._client = Client(authority)

    def __repr__(self) -> str:
        order = self.record.orders.get(self.authority.directory)
        state = order.state.name if order else "NEW"
        return f"<Issuance {state} {self.spec.id} at {self.authority.directory}>"

    def run(self) -> Cert | None:
        """The certificate, in the vault; None after a rehearsal. Raises `IssueFailed`."""
        try:
            self._connect(self.desk.accounts.find(self.authority, self.spec.email))
            while True:
                try:
                    return self._walk()
                except ProofFailed as failure:
                    # Another kind of challenge needs another order (RFC 8555, 7.1.6).
                    self._refused |= failure.kinds
                    if not failure.kinds or not self._has_way():
                        raise
        finally:
            self._client.close()

    # Private

    def _connect(self, account: Account) -> None:
        self._client.close()
        self._client = Client(self.authority, *account)
        self.desk.steps.take(self._client.connect)

    def _has_another_account(self, failure: IssueFailed) -> bool:
        """Whether the CA has another account for our key than the one that it refuses; it is taken
        up. Raises `IssueFailed`."""
        if failure.kind not in NOT_OURS or isinstance(failure, ProofFailed):
            return False
        accounts, refused = self.desk.accounts, self._client.account_url
        account = accounts.find_anew(self.authority, self.spec.email, refused)
        if account.url == refused:
            return False
        self._connect(account)
        return True

    def _has_way(self) -> bool:
        return all(
            not self._refused.issuperset(usable_kinds(self.spec, wildcard=name.startswith("*.")))
            for name in self.spec.names
        )

    def _walk(self) -> Cert | None:
        directory = self.authority.directory
        order = self.record.orders.get(directory)
        if order is None or set(order.names) != set(self.spec.names):
            order = self.record.orders[directory] = OrderRecord(names=self.spec.names)
        was_known = bool(order.url)
        try:
            return self._steps(order)
        except IssueFailed as failure:
            if not failure.is_final or order.state is State.NEW:
                raise
            self._drop(order)
            is_proof = isinstance(failure, ProofFailed) and failure.kinds
            if not self._has_another_account(failure) and (is_proof or not was_known):
                raise
        # What is dead is an order of an earlier attempt, or the account: begin anew, once.
        order = self.record.orders[directory] = OrderRecord(names=self.spec.names)
        try:
            return self._steps(order)
        except IssueFailed as failure:
            if failure.is_final and order.state is not State.NEW:
                self._drop(order)
            raise

    def _drop(self, order: OrderRecord) -> None:
        self._happened(order, Event.FAIL)
        del self.record.orders[self.authority.directory]
        self._keep()
        if order.url:
            self.desk.steps.file(self.desk.vault.drop_order_key, order.url)

    def _steps(self, order: OrderRecord) -> Cert | None:
        while True:
            match order.state:
                case State.NEW | State.ASKING:
                    self._place(order)
                case State.PLACED | State.PROVING:
                    self._prove(order)
                case State.PROVEN:
                    key = self.desk.steps.take(new_key, self.spec.key_type)
                    self.desk.steps.file(self.desk.vault.keep_order_key, order.url, key)
                    self._happened(order, Event.KEY)
                case State.KEYED:
                    self._finalize(order)
                case _:
                    return self._fetch(order)

    def _happened(self, order: OrderRecord, event: Event) -> None:
        order.happened(event)
        self._keep()

    def _place(self, order: OrderRecord) -> None:
        steps, take, names = self.desk.steps, self.desk.steps.take, self.spec.names
        is_asked = order.state is State.ASKING
        view = steps.insist(lambda: self._client.find(names)) if is_asked else None
        if view is None:
            steps.file(self.desk.vault.probe)
            self.desk.await_room(self.authority.directory, self.spec.email)
            self._happened(order, Event.ASK)
            try:
                view = take(self._client.place, names, self.spec.profile, self.replaces)
            except IssueFailed as failure:
                if not self.replaces or failure.kind not in _NOT_REPLACED:
                    raise
                view = take(self._client.place, names, self.spec.profile, "")
        order.url = view.url
        self._happened(order, Event.PLACE)

    # Proving the names

    def _prove(self, order: OrderRecord) -> None:
        view = self._look(order)
        if view.status == "pending":
            self._prove_all(order, view)
            view = self._poll(lambda: self._look(order), lambda view: view.status != "pending")
        if view.status != "ready":
            # Nobody but us finalizes our orders: without our key it is of no use.
            raise IssueFailed(LOST, f"the order is {view.status} before its time", is_final=True)
        self._happened(order, Event.PROVE)

    def _prove_all(self, order: OrderRecord, view: OrderView) -> None:
        preferred = [
            kind
            for kind in in_order(self.spec.kinds, self.desk.tally, self.desk.toss)
            if kind not in self._refused
        ]
        found = self._authorizations(view.authorizations)
        tasks = list(tasks_for(self.spec, found, preferred))
        failure = failure_of(found, ())
        if failure is not None:
            raise failure
        prover = Prover(self.desk.solver, self.spec)
        try:
            prover.present(tasks)
            if self.spec.dns and any(task.kind is Kind.DNS for task in tasks):
                self.desk.clock.pause(self.spec.dns.wait_s)
            self._have_proven(order, tasks)
        finally:
            prover.withdraw(tasks)

    def _have_proven(self, order: OrderRecord, tasks: list[Task]) -> None:
        self._happened(order, Event.ANSWER)
        for task in tasks:
            if task.challenge.status == "pending":
                self._answer(task.challenge.url)
        urls = [task.authorization.url for task in tasks]
        found = self._poll(
            lambda: self._authorizations(urls),
            lambda found: (
                all(each.status != "pending" for each in found)
                or any(each.status in FINAL for each in found)
            ),
        )
        status = {each.url: each.status for each in found}
        for task in tasks:
            if status[task.authorization.url] != "pending":
                self.desk.count(task.kind, success=status[task.authorization.url] == "valid")
        failure = failure_of(found, tasks)
        if failure is not None:
            raise failure

    def _answer(self, challenge: str) -> None:
        try:
            self.desk.steps.insist(functools.partial(self._client.answer, challenge))
        except IssueFailed as failure:
            if not failure.is_final:
                raise
            # It may have heard us before, and its answer was lost: the authorization knows.
            log.debug("%s is not to be answered: %s", challenge, failure)

    def _authorizations(self, urls: Collection[str]) -> list[Authorization]:
        insist, client = self.desk.steps.insist, self._client
        return [insist(functools.partial(client.authorization, url)) for url in urls]

    # Getting the certificate

    def _finalize(self, order: OrderRecord) -> None:
        take = self.desk.steps.take
        key = self.desk.steps.file(self.desk.vault.order_key, order.url)
        if key is None:
            raise IssueFailed(LOST, "the key of the order is not in the vault", is_final=True)
        view = self._look(order)
        if view.status == "ready":
            request = take(request_of, key, self.spec.names)
            view = take(self._client.finalize, view, request)
        if view.status == "processing":
            view = self._poll(lambda: self._look(order), lambda view: view.status != "processing")
        if view.status != "valid":
            detail = view.problem or f"the order is {view.status} after its finalization"
            raise IssueFailed("refused", detail, is_final=view.status in ("invalid", "pending"))
        self._happened(order, Event.ISSUE)

    def _fetch(self, order: OrderRecord) -> Cert | None:
        file, vault, directory = self.desk.steps.file, self.desk.vault, self.authority.directory
        key = file(vault.order_key, order.url)
        view = self._look(order)
        if key is None or not view.certificate:
            raise IssueFailed(LOST, "the order has no key or no certificate", is_final=True)
        chain = self.desk.steps.insist(lambda: self._client.chain(view.certificate))
        wrong = trouble_with(chain, key, self.spec.names, self.desk.clock.now())
        if wrong:
            raise IssueFailed(STRANGE, f"the certificate is not served: {wrong}", is_final=True)
        cert = None
        if not self.rehearsal:
            issue = Issue(chain, key, directory, order.url, self.desk.clock.now())
            cert = file(vault.store, self.spec.id, issue)
        order.happened(Event.STORE)
        del self.record.orders[directory]
        self._keep()
        file(vault.drop_order_key, order.url)
        return cert

    # Asking

    def _look(self, order: OrderRecord) -> OrderView:
        return self.desk.steps.insist(lambda: self._client.look(order.url))

    def _poll(self, look: Callable[[], T], is_done: Callable[[T], bool]) -> T:
        """Look until it is done, as often as the CA likes it, and not for ever."""
        pause_s, left_s = FIRST_PAUSE_S, POLL_S
        while True:
            found = look()
            if is_done(found):
                return found
            wait_s = max(pause_s, min(_retry_after_s(found), LONGEST_RETRY_AFTER_S))
            left_s -= wait_s
            if left_s < 0:
                raise IssueFailed(TIMED_OUT, f"the CA has not decided within {POLL_S:g} s")
            self.desk.clock.pause(wait_s)
            pause_s = min(pause_s * 1.6, LONGEST_PAUSE_S)


# Private

_NOT_REPLACED: Final = {"alreadyReplaced", "malformed", "http-409"}
"""How CAs say that they know no such certificate, or have replaced it (RFC 9773, 5)."""


def _retry_after_s(found: object) -> float:
    each = found if isinstance(found, list) else [found]
    return max((getattr(one, "retry_after_s", 0.0) for one in each), default=0.0)
