"""The folders of an app: what edged writes into a release stays in it."""

from pathlib import Path

import pytest

from control.apps.home import Home


@pytest.mark.parametrize("place", ["folder", "file"])
def test_nothing_is_written_where_a_link_of_the_release_leads(tmp_path: Path, place: str) -> None:
    home = Home(str(tmp_path / "app"), None)
    release, outside = Path(home.release(1)), tmp_path / "outside"
    outside.mkdir()
    (outside / "router.php").write_text("somebody's")
    release.mkdir(parents=True)
    if place == "folder":
        (release / ".edged").symlink_to(outside)
    else:
        (release / ".edged").mkdir()
        (release / ".edged" / "router.php").symlink_to(outside / "router.php")
    home.write(1, ".edged/router.php", "ours")
    assert (outside / "router.php").read_text() == "somebody's"
    assert (release / ".edged" / "router.php").read_text() == "ours"
