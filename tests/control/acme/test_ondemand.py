"""Who may have a certificate on demand: nobody whom the operator's service does not know."""

from collections.abc import Iterator

import gevent
import pytest

from control.acme.ondemand import AskSpec, OnDemand, Verdict
from tests.support.allowing import Allowing
from tests.support.ports import free_port


@pytest.fixture
def service() -> Iterator[Allowing]:
    with Allowing() as made:
        yield made


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("yes.test", True), ("made.test", True), ("moved.test", False), ("broken.test", False),
     ("no.test", False), ("YES.test.", True), ("", False), ("x" * 300, False)],
)  # fmt: skip
def test_only_a_2xx_is_a_yes(service: Allowing, name: str, allowed: bool) -> None:
    assert OnDemand(AskSpec(ask=service.url)).may(name) is allowed


def test_a_no_is_remembered_for_a_while_and_a_yes_is_not(service: Allowing) -> None:
    now = 0.0
    demand = OnDemand(AskSpec(ask=service.url), now=lambda: now)
    assert not demand.may("no.test")
    service.statuses["no.test"] = 200
    assert not demand.may("no.test")
    now = 61.0
    assert demand.may("no.test")
    assert demand.may("no.test")
    assert service.asked == ["no.test"] * 3


def test_a_service_that_is_broken_has_said_nothing(service: Allowing) -> None:
    demand = OnDemand(AskSpec(ask=service.url))
    assert demand.ask("yes.test") is Verdict.YES
    assert demand.ask("no.test") is Verdict.NO
    assert demand.ask("broken.test") is Verdict.SILENCE


def test_many_who_want_the_same_name_ask_once(service: Allowing) -> None:
    demand = OnDemand(AskSpec(ask=service.url))
    service.wait.clear()
    first, *others = (gevent.spawn(demand.may, "yes.test") for _ in range(20))
    gevent.sleep(0.05)
    first.kill()  # it hung up
    service.wait.set()
    assert [other.get(timeout=10) for other in others] == [True] * 19
    assert service.asked == ["yes.test"]


def test_no_answer_is_a_no(service: Allowing) -> None:
    service.wait.clear()
    assert not OnDemand(AskSpec(ask=service.url, timeout_s=0.2)).may("yes.test")
    assert not OnDemand(AskSpec(ask=f"http://127.0.0.1:{free_port()}/")).may("yes.test")


def test_strangers_fill_no_memory(service: Allowing) -> None:
    demand = OnDemand(AskSpec(ask=service.url), denials=3)
    for number in range(6):
        demand.may(f"no{number}.test")
    assert repr(demand) == "<OnDemand 0 asked about, 3 denied>"
