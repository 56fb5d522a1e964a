"""Edged's own place among cgroups: what outlives its control, and what systemd gives it."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.app_stories import asked
from tests.support.app_trouble import QUICK, Platform
from tests.support.cgroups import Held, born_in, cgroup_of, cgroups_of, delegated, lacking
from tests.support.edged import Edged
from tests.support.eventually import eventually
from tests.support.greedy import MEMORY, edgeds, events, greedy

WITHOUT = lacking()  # what of cgroups this kernel does not have, in words
pytestmark = pytest.mark.skipif(bool(WITHOUT), reason=WITHOUT)

SHORT = "since it used more memory than its limit of 24MiB"


def has_limits(held: Held) -> bool:
    limits = {"memory.max": str(24 << 20), "cpu.max": "50000 100000", "pids.max": "30"}
    return {name: held.read(name) for name in limits} == limits


def test_cgroups_and_limits_outlive_a_killed_control_and_end_with_edged(tmp_path: Path) -> None:
    with Edged() as edged:
        platform = Platform(edged)
        shop = greedy(tmp_path / "kept", MEMORY + "cpus = 0.5\npids = 30\n")
        platform.deploy(shop)
        [before] = cgroups_of(edged, shop)
        pids = before.pids()
        platform.kill_control()
        [held] = cgroups_of(edged, shop)
        assert (held, held.pids()) == (before, pids)
        assert has_limits(held)

        platform.ask(shop, "/leak")
        eventually(lambda: events(edged, "instance-died"))
        assert f"it ended {SHORT}" in events(edged, "instance-died")[-1]["text"]
        eventually(lambda: platform.release_of(shop) == "one")
        [held] = cgroups_of(edged, shop)
        assert has_limits(held)

        os.kill(edged.control_pid(), signal.SIGSTOP)
        platform.ask(shop, "/leak")
        eventually(lambda: held.counts("cgroup.events")["populated"] == 0)
        platform.kill_control()
        eventually(lambda: len(events(edged, "instance-died")) == 2)
        unwatched = f"it ended while nobody watched it {SHORT}"
        assert unwatched in events(edged, "instance-died")[-1]["text"]
        eventually(lambda: platform.release_of(shop) == "one")

        edged.stop(expect=0)
        assert not held.path.parent.exists()


def test_in_a_delegated_folder_edged_makes_room_and_an_app_goes_first_when_memory_is_short(
    tmp_path: Path,
) -> None:
    made = Edged()
    with delegated("whole") as service, made.start(command=born_in(service, made)) as edged:
        platform, shop = Platform(edged), greedy(tmp_path / "unlimited", QUICK)
        platform.deploy(shop)
        [held] = cgroups_of(edged, shop)
        assert held.path.parent == service.path
        assert service.pids() == []
        assert {cgroup_of(pid).path for pid in edgeds(edged)} == {service.path / "edge"}
        assert asked(edged, "/v1/status")["isolation_missing"] == []

        platform.kill_control()
        assert cgroup_of(edged.control_pid()).path == service.path / "edge"
        assert cgroups_of(edged, shop) == [held]

        before = edgeds(edged)
        room = service.number("memory.current") + (32 << 20)
        (service.path / "memory.max").write_text(str(room))
        platform.ask(shop, "/leak")
        [told] = eventually(lambda: events(edged, "instance-died"), within_s=30)
        assert "since the machine, or edged's own part of it, had no memory left" in told["text"]
        eventually(lambda: platform.release_of(shop) == "one")
        assert edgeds(edged) == before


def test_what_may_not_be_limited_in_a_delegated_folder_is_said(tmp_path: Path) -> None:
    made = Edged()
    with (
        delegated("part", controllers="+pids") as service,
        made.start(command=born_in(service, made)) as edged,
    ):
        platform, shop = Platform(edged), greedy(tmp_path / "partly", MEMORY + "pids = 30\n")
        platform.deploy(shop)
        [held] = cgroups_of(edged, shop)
        assert held.read("pids.max") == "30"
        said = edged.ctl("status").out
        assert "No cgroup limits memory" in said
        assert "No cgroup limits cpu" in said
        assert "No cgroup limits pids" not in said
