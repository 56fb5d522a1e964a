"""Control is killed while an app is being deleted: the next one finishes that, leaving nothing."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.app_trouble import SERVE, Platform, Shop, serving_meanwhile
from tests.support.eventually import eventually

STUBBORN = (
    SERVE
    + """
import threading
signal.signal(signal.SIGTERM, lambda *_: open(os.environ["DATA_DIR"] + "/told", "w").close())
threading.Thread(target=listen, daemon=True).start()
while True:
    signal.pause()
"""
)
"""Notes that it shall end, and does not."""

LIMITS = 'start = "10s"\ndrain = "60s"\nstability = "100ms"\n'
FILES = 50_000


def while_it_ends(platform: Platform, shop: Shop) -> None:
    eventually((platform.home(shop) / "data" / "told").exists)


def while_its_files_go(platform: Platform, shop: Shop) -> None:
    [pid] = platform.processes(shop)
    while_it_ends(platform, shop)
    os.kill(pid, signal.SIGKILL)
    folder = platform.home(shop) / "data"
    eventually(lambda: len(os.listdir(folder)) < FILES)


MOMENTS = {"its instances end": while_it_ends, "its files are removed": while_its_files_go}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_a_delete_whose_control_is_killed_is_finished(
    alone: Platform, tmp_path: Path, moment: Callable[[Platform, Shop], None]
) -> None:
    shop = Shop(tmp_path / "shop").write("one", STUBBORN, limits=LIMITS, instances=1)
    staging = Shop(tmp_path / "shop", "staging")
    assert alone.edged.ctl("secrets", "set", shop.id, "TOKEN", feed="old")
    alone.deploy(shop)
    for number in range(FILES):
        (alone.home(shop) / "data" / str(number)).touch()
    with serving_meanwhile(alone, tmp_path / "well"):
        delete = alone.edged.begin_ctl("delete", shop.id, "--yes")
        moment(alone, shop)
        alone.kill_control()
        assert_told_of_the_break(delete)
        assert alone.app(shop) == {}
        assert not alone.home(shop).parent.exists()
        assert alone.processes(shop) == []
        assert not [name for name in alone.pipes() if name.startswith("shop.")]
        assert alone.ask(shop).startswith("404 ")

        alone.deploy(shop.write("new", instances=1))
        assert alone.release_of(shop) == "new"
        assert alone.app(shop)["release"] == 1
        assert not (alone.home(shop) / "data" / "1").exists()
        assert alone.edged.ctl_json("secrets", "list", shop.id)["names"] == []
    assert alone.app(staging) == {}


def assert_told_of_the_break(delete: "subprocess.Popen[str]") -> None:
    _, err = delete.communicate(timeout=20)
    assert delete.returncode != 0, err


def test_a_delete_leaves_no_folder_and_the_other_environments(
    alone: Platform, tmp_path: Path
) -> None:
    shop = Shop(tmp_path / "shop").write("one", instances=1)
    staging = Shop(shop.folder, "staging")
    alone.deploy(shop)
    text = (shop.folder / "edge.toml").read_text()
    (shop.folder / "edge.toml").write_text(
        text.replace(f'routes = ["{shop.host}"]', "") + '[envs.staging]\nroutes = ["s.test"]\n'
    )
    assert alone.edged.ctl("deploy", str(shop.folder), "--env", "staging")
    assert alone.edged.ctl("delete", shop.id, "--yes")
    assert alone.home(staging).exists()
    assert not alone.home(shop).exists()
    assert alone.edged.ctl("delete", staging.id, "--yes")
    assert not alone.home(shop).parent.exists()
