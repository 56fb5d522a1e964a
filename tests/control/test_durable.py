"""Files that survive a crash: a writer that is killed or refused leaves the old one, or the new."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from control import durable
from tests.architecture.sources import ROOT
from tests.support.eventually import eventually

WRITING = """
import sys
from control import durable
print("writing", flush=True)
while True:
    for letter in (b"a", b"b"):
        durable.write(sys.argv[1], letter * 200_000)
"""


def test_a_writer_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for _ in range(5):
        command = [sys.executable, "-c", WRITING, str(path)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"writing\n"
            eventually(path.exists)
            writer.send_signal(signal.SIGKILL)
        content = path.read_bytes()
        assert (len(content), len(set(content))) == (200_000, 1)
    names = {each.name for each in tmp_path.iterdir()}
    assert {name for name in names if not durable.is_unfinished(name)} == {"file"}


def test_a_write_that_is_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "place" / "taken").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        durable.write(str(tmp_path / "place"), b"x")
    with pytest.raises(OSError, match="not empty"):
        durable.write_folder(str(tmp_path / "place"), {"a": b"x"})
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_a_folder_that_is_not_filled_to_its_end_is_not_there(tmp_path: Path) -> None:
    def fill(end: BaseException | None) -> None:
        with durable.folder_beside(str(tmp_path / "place")) as fresh:
            (Path(fresh) / "deep").mkdir()
            (Path(fresh) / "deep" / "file").write_text("x")
            assert not (tmp_path / "place").exists()
            assert durable.is_unfinished(Path(fresh).name)
            if end is not None:
                raise end

    for end in (ValueError("bad"), KeyboardInterrupt()):
        with pytest.raises(type(end)):
            fill(end)
        assert list(tmp_path.iterdir()) == []
    fill(None)
    assert [path.name for path in tmp_path.iterdir()] == ["place"]
    assert (tmp_path / "place" / "deep" / "file").read_text() == "x"


def test_a_folder_appears_with_all_its_files_and_they_alone_are_its_owners(
    tmp_path: Path,
) -> None:
    owner = durable.Owner(65534, 65534) if os.geteuid() == 0 else durable.Owner()
    durable.write_folder(str(tmp_path / "pair"), {"a": b"1", "b": b"2"}, owner)
    made = [tmp_path / "pair", *(tmp_path / "pair").iterdir()]
    assert {path.name: path.read_bytes() for path in made[1:]} == {"a": b"1", "b": b"2"}
    passable = 0o711 if os.geteuid() == 0 else 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [passable, 0o600, 0o600]
    if os.geteuid() == 0:
        assert {(path.stat().st_uid, path.stat().st_gid) for path in made[1:]} == {owner}
        assert made[0].stat().st_uid == 0
