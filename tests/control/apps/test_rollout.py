"""What is written down of a deploy at each of its steps: control may be killed after any."""

import os
import shutil
from pathlib import Path

import pytest

from control.apps import home
from control.apps.app import App
from control.apps.record import AppRecord, record_of
from control.apps.rollout import KEPT_RELEASES, Rollout
from control.refusal import Refused
from tests.support.app_bench import AppBench
from tests.support.app_trouble import archive_of

SITE = 'name = "blog"\nruntime = "static"\nroutes = ["blog.test"]\n'


class Notes:
    """What the next control would find written down."""

    def __init__(self, app: App) -> None:
        self.record = app.record
        self.home = app.tools.home(app.record)
        self.last = record_of(app.record.id, app.record.to_json())

    def keep(self, record: AppRecord) -> None:
        self.last = record_of(record.id, record.to_json())
        for each in self.last.releases:
            assert os.path.isdir(self.home.release(each.number)), f"{each.number} is not there"

    def remove(self, folder: str, **more: bool) -> None:
        number = int(os.path.basename(folder))
        is_known = number in {each.number for each in self.last.releases}
        assert not is_known or number == self.last.deploying, f"{number} is written down"
        shutil.rmtree(folder, **more)


@pytest.fixture
def app(apps: AppBench, monkeypatch: pytest.MonkeyPatch) -> App:
    made = apps.app(routes=("blog.test",), root=".")
    notes = Notes(made)
    made.tools = apps.tools = made.tools.__class__(
        **{name: getattr(made.tools, name) for name in made.tools.__slots__} | {"keep": notes.keep}
    )
    monkeypatch.setattr(home, "rmtree", notes.remove)
    return made


def deploy(app: App, folder: Path, more: str = "") -> None:
    folder.mkdir(exist_ok=True)
    (folder / "edge.toml").write_text(SITE + more)
    (folder / "index.html").write_text("hello")
    archive = folder.with_suffix(".tar.gz")
    archive.write_bytes(archive_of(folder))
    with archive.open("rb") as file:
        Rollout(app, lambda line: None, lambda app, spec: None).deploy(file, "production")


def test_a_release_that_is_written_down_is_there_and_none_that_is_not(
    app: App, tmp_path: Path
) -> None:
    for _ in range(KEPT_RELEASES + 2):
        deploy(app, tmp_path / "blog")
    with pytest.raises(Refused):
        deploy(app, tmp_path / "blog", 'build.commands = ["exit 3"]\n')
    numbers = [each.number for each in app.record.releases]
    assert len(numbers) == KEPT_RELEASES
    assert sorted(map(int, os.listdir(app.tools.home(app.record).releases))) == numbers
