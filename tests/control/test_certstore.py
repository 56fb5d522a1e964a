"""What workers may read of certificates: it stays while it is named, and for a day."""

import os
from pathlib import Path

import pytest

from control.certstore import KEPT_S, CertificateStore, Place
from control.durable import Owner
from edge.table.model import Certificate


def store(folder: Path) -> CertificateStore:
    return CertificateStore(str(folder / "certs"), Owner())


def age(folder: str, seconds: float) -> None:
    then = os.stat(folder).st_mtime - seconds
    os.utime(folder, (then, then))


def test_the_same_is_there_once_and_another_is_beside_it(tmp_path: Path) -> None:
    files = store(tmp_path)
    first = files.put(b"chain", b"key")
    assert files.put(b"chain", b"key") == first
    assert Path(first.chain).read_bytes() + Path(first.key).read_bytes() == b"chainkey"
    assert not os.path.exists(first.client_ca)
    other = files.put(b"chain", b"key", b"client")
    assert other.folder != first.folder
    assert Path(other.client_ca).read_bytes() == b"client"


def test_what_is_named_no_more_stays_for_a_day_however_old_it_is(tmp_path: Path) -> None:
    files = store(tmp_path)
    folder = files.put(b"chain", b"key").folder
    age(folder, 60 * 86400)
    files.clean({folder})
    files.clean(set())  # named until now
    assert os.path.exists(folder)
    age(folder, KEPT_S + 60)
    files.clean(set())
    assert not os.path.exists(folder)


def test_what_a_crash_has_left_goes_too(tmp_path: Path) -> None:
    files = store(tmp_path)
    files.clean(set())  # before there is anything
    files.put(b"chain", b"key")
    left = tmp_path / "certs" / ".new-half"
    left.mkdir()
    age(str(left), KEPT_S + 60)
    files.clean(set())
    assert not left.exists()


def test_what_is_used_again_is_young_again(tmp_path: Path) -> None:
    files = store(tmp_path)
    folder = files.put(b"chain", b"key").folder
    age(folder, KEPT_S + 60)
    files.put(b"chain", b"key")
    files.clean(set())
    assert os.path.exists(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_is_used_again_is_its_users_of_now(tmp_path: Path) -> None:
    place = store(tmp_path).put(b"chain", b"key")
    CertificateStore(str(tmp_path / "certs"), Owner(65534, 65534)).put(b"chain", b"key")
    assert {os.stat(path).st_uid for path in (place.chain, place.key)} == {65534}
    assert os.stat(place.folder).st_uid == 0  # in which that user can put nothing
    assert os.stat(place.folder).st_mode & 0o777 == 0o711


def certificate(place: Place) -> Certificate:
    return Certificate(chain=place.chain, key=place.key, fingerprint=place.fingerprint)


def test_what_is_read_back_is_what_was_put_there(tmp_path: Path) -> None:
    files = store(tmp_path)
    place = files.put(b"chain", b"key")
    assert files.read(certificate(place)) == (b"chain", b"key")
    Path(place.chain).write_bytes(b"another")
    assert files.read(certificate(place)) is None


def test_links_and_pipes_in_a_files_place_are_not_followed_and_not_waited_for(
    tmp_path: Path,
) -> None:
    files = store(tmp_path)
    place = files.put(b"chain", b"key")
    (tmp_path / "secret").write_bytes(b"key")
    os.unlink(place.key)
    os.symlink(tmp_path / "secret", place.key)
    with pytest.raises(OSError, match="symbolic"):
        files.read(certificate(place))
    os.unlink(place.key)
    os.mkfifo(place.key)
    assert files.read(certificate(place)) is None
