"""An app on Node's own server, without dependencies: started without npm."""

from collections.abc import Iterator

import pytest

from tests.support.app_examples import Example, example


@pytest.fixture(scope="module")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    with example("node", tmp_path_factory.mktemp("node")) as deployed:
        yield deployed


def test_it_is_found_and_serves(hello: Example) -> None:
    assert "start: found package.json: script `start`" in hello.deployed.err
    assert hello.ask().body == b"hello from node\n"
    body = b"0123456789" * 10_000
    assert hello.ask("/echo", method="POST", body=body).body == body


def test_it_sleeps_and_wakes(hello: Example) -> None:
    hello.sleep_and_wake()


def test_it_rolls_and_returns_without_a_failed_request(hello: Example) -> None:
    hello.change("server.js", "hello from node", "hello again")
    second, first = hello.roll_and_return()
    assert (second.body, first.body) == (b"hello again\n", b"hello from node\n")
