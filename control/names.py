"""The names among the upstreams: resolved here, once for all workers, who get addresses only.

Each name has a greenlet that asks for it when its answer has expired; the asking itself blocks and
is done in a thread. A lookup that fails changes nothing: the last answer stays until there is
another. It stands in the published rows, so it outlives this process.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final

import gevent
from gevent.event import Event
from gevent.threadpool import ThreadPool

from control.config.address import is_name
from control.events import Events
from control.lookup import Answer, Lookup, LookupFailed
from control.refusal import Refused
from edge.table.model import Balancing, Resolved, Route, decode_route

log = logging.getLogger("control.names")

AT_ONCE: Final = 16
FIRST_RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 10.0
GATHER_S: Final = 0.02
"""Answers that change within that time are published together."""

_MARK: Final = '"names":'


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which names a configuration has, and whom it asks for them."""

    names: frozenset[str] = frozenset()
    nameservers: tuple[str, ...] = ()


@dataclass(slots=True)
class _Watched:
    """One name that is asked for."""

    name: str
    asked: Event = field(default_factory=Event)  # there was a first outcome
    failures: int = 0  # in a row
    why: str = ""  # the last lookup failed
    task: gevent.Greenlet | None = None


class Names:
    """All names that are asked for, and the last answer for each."""

    def __init__(
        self,
        events: Events,
        lookup_at: Callable[[tuple[str, ...]], Callable[[str], Answer]] = Lookup,
    ) -> None:
        self.changed: Callable[[frozenset[str]], None] = lambda names: None  # raises `Refused`
        self.events = events
        self._lookup_at = lookup_at
        self._nameservers: tuple[str, ...] = ()
        self._lookup = lookup_at(())
        self._threads = ThreadPool(AT_ONCE)
        self._watched: dict[str, _Watched] = {}
        self._answers: dict[str, Answer] = {}
        self._news: frozenset[str] = frozenset()
        self._wake = Event()

    def __repr__(self) -> str:
        failing = sum(bool(watched.why) for watched in self._watched.values())
        return f"<Names {failing} failing of {len(self._watched)}>"

    def start(self) -> None:
        """Begin to tell of answers that have changed."""
        gevent.spawn(self._tell_on)

    def recall(self, published: Mapping[str, str]) -> None:
        """Take the answers that stand in the published rows for known, until there are others."""
        for text in published.values():
            if _MARK in text:
                for found in decode_route(text).names:
                    if found.addresses:
                        answer = Answer(addresses=found.addresses, weights=found.weights)
                        self._answers.setdefault(found.name, answer)

    def learn(self, wanted: Wanted, within_s: float) -> None:
        """Ask for those names, too, and wait for the first outcomes, but no longer than that."""
        if wanted.nameservers != self._nameservers:
            self._nameservers = wanted.nameservers
            self._lookup = self._lookup_at(wanted.nameservers)
            self._forget(self._watched)
        for name in wanted.names:
            if name not in self._watched:
                self._watch(name)
        deadline = time.monotonic() + within_s
        for name in wanted.names:
            self._watched[name].asked.wait(max(deadline - time.monotonic(), 0.0))

    def follow(self, wanted: Wanted) -> None:
        """Ask for those names only, from now on."""
        self._forget(self._watched.keys() - wanted.names)
        self._answers = {
            name: answer for name, answer in self._answers.items() if name in wanted.names
        }
        self.learn(wanted, 0.0)

    def expand(self, route: Route) -> Route:
        """The route as workers get it: with the addresses that are known."""
        return expanded(route, self._answers)

    def problems(self) -> Iterator[str]:
        """What cannot be resolved, and why."""
        for watched in self._watched.values():
            if watched.why:
                yield self._trouble(watched)

    # Private

    def _watch(self, name: str) -> None:
        watched = self._watched[name] = _Watched(name)
        watched.task = gevent.spawn(self._ask_on, watched)

    def _forget(self, names: Iterable[str]) -> None:
        for name in [*names]:
            watched = self._watched.pop(name)
            if watched.task is not None:
                watched.task.kill(block=False)

    def _ask_on(self, watched: _Watched) -> None:
        while True:
            pause_s = LONGEST_RETRY_S
            try:
                pause_s = self._ask(watched)
            except Exception:  # the watch of a name must not end silently
                log.exception("the lookup of %s failed", watched.name)
            watched.asked.set()
            gevent.sleep(pause_s)

    def _ask(self, watched: _Watched) -> float:
        """Ask once; the result is when to ask again."""
        outcome: Answer | LookupFailed = self._threads.apply(
            _outcome_of, (self._lookup, watched.name)
        )
        if isinstance(outcome, LookupFailed):
            self._fail(watched, str(outcome))
            return retry_s(watched.failures)
        self._take(watched, outcome)
        return outcome.ttl_s

    def _take(self, watched: _Watched, answer: Answer) -> None:
        name, known = watched.name, self._answers.get(watched.name)
        addresses = " ".join(answer.addresses)
        if watched.why:
            self._say("name-resolved", name, f"{name} is resolved: {addresses}")
        watched.failures, watched.why = 0, ""
        if known is not None and (known.addresses, known.weights) == (
            answer.addresses, answer.weights,
        ):  # fmt: skip
            return
        self._answers[name] = answer
        if known is not None:
            former = " ".join(known.addresses)
            self._say("name-changed", name, f"{name} is {addresses} now, it was {former}")
        self._news |= {name}
        self._wake.set()

    def _fail(self, watched: _Watched, why: str) -> None:
        was_well = not watched.why
        watched.failures, watched.why = watched.failures + 1, why
        if was_well:
            self._say("name-unresolved", watched.name, self._trouble(watched))

    def _trouble(self, watched: _Watched) -> str:
        answer = self._answers.get(watched.name)
        left = (
            f"its last answer stays ({' '.join(answer.addresses)})" if answer else "it has no peers"
        )
        return f"{watched.name} cannot be resolved: {watched.why}; {left}"

    def _say(self, kind: str, name: str, text: str) -> None:
        self.events.add(kind, text, name=name)

    def _tell_on(self) -> None:
        while True:
            self._wake.wait()
            gevent.sleep(GATHER_S)
            self._wake.clear()
            news, self._news = self._news, frozenset()
            try:
                self.changed(news)
                continue
            except Refused as refusal:
                log.error("new addresses cannot be published yet: %s", refusal.message)
            except Exception:  # nor must this one
                log.exception("new addresses could not be published")
            self._news |= news
            gevent.sleep(FIRST_RETRY_S)
            self._wake.set()


def expanded(route: Route, answers: Mapping[str, Answer]) -> Route:
    """The route with addresses for its names; one that is known by nobody has none.

    A name's weight is that of each of its addresses. SRV records say weights where the route says
    none and its policy has a use for them.
    """
    names = sorted(names_of([route]))
    if not names:
        return route
    canary = route.canary
    if canary is not None:
        found = (_addresses(peer, answers) for peer in canary.upstreams)
        canary = replace(canary, upstreams=tuple(dict.fromkeys(chain.from_iterable(found))))
    balancing = route.balancing or Balancing()
    own = dict(zip(route.upstreams, balancing.weights, strict=bool(balancing.weights)))
    weights: dict[str, int] = {}
    for peer in route.upstreams:
        answer = answers.get(peer, _NONE) if is_name(peer) else Answer(addresses=(peer,))
        said = answer.weights or (1,) * len(answer.addresses)
        for address, weight in zip(answer.addresses, said, strict=True):
            weights.setdefault(address, own.get(peer, weight))
    matter = balancing.policy != "round_robin" and set(weights.values()) != {1}
    kept = replace(balancing, weights=tuple(weights.values()) if matter else ())
    return replace(
        route,
        upstreams=tuple(weights),
        canary=canary,
        names=tuple(_resolved(name, answers.get(name, _NONE)) for name in names),
        balancing=None if route.balancing is None else kept,
    )


def names_of(routes: Iterable[Route]) -> frozenset[str]:
    """All names among their upstreams."""
    return frozenset(peer for route in routes for peer in _peers(route) if is_name(peer))


def has_names(route: Route, names: frozenset[str]) -> bool:
    """Whether some of those names are among its upstreams."""
    return not names.isdisjoint(_peers(route))


def retry_s(failures: int) -> float:
    """When to ask again after so many failures in a row: soon at first, then less and less."""
    return min(FIRST_RETRY_S * 2.0 ** (min(failures, 10) - 1), LONGEST_RETRY_S)


# Private

_NONE: Final = Answer(addresses=())


def _peers(route: Route) -> tuple[str, ...]:
    return route.upstreams + (route.canary.upstreams if route.canary is not None else ())


def _addresses(peer: str, answers: Mapping[str, Answer]) -> tuple[str, ...]:
    return answers.get(peer, _NONE).addresses if is_name(peer) else (peer,)


def _outcome_of(look_up: Callable[[str], Answer], name: str) -> Answer | LookupFailed:
    """Called in a thread: what is raised there, gevent takes for a bug and prints."""
    try:
        return look_up(name)
    except LookupFailed as failure:
        return failure


def _resolved(name: str, answer: Answer) -> Resolved:
    return Resolved(name=name, addresses=answer.addresses, weights=answer.weights)
