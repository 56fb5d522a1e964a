"""Who may be asked: all but those that are out, and one exchange at a time for those that were."""

from types import SimpleNamespace
from typing import Any

import pytest

from edge.hooks import Chains
from edge.message import Peer
from edge.peers import Peers
from edge.plan import Plan
from edge.shared.peers import Own
from edge.shared.segment import Segment
from edge.table.model import Balancing, Route

ADDRESSES = ("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")


@pytest.fixture
def peers() -> Peers:
    return Peers(Segment.create(2), 0)


def plan_of(peers: Peers, panic: float = 0.0) -> Plan:
    balancing = Balancing(policy="least_conn", panic=panic)
    route = Route(pattern="*", owner="t", upstreams=ADDRESSES, balancing=balancing)
    return Plan(route, Chains((), ()).base, peers)


def asked(plan: Plan, *tried: Peer) -> set[str]:
    """The ports of the peers that get any of many exchanges."""
    exchange: Any = SimpleNamespace(tried=tried)
    chosen = [plan.choose(exchange) for _ in range(100)]
    return {peer.address.rpartition(":")[2] for peer in chosen if peer is not None}


def test_an_ejected_peer_is_not_asked(peers: Peers) -> None:
    plan = plan_of(peers)
    assert asked(plan) == {"1", "2", "3"}
    peers.of(ADDRESSES[0]).fail(1, 10, 100.0)
    assert asked(plan) == {"2", "3"}


def test_a_peer_that_failed_this_exchange_is_asked_only_when_no_other_is_left(
    peers: Peers,
) -> None:
    plan = plan_of(peers)
    assert asked(plan, plan.peers[0]) == {"2", "3"}
    assert asked(plan, *plan.peers) == {"1", "2", "3"}


def test_with_too_few_left_all_are_asked(peers: Peers) -> None:
    plan = plan_of(peers, panic=0.5)
    for address in ADDRESSES[:2]:
        peers.of(address).fail(1, 10, 100.0)
    assert asked(plan) == {"1", "2", "3"}


def test_one_exchange_finds_out_whether_a_peer_is_well_again(peers: Peers) -> None:
    plan = plan_of(peers)
    back = [peers.of(address) for address in ADDRESSES[:2]]
    for state in back:
        state.fail(1, 10, 100.0)
    peers.refresh(120.0)
    assert asked(plan) == {"1", "2", "3"}
    peers.of(ADDRESSES[2]).own[Own.UNDER_WAY] = 9  # the well one is the busiest
    back[0].own[Own.UNDER_WAY] = 1
    assert asked(plan) == {"2"}
    back[1].own[Own.UNDER_WAY] = 1
    assert asked(plan) == {"3"}
    back[0].succeed()
    assert asked(plan) == {"1"}
