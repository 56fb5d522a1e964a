"""Names that have certificates on demand: whose they are, and what is remembered of them."""

from collections.abc import Iterator
from typing import Any, Final

import gevent
import pytest

from control import demand
from control.config.hosts import HostTls
from control.demand import Demand
from control.refusal import Refused
from tests.support.allowing import Allowing

SHOP = HostTls(host="*.shop.test", owner="edged.toml:3", mode="on_demand", client_ca="/ca.pem")
ALL = HostTls(host="*", owner="edged.toml:9", mode="on_demand")
OWN = HostTls(host="own.shop.test", owner="edged.toml:5", mode="own", cert="/c", key="/k")
LOCKED_S: Final = 0.05
HOSTS = {host.host: host for host in (SHOP, ALL, OWN)}


class Memory:
    """Keeps values as the state database does."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}

    def keep(self, name: str, value: object) -> None:
        self.values[name] = value

    def kept(self, name: str) -> Any:
        return self.values.get(name)


@pytest.fixture
def allowing() -> Iterator[Allowing]:
    with Allowing() as service:
        service.statuses = {"a.shop.test": 200, "b.test": 200, "own.shop.test": 200}
        yield service


def asking(memory: Memory, allowing: Allowing) -> Demand:
    made = Demand(memory)
    made.follow(allowing.url)
    return made


def test_a_name_is_its_longest_patterns(allowing: Allowing) -> None:
    found = asking(Memory(), allowing).allow("a.shop.test", HOSTS)
    assert (found.host, found.mode, found.owner) == ("a.shop.test", "auto", "edged.toml:3")
    assert found.client_ca == "/ca.pem"
    assert asking(Memory(), allowing).allow("b.test", HOSTS).owner == "edged.toml:9"


@pytest.mark.parametrize("name", ["c.test", "127.0.0.1", "*.shop.test", "", "a_b..test", "x/y"])
def test_who_is_not_allowed_is_not_remembered(allowing: Allowing, name: str) -> None:
    memory = Memory()
    with pytest.raises(Refused):
        asking(memory, allowing).allow(name, HOSTS)
    assert memory.values == {}


def test_without_a_service_nobody_is_allowed(allowing: Allowing) -> None:
    made = asking(Memory(), allowing)
    made.follow("")
    with pytest.raises(Refused, match=r"tls\.ask"):
        made.allow("a.shop.test", HOSTS)


def test_the_next_control_knows_them_while_a_pattern_stands_for_them(allowing: Allowing) -> None:
    memory = Memory()
    made = asking(memory, allowing)
    for name in ("a.shop.test", "b.test"):
        made.allow(name, HOSTS)
    later = Demand(memory)
    assert [each.host for each in later.expand((SHOP, ALL))][2:] == ["a.shop.test", "b.test"]
    assert [each.host for each in later.expand((SHOP,))][1:] == ["a.shop.test"]
    assert later.expand((OWN,)) == (OWN,)


def test_a_name_that_is_denied_later_is_forgotten(allowing: Allowing) -> None:
    memory = Memory()
    made = asking(memory, allowing)
    host = made.allow("a.shop.test", HOSTS)
    assert not made.is_denied(host)
    allowing.statuses["a.shop.test"] = 503
    assert not made.is_denied(host)  # a service in trouble has said nothing
    allowing.statuses["a.shop.test"] = 404
    assert made.is_denied(host)
    made.forget("a.shop.test")
    assert memory.values == {"on-demand": []}


@pytest.mark.parametrize(("mode", "asked"), [("auto", 0), ("internal", 0), ("on_demand", 1)])
def test_the_internal_ca_makes_one_for_each_name_of_a_wide_wildcard(
    allowing: Allowing, mode: str, asked: int
) -> None:
    wide = HostTls(host="*.localhost", owner="edged.toml:3", mode=mode)
    allowing.statuses["x.localhost"] = 200
    found = asking(Memory(), allowing).allow("x.localhost", {wide.host: wide})
    assert found.mode == ("auto" if asked else "internal")
    assert len(allowing.asked) == asked


def test_names_of_the_internal_ca_take_no_place_and_the_oldest_are_forgotten(
    allowing: Allowing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demand, "NAMES", 1)
    monkeypatch.setattr(demand, "INTERNAL_NAMES", 2)
    wide = HostTls(host="*.localhost", owner="edged.toml:3", mode="auto")
    hosts, memory = HOSTS | {wide.host: wide}, Memory()
    made = asking(memory, allowing)
    for name in ("a.localhost", "b.localhost", "a.localhost", "c.localhost"):
        made.allow(name, hosts)
    assert made.surplus() == ["b.localhost"]
    made.forget("b.localhost")
    assert made.surplus() == []
    assert [host.host for host in made.expand([wide])][1:] == ["a.localhost", "c.localhost"]
    made.allow("a.shop.test", hosts)
    assert memory.values == {"on-demand": ["a.shop.test"]}


def test_there_is_room_for_so_many(allowing: Allowing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demand, "NAMES", 1)
    made = asking(Memory(), allowing)
    made.allow("a.shop.test", HOSTS)
    made.allow("a.shop.test", HOSTS)
    with pytest.raises(Refused, match=r"b\.test gets none"):
        made.allow("b.test", HOSTS)


def test_names_that_come_while_the_database_is_locked_are_all_remembered(
    allowing: Allowing,
) -> None:
    class Locked(Memory):
        """Lets others have their turn before it answers, as the state database does."""

        def keep(self, name: str, value: object) -> None:
            gevent.sleep(LOCKED_S)
            super().keep(name, value)

        def kept(self, name: str) -> Any:
            found = super().kept(name)
            gevent.sleep(LOCKED_S)
            return found

    names = ["a.shop.test", "b.test", "c.shop.test"]
    allowing.statuses |= dict.fromkeys(names, 200)
    memory = Locked()
    made = asking(memory, allowing)
    allowing.wait.clear()
    orders = [gevent.spawn(made.allow, name, HOSTS) for name in names]
    allowing.wait.set()
    reads = []
    while not all(order.ready() for order in orders):
        reads.append(gevent.spawn(made.expand, (SHOP, ALL)))  # a reload wants to know them
        gevent.sleep(LOCKED_S / 7)
    gevent.joinall([*orders, *reads], raise_error=True)
    assert sorted(memory.values["on-demand"]) == names
    assert sorted(host.host for host in made.expand((SHOP, ALL))[2:]) == names
