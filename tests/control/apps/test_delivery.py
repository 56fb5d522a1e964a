"""Delivery: a process reads its secrets from a descriptor, and nobody writes to it."""

import json
import os
import pickle
import subprocess
import sys

import pytest

from control.apps.delivery import SecretValues

VALUES = {"DATABASE_URL": "postgres://ä:hunter2@db/x", "LONG": "x" * 300_000}
READING = "import os, sys; sys.stdout.buffer.write(os.fdopen(int(sys.argv[1]), 'rb').read())"


def test_a_process_reads_them_from_its_descriptor() -> None:
    fd = SecretValues("blog/production", VALUES).open()
    assert not os.get_inheritable(fd)
    try:
        done = subprocess.run(
            [sys.executable, "-c", READING, str(fd)], pass_fds=[fd], capture_output=True, check=True
        )
    finally:
        os.close(fd)
    assert json.loads(done.stdout) == VALUES


def test_nobody_changes_what_was_delivered() -> None:
    fd = SecretValues("blog/production", VALUES).open()
    try:
        for change in (lambda: os.write(fd, b"x"), lambda: os.truncate(fd, 0)):
            with pytest.raises(PermissionError):
                change()
        with (
            open(f"/proc/self/fd/{fd}", "r+b", buffering=0) as anew,
            pytest.raises(PermissionError),
        ):
            anew.write(b"x")
    finally:
        os.close(fd)


def test_nothing_shows_them_but_who_asks_for_all() -> None:
    values = SecretValues("blog/production", VALUES)
    assert repr(values) == str(values) == f"{values}" == "<SecretValues 2 of blog/production>"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(values)
    assert values.environment() == VALUES
    values.environment().clear()
    assert len(values) == 2
