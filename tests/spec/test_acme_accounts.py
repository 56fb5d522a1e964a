"""Accounts at a CA: one for all hosts, whatever happens while it is opened."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from control.acme.client import Client
from control.acme.keys import new_key
from control.acme.spec import Authority, KeyType
from tests.support.acme import Acme
from tests.support.acme_front import AcmeFront, Asked
from tests.support.automatic import Automatic, fingerprint, state
from tests.support.edged import route
from tests.support.eventually import eventually
from tests.support.keeping import Keeping
from tests.support.pebble import Pebble

HOSTS = [f"site{number}.example" for number in range(10)]
ROUTES = "".join(route(host, extra='respond = "secure"') for host in HOSTS)


def test_ten_hosts_at_a_first_start_share_one_account_that_is_good_for_everything(
    automatic: Automatic,
) -> None:
    with automatic.edged(ROUTES) as edged:
        eventually(lambda: all(state(edged, host) == "valid" for host in HOSTS), 60)
        assert accounts_at(automatic.pebble) == 1
        for host, verb in zip(HOSTS, ["renew", "revoke"] * 5, strict=True):
            former = fingerprint(edged, host)
            assert edged.ctl("certs", verb, host)
            assert fingerprint(edged, host) != former
        assert accounts_at(automatic.pebble) == 1


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_a_control_that_is_killed_while_the_account_is_opened_leaves_one_that_works(
    automatic: Automatic, late: bool
) -> None:
    with AcmeFront(automatic.pebble) as front:
        edged = automatic.edged(ROUTES, directory=front.directory)
        killed: list[int] = []

        def kill(asked: Asked) -> None:
            if asked.what == "sign-me-up" and not killed:
                killed.append(eventually(edged.control_pid))
                edged.end(killed[0])

        # When the CA has opened it and nobody knows, or before it hears of it.
        if late:
            front.answered = kill
        else:
            front.passing = kill
        with edged:
            eventually(lambda: killed, 40)
            eventually(lambda: edged.is_ready() and edged.control_pid() not in killed, 40)
            eventually(lambda: all(state(edged, host) == "valid" for host in HOSTS), 60)
            assert accounts_at(automatic.pebble) == 1


@pytest.mark.parametrize("is_old", [True, False], ids=["of-before", "of-now"])
def test_an_account_whose_key_is_another_ones_is_put_right(
    acme: Acme, keep: Callable[..., Keeping], is_old: bool
) -> None:
    keeping = keep()
    specs = [acme.spec() for _ in range(3)]
    keeping.obtain(*specs)
    path = account_file(keeping)
    known = json.loads(path.read_text(encoding="utf-8"))
    right = known["url"]
    known["url"] = another_account(acme)
    if is_old:
        del known["key"]  # as edged wrote it when openings overwrote each other
    path.write_text(json.dumps(known), encoding="utf-8")

    opened = accounts_at(acme.pebble)
    keeping = keep()
    keeping.begin(*specs)
    for spec in specs:
        keeping.keeper.renew(spec.id)
    keeping.until(lambda: len(keeping.installed) == 3)
    assert [keeping.line(spec.id)["failures"] for spec in specs] == [0, 0, 0]
    assert json.loads(path.read_text(encoding="utf-8"))["url"] == right
    assert accounts_at(acme.pebble) == opened


def test_an_account_that_the_ca_has_forgotten_is_opened_once_for_all(
    acme: Acme, keep: Callable[..., Keeping]
) -> None:
    keeping = keep()
    specs = [acme.spec() for _ in range(5)]
    keeping.obtain(*specs)
    acme.pebble.stop()
    acme.pebble.start()
    opened = accounts_at(acme.pebble)
    for spec in specs:
        keeping.keeper.renew(spec.id)
    keeping.until(lambda: len(keeping.installed) == 10)
    assert accounts_at(acme.pebble) == opened + 1
    assert "certificate-failed" not in keeping.kinds()


def test_a_ca_in_trouble_is_asked_for_an_account_again_and_opens_one(
    acme: Acme, keep: Callable[..., Keeping], front: AcmeFront
) -> None:
    front.fail("sign-me-up", 503, times=2, late=True)
    opened = accounts_at(acme.pebble)
    keeping = keep()
    authority = Authority(directory=front.directory, ca_file=front.ca_file)
    keeping.obtain(*[acme.spec(authorities=(authority,)) for _ in range(5)])
    assert accounts_at(acme.pebble) == opened + 1
    assert "certificate-failed" not in keeping.kinds()


@pytest.mark.parametrize("key_type", list(KeyType))
@pytest.mark.parametrize("is_lost", [True, False], ids=["lost", "another"])
def test_a_certificate_of_an_account_that_is_lost_is_revoked_with_its_own_key(
    acme: Acme, keep: Callable[..., Keeping], key_type: KeyType, is_lost: bool
) -> None:
    keeping = keep()
    spec, other = acme.spec(key_type=key_type), acme.spec()
    [cert] = keeping.obtain(spec)
    keeping.until(lambda: keeping.line(spec.id)["state"] == "valid")
    shutil.rmtree(Path(keeping.vault.folder, "accounts"))
    if not is_lost:
        keeping.keeper.want([spec, other])
        keeping.until(lambda: keeping.keeper.latest(other.id))
    keeping.keeper.revoke(spec.id)
    assert acme.pebble.status_of(cert.serial) == "Revoked"


def accounts_at(pebble: Pebble) -> int:
    """How many accounts that CA has opened in its life."""
    return len(re.findall(r"There are now \d+ accounts in memory", pebble.log))


def account_file(keeping: Keeping) -> Path:
    """Where the vault has the address of its only account."""
    [path] = Path(keeping.vault.folder, "accounts").glob("*/account.json")
    return path


def another_account(acme: Acme) -> str:
    """The address of an account that is not the vault's."""
    client = Client(acme.authority, new_key(KeyType.P256))
    try:
        client.connect()
        return client.register("")
    finally:
        client.close()
