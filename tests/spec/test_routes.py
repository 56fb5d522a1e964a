"""Which route a request takes, what a route does to it, and that `explain` says the same."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.client import Answer, Client, fetch
from tests.support.edged import Edged, route
from tests.support.origin import ScriptedOrigin

ANSWERED: Final = [
    "example.com", "example.com/exact", "example.com/p/*", "example.com/p/deep/*",
    "*.example.com", "*.b.example.com", "*.example.com/p/*", "a.example.com", "[::1]",
    "xn--bcher-kva.example", "other.test/only/*", "*/fallback",
]  # fmt: skip

CHANGED: Final = """
[[route]]
match = "stripped.test/api/*"
upstreams = ["{peer}"]
strip_prefix = "/api"

[[route]]
match = "moved-down.test"
upstreams = ["{peer}"]
add_prefix = "/v2"

[[route]]
match = "rewritten.test"
upstreams = ["{peer}"]
[route.rewrite]
pattern = '^/users/(\\d+)'
to = '/people/\\1'

[[route]]
match = "named.test"
upstreams = ["{peer}"]
upstream_host = "inner.example"

[[route]]
match = "fields.test"
upstreams = ["{peer}"]
[route.request_headers]
set = {{ X-Added = "up", Accept = "text/plain" }}
remove = ["Cookie"]
[route.response_headers]
set = {{ Strict-Transport-Security = "max-age=60" }}
remove = ["Server"]

[[route]]
match = "redirected.test"
redirect = "https://www.example.com{{uri}}"

[[route]]
match = "redirected.test/found/*"
[route.redirect]
to = "https://{{host}}/new{{path}}{{query}}"
status = 302

[[route]]
match = "fixed.test"
[route.respond]
status = 418
body = "short and stout"
content_type = "text/x-teapot"
"""


@pytest.fixture(scope="module")
def matched() -> Iterator[Edged]:
    """Each route answers with its own pattern."""
    with Edged("\n".join(route(each, extra=f'respond = "{each}"') for each in ANSWERED)) as edged:
        yield edged


@pytest.mark.parametrize(
    ("host", "path", "pattern"),
    [
        ("example.com", "/", "example.com"),
        ("EXAMPLE.com.", "/", "example.com"),
        ("example.com:8080", "/x", "example.com"),
        ("example.com", "/exact", "example.com/exact"),
        ("example.com", "/exact/", "example.com"),
        ("example.com", "/exactly", "example.com"),
        ("example.com", "/p", "example.com/p/*"),
        ("example.com", "/p/", "example.com/p/*"),
        ("example.com", "/p/x/y", "example.com/p/*"),
        ("example.com", "/px", "example.com"),
        ("example.com", "/p/deep", "example.com/p/deep/*"),
        ("example.com", "/p/deeper", "example.com/p/*"),
        ("example.com", "/%70/x", "example.com/p/*"),
        ("example.com", "/q/../p/x", "example.com/p/*"),
        ("example.com", "//p//x", "example.com/p/*"),
        ("a.example.com", "/", "a.example.com"),
        ("a.example.com", "/p/x", "a.example.com"),
        ("c.example.com", "/", "*.example.com"),
        ("c.example.com", "/p/x", "*.example.com/p/*"),
        ("c.d.example.com", "/", "*.example.com"),
        ("c.b.example.com", "/p/x", "*.b.example.com"),
        ("b.example.com", "/", "*.example.com"),
        ("[::1]", "/", "[::1]"),
        ("[0:0:0:0:0:0:0:1]:80", "/", "[::1]"),
        ("xn--bcher-kva.example", "/", "xn--bcher-kva.example"),
        ("other.test", "/only/this", "other.test/only/*"),
        ("other.test", "/fallback", "*/fallback"),
        ("nobody.test", "/fallback", "*/fallback"),
        ("other.test", "/", ""),
        ("badexample.com", "/", ""),
    ],
)
def test_the_most_exact_pattern_wins_and_explain_knows(
    matched: Edged, host: str, path: str, pattern: str
) -> None:
    answer = fetch(matched.address, path, host=host)
    assert answer.body.decode() == pattern if pattern else answer.status == 404
    explained = matched.ctl_json("explain", "GET", f"http://{host}{path}")
    assert (explained["route"] or {}).get("pattern", "") == pattern


@pytest.fixture(scope="module")
def changing() -> Iterator[tuple[Edged, ScriptedOrigin]]:
    with ScriptedOrigin() as origin, Edged(CHANGED.format(peer=origin.address)) as edged:
        origin.reply = (
            b"HTTP/1.1 200 OK\r\nServer: old/1.0\r\nX-Kept: yes\r\nContent-Length: 2\r\n\r\nok"
        )
        yield edged, origin


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("stripped.test/api/users?q=1", "/users?q=1"),
        ("stripped.test/api", "/"),
        ("stripped.test/api/", "/"),
        ("stripped.test/api/a%2Fb/../c", "/a%2Fb/../c"),
        ("moved-down.test/users", "/v2/users"),
        ("rewritten.test/users/7?x=/users/8", "/people/7?x=/users/8"),
        ("rewritten.test/users/x", "/users/x"),
    ],
)
def test_the_path_that_goes_upstream(
    changing: tuple[Edged, ScriptedOrigin], url: str, target: str
) -> None:
    edged, origin = changing
    host, _, path = url.partition("/")
    assert fetch(edged.address, "/" + path, host=host).status == 200
    assert origin.requests[-1].target == target


def test_a_stripped_prefix_cannot_be_hidden_in_an_escape(
    changing: tuple[Edged, ScriptedOrigin],
) -> None:
    edged, origin = changing
    assert fetch(edged.address, "/%61pi/users", host="stripped.test").status == 200
    assert origin.requests[-1].target in ("/%61pi/users", "/users")


def test_the_host_that_goes_upstream(changing: tuple[Edged, ScriptedOrigin]) -> None:
    edged, origin = changing
    assert fetch(edged.address, host="named.test").status == 200
    request = origin.requests[-1]
    assert [value for name, value in request.headers if name.lower() == "host"] == ["inner.example"]
    assert request.get("x-forwarded-host") == "named.test"


def test_fields_that_a_route_sets_and_removes(changing: tuple[Edged, ScriptedOrigin]) -> None:
    edged, origin = changing
    fields = "Cookie: a=b\r\nAccept: */*\r\nX-Own: 1\r\n"
    answer = fetch(edged.address, host="fields.test", fields=fields)
    request = origin.requests[-1]
    assert (request.get("x-added"), request.get("accept")) == ("up", "text/plain")
    assert (request.get("cookie"), request.get("x-own")) == ("", "1")
    assert answer.get("Strict-Transport-Security") == "max-age=60"
    assert (answer.get("Server"), answer.get("X-Kept")) == ("", "yes")


@pytest.mark.parametrize(
    ("target", "status", "location"),
    [
        ("/a/b?c=d", 308, "https://www.example.com/a/b?c=d"),
        ("/found/x?y=z", 302, "https://redirected.test/new/found/x?y=z"),
        ("/%0d%0aSet-Cookie:%20a=b", 400, ""),
    ],
)
def test_redirects(
    changing: tuple[Edged, ScriptedOrigin], target: str, status: int, location: str
) -> None:
    edged, _ = changing
    answer = fetch(edged.address, target, host="redirected.test")
    assert (answer.status, answer.get("Location")) == (status, location)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_fixed_answer(changing: tuple[Edged, ScriptedOrigin], method: str) -> None:
    edged, _ = changing
    answer = fetch(edged.address, "/any", host="fixed.test", method=method, body=b"tea?")
    assert (answer.status, answer.get("Content-Type")) == (418, "text/x-teapot")
    assert answer.body == (b"" if method == "HEAD" else b"short and stout")
    assert answer.get("Content-Length") == "15"


def test_a_fixed_answer_keeps_the_connection(changing: tuple[Edged, ScriptedOrigin]) -> None:
    edged, _ = changing
    answers: list[Answer] = []
    with Client(edged.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: fixed.test\r\n\r\n" * 3)
        answers.extend(client.read_answer() for _ in range(3))
    assert [(each.status, each.closes) for each in answers] == [(418, False)] * 3
