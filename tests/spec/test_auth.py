"""A name and a password before a route: two workers, and what hostile clients send."""

import base64
from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.client import Answer, fetch
from tests.support.edged import Edged, route
from tests.support.origin import ScriptedOrigin

# Of "päss:word", at the least cost.
HASH: Final = "$2b$04$iIPkA2o1oD/Br4IRHDtRxufuYWaBDtEG.GMy5bajjQRvJn1B6SjtW"
USERS: Final = f'\n[route.basic_auth]\nusers = ["ada:{HASH}"]\nrealm = "staging"\n'


@pytest.fixture(scope="module")
def guarded() -> Iterator[tuple[Edged, ScriptedOrigin]]:
    with ScriptedOrigin() as origin:
        body = (
            route("*.test", origin.address)
            + USERS
            + route("told.test", origin.address)
            + USERS
            + "forward = true\n"
            + route("open.test", origin.address)
        )
        with Edged(body, workers=2) as edged:
            yield edged, origin
            assert "p\u00e4ss" not in edged.log


def ask(edged: Edged, credentials: str | bytes, host: str = "a.test") -> Answer:
    data = credentials.encode() if isinstance(credentials, str) else credentials
    line = f"Authorization: Basic {base64.b64encode(data).decode()}\r\n"
    return fetch(edged.address, host=host, fields=line)


def test_without_a_name_the_client_is_asked_for_one(
    guarded: tuple[Edged, ScriptedOrigin],
) -> None:
    edged, origin = guarded
    origin.forget()
    answer = fetch(edged.address, host="a.test")
    assert (answer.status, answer.get("X-Edge-Error")) == (401, "unauthorized")
    assert answer.get("WWW-Authenticate") == 'Basic realm="staging", charset="UTF-8"'
    assert origin.requests == []
    assert fetch(edged.address, host="open.test").status == 200


def test_the_right_password_passes_on_every_worker_and_goes_no_further(
    guarded: tuple[Edged, ScriptedOrigin],
) -> None:
    edged, origin = guarded
    origin.forget()
    assert {ask(edged, "ada:p\u00e4ss:word").status for _ in range(20)} == {200}
    assert {request.get("authorization") for request in origin.requests} == {""}
    assert ask(edged, "ada:p\u00e4ss:word", "told.test").status == 200
    assert origin.requests[-1].get("authorization").startswith("Basic ")


@pytest.mark.parametrize(
    "credentials",
    ["ada:wrong", "ada:", "ada", ":", "bob:p\u00e4ss:word", "ADA:p\u00e4ss:word", b"ada:\xff",
     b"\xff:x", b"ada:p\0x", "ada:" + "x" * 5000, ""],
)  # fmt: skip
def test_anything_else_does_not(
    guarded: tuple[Edged, ScriptedOrigin], credentials: str | bytes
) -> None:
    edged, _ = guarded
    assert ask(edged, credentials).status == 401


@pytest.mark.parametrize(
    "field", ["Basic", "Basic !!!", "Bearer YWRh", "Basic YWRh=YWRh", "basic\tYWRhOng=", "Digest x"]
)
def test_garbage_does_not(guarded: tuple[Edged, ScriptedOrigin], field: str) -> None:
    edged, _ = guarded
    line = f"Authorization: {field}\r\n"
    assert fetch(edged.address, host="a.test", fields=line).status == 401


def test_guessing_does_not_hold_up_others(guarded: tuple[Edged, ScriptedOrigin]) -> None:
    edged, _ = guarded
    for number in range(20):
        assert ask(edged, f"ada:guess-{number}").status == 401
        assert fetch(edged.address, host="open.test").status == 200


def test_a_changed_password_counts_at_once(guarded: tuple[Edged, ScriptedOrigin]) -> None:
    _, origin = guarded
    other = HASH[:-1] + ("." if HASH[-1] != "." else "/")
    with Edged(route("*.test", origin.address) + USERS, workers=2) as edged:
        assert {ask(edged, "ada:p\u00e4ss:word").status for _ in range(8)} == {200}
        edged.write(route("*.test", origin.address) + USERS.replace(HASH, other))
        edged.reload()
        assert {ask(edged, "ada:p\u00e4ss:word").status for _ in range(8)} == {401}
