"""Where an app in development is."""

import os
import socket
from pathlib import Path

import pytest

from control.cli.dev_place import Place, free_port
from control.config import load


def test_a_port_that_is_taken_is_not_used() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        usual = taken.getsockname()[1]
        assert free_port(usual) != usual
    assert free_port(usual) == usual


def test_its_server_file_loads_and_its_state_stays(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ("x" * 60)))
    folder = tmp_path / "shop"
    folder.mkdir()
    places = [Place.make(str(folder), "shop", "development") for _ in range(2)]
    assert places[0].kept == places[1].kept
    assert places[0].run_dir != places[1].run_dir
    for place in places:
        assert load(place.config).problems == ()
        assert len(place.socket) < 60
        place.leave()
        assert not os.path.exists(place.run_dir)
    assert os.listdir(folder) == []


@pytest.mark.parametrize("name", ["other", "shop"])
def test_other_folders_and_names_have_other_state(tmp_path: Path, monkeypatch, name: str) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    places = [Place.make(str(tmp_path / "a"), "shop", "production"),
              Place.make(str(tmp_path / "b"), name, "production")]  # fmt: skip
    for place in places:
        place.leave()
    assert places[0].kept != places[1].kept
