"""What was killed and replaced within a moment is told by `edgectl status` for a while."""

import os
import signal
from pathlib import Path

from supervisor.spawner import TITLE
from tests.support.app_trouble import Platform, Shop
from tests.support.edged import Edged, title_of
from tests.support.eventually import eventually


def crashed(edged: Edged) -> list[tuple[str, int | None, bool]]:
    listed = edged.ctl_json("status")["crashes"]
    return [(each["what"], each["slot"], each["is_replaced"]) for each in listed]


def test_status_tells_crashes_of_workers_control_and_spawner_though_all_is_well_again(
    alone: Platform, tmp_path: Path
) -> None:
    edged = alone.edged
    assert crashed(edged) == []
    assert edged.ctl("status").out.rstrip().endswith("no problems")
    alone.deploy(Shop(tmp_path / "shop").write("one", instances=1))

    worker = edged.workers()[0]
    edged.end(worker)
    eventually(lambda: crashed(edged) == [("worker", 1, True)])
    text = edged.ctl("status").out
    assert f"worker 1 (pid {worker}) was killed by SIGKILL, and was replaced" in text
    assert text.rstrip().endswith("no problems now")

    [spawner] = [pid for pid in edged.processes() if title_of(pid) == TITLE]
    os.kill(spawner, signal.SIGKILL)
    eventually(lambda: crashed(edged)[1:] == [("spawner", None, True)])

    control = edged.control_pid()
    alone.kill_control()
    expected = [("worker", 1, True), ("spawner", None, True), ("control", None, True)]
    eventually(lambda: crashed(edged) == expected, message="the next control knows of all")
    text = edged.ctl("status").out
    assert f"control (pid {control}) was killed by SIGKILL, and was replaced" in text
    assert f"the spawner (pid {spawner}) was killed by SIGKILL, and was replaced" in text
    assert edged.ctl_json("status")["problems"] == []


def test_what_ends_in_good_order_is_no_crash(alone: Platform) -> None:
    assert alone.edged.ctl("reload", "--roll")
    assert alone.edged.ctl("upgrade")
    eventually(lambda: len(alone.edged.workers()) == 2)
    assert crashed(alone.edged) == []


def test_what_crashed_before_edged_was_started_is_history(alone: Platform) -> None:
    alone.edged.end(alone.edged.workers()[0])
    eventually(lambda: crashed(alone.edged))
    alone.edged.stop(expect=0)
    alone.edged.start()
    assert crashed(alone.edged) == []
    assert "was killed by SIGKILL" in alone.edged.ctl("events").out
