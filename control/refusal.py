"""Why a verb was refused: one error for everything that control says no to.

The code is stable and for programs; the message is a sentence for people. The admin API makes an
HTTP status of the code, `edgectl` an exit code.
"""

from collections.abc import Mapping
from typing import Any


class Refused(Exception):
    """Nothing was changed. `more` goes into the answer beside code and message."""

    def __init__(self, code: str, message: str, more: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.more = dict(more or {})
