"""Automatic HTTPS: a host, a CA, and nothing else to do."""

import pytest

from tests.docs.pages import ROOT, blocks
from tests.support.automatic import HOST, Automatic, fingerprint, state
from tests.support.client import fetch
from tests.support.edged import route
from tests.support.eventually import eventually
from tests.support.tls_client import TlsClient
from tests.support.web_origin import WebOrigin


@pytest.mark.parametrize("challenge", ["http-01", "tls-alpn-01"])
def test_a_host_gets_its_certificate_and_is_redirected_to_it(
    automatic: Automatic, challenge: str
) -> None:
    text = route(HOST, extra='respond = "secure"')
    with automatic.edged(text, f'acme_challenges = ["{challenge}"]') as edged:
        eventually(lambda: state(edged) == "valid", 40)
        assert {automatic.get() for _ in range(6)} == {b"secure"}
        assert fetch(edged.address, host=HOST).status == 308
        assert "Pebble" in edged.ctl("certs").out


def test_the_readmes_three_lines_serve_https(automatic: Automatic, web_origin: WebOrigin) -> None:
    file, listen, *_ = blocks("toml", page=ROOT / "README.md")
    assert len(file.text.splitlines()) == 3
    assert listen.text.strip() == '[server]\nhttp = [":80"]\nhttps = [":443"]'  # as by default
    text = file.text
    for port in ("9000", "9001"):
        text = text.replace(f"127.0.0.1:{port}", web_origin.address)
    text = text.replace(f'"{web_origin.address}", ', "")
    with automatic.edged(text) as edged:
        eventually(lambda: state(edged, "example.com") == "valid", 40)
        with TlsClient(automatic.https, "example.com", automatic.context()) as client:
            assert len(client.get("/bytes/7", host="example.com")) == 7


def test_http_serves_while_there_is_none(automatic: Automatic) -> None:
    automatic.pebble.stop()
    with automatic.edged(route(HOST, extra='respond = "plain"')) as edged:
        assert fetch(edged.address, host=HOST).body == b"plain"
        eventually(lambda: state(edged) == "failing", 30)
        assert "next" in edged.ctl("certs").out
        automatic.pebble.start()
        assert edged.ctl("certs", "renew", HOST)
        assert state(edged) == "valid"
        assert automatic.get() == b"plain"


def test_it_outlives_killed_processes_reloads_and_restarts(automatic: Automatic) -> None:
    text = route(HOST, extra='respond = "secure"')
    with automatic.edged(text) as edged:
        eventually(lambda: state(edged) == "valid", 40)
        edged.reload()
        assert automatic.get() == b"secure"
        edged.end(edged.control_pid())
        for worker in edged.workers():
            edged.end(worker)
        eventually(edged.is_ready)
        assert automatic.get() == b"secure"
        edged.stop(expect=0)
        edged.start()
        assert automatic.get() == b"secure"
        assert state(edged) == "valid"


def test_a_revoked_one_is_replaced(automatic: Automatic) -> None:
    with automatic.edged(route(HOST, extra='respond = "secure"')) as edged:
        eventually(lambda: state(edged) == "valid", 40)
        first = fingerprint(edged)
        assert edged.ctl("certs", "revoke", HOST)
        assert fingerprint(edged) != first
        assert state(edged) == "valid"
        assert automatic.get() == b"secure"


def test_a_wildcard_is_proven_by_the_dns(automatic: Automatic) -> None:
    script = """#!/bin/sh
case "$1" in
present) curl -s -d "{\\"host\\": \\"$2.\\", \\"value\\": \\"$3\\"}" DNS/set-txt;;
cleanup) curl -s -d "{\\"host\\": \\"$2.\\"}" DNS/clear-txt;;
esac
"""
    text = route("*.wild.example", extra='respond = "wild"')
    edged = automatic.edged(text, 'dns_hook = "dns.sh"')
    hook = edged.write_file("dns.sh", script.replace("DNS", automatic.pebble.dns_manage))
    hook.chmod(0o755)
    with edged:
        eventually(lambda: state(edged, "*.wild.example") == "valid", 40)
        assert automatic.get("a.wild.example") == b"wild"


def test_a_wildcard_without_a_way_to_prove_it_says_so(automatic: Automatic) -> None:
    with automatic.edged(route("*.wild.example", extra='respond = "wild"')) as edged:
        eventually(lambda: "needs a dns_hook" in edged.ctl("certs").out)
        outcome = edged.ctl("certs", "renew", "*.wild.example")
        assert outcome.code == 1
        assert "needs a dns_hook" in outcome.err
