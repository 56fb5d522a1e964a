"""Control is killed at every step of a deploy: it is finished or undone, and nothing is lost.

Each step is held by a gate, a file that the app's own commands wait for, so it is known from
outside how far the deploy is.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.app_trouble import QUICK, SERVE, Platform, Shop, archive_of, begin_upload
from tests.support.client import Client
from tests.support.edged import Edged
from tests.support.eventually import eventually
from tests.support.load import Load
from tests.support.programs import PYTHON

GATE = """
import os, sys, time
def pass_gate(name):
    os.chdir(os.environ["DATA_DIR"])
    open(name + ".at", "w").close()
    while not os.path.exists(name) and not os.path.exists("all"):
        time.sleep(0.01)
if len(sys.argv) > 1:
    pass_gate(sys.argv[1])
"""

GATED = (
    GATE
    + SERVE
    + "pass_gate('start')\n"
    + """
def answer(path):
    if path == "/health":
        pass_gate("prove")
    return 200, f"{release} {os.getpid()}"
listen()
"""
)

PLAIN = (
    SERVE
    + """
def answer(path):
    if path == "/slow":
        open(os.environ["DATA_DIR"] + "/asked", "w").close()
        while not os.path.exists(os.environ["DATA_DIR"] + "/all"):
            time.sleep(0.01)
    return 200, f"{release} {os.getpid()}"
listen()
"""
)

HEALTH = '[health]\npath = "/health"\n'
LIMITS = 'start = "20s"\ndrain = "20s"\nstability = "500ms"\n'
STEPS = ("build", "release", "start", "prove")


@dataclass
class Deploy:
    """A deploy of release "two" over release "one", which is about to be cut off."""

    platform: Platform
    shop: Shop
    client: Client
    process: subprocess.Popen[str] | None = None
    lines: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """With a gate at each step that has one."""
        gate = [PYTHON, "-I", "-S", "gate.py"]
        self.shop.write(
            "two",
            GATED,
            limits=LIMITS,
            head=f"release = {[*gate, 'release']}",
            build=f"commands = [{[*gate, 'build']}]",
            more=HEALTH,
            files={"gate.py": GATE},
        )
        self.process = self.platform.begin_deploy(self.shop)

    @property
    def data(self) -> Path:
        return self.platform.home(self.shop) / "data"

    def open(self, *gates: str) -> None:
        for gate in gates:
            (self.data / gate).touch()

    def await_gate(self, name: str) -> None:
        """Until it waits there; those before are opened."""
        self.begin()
        self.open(*STEPS[: STEPS.index(name)])
        eventually((self.data / f"{name}.at").exists)

    def await_line(self, text: str) -> None:
        """Until it says so."""
        self.begin()
        self.open(*STEPS)
        assert self.process is not None
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if text in line:
                return
        raise AssertionError(f"the deploy has not come to {text!r}")


def upload(deploy: Deploy) -> None:
    deploy.shop.write("two", limits=LIMITS)
    content = archive_of(deploy.shop.folder)
    half = content[: len(content) // 2]
    with begin_upload(deploy.platform.edged, deploy.shop, half, len(content)):
        assert deploy.platform.edged.ctl("apps")  # it has come by now
        deploy.platform.kill_control()


def unpack(deploy: Deploy) -> None:
    for number in range(3000):
        (deploy.shop.folder / f"file-{number}").write_text("x")
    deploy.begin()
    folder = deploy.platform.home(deploy.shop) / "releases"
    eventually(lambda: [name for name in os.listdir(folder) if name.startswith(".new-")])


def gate(name: str) -> Callable[[Deploy], None]:
    return lambda deploy: deploy.await_gate(name)


def stability(deploy: Deploy) -> None:
    deploy.await_line("watched for")


def hold(deploy: Deploy) -> None:
    content = archive_of(deploy.shop.write("two", limits=LIMITS).folder)
    told = b""
    with begin_upload(deploy.platform.edged, deploy.shop, content, hold_s=60) as sent:
        while b'"held"' not in told:
            told += sent.recv(4096)
        deploy.platform.kill_control()


def switch(deploy: Deploy) -> None:
    ask_slowly(deploy)
    deploy.begin()
    deploy.open(*STEPS)
    eventually(lambda: deploy.platform.kept(deploy.shop)["current"] == 2)


def drain(deploy: Deploy) -> None:
    ask_slowly(deploy)
    deploy.await_line("release 2 serves")


def ask_slowly(deploy: Deploy) -> None:
    """A request that the old release has until all gates are open."""
    deploy.client.send(f"GET /slow HTTP/1.1\r\nHost: {deploy.shop.host}\r\n\r\n".encode())
    eventually((deploy.data / "asked").exists)


MOMENTS = {
    "upload": upload,
    "unpack": unpack,
    "build": gate("build"),
    "release command": gate("release"),
    "start": gate("start"),
    "prove": gate("prove"),
    "stability window": stability,
    "hold": hold,
    "switch": switch,
    "drain": drain,
}
FINISHED = ("switch", "drain")


@pytest.fixture
def deploy(tmp_path: Path) -> Iterator[Deploy]:
    with Edged(workers=2) as edged, Client(edged.address) as client:
        platform = Platform(edged)
        shop = Shop(tmp_path / "shop").write("one", PLAIN, limits=LIMITS, more=HEALTH)
        platform.deploy(shop)
        made = Deploy(platform, shop, client)
        yield made
        if made.process is not None:
            made.process.kill()
            made.process.communicate()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_deploy_whose_control_is_killed_is_finished_or_undone(
    deploy: Deploy, moment: str
) -> None:
    platform, shop = deploy.platform, deploy.shop
    with Load(platform.edged.address, kept=6, fresh=2, rate=150, host=shop.host, path="/") as load:
        MOMENTS[moment](deploy)
        platform.kill_control()
        number = 2 if moment in FINISHED else 1
        release = "two" if moment in FINISHED else "one"
        assert platform.release_of(shop) == release
        assert_tells_its_client(deploy)
        deploy.open("all")
        if moment in FINISHED:
            assert deploy.client.read_answer().body.startswith(b"one ")
        eventually(lambda: assert_clean(platform, shop, number))
        shop.write("three", limits=QUICK)
        platform.deploy(shop)
        assert platform.release_of(shop) == "three"
        report = load.stop()
    assert report.failed == 0, report
    assert set(report.statuses) == {"200"}, report
    assert_clean(platform, shop, platform.app(shop)["release"])


def assert_tells_its_client(deploy: Deploy) -> None:
    """Who waits for it learns that it has not heard the end."""
    if deploy.process is not None:
        _, err = deploy.process.communicate(timeout=20)
        assert deploy.process.returncode == 1, err
        assert "edged broke off" in err


def assert_clean(platform: Platform, shop: Shop, number: int) -> bool:
    """Nothing is there of a deploy but the releases that are known, and who serves."""
    kept = platform.kept(shop)
    assert (kept["deploying"], kept["current"]) == (0, number)
    assert platform.releases(shop) == [str(each["number"]) for each in kept["releases"]]
    app = platform.app(shop)
    assert app["state"] == "awake"
    assert platform.processes(shop) == platform.pids(shop)
    assert platform.pipes() == {each["name"] for each in app["instances"]}
    return True
