"""A control with a keeper and nothing else, to be killed: `JSON`, which says what is wanted.

With `kill_at` it kills itself at that call of the system that changes the folder of the vault.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import gevent

from control.acme.spec import Authority, CertSpec, Kind
from tests.support.keeping import Keeping
from tests.support.responders import FolderSolver

CHANGES = {
    "os.mkdir",
    "os.rename",
    "os.chmod",
    "os.chown",
    "os.remove",
    "os.rmdir",
    "shutil.rmtree",
}


def main(setup: dict[str, Any]) -> int:
    if setup.get("kill_at"):
        die_at(setup["kill_at"], str(Path(setup["folder"]) / "vault"))
    authority = Authority(directory=setup["directory"], ca_file=setup["ca_file"])
    kind = Kind(setup["kind"])
    spec = CertSpec(
        id=setup["name"], names=(setup["name"],), authorities=(authority,), kinds=(kind,)
    )
    keeping = Keeping(Path(setup["folder"]), FolderSolver(Path(setup["challenges"])))
    keeping.begin(spec)
    while not (cert := keeping.keeper.latest(spec.id)) or keeping.line(spec.id)["state"] != "valid":
        gevent.sleep(0.01)
    sys.stdout.write(cert.serial)
    return 0


def die_at(number: int, folder: str) -> None:
    """SIGKILL at that change, before it is made."""
    left = number

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in CHANGES or (event == "open" and is_writing(arguments)):
            if not any(str(each).startswith(folder) for each in arguments):
                return
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)


def is_writing(arguments: tuple[Any, ...]) -> bool:
    return bool(isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR))


if __name__ == "__main__":
    code = main(json.loads(sys.argv[1]))
    sys.stdout.flush()
    os._exit(code)
