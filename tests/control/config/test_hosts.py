"""Which host gets its certificate from where."""

from typing import Any

import pytest

from control.config import loads
from control.config.hosts import HostTls
from tests.control.config.fake_machine import FakeMachine

SERVER = '[server]\nhttps = ["127.0.0.1:8443"]\n'


def hosts(text: str, server: str = SERVER) -> dict[str, HostTls]:
    loaded = loads(server + text, "/etc/edged.toml", FakeMachine())
    assert loaded.problems == ()
    return {host.host: host for host in loaded.hosts}


def route(match: str, tls: str = "") -> str:
    return f'[[route]]\nmatch = {match}\nrespond = "x"\n{tls}\n'


def test_without_a_listener_there_are_none() -> None:
    assert hosts(route('"a.test"'), "") == {}


def test_hosts_are_those_of_the_patterns_without_their_paths() -> None:
    found = hosts(route('["a.test", "a.test/x/*", "*.b.test/y", "[2001:db8::1]", "*"]'))
    assert sorted(found) == ["*.b.test", "[2001:db8::1]", "a.test"]
    assert {host.mode for host in found.values()} == {"auto"}


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        ("", {"mode": "auto"}),
        ('tls = "internal"', {"mode": "internal"}),
        ('tls = "off"', {"mode": "off"}),
        (
            'tls = { cert = "a.crt", key = "/keys/a.key" }',
            {"mode": "own", "cert": "/etc/a.crt", "key": "/keys/a.key"},
        ),
        (
            'tls = { client_ca = "ca.pem", client_required = false }',
            {"mode": "auto", "client_ca": "/etc/ca.pem", "client_required": False},
        ),
    ],
)
def test_what_a_route_says_is_what_its_host_gets(tls: str, expected: dict[str, Any]) -> None:
    (host,) = hosts(route('"a.test"', tls)).values()
    assert {name: getattr(host, name) for name in expected} == expected


def test_one_route_speaks_for_all_of_its_host() -> None:
    found = hosts(route('"a.test/x"') + route('"a.test"', 'tls = "internal"') + route('"a.test/y"'))
    assert found["a.test"].mode == "internal"
    assert (found["a.test"].owner, found["a.test"].place) == ("edged.toml:a.test", "edged.toml:8")
