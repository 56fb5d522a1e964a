"""Policies as plain functions: who gets how much, and who gets the same again."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from edge.balance import BOUND, Member, Pick, key_of, policy_of
from edge.message import Client, Peer, Request
from edge.peers import Peers, PeerState
from edge.shared.peers import Own
from edge.shared.segment import Segment
from edge.table.model import Balancing


def members_of(*weights: float) -> list[Member]:
    peers = Peers(Segment.create(2), 0)
    return [
        Member(Peer(f"127.0.0.1:{n}"), peers.of(f"127.0.0.1:{n}"), weight)
        for n, weight in enumerate(weights, 1)
    ]


def exchange(client: str = "192.0.2.1", block: bytes = b"") -> Any:
    request = Request("GET", "/a", block)
    request._path, request.host = "/a", "x.test"
    return SimpleNamespace(client=Client(client), request=request)


def load(state: PeerState, count: int) -> None:
    state.own[Own.UNDER_WAY] = count


def shares(pick: Pick, members: list[Member], count: int) -> list[int]:
    found = Counter(pick(members, exchange()).peer.address for _ in range(count))
    return [found[member.peer.address] for member in members]


def test_round_robin_gives_each_the_same() -> None:
    assert shares(policy_of(Balancing()), members_of(1, 1, 1), 300) == [100, 100, 100]


def test_weighted_gives_by_weight_and_mixes() -> None:
    members = members_of(3, 1)
    pick = policy_of(Balancing(policy="weighted"))
    turns = [pick(members, exchange()).peer.address[-1] for _ in range(8)]
    assert "".join(turns) == "11211121"
    assert shares(pick, members, 400) == [300, 100]


def test_least_conn_gives_to_the_least_busy_for_its_weight() -> None:
    members = members_of(1, 1, 4)
    pick = policy_of(Balancing(policy="least_conn"))
    for member, count in zip(members, (5, 2, 9), strict=True):
        load(member.state, count)
    assert pick(members, exchange()) is members[2]  # (9 + 1) / 4 is the least
    load(members[2].state, 20)
    assert pick(members, exchange()) is members[1]


def test_least_conn_counts_what_other_workers_have_under_way() -> None:
    segment = Segment.create(2)
    here, there = Peers(segment, 0), Peers(segment, 1)
    segment.scoreboard_row(1)[2] = 2  # READY
    members = [Member(Peer(a), here.of(a)) for a in ("127.0.0.1:1", "127.0.0.1:2")]
    load(there.of("127.0.0.1:1"), 3)
    here.refresh(1.0)
    pick = policy_of(Balancing(policy="least_conn"))
    assert {pick(members, exchange()) for _ in range(20)} == {members[1]}
    segment.scoreboard_row(1)[2] = 0  # that worker is gone, and so is what it had
    here.refresh(2.0)
    assert {pick(members, exchange()) for _ in range(50)} == set(members)


def test_random2_prefers_the_less_busy() -> None:
    members = members_of(1, 1, 1)
    load(members[0].state, 10)
    assert shares(policy_of(Balancing(policy="random2")), members, 200)[0] == 0


@pytest.mark.parametrize("policy", ["least_conn", "random2", "weighted", "round_robin"])
def test_one_member_is_always_picked(policy: str) -> None:
    members = members_of(2)
    assert policy_of(Balancing(policy=policy))(members, exchange()) is members[0]


def test_consistent_gives_the_same_key_the_same_peer_and_spreads_keys() -> None:
    members = members_of(1, 1, 1, 1)
    pick = policy_of(Balancing(policy="consistent"))
    clients = [f"192.0.2.{n}" for n in range(200)]
    before = {client: pick(members, exchange(client)) for client in clients}
    assert {client: pick(members, exchange(client)) for client in clients} == before
    assert min(Counter(before.values()).values()) > 25
    left = members[1:]
    after = {client: pick(left, exchange(client)) for client in clients}
    moved = [client for client in clients if after[client] is not before[client]]
    assert all(before[client] is members[0] for client in moved)


def test_consistent_follows_the_weights() -> None:
    members = members_of(3, 1)
    pick = policy_of(Balancing(policy="consistent"))
    found = Counter(pick(members, exchange(f"10.0.{n // 200}.{n % 200}")) for n in range(2000))
    assert 0.70 < found[members[0]] / 2000 < 0.80


def test_consistent_passes_over_a_peer_with_too_much_of_the_load() -> None:
    members = members_of(1, 1)
    pick = policy_of(Balancing(policy="consistent"))
    usual = pick(members, exchange())
    load(usual.state, 10)
    assert BOUND < 2
    assert pick(members, exchange()) is not usual


@pytest.mark.parametrize(
    ("by", "block", "key"),
    [
        ("client", b"", "192.0.2.1"),
        ("path", b"", "/a"),
        ("host", b"", "x.test"),
        ("header:X-User", b"\r\nX-User: me", "me"),
        ("header:X-User", b"", "192.0.2.1"),
        ("cookie:sid", b"\r\nCookie: a=b; sid=77", "77"),
        ("cookie:sid", b"\r\nCookie: xsid=77", "192.0.2.1"),
    ],
)
def test_keys(by: str, block: bytes, key: str) -> None:
    assert key_of(by)(exchange(block=block)) == key


def test_a_slow_start_grows_to_the_full_weight() -> None:
    (member,) = members_of(10)
    member.state.up_since = 100.0
    weights = []
    for moment in (100.0, 105.0, 110.0, 200.0):
        member.warm(moment, slow_start_s=10.0)
        weights.append(member.weight)
    assert weights == [1.0, 5.0, 10.0, 10.0]
