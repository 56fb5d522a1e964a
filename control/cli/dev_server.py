"""The edged of `edgectl dev`: started, waited for, ended with all that it runs."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from typing import Final

from control.cli.client import EXIT_REFUSED, Client, Failure
from control.cli.dev_place import Place

VARIABLE: Final = "EDGED_DEV"
START_S: Final = 20.0
END_S: Final = 15.0
LOOK_S: Final = 0.05
LAST_LINES: Final = 5
_PR_SET_PDEATHSIG: Final = 1


class Server:
    """One that runs. Its log is in a file, so that the terminal is the app's."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.client = Client(place.socket)
        libc = ctypes.CDLL(None)
        with open(place.log, "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "control.serve", "--config", place.config],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is ours: it ends in order
                # What a person has started in a terminal ends with it, whatever ends that.
                preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM),
            )

    def __repr__(self) -> str:
        return f"<Server pid={self._process.pid}>"

    def wait(self) -> None:
        """Until it serves. Raises `Failure`."""
        for _ in range(int(START_S / LOOK_S)):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(LOOK_S)
                raise Failure("not-running", f"edged has ended:\n{self._last()}", EXIT_REFUSED)
            with contextlib.suppress(Failure):
                workers = self.client.get("/v1/workers")["workers"]
                if any(each.get("state") == "ready" for each in workers):
                    return
        raise Failure("not-running", f"edged does not start:\n{self._last()}", EXIT_REFUSED)

    def end(self) -> None:
        """End the app, then edged; nothing of them is left."""
        with contextlib.suppress(Failure):
            self.client.post("/v1/apps/stop", END_S, app=self._place.app)
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    # Private

    def _last(self) -> str:
        with open(self._place.log, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-LAST_LINES:]).rstrip()


# Private


def _environment() -> dict[str, str]:
    """Ours, and the code of this edgectl, wherever it was started."""
    return {**os.environ, VARIABLE: "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
