"""The name in a client's hello: from whole ones, from their beginnings, and from rubbish."""

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.tls.hello import LARGEST, missing, server_name


def hello(name: str | None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """What OpenSSL says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    sent = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return sent.read()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", ["a.test", "x" * 63 + ".example", "A.Test", "xn--bcher-kva.test"])
def test_the_name_is_the_one_that_was_asked_for(name: str, version: ssl.TLSVersion) -> None:
    assert server_name(hello(name, version)) == name


def test_a_hello_may_name_nobody() -> None:
    assert server_name(hello(None)) == ""
    assert server_name(hello("127.0.0.1")) == ""


def test_a_beginning_says_that_there_is_more() -> None:
    data = hello("a.test")
    assert {server_name(data[:count]) for count in range(len(data))} == {None}


def test_a_beginning_says_how_much_there_will_be() -> None:
    data = hello("a.test")
    assert {missing(data[:count]) for count in range(1, 5)} == {5}
    assert {missing(data[:count]) for count in range(5, len(data))} == {len(data)}
    assert missing(data) == missing(data + b"more") == 0
    assert missing(b"GET") == missing(b"\x16\x03\x01\xff\xff") == 0


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x15\x03\x01\x00\x02\x01\x00",  # an alert
        b"\x16\x03\x01\xff\xff" + bytes(20),  # larger than a record can be
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",  # another message
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\x00\x2b\x01\x00\x00\x27" + bytes(34) + b"\xff" * 5,  # ends in the middle
    ],
)
def test_rubbish_names_nobody(data: bytes) -> None:
    assert server_name(data) == ""


@given(st.binary(max_size=300), st.integers(0, 200))
def test_no_bytes_make_it_fail(noise: bytes, at: int) -> None:
    data = hello("a.test")
    for each in (noise, data[:at] + noise, data[:at] + noise + data[at + len(noise) :]):
        found = server_name(each)
        assert found is None or len(found) < LARGEST
