"""How an instance gets its secrets: in its environment, or in a file that is only a descriptor."""

import fcntl
import json
import os
from collections.abc import Mapping
from typing import Final

_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class SecretValues:
    """The secrets of one app in clear. It shows none of them unless it is asked for all."""

    __slots__ = ("_values", "app")

    def __init__(self, app: str, values: Mapping[str, str]) -> None:
        self.app = app
        self._values = dict(values)

    def __repr__(self) -> str:
        return f"<SecretValues {len(self)} of {self.app}>"

    def __len__(self) -> int:
        return len(self._values)

    def __reduce__(self) -> str:
        raise TypeError("secrets are not pickled")

    def environment(self) -> dict[str, str]:
        """Names and values, for the environment of a start."""
        return dict(self._values)

    def open(self) -> int:
        """A descriptor of a JSON object of them, in memory that nobody can change any more.

        It is the caller's to close, and closed by an exec. Each start gets its own: processes that
        share one share its place in the file, too.
        """
        fd = os.memfd_create("secrets", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            left = memoryview(json.dumps(self._values).encode())
            while left:
                left = left[os.write(fd, left) :]
            os.lseek(fd, 0, os.SEEK_SET)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        except BaseException:
            os.close(fd)
            raise
        return fd
