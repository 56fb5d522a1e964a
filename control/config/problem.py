"""What is wrong with a server file, for a person to read."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to mend."""

    file: str
    line: int  # counted from 1; 0 is the file as a whole
    key: str  # "server.workers"; "" when it belongs to no key
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class Report:
    """The problems found so far in one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._problems: list[Problem] = []

    def add(self, line: int, key: str, message: str) -> None:
        """Note a problem."""
        self._problems.append(Problem(file=self.file, line=line, key=key, message=message))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Each of them once, in the order of the file."""
        return tuple(sorted(dict.fromkeys(self._problems), key=lambda problem: problem.line))
