"""What must be known of a certificate after control was killed: its attempts, its orders.

The certificate itself is in the vault; this is what happened on the way to the next one. Values
that JSON has, in and out; what cannot be read is as if it had never been.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from control.acme.order import Event, State, advance

FORMAT: Final = 1


@dataclass(slots=True, kw_only=True)
class OrderRecord:
    """An order at one CA. Its state changes by `happened` only."""

    names: tuple[str, ...]
    state: State = State.NEW
    url: str = ""

    def happened(self, event: Event) -> None:
        """Move on. Raises `IllegalTransition`."""
        self.state = advance(self.state, event)


@dataclass(slots=True, kw_only=True)
class Record:
    """The way to one certificate."""

    wanted: str = ""  # a digest of what was wanted: another wish begins anew
    failures: int = 0  # in a row
    failing_since: float = 0.0
    next_at: float = 0.0  # the next attempt
    given_up: bool = False
    asked: bool = False  # an operator wants a new one now
    last_error: str = ""
    held: dict[str, float] = field(default_factory=dict)  # CA: until when it is left alone
    orders: dict[str, OrderRecord] = field(default_factory=dict)  # CA: the order under way

    @property
    def is_blank(self) -> bool:
        """Whether nothing in it is worth keeping."""
        return not (self.failures or self.given_up or self.asked or self.orders)

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "version": FORMAT,
            "wanted": self.wanted,
            "failures": self.failures,
            "failing_since": self.failing_since,
            "next_at": self.next_at,
            "given_up": self.given_up,
            "asked": self.asked,
            "last_error": self.last_error,
            "held": dict(self.held),
            "orders": {
                directory: {"names": [*order.names], "state": order.state.name, "url": order.url}
                for directory, order in self.orders.items()
            },
        }


def record_of(raw: object) -> Record:
    """What was kept, or a blank one."""
    try:
        return _read(raw) if isinstance(raw, dict) else Record()
    except (KeyError, TypeError, ValueError, AttributeError):
        return Record()


# Private


def _read(raw: dict[str, Any]) -> Record:
    if raw["version"] != FORMAT:
        return Record()
    return Record(
        wanted=str(raw["wanted"]),
        failures=int(raw["failures"]),
        failing_since=float(raw["failing_since"]),
        next_at=float(raw["next_at"]),
        given_up=bool(raw["given_up"]),
        asked=bool(raw["asked"]),
        last_error=str(raw["last_error"]),
        held={directory: float(until) for directory, until in raw["held"].items()},
        orders={
            directory: OrderRecord(
                names=tuple(one["names"]), state=State[one["state"]], url=str(one["url"])
            )
            for directory, one in raw["orders"].items()
        },
    )
