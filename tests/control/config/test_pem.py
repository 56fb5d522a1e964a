"""Certificates from files: what is fit to serve with, and what is said of the rest."""

import datetime
from pathlib import Path

import pytest

from control.config.pem import Pair, problem_of, read_pair
from tests.support.certificates import TestAuthority

NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def ca(tmp_path: Path) -> TestAuthority:
    return TestAuthority(tmp_path)


def pair(ca: TestAuthority, *names: str, days: float = 30) -> Pair:
    chain, key = ca.issue(*names, days=days)
    return read_pair(str(chain), str(key))


@pytest.mark.parametrize(
    ("names", "host", "is_covered"),
    [
        (("a.test",), "a.test", True),
        (("A.test",), "a.TEST", True),
        (("a.test",), "b.test", False),
        (("*.a.test",), "x.a.test", True),
        (("*.a.test",), "*.a.test", True),
        (("*.a.test",), "a.test", False),
        (("*.a.test",), "y.x.a.test", False),
        (("127.0.0.1",), "127.0.0.1", True),
        (("2001:db8::1",), "[2001:db8::1]", True),
    ],
)
def test_a_certificate_is_for_its_names(
    ca: TestAuthority, names: tuple[str, ...], host: str, is_covered: bool
) -> None:
    found = pair(ca, *names)
    assert found.covers(host) is is_covered
    assert bool(problem_of(found, "x.crt", host, NOW)) is not is_covered


def test_it_is_told_when_its_time_is_over_or_has_not_come(ca: TestAuthority) -> None:
    assert "expired on" in problem_of(pair(ca, "a.test", days=-1), "x.crt", "a.test", NOW)
    found = pair(ca, "a.test")
    early = found.not_before - datetime.timedelta(days=2)
    assert "is not valid before" in problem_of(found, "x.crt", "a.test", early)
    assert problem_of(found, "x.crt", "a.test", NOW) == ""


@pytest.mark.parametrize(
    ("chain", "key", "said"),
    [
        ("nowhere.crt", "a.test.key", '"{0}/nowhere.crt" cannot be read'),
        ("a.test.crt", "nowhere.key", '"{0}/nowhere.key" cannot be read'),
        ("a.test.key", "a.test.key", '"{0}/a.test.key" holds no certificate'),
        ("a.test.crt", "a.test.crt", '"{0}/a.test.crt" holds no private key'),
        ("a.test.crt", "b.test.key", '"{0}/b.test.key" is not the key of "{0}/a.test.crt"'),
        ("empty", "a.test.key", '"{0}/empty" holds no certificate'),
    ],
)
def test_bad_files_are_named(ca: TestAuthority, chain: str, key: str, said: str) -> None:
    for name in ("a.test", "b.test"):
        ca.issue(name)
    (ca.folder / "empty").write_text("")
    with pytest.raises(ValueError, match=r".") as caught:
        read_pair(str(ca.folder / chain), str(ca.folder / key))
    assert str(caught.value).startswith(said.format(ca.folder))
