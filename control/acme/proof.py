"""Proving that names are ours: choose a challenge for each, make it answerable, have it looked at.

What was presented is withdrawn, whatever happens.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gevent.pool import Pool

from control.acme import dns
from control.acme.answers import FINAL, Authorization, Challenge
from control.acme.failure import NO_CHALLENGE, SOLVER, IssueFailed
from control.acme.solver import Solver
from control.acme.spec import CertSpec, DnsHook, Kind, usable_kinds
from control.refusal import Refused

log = logging.getLogger("control.acme")

AT_ONCE: Final = 10


class ProofFailed(IssueFailed):
    """The CA was not content with what it saw. Another kind of challenge may do."""

    kinds: frozenset[Kind] = frozenset()


@dataclass(frozen=True, slots=True)
class Task:
    """One name, and how it is going to be proven."""

    authorization: Authorization
    challenge: Challenge
    kind: Kind


@dataclass(slots=True)
class Prover:
    """Presents and withdraws."""

    solver: Solver
    spec: CertSpec

    def present(self, tasks: Sequence[Task]) -> None:
        """Make them answerable, all of them. Raises `IssueFailed`."""
        self._each(self._present, tasks)

    def withdraw(self, tasks: Sequence[Task]) -> None:
        """Nobody will ask any more. What does not work is logged: it harms nobody."""
        try:
            self._each(self._withdraw, tasks)
        except IssueFailed as failure:
            log.warning("a challenge is not withdrawn: %s", failure)

    # Private

    def _each(self, act: Callable[[Task], IssueFailed | None], tasks: Sequence[Task]) -> None:
        pool = Pool(AT_ONCE)
        try:
            failures = pool.map(act, tasks)
        finally:
            pool.kill(block=False)
        for failure in failures:
            if failure is not None:
                raise failure

    def _present(self, task: Task) -> IssueFailed | None:
        return self._tell(task, dns.present, self.solver.present)

    def _withdraw(self, task: Task) -> IssueFailed | None:
        return self._tell(task, dns.cleanup, self.solver.withdraw)

    def _tell(
        self,
        task: Task,
        hook: Callable[[DnsHook, str, str], None],
        solver: Callable[[Kind, str, str, str], None],
    ) -> IssueFailed | None:
        """Whoever answers that kind of challenge: the user's hook, or our own workers."""
        name, challenge = task.authorization.name, task.challenge
        try:
            if task.kind is Kind.DNS:
                assert self.spec.dns is not None
                hook(self.spec.dns, name, challenge.key_authorization)
            else:
                solver(task.kind, name, challenge.token, challenge.key_authorization)
        except IssueFailed as failure:
            return failure
        except Refused as refusal:
            detail = f"{name} cannot be proven by {task.kind}: {refusal.message}"
            return IssueFailed(SOLVER, detail, elsewhere=False)
        return None


def tasks_for(
    spec: CertSpec, found: Sequence[Authorization], preferred: Sequence[Kind]
) -> Iterator[Task]:
    """How each name that is not proven yet will be, the preferred kinds first.

    Raises `IssueFailed` when there is a name that the CA offers no usable challenge for.
    """
    for each in found:
        if each.status != "pending":
            continue
        usable = usable_kinds(spec, wildcard=each.wildcard)
        offered = {challenge.kind: challenge for challenge in each.challenges}
        kind = next((one for one in preferred if one in usable and one in offered), None)
        if kind is None:
            ways = ", ".join(offered) or "nothing"
            allowed = ", ".join(one for one in usable if one in preferred) or "nothing"
            star = "*." if each.wildcard else ""
            detail = f"{star}{each.name}: the CA offers {ways}, usable is {allowed}"
            raise IssueFailed(NO_CHALLENGE, detail, is_final=True)
        yield Task(each, offered[kind], kind)


def failure_of(found: Sequence[Authorization], tasks: Sequence[Task]) -> ProofFailed | None:
    """What the CA found wrong, if anything."""
    bad = [each for each in found if each.status in FINAL]
    if not bad:
        return None
    failure = ProofFailed("unproven", "; ".join(each.problem for each in bad), is_final=True)
    names = {each.url for each in bad}
    failure.kinds = frozenset(task.kind for task in tasks if task.authorization.url in names)
    return failure
