"""TLS: who gets which certificate, what is offered, and what bad clients get."""

import contextlib
import os
import ssl
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.client import Client, Reset, fetch
from tests.support.edged import route
from tests.support.eventually import eventually
from tests.support.origin import End, ScriptedOrigin
from tests.support.ports import split_address
from tests.support.secure import Secure, body, own, serving, subject_of
from tests.support.tls_client import TlsClient, context_for


@pytest.fixture
def secure(origin: ScriptedOrigin) -> Iterator[Secure]:
    with serving(origin) as served:
        yield served


@pytest.fixture(scope="module")
def shared() -> Iterator[Secure]:
    """For tests that change nothing."""
    with ScriptedOrigin() as origin, serving(origin) as served:
        yield served


# Who gets which certificate


@pytest.mark.parametrize(
    ("name", "certificate"),
    [
        ("a.test", {"a.test"}),
        ("A.TEST", {"a.test"}),
        ("b.test", {"b.test", "also-b.test"}),
        ("also-b.test", {"b.test", "also-b.test"}),
        ("x.wild.test", {"*.wild.test"}),
        ("exact.wild.test", {"exact.wild.test"}),
    ],
)
def test_a_name_gets_its_own_certificate_from_every_worker(
    shared: Secure, name: str, certificate: set[str]
) -> None:
    for _ in range(6):
        with shared.client(name) as client:
            assert subject_of(client) == certificate


@pytest.mark.parametrize("name", ["nobody.test", "wild.test", "x.y.wild.test", "plain.test", None])
def test_a_name_that_nobody_has_gets_an_alert_and_no_certificate(
    shared: Secure, name: str | None
) -> None:
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        TlsClient(shared.https, name, context_for(None))


def test_a_default_certificate_is_for_everybody_else(origin: ScriptedOrigin) -> None:
    with serving(origin, tls='default = "b.test"') as served:
        for name in ("nobody.test", None):
            with TlsClient(served.https, name, context_for(None)) as client:
                der = client.tls.getpeercert(True)
            assert der == ssl.PEM_cert_to_DER_cert((served.ca.folder / "b.test.crt").read_text())
        with served.client("a.test") as client:
            assert subject_of(client) == {"a.test"}


def test_a_last_dot_is_no_other_name(shared: Secure) -> None:
    done = subprocess.run(
        ["openssl", "s_client", "-connect", shared.https, "-servername", "a.test."],
        input=b"", capture_output=True, timeout=20, check=False,
    )  # fmt: skip
    assert b"CN = a.test" in done.stdout


def test_curl_talks_to_it(shared: Secure) -> None:
    host, port = split_address(shared.https)
    done = subprocess.run(
        ["curl", "-sS", "--cacert", str(shared.ca.root), "--resolve", f"a.test:{port}:{host}",
         f"https://a.test:{port}/x", "-w", " %{ssl_verify_result} %{http_version}"],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.stdout == "ok 0 1.1", done.stderr


# What is offered


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_two_versions_are_spoken(shared: Secure, version: ssl.TLSVersion) -> None:
    with shared.client(minimum_version=version, maximum_version=version) as client:
        assert client.tls.version() == version.name.replace("v1_", "v1.")
        assert client.tls.selected_alpn_protocol() is None
        assert client.get(host="a.test") == b"ok"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_older_ones_are_not(shared: Secure) -> None:
    context = context_for(None, maximum_version=ssl.TLSVersion.TLSv1_1)
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        TlsClient(shared.https, "a.test", context)


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "NULL"])
def test_weak_ciphers_are_refused(shared: Secure, cipher: str) -> None:
    context = context_for(None, maximum_version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(f"{cipher}:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        TlsClient(shared.https, "a.test", context)


def test_http_1_1_is_what_is_negotiated(shared: Secure) -> None:
    context = context_for(shared.ca.root)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with TlsClient(shared.https, "a.test", context) as client:
        assert client.tls.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_goes_on_with_whatever_worker(shared: Secure, version: ssl.TLSVersion) -> None:
    context = context_for(shared.ca.root, minimum_version=version, maximum_version=version)
    with TlsClient(shared.https, "a.test", context) as first:
        first.get(host="a.test")  # the ticket has come by then
        session = first.tls.session
    workers = set()
    for _ in range(20):
        with TlsClient(shared.https, "a.test", context, session=session) as client:
            assert client.tls.session_reused
            client.send(b"GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n")
            workers.add(client.read_answer().get("X-Request-Id").split("-")[1])
            session = client.tls.session
    assert len(workers) == 2


def test_a_session_goes_on_after_the_workers_were_rolled(secure: Secure) -> None:
    context = context_for(secure.ca.root)
    with TlsClient(secure.https, "a.test", context) as first:
        first.get(host="a.test")
        session = first.tls.session
    assert secure.edged.ctl("reload", "--roll")
    with TlsClient(secure.https, "a.test", context, session=session) as client:
        assert client.tls.session_reused


# Requests over it


def test_requests_are_what_they_are_without_it(secure: Secure, origin: ScriptedOrigin) -> None:
    with secure.client() as client:
        for count in range(3):
            assert client.get(f"/{count}", host="a.test") == b"ok"
        client.send(
            b"GET /p1 HTTP/1.1\r\nHost: a.test\r\n\r\nGET /p2 HTTP/1.1\r\nHost: a.test\r\n\r\n"
        )
        assert [client.read_answer().status for _ in range(2)] == [200, 200]
        big = os.urandom(300_000)
        client.send(b"POST /big HTTP/1.1\r\nHost: a.test\r\nContent-Length: 300000\r\n\r\n", big)
        assert client.read_answer("POST").status == 200
    seen = origin.requests[-1]
    assert seen.body == big
    assert seen.get("X-Forwarded-Proto") == "https"
    assert [each.target for each in origin.requests] == ["/0", "/1", "/2", "/p1", "/p2", "/big"]


def test_large_answers_and_files_come_whole(secure: Secure, origin: ScriptedOrigin) -> None:
    data = os.urandom(3_000_000)
    origin.reply = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + data
    with secure.client() as client:
        assert client.get(host="a.test") == data
    secure.edged.write_file("files/big.bin", "")
    (secure.edged.folder / "files" / "big.bin").write_bytes(data)
    secure.edged.write('[[route]]\nmatch = "a.test"\nroot = "files"\n' + own("a.test"))
    secure.edged.reload()
    with secure.client() as client:
        assert client.get("/big.bin", host="a.test") == data


def test_an_upgraded_connection_is_tunnelled(secure: Secure, origin: ScriptedOrigin) -> None:
    origin.reply = [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello",
        End.HANG,
    ]
    with secure.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
        assert client.read_answer(until_status=101).status == 101
        assert client.read_until(b"hello")


def test_a_client_that_goes_away_cancels_its_request(
    secure: Secure, origin: ScriptedOrigin
) -> None:
    origin.reply = [End.HANG]
    with secure.client() as client:
        client.send(b"GET /gone HTTP/1.1\r\nHost: a.test\r\n\r\n")
        eventually(lambda: origin.requests)
        with contextlib.suppress(OSError):
            client.tls.unwrap()
    assert secure.edged.logged(path="/gone")["status"] == 499


def test_an_answer_that_was_cut_does_not_look_whole(secure: Secure, origin: ScriptedOrigin) -> None:
    origin.reply = [b"HTTP/1.1 200 OK\r\n\r\nhalf", End.RESET]
    with secure.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        client.tls.suppress_ragged_eofs = False
        client.read_until(b"half")
        with pytest.raises((Reset, ssl.SSLError)):
            client.read_to_end()


def test_a_close_says_goodbye(secure: Secure) -> None:
    with secure.client() as client:
        client.tls.suppress_ragged_eofs = False
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
        client.read_answer()
        assert client.tls.recv(100) == b""


# Names must agree


def test_a_request_for_another_ones_host_is_misdirected(shared: Secure) -> None:
    with shared.client("a.test") as client:
        client.send(b"GET / HTTP/1.1\r\nHost: b.test\r\n\r\n")
        answer = client.read_answer()
        assert (answer.status, answer.get("X-Edge-Error")) == (421, "misdirected")
        assert client.get(host="a.test") == b"ok"
    with shared.client("b.test") as client:
        assert client.get(host="also-b.test") == b"ok"  # the same certificate


def test_an_open_connection_goes_on_when_lines_of_the_file_move(
    secure: Secure, origin: ScriptedOrigin
) -> None:
    with secure.client("b.test") as client:
        assert client.get(host="also-b.test") == b"ok"
        secure.edged.write("# one comment more\n\n" + body(origin.address))
        reloaded = secure.edged.ctl_json("reload")
        assert set(reloaded["routes"].values()) == {0}
        assert client.get(host="also-b.test") == b"ok"


def test_whose_names_are_now_counts_for_a_connection_that_is_open(
    secure: Secure, origin: ScriptedOrigin
) -> None:
    both = route(["b.test", "also-b.test"], origin.address) + own("b.test")
    parted = "".join(route(n, origin.address) + own("b.test") for n in ("b.test", "also-b.test"))
    with secure.client("b.test") as client:
        for text, status in ((parted, 421), (both, 200)):
            secure.edged.write(text)
            secure.edged.reload()
            client.send(b"GET / HTTP/1.1\r\nHost: also-b.test\r\n\r\n")
            assert client.read_answer().status == status
            assert client.get(host="b.test") == b"ok"


# From http to https


def test_http_is_redirected_where_a_host_has_a_certificate(shared: Secure) -> None:
    port = split_address(shared.https)[1]
    answer = fetch(shared.edged.address, "/x?y=1", host="a.test")
    assert (answer.status, answer.get("Location")) == (308, f"https://a.test:{port}/x?y=1")
    assert fetch(shared.edged.address, host="plain.test").status == 200
    assert fetch(shared.edged.address, host="nobody.test").status == 404


def test_a_redirect_can_be_left_out_and_browsers_told_to_stay(origin: ScriptedOrigin) -> None:
    with serving(origin, tls='redirect = false\nhsts = "1d"') as served:
        plain = fetch(served.edged.address, host="a.test")
        assert (plain.status, plain.get("Strict-Transport-Security")) == (200, "")
        with served.client() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            assert client.read_answer().get("Strict-Transport-Security") == "max-age=86400"


# Bad clients


def test_http_on_the_port_of_tls_is_told_so(shared: Secure) -> None:
    with Client(shared.https) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        answer = client.read_answer()
        assert (answer.status, answer.get("X-Edge-Error")) == (400, "plain-http")
        assert b"https://" in answer.body


@pytest.mark.parametrize(
    "data", [b"\x00" * 100, b"\x16\x03\x01\xff\xff" + b"A" * 500, b"\x16", os.urandom(400)]
)
def test_garbage_costs_nobody_anything(shared: Secure, data: bytes) -> None:
    with Client(shared.https) as client, contextlib.suppress(OSError, Reset):
        client.send(data)
        client.finish_writing()
        client.read_to_end()
    with shared.client() as client:
        assert client.get(host="a.test") == b"ok"
    assert "Traceback" not in shared.edged.log


def test_a_handshake_has_its_time(origin: ScriptedOrigin) -> None:
    with serving(origin, tls='handshake = "500ms"') as served:
        for start in (b"", b"\x16\x03\x01\x02\x00\x01"):
            with Client(served.https) as client:
                client.send(start)
                assert client.ending() in ("fin", "reset")
        with served.client() as client:
            assert client.get(host="a.test") == b"ok"


def test_so_many_handshakes_are_under_way(origin: ScriptedOrigin) -> None:
    limits = 'handshake = "1s"\nhandshakes = 5'
    with serving(origin, tls=limits) as served, contextlib.ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(Client(served.https)).send(b"\x16")
        with served.client() as client:  # when the idle ones have had their time
            assert client.get(host="a.test") == b"ok"


def test_a_proxy_header_comes_before_tls(origin: ScriptedOrigin) -> None:
    with serving(origin, server='proxy_protocol = ["127.0.0.1/32"]') as served:
        before = b"PROXY TCP4 192.0.2.7 192.0.2.8 4000 443\r\n"
        context = context_for(served.ca.root)
        with TlsClient(served.https, "a.test", context, before=before) as client:
            assert client.get(host="a.test") == b"ok"
        assert origin.requests[-1].get("X-Forwarded-For") == "192.0.2.7"
