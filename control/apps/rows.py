"""The part of the table that is the apps': published whenever an app wakes, sleeps or changes.

Only its own rows are looked at, so that a wake costs as little with a hundred thousand routes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from control.apps.desk import AppDesk
from control.config.hosts import host_of
from control.publish import ROUTE, Changes, Publisher, rows_of


def _nothing(*_: object, **__: object) -> None:
    return


@dataclass(slots=True)
class AppRows:
    """What of the published rows is the apps'."""

    publisher: Publisher
    desk: AppDesk
    publish_all: Callable[[], None] = _nothing  # when there are other hosts. Raises `Refused`
    follow: Callable[..., None] = _nothing  # `Folders.follow`: what is in the server file
    _keys: frozenset[str] = frozenset()
    _hosts: frozenset[str] = field(default_factory=frozenset)

    def published(self) -> Mapping[str, str] | None:
        """All rows; None when they are not known yet."""
        return self.publisher.published if self.publisher.is_open else None

    def note(self) -> None:
        """The whole table was published, the apps' rows with it."""
        self._keys, self._hosts = self._now()

    def publish(self) -> None:
        """Bring them up to date, and wait until every worker has them. Raises `Refused`."""
        with self.publisher.lock:
            keys, hosts = self._now()
            if hosts != self._hosts:
                self.publish_all()
                return
            published = self.publisher.published
            rows = rows_of(self.desk.routes())
            put = {key: text for key, text in rows.items() if published.get(key) != text}
            removed = tuple(key for key in self._keys - keys if key in published)
            self._keys = keys
            if put or removed:
                self.publisher.publish(Changes(put=put, removed=removed, changed=len(put)))
        self.publisher.wait()  # also for what somebody else has published a moment ago

    # Private

    def _now(self) -> tuple[frozenset[str], frozenset[str]]:
        patterns = [route.pattern for route in self.desk.routes()]
        return frozenset(_keys_of(patterns)), frozenset(map(host_of, patterns))


def _keys_of(patterns: Iterable[str]) -> list[str]:
    return [ROUTE + pattern for pattern in patterns]
