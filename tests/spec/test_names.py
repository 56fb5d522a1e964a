"""Names among the upstreams: control resolves them for all workers, and the edge gets over a
nameserver that is gone. Two workers, a real nameserver, origins on loopback addresses."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from tests.support.client import fetch
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.nameserver import Nameserver
from tests.support.origin import ScriptedOrigin

NAME: Final = "app.test"
SERVICE: Final = "_http._tcp.app.test"


def named(name: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\n\r\n{name}".encode()


@pytest.fixture
def nameserver() -> Iterator[Nameserver]:
    with Nameserver() as started:
        yield started


class Origins:
    """Origins on 127.0.0.2, .3 and .4, all on the same port, that answer with a, b and c."""

    def __init__(self) -> None:
        first = ScriptedOrigin(named("a"), host="127.0.0.2")
        self.port = int(first.address.rpartition(":")[2])
        self.each = [first, *(self._beside(ip, name) for ip, name in self._others)]

    _others: Final = (("127.0.0.3", "b"), ("127.0.0.4", "c"))

    def _beside(self, ip: str, name: str) -> ScriptedOrigin:
        return ScriptedOrigin(named(name), host=ip, port=self.port)

    @property
    def peer(self) -> str:
        """The name with the port, as a config writes it."""
        return f"{NAME}:{self.port}"

    def at(self, ip: str) -> str:
        return f"{ip}:{self.port}"


@pytest.fixture
def origins() -> Iterator[Origins]:
    made = Origins()
    yield made
    for each in made.each:
        each.close()


@pytest.fixture
def start(edged: Callable[..., Edged], nameserver: Nameserver) -> Callable[..., Edged]:
    """Starts an edged with two workers and one route, which asks that nameserver."""

    def start(peers: str | list[str], extra: str = "") -> Edged:
        return edged(route("*", peers, extra), server=nameserver.setting, workers=2)

    return start


def ask(edged: Edged, count: int = 20) -> Counter[str]:
    """So many requests, each on a connection of its own; the answers' letters or statuses."""
    answers = [fetch(edged.address) for _ in range(count)]
    return Counter(
        answer.body.decode() if answer.status == 200 else str(answer.status) for answer in answers
    )


def unresolved(edged: Edged) -> list[str]:
    problems = edged.ctl_json("status")["problems"]
    return [each["message"] for each in problems if each["code"] == "name-unresolved"]


def events(edged: Edged, kind: str) -> list[dict[str, Any]]:
    found = map(json.loads, edged.ctl("--json", "events").lines)
    return [each for each in found if each["event"] == kind]


def peers(edged: Edged) -> set[str]:
    return {each["peer"] for each in edged.ctl_json("peers")["peers"]}


def end_control(edged: Edged) -> None:
    """Kill control, and wait for the next one to answer."""
    former = edged.ctl_json("status")["control_pid"]
    edged.end(former)
    eventually(lambda: edged.ctl_json("status")["control_pid"] != former)


# Addresses


def test_every_address_of_a_name_is_a_peer(
    start: Callable[..., Edged], nameserver: Nameserver, origins: Origins
) -> None:
    nameserver.put(NAME, "A", "127.0.0.2", "127.0.0.3")
    edged = start(origins.peer)
    assert set(ask(edged)) == {"a", "b"}
    assert peers(edged) == {origins.at("127.0.0.2"), origins.at("127.0.0.3")}
    [shown] = edged.ctl_json("routes")["routes"]
    assert shown["upstreams"] == [origins.at("127.0.0.2"), origins.at("127.0.0.3")]
    assert shown["names"][0]["name"] == origins.peer
    assert edged.ctl_json("explain", "GET", "http://any.test/")["peers"] == shown["upstreams"]


def test_a_record_that_changes_moves_the_traffic_without_a_reload(
    start: Callable[..., Edged], nameserver: Nameserver, origins: Origins
) -> None:
    nameserver.put(NAME, "A", "127.0.0.2")
    edged = start(origins.peer)
    workers = edged.workers()
    assert set(ask(edged)) == {"a"}
    nameserver.put(NAME, "A", "127.0.0.3", "127.0.0.4")
    eventually(lambda: set(ask(edged)) == {"b", "c"})
    assert edged.workers() == workers
    [event] = events(edged, "name-changed")
    assert event["name"] == origins.peer
    assert peers(edged) == {origins.at("127.0.0.3"), origins.at("127.0.0.4")}


def test_a_names_weight_is_that_of_each_of_its_addresses(
    start: Callable[..., Edged], nameserver: Nameserver, origins: Origins
) -> None:
    nameserver.put(NAME, "A", "127.0.0.2", "127.0.0.3")
    edged = start([origins.peer, origins.at("127.0.0.4")], 'balance = "weighted"\nweights = [2, 1]')
    found = ask(edged, 50)
    assert 18 <= found["a"] <= 22
    assert 18 <= found["b"] <= 22
    assert 8 <= found["c"] <= 12


def test_a_reload_brings_new_names_with_their_addresses(
    start: Callable[..., Edged], nameserver: Nameserver, origins: Origins
) -> None:
    nameserver.put(NAME, "A", "127.0.0.2")
    nameserver.put("new.test", "A", "127.0.0.3")
    edged = start(origins.peer)
    edged.write(route("*", f"new.test:{origins.port}"))
    edged.reload()
    assert set(ask(edged)) == {"b"}
    nameserver.stop()
    edged.write(route("*", origins.at("127.0.0.4")))
    edged.reload()
    assert set(ask(edged)) == {"c"}
    assert unresolved(edged) == []


def test_a_reload_that_is_refused_changes_no_name(
    start: Callable[..., Edged], nameserver: Nameserver, origins: Origins
) -> None:
    nameserver.put(NAME, "A", "127.0.0.2")
    edged = start(origins.peer)
    edged.write_file("broken.py", "raise ValueError")
    with Nameserver() as other:
        edged.write(route("*", "gone.test:9000"), server=f'{other.setting}\nhooks = ["broken.py"]')
        assert not edged.ctl("reload")
        assert ("gone.test", "A") in other.asked
    assert set(ask(edged)) == {"a"}
    assert unresolved(edged) == []
    nameserver.put(NAME, "A", "127.0.0.3")
    eventually(lambda: set(ask(edged)) == {"b"})


# SRV records


def test_srv_records_say_who_is_asked_and_how_often(
    start: Callable[..., Edged], nameserver: Nameserver, origins: Origins
) -> None:
    port = origins.port
    nameserver.put(
        SERVICE, "SRV", f"1 3 {port} a.test.", f"1 1 {port} b.test.", f"2 9 {port} c.test."
    )
    for name, ip in (("a.test", "127.0.0.2"), ("b.test", "127.0.0.3"), ("c.test", "127.0.0.4")):
        nameserver.put(name, "A", ip)
    edged = start(f"srv:{SERVICE}", 'balance = "weighted"')
    found = ask(edged, 80)
    assert found.keys() == {"a", "b"}
    assert 55 <= found["a"] <= 65
    nameserver.put(SERVICE, "SRV", f"2 9 {port} c.test.")
    eventually(lambda: set(ask(edged)) == {"c"})


# Nameservers that fail


def test_without_its_nameserver_the_edge_goes_on_and_says_so(
    start: Callable[..., Edged], nameserver: Nameserver, origins: Origins
) -> None:
    nameserver.put(NAME, "A", "127.0.0.2")
    edged = start(origins.peer)
    nameserver.stop()
    [message] = eventually(lambda: unresolved(edged))
    assert message.startswith(f"{origins.peer} cannot be resolved: no nameserver has answered")
    assert f"its last answer stays ({origins.at('127.0.0.2')})" in message
    assert set(ask(edged)) == {"a"}
    assert len(events(edged, "name-unresolved")) == 1
    nameserver.put(NAME, "A", "127.0.0.3")
    nameserver.start()
    eventually(lambda: set(ask(edged)) == {"b"}, within_s=20.0)
    assert unresolved(edged) == []
    assert len(events(edged, "name-resolved")) == 1


def test_a_name_that_is_taken_away_keeps_its_peers(
    start: Callable[..., Edged], nameserver: Nameserver, origins: Origins
) -> None:
    nameserver.put(NAME, "A", "127.0.0.2")
    edged = start(origins.peer)
    nameserver.put(NAME, "A")
    [message] = eventually(lambda: unresolved(edged))
    assert "neither A nor AAAA" in message
    assert set(ask(edged)) == {"a"}


def test_a_control_that_is_killed_while_the_nameserver_is_gone_keeps_the_peers(
    start: Callable[..., Edged], nameserver: Nameserver, origins: Origins
) -> None:
    nameserver.put(NAME, "A", "127.0.0.2", "127.0.0.3")
    edged = start(origins.peer)
    nameserver.stop()
    end_control(edged)
    assert set(ask(edged)) == {"a", "b"}
    eventually(lambda: unresolved(edged))
    assert set(ask(edged)) == {"a", "b"}
    nameserver.put(NAME, "A", "127.0.0.4")
    nameserver.start()
    eventually(lambda: set(ask(edged)) == {"c"}, within_s=20.0)


def test_an_edged_that_starts_without_its_nameserver_keeps_the_peers_too(
    start: Callable[..., Edged], nameserver: Nameserver, origins: Origins
) -> None:
    nameserver.put(NAME, "A", "127.0.0.2")
    edged = start(origins.peer)
    nameserver.stop()
    edged.stop(expect=0)
    edged.start()
    assert set(ask(edged)) == {"a"}


def test_a_name_that_cannot_be_resolved_at_the_start_gets_its_peers_as_soon_as_it_can(
    start: Callable[..., Edged], nameserver: Nameserver, origins: Origins
) -> None:
    edged = start(origins.peer)
    answer = fetch(edged.address)
    assert (answer.status, answer.get("X-Edge-Error")) == (503, "no-peer")
    [message] = eventually(lambda: unresolved(edged))
    assert message == f"{origins.peer} cannot be resolved: there is no such name; it has no peers."
    explained = edged.ctl_json("explain", "GET", "http://any.test/")["answer"]
    assert explained["reason"] == "no-peer"
    assert explained["why"] == f"not resolved yet: {origins.peer}"
    assert f"{origins.peer} (unresolved)" in edged.ctl("routes").out
    nameserver.put(NAME, "A", "127.0.0.2")
    eventually(lambda: set(ask(edged)) == {"a"}, within_s=20.0)
    assert unresolved(edged) == []


def test_a_nameserver_that_is_gone_at_the_start_holds_up_no_other_route(
    edged: Callable[..., Edged], nameserver: Nameserver, origins: Origins
) -> None:
    nameserver.put(NAME, "A", "127.0.0.2")
    nameserver.stop()
    other = route("other.test", origins.at("127.0.0.3"))
    started = edged(route("*", origins.peer) + other, server=nameserver.setting, workers=2)
    assert fetch(started.address, host="other.test").body == b"b"
    assert ask(started, 4) == {"503": 4}
    nameserver.start()
    eventually(lambda: set(ask(started, 4)) == {"a"}, within_s=20.0)


# What is known of peers


def test_a_drained_peer_stays_drained_when_its_name_comes_back_to_it(
    start: Callable[..., Edged], nameserver: Nameserver, origins: Origins
) -> None:
    nameserver.put(NAME, "A", "127.0.0.2", "127.0.0.3")
    edged = start(origins.peer)
    assert edged.ctl("peer", "drain", origins.at("127.0.0.2"))
    assert set(ask(edged)) == {"b"}
    nameserver.put(NAME, "A", "127.0.0.4")
    eventually(lambda: set(ask(edged)) == {"c"})
    nameserver.put(NAME, "A", "127.0.0.2", "127.0.0.3")
    eventually(lambda: set(ask(edged)) == {"b"})


def test_a_health_check_follows_the_addresses_and_asks_by_the_name(
    start: Callable[..., Edged], nameserver: Nameserver, origins: Origins
) -> None:
    nameserver.put(NAME, "A", "127.0.0.2")
    edged = start(origins.peer, '[route.health]\npath = "/health"\ninterval = "100ms"')
    eventually(lambda: set(ask(edged)) == {"a"})
    nameserver.put(NAME, "A", "127.0.0.3")
    eventually(lambda: set(ask(edged)) == {"b"})
    former, latter = origins.each[:2]
    assert {request.get("host") for request in latter.requests if request.target == "/health"} == {
        origins.peer
    }
    former.forget()
    eventually(lambda: sum(request.target == "/health" for request in latter.requests) > 20)
    assert former.requests == []
