"""Certificates on demand: whether a name that somebody asks for by TLS may have one.

Rule 1: nobody may without being asked about: `ask` is a URL of the operator's, and 2xx is yes.
        Anything else is no: another status, no answer, an answer too late.
Rule 2: a name is asked about once at a time, however many clients want it; a no is remembered for
        a while. A yes is not: its certificate is.
Rule 3: strangers choose the names, so everything here is bounded: flights, memory, time.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import gevent
import requests
from gevent.threadpool import ThreadPool

log = logging.getLogger("control.acme")

TIMEOUT_S: Final = 5.0
FLIGHTS: Final = 8
WAITING: Final = 100
DENIED_S: Final = 60.0
DENIALS: Final = 10_000
LONGEST_NAME: Final = 253


class Verdict(Enum):
    """What the operator's service says of a name."""

    YES = auto()
    NO = auto()
    SILENCE = auto()  # it cannot be asked, or says that it is broken


@dataclass(frozen=True, slots=True, kw_only=True)
class AskSpec:
    """Who is asked."""

    ask: str  # URL; the name is added as `domain=NAME`
    timeout_s: float = TIMEOUT_S


class OnDemand:
    """Asks, once for all who want to know."""

    def __init__(
        self, spec: AskSpec, now: Callable[[], float] = time.monotonic, denials: int = DENIALS
    ) -> None:
        self.spec = spec
        self._now = now
        self._most = denials
        self._threads = ThreadPool(FLIGHTS)
        self._flights: dict[str, gevent.Greenlet] = {}
        self._denied: OrderedDict[str, float] = OrderedDict()  # until when, oldest first

    def __repr__(self) -> str:
        return f"<OnDemand {len(self._flights)} asked about, {len(self._denied)} denied>"

    def may(self, name: str) -> bool:
        """Whether that name may have a certificate. Waits for the answer; never raises."""
        name = name.lower().rstrip(".")
        if not name or len(name) > LONGEST_NAME or self._is_denied(name):
            return False
        return self.ask(name) is Verdict.YES

    def ask(self, name: str) -> Verdict:
        """What is said of it now, whatever was said before. Waits; never raises."""
        flight = self._flights.get(name)
        if flight is None:
            if len(self._flights) >= WAITING:
                log.warning("%d names are asked about: %s is not, and is refused", WAITING, name)
                return Verdict.SILENCE
            # A greenlet of its own: whoever asked first may be gone before the answer comes.
            flight = self._flights[name] = gevent.spawn(self._fly, name)
        verdict: Verdict = flight.get()
        return verdict

    # Private

    def _fly(self, name: str) -> Verdict:
        verdict: Verdict = Verdict.SILENCE
        try:
            with gevent.Timeout(self.spec.timeout_s, False):
                verdict = self._threads.spawn(_ask, self.spec, name).get()
        finally:
            del self._flights[name]
            if verdict is not Verdict.YES:
                self._deny(name)
        return verdict

    def _is_denied(self, name: str) -> bool:
        until = self._denied.get(name)
        if until is None:
            return False
        if until > self._now():
            return True
        del self._denied[name]
        return False

    def _deny(self, name: str) -> None:
        self._denied.pop(name, None)
        self._denied[name] = self._now() + DENIED_S
        while len(self._denied) > self._most:
            self._denied.popitem(last=False)


# Private


def _ask(spec: AskSpec, name: str) -> Verdict:
    """In a thread: one question, no redirects, and nothing of the answer but its status."""
    try:
        with requests.Session() as session:
            session.trust_env = False  # it is a service of the operator's own
            answer = session.get(
                spec.ask,
                params={"domain": name},
                timeout=spec.timeout_s,
                allow_redirects=False,
                stream=True,
            )
            answer.close()
    except requests.RequestException as error:
        log.warning("%s says nothing about %s: %s", spec.ask, name, error)
        return Verdict.SILENCE
    status = answer.status_code
    log.info("%s says %d about %s", spec.ask, status, name)
    if 200 <= status < 300:
        return Verdict.YES
    return Verdict.SILENCE if status >= 500 else Verdict.NO
