"""Addresses of hosts: nothing in one is an option of ssh, or read by a shell."""

import pytest

from control.cli.client import Failure
from control.cli.ssh import USUAL_SOCKET, Remote, remote_of


@pytest.mark.parametrize(
    ("url", "host", "user", "port", "socket"),
    [
        ("ssh://prod", "prod", "", "", USUAL_SOCKET),
        ("ssh://me@one.example.com", "one.example.com", "me", "", USUAL_SOCKET),
        ("ssh://me@10.0.0.1:2222", "10.0.0.1", "me", "2222", USUAL_SOCKET),
        ("ssh://[::1]:22/", "::1", "", "22", USUAL_SOCKET),
        ("ssh://me@prod/srv/edged.sock", "prod", "me", "", "/srv/edged.sock"),
    ],
)
def test_an_address_is_read(url: str, host: str, user: str, port: str, socket: str) -> None:
    assert remote_of(url) == Remote(url=url, host=host, user=user, port=port, socket=socket)


@pytest.mark.parametrize(
    "url",
    [
        "prod", "ssh://", "http://prod", "ssh://-oProxyCommand=id", "ssh://-l@prod",
        "ssh://me@-prod", "ssh://prod:-1", "ssh://prod:22:22", "ssh://prod;id", "ssh://$(id)",
        "ssh://a b", "ssh://me@prod/a:b", "ssh://me@prod/%h", "ssh://prod\n", "ssh://me:pw@prod",
        "ssh://prod/a\nb",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Failure, match="is no host"):
        remote_of(url)
