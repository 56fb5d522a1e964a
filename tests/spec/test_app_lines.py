"""What the server's own log says of apps: one line for what an operator would ask about."""

import os
import re
import signal
from pathlib import Path

from tests.support.app_trouble import Platform, Shop
from tests.support.eventually import eventually

BEGINNING = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def has_line(platform: Platform, level: str, text: str) -> bool:
    """Whether control has logged that, once."""
    pattern = rf"^{BEGINNING} {level} control: {text}$"
    return len(re.findall(pattern, platform.edged.log, re.M)) == 1


def test_the_log_says_what_happened_to_apps_and_nothing_of_requests(
    alone: Platform, tmp_path: Path
) -> None:
    uid, seconds = os.geteuid(), r"\d+\.\d s"
    shop = Shop(tmp_path / "shop").write("one", instances=1)
    alone.deploy(shop)
    alone.deploy(shop.write("two", instances=1))
    for number in (1, 2):
        how = rf"\(deployed by uid {uid} in {seconds}\)"
        assert has_line(alone, "info", f"{shop.id}: release {number} serves {how}")
    assert alone.edged.ctl("rollback", shop.id)
    assert has_line(alone, "info", f"{shop.id}: release 1 serves again")
    assert has_line(alone, "info", f"order rollback by uid {uid}: done in {seconds}")

    broken = Shop(shop.folder).write("three", "raise SystemExit(3)\n", instances=1)
    assert not alone.edged.ctl("deploy", str(broken.folder))
    why = f"Release 3 of {shop.id} does not start: it exited with code 3 before it was ready."
    assert has_line(alone, "error", re.escape(f"{shop.id} is not deployed: {why}"))

    before = alone.edged.log
    for _ in range(50):
        assert alone.release_of(shop) == "one"
    assert alone.edged.log == before, "nothing is logged per request"

    [pid] = alone.pids(shop)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: has_line(alone, "warning", r"\S+: it was killed by SIGKILL \(death 1\)"))
    assert not alone.edged.ctl("restart", "nobody")
    assert has_line(
        alone, "info", rf"order apps/restart by uid {uid}: refused \(not-found\) in {seconds}"
    )
    assert alone.edged.ctl("stop", shop.id)
    assert has_line(alone, "info", f"{shop.id} is stopped")
    assert alone.edged.ctl("delete", shop.id, "--yes")
    assert has_line(alone, "info", f"{shop.id} is deleted")
