"""What a setting is: one declaration of key, kind, default, bounds and what it does."""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

from control.config import kinds
from control.config.kind import Kind

DAY_S: Final = 86400.0


class Shape(Enum):
    """What a setting holds."""

    ONE = auto()  # one value
    MANY = auto()  # an array of values; one value alone is an array of one
    FIELDS = auto()  # a table of header names and values
    MAP = auto()  # a table of values under names of the user's own
    TABLE = auto()  # a table with settings of its own
    TABLES = auto()  # such tables under names of the user's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One key."""

    key: str
    kind: Kind = kinds.TEXT
    doc: str
    shape: Shape = Shape.ONE
    default: Any = None  # as read; None is no value at all
    default_doc: str = ""  # where the default is more than a value
    low: float | None = None
    high: float | None = None
    into: str = ""  # the field of the dataclass that it becomes; "" is the key itself
    group: "Group | None" = None  # of a TABLE, or of each of TABLES
    names: Kind = kinds.TEXT  # of a MAP and of TABLES: what names may be
    repeats: bool = False  # a value of a MANY may be there twice
    needs_upstreams: bool = False  # means nothing on a route that answers by itself

    @property
    def target(self) -> str:
        """The field of the dataclass that it becomes."""
        return self.into or self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A table of settings."""

    name: str
    doc: str
    settings: tuple[Setting, ...]
    required: tuple[str, ...] = ()
    elsewhere: tuple[tuple[str, str], ...] = ()  # keys of other tables: "under [limits]"
    short: str = ""  # the setting that a string in place of the whole table means
    _by_key: dict[str, Setting] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_key = {setting.key: setting for setting in self.settings}
        object.__setattr__(self, "_by_key", by_key)

    def find(self, key: str) -> Setting | None:
        """The setting of that key."""
        return self._by_key.get(key)

    def keys(self) -> list[str]:
        """All keys."""
        return [setting.key for setting in self.settings]

    def defaults(self) -> dict[str, Any]:
        """What holds when nothing is written."""
        return {setting.key: setting.default for setting in self.settings}
