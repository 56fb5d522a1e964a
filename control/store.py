"""Where values outlive control: what those who keep them need of the state database."""

from typing import Any, Protocol


class Store(Protocol):
    """Keeps values by name, as `control.state.State` does. Raises `Refused`."""

    def keep(self, name: str, value: object) -> None:
        """Keep it instead of the one of that name."""

    def kept(self, name: str) -> Any:  # noqa: ANN401  JSON: only who kept it knows its shape
        """The value of that name, or None."""
