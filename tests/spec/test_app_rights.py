"""Apps under an edged with no more rights than the systemd unit leaves root."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.support.app_stories import ask, deploy, write_app
from tests.support.edged import Edged
from tests.support.eventually import eventually

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to leave out")


@pytest.fixture
def edged() -> Iterator[Edged]:
    made = Edged(workers=2)
    with made.start(command=["setpriv", f"--bounding-set={rights()}", *made.command]):
        yield made


def test_an_app_is_deployed_serves_and_is_adopted(edged: Edged, tmp_path: Path) -> None:
    deploy(edged, write_app(tmp_path / "blog", VERSION="1"))
    assert ask(edged, "blog").body == b"1"
    before = int(ask(edged, "blog", "/pid").body)
    edged.end(edged.control_pid())
    eventually(edged.is_ready)
    assert int(ask(edged, "blog", "/pid").body) == before
    deploy(edged, write_app(tmp_path / "blog", VERSION="2"))
    assert ask(edged, "blog").body == b"2"
    eventually(lambda: not Path(f"/proc/{before}").exists(), 30)


def test_who_does_not_listen_is_told_what_it_listens_on(edged: Edged, tmp_path: Path) -> None:
    folder = write_app(tmp_path / "blog", program=ELSEWHERE, limits='start = "2s"')
    outcome = edged.ctl("deploy", str(folder))
    assert outcome.code == 1
    assert "it listens on" in outcome.err
    assert "not on PORT=" in outcome.err


ELSEWHERE = """
import os, socket, time
server = socket.create_server((os.environ["HOST"], 0))
time.sleep(60)
"""


def rights() -> str:
    """What the unit leaves, as setpriv takes it."""
    text = (ROOT / "deploy" / "edged.service").read_text(encoding="utf-8")
    kept = re.search(r"^CapabilityBoundingSet=(.*)$", text, re.M)
    assert kept is not None
    return ",".join(["-all", *(f"+{name.lower()[4:]}" for name in kept[1].split())])
