"""What must be known of an app after control was killed, as plain values in the state database."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from control import shape
from control.instances.process import Record
from control.manifest import spec as specs
from control.manifest.spec import AppSpec

KEPT: Final = "app:"
"""What comes before an app's id in the names of kept values."""

ASIDE: Final = "broken-app:"
"""The same for a record that could not be read, and was replaced by a deploy."""


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
    deleting: bool = False  # by an operator: whoever finds it so goes on with that
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
            "deleting": self.deleting,
            "releases": [each.to_json() for each in self.releases],
            "running": [asdict(each) for each in self.running],
        }


def record_of(app_id: str, raw: object) -> AppRecord:
    """What `to_json` made of that app. Raises `ValueError`, which says what is wrong with it."""
    if not isinstance(raw, dict):
        raise ValueError("it is no object")
    if lacking := [name for name in _NAMES if name not in raw]:  # never taken for nothing
        raise ValueError(f"{', '.join(lacking)} is missing")
    if not isinstance(raw["releases"], list):
        raise ValueError("releases is no list")
    releases = [_release(f"releases[{at}]", each) for at, each in enumerate(raw["releases"])]
    record = shape.read(AppRecord, raw | {"releases": []})
    record.releases = releases
    for one in (record.id, *(each.spec.id for each in releases)):
        if one != app_id:
            raise ValueError(f"it says that it is of {one}")
    if record.current and record.serving is None:
        raise ValueError(f"current is {record.current}, and there is no such release")
    if record.last > 1 and not releases:  # of a first deploy that failed there is no second release
        raise ValueError(f"releases is empty, and {record.last} were made")
    return record


# Private

_NAMES: Final = (
    "id", "uid", "last", "current", "stopped", "scale", "deploying", "releases", "running",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A release as it is written."""

    number: int
    time: float
    spec: str


def _release(place: str, raw: object) -> Release:
    kept = shape.read(_Kept, raw, place)
    try:
        spec = specs.from_json(kept.spec)
    except ValueError as error:
        raise ValueError(f"{place}.spec: {error}") from None
    return Release(number=kept.number, time=kept.time, spec=spec)
