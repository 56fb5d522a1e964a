"""`edgectl deploy --host`: by a real ssh to two edgeds, which all switch or none."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.app_folders import write
from tests.support.client import fetch
from tests.support.edged import Edged, Outcome, children_of, route
from tests.support.eventually import eventually
from tests.support.programs import LISTEN, PYTHON
from tests.support.sshd import IS_THERE, Sshd, sshd

pytestmark = pytest.mark.skipif(not IS_THERE, reason="there is no sshd on this machine")

MANIFEST = f"""name = "blog"
start = ["{PYTHON}", "-I", "-S", "app.py"]
routes = ["blog.test"]
build.commands = ["while [ -e $DATA_DIR/wait ]; do sleep 0.05; done; test ! -e $DATA_DIR/torn"]
limits.stability = "100ms"
"""


class Hosts:
    """Two edgeds, an sshd that leads to both, and an app."""

    def __init__(self, one: Edged, two: Edged, ssh: Sshd, folder: Path) -> None:
        self.one, self.two, self.ssh, self.folder = one, two, ssh, folder

    def urls(self, *edgeds: Edged) -> list[str]:
        return [
            word
            for edged in edgeds or (self.one, self.two)
            for word in ("--host", self.ssh.url(edged.socket_path))
        ]

    def deploy(self, text: str, *options: str) -> Outcome:
        self.write(text)
        return self.one.ctl(*options, "deploy", str(self.folder), *self.urls())

    def begin(self) -> "subprocess.Popen[str]":
        """A deploy that is not waited for."""
        return self.one.begin_ctl("deploy", str(self.folder), *self.urls())

    def write(self, text: str) -> None:
        """The app; its process writes its pid into its data."""
        pid = 'open(os.environ["DATA_DIR"] + "/pid", "w").write(str(os.getpid()))\n'
        answer = LISTEN.replace('b"ok"', repr(text.encode())).replace("server =", pid + "server =")
        write(self.folder, {"edge.toml": MANIFEST, "app.py": answer})

    def pages(self) -> list[str]:
        return [
            fetch(edged.address, "/", host="blog.test").body.decode()
            for edged in (self.one, self.two)
        ]

    def described(self, edged: Edged) -> dict[str, Any]:
        apps = edged.ctl_json("apps")["apps"]
        return apps[0] if apps else {}

    def data(self, edged: Edged, name: str) -> Path:
        return edged.folder / "state" / "apps" / "blog" / "production" / "data" / name


@pytest.fixture(scope="module")
def ssh() -> Iterator[Sshd]:
    with sshd() as running:
        yield running


@pytest.fixture
def hosts(ssh: Sshd) -> Iterator[Hosts]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edged-app-")))
        environ = {"EDGED_SSH": ssh.command}
        one, two = (stack.enter_context(Edged(environ=environ)) for _ in range(2))
        yield Hosts(one, two, ssh, folder)


def test_both_hosts_serve_the_same_deploy(hosts: Hosts) -> None:
    outcome = hosts.deploy("v1", "--json")
    assert outcome, outcome
    told = outcome.json["hosts"]
    assert [(each["app"], each["release"]) for each in told] == [("blog/production", 1)] * 2
    assert hosts.pages() == ["v1", "v1"]
    for edged in (hosts.one, hosts.two):
        prefix = f"[{hosts.ssh.url(edged.socket_path).removeprefix('ssh://')}] "
        assert f"{prefix}release 1 serves" in outcome.err
    again = hosts.deploy("v2")
    assert again, again
    assert hosts.pages() == ["v2", "v2"]


def test_when_one_fails_to_build_none_switches(hosts: Hosts) -> None:
    assert hosts.deploy("v1")
    hosts.data(hosts.two, "torn").touch()
    outcome = hosts.deploy("v2")
    assert outcome.code == 1
    assert "exited with code 1" in outcome.err
    assert "No host has switched." in outcome.err
    assert hosts.pages() == ["v1", "v1"]
    assert [hosts.described(edged)["release"] for edged in (hosts.one, hosts.two)] == [1, 1]
    assert len(hosts.one.ctl_json("releases", "blog")["releases"]) == 1


def test_a_first_deploy_that_fails_on_one_leaves_no_app_on_the_other(hosts: Hosts) -> None:
    hosts.two.write(route("blog.test", extra='respond = "mine"'))
    hosts.two.reload()
    outcome = hosts.deploy("v1")
    assert outcome.code == 1
    assert "blog.test" in outcome.err
    eventually(lambda: hosts.described(hosts.one) == {})


def test_what_is_held_is_undone_when_the_deployer_dies(hosts: Hosts) -> None:
    assert hosts.deploy("v1")
    wait = hosts.data(hosts.two, "wait")
    wait.touch()
    hosts.write("v2")
    with hosts.begin() as process:
        assert process.stderr is not None
        lines = process.stderr
        while "waits for the other hosts" not in lines.readline():
            assert process.poll() is None
        assert hosts.described(hosts.one)["deploying"] == 2
        tunnels = children_of(process.pid)
        assert len(tunnels) == 2
        process.send_signal(signal.SIGKILL)
        process.wait()
    eventually(lambda: hosts.described(hosts.one)["deploying"] == 0)
    wait.unlink()
    eventually(lambda: hosts.described(hosts.two)["deploying"] == 0)
    assert hosts.pages() == ["v1", "v1"]
    assert "who asked for it is gone" in hosts.one.ctl("events").out
    eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in tunnels))
    assert hosts.deploy("v3")
    assert hosts.pages() == ["v3", "v3"]


def test_when_one_fails_at_the_switch_the_other_goes_back(hosts: Hosts) -> None:
    assert hosts.deploy("v1")
    wait, pid = hosts.data(hosts.one, "wait"), hosts.data(hosts.two, "pid")
    wait.touch()
    hosts.write("v2")
    with hosts.begin() as process:
        assert process.stderr is not None
        lines = process.stderr
        while "waits for the other hosts" not in lines.readline():
            assert process.poll() is None
        os.kill(int(pid.read_text()), signal.SIGKILL)  # proven on two, and gone before the word
        wait.unlink()
        said = lines.read()
        assert process.wait() == 1
    assert "did not stay well" in said
    assert "Not all hosts have switched." in said
    assert "serves release 1 again." in said
    assert hosts.pages() == ["v1", "v1"]


def test_a_host_without_an_edged_is_named_before_anything_is_sent(hosts: Hosts) -> None:
    hosts.write("v1")
    nobody = hosts.ssh.url(hosts.two.folder / "none.sock")
    outcome = hosts.one.ctl("deploy", str(hosts.folder), *hosts.urls(hosts.one), "--host", nobody)
    assert outcome.code == 1
    assert nobody.removeprefix("ssh://") in outcome.err
    assert hosts.described(hosts.one) == {}


def test_a_host_that_does_not_answer_is_named_with_what_ssh_says(hosts: Hosts) -> None:
    hosts.write("v1")
    outcome = hosts.one.ctl("deploy", str(hosts.folder), "--host", "ssh://127.0.0.1:1")
    assert outcome.code == 1
    assert "127.0.0.1:1 is not reached: " in outcome.err
    assert "refused" in outcome.err


def test_a_hold_that_gets_no_word_is_undone(hosts: Hosts) -> None:
    hosts.write("v1")
    name = str(hosts.folder)
    text = (
        "import sys; from control.apps.archive import pack; from control.cli.client import Client\n"
        f"archive = pack({name!r}); data = archive.read()\n"
        f"query = [('name', 'blog'), ('env', 'production'), ('hold', '1')]\n"
        f"client = Client({str(hosts.one.socket_path)!r})\n"
        "for line in client.upload('/v1/deploy', query, iter([data]), len(data)): print(line)\n"
    )
    told = hosts.one.python(text)
    assert "'held'" in told.out
    assert "did not come within 1 s" in told.out
    assert hosts.described(hosts.one) == {}
