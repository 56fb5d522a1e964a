"""The app's lines on the terminal, as they come, by an `edgectl logs` of its own."""

import contextlib
import os
import subprocess
import sys
from typing import Final

from control.cli.dev_place import Place

END_S: Final = 2.0
HISTORY: Final = 1000


class Logs:
    """What follows them; begun when there is such an app."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<Logs of {self._place.app}>"

    @property
    def is_followed(self) -> bool:
        """Whether lines are shown."""
        return self._process is not None and self._process.poll() is None

    def follow(self, *, from_start: bool) -> None:
        """Show them from now on, if need be with those that there are."""
        if self.is_followed:
            return
        code = "import sys; from control.cli.main import main; sys.exit(main())"
        lines = str(HISTORY if from_start else 0)
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, "--socket", self._place.socket,
             "logs", self._place.app, "-f", "-n", lines],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip

    def end(self) -> None:
        """Show no more."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_S)
            process.kill()
            process.wait()
