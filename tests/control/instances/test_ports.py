"""Ports: none twice, none that somebody listens on."""

import pytest

from control.instances import ports
from control.instances.launch import listening_socket
from control.instances.ports import HIGHEST, LOWEST, NoPort, Ports, is_free


def test_none_is_given_out_twice() -> None:
    given = Ports()
    found = [given.choose("127.0.0.1") for _ in range(200)]
    assert len(set(found)) == 200
    assert all(LOWEST <= port <= HIGHEST for port in found)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_one_that_somebody_listens_on_is_not_free(address: str) -> None:
    port = Ports().choose("127.0.0.1")
    assert is_free("127.0.0.1", port)
    with listening_socket(address, port):
        assert not is_free("127.0.0.1", port)
    assert is_free("127.0.0.1", port)


def test_when_all_are_taken_it_says_so_and_one_that_is_given_back_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = Ports().choose("127.0.0.1")
    monkeypatch.setattr(ports, "LOWEST", first)
    monkeypatch.setattr(ports, "HIGHEST", first)
    given = Ports()
    given.take(first)
    with pytest.raises(NoPort, match=r"^no port from .* is free on 127\.0\.0\.1$"):
        given.choose("127.0.0.1")
    given.give_back(first)
    assert given.choose("127.0.0.1") == first
