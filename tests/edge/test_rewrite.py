"""Paths, redirects, hop-by-hop fields and who the client is."""

import pytest

from edge.http1.parse import parse_request
from edge.message import Request
from edge.rewrite import client_of, fill, is_within, networks, upstream_path, with_host, without
from edge.table.model import Limits, PathRewrite


@pytest.mark.parametrize(
    ("rewrite", "target", "expected"),
    [
        (None, "/a?b", "/a?b"),
        (PathRewrite(strip_prefix="/api"), "/api/x?q=/api", "/x?q=/api"),
        (PathRewrite(strip_prefix="/api"), "/api", "/"),
        (PathRewrite(strip_prefix="/api"), "/apix", "/apix"),
        (PathRewrite(add_prefix="/v1"), "/x", "/v1/x"),
        (PathRewrite(strip_prefix="/a", add_prefix="/b"), "/a/x", "/b/x"),
        (PathRewrite(pattern=r"^/u/(\d+)$", replacement=r"/user/\1/home"), "/u/7", "/user/7/home"),
        (PathRewrite(pattern=r"x", replacement="y"), "/x/x", "/y/x"),
        (PathRewrite(pattern=r"^/.*", replacement="no slash"), "/x", "/no%20slash"),
        (PathRewrite(pattern=r"^/.*", replacement="/a\r\nb?c"), "/x", "/a%0D%0Ab?c"),
    ],
)
def test_only_the_path_changes(rewrite: PathRewrite | None, target: str, expected: str) -> None:
    assert upstream_path(rewrite, target) == expected


def test_a_redirect_is_filled_in() -> None:
    request = Request("GET", "/a/b?c=1")
    request.host = "example.com"
    template = "https://www.{host}{path}{query} {uri} {other}"
    assert fill(template, request) == "https://www.example.com/a/b?c=1 /a/b?c=1 {other}"


@pytest.mark.parametrize(
    ("connection", "gone"),
    [
        ("close", []),
        ("keep-alive, X-A", ["X-A"]),
        ("x-a,X-B", ["X-A", "X-B"]),
        ("Host, Content-Length", []),
        (", ,", []),
    ],
)
def test_what_connection_names_goes_no_further(connection: str, gone: list[str]) -> None:
    head = f"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nConnection: {connection}\r\nX-B: 2\r\n\r\n"
    request = parse_request(head.encode(), Limits())
    assert request is not None
    block = without(request.block, request.drops)
    kept = [name for name in ("X-A", "X-B") if name.encode() in block]
    assert kept == [name for name in ("X-A", "X-B") if name not in gone]
    assert b"Host: a" in block
    assert b"Connection" not in block


def test_the_host_is_replaced_where_it_stood_first() -> None:
    assert with_host(b"\r\nA: 1\r\nHost: x\r\nB: 2", "new") == b"\r\nHost: new\r\nA: 1\r\nB: 2"


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        (b"203.0.113.9", "203.0.113.9"),
        (b"203.0.113.9, 10.0.0.5", "203.0.113.9"),
        (b"6.6.6.6, 203.0.113.9, 10.0.0.5", "203.0.113.9"),
        (b"10.0.0.7, 10.0.0.5", "10.0.0.7"),
        (b"evil, 10.0.0.5", "10.0.0.5"),
        (b"[2001:db8::1]:99, 10.0.0.5", "2001:db8::1"),
        (b"garbage", "10.0.0.1"),
    ],
)
def test_the_right_most_untrusted_address_is_the_client(chain: bytes, client: str) -> None:
    assert client_of("10.0.0.1", chain, networks(["10.0.0.0/8"])) == client


def test_mapped_addresses_count_as_what_they_map() -> None:
    assert is_within("::ffff:10.1.2.3", networks(["10.0.0.0/8"]))
    assert not is_within("fe80::1%eth0", networks(["10.0.0.0/8"]))
    assert not is_within("garbage", networks(["0.0.0.0/0"]))
