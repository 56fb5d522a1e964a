"""A control of one app, to be killed: it launches or adopts, and writes down the lines."""

import json
import os
import sys
from pathlib import Path

import gevent

from control.instances.cgroup import Cgroups
from control.instances.launch import Launch, Launcher
from control.instances.process import Record, adopt
from control.instances.spawn import Spawner


def main(folder: Path, out: str, verb: str, *argv: str) -> None:
    fd = os.open(out, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def keep(_stream: str, line: bytes) -> None:
        os.write(fd, line + b"\n")

    kept = folder / "record"
    if verb == "launch":
        launcher = Launcher(str(folder / "pipes"), Cgroups("", frozenset()), Spawner())
        process = launcher.launch(Launch(name="kept", argv=argv, cwd="/"), keep)
        kept.with_suffix(".new").write_text(json.dumps(process.record.to_json()))
        kept.with_suffix(".new").rename(kept)
    else:
        found = adopt(Record(**json.loads(kept.read_text())), keep)
        assert found is not None
        process = found
    process.ended.wait()
    gevent.sleep(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
