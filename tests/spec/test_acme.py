"""Certificates from a real Pebble: strict, half of its nonces refused, over real sockets."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from control.acme.keys import key_of
from control.acme.spec import Authority, Binding, DnsHook, KeyType, Kind
from control.refusal import Refused
from tests.support.acme import Acme, assert_served, new_name
from tests.support.keeping import Keeping
from tests.support.pebble import HMAC_KEY, KID, Pebble
from tests.support.responders import FolderSolver

# Proving names


@pytest.mark.parametrize("kind", [Kind.HTTP, Kind.ALPN])
def test_a_name_is_proven_and_gets_its_certificate(
    acme: Acme, keep: Callable[..., Keeping], kind: Kind
) -> None:
    solver = acme.solver
    keeping = keep(solver=solver)
    spec = acme.spec(kinds=(kind,))
    [cert] = keeping.obtain(spec)
    assert_served(keeping, cert, spec.id)
    assert solver.presented == [(kind, spec.id)]
    assert solver.left == []
    assert keeping.installed == [cert]
    assert keeping.kinds() == ["certificate-obtained"]
    assert "Pebble" in cert.issuer
    line = keeping.line(spec.id)
    assert (line["state"], line["next"], line["failures"]) == ("valid", "renew", 0)
    assert line["expires"] == cert.not_after


def test_a_wildcard_is_proven_by_a_record_in_the_dns(
    acme: Acme, keep: Callable[..., Keeping], tmp_path: Path
) -> None:
    name = new_name()
    hook = DnsHook(file=str(write_hook(tmp_path, acme.pebble.dns_manage)))
    spec = acme.spec(name, f"*.{name}", kinds=(Kind.DNS,), dns=hook)
    keeping = keep()
    [cert] = keeping.obtain(spec)
    assert_served(keeping, cert, name, f"*.{name}")
    said = (tmp_path / "said").read_text(encoding="utf-8").split()
    assert sorted(said) == [*["cleanup"] * 2, *["present"] * 2]


def test_a_command_can_be_the_dns_hook(
    acme: Acme, keep: Callable[..., Keeping], tmp_path: Path
) -> None:
    file = write_hook(tmp_path, acme.pebble.dns_manage)
    command = (
        "sh",
        "-c",
        f'exec {sys.executable} -c "import hook; hook.$0(*\\"$1 $2\\".split())" "$@"',
    )
    name = f"*.{new_name()}"
    os.environ["PYTHONPATH"] = str(file.parent)
    try:
        spec = acme.spec(name, kinds=(Kind.DNS,), dns=DnsHook(command=command))
        [cert] = (keeping := keep()).obtain(spec)
    finally:
        del os.environ["PYTHONPATH"]
    assert_served(keeping, cert, name)


def write_hook(folder: Path, manage: str) -> Path:
    """A user's file that talks to the DNS server of the tests."""
    path = folder / "hook.py"
    path.write_text(
        f"""
import json, urllib.request

def present(name, value):
    ask("set-txt", host=name + ".", value=value)

def cleanup(name, value):
    ask("clear-txt", host=name + ".")

def ask(verb, **payload):
    with open({str(folder / "said")!r}, "a") as said:
        print("present" if "value" in payload else "cleanup", file=said)
    data = json.dumps(payload).encode()
    urllib.request.urlopen({manage!r} + "/" + verb, data, timeout=10).close()
""",
        encoding="utf-8",
    )
    return path


def test_a_wildcard_without_a_dns_hook_says_what_it_lacks(
    acme: Acme, keep: Callable[..., Keeping]
) -> None:
    keeping = keep()
    keeping.begin(acme.spec("*.wild.test", kinds=tuple(Kind)))
    line = keeping.line("*.wild.test")
    assert (line["state"], line["next"], line["next_at"]) == ("impossible", "nothing", None)
    assert "it needs a dns_hook" in line["last_error"]


def test_a_dns_hook_that_fails_is_quoted(
    acme: Acme, keep: Callable[..., Keeping], tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text("def present(name, value): 1 / 0", encoding="utf-8")
    hook = DnsHook(file=str(tmp_path / "broken.py"))
    keeping = keep()
    keeping.begin(acme.spec("*.broken.test", kinds=(Kind.DNS,), dns=hook))
    keeping.until(lambda: keeping.line("*.broken.test")["failures"])
    assert "ZeroDivisionError" in keeping.line("*.broken.test")["last_error"]


def test_one_certificate_can_have_several_names_each_proven_in_its_way(
    acme: Acme, keep: Callable[..., Keeping], tmp_path: Path
) -> None:
    first, second, third = (new_name() for _ in range(3))
    hook = DnsHook(file=str(write_hook(tmp_path, acme.pebble.dns_manage)))
    spec = acme.spec(first, second, f"*.{third}", kinds=tuple(Kind), dns=hook)
    keeping = keep()
    [cert] = keeping.obtain(spec)
    assert_served(keeping, cert, first, second, f"*.{third}")
    assert set(cert.names) == {first, second, f"*.{third}"}


def test_a_kind_of_challenge_that_fails_is_followed_by_another(
    acme: Acme, keep: Callable[..., Keeping]
) -> None:
    class Halved(FolderSolver):
        """Its HTTP answers reach nobody."""

        def present(self, kind: Kind, name: str, token: str, key_authorization: str) -> None:
            if kind is Kind.HTTP:
                self.presented.append((kind, name))
            else:
                super().present(kind, name, token, key_authorization)

    solver = Halved(acme.responders.folder)
    keeping = keep(solver=solver)
    keeping.keeper.desk.tally[Kind.ALPN] = (1, 2)  # so that HTTP-01, never tried, comes first
    name = new_name()
    keeping.obtain(acme.spec(name, kinds=(Kind.ALPN, Kind.HTTP)))
    assert solver.presented == [(Kind.HTTP, name), (Kind.ALPN, name)]
    # What worked before is tried first.
    name = new_name()
    keeping.keeper.want([acme.spec(name, kinds=(Kind.ALPN, Kind.HTTP))])
    keeping.until(lambda: len(solver.presented) == 3)
    assert solver.presented[2:] == [(Kind.ALPN, name)]


# Accounts and keys


def test_an_account_can_be_bound_to_one_that_the_ca_knows(
    acme: Acme, keep: Callable[..., Keeping], tmp_path: Path
) -> None:
    ports = (acme.pebble.http_port, acme.pebble.tls_port)
    with Pebble(tmp_path / "bound", accounts_bound=True, challenge_ports=ports) as bound:
        authority = Authority(
            directory=bound.directory,
            ca_file=bound.ca_file,
            binding=Binding(kid=KID, hmac_key=HMAC_KEY),
        )
        keeping = keep()
        spec = acme.spec(authorities=(authority,), email="me@example.com")
        [cert] = keeping.obtain(spec)
        assert_served(keeping, cert, spec.id)
        unbound = acme.spec(
            authorities=(Authority(directory=bound.directory, ca_file=bound.ca_file),)
        )
        keeping.keeper.want([spec, unbound])
        keeping.until(lambda: keeping.line(unbound.id)["failures"])
        assert "externalaccountrequired" in keeping.line(unbound.id)["last_error"].lower()


@pytest.mark.parametrize(
    ("key_type", "said"),
    [(KeyType.P384, "secp384r1"), (KeyType.RSA2048, "2048"), (KeyType.P256, "secp256r1")],
)
def test_a_key_is_of_the_type_that_is_wanted(
    acme: Acme, keep: Callable[..., Keeping], key_type: KeyType, said: str
) -> None:
    keeping = keep()
    spec = acme.spec(key_type=key_type)
    [cert] = keeping.obtain(spec)
    key = key_of(Path(cert.key_path).read_bytes())
    assert said == (
        key.curve.name if isinstance(key, EllipticCurvePrivateKey) else str(key.key_size)
    )


# Renewal and revocation


def test_a_certificate_is_renewed_when_a_third_of_its_life_is_left(
    acme: Acme, keep: Callable[..., Keeping]
) -> None:
    keeping = keep()
    spec = acme.spec()
    [former] = keeping.obtain(spec)
    keeping.until(lambda: keeping.line(spec.id)["state"] == "valid")
    due = former.not_before + (former.not_after - former.not_before) * 2 / 3
    assert keeping.line(spec.id)["next_at"] == pytest.approx(due, abs=2)
    keeping.clock.jump(due - keeping.clock.now() - 60)
    keeping.until(lambda: keeping.line(spec.id)["state"] == "valid")
    assert keeping.installed == [former]
    keeping.clock.jump(61)
    keeping.until(lambda: len(keeping.installed) == 2)
    latter = keeping.installed[1]
    assert latter.serial != former.serial
    assert Path(latter.key_path).read_bytes() != Path(former.key_path).read_bytes()
    assert_served(keeping, former, spec.id)  # for those who have not heard yet
    assert keeping.kinds() == ["certificate-obtained", "certificate-renewed"]


def test_a_certificate_that_is_revoked_is_replaced(
    acme: Acme, keep: Callable[..., Keeping]
) -> None:
    keeping = keep()
    spec = acme.spec()
    [former] = keeping.obtain(spec)
    keeping.keeper.revoke(spec.id, reason=1)
    assert acme.pebble.status_of(former.serial) == "Revoked"
    keeping.until(lambda: len(keeping.installed) == 2)
    assert acme.pebble.status_of(keeping.installed[1].serial) == "Valid"
    assert keeping.line(spec.id)["state"] == "valid"
    with pytest.raises(Refused, match="no certificate nobody"):
        keeping.keeper.revoke("nobody")


def test_an_order_to_renew_right_after_the_start_is_not_forgotten(
    acme: Acme, keep: Callable[..., Keeping]
) -> None:
    spec = acme.spec()
    [former] = keep().obtain(spec)
    keeping = keep()
    keeping.begin(spec)
    keeping.keeper.renew(spec.id)
    keeping.until(lambda: keeping.installed)
    assert keeping.installed[0].serial != former.serial


def test_another_name_in_the_wish_is_another_certificate_and_the_old_one_serves_on(
    acme: Acme, keep: Callable[..., Keeping]
) -> None:
    keeping = keep()
    spec = acme.spec()
    [former] = keeping.obtain(spec)
    wider = replace(spec, names=(*spec.names, new_name()))
    keeping.keeper.want([wider])
    kept = keeping.keeper.latest(spec.id)
    assert kept is not None
    assert kept.serial == former.serial
    keeping.until(lambda: len(keeping.installed) == 2)
    assert set(keeping.installed[1].names) == set(wider.names)


def test_the_next_control_finds_what_there_is_and_asks_nobody(
    acme: Acme, keep: Callable[..., Keeping]
) -> None:
    spec = acme.spec()
    [cert] = keep().obtain(spec)
    acme.pebble.stop()
    try:
        keeping = keep()
        keeping.begin(spec)
        kept = keeping.keeper.latest(spec.id)
        assert kept is not None
        assert kept.serial == cert.serial
        assert keeping.line(spec.id)["state"] == "valid"
    finally:
        acme.pebble.start()
