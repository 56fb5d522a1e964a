"""Which peers some requests get: canaries, and cookies that keep a client's peer."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.support.client import Answer, Client, fetch
from tests.support.edged import Edged, route
from tests.support.origin import ScriptedOrigin
from tests.support.ports import free_address

HOST: Final = "a.test"
TRUSTED: Final = 'trusted_proxies = ["127.0.0.2/32"]'


def named(name: str) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name.encode())


@pytest.fixture
def origins() -> Iterator[list[ScriptedOrigin]]:
    made = [ScriptedOrigin(named(name)) for name in "abc"]
    for each in made:
        each.__enter__()
    yield made
    for each in made:
        each.__exit__(None, None, None)


@pytest.fixture
def split(edged: Callable[..., Edged], origins: list[ScriptedOrigin]) -> Callable[..., Edged]:
    """Two peers, and a canary that is the third."""

    def start(extra: str, canary: str = "") -> Edged:
        address = canary or origins[2].address
        rules = f'[route.canary]\nupstreams = ["{address}"]\n{extra}\n'
        body = route(HOST, [each.address for each in origins[:2]]) + rules
        return edged(body, workers=2, server=TRUSTED)

    return start


def ask(edged: Edged, fields: str = "") -> Answer:
    return fetch(edged.address, host=HOST, fields=fields)


def of_client(edged: Edged, client: str) -> str:
    with Client(edged.address, source="127.0.0.2") as proxy:
        proxy.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-For: {client}\r\n\r\n".encode())
        return proxy.read_answer().body.decode()


def test_a_part_of_the_clients_gets_the_canary_and_always_the_same_ones(
    split: Callable[..., Edged],
) -> None:
    edged = split('part = "30%"')
    first = {f"192.0.2.{n}": of_client(edged, f"192.0.2.{n}") == "c" for n in range(150)}
    share = sum(first.values()) / len(first)
    assert 0.15 < share < 0.45
    again = {client: of_client(edged, client) == "c" for client in first}
    assert again == first


@pytest.mark.parametrize("part", ["0%", "100%"])
def test_a_field_and_a_cookie_decide_before_the_part(
    split: Callable[..., Edged], part: str
) -> None:
    edged = split(f'part = "{part}"\nheader = "X-Canary"\ncookie = "canary"')
    canary, stable = {"c"}, {"a", "b"}

    def seen(fields: str) -> set[str]:
        return {ask(edged, fields).body.decode() for _ in range(8)}

    assert seen("X-Canary: always\r\n") == canary
    assert seen("X-Canary: never\r\n") == stable
    assert seen("Cookie: canary=always\r\n") == canary
    assert seen("Cookie: canary=never\r\n") == stable
    assert seen("X-Canary: never\r\nCookie: canary=always\r\n") == stable
    assert seen("X-Canary: nonsense\r\n") == (canary if part == "100%" else stable)


def test_a_canary_that_is_down_costs_no_request(split: Callable[..., Edged]) -> None:
    edged = split('part = "100%"', canary=free_address())
    answers = Counter(ask(edged).body.decode() for _ in range(30))
    assert set(answers) == {"a", "b"}


# Sticky


@pytest.fixture
def sticky(edged: Callable[..., Edged], origins: list[ScriptedOrigin]) -> Edged:
    extra = "[route.sticky]\nlasts = '1h'\n[route.ejection]\nfailures = 1\n"
    return edged(route(HOST, [each.address for each in origins], extra), workers=2)


def cookie_of(answer: Answer) -> str:
    return answer.get("Set-Cookie").partition(";")[0]


def test_a_client_keeps_its_peer(sticky: Edged, origins: list[ScriptedOrigin]) -> None:
    seen = {}
    for _ in range(12):
        answer = ask(sticky)
        seen[cookie_of(answer)] = answer.body
        assert answer.get("Set-Cookie").endswith("; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600")
    assert len(seen) == 3
    for cookie, body in seen.items():
        for _ in range(6):
            again = ask(sticky, f"Cookie: x=y; {cookie}\r\n")
            assert (again.body, again.get("Set-Cookie")) == (body, "")
        assert not any(each.address in cookie for each in origins)


def test_the_cookie_outlives_reloads_and_restarts(sticky: Edged) -> None:
    first = ask(sticky)
    fields = f"Cookie: {cookie_of(first)}\r\n"
    assert sticky.ctl("reload", "--roll")
    sticky.stop(expect=0)
    sticky.start()
    assert {ask(sticky, fields).body for _ in range(6)} == {first.body}


def test_a_peer_that_is_gone_is_replaced(sticky: Edged, origins: list[ScriptedOrigin]) -> None:
    first = ask(sticky)
    fields = f"Cookie: {cookie_of(first)}\r\n"
    lost = next(each for each in origins if named_by(each) == first.body)
    lost.__exit__(None, None, None)
    second = ask(sticky, fields)
    assert second.status == 200
    assert second.body != first.body
    assert cookie_of(second) not in ("", cookie_of(first))


def named_by(origin: ScriptedOrigin) -> bytes:
    assert isinstance(origin.reply, bytes)
    return origin.reply.rpartition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    "made_up", ["edged_peer=0", "edged_peer=", "edged_peer=%F0\xff", "edged_peer"]
)
def test_a_cookie_that_was_made_up_means_nothing(sticky: Edged, made_up: str) -> None:
    seen = {ask(sticky, f"Cookie: {made_up}\r\n").body for _ in range(12)}
    assert seen == {b"a", b"b", b"c"}
