"""From an archive, or an earlier release, to what serves. The release before is touched last.

unpack → read edge.toml → build → release command → new instances → ready, and well for the
stability window → one publish → the old ones finish what they have and end. Whatever fails before
the publish leaves nothing behind but lines in the log. Control may be killed at any step:
`AppRecord.deploying` says that a release does not serve yet, and the next control removes it.
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Final

import gevent

from control.apps import inplace
from control.apps.app import App
from control.apps.builder import Say, run_well
from control.apps.environment import usual_path
from control.apps.fleet import Fleet, end_all
from control.apps.record import Release
from control.apps.unpack import unpack
from control.events import wall_time
from control.manifest import manifest
from control.manifest.spec import AppSpec
from control.refusal import Refused

log = logging.getLogger("control.apps")

KEPT_RELEASES: Final = 5
LOOK_S: Final = 0.05

GRACE_S: Final = 10.0
"""An instance ends by itself when its time to start is over, and knows why; this is for one that
cannot even be started or ended."""

Vet = Callable[[App, AppSpec], None]
"""Raises `Refused` for routes that are somebody else's."""


def _go_on(release: Release) -> None:
    return


@dataclass(slots=True)
class Rollout:
    """One deploy of an app, or one return to an earlier release."""

    app: App
    say: Say
    vet: Vet
    hold: Callable[[Release], None] = _go_on  # waits for the word to switch. Raises `Refused`
    in_place: str = ""  # the folder where the app is written, instead of an archive

    def deploy(self, archive: IO[bytes], env: str) -> Release:
        """Make a release of an archive, and have it serve. Raises `Refused`."""
        app = self.app
        record, home = app.record, app.tools.home(app.record)
        number = record.last + 1
        record.last, record.deploying = number, number
        try:
            app.keep()
            home.make()
            if self.in_place:
                home.link(number, self.in_place)
            else:
                self._unpack(archive, number)
            spec = _read(home.release(number), env)
            spec = inplace.adapted(spec) if self.in_place else spec
            self._check(spec)
            release = Release(number=number, time=wall_time(), spec=spec)
            self._build(release)
            record.releases.append(release)
            self._turn_to(release)
        except BaseException as error:
            if record.current == number:
                raise  # it serves: what failed was the end of those before
            record.deploying = 0
            record.releases = [each for each in record.releases if each.number != number]
            home.drop(number)
            with contextlib.suppress(Refused):  # what cannot be written down is undone later
                app.keep()
            if isinstance(error, OSError):
                text = f"{error.filename or home.folder}: {error.strerror}"
                raise Refused("disk-full", text) from None
            raise
        self._prune()
        return release

    def return_to(self, release: Release) -> None:
        """Have a release that is there serve. Raises `Refused`."""
        self.vet(self.app, release.spec)
        self._turn_to(release)

    # Private

    def _unpack(self, archive: IO[bytes], number: int) -> None:
        folder = self.app.tools.home(self.app.record).release(number)
        # In a thread, as it is all disk and no sockets: others go on meanwhile.
        made = gevent.get_hub().threadpool.spawn(unpack, archive, folder).get()
        self.say(f"release {number}: {made.files} files, {made.unpacked_bytes} bytes")

    def _check(self, spec: AppSpec) -> None:
        if spec.id != self.app.record.id:
            text = f"The archive is of {spec.id}, and not of {self.app.record.id}."
            raise Refused("manifest-invalid", text)
        for setting, reason in spec.found:
            self.say(f"{setting}: {reason}")
        self.vet(self.app, spec)

    def _build(self, release: Release) -> None:
        app, spec = self.app, release.spec
        home = app.tools.home(app.record)
        for name, text in spec.files:
            home.write(release.number, name, text)
        home.hand_over(release.number)
        say = self._saying("build")
        packages = inplace.lists_digest(self.in_place) if self.in_place else ""
        has_packages = (
            bool(packages) and home.has_built(packages) and inplace.has_folders(spec, self.in_place)
        )
        for step in inplace.steps(spec, has_packages=has_packages):
            self.say(f"$ {' '.join(step.argv)}")
            launch = app.tools.launch(app.record, release, step.argv, step.vars)
            run_well(app.tools.launcher, launch, spec.times.build_s, say)
        home.seal(release.number)
        for folder in (spec.root, spec.assets.folder):
            if folder:
                if not os.path.isdir(os.path.join(home.release(release.number), folder)):
                    text = f'There is no folder "{folder}" in the release: the build makes none.'
                    raise Refused("manifest-invalid", text)
                home.open_files(release.number, folder)
        is_whole = os.path.normpath(spec.root or "x") == "."
        if is_whole and not self.in_place:  # what is served is all that there is
            os.unlink(os.path.join(home.release(release.number), manifest.FILE_NAME))
        if spec.release and not has_packages:
            self.say(f"$ {' '.join(spec.release)}")
            launch = app.tools.launch(app.record, release, spec.release)
            run_well(app.tools.launcher, launch, spec.times.release_s, self._saying("release"))
        if packages:
            home.note_built(packages)

    def _saying(self, what: str) -> Say:
        def say(line: str) -> None:
            self.app.log.say(line, what)
            self.say(line)

        return say

    def _turn_to(self, release: Release) -> None:
        app, spec = self.app, release.spec
        fleet: Fleet | None = None
        if spec.start:
            serving = len(app.fleet) if app.fleet is not None else 0
            fleet = Fleet(release, app.make)
            try:
                rules = app.record.scaled(spec).instances
                fleet.grow_to(max(1, min(serving, rules.max), rules.min))
                self._prove(fleet, spec)
                self.hold(release)
                if fleet.deaths or not fleet.is_ready:
                    raise _unfit(fleet, "did not stay well")
            except BaseException:
                end_all(fleet.part(0), 0.0)
                raise
        else:
            self.hold(release)
        try:
            gone = app.switch(release, fleet)
        except BaseException:
            if fleet is not None:
                end_all(fleet.part(0), 0.0)
            raise
        self.say(f"release {release.number} serves")
        app.part(gone)

    def _prove(self, fleet: Fleet, spec: AppSpec) -> None:
        """Until all are ready, and have stayed well for the stability window."""
        self.say(f"starting {len(fleet)} of release {fleet.release.number}")
        deadline = time.monotonic() + spec.times.start_s + GRACE_S
        while not fleet.is_ready:
            if fleet.deaths or time.monotonic() > deadline:
                raise _unfit(fleet, "does not start")
            gevent.sleep(LOOK_S / 5)
        self.say(f"ready; watched for {spec.times.stability_s:g} s")
        until = time.monotonic() + spec.times.stability_s
        while time.monotonic() < until:
            if fleet.deaths or not fleet.is_ready:
                raise _unfit(fleet, "does not stay well")
            gevent.sleep(LOOK_S)

    def _prune(self) -> None:
        """Old releases go; those that may serve again stay."""
        record, home = self.app.record, self.app.tools.home(self.app.record)
        old = [each for each in record.releases[:-KEPT_RELEASES] if each.number != record.current]
        record.releases = [each for each in record.releases if each not in old]
        self.app.keep()  # first: a release that is written down is there
        for release in old:
            home.drop(release.number)


# Private


def _read(folder: str, env: str) -> AppSpec:
    """Raises `Refused`: who deploys knows edge.toml by its name, and none of our folders."""
    try:
        return manifest.read(folder, env, usual_path())
    except Refused as refusal:
        place = os.path.join(folder, "")
        problems = [
            each | {"file": each["file"].removeprefix(place)}
            for each in refusal.more.get("problems", ())
        ]
        text = refusal.message.replace(place, "")
        raise Refused(refusal.code, text, {"problems": problems}) from None


def _unfit(fleet: Fleet, what: str) -> Refused:
    why, *output = fleet.explain().splitlines() or [""]
    release = fleet.release
    text = f"Release {release.number} of {release.spec.id} {what}: {why}."
    return Refused("app-failed", text, {"output": output})
