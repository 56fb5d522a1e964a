"""Addresses: the canonical form of the good ones. The bad ones are in bad/*.toml."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.config.address import (
    is_name,
    is_service,
    parse_authority,
    parse_listener,
    parse_nameserver,
    parse_network,
    parse_peer,
)

LISTENERS = [
    (":80", ":80"),
    ("*:80", ":80"),
    ("0.0.0.0:80", "0.0.0.0:80"),
    ("[::]:80", "[::]:80"),
    ("[0:0::1]:443", "[::1]:443"),
    ("127.0.0.1:08080", "127.0.0.1:8080"),
]

PEERS = [
    ("127.0.0.1:9000", "127.0.0.1:9000"),
    ("[::1]:9000", "[::1]:9000"),
    ("LocalHost:9000", "localhost:9000"),
    ("app_1.internal:9000", "app_1.internal:9000"),
    ("unix:/run/app.sock", "unix:/run/app.sock"),
    ("unix:///run/app.sock", "unix:/run/app.sock"),
    ("unix:run/app.sock", "unix:run/app.sock"),
    ("srv:_HTTP._tcp.api.internal", "srv:_http._tcp.api.internal"),
    ("srv:9000", "srv:9000"),
]

NAMES = [
    ("127.0.0.1:9000", False, False),
    ("[::1]:9000", False, False),
    ("unix:/run/app.sock", False, False),
    ("localhost:9000", True, False),
    ("1and1.test:9000", True, False),
    ("srv:9000", True, False),
    ("srv:_http._tcp.test", True, True),
]

NAMESERVERS = [
    ("127.0.0.53", "127.0.0.53:53"),
    ("127.0.0.1:5353", "127.0.0.1:5353"),
    ("::1", "[::1]:53"),
    ("[0:0::1]:5353", "[::1]:5353"),
]

NETWORKS = [
    ("10.0.0.0/8", "10.0.0.0/8"),
    ("192.0.2.7", "192.0.2.7/32"),
    ("FD00::/8", "fd00::/8"),
    ("::1", "::1/128"),
]

AUTHORITIES = [
    ("App.Internal", "app.internal"),
    ("app.internal:8080", "app.internal:8080"),
    ("[::1]:8080", "[::1]:8080"),
]


@pytest.mark.parametrize(("text", "form"), LISTENERS)
def test_listeners(text: str, form: str) -> None:
    assert parse_listener(text) == form


@pytest.mark.parametrize(("text", "form"), PEERS)
def test_peers(text: str, form: str) -> None:
    assert parse_peer(text) == form


@pytest.mark.parametrize(("peer", "named", "service"), NAMES)
def test_which_peers_are_names(peer: str, named: bool, service: bool) -> None:
    assert (is_name(peer), is_service(peer)) == (named, service)


@pytest.mark.parametrize(("text", "form"), NAMESERVERS)
def test_nameservers(text: str, form: str) -> None:
    assert parse_nameserver(text) == form


@pytest.mark.parametrize(("text", "form"), NETWORKS)
def test_networks(text: str, form: str) -> None:
    assert parse_network(text) == form


@pytest.mark.parametrize(("text", "form"), AUTHORITIES)
def test_authorities(text: str, form: str) -> None:
    assert parse_authority(text) == form


@pytest.mark.parametrize(
    "parse", [parse_listener, parse_peer, parse_nameserver, parse_network, parse_authority]
)
@given(text=st.text() | st.from_regex(r"[\[\]:./a-z0-9²-]*", fullmatch=True))
def test_what_is_no_address_is_refused_and_the_rest_is_canonical(parse, text: str) -> None:
    with contextlib.suppress(ValueError):
        form = parse(text)
        assert parse(form) == form
