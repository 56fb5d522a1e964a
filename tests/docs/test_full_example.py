"""deploy/examples/full.toml, served: each of its routes does what it says.

Addresses and what only one machine has are replaced, key by key; the rest is served as it stands.
"""

import base64
import contextlib
import gzip
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.support.client import Answer, Client, fetch
from tests.support.edged import Edged
from tests.support.eventually import eventually
from tests.support.origin import OK, Received, ScriptedOrigin
from tests.support.ports import free_address

EXAMPLES = ROOT / "deploy" / "examples"
FILES = {"index.html": "<h1>static</h1>", "assets/app.js": "let answer = 42\n", "about.txt": "us\n"}
TCP, UNIX, PARTNER = "127.0.0.1:9000", "unix:/run/api.sock", "api.internal:9000"
CANARY, MIRROR, ADMIN, DECIDES = (f"127.0.0.1:9{digit}00" for digit in "1234")
"""The peers, as the file names them."""

APP = "apps/flask/edge.toml"
SITE = """name = "site"
runtime = "static"
[envs.production]
routes = ["site.example.com"]
"""

STABLE = "X-Canary: never\r\n"
SECRET = f"Authorization: Basic {base64.b64encode(b'me:secret').decode()}\r\n"


class Served:
    """An edged with the file, and the peers of its routes."""

    def __init__(self, edged: Edged, peers: dict[str, ScriptedOrigin]) -> None:
        self.edged = edged
        self.peers = peers
        self.api = [peers[name] for name in (TCP, UNIX, CANARY)]
        self.partner = peers[PARTNER]

    def ask(self, url: str, fields: str = "", *, client: str = "", body: bytes = b"") -> Answer:
        """One request for HOST/PATH; the proxy before the edge says that it is `client`'s."""
        host, slash, path = url.partition("/")
        fields += f"X-Forwarded-For: {client}\r\n" if client else ""
        method = "POST" if body else "GET"
        return fetch(
            self.edged.address, slash + path, host=host, method=method, fields=fields, body=body
        )

    def received(self) -> Received:
        """The last request that an API peer got, checks apart."""
        seen = [each for peer in self.api for each in peer.requests if each.target != "/health"]
        assert seen, "no peer was asked"
        return seen[-1]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    addresses = [free_address(), free_address()]
    edged = Edged(addresses=addresses)
    public = edged.folder / "public"
    for name, text in FILES.items():
        edged.write_file(f"public/{name}", text)
    edged.write_file("apps/site/edge.toml", SITE)
    edged.write_file("apps/site/index.html", "<h1>an app</h1>")
    (public / "about.txt.gz").write_bytes(gzip.compress(b"us, pressed\n"))
    for name in ("hooks", "pages"):
        shutil.copytree(EXAMPLES / name, edged.folder / name)
    shutil.copy(EXAMPLES / "keys.json", edged.folder)
    unix = edged.folder / "api.sock"
    with contextlib.ExitStack() as stack:
        peers = {
            name: stack.enter_context(ScriptedOrigin(path=str(unix) if name == UNIX else ""))
            for name in (TCP, UNIX, PARTNER, CANARY, MIRROR, ADMIN, DECIDES)
        }
        unix.chmod(0o666)
        edged.write_file(edged.config.name, adapted(addresses, peers))
        with edged:
            checked = [peers[name].address for name in (TCP, UNIX, CANARY)]
            eventually(lambda: states(edged) == dict.fromkeys(checked, "up"))
            yield Served(edged, peers)


@pytest.fixture(autouse=True)
def fresh_peers(served: Served) -> None:
    for peer in served.peers.values():
        peer.forget()
        peer.reply = OK


def adapted(addresses: list[str], peers: dict[str, ScriptedOrigin]) -> str:
    """The file for this machine."""
    text = (EXAMPLES / "full.toml").read_text(encoding="utf-8")
    text = put(text, "http", str(addresses))
    text = put(text, "trusted_proxies", '["127.0.0.0/8"]')
    text = put(text, "metrics", f'"{free_address()}"')
    text = put(text, "user")
    text = put(text, "group")
    assert f'"{APP}"' in text, f"full.toml has no {APP} any more: adapt this test"
    text = text.replace(APP, "apps/site/edge.toml")
    for old, peer in peers.items():
        new = peer.address
        if old == PARTNER:
            new = new.replace("127.0.0.1", "localhost")  # a name, as in the file
        assert f'"{old}"' in text, f"full.toml has no peer {old} any more: adapt this test"
        text = text.replace(f'"{old}"', f'"{new}"')
    return text


def put(text: str, key: str, value: str = "") -> str:
    """The text with another value for a key that stands there once, or without it."""
    line = f"{key} = {value}" if value else ""
    text, count = re.subn(rf"^{key} = .*$", lambda _: line, text, flags=re.M)
    assert count == 1, f"full.toml has {key!r} {count} times, not once: adapt this test"
    return text


def states(edged: Edged) -> dict[str, str]:
    """The peers that are checked, and how they are."""
    peers = edged.ctl_json("peers")["peers"]
    return {each["peer"]: each["state"] for each in peers if each.get("checked")}


def test_the_api_is_asked_without_its_prefix_and_with_new_paths(served: Served) -> None:
    for host in ("example.com", "shop.example.com"):
        assert served.ask(f"{host}/api/users/7?x=1", SECRET).body == b"ok"
        assert served.received().target == "/people/7?x=1"
        assert served.received().get("host") == host


def test_the_api_asks_for_the_password_and_keeps_it(served: Served) -> None:
    refused = served.ask("example.com/api/users")
    assert (refused.status, 'realm="staging"' in refused.get("www-authenticate")) == (401, True)
    assert served.ask("example.com/api/users", SECRET).status == 200
    assert served.received().get("authorization") == ""


def test_the_app_is_deployed(served: Served) -> None:
    eventually(lambda: served.ask("site.example.com/").body == b"<h1>an app</h1>", 20)


def test_a_denied_network_may_not_ask(served: Served) -> None:
    assert served.ask("example.com/api/users", SECRET, client="192.0.2.7").status == 403
    assert served.ask("example.com/api/users", SECRET, client="192.0.3.7").status == 200


def test_a_client_that_asks_too_often_is_refused_and_others_are_not(served: Served) -> None:
    head = b"GET /api/ HTTP/1.1\r\nHost: example.com\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n"
    with Client(served.edged.address) as client:

        def is_refused() -> bool:
            client.send(head)
            return client.read_answer().status == 429

        assert not is_refused()
        assert any(is_refused() for _ in range(2000))
    assert served.ask("example.com/api/", SECRET, client="198.51.100.2").status == 200


def test_the_partners_requests_go_up_as_the_file_says(served: Served) -> None:
    answer = served.ask("partner.example.com/orders", "Cookie: a=b\r\n")
    assert (answer.status, answer.get("cache-control")) == (200, "no-store")
    (received,) = served.partner.requests
    assert received.target == "/v2/orders"
    assert received.get("host") == "api.internal"
    assert (received.get("x-partner"), received.get("cookie")) == ("yes", "")
    large = f"Content-Length: {(10 << 20) + 1}\r\n"
    assert served.ask("partner.example.com/orders", large).status == 413


def test_files_are_served_with_their_fields(served: Served) -> None:
    page = served.ask("static.example.com/")
    assert (page.body.decode(), page.get("cache-control")) == (FILES["index.html"], "no-cache")
    script = served.ask("static.example.com/assets/app.js")
    assert script.body.decode() == FILES["assets/app.js"]
    assert "immutable" in script.get("cache-control")
    assert served.ask("static.example.com/no/such/page").body == page.body
    pressed = served.ask("static.example.com/about.txt", "Accept-Encoding: gzip\r\n")
    assert pressed.get("content-encoding") == "gzip"
    assert gzip.decompress(pressed.body) == b"us, pressed\n"


def test_www_redirects(served: Served) -> None:
    answer = served.ask("www.example.com/a?b=c")
    assert (answer.status, answer.get("location")) == (301, "https://example.com/a?b=c")


def test_robots_get_their_file(served: Served) -> None:
    answer = served.ask("example.com/robots.txt")
    assert (answer.status, answer.body) == (200, b"User-agent: *\nDisallow: /api/\n")
    assert answer.get("content-type") == "text/plain; charset=utf-8"


def test_some_clients_get_the_canary(served: Served) -> None:
    for said, name in (("always", CANARY), ("never", TCP)):
        assert served.ask("example.com/api/x", f"{SECRET}X-Canary: {said}\r\n").status == 200
        found = [each for each in served.peers[CANARY].requests if each.target != "/health"]
        assert bool(found) == (name == CANARY)
        served.peers[CANARY].forget()


def test_a_client_keeps_its_peer(served: Served) -> None:
    cookie = served.ask("example.com/api/x", SECRET + STABLE).get("set-cookie").partition(";")[0]
    assert cookie.startswith("edged_peer=")
    for peer in served.api:
        peer.forget()
    for _ in range(6):
        served.ask("example.com/api/x", f"{SECRET}{STABLE}Cookie: {cookie}\r\n")
    assert sum(any(each.target == "/x" for each in peer.requests) for peer in served.api) == 1


def test_pages_of_the_app_may_read_the_api(served: Served) -> None:
    fields = "Origin: https://app.example.com\r\n"
    answer = served.ask("example.com/api/x", SECRET + fields)
    assert answer.get("access-control-allow-origin") == "https://app.example.com"
    assert answer.get("x-content-type-options") == "nosniff"


def test_errors_have_pages(served: Served) -> None:
    html = "Accept: text/html\r\n"
    assert b"There is nothing here" in served.ask("nowhere.example.net/", html).body
    for peer in served.api:
        peer.reply = b"HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nstack"
    answer = served.ask("example.com/api/x", SECRET + html)
    assert (answer.status, b"did not work (503)" in answer.body) == (503, True)


def test_a_service_and_a_token_decide_who_passes(served: Served) -> None:
    served.peers[DECIDES].reply = b"HTTP/1.1 200 OK\r\nX-User: ada\r\nContent-Length: 0\r\n\r\n"
    assert served.ask("admin.example.com/").status == 200
    (received,) = served.peers[ADMIN].requests
    assert received.get("x-user") == "ada"
    served.peers[DECIDES].reply = b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"
    assert served.ask("admin.example.com/").status == 403
    assert served.ask("tokens.example.com/").status == 401
    assert served.ask("tokens.example.com/", "Cookie: session=a.b.c\r\n").status == 401


def test_copies_go_to_the_mirror(served: Served) -> None:
    def is_copied() -> bool:
        served.ask("example.com/api/x", SECRET)
        return any(each.target == "/x" for each in served.peers[MIRROR].requests)

    eventually(is_copied)


def test_its_hooks_run(served: Served) -> None:
    assert served.ask("static.example.com/.git/config").status == 404
    old = b"<a href=http://old.example.com/a>"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(old)
    served.partner.reply = head + old
    new = b"<a href=https://new.example.com/a>"
    assert served.ask("partner.example.com/page").body == new


def test_both_listeners_and_the_metrics_answer(served: Served) -> None:
    for address in served.edged.addresses:
        assert fetch(address, "/robots.txt", host="example.com").status == 200
    text = served.edged.config.read_text(encoding="utf-8")
    metrics = re.search(r'^metrics = "(.*)"$', text, re.M)
    assert metrics
    assert b"edged_" in fetch(metrics[1], "/metrics").body


def test_the_log_is_where_the_file_says(served: Served) -> None:
    served.ask("example.com/robots.txt?seen")
    served.edged.logged(path="/robots.txt", status=200)
    assert Path(served.edged.folder / "run" / "access.log").exists()


def test_a_key_that_is_gone_is_named() -> None:
    with pytest.raises(AssertionError, match="'http' 0 times"):
        put("[server]\n", "http", '[":80"]')
