"""Static files: what a route with a `root` answers, as data with its section of RFC 9110, and what
nobody gets out of it. Two workers."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.spec.file_cases import CASES, FILES, LETTERS, MODIFIED, Case
from tests.support.client import Answer, Client, Reset, fetch
from tests.support.edged import Edged
from tests.support.eventually import eventually

BIG: Final = 20_000_000

ROUTES: Final = """
[[route]]
match = "files.test"
root = "public"

[[route]]
match = "files.test/assets/*"
root = "public"
strip_prefix = "/assets"
[route.files]
cache_control = "no-cache"
precompressed = false

[[route]]
match = "spa.test"
root = "public"
files = { fallback = "index.html" }
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edged]:
    edged = Edged(ROUTES, workers=2)
    root = edged.folder / "public"
    for name, data in FILES.items():
        write(root / name, data)
    (root / "link.txt").symlink_to(edged.config)
    (root / "etc").symlink_to("/etc")
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
        with edged:
            yield edged


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o644)
    os.utime(path, (MODIFIED, MODIFIED))


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 80


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_a_case(site: Edged, case: Case) -> None:
    etag = fetch(site.address, "/letters.txt", host="files.test").get("ETag")
    lines = "".join(f"{k}: {v.replace('ETAG', etag)}\r\n" for k, v in case.send.items())
    answer = fetch(site.address, case.target, host=case.host, method=case.method, fields=lines)
    assert answer.status == case.status, answer
    if case.body is not None:
        assert answer.body == case.body
    for name, value in case.fields.items():
        assert answer.get(name) == (value or ""), answer
    if answer.status in (200, 206, 304):
        assert answer.get("ETag").startswith('"')
    assert b"SECRET" not in answer.body


def test_several_ranges_are_one_answer_of_several_parts(site: Edged) -> None:
    answer = fetch(site.address, "/letters.txt", host="files.test",
                   fields="Range: bytes=0-1, 10-12,-2\r\n")  # fmt: skip
    kind, _, boundary = answer.get("Content-Type").partition("; boundary=")
    assert (answer.status, kind) == (206, "multipart/byteranges")
    parts = answer.body.split(b"--" + boundary.encode())
    assert parts[-1] == b"--\r\n"
    found = [part.partition(b"\r\n\r\n") for part in parts[1:-1]]
    assert [data.removesuffix(b"\r\n") for _, _, data in found] == [b"ab", b"klm", b"yz"]
    assert [head.rpartition(b": ")[2] for head, _, _ in found] == [
        b"bytes 0-1/26", b"bytes 10-12/26", b"bytes 24-25/26",
    ]  # fmt: skip


def test_each_state_and_each_coding_has_a_tag_of_its_own(site: Edged) -> None:
    plain = fetch(site.address, "/app.js", host="files.test").get("ETag")
    packed = fetch(site.address, "/app.js", host="files.test", fields="Accept-Encoding: gzip\r\n")
    assert packed.get("ETag") != plain
    lines = f"Accept-Encoding: gzip\r\nIf-None-Match: {packed.get('ETag')}\r\n"
    again = fetch(site.address, "/app.js", host="files.test", fields=lines)
    assert again.status == 304
    path = site.folder / "public" / "changing.txt"
    write(path, b"one")
    before = fetch(site.address, "/changing.txt", host="files.test")
    path.write_bytes(b"two")
    after = fetch(site.address, "/changing.txt", host="files.test")
    assert (before.body, after.body) == (b"one", b"two")
    assert before.get("ETag") != after.get("ETag")


def big_file(site: Edged) -> tuple[Path, bytes]:
    path = site.folder / "public" / "big.bin"
    data = os.urandom(1 << 20) * (BIG >> 20)
    write(path, data)
    return path, data


def test_a_large_file_arrives_whole_at_a_slow_client(site: Edged) -> None:
    _, data = big_file(site)
    with Client(site.address) as client:
        client.send(b"GET /big.bin HTTP/1.1\r\nHost: files.test\r\n\r\n")
        head = client.read_until(b"\r\n\r\n")
        assert b"Content-Length: %d" % len(data) in head
        assert fetch(site.address, "/letters.txt", host="files.test").body == LETTERS
        assert client.read_exactly(len(data)) == data
        client.send(b"GET /letters.txt HTTP/1.1\r\nHost: files.test\r\n\r\n")
        assert client.read_answer().body == LETTERS


def test_a_range_of_a_large_file(site: Edged) -> None:
    _, data = big_file(site)
    answer = fetch(site.address, "/big.bin", host="files.test",
                   fields="Range: bytes=1000000-9999999\r\n")  # fmt: skip
    assert answer.body == data[1_000_000:10_000_000]


def test_a_file_that_becomes_shorter_is_cut_and_not_padded(site: Edged) -> None:
    path, _ = big_file(site)
    with Client(site.address) as client:
        client.send(b"GET /big.bin HTTP/1.1\r\nHost: files.test\r\n\r\n")
        client.read_until(b"\r\n\r\n")
        os.truncate(path, 1000)
        assert cut(client)
    assert site.logged(path="/big.bin", reason="response-cut")


def cut(client: Client) -> bool:
    try:
        return len(client.read_to_end()) < BIG
    except Reset:
        return True


def test_a_folder_that_is_swapped_for_a_link_leads_nowhere(site: Edged) -> None:
    root = site.folder / "public"
    write(root / "swap" / "passwd", b"mine")
    secret = Path("/etc/passwd").read_bytes()
    answers: list[Answer] = []
    for _ in range(60):
        (root / "swap").rename(root / "kept")
        (root / "swap").symlink_to("/etc")
        answers.append(fetch(site.address, "/swap/passwd", host="files.test"))
        (root / "swap").unlink()
        (root / "kept").rename(root / "swap")
        answers.append(fetch(site.address, "/swap/passwd", host="files.test"))
    assert {answer.status for answer in answers} == {200, 404}
    assert all(answer.body != secret for answer in answers)


def test_the_root_may_be_a_link_that_a_deploy_swaps(edged: Callable[..., Edged]) -> None:
    each = edged('[[route]]\nmatch = "*"\nroot = "current"\n')
    for release in ("one", "two"):
        write(each.folder / "releases" / release / "index.html", release.encode())
        fresh = each.folder / "fresh"
        fresh.symlink_to(f"releases/{release}")
        fresh.rename(each.folder / "current")
        assert fetch(each.address).body == release.encode()


def test_another_root_needs_no_restart(edged: Callable[..., Edged]) -> None:
    each = edged('[[route]]\nmatch = "*"\nroot = "a"\n', workers=2)
    for name in "ab":
        write(each.folder / name / "index.html", name.encode())
    workers = each.workers()
    assert fetch(each.address).body == b"a"
    each.write('[[route]]\nmatch = "*"\nroot = "b"\n')
    each.reload()
    assert fetch(each.address).body == b"b"
    assert each.workers() == workers


def test_a_hook_changes_what_a_file_holds(edged: Callable[..., Edged]) -> None:
    each = edged(
        '[[route]]\nmatch = "*"\nroot = "public"\n',
        server='hooks = ["hooks.py"]',
        files={
            "hooks.py": """
from edge import Hook

class Shout(Hook):
    def response_body_filter(self, exchange, data, end):
        return data.upper()
"""
        },
    )
    write(each.folder / "public" / "index.html", b"quiet" * 50_000)
    assert fetch(each.address).body == b"QUIET" * 50_000


def test_descriptors_are_not_kept(site: Edged) -> None:
    def held() -> int:
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in site.workers())

    before = held()
    for _ in range(300):
        fetch(site.address, "/letters.txt", host="files.test")
        fetch(site.address, "/nothing", host="files.test")
    eventually(lambda: held() <= before + 5)
