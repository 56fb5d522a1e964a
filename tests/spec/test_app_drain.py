"""An instance that leaves has one `limits.drain`, for what it has under way and for its own end."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.app_stories import (
    PROGRAM,
    ask,
    begin,
    data_of,
    deploy,
    have,
    open_socket,
    write_app,
)
from tests.support.edged import Edged
from tests.support.eventually import eventually

DRAIN_S = 4.0
MARGIN_S = 1.5
GOING_AWAY = b"\x88\x02\x03\xe9"

TALKING = (
    PROGRAM.replace("async def answer(", "sockets = []\n\n\nasync def answer(")
    .replace("        while data := ", "        sockets.append(writer)\n        while data := ")
    .replace(
        "    await ending.wait()\n",
        "    await ending.wait()\n"
        '    note("told", str(time.time()))\n'
        '    await asyncio.sleep(said("deaf_s"))\n'
        "    for each in sockets:\n"
        '        each.write(b"\\x88\\x02\\x03\\xe9")\n'
        "        await each.drain()\n",
    )
)
"""Notes that it is told to end. Then it closes its WebSockets as it should, unless it is deaf."""


@pytest.fixture
def edged() -> Iterator[Edged]:
    with Edged(workers=2) as edged:
        yield edged


@pytest.fixture
def folder(edged: Edged, tmp_path: Path) -> Path:
    """Of an app that serves."""
    made = write_app(
        tmp_path / "chat",
        program=TALKING,
        limits=f'drain = "{DRAIN_S:g}s"\n',
        more="[instances]\nmin = 1\n",
    )
    deploy(edged, made)
    return made


def replace(edged: Edged, folder: Path) -> float:
    """Deploy it again; the seconds from the switch to the end of the deploy."""
    deploying = edged.begin_ctl("deploy", str(folder))
    assert deploying.stderr is not None
    for line in deploying.stderr:
        if "serves" in line:
            break
    began = time.monotonic()
    _, err = deploying.communicate(timeout=60)
    assert deploying.returncode == 0, err
    return time.monotonic() - began


def test_an_open_websocket_is_told_of_the_end_and_closed_by_the_app(
    edged: Edged, folder: Path
) -> None:
    with open_socket(edged, "chat") as client:
        took_s = replace(edged, folder)
        assert client.read_to_end() == GOING_AWAY
    assert took_s < DRAIN_S


def test_an_app_that_does_not_listen_is_cut_when_its_time_is_over(
    edged: Edged, folder: Path
) -> None:
    have(edged, "chat", "deaf_s", 600)
    with open_socket(edged, "chat") as client:
        client.send(b"x")
        assert client.read_exactly(1) == b"x"
        took_s = replace(edged, folder)
        assert client.ending() in ("fin", "reset")
    assert DRAIN_S - MARGIN_S < took_s < DRAIN_S + MARGIN_S, "once, and not twice"
    assert ask(edged, "chat").status == 200


def test_a_request_under_way_may_take_most_of_the_time(edged: Edged, folder: Path) -> None:
    with begin(edged, "chat", f"/takes/{DRAIN_S / 2}") as client:
        eventually((data_of(edged, "chat") / "begun").exists)
        took_s = replace(edged, folder)
        assert client.read_answer().status == 200
    assert took_s < DRAIN_S


def test_an_instance_without_requests_is_told_at_once(edged: Edged, folder: Path) -> None:
    assert ask(edged, "chat").status == 200
    assert replace(edged, folder) < MARGIN_S
