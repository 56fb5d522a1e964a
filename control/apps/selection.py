"""Which files of a folder are its app: what git would list, or what the ignore files leave.

In a git work tree git decides, and a `.edgeignore` takes away more. Elsewhere, and where there is
no git to ask, `.gitignore` and `.edgeignore` do, each for its folder and those beneath it.
"""

import os
import subprocess
from collections.abc import Iterator
from typing import Final

from pathspec import GitIgnoreSpec

from control import durable
from control.refusal import Refused

NEVER: Final = frozenset({".git", ".venv", "node_modules", "__pycache__", ".edged"})
"""What is made anew where the app runs, or is none of its business; in any folder."""

GIT_RULES: Final = ".gitignore"
OWN_RULES: Final = ".edgeignore"

_VIRTUAL: Final = "pyvenv.cfg"
"""The file that makes a folder a virtual environment, whatever its name is."""


def select(folder: str) -> list[str]:
    """The names of the files and links, relative and sorted. Raises `Refused`."""
    if not os.path.isdir(folder):
        raise Refused("not-a-folder", f"{folder} is not a folder.")
    names = [name for name in _chosen(folder) if not _is_never(name)]
    return sorted(set(names), key=os.fsencode)


class Rules:
    """The ignore files of a folder and of all beneath it."""

    def __init__(self, root: str, *files: str) -> None:
        self._root = root
        self._files = files
        self._specs: dict[str, GitIgnoreSpec | None] = {}
        self._ignored: dict[str, bool] = {"": False}

    def __repr__(self) -> str:
        return f"<Rules {' '.join(self._files)} of {self._root}>"

    def ignores(self, name: str) -> bool:
        """Whether that file is left out, by its own name or with a folder above it."""
        return self.ignores_folder(os.path.dirname(name)) or self._decides(name)

    def ignores_folder(self, name: str) -> bool:
        """The same for a folder."""
        known = self._ignored.get(name)
        if known is None:
            known = self.ignores_folder(os.path.dirname(name)) or self._decides(f"{name}/")
            self._ignored[name] = known
        return known

    # Private

    def _decides(self, name: str) -> bool:
        """The nearest file that says something about it decides."""
        above = os.path.dirname(name.rstrip("/"))
        while True:
            spec = self._spec(above)
            if spec is not None:
                verdict = spec.check_file(name[len(above) + 1 :] if above else name).include
                if verdict is not None:
                    return verdict
            if not above:
                return False
            above = os.path.dirname(above)

    def _spec(self, above: str) -> GitIgnoreSpec | None:
        if above not in self._specs:
            paths = (os.path.join(self._root, above, file) for file in self._files)
            lines = [line for path in paths for line in _lines_of(path)]
            self._specs[above] = GitIgnoreSpec.from_lines(lines) if lines else None
        return self._specs[above]


# Private


def _chosen(folder: str) -> Iterator[str]:
    top = _top_of(folder)
    if top is not None and (listed := _listed(folder)) is not None:
        rules = Rules(folder, OWN_RULES)
        yield from (name for name in listed if not rules.ignores(name))
        return
    rules, prefix = Rules(folder, GIT_RULES, OWN_RULES), ""
    if top is not None:
        above = Rules(top, GIT_RULES, OWN_RULES)
        way = os.path.relpath(os.path.realpath(folder), top)
        if way != "." and not above.ignores_folder(way):
            rules, prefix = above, f"{way}/"
    yield from _walked(folder, "", rules, prefix)


def _top_of(folder: str) -> str | None:
    """The git work tree that a folder is in."""
    path = os.path.realpath(folder)
    while not os.path.lexists(os.path.join(path, ".git")):
        path, below = os.path.dirname(path), path
        if path == below:
            return None
    return path


def _listed(folder: str) -> list[str] | None:
    """What git lists, repositories in it too; None if it cannot be asked, or ignores it all."""
    listed = _git(folder, "ls-files", "-co", "--exclude-standard", "-z")
    if listed is None or (not listed and _git(folder, "check-ignore", ".")):
        return None
    names: list[str] = []
    for name in os.fsdecode(listed).split("\0"):
        path = os.path.join(folder, name)
        if os.path.isdir(path) and not os.path.islink(path):
            if name and os.path.lexists(os.path.join(path, ".git")):
                name = name.rstrip("/")
                names += (f"{name}/{each}" for each in _chosen(path))
        elif os.path.lexists(path):  # git goes on to list what was removed and not committed
            names.append(name)
    return names


def _git(folder: str, verb: str, *options: str) -> bytes | None:
    """What git says there, or None without a git on this machine."""
    environment = {name: text for name, text in os.environ.items() if name[:4] != "GIT_"}
    environment |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
    command = ["git", "-c", "core.fsmonitor=false", verb, *options]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, check=False
        )
    except FileNotFoundError:
        return None
    if done.returncode not in ((0, 1) if verb == "check-ignore" else (0,)):
        why = os.fsdecode(done.stderr).strip().removeprefix("fatal: ")
        raise Refused("git-failed", f"git cannot list the files of {folder}: {why}")
    return done.stdout


def _walked(folder: str, above: str, rules: Rules, prefix: str) -> Iterator[str]:
    path = os.path.join(folder, above)
    try:
        entries = list(os.scandir(path))
    except OSError as error:
        raise Refused("unreadable", f"{path} cannot be read: {error.strerror}.") from None
    if above and any(entry.name == _VIRTUAL for entry in entries):
        return
    for entry in entries:
        name = f"{above}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            if not _is_never(name) and not rules.ignores_folder(prefix + name):
                yield from _walked(folder, f"{name}/", rules, prefix)
        elif (entry.is_symlink() or entry.is_file()) and not rules.ignores(prefix + name):
            yield name


def _is_never(name: str) -> bool:
    parts = name.split("/")
    return not NEVER.isdisjoint(parts) or any(map(durable.is_unfinished, parts))


def _lines_of(path: str) -> list[str]:
    if os.path.islink(path):  # as git: what a link leads to is no rule of this folder
        return []
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().split("\n")
    except OSError:
        return []
