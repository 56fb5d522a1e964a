"""Where values outlive control: what those who keep them need of the state database."""

from typing import Any, Protocol


class Store(Protocol):
    """Keeps values by name, as `control.state.State` does. Raises `Refused`."""

    path: str  # for people

    def keep(self, name: str, value: object) -> None:
        """Keep it instead of the one of that name."""

    def keep_copy(self, name: str, other: str) -> None:
        """Keep what is kept under one name under another one, too, just as it is."""

    def names(self, prefix: str) -> tuple[str, ...]:
        """The names with that beginning under which something is kept."""

    def kept(self, name: str) -> Any:  # noqa: ANN401  JSON: only who kept it knows its shape
        """The value of that name, or None. What is no JSON is refused as `value-damaged`."""
