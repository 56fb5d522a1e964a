"""Control is killed while apps are awake: they go on, and the next control has them."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.app_trouble import QUICK, SERVE, Platform, Shop
from tests.support.client import Client
from tests.support.eventually import eventually
from tests.support.load import Load

TALKING = (
    SERVE
    + """
said = 0
def talk():
    global said
    while not os.path.exists(os.environ["DATA_DIR"] + "/quiet"):
        print("line", said, flush=True, file=sys.stderr if said % 3 == 0 else sys.stdout)
        said += 1
        time.sleep(0.002)
    print("quiet after", said, flush=True)
threading.Thread(target=talk, daemon=True).start()
listen()
"""
)
"""Prints a line after the other, on both of its streams, until it finds a file."""


SLOW = (
    SERVE
    + """
def answer(path):
    if path == "/":
        open(os.environ["DATA_DIR"] + "/asked", "w").close()
        while not os.path.exists(os.environ["DATA_DIR"] + "/go"):
            time.sleep(0.01)
    return 200, f"{release} {os.getpid()}"
listen()
"""
)
"""Answers when it finds a file."""


@pytest.fixture
def platform(alone: Platform) -> Platform:
    return alone


def test_a_killed_control_costs_no_request_no_instance_and_no_line(
    platform: Platform, tmp_path: Path
) -> None:
    shop = Shop(tmp_path / "shop").write("one", TALKING, instances=2)
    platform.deploy(shop)
    pids = platform.pids(shop)
    edged = platform.edged
    with Load(edged.address, kept=8, fresh=4, rate=200, host=shop.host, path="/") as load:
        for _ in range(3):
            platform.kill_control()
            assert platform.pids(shop) == pids
        report = load.stop()
    assert report.failed == 0, report
    (platform.home(shop) / "data" / "quiet").touch()
    names = [each["name"] for each in platform.app(shop)["instances"]]
    for name in names:
        eventually(lambda name=name: platform.said(shop, name)[-1].startswith("quiet after"))
        *lines, last = platform.said(shop, name)
        count = int(last.split()[-1])
        missing = {f"line {number}" for number in range(count)} - set(lines)
        assert not missing, (len(missing), sorted(missing)[:5], count)
        assert len(lines) <= count + 3 * 200, "lines are seen twice, and not only at a kill"
    assert not {"SIGPIPE", "Broken pipe"} & set(" ".join(platform.logs(shop)).split())


def test_the_next_control_watches_what_it_has_adopted(platform: Platform, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop").write("one", instances=2)
    platform.deploy(shop)
    pids = platform.pids(shop)
    platform.kill_control()
    os.kill(pids[0], signal.SIGKILL)
    eventually(lambda: len([pid for pid in platform.pids(shop) if pid]) == 2)
    assert pids[1] in platform.pids(shop)
    assert pids[0] not in platform.pids(shop)
    assert platform.ask(shop)


def test_an_instance_that_ends_while_there_is_no_control_is_replaced_by_the_next(
    platform: Platform, tmp_path: Path
) -> None:
    shop = Shop(tmp_path / "shop").write("one", instances=2)
    platform.deploy(shop)
    pids = platform.pids(shop)
    control = platform.edged.control_pid()
    os.kill(control, signal.SIGSTOP)  # whatever happens now, it does not see it
    os.kill(pids[0], signal.SIGKILL)
    os.kill(control, signal.SIGKILL)
    platform.await_control(control)
    eventually(lambda: len([pid for pid in platform.pids(shop) if pid]) == 2)
    assert pids[1] in platform.pids(shop)
    assert platform.release_of(shop) == "one"


def test_the_processes_of_an_app_that_control_could_not_write_down_are_ended_by_the_next(
    platform: Platform, tmp_path: Path
) -> None:
    shop = Shop(tmp_path / "shop").write("one", instances=1)
    platform.deploy(shop)
    [kept] = platform.processes(shop)
    with platform.stray(shop, "shop.production.1.0ddba1") as stray:
        assert stray in platform.processes(shop)
        platform.kill_control()
        eventually(lambda: is_gone(stray))
    assert platform.processes(shop) == [kept]
    assert platform.release_of(shop) == "one"
    assert not [*(platform.edged.run_dir / "apps").glob("*.0ddba1.*")]


def test_a_slow_request_to_a_release_that_was_just_replaced_is_answered_though_control_is_killed(
    platform: Platform, tmp_path: Path
) -> None:
    slow = QUICK.replace('drain = "2s"', 'drain = "20s"')
    more = '[health]\npath = "/health"\n'
    shop = Shop(tmp_path / "shop").write("one", SLOW, limits=slow, more=more)
    platform.deploy(shop)
    with Client(platform.edged.address) as client:
        client.send(f"GET / HTTP/1.1\r\nHost: {shop.host}\r\n\r\n".encode())
        [old] = eventually(lambda: [pid for pid in platform.pids(shop) if asked(platform, shop)])
        shop.write("two", limits=slow)
        deploy = platform.begin_deploy(shop)
        eventually(lambda: platform.kept(shop)["current"] == 2)
        platform.kill_control()
        assert platform.release_of(shop) == "two"
        assert old in platform.processes(shop)
        (platform.home(shop) / "data" / "go").touch()
        assert client.read_answer().body.decode() == f"one {old}"
    eventually(lambda: platform.processes(shop) == platform.pids(shop))
    assert old not in platform.pids(shop)
    deploy.kill()
    deploy.communicate()


def asked(platform: Platform, shop: Shop) -> bool:
    return (platform.home(shop) / "data" / "asked").exists()


def is_gone(pid: int) -> bool:
    """Whether it has ended: its parent, which is this test, reads its exit code later."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
