"""Who may have a certificate on demand: nobody whom the operator's service does not know."""

import http.server
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import gevent
import pytest

from control.acme.ondemand import AskSpec, OnDemand
from tests.support.ports import free_port


class Service:
    """Says yes to those that it knows."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.statuses = {"yes.test": 200, "made.test": 201, "moved.test": 302, "broken.test": 500}
        self.wait = threading.Event()
        self.wait.set()
        owner = self

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                [name] = parse_qs(urlsplit(self.path).query)["domain"]
                owner.asked.append(name)
                owner.wait.wait(10)
                self.send_response(owner.statuses.get(name, 404))
                self.send_header("Location", "/?domain=yes.test")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}/ask?secret=1"


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    threading.Thread(  # noqa: TID251
        target=made.server.serve_forever, args=(0.02,), daemon=True
    ).start()
    yield made
    made.wait.set()
    made.server.shutdown()
    made.server.server_close()


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("yes.test", True), ("made.test", True), ("moved.test", False), ("broken.test", False),
     ("no.test", False), ("YES.test.", True), ("", False), ("x" * 300, False)],
)  # fmt: skip
def test_only_a_2xx_is_a_yes(service: Service, name: str, allowed: bool) -> None:
    assert OnDemand(AskSpec(ask=service.url)).may(name) is allowed


def test_a_no_is_remembered_for_a_while_and_a_yes_is_not(service: Service) -> None:
    now = 0.0
    demand = OnDemand(AskSpec(ask=service.url), now=lambda: now)
    assert not demand.may("no.test")
    service.statuses["no.test"] = 200
    assert not demand.may("no.test")
    now = 61.0
    assert demand.may("no.test")
    assert demand.may("no.test")
    assert service.asked == ["no.test"] * 3


def test_many_who_want_the_same_name_ask_once(service: Service) -> None:
    demand = OnDemand(AskSpec(ask=service.url))
    service.wait.clear()
    first, *others = (gevent.spawn(demand.may, "yes.test") for _ in range(20))
    gevent.sleep(0.05)
    first.kill()  # it hung up
    service.wait.set()
    assert [other.get(timeout=10) for other in others] == [True] * 19
    assert service.asked == ["yes.test"]


def test_no_answer_is_a_no(service: Service) -> None:
    service.wait.clear()
    assert not OnDemand(AskSpec(ask=service.url, timeout_s=0.2)).may("yes.test")
    assert not OnDemand(AskSpec(ask=f"http://127.0.0.1:{free_port()}/")).may("yes.test")


def test_strangers_fill_no_memory(service: Service) -> None:
    demand = OnDemand(AskSpec(ask=service.url), denials=3)
    for number in range(6):
        demand.may(f"no{number}.test")
    assert repr(demand) == "<OnDemand 0 asked about, 3 denied>"
