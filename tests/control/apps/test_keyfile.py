"""The key: what it seals is for one place, and its file is nobody else's."""

import os
import stat
from pathlib import Path

import pytest

from control.apps.keyfile import KEY_BYTES, Key, KeyFile, new_key
from control.refusal import Refused


def test_what_was_sealed_is_read_with_the_key_in_its_place_only() -> None:
    key, other = new_key(), new_key()
    sealed = key.seal(b"hunter2", b"here")
    assert key.unseal(sealed, b"here") == b"hunter2"
    assert b"hunter2" not in sealed
    assert key.unseal(sealed, b"there") is None
    assert other.unseal(sealed, b"here") is None
    assert [key.unseal(sealed[:end], b"here") for end in range(len(sealed))] == [None] * len(sealed)
    assert key.seal(b"hunter2", b"here") != sealed


def test_every_changed_bit_is_noticed() -> None:
    key = Key(bytes(KEY_BYTES))
    sealed = key.seal(b"hunter2", b"here")
    for place in range(8, len(sealed)):  # the id before it says which key, and is compared
        changed = bytearray(sealed)
        changed[place] ^= 1
        assert key.unseal(bytes(changed), b"here") is None


def test_the_file_is_ours_alone_and_holds_the_keys(tmp_path: Path) -> None:
    file = KeyFile(str(tmp_path / "k"))
    assert not file.is_there()
    first, second = new_key(), new_key()
    file.write(first, second)
    assert file.is_there()
    assert stat.S_IMODE(os.stat(file.path).st_mode) == 0o600
    assert [key.content for key in file.read()] == [first.content, second.content]
    assert first.content.hex() not in repr(first) + repr(file)


@pytest.mark.parametrize("size", [0, 1, 31, 33, 63, 65, 1000])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, size: int) -> None:
    (tmp_path / "k").write_bytes(bytes(size))
    with pytest.raises(Refused, match="is no key") as refusal:
        KeyFile(str(tmp_path / "k")).read()
    assert refusal.value.code == "secrets-key-wrong"


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be written"):
        KeyFile(str(tmp_path / "none" / "k")).write(new_key())
