"""How much an app may write to its log: much at once, but not for long."""

from typing import Final

LINES_S: Final = 5_000.0
BYTES_S: Final = 5.0 * 1024 * 1024
BURST_S: Final = 4.0
"""So many seconds' worth may come at once, such as the tracebacks of a crash."""


class Gate:
    """Two token buckets, one of lines and one of bytes."""

    def __init__(self, lines_s: float = LINES_S, bytes_s: float = BYTES_S) -> None:
        self._lines_s = lines_s
        self._bytes_s = bytes_s
        self._lines = lines_s * BURST_S
        self._bytes = bytes_s * BURST_S
        self._at = 0.0

    def __repr__(self) -> str:
        return f"<Gate {self._lines:.0f} lines {self._bytes:.0f} bytes>"

    def limit(self) -> str:
        """The limit in words."""
        return f"{self._lines_s:,.0f} lines or {self._bytes_s:,.0f} bytes a second"

    def admit(self, lines: int, size_bytes: int, now: float) -> int:
        """How many of so many lines, with that size together, may pass; `now` is monotonic."""
        past_s = max(now - self._at, 0.0)
        self._at = now
        self._lines = min(self._lines + past_s * self._lines_s, self._lines_s * BURST_S)
        self._bytes = min(self._bytes + past_s * self._bytes_s, self._bytes_s * BURST_S)
        part = min(self._bytes / size_bytes, 1.0) if size_bytes else 1.0
        admitted = min(lines, int(self._lines), int(lines * part))
        self._lines -= admitted
        self._bytes -= size_bytes * admitted / lines if lines else 0
        return admitted
