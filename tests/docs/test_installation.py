"""The README's installation, word for word: what a user without a checkout's tools gets."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.commands import installation
from tests.docs.pages import ROOT, blocks

README = ROOT / "README.md"
WITHIN_S = 300.0


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that all may enter, also the user of workers."""
    folder = Path(tempfile.mkdtemp(prefix="edged-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_an_installed_edged_checks_the_three_lines_and_teaches(place: Path) -> None:
    home, checkout = place / "home", place / "checkout"
    home.mkdir()
    for name in ("edge", "supervisor", "control"):
        shutil.copytree(ROOT / name, checkout / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    [three_lines, *_] = blocks("toml", page=README)
    (checkout / "edged.toml").write_text(three_lines.text, encoding="utf-8")
    use = ["edged --check --config edged.toml", "edgectl --help", "edged --version"]
    out = shell("\n".join(["set -e", *installation(), *use]), home, checkout)
    assert "edged.toml: good, 2 routes" in out
    assert "Exit codes:" in out
    assert (home / "edged" / "bin" / "edgectl").exists()


def shell(script: str, home: Path, folder: Path) -> str:
    """What a user's shell prints who has the system's Python and nothing of ours."""
    python = Path(sys.base_prefix) / "bin"
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env={"HOME": str(home), "PATH": f"{python}:{os.defpath}", "PIP_NO_INPUT": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
