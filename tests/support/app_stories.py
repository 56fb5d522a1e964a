"""Apps of stories: a small program that needs no build, in a folder, deployed to a real edged.

folder = write_app(tmp_path / "blog", instances='idle = "1s"')
deploy(edged, folder)
assert ask(edged, "blog") == "1"
eventually(lambda: state_of(edged, "blog") == "asleep")
"""

import json
from pathlib import Path
from typing import Any, Final

from tests.support.client import Answer, Client, fetch
from tests.support.edged import Edged
from tests.support.eventually import eventually

PROGRAM: Final = r"""
import asyncio, os, signal, sys, time
from pathlib import Path

DATA = Path(os.environ["DATA_DIR"])


def note(name, line):
    with (DATA / name).open("a") as file:
        file.write(line + "\n")


def said(name):
    path = DATA / name
    return float(path.read_text()) if path.exists() else 0.0


async def answer(path, reader, writer):
    if path == "/socket":
        head = b"101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        writer.write(b"HTTP/1.1 " + head)
        while data := await reader.read(4096):
            writer.write(data)
        raise ConnectionError
    if path.startswith("/takes/"):
        note("begun", path)
        await asyncio.sleep(float(path.rpartition("/")[2]))
    body = os.environ.get("VERSION", "").encode()
    if path == "/pid":
        body = str(os.getpid()).encode()
    status = "404 Not Found" if path == "/nothing" else "200 OK"
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()


async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await answer(head.split(b" ")[1].decode(), reader, writer)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main():
    server = await asyncio.start_server(
        serve, os.environ["HOST"], int(os.environ["PORT"]), backlog=2048
    )
    print("listening", flush=True)
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    await ending.wait()
    server.close()
    await asyncio.sleep(said("end_s"))


note("starts", str(os.getpid()))
time.sleep(said("start_s"))
if said("broken"):
    print("the database is gone", file=sys.stderr)
    sys.exit(3)
asyncio.run(main())
"""
"""Says VERSION, or by `/pid` who it is; `/takes/S` takes so long, `/socket` echoes.

It notes each start in its data folder. Numbers in files there say how it does: `start_s` and
`end_s`, how long it takes to start and to end, `broken`, whether it dies when it starts.
"""

UPGRADE: Final = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def write_app(
    folder: Path, *, program: str = PROGRAM, more: str = "", limits: str = "", **values: Any
) -> Path:
    """An app of the folder's name that serves NAME.test; `limits` is more of [limits], `more` of
    the file's tables, `values` is its [vars]."""
    folder.mkdir(exist_ok=True)
    variables = "\n".join(f"{name} = {json.dumps(str(value))}" for name, value in values.items())
    (folder / "program.py").write_text(program, encoding="utf-8")
    (folder / "edge.toml").write_text(
        f'name = "{folder.name}"\nroutes = ["{folder.name}.test"]\n'
        f'start = ["python3", "program.py"]\nbuild.commands = []\n\n'
        f'[limits]\nstability = "100ms"\n{limits}\n\n[vars]\n{variables}\n\n{more}\n',
        encoding="utf-8",
    )
    return folder


def sleepy(idle: str = "1s") -> str:
    """What makes an app sleep soon."""
    return f'[instances]\nidle = "{idle}"\n'


def deploy(edged: Edged, *folders: Path) -> None:
    """`edgectl deploy` for each; they must succeed."""
    for folder in folders:
        outcome = edged.ctl("deploy", str(folder), timeout_s=300.0)
        assert outcome, f"{outcome.out}\n{outcome.err}\n{edged.log}"


def deploy_asleep(edged: Edged, *folders: Path) -> None:
    """Deploy apps, and wait until they sleep."""
    deploy(edged, *folders)
    for folder in folders:
        wait_for_sleep(edged, folder.name)


def wait_for_sleep(edged: Edged, name: str, within_s: float = 10.0) -> None:
    """Until it sleeps, and nothing is left of its processes."""
    pids = [each["pid"] for each in app_of(edged, name)["instances"] if each["pid"]]
    eventually(lambda: state_of(edged, name) == "asleep", within_s)
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), within_s)


def asked(edged: Edged, path: str) -> Any:
    """A question to the admin API, as `edgectl` would put it."""
    answer = fetch(f"unix:{edged.socket_path}", path, host="control")
    assert answer.status == 200, answer
    return json.loads(answer.body)


def app_of(edged: Edged, name: str) -> dict[str, Any]:
    """What `edgectl apps` says of an app."""
    [found] = [each for each in asked(edged, "/v1/apps")["apps"] if each["app"] == whole(name)]
    assert isinstance(found, dict)
    return found


def state_of(edged: Edged, name: str) -> str:
    """How awake an app is."""
    return str(app_of(edged, name)["state"])


def ask(edged: Edged, name: str, target: str = "/", **more: Any) -> Answer:
    """One request for an app."""
    return fetch(edged.address, target, host=f"{name}.test", **more)


def begin(edged: Edged, name: str, target: str = "/", *, patience_s: float = 20.0) -> Client:
    """A request for an app that nobody has read the answer of yet."""
    client = Client(edged.address, patience_s=patience_s)
    client.send(f"GET {target} HTTP/1.1\r\nHost: {name}.test\r\n\r\n".encode())
    return client


def open_socket(edged: Edged, name: str) -> Client:
    """A WebSocket of an app, or what stands for one: edged looks at no frame."""
    client = Client(edged.address)
    client.send(UPGRADE.format(host=f"{name}.test", path="/socket").encode())
    assert client.read_answer().status == 101
    return client


def data_of(edged: Edged, name: str) -> Path:
    """The data folder of an app."""
    return edged.folder / "state" / "apps" / whole(name) / "data"


def starts_of(edged: Edged, name: str) -> list[int]:
    """The processes that it has ever been."""
    return [int(line) for line in (data_of(edged, name) / "starts").read_text().split()]


def have(edged: Edged, name: str, what: str, number: float) -> None:
    """From now on the app's program does so: `start_s`, `end_s`, `broken`."""
    (data_of(edged, name) / what).write_text(str(number))


def whole(name: str) -> str:
    """The app's id."""
    return name if "/" in name else f"{name}/production"
