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
        flight = self._flights.get(name)
        if flight is not None:
            return bool(flight.get())
        if len(self._flights) >= WAITING:
            log.warning("too many names are asked about: %s is denied for now", name)
            return False
        # A greenlet of its own: whoever asked first may be gone before the answer comes.
        flight = self._flights[name] = gevent.spawn(self._fly, name)
        return bool(flight.get())

    # Private

    def _fly(self, name: str) -> bool:
        allowed = False
        try:
            with gevent.Timeout(self.spec.timeout_s, False):
                allowed = bool(self._threads.spawn(_ask, self.spec, name).get())
        finally:
            del self._flights[name]
            if not allowed:
                self._deny(name)
        return allowed

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


def _ask(spec: AskSpec, name: str) -> bool:
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
            log.info("%s says %d about %s", spec.ask, answer.status_code, name)
            return 200 <= answer.status_code < 300
    except requests.RequestException as error:
        log.warning("%s says nothing about %s: %s", spec.ask, name, error)
        return False
