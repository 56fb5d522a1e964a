"""Why a certificate was not obtained: one error for the CA's refusals and for our own.

`elsewhere` says whether another CA may do what this one did not; `is_final` that the order is dead
and asking for it again is of no use. A failure that is not final leaves its order as it was: the
next attempt goes on with it.
"""

from dataclasses import dataclass
from typing import Final

UNREACHABLE: Final = "unreachable"
STRANGE: Final = "strange-answer"
STORAGE: Final = "storage"
SOLVER: Final = "challenge-not-presented"
NO_CHALLENGE: Final = "no-challenge"
TIMED_OUT: Final = "timed-out"
LOST: Final = "order-lost"
HELD: Final = "held"

_PREFIX: Final = "urn:ietf:params:acme:error:"


@dataclass(slots=True, eq=False)
class IssueFailed(Exception):
    """No certificate for now. `kind` is the CA's problem type, short, or one of ours."""

    kind: str
    detail: str
    retry_after_s: float = 0.0
    elsewhere: bool = True
    is_final: bool = False
    status: int = 0  # of the HTTP answer

    def __str__(self) -> str:
        return f"{self.detail} ({self.kind})"

    @property
    def is_passing(self) -> bool:
        """Whether the same question may well succeed a second later."""
        return self.kind == UNREACHABLE or (self.status >= 500 and not self.retry_after_s)


def short_kind(problem_type: str) -> str:
    """The problem type as people say it."""
    return problem_type.removeprefix(_PREFIX)
