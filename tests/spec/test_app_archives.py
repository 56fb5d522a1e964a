"""What comes with a deploy is a stranger's: hostile, cut off, too much, or somebody else's."""

import gzip
import io
import json
import os
import socket
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.app_trouble import (
    SERVE,
    Platform,
    Shop,
    archive_of,
    begin_upload,
    serving_meanwhile,
)
from tests.support.edged import Edged, route
from tests.support.eventually import eventually

SLOW_START = SERVE + "time.sleep(1)\nlisten()\n"

OURS = route("taken.test", extra='respond = "mine"')

DISK_BYTES = 24 << 20
MUCH_BYTES = 12 << 20
"""It fits twice, as an archive and unpacked; but not beside another one."""


@pytest.fixture(scope="module")
def running() -> Iterator[Edged]:
    with Edged(OURS, workers=2) as edged:
        yield edged


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def special(name: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    return member


HOSTILE: dict[str, tuple[list[tarfile.TarInfo], str]] = {
    "dots": ([tarfile.TarInfo("../../../planted")], "leads out of the folder by .."),
    "absolute": ([tarfile.TarInfo("/planted")], "has an absolute name"),
    "link out": ([link("etc", "../../../..")], "leads out"),
    "absolute link": ([link("passwd", "/etc/passwd")], "absolute"),
    "through a link": (
        [link("here", "."), tarfile.TarInfo("here/../../planted")],
        "leads out",
    ),
    "hard link": ([link("shadow", "/etc/shadow", tarfile.LNKTYPE)], "absolute name"),
    "device": ([special("disk", tarfile.BLKTYPE)], "is a device"),
    "terminal": ([special("tty", tarfile.CHRTYPE)], "is a device"),
    "pipe": ([special("pipe", tarfile.FIFOTYPE)], "is a pipe"),
    "setuid": ([tarfile.TarInfo("root")], "setuid"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_refused_with_the_name_of_what_is_wrong(
    platform: Platform, tmp_path: Path, case: str
) -> None:
    shop = Shop(tmp_path / "hostile").write()
    members, says = HOSTILE[case]
    if case == "setuid":
        members[0].mode = 0o4755
    outcome = send(platform, shop, with_members(shop, members))
    assert outcome["error"] == "archive-unsafe", outcome
    assert says in outcome["message"]
    assert members[-1].name.removeprefix("here/") in outcome["message"]
    assert not platform.app(shop)
    assert not platform.home(shop).exists()
    assert not [*platform.edged.folder.rglob("planted")]
    assert not Path("/planted").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", gzip.compress(b"x" * 4096, mtime=0)],
    ids=["nothing", "text", "zipped"],
)
def test_what_is_no_archive_is_refused(platform: Platform, tmp_path: Path, content: bytes) -> None:
    shop = Shop(tmp_path / "hostile").write()
    outcome = send(platform, shop, content)
    assert outcome["error"] == "archive-malformed", outcome
    assert not platform.home(shop).exists()


def test_an_archive_that_is_cut_off_in_its_middle_is_told_as_such(
    platform: Platform, tmp_path: Path
) -> None:
    shop = Shop(tmp_path / "cut").write()
    content = archive_of(shop.folder)
    outcome = send(platform, shop, content[: len(content) // 2])
    assert outcome["error"] == "archive-malformed"
    assert "is cut short" in outcome["message"]
    assert not platform.home(shop).exists()


def test_an_upload_that_breaks_off_is_no_deploy(platform: Platform, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "broken-off").write("one")
    platform.deploy(shop)
    content = archive_of(shop.write("two").folder)
    with begin_upload(platform.edged, shop, content[: len(content) // 2], len(content)):
        assert platform.edged.ctl("apps")
    assert platform.edged.ctl("apps")
    assert platform.release_of(shop) == "one"
    assert platform.kept(shop)["last"] == 1
    assert platform.edged.ctl("delete", shop.id, "--yes")


def test_an_archive_of_another_app_is_refused(platform: Platform, tmp_path: Path) -> None:
    shop, other = Shop(tmp_path / "mine").write(), Shop(tmp_path / "other").write()
    outcome = send(platform, shop, archive_of(other.folder))
    assert outcome["error"] == "manifest-invalid"
    assert outcome["message"] == "The archive is of other/production, and not of mine/production."
    assert not platform.app(shop)
    assert not platform.app(other)


@pytest.mark.parametrize(
    ("pattern", "owner"), [("well.test", "app well/production"), ("taken.test", "edged.toml:")]
)
def test_a_route_of_somebody_else_is_refused_and_both_owners_are_named(
    platform: Platform, tmp_path: Path, pattern: str, owner: str
) -> None:
    shop = Shop(tmp_path / "greedy").write(head=f'routes = ["{pattern}"]')
    outcome = platform.edged.ctl("deploy", str(shop.folder))
    assert outcome.code == 1
    for text in (pattern, owner, "app greedy/production"):
        assert text in outcome.err, outcome.err
    assert not platform.home(shop).exists()
    assert platform.processes(shop) == []


def test_a_reload_cannot_take_the_route_of_an_app(platform: Platform, tmp_path: Path) -> None:
    edged = platform.edged
    edged.write(OURS + route("well.test", extra='respond = "ha"'))
    outcome = edged.ctl("reload")
    edged.write(OURS)
    assert outcome.code == 1
    for text in ("well.test", "edged.toml:", "app well/production"):
        assert text in outcome.err, outcome.err
    edged.reload()


def test_two_deploys_of_an_app_queue(platform: Platform, tmp_path: Path) -> None:
    word = platform.edged.folder / "go"  # whoever reads it waits until somebody writes
    os.mkfifo(word)
    word.chmod(0o644)
    held = f"open({str(word)!r}).read()\n"
    first = Shop(tmp_path / "a" / "queue").write("one", held + SERVE + "listen()\n")
    second = Shop(tmp_path / "b" / "queue").write("two")
    deploys = [platform.begin_deploy(first)]
    eventually(lambda: platform.app(first).get("deploying") == 1)
    deploys.append(platform.begin_deploy(second))
    said = deploys[1].stderr
    assert said is not None
    assert any("waiting for another order for queue/production" in line for line in said)
    word.write_text("go")
    outputs = [deploy.communicate(timeout=30) for deploy in deploys]
    assert [deploy.returncode for deploy in deploys] == [0, 0], outputs
    assert platform.release_of(second) == "two"
    assert platform.releases(second) == ["1", "2"]
    assert platform.edged.ctl("delete", second.id, "--yes")


def test_a_deploy_that_waited_for_one_that_failed_is_the_first(
    platform: Platform, tmp_path: Path
) -> None:
    first = Shop(tmp_path / "a" / "again").write("one", "import time; time.sleep(1); print(1 / 0)")
    second = Shop(tmp_path / "b" / "again").write("two")
    failing = platform.begin_deploy(first)
    eventually(lambda: platform.app(first).get("deploying") == 1)
    platform.deploy(second)
    failing.communicate(timeout=30)
    assert failing.returncode == 1
    assert platform.release_of(second) == "two"
    platform.kill_control()
    assert platform.release_of(second) == "two"
    assert platform.edged.ctl("delete", second.id, "--yes")


def test_a_deploy_whose_client_goes_away_goes_on_to_its_end(
    platform: Platform, tmp_path: Path
) -> None:
    shop = Shop(tmp_path / "left").write("one", SLOW_START)
    deploy = platform.begin_deploy(shop)
    eventually(lambda: platform.app(shop).get("deploying") == 1)
    deploy.kill()
    deploy.communicate()
    eventually(lambda: platform.release_of(shop) == "one")
    assert platform.app(shop)["deploying"] == 0
    assert platform.edged.ctl("delete", shop.id, "--yes")


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of its own, which is soon full."""
    if os.geteuid():
        pytest.skip("only root can mount a small disk")
    folder = Path(tempfile.mkdtemp(prefix="edged-disk-"))  # where workers can reach it
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=755", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        folder.rmdir()
        pytest.skip("this machine lets root mount no tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


@pytest.mark.parametrize(
    ("size", "says"),
    [(DISK_BYTES * 2, "the archive is not kept in"), (MUCH_BYTES, "much cannot be written")],
    ids=["upload", "unpack"],
)
def test_a_full_disk_refuses_a_deploy_and_what_serves_goes_on(
    small_disk: Path, tmp_path: Path, size: int, says: str
) -> None:
    with Edged(workers=2, state_dir=small_disk) as edged:
        platform = Platform(edged)
        with serving_meanwhile(platform, tmp_path / "well"):
            shop = Shop(tmp_path / "big").write("one")
            platform.deploy(shop)
            (shop.write("two").folder / "much").write_bytes(os.urandom(size))
            outcome = edged.ctl("deploy", str(shop.folder))
            assert outcome.code == 1
            assert says in outcome.err
            assert "No space left on device" in outcome.err
            assert_room(platform, shop)
            (shop.folder / "much").unlink()
            platform.deploy(shop)
            assert platform.release_of(shop) == "two"


def assert_room(platform: Platform, shop: Shop) -> None:
    """What did not fit has left nothing, and the old release serves."""
    assert platform.release_of(shop) == "one"
    assert platform.releases(shop) == ["1"]
    disk = os.statvfs(platform.edged.state_path)
    assert disk.f_bavail * disk.f_frsize > DISK_BYTES // 2
    assert platform.kept(shop)["deploying"] == 0


def with_members(shop: Shop, members: list[tarfile.TarInfo]) -> bytes:
    """The archive of a folder, with more in it."""
    file = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive_of(shop.folder))) as good,
        tarfile.open(fileobj=file, mode="w:gz") as archive,
    ):
        for member in good:
            archive.addfile(member, good.extractfile(member))
        for member in members:
            archive.addfile(member)
    return file.getvalue()


def send(platform: Platform, shop: Shop, content: bytes) -> dict[str, str]:
    """Deploy an archive by the API itself; its last document."""
    with begin_upload(platform.edged, shop, content) as sent:
        return last_document(sent.recv, sent)


def last_document(read: Callable[[int], bytes], link: socket.socket) -> dict[str, str]:
    link.shutdown(socket.SHUT_WR)
    answer = b""
    while piece := read(65536):
        answer += piece
    lines = [line for line in answer.split(b"\n") if line.startswith(b"{")]
    found: dict[str, str] = json.loads(lines[-1])
    return found
