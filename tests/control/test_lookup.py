"""Looking up names: tables of the pure parts, and lookups at a nameserver of the tests' own."""

from collections.abc import Iterator
from pathlib import Path

import dns.rcode
import pytest

from control.lookup import (
    USUAL_TTL_S,
    Lookup,
    LookupFailed,
    NoSuchName,
    Service,
    addresses_in,
    first_choice,
    held_s,
    in_order,
    with_port,
)
from tests.support.nameserver import Nameserver


@pytest.fixture
def nameserver() -> Iterator[Nameserver]:
    with Nameserver() as started:
        yield started


def ask(nameserver: Nameserver, name: str, hosts: str = "/dev/null"):
    return Lookup((nameserver.address,), hosts)(name)


# Tables


@pytest.mark.parametrize(
    ("ttl_s", "held"), [(0, 1.0), (1, 1.0), (30, 30.0), (300, 300.0), (86400, 300.0)]
)
def test_how_long_an_answer_holds(ttl_s: float, held: float) -> None:
    assert held_s(ttl_s) == held


HOSTS = """
127.0.0.1\tlocalhost  App.Internal # the old one
::1 localhost
# 10.0.0.9 app.internal
not-an-address app.internal

10.0.0.1 other app.internal
"""


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("localhost", ["127.0.0.1", "::1"]),
        ("app.internal", ["127.0.0.1", "10.0.0.1"]),
        ("app", []),
        ("10.0.0.1", []),
    ],
)
def test_names_of_etc_hosts(name: str, addresses: list[str]) -> None:
    assert addresses_in(HOSTS, name) == addresses


NEAR, ALSO_NEAR, FAR = (
    Service(1, 5, 80, "a.test"), Service(1, 0, 81, "b.test"), Service(2, 9, 80, "c.test"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("records", "chosen"),
    [
        ([], []),
        ([FAR], [FAR]),
        ([FAR, NEAR, ALSO_NEAR], [NEAR, ALSO_NEAR]),
        ([Service(0, 0, 0, ""), FAR], [FAR]),
        ([Service(0, 0, 0, "")], []),
    ],
)
def test_only_the_lowest_priority_is_used(records: list[Service], chosen: list[Service]) -> None:
    assert first_choice(records) == chosen


def test_addresses_are_ordered_by_their_numbers() -> None:
    assert in_order(["::1", "10.0.0.10", "10.0.0.9", "10.0.0.9"]) == [
        "10.0.0.9", "10.0.0.10", "::1",
    ]  # fmt: skip


def test_the_address_of_a_peer() -> None:
    assert [with_port(ip, 80) for ip in ("10.0.0.1", "::1")] == ["10.0.0.1:80", "[::1]:80"]


# Lookups


def test_every_a_record_is_an_address_and_the_ttl_is_theirs(nameserver: Nameserver) -> None:
    nameserver.put("app.test", "A", "127.0.0.3", "127.0.0.2", ttl_s=7)
    answer = ask(nameserver, "app.test:90")
    assert (answer.addresses, answer.ttl_s) == (("127.0.0.2:90", "127.0.0.3:90"), 7.0)


def test_an_alias_is_followed_and_the_shortest_ttl_counts(nameserver: Nameserver) -> None:
    nameserver.put("www.test", "CNAME", "app.test.", ttl_s=3)
    nameserver.put("app.test", "A", "127.0.0.2", ttl_s=60)
    answer = ask(nameserver, "www.test:90")
    assert (answer.addresses, answer.ttl_s) == (("127.0.0.2:90",), 3.0)


def test_etc_hosts_comes_first(nameserver: Nameserver, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.9 app.test\n")
    nameserver.put("app.test", "A", "127.0.0.2")
    assert ask(nameserver, "app.test:90", str(hosts)).addresses == ("127.0.0.9:90",)
    assert nameserver.asked == []


def test_srv_records_say_targets_ports_and_weights(nameserver: Nameserver) -> None:
    nameserver.put("_http._tcp.test", "SRV", "1 3 81 a.test.", "1 0 82 b.test.", "2 9 83 c.test.")
    nameserver.put("a.test", "A", "127.0.0.2", "127.0.0.3", ttl_s=60)
    nameserver.put("b.test", "A", "127.0.0.4", ttl_s=60)
    answer = ask(nameserver, "srv:_http._tcp.test")
    assert answer.addresses == ("127.0.0.2:81", "127.0.0.3:81", "127.0.0.4:82")
    assert answer.weights == (3, 3, 1)
    assert answer.ttl_s == 1.0


def test_a_target_that_does_not_exist_is_left_out(nameserver: Nameserver) -> None:
    nameserver.put("_http._tcp.test", "SRV", "1 3 81 a.test.", "1 3 81 stale.test.")
    nameserver.put("a.test", "A", "127.0.0.2")
    assert ask(nameserver, "srv:_http._tcp.test").addresses == ("127.0.0.2:81",)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gone.test:90", "there is no such name"),
        ("mute.test:90", "neither A nor AAAA"),
        ("srv:gone.test", "there is no such name"),
        ("srv:mute.test", "no SRV records"),
        ("srv:closed.test", "there is no such service"),
        ("srv:stale.test", r"gone\.test: there is no such name"),
    ],
)
def test_what_does_not_exist(nameserver: Nameserver, name: str, why: str) -> None:
    nameserver.put("mute.test", "A")
    nameserver.put("closed.test", "SRV", "0 0 0 .")
    nameserver.put("stale.test", "SRV", "0 0 80 gone.test.")
    with pytest.raises(NoSuchName, match=why):
        ask(nameserver, name)


def test_a_nameserver_that_fails_says_nothing_about_the_name(nameserver: Nameserver) -> None:
    nameserver.put("app.test", "A", "127.0.0.2")
    nameserver.refusal = dns.rcode.SERVFAIL
    with pytest.raises(LookupFailed, match="SERVFAIL") as caught:
        ask(nameserver, "app.test:90")
    assert not isinstance(caught.value, NoSuchName)


def test_a_nameserver_that_is_gone(nameserver: Nameserver) -> None:
    nameserver.stop()
    with pytest.raises(LookupFailed, match="no nameserver has answered within 3 s"):
        ask(nameserver, "app.test:90")


@pytest.mark.parametrize("resolv_conf", ["/dev/null", "/no/such/file"])
def test_the_system_is_asked_for_what_no_nameserver_says(resolv_conf: str) -> None:
    # An empty hosts file of ours: "localhost" is in the real one, which only the system reads.
    answer = Lookup((), "/dev/null", resolv_conf)("localhost:90")
    assert "127.0.0.1:90" in answer.addresses
    assert answer.ttl_s == USUAL_TTL_S


def test_an_ipv6_address_is_used_where_there_is_ipv6(nameserver: Nameserver) -> None:
    nameserver.put("app.test", "AAAA", "::1")
    assert ask(nameserver, "app.test:90").addresses == ("[::1]:90",)


def test_the_repr_says_who_is_asked() -> None:
    assert repr(Lookup(("127.0.0.1:53",))) == "<Lookup 127.0.0.1:53>"
    assert repr(Lookup()) == "<Lookup as the system does>"
