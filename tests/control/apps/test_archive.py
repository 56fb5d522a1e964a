"""Packing: the same folder is the same bytes, and what cannot travel is refused by its name."""

import os
import tarfile
from pathlib import Path
from typing import IO

import pytest

from control.apps.archive import pack, write_archive
from control.refusal import Refused


def plant(folder: Path) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "run").write_text("#!/bin/sh\n")
    (folder / "bin" / "run").chmod(0o700)
    (folder / "a.txt").write_bytes(b"a" * 100_000)
    (folder / "empty").write_bytes(b"")
    (folder / "link").symlink_to("bin/run")
    for path in (folder / "bin" / "run", folder / "a.txt", folder / "empty", folder / "link"):
        os.utime(path, (1_700_000_000.75, 1_700_000_000.75), follow_symlinks=False)
    return folder


def members(file: IO[bytes]) -> dict[str, tarfile.TarInfo]:
    with file, tarfile.open(fileobj=file) as archive:
        return {member.name: member for member in archive}


def test_files_links_modes_and_times_travel_but_owners_do_not(tmp_path: Path) -> None:
    found = members(pack(str(plant(tmp_path))))
    assert list(found) == ["a.txt", "bin/run", "empty", "link"]
    assert {one.mtime for one in found.values()} == {1_700_000_000}
    assert {(one.uid, one.gid, one.uname, one.gname) for one in found.values()} == {(0, 0, "", "")}
    assert [found[name].mode for name in ("a.txt", "bin/run")] == [0o644, 0o755]
    assert (found["link"].type, found["link"].linkname) == (tarfile.SYMTYPE, "bin/run")


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    first = pack(str(plant(tmp_path / "one")))
    second = pack(str(plant(tmp_path / "two")))
    with first, second:
        assert first.read() == second.read()


def test_it_says_how_far_it_is(tmp_path: Path) -> None:
    steps: list[int] = []
    pack(str(plant(tmp_path)), steps.append).close()
    assert sum(steps) == 100_000 + len("#!/bin/sh\n")
    assert max(steps) < 100_000


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "run/../../../x"])
def test_a_link_out_of_the_folder_is_refused_by_its_name(tmp_path: Path, target: str) -> None:
    (plant(tmp_path) / "bin" / "away").symlink_to(target)
    with pytest.raises(Refused, match="bin/away is a link that leads out") as refusal:
        pack(str(tmp_path))
    assert refusal.value.code == "link-leads-out"


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(plant(tmp_path)) + b"/caf\xe9")).write_text("x")
    with pytest.raises(Refused, match=r"name of caf\\xe9 is not UTF-8"):
        pack(str(tmp_path))


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="has no files") as refusal:
        pack(str(tmp_path))
    assert refusal.value.code == "nothing-to-pack"


def test_a_file_that_is_cut_meanwhile_is_refused(tmp_path: Path) -> None:
    plant(tmp_path)
    (tmp_path / "0.bin").write_bytes(os.urandom(1_000_000))

    def cut(_: int) -> None:
        os.truncate(tmp_path / "0.bin", 500_000)

    with pytest.raises(Refused, match=r"0\.bin was cut while it was read"):
        pack(str(tmp_path), cut)


def test_a_disk_that_is_full_is_told(tmp_path: Path) -> None:
    plant(tmp_path)
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space"):
        write_archive(str(tmp_path), full)
