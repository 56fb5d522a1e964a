"""What must be known of an app after control was killed, as plain values in the state database."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from control.instances.process import Record
from control.manifest import spec as specs
from control.manifest.spec import AppSpec

KEPT: Final = "app:"
"""What comes before an app's id in the names of kept values."""

INDEX: Final = "apps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One version of an app, in a folder of its number."""

    number: int
    time: float  # seconds since 1970
    spec: AppSpec

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"number": self.number, "time": self.time, "spec": specs.to_json(self.spec)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A process that was running, and for what."""

    record: Record
    release: int
    role: str = ""  # "" serves; else the name of a process beside
    was_ready: bool = False


@dataclass(slots=True, kw_only=True)
class AppRecord:
    """One app."""

    id: str
    uid: int = -1  # whom its processes run as; -1 is edged's own user
    last: int = 0  # the highest release number that was ever given
    current: int = 0  # the release that serves; 0 for none
    stopped: bool = False  # an operator wants it so
    scale: tuple[int, int] | None = None  # least and most instances, by an operator
    deploying: int = 0  # a release that does not serve yet
    releases: list[Release] = field(default_factory=list)  # oldest first
    running: list[Running] = field(default_factory=list)

    def release(self, number: int) -> Release | None:
        """A release, if it is still there."""
        return next((each for each in self.releases if each.number == number), None)

    @property
    def serving(self) -> Release | None:
        """The one that serves."""
        return self.release(self.current)

    @property
    def spec(self) -> AppSpec | None:
        """What it is now, scaled as an operator wants it."""
        release = self.serving
        return self.scaled(release.spec) if release is not None else None

    def scaled(self, spec: AppSpec) -> AppSpec:
        """What a release of it would be, scaled as an operator wants it."""
        if self.scale is None:
            return spec
        low, high = self.scale
        return replace(spec, instances=replace(spec.instances, min=low, max=high))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "id": self.id,
            "uid": self.uid,
            "last": self.last,
            "current": self.current,
            "stopped": self.stopped,
            "scale": self.scale,
            "deploying": self.deploying,
            "releases": [each.to_json() for each in self.releases],
            "running": [asdict(each) for each in self.running],
        }


def record_of(raw: dict[str, Any]) -> AppRecord:
    """What `to_json` made. Raises `ValueError`, `KeyError` or `TypeError`."""
    releases = [
        Release(number=each["number"], time=each["time"], spec=specs.from_json(each["spec"]))
        for each in raw["releases"]
    ]
    running = [Running(**each | {"record": Record(**each["record"])}) for each in raw["running"]]
    scale = raw["scale"]
    return AppRecord(
        **raw | {
            "releases": releases,
            "running": running,
            "scale": (scale[0], scale[1]) if scale else None,
        }
    )  # fmt: skip
