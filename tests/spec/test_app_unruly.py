"""Apps that serve and misbehave: each is kept within its bounds, and no other app notices."""

import os
import time
from pathlib import Path

from tests.support.app_trouble import QUICK, SERVE, Platform, Shop
from tests.support.edged import memory_of
from tests.support.eventually import eventually

FLOODING = (
    SERVE
    + """
def flood():
    while True:
        os.write(1, (b"x" * 150 + b"\\n") * 100)
for _ in range(2):
    threading.Thread(target=flood, daemon=True).start()
listen()
"""
)

DEAF = SERVE + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nlisten()\n"

LEAKING = (
    SERVE
    + """
taken = []
def leak():
    while True:
        taken.append(b"x" * (4 << 20))
        time.sleep(0.001)
def answer(path):
    if path == "/leak":
        try:
            leak()
        except MemoryError:
            print("no memory left", flush=True)
            os._exit(1)
    return 200, f"{release} {os.getpid()}"
listen()
"""
)

CRASHING = (
    SERVE
    + """
if os.path.exists(os.environ["DATA_DIR"] + "/broken"):
    print("the data is broken", flush=True)
    sys.exit(9)
listen()
"""
)

LOG_BYTES = 60 << 20
CONTROL_BYTES = 64 << 20
FLOOD_S = 3.0


def test_a_flood_of_output_is_bounded_and_told(platform: Platform, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "flooding").write("one", FLOODING)
    platform.deploy(shop)
    before, until = memory_of(platform.edged.control_pid()), time.monotonic() + FLOOD_S
    while time.monotonic() < until:
        assert platform.release_of(shop) == "one"
        assert platform.edged.ctl("status")
    texts = eventually(lambda: [text for text in platform.logs(shop) if "were dropped" in text])
    assert "5,000 lines" in texts[0]
    log = platform.home(shop) / "log"
    assert sum(path.stat().st_size for path in log.iterdir()) < LOG_BYTES
    assert memory_of(platform.edged.control_pid()) - before < CONTROL_BYTES
    assert platform.edged.ctl("delete", shop.id, "--yes")


def test_an_app_that_ignores_sigterm_is_killed_after_its_drain_time(
    platform: Platform, tmp_path: Path
) -> None:
    limits = QUICK.replace('drain = "2s"', 'drain = "1s"')
    shop = Shop(tmp_path / "deaf").write("one", DEAF, limits=limits)
    platform.deploy(shop)
    [pid] = platform.pids(shop)
    began = time.monotonic()
    platform.deploy(shop.write("two", DEAF, limits=limits))
    assert 1.0 < time.monotonic() - began < 8.0
    assert pid not in platform.processes(shop)
    assert platform.release_of(shop) == "two"
    assert platform.edged.ctl("delete", shop.id, "--yes")
    assert platform.processes(shop) == []


def test_an_app_that_leaks_memory_ends_at_its_limit_and_is_started_again(
    platform: Platform, tmp_path: Path
) -> None:
    shop = Shop(tmp_path / "leaking")
    shop.write("one", LEAKING, limits=QUICK + 'memory = "64MiB"\n')
    platform.deploy(shop)
    [pid] = platform.pids(shop)
    platform.ask(shop, "/leak")
    eventually(lambda: platform.pids(shop) not in ([pid], [0]))
    assert platform.release_of(shop) == "one"
    assert not os.path.exists(f"/proc/{pid}")
    assert ", ready now: it " in platform.edged.ctl("apps").out
    assert platform.edged.ctl("delete", shop.id, "--yes")


def test_a_crash_loop_fails_with_its_last_output_and_start_or_a_deploy_heals_it(
    platform: Platform, tmp_path: Path
) -> None:
    shop = Shop(tmp_path / "crashing").write("one", CRASHING)
    platform.deploy(shop)
    broken = platform.home(shop) / "data" / "broken"
    broken.touch()
    os.kill(platform.pids(shop)[0], 9)
    assert_failed(platform, shop)
    assert platform.edged.ctl("start", shop.id).code == 1
    broken.unlink()
    assert platform.edged.ctl("start", shop.id)
    assert platform.release_of(shop) == "one"
    broken.touch()
    os.kill(platform.pids(shop)[0], 9)
    assert_failed(platform, shop)
    platform.deploy(shop.write("two"))
    assert platform.release_of(shop) == "two"
    assert platform.app(shop)["problem"] == ""
    assert platform.edged.ctl("delete", shop.id, "--yes")


def test_scaling_down_keeps_the_instance_that_serves(platform: Platform, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "halved").write("one", CRASHING, instances=2)
    platform.deploy(shop)
    first, second = (each["pid"] for each in platform.app(shop)["instances"])
    (platform.home(shop) / "data" / "broken").touch()
    os.kill(first, 9)
    eventually(lambda: "backoff" in [each["state"] for each in platform.app(shop)["instances"]])
    assert platform.edged.ctl("scale", shop.id, "1")
    assert platform.pids(shop) == platform.processes(shop) == [second]
    assert platform.ask(shop) == f"one {second}"
    assert platform.edged.ctl("delete", shop.id, "--yes")


def assert_failed(platform: Platform, shop: Shop) -> None:
    """It is tried no more, and says why wherever somebody looks."""
    eventually(lambda: platform.app(shop)["state"] == "failed", within_s=30)
    problem = platform.app(shop)["problem"]
    assert "exited with code 9" in problem
    assert "the data is broken" in problem
    assert "the data is broken" in platform.edged.ctl("apps").out
    assert platform.ask(shop).startswith("502")
    events = platform.edged.ctl("events").out
    assert f"{shop.id} has failed: it exited with code 9" in events
    assert platform.processes(shop) == []
    outcome = platform.edged.ctl("status")
    assert "the data is broken" in outcome.out
