"""What a CA's answers say, in plain values; what makes no sense is `strange-answer`."""

import datetime
import email.utils
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from control.acme.failure import STRANGE, IssueFailed, short_kind

ORDER_STATUS: Final = {"pending", "ready", "processing", "valid", "invalid"}
FINAL: Final = {"invalid", "deactivated", "expired", "revoked"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, read to its end."""

    status: int
    text: str = ""
    location: str = ""
    retry_after_s: float = 0.0
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    """An order as the CA shows it."""

    url: str
    status: str
    names: tuple[str, ...] = ()
    authorizations: tuple[str, ...] = ()
    finalize: str = ""
    certificate: str = ""
    problem: str = ""
    retry_after_s: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it can still become a certificate that we have not got."""
        return self.status in ("pending", "ready")


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One way to prove a name."""

    kind: str
    url: str
    token: str
    key_authorization: str
    status: str = "pending"
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """One name that is to be proven; a wildcard's name is without its star."""

    url: str
    name: str
    status: str
    wildcard: bool = False
    challenges: tuple[Challenge, ...] = ()
    retry_after_s: float = 0.0

    @property
    def problem(self) -> str:
        """What the CA found wrong."""
        found = [f"{one.kind}: {one.problem}" for one in self.challenges if one.problem]
        return f"{self.name}: {'; '.join(found) or self.status}"


def json_of(answer: Answer) -> dict[str, Any]:
    """Its JSON object."""
    try:
        found = json.loads(answer.text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise IssueFailed(STRANGE, f"no JSON object but {answer.text[:200]!r}")
    return found


def text_of(found: Mapping[str, Any], name: str) -> str:
    """A field that must be there."""
    value = found.get(name)
    if not isinstance(value, str) or not value:
        raise IssueFailed(STRANGE, f"{name} is {value!r}")
    return value


def strings(found: Mapping[str, Any], name: str) -> list[str]:
    """A field that is a list of them, or nothing."""
    each = found.get(name)
    return [one for one in each if isinstance(one, str)] if isinstance(each, list) else []


def order_of(answer: Answer, url: str) -> OrderView:
    """An order."""
    found = json_of(answer)
    status = text_of(found, "status")
    if status not in ORDER_STATUS:
        raise IssueFailed(STRANGE, f"an order is {status!r}")
    if not url:
        raise IssueFailed(STRANGE, "an order has no address")
    return OrderView(
        url=url,
        status=status,
        names=tuple(str(each.get("value", "")) for each in _objects(found, "identifiers")),
        authorizations=tuple(strings(found, "authorizations")),
        finalize=text_of(found, "finalize"),
        certificate=text_of(found, "certificate") if status == "valid" else "",
        problem=_said(found.get("error")),
        retry_after_s=answer.retry_after_s,
    )


def authorization_of(answer: Answer, url: str, thumbprint: str) -> Authorization:
    """An authorization, with what each of its challenges wants to see."""
    found = json_of(answer)
    identifier = found.get("identifier")
    name = text_of(identifier if isinstance(identifier, dict) else {}, "value").lower()
    challenges = (
        Challenge(
            kind=text_of(one, "type"),
            url=text_of(one, "url"),
            token=str(one["token"]),
            key_authorization=f"{one['token']}.{thumbprint}",
            status=str(one.get("status", "pending")),
            problem=_said(one.get("error")),
        )
        for one in _objects(found, "challenges")
        if is_token(one.get("token"))
    )
    return Authorization(
        url=url,
        name=name.removeprefix("*."),
        status=text_of(found, "status"),
        wildcard=bool(found.get("wildcard")),
        challenges=tuple(challenges),
        retry_after_s=answer.retry_after_s,
    )


def window_of(answer: Answer) -> tuple[float, float]:
    """From when until when a renewal is wanted (RFC 9773, 4.2)."""
    found = json_of(answer).get("suggestedWindow")
    try:
        start, end = (
            datetime.datetime.fromisoformat(text_of(found or {}, name)).timestamp()
            for name in ("start", "end")
        )
    except (AttributeError, ValueError):
        raise IssueFailed(STRANGE, f"the window is {found!r}") from None
    return start, end


def is_token(token: object) -> bool:
    """Base64url and nothing else (RFC 8555, 8.1): it becomes a path, and a CA may lie."""
    if not isinstance(token, str) or not token:
        return False
    return token.isascii() and token.replace("-", "a").replace("_", "a").isalnum()


def problem_of(answer: Answer) -> IssueFailed:
    """The failure that an answer with a status of 400 and more is (RFC 7807)."""
    try:
        found = json_of(answer)
    except IssueFailed:
        found = {}
    kind = short_kind(str(found.get("type") or "")) or f"http-{answer.status}"
    return IssueFailed(
        kind,
        _said(found) or f"it answered {answer.status}",
        retry_after_s=answer.retry_after_s,
        is_final=answer.status not in (429, 503) and answer.status < 500 and kind not in PASSING,
        status=answer.status,
    )


PASSING: Final = {"badNonce", "rateLimited", "serverInternal"}
"""Refusals that say nothing about the order itself."""


def retry_after_s(text: str) -> float:
    """A Retry-After in seconds or as a date; 0 when there is none."""
    if text.strip().isdecimal():
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=datetime.UTC)
    return max(0.0, (until - datetime.datetime.now(datetime.UTC)).total_seconds())


# Private


def _objects(found: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    each = found.get(name)
    return [one for one in each if isinstance(one, dict)] if isinstance(each, list) else []


def _said(problem: object) -> str:
    """The words of a problem document, and of those inside it."""
    if not isinstance(problem, dict):
        return ""
    parts = [str(problem.get("detail") or problem.get("title") or problem.get("type") or "")]
    parts += [_said(one) for one in _objects(problem, "subproblems")]
    return "; ".join(part for part in parts if part)[:2000]
