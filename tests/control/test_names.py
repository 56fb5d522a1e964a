"""Names: what a route with names becomes, and what is asked for when."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from control.lookup import Answer, LookupFailed
from control.names import Names, Wanted, expanded, names_of, retry_s
from control.refusal import Refused
from edge.table.model import Balancing, Resolved, Route, decode_route, encode

APP, DB, SRV = "app.test:90", "db.test:91", "srv:_http._tcp.test"

ANSWERS = {
    APP: Answer(addresses=("127.0.0.2:90", "127.0.0.3:90")),
    SRV: Answer(addresses=("127.0.0.4:80", "127.0.0.5:81"), weights=(3, 7)),
}


def of(*upstreams: str, **balancing: Any) -> Route:
    return Route(
        pattern="a.test",
        owner="edged.toml:1",
        upstreams=upstreams,
        balancing=Balancing(**balancing) if balancing else None,
    )


# What workers get

UPSTREAMS = [
    (("127.0.0.1:1",), ("127.0.0.1:1",)),
    (("unix:/run/app.sock", "[::1]:9"), ("unix:/run/app.sock", "[::1]:9")),
    ((APP,), ("127.0.0.2:90", "127.0.0.3:90")),
    ((DB,), ()),
    ((DB, "127.0.0.1:1"), ("127.0.0.1:1",)),
    ((APP, "127.0.0.1:1", SRV),
     ("127.0.0.2:90", "127.0.0.3:90", "127.0.0.1:1", "127.0.0.4:80", "127.0.0.5:81")),
    (("127.0.0.3:90", APP), ("127.0.0.3:90", "127.0.0.2:90")),
]  # fmt: skip


@pytest.mark.parametrize(("written", "addresses"), UPSTREAMS)
def test_names_become_their_addresses(written: tuple[str, ...], addresses: tuple[str, ...]) -> None:
    assert expanded(of(*written), ANSWERS).upstreams == addresses


WEIGHTS = [
    # upstreams, policy, weights as written, weights as published
    ((APP,), "weighted", (), ()),
    ((APP, "127.0.0.1:1"), "weighted", (2, 1), (2, 2, 1)),
    ((APP, "127.0.0.1:1"), "weighted", (2, 2), (2, 2, 2)),
    ((APP, "127.0.0.1:1"), "weighted", (1, 1), ()),
    ((DB, "127.0.0.1:1"), "weighted", (2, 5), (5,)),
    ((SRV,), "weighted", (), (3, 7)),
    ((SRV,), "least_conn", (), (3, 7)),
    ((SRV,), "round_robin", (), ()),
    ((SRV,), "weighted", (4,), (4, 4)),
    ((SRV, "127.0.0.1:1"), "random2", (), (3, 7, 1)),
    (("127.0.0.3:90", APP), "weighted", (9, 4), (9, 4)),
    ((DB,), "weighted", (3,), ()),
]


@pytest.mark.parametrize(("written", "policy", "weights", "published"), WEIGHTS)
def test_weights(
    written: tuple[str, ...], policy: str, weights: tuple[int, ...], published: tuple[int, ...]
) -> None:
    route = expanded(of(*written, policy=policy, weights=weights), ANSWERS)
    assert route.balancing is not None
    assert route.balancing.weights == published
    assert len(published) in (0, len(route.upstreams))


def test_a_route_without_names_is_the_same_object() -> None:
    route = of("127.0.0.1:1")
    assert expanded(route, ANSWERS) is route


def test_a_row_keeps_which_name_an_address_came_from() -> None:
    route = expanded(of(APP, DB, "127.0.0.1:1", SRV), ANSWERS)
    assert route.names == (
        Resolved(name=APP, addresses=("127.0.0.2:90", "127.0.0.3:90")),
        Resolved(name=DB),
        Resolved(name=SRV, addresses=("127.0.0.4:80", "127.0.0.5:81"), weights=(3, 7)),
    )
    assert decode_route(encode(route)) == route


def test_the_names_of_routes() -> None:
    assert names_of([of(APP, "127.0.0.1:1"), of(APP, DB), of("unix:/a")]) == {APP, DB}


def test_failures_are_asked_again_soon_and_then_less_and_less() -> None:
    assert [retry_s(failures) for failures in (1, 2, 3, 4, 5, 1000)] == [1, 2, 4, 8, 10, 10]


# Who is asked


class FakeEvents:
    """Keeps the kinds of events."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    def add(self, kind: str, text: str, **fields: object) -> None:
        self.kinds.append(kind)


class FakeLookup:
    """Answers as told, at the next lookup; a name without an answer fails."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.hold: threading.Event | None = None

    def __call__(self, name: str) -> Answer:
        if self.hold is not None:
            self.hold.wait(10)
        if name not in self.answers:
            raise LookupFailed("no such luck")
        return self.answers[name]

    def put(self, name: str, *addresses: str, ttl_s: float = 0.001) -> None:
        self.answers[name] = Answer(addresses=addresses, ttl_s=ttl_s)


@pytest.fixture
def lookup() -> FakeLookup:
    return FakeLookup()


@pytest.fixture
def names(lookup: FakeLookup) -> Iterator[Names]:
    made = Names(FakeEvents(), lambda nameservers: lookup)
    yield made
    made.follow(Wanted())


def wanted(*names: str) -> Wanted:
    return Wanted(names=frozenset(names))


def soon(condition: Callable[[], object]) -> None:
    """Let the greenlets run until it is so."""
    with gevent.Timeout(10):
        while not condition():
            gevent.sleep(0.001)


def upstreams(names: Names, *written: str) -> tuple[str, ...]:
    return names.expand(of(*written)).upstreams


def test_learning_waits_for_the_first_answers(names: Names, lookup: FakeLookup) -> None:
    lookup.put(APP, "127.0.0.2:90")
    names.learn(wanted(APP, DB), 10.0)
    assert upstreams(names, APP, DB) == ("127.0.0.2:90",)
    assert [*names.problems()] == [f"{DB} cannot be resolved: no such luck; it has no peers"]
    assert repr(names) == "<Names 1 failing of 2>"


def test_learning_waits_no_longer_than_it_may(names: Names, lookup: FakeLookup) -> None:
    lookup.hold = threading.Event()
    lookup.put(APP, "127.0.0.2:90")
    names.learn(wanted(APP), 0.01)
    assert upstreams(names, APP) == ()
    lookup.hold.set()
    soon(lambda: upstreams(names, APP) == ("127.0.0.2:90",))


def test_a_change_is_told_and_a_failure_changes_nothing(names: Names, lookup: FakeLookup) -> None:
    told: list[frozenset[str]] = []
    names.changed = told.append
    names.start()
    lookup.put(APP, "127.0.0.2:90")
    names.follow(wanted(APP))
    soon(lambda: told == [{APP}])
    lookup.put(APP, "127.0.0.3:90")
    soon(lambda: told == [{APP}, {APP}])
    del lookup.answers[APP]
    soon(lambda: [*names.problems()])
    assert upstreams(names, APP) == ("127.0.0.3:90",)
    assert "its last answer stays (127.0.0.3:90)" in next(names.problems())
    lookup.put(APP, "127.0.0.3:90")
    soon(lambda: not [*names.problems()])
    assert told == [{APP}, {APP}]
    assert names.events.kinds == ["name-changed", "name-unresolved", "name-resolved"]


def test_what_cannot_be_told_is_told_again(names: Names, lookup: FakeLookup) -> None:
    told: list[frozenset[str]] = []

    def refuse_once(news: frozenset[str]) -> None:
        told.append(news)
        if len(told) == 1:
            raise Refused("database-locked", "It is locked.")

    names.changed = refuse_once
    names.start()
    lookup.put(APP, "127.0.0.2:90", ttl_s=60.0)
    names.follow(wanted(APP))
    soon(lambda: told == [{APP}, {APP}])


def test_answers_are_known_again_from_the_published_rows(names: Names) -> None:
    row = encode(expanded(of(APP, SRV, DB, policy="weighted"), ANSWERS))
    names.recall({"route:a.test": row, "settings": "{}"})
    names.learn(wanted(APP, SRV, DB), 10.0)
    assert encode(names.expand(of(APP, SRV, DB, policy="weighted"))) == row


def test_a_name_that_is_not_wanted_any_more_is_forgotten(names: Names, lookup: FakeLookup) -> None:
    lookup.put(APP, "127.0.0.2:90")
    names.learn(wanted(APP, DB), 10.0)
    names.follow(wanted(DB))
    assert upstreams(names, APP) == ()
    names.follow(wanted())
    assert [*names.problems()] == []


def test_other_nameservers_are_asked_at_once(names: Names, lookup: FakeLookup) -> None:
    lookup.put(APP, "127.0.0.2:90", ttl_s=300.0)
    names.learn(wanted(APP), 10.0)
    lookup.put(APP, "127.0.0.3:90", ttl_s=300.0)
    names.learn(wanted(APP), 10.0)
    assert upstreams(names, APP) == ("127.0.0.2:90",)
    names.learn(Wanted(names=frozenset({APP}), nameservers=("127.0.0.1:53",)), 10.0)
    assert upstreams(names, APP) == ("127.0.0.3:90",)
