"""Which files are an app: asked of git where there is one, else the same by the ignore files."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.apps.selection import GIT_RULES, OWN_RULES, Rules, select
from control.refusal import Refused

TREE = {
    "app.py": "",
    "debug.log": "",
    "keep.log": "",
    "build/out.js": "",
    "build/keep/me.js": "",
    "src/build": "a file, and no folder",
    "src/deep/er/notes.tmp": "",
    "src/deep/er/code.py": "",
    "src/local.cfg": "",
    "docs/a.md": "",
    "docs/b.txt": "",
    "name with space.py": "",
    "ünïcode.py": "",
    ".gitignore": "*.log\n!keep.log\nbuild/\n# a comment\n/docs/*\n!docs/a.md\n**/er/*.tmp\n",
    "src/.gitignore": "local.cfg\n!deep/er/notes.tmp\n",
}


def plant(folder: Path, tree: dict[str, str]) -> None:
    for name, text in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def git(folder: Path, *words: str) -> None:
    mine = (
        "-c",
        "user.name=n",
        "-c",
        "user.email=n@example.com",
        "-c",
        "protocol.file.allow=always",
    )
    subprocess.run(["git", *mine, *words], cwd=folder, check=True, capture_output=True)


def test_git_decides_and_the_ignore_files_alone_decide_the_same(tmp_path: Path) -> None:
    plant(tmp_path, TREE)
    alone = select(str(tmp_path))
    git(tmp_path, "init")
    assert select(str(tmp_path)) == alone
    assert alone == sorted(
        {
            ".gitignore",
            "app.py",
            "docs/a.md",
            "keep.log",
            "name with space.py",
            "src/.gitignore",
            "src/build",
            "src/deep/er/code.py",
            "src/deep/er/notes.tmp",
            "ünïcode.py",
        },
        key=os.fsencode,
    )


LINES = st.lists(
    st.sampled_from(
        [
            "a",
            "b/",
            "/a",
            "*.c",
            "!a",
            "!*.c",
            "a/b",
            "**/b",
            "a/**",
            "b/*",
            "!b/*",
            "?",
            "[ab]",
            "\\!a",
        ]
    ),
    max_size=4,
)
NAMES = [
    f"{above}{name}" for above in ("", "a/", "b/", "d/", "d/b/") for name in ("x", "y.c", "!a")
]


@given(top=LINES, below=LINES)
def test_rules_without_git_are_those_of_git(
    top: list[str], below: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("rules")
    plant(folder, dict.fromkeys(NAMES, ""))
    plant(folder, {".gitignore": "\n".join(top), "d/.gitignore": "\n".join(below)})
    alone = select(str(folder))
    git(folder, "init")
    assert select(str(folder)) == alone


def test_what_is_made_anew_on_the_server_never_goes(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "a.py": "",
            "node_modules/x/index.js": "",
            "web/node_modules/y.js": "",
            ".venv/bin/python": "",
            "env311/pyvenv.cfg": "",
            "env311/bin/pip": "",
            "pkg/__pycache__/m.pyc": "",
            ".edged/state.db": "",
            ".new-release-00ff/half": "",
        },
    )
    assert select(str(tmp_path)) == ["a.py"]
    git(tmp_path, "init")
    git(tmp_path, "add", "--all", "--force", ".")
    assert not {name for name in select(str(tmp_path)) if "node_modules" in name or ".venv" in name}


def test_edgeignore_takes_away_from_what_git_lists(tmp_path: Path) -> None:
    plant(tmp_path, {"a.py": "", "tests/t.py": "", "tests/keep.py": "", ".edgeignore": "tests/\n"})
    git(tmp_path, "init")
    git(tmp_path, "add", "--all")
    assert select(str(tmp_path)) == [".edgeignore", "a.py"]


def test_a_folder_of_a_larger_repository_has_its_rules(tmp_path: Path) -> None:
    plant(tmp_path, {".gitignore": "secret*\n", "app/a.py": "", "app/secret.txt": "", "b.py": ""})
    git(tmp_path, "init")
    assert select(str(tmp_path / "app")) == ["a.py"]


def test_without_git_the_rules_of_the_larger_repository_still_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, {".gitignore": "secret*\n", "app/a.py": "", "app/secret.txt": "", "b.py": ""})
    git(tmp_path, "init")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert select(str(tmp_path / "app")) == ["a.py"]


def test_a_folder_that_an_outer_repository_ignores_is_its_own(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {".gitignore": "*\n", "app/a.py": "", "app/x.log": "", "app/.gitignore": "*.log\n"},
    )
    git(tmp_path, "init")
    assert select(str(tmp_path / "app")) == [".gitignore", "a.py"]


def test_what_was_removed_and_not_committed_is_not_listed(tmp_path: Path) -> None:
    plant(tmp_path, {"a.py": "", "gone.py": ""})
    git(tmp_path, "init")
    git(tmp_path, "add", "--all")
    (tmp_path / "gone.py").unlink()
    assert select(str(tmp_path)) == ["a.py"]


def test_repositories_in_a_repository_are_listed_too(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {"other/lib.py": "", "other/.gitignore": "*.o\n", "app/a.py": "", "app/new/n.py": ""},
    )
    git(tmp_path / "other", "init")
    git(tmp_path / "other", "add", "--all")
    git(tmp_path / "other", "commit", "-m", "one")
    git(tmp_path / "app", "init")
    git(tmp_path / "app", "submodule", "add", str(tmp_path / "other"), "lib")
    git(tmp_path / "app" / "new", "init")
    (tmp_path / "app" / "lib" / "x.o").write_text("")
    assert select(str(tmp_path / "app")) == [
        ".gitmodules",
        "a.py",
        "lib/.gitignore",
        "lib/lib.py",
        "new/n.py",
    ]


def test_a_hook_of_git_may_deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, {"app/a.py": "", "elsewhere/b.py": ""})
    git(tmp_path / "app", "init")
    git(tmp_path / "elsewhere", "init")
    plant(tmp_path, {"elsewhere/.git/info/exclude": "*\n"})
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere" / ".git"))
    assert select(str(tmp_path / "app")) == ["a.py"]


def test_a_repository_that_git_cannot_read_is_refused_and_not_sent_whole(tmp_path: Path) -> None:
    plant(tmp_path, {"a.py": "", ".git/config": "[core\n"})
    with pytest.raises(Refused) as refusal:
        select(str(tmp_path))
    assert refusal.value.code == "git-failed"


def test_links_to_folders_are_links_and_pipes_are_nothing(tmp_path: Path) -> None:
    plant(tmp_path, {"real/a.py": ""})
    (tmp_path / "link").symlink_to("real")
    os.mkfifo(tmp_path / "pipe")
    assert select(str(tmp_path)) == ["link", "real/a.py"]


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is not a folder"):
        select(str(tmp_path / "none"))


def test_rules_say_what_they_are(tmp_path: Path) -> None:
    assert repr(Rules("/app", GIT_RULES, OWN_RULES)) == "<Rules .gitignore .edgeignore of /app>"
