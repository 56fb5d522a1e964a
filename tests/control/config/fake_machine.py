"""A machine of the tests' own: the same answers wherever the tests run."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeMachine:
    """Fulfils `control.config.machine.Machine`. Files are the real ones."""

    cores: int = 4
    user: str = "alice"
    may_bind_80: bool = False
    has_ipv6: bool = True
    users: frozenset[str] = frozenset({"root", "alice", "bob", "nobody"})
    groups: frozenset[str] = frozenset({"alice", "web", "wheel"})
    own_groups: frozenset[str] = frozenset({"alice", "web"})

    def has_user(self, name: str) -> bool:
        return name in self.users

    def has_group(self, name: str) -> bool:
        return name in self.groups

    def in_group(self, name: str) -> bool:
        return name in self.own_groups

    def is_file(self, path: str) -> bool:
        return os.path.isfile(path)

    def is_folder(self, path: str) -> bool:
        return os.path.isdir(path)
