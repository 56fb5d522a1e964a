"""One request, its peers, and what a client and an origin see of each other."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.support.client import Client, fetch
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.origin import OK, End, OriginConnection, Received, Reply, ScriptedOrigin
from tests.support.ports import free_address
from tests.support.web_origin import WebOrigin

HEAD: Final = "{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"
LARGE: Final = b"0123456789abcdef" * 20_000  # over what is kept for a second attempt


class Rig:
    """An edged whose every host `nameN.test` has a route of its own, added by the test."""

    def __init__(self, edged: Edged) -> None:
        self.edged = edged
        self._routes: list[str] = []

    def host(self, upstreams: str | list[str], extra: str = "") -> str:
        """A new host with these peers, served when this returns."""
        name = f"name{len(self._routes)}.test"
        self._routes.append(route(name, upstreams, extra))
        self.edged.write("\n".join(self._routes))
        self.edged.reload()
        return name

    def send(self, host: str, method: str = "GET", body: bytes = b"", fields: str = "") -> bytes:
        """The bytes of a request."""
        if body:
            fields += f"Content-Length: {len(body)}\r\n"
        return HEAD.format(method=method, target="/", host=host, fields=fields).encode() + body


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Edged() as edged:
        yield Rig(edged)


def in_turn(*replies: Reply) -> Callable[[Received], Reply]:
    """One reply after the other, the last one for ever."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def came(origin: ScriptedOrigin) -> bytes:
    """All that the origin ever got, also of requests that are under way."""
    return b"".join(each.raw for each in origin.connections)


# Connections to peers


def test_clients_share_the_connections_to_a_peer(rig: Rig, origin: ScriptedOrigin) -> None:
    host = rig.host(origin.address)
    for _ in range(5):
        assert fetch(rig.edged.address, host=host).body == b"ok"
    assert {request.connection for request in origin.requests} == {1}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_kept_connection_that_the_peer_has_closed_costs_nothing(
    rig: Rig, origin: ScriptedOrigin, method: str
) -> None:
    host = rig.host(origin.address)
    for _ in range(3):
        assert fetch(rig.edged.address, host=host, method=method, body=b"x").status == 200
        origin.connections[-1].close()
        eventually(lambda: origin.connections[-1].ended)
    assert len(origin.requests) == 3


def test_bytes_that_nobody_asked_for_are_never_an_answer(rig: Rig, origin: ScriptedOrigin) -> None:
    host = rig.host(origin.address)
    assert fetch(rig.edged.address, host=host).body == b"ok"
    origin.connections[-1].send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    eventually(lambda: origin.connections[0].ended)
    assert fetch(rig.edged.address, host=host).body == b"ok"
    assert len(origin.connections) == 2


def test_a_peer_on_a_unix_socket(rig: Rig) -> None:
    path = str(rig.edged.folder / "app.sock")
    with ScriptedOrigin(path=path) as origin:
        (rig.edged.folder / "app.sock").chmod(0o666)
        host = rig.host(f"unix:{path}")
        assert fetch(rig.edged.address, host=host).body == b"ok"
        assert origin.requests[0].get("host") == host


def test_a_peer_on_ipv6(rig: Rig) -> None:
    with ScriptedOrigin(host="::1") as origin:
        host = rig.host(origin.address)
        assert fetch(rig.edged.address, host=host).body == b"ok"


def test_a_peer_with_a_name(rig: Rig, origin: ScriptedOrigin) -> None:
    port = origin.address.rpartition(":")[2]
    host = rig.host(f"localhost:{port}")
    assert fetch(rig.edged.address, host=host).body == b"ok"


def test_clients_on_ipv6_and_ipv4_of_one_listener(origin: ScriptedOrigin) -> None:
    port = free_address().rpartition(":")[2]
    with Edged(route("*", origin.address), addresses=[f"[::]:{port}"]) as edged:
        assert fetch(f"[::1]:{port}").body == b"ok"
        assert fetch(f"127.0.0.1:{port}").body == b"ok"
        assert [each.get("x-real-ip") for each in origin.requests][-2:] == ["::1", "127.0.0.1"]
        edged.logged(client="127.0.0.1", status=200)


# Attempts


def test_a_refused_connect_goes_to_the_next_peer(rig: Rig, origin: ScriptedOrigin) -> None:
    host = rig.host([free_address(), origin.address])
    for _ in range(4):
        assert fetch(rig.edged.address, host=host, method="POST", body=b"x").status == 200
    assert rig.edged.logged(host=host, attempts=2)["peer"] == origin.address
    assert len(origin.requests) == 4


def test_peers_that_all_refuse_are_a_502_that_says_so(rig: Rig) -> None:
    host = rig.host([free_address(), free_address()])
    answer = fetch(rig.edged.address, host=host)
    assert (answer.status, answer.get("X-Edge-Error")) == (502, "connect-refused")
    assert rig.edged.logged(host=host)["attempts"] == 3


def test_a_get_that_got_no_answer_is_sent_again(rig: Rig, origin: ScriptedOrigin) -> None:
    host = rig.host(origin.address)
    origin.reply = in_turn([End.CLOSE], [End.RESET], OK)
    assert fetch(rig.edged.address, host=host).status == 200
    assert len(origin.requests) == 3


def test_kept_connections_that_end_together_are_no_failed_attempts(
    rig: Rig, origin: ScriptedOrigin
) -> None:
    host = rig.host(origin.address)
    all_here = threading.Event()

    def answer(request: Received) -> Reply:
        on_this = [each for each in origin.requests if each.connection == request.connection]
        if request.connection > 4:
            return OK
        return [all_here, OK] if len(on_this) == 1 else [End.CLOSE]

    origin.reply = answer
    clients = [Client(rig.edged.address) for _ in range(4)]
    for client in clients:
        client.send(rig.send(host))
    eventually(lambda: len(origin.requests) == 4)
    all_here.set()
    for client in clients:
        assert client.read_answer().status == 200
        client.close()
    assert fetch(rig.edged.address, host=host).status == 200


def test_a_post_that_got_no_answer_is_not_sent_again(rig: Rig, origin: ScriptedOrigin) -> None:
    host = rig.host(origin.address)
    origin.reply = in_turn([End.CLOSE], OK)
    answer = fetch(rig.edged.address, host=host, method="POST", body=b"x")
    assert (answer.status, answer.get("X-Edge-Error")) == (502, "upstream-closed")
    assert len(origin.requests) == 1


@pytest.mark.parametrize("reply", [[End.HANG], b"garbage\r\n\r\n"], ids=["silence", "garbage"])
def test_what_a_peer_cannot_answer_another_one_does(
    rig: Rig, origin: ScriptedOrigin, reply: Reply
) -> None:
    origin.reply = reply
    with ScriptedOrigin() as other:
        host = rig.host([origin.address, other.address], 'first_byte = "300ms"')
        for _ in range(4):
            assert fetch(rig.edged.address, host=host).status == 200
        assert origin.requests
        refused = [
            fetch(rig.edged.address, host=host, method="POST", body=b"x").status for _ in range(2)
        ]
        assert sorted(refused) in ([200, 502], [200, 504])  # never sent twice


def test_an_idempotent_request_is_sent_again_with_its_small_body(
    rig: Rig, origin: ScriptedOrigin
) -> None:
    host = rig.host(origin.address)
    origin.reply = in_turn([End.CLOSE], OK)
    assert fetch(rig.edged.address, host=host, method="PUT", body=b"same").status == 200
    assert [each.body for each in origin.requests] == [b"same", b"same"]


def test_a_large_body_is_not_kept_for_a_second_attempt(rig: Rig, origin: ScriptedOrigin) -> None:
    host = rig.host(origin.address)
    origin.reply = in_turn([End.CLOSE], OK)
    assert fetch(rig.edged.address, host=host, method="PUT", body=LARGE).status == 502
    assert len(origin.requests) == 1


def test_an_answer_that_has_begun_is_never_asked_for_again(
    rig: Rig, origin: ScriptedOrigin
) -> None:
    host = rig.host(origin.address)
    origin.reply = in_turn([b"HTTP/1.1 200 OK\r\nContent-", End.CLOSE], OK)
    answer = fetch(rig.edged.address, host=host)
    assert (answer.status, answer.get("X-Edge-Error")) == (502, "bad-response")
    assert len(origin.requests) == 1


# Bodies


def test_large_bodies_arrive_as_they_were_sent(rig: Rig, origin: ScriptedOrigin) -> None:
    host = rig.host(origin.address)
    blob = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(500_000))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(blob)
    origin.reply = lambda request: head + request.body
    assert fetch(rig.edged.address, host=host, method="POST", body=blob).body == blob


def test_an_upload_goes_on_while_it_comes(rig: Rig, origin: ScriptedOrigin) -> None:
    host = rig.host(origin.address)
    with Client(rig.edged.address) as client:
        client.send(rig.send(host, "POST", fields="Transfer-Encoding: chunked\r\n"))
        client.send(b"5\r\nfirst\r\n")
        eventually(lambda: b"first" in came(origin))
        client.send(b"4\r\nlast\r\n0\r\n\r\n")
        assert client.read_answer().status == 200
    assert origin.requests[0].body == b"firstlast"


def test_expect_100_continue_asks_the_origin(rig: Rig) -> None:
    def serve(connection: OriginConnection) -> None:
        request = connection.read_head()
        assert request is not None
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.read_rest(request)
        connection.send(OK)

    with ScriptedOrigin(handler=serve) as origin:
        host = rig.host(origin.address)
        with Client(rig.edged.address) as client:
            fields = "Content-Length: 5\r\nExpect: 100-continue\r\n"
            client.send(rig.send(host, "POST", fields=fields))
            assert client.read_answer(until_status=100).status == 100
            client.send(b"hello")
            assert client.read_answer().status == 200
        assert origin.requests[0].body == b"hello"


def test_an_origin_that_does_not_want_the_body_is_not_sent_it(
    rig: Rig, origin: ScriptedOrigin
) -> None:
    host = rig.host(origin.address)
    origin.early = True
    origin.reply = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
    with Client(rig.edged.address) as client:
        fields = "Content-Length: 500000\r\nExpect: 100-continue\r\n"
        client.send(rig.send(host, "POST", fields=fields))
        answer = client.read_answer()
        assert (answer.status, answer.body, answer.closes) == (403, b"no", True)
        assert client.ending() == "fin"
    assert origin.requests[0].body == b""


def test_an_answer_before_the_end_of_the_body_reaches_the_client(
    rig: Rig, origin: ScriptedOrigin
) -> None:
    host = rig.host(origin.address)
    origin.early = True
    origin.reply = [b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno", End.CLOSE]
    with Client(rig.edged.address) as client:
        client.send(rig.send(host, "POST", fields="Content-Length: 5000000\r\n") + b"x" * 100_000)
        answer = client.read_answer()
        assert (answer.status, answer.closes) == (413, True)


def test_a_body_over_its_limit_is_refused_before_the_origin_sees_it(
    rig: Rig, origin: ScriptedOrigin
) -> None:
    host = rig.host(origin.address, 'body = "1KiB"')
    answer = fetch(rig.edged.address, host=host, method="POST", body=b"x" * 1025)
    assert (answer.status, answer.get("X-Edge-Error")) == (413, "body-too-large")
    assert origin.requests == []
    assert fetch(rig.edged.address, host=host, method="POST", body=b"x" * 1024).status == 200


def test_a_chunked_body_over_its_limit_is_cut_off(rig: Rig, origin: ScriptedOrigin) -> None:
    host = rig.host(origin.address, 'body = "1KiB"')
    with Client(rig.edged.address) as client:
        client.send(rig.send(host, "POST", fields="Transfer-Encoding: chunked\r\n"))
        client.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
        eventually(lambda: b"x" * 1024 in came(origin))
        client.send(b"1\r\nx\r\n0\r\n\r\n")
        assert client.read_answer().status == 413
    eventually(lambda: origin.requests[0].state == "cut")


# Who goes away


def test_a_client_that_goes_away_cancels_its_request_at_the_origin(rig: Rig) -> None:
    asked = threading.Event()

    def serve(connection: OriginConnection) -> None:
        connection.read_request()
        asked.set()
        connection.read_some()

    with ScriptedOrigin(handler=serve) as origin:
        host = rig.host(origin.address)
        client = Client(rig.edged.address)
        client.send(rig.send(host))
        assert asked.wait(10)
        client.close()
        eventually(lambda: origin.connections[0].ended)
        line = rig.edged.logged(host=host)
        assert (line["status"], line["reason"]) == (499, "client-gone")


def test_a_client_that_resets_in_the_middle_of_an_answer(rig: Rig) -> None:
    def serve(connection: OriginConnection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100)
        connection.read_some()

    with ScriptedOrigin(handler=serve) as origin:
        host = rig.host(origin.address)
        client = Client(rig.edged.address)
        client.send(rig.send(host))
        client.read_until(b"x" * 100)
        client.reset()
        eventually(lambda: origin.connections[0].ended)
        assert rig.edged.logged(host=host)["reason"] == "client-gone"


def test_an_answer_that_is_cut_is_logged_as_cut(rig: Rig, origin: ScriptedOrigin) -> None:
    host = rig.host(origin.address)
    origin.reply = [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", End.CLOSE]
    with Client(rig.edged.address) as client:
        client.send(rig.send(host))
        client.read_until(b"hello")
        assert client.ending() == "reset"
    line = rig.edged.logged(host=host)
    assert (line["status"], line["reason"], line["bytes"]) == (200, "response-cut", 5)


def test_an_ordinary_origin_serves_every_method(rig: Rig, web_origin: WebOrigin) -> None:
    host = rig.host(web_origin.address)
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = fetch(rig.edged.address, "/echo?a=b", host=host, method=method, body=b"hi")
        assert answer.status == 200
        assert f'"method": "{method}"'.encode() in answer.body
    assert fetch(rig.edged.address, "/bytes/100", host=host, method="HEAD").body == b""


def test_more_connections_than_its_limit_wait_their_turn(origin: ScriptedOrigin) -> None:
    with Edged(route("*", origin.address) + "[limits]\nconnections = 4\n") as edged:
        held = [Client(edged.address) for _ in range(4)]
        for client in held:
            client.send(b"GET / HTTP/1.1\r\nHost: x.test\r\n\r\n")
            assert client.read_answer().status == 200
        with Client(edged.address) as late:
            late.send(b"GET / HTTP/1.1\r\nHost: x.test\r\n\r\n")
            late.socket.settimeout(0.2)
            with pytest.raises(TimeoutError):
                late.read_some()
            late.socket.settimeout(10)
            held.pop().close()
            assert late.read_answer().status == 200
        for client in held:
            client.close()
