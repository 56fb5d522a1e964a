"""An app is kept from edged and from other apps: its user, its folders, what it inherits."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from control.apps.tools import FIRST_UID
from tests.support.app_trouble import SERVE, Platform, Shop
from tests.support.edged import Edged

SPYING = (
    """
import json, os
opened = {}
for fd in os.listdir("/proc/self/fd"):
    try:
        opened[int(fd)] = os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        pass  # that of this look
"""
    + SERVE
    + """
def look():
    status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
    return {
        "uids": os.getresuid(), "gids": os.getresgid(), "groups": os.getgroups(),
        "environ": dict(os.environ), "opened": opened, "umask": status["Umask"].strip(),
        "no_new_privs": status["NoNewPrivs"].strip(), "rights": int(status["CapEff"], 16),
        "session": os.getsid(0) == os.getpid(),
        "score": int(open("/proc/self/oom_score_adj").read()),
    }
def attempt(what, path):
    try:
        if what == "list":
            os.listdir(path)
        else:
            os.close(os.open(path, {"read": os.O_RDONLY, "write": os.O_RDWR | os.O_CREAT}[what]))
    except OSError as error:
        return error.strerror
    return "done"
def answer(path):
    _, what, *rest = path.split("/", 2)
    if what == "look":
        return 200, json.dumps(look())
    if what in ("list", "read", "write"):
        from urllib.parse import unquote
        return 200, attempt(what, unquote(rest[0]))
    return 200, release
listen()
"""
)
"""Says what it is, and tries what it is told to."""

ENVIRONMENT = {
    "PATH", "HOME", "TMPDIR", "LANG", "EDGED_APP", "DATA_DIR", "HOST", "PORT", "EDGED_INSTANCE",
    "NO_COLOR", "GREETING", "TOKEN",
}  # fmt: skip

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give apps their own users")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with Edged(workers=2, environ={"EDGED_OWN": "secret"}) as edged:
        made, folder = Platform(edged), tmp_path_factory.mktemp("apps")
        for name in ("spy", "other"):
            shop = Shop(folder / name).write("one", SPYING, head='vars = { GREETING = "hello" }')
            outcome = edged.ctl("secrets", "set", shop.id, "TOKEN", feed=f"{name}'s own")
            assert outcome, outcome
            made.deploy(shop)
        yield made


@pytest.fixture
def spy(platform: Platform) -> Shop:
    return Shop(Path("spy"))


@pytest.fixture
def other(platform: Platform) -> Shop:
    return Shop(Path("other"))


def seen(platform: Platform, shop: Shop) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(platform.ask(shop, "/look"))
    return found


def tried(platform: Platform, shop: Shop, what: str, path: Path) -> str:
    return platform.ask(shop, f"/{what}/{quote(str(path), safe='')}")


def test_an_app_has_its_own_environment_and_nothing_of_edgeds(
    platform: Platform, spy: Shop
) -> None:
    environ = seen(platform, spy)["environ"]
    assert set(environ) - {"LC_CTYPE"} == ENVIRONMENT  # which Python itself sets
    assert environ["EDGED_APP"] == spy.id
    assert environ["GREETING"] == "hello"
    assert environ["TOKEN"] == "spy's own"
    assert "secret" not in environ.values()


def test_an_app_has_the_descriptors_0_to_4_and_no_others(platform: Platform, spy: Shop) -> None:
    opened = {int(fd): place for fd, place in seen(platform, spy)["opened"].items()}
    name = platform.app(spy)["instances"][0]["name"]
    pipes = platform.edged.run_dir.resolve() / "apps"
    assert opened == {
        0: "/dev/null",
        1: str(pipes / f"{name}.out"),
        2: str(pipes / f"{name}.err"),
        4: str(pipes / f"{name}.ready"),
    }


def test_an_app_gains_no_privileges_and_goes_before_edged_when_memory_is_short(
    platform: Platform, spy: Shop
) -> None:
    found = seen(platform, spy)
    assert found["no_new_privs"] == "1"
    assert found["session"]
    assert found["umask"] == "0027"
    edged = Path(f"/proc/{platform.edged.master_pid}/oom_score_adj").read_text()
    assert found["score"] > int(edged)


@as_root
def test_each_app_is_a_user_of_its_own(platform: Platform, spy: Shop, other: Shop) -> None:
    mine, others = seen(platform, spy), seen(platform, other)
    for found in (mine, others):
        assert len({*found["uids"], *found["gids"]}) == 1
        assert found["uids"][0] >= FIRST_UID
        assert found["groups"] == []
        assert found["rights"] == 0
    assert mine["uids"] != others["uids"]


@as_root
def test_an_app_reads_its_release_changes_it_never_and_writes_to_its_data_alone(
    platform: Platform, spy: Shop
) -> None:
    home = platform.home(spy)
    release = home / "releases" / "1"
    assert tried(platform, spy, "read", release / "app.py") == "done"
    for path in (release / "app.py", release / "new", home / "new", home / "log" / "new"):
        assert tried(platform, spy, "write", path) == "Permission denied", path
    assert tried(platform, spy, "write", home / "data" / "new") == "done"
    assert (home / "data" / "new").stat().st_uid == seen(platform, spy)["uids"][0]


@as_root
def test_an_app_reads_nothing_of_edged(platform: Platform, spy: Shop) -> None:
    edged = platform.edged
    for folder in (edged.state_path, edged.state_path / "apps", edged.run_dir / "apps"):
        assert tried(platform, spy, "list", folder) == "Permission denied", folder
    for path in (edged.state_path / "state.db", edged.state_path / "state.db-wal"):
        assert path.exists()
        assert tried(platform, spy, "read", path) == "Permission denied", path
    private = [path for path in edged.state_path.iterdir() if path.is_file()]
    assert any("key" in path.name for path in private), private
    for path in private:
        assert tried(platform, spy, "read", path) == "Permission denied", path


@as_root
def test_an_app_reads_nothing_of_another_one(platform: Platform, spy: Shop, other: Shop) -> None:
    home = platform.home(other)
    for folder in (home / "data", home / "log", home / "releases", home / "releases" / "1", home):
        assert tried(platform, spy, "list", folder) == "Permission denied", folder
    assert tried(platform, spy, "read", home / "releases" / "1" / "app.py") == "Permission denied"
    name = platform.app(other)["instances"][0]["name"]
    for kind in ("out", "err", "ready"):
        pipe = platform.edged.run_dir / "apps" / f"{name}.{kind}"
        assert tried(platform, other, "read", pipe) == "done"
        assert tried(platform, spy, "read", pipe) == "Permission denied", pipe
        assert tried(platform, spy, "write", pipe) == "Permission denied", pipe
    [pid] = platform.pids(other)
    assert tried(platform, spy, "read", Path(f"/proc/{pid}/environ")) == "Permission denied"


@as_root
def test_an_app_may_not_ask_the_admin_api(platform: Platform, spy: Shop) -> None:
    assert tried(platform, spy, "write", platform.edged.socket_path) == "Permission denied"


def test_the_status_says_what_isolation_is_missing(platform: Platform) -> None:
    missing = platform.edged.ctl_json("status")["isolation_missing"]
    text = platform.edged.ctl("status").out
    for sentence in missing:
        assert sentence in text
    assert ("kept apart" in text) == bool(missing)
    lacks_users = any("run as the user that edged runs as" in each for each in missing)
    assert lacks_users == (os.geteuid() != 0)
