"""What /proc says: read as it is written, whatever a program calls itself."""

import os
import socket
from pathlib import Path

import pytest

from control.instances import procfs
from control.instances.launch import listening_socket
from tests.support.programs import Bench


def test_a_program_with_a_strange_name_is_read_all_the_same(bench: Bench) -> None:
    program = Path(bench.folder) / "a) R (1 2"
    program.write_text("#!/bin/sh\necho up; sleep 60 & wait\n")
    program.chmod(0o755)
    process = bench.launch(str(program))
    stat = procfs.stat_of(process.record.pid)
    assert (stat.parent, stat.session) == (os.getpid(), process.record.pid)
    assert stat.is_alive
    assert stat.pid in [each.pid for each in procfs.stats()]
    assert procfs.is_marked(stat.pid, f"{bench.folder}/pipes/blog.1")
    assert not procfs.is_marked(stat.pid, "blog.1")


def test_who_is_not_there_has_no_stat() -> None:
    assert procfs.stat_of(0) is None
    assert procfs.uid_of(0) == -1


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_who_listens_is_found_with_its_address(host: str) -> None:
    with listening_socket(host) as listening:
        inode = os.fstat(listening.fileno()).st_ino
        assert dict(procfs.listeners())[inode] == (host, listening.getsockname()[1], os.geteuid())
        own, is_complete = procfs.sockets_of([os.getpid()])
        assert inode in own
        assert is_complete


def test_connections_are_no_listeners() -> None:
    with (
        listening_socket("127.0.0.1") as listening,
        socket.create_connection(listening.getsockname()[:2]) as client,
    ):
        assert os.fstat(client.fileno()).st_ino not in dict(procfs.listeners())
