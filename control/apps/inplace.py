"""Apps in the folder where they are written, for `edgectl dev`: nothing is copied or handed over.

Only an edged that was started for that does so. Its apps have its own user and PATH, one instance
that does not sleep, and NAME.localhost in place of the routes that they have elsewhere.
"""

import hashlib
import os
from dataclasses import replace
from typing import Final

from control.config.hosts import host_of
from control.manifest.spec import AppSpec, Instances, Step

VARIABLE: Final = "EDGED_DEV"
DRAIN_S: Final = 2.0

INSTALLS: Final = frozenset({"install", "ci", "sync", "venv", "restore", "download", "get"})
"""Words of commands that fetch packages: they need not run again for every change of the code."""

LISTS: Final = frozenset(
    {
        "edge.toml", "requirements.txt", "pyproject.toml", "uv.lock", "poetry.lock", "Pipfile",
        "Pipfile.lock", "setup.py", "setup.cfg", "package.json", "package-lock.json", "yarn.lock",
        "pnpm-lock.yaml", "bun.lock", "bun.lockb", "deno.json", "deno.lock", "go.mod", "go.sum",
        "Gemfile", "Gemfile.lock", "composer.json", "composer.lock", "pom.xml", "build.gradle",
    }
)  # fmt: skip
"""Files that say which packages there are."""


def is_on() -> bool:
    """Whether this edged runs apps in place."""
    return bool(os.environ.get(VARIABLE))


def adapted(spec: AppSpec) -> AppSpec:
    """The same app as it runs in place."""
    local = f"{spec.name}.localhost"
    own = tuple(each for each in spec.routes if host_of(each).endswith("localhost"))
    return replace(
        spec,
        routes=own if any(host_of(each) == local for each in own) else (local, *own),
        instances=Instances(min=1, max=1),
        times=replace(spec.times, stability_s=0.0, drain_s=min(spec.times.drain_s, DRAIN_S)),
    )


def lists_digest(folder: str) -> str:
    """Of the files of a folder that say which packages there are."""
    found = hashlib.sha256()
    for name in sorted(LISTS):
        try:
            with open(os.path.join(folder, name), "rb") as file:
                found.update(name.encode() + hashlib.file_digest(file, "sha256").digest())
        except OSError:
            continue
    return found.hexdigest()


def has_folders(spec: AppSpec, folder: str) -> bool:
    """Whether what an earlier build has made for PATH is still there."""
    return all(os.path.isdir(os.path.join(folder, each)) for each in spec.path)


def steps(spec: AppSpec, *, has_packages: bool) -> tuple[Step, ...]:
    """What is to be run of the build when the packages are there already, or are not."""
    if not has_packages:
        return spec.build
    return tuple(step for step in spec.build if INSTALLS.isdisjoint(" ".join(step.argv).split()))
