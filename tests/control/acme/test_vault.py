"""Files of the vault: whole or not there, nobody else's to read, and found again."""

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from control.acme.failure import IssueFailed
from control.acme.keys import pem_of
from control.acme.renewal import Window
from control.acme.spec import Authority, Binding
from control.acme.vault import Account, Cert, Issue, Vault
from tests.support.authority import certificate, pem

NAMES = [
    "a.test", "*.a.test", "", ".", "..", ".hidden", "a/b", "../up", "A.test", "%2E", "x" * 300,
    "ü.test", "a\n",
]  # fmt: skip


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(str(tmp_path / "vault"))


def issue(order: str = "https://ca.test/1") -> Issue:
    leaf, key = certificate("leaf", ("a.test",), certificate("root", ()))
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return Issue(pem(leaf).decode(), pem_of(key), "https://ca.test/dir", order, 5.0)


def modes(folder: str) -> dict[str, int]:
    return {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in [Path(folder), *Path(folder).rglob("*")]
    }


@pytest.mark.parametrize("name", NAMES)
def test_what_is_stored_is_found_again_under_any_name(vault: Vault, name: str) -> None:
    stored = vault.store(name, issue())
    assert vault.load([name]) == {name: stored}
    assert Path(stored.folder).is_relative_to(vault.folder)
    others = [other for other in NAMES if other != name]
    assert vault.load(others) == {}


def test_everything_is_its_owners_alone(vault: Vault) -> None:
    vault.store("a.test", issue())
    vault.keep_account(Authority(directory="https://ca.test/dir"), "", Account(b"k", ""))
    vault.keep_order_key("https://ca.test/1", b"k")
    found = modes(vault.folder)
    assert {
        mode
        for name, mode in found.items()
        if "." in name and name != "a.test" and (name.endswith((".pem", ".json")))
    } == {0o600}
    assert found["vault"] == found["accounts"] == found["000001"] == 0o700


def test_the_newest_is_served_and_the_one_before_it_stays(vault: Vault) -> None:
    stored = [vault.store("a.test", issue(f"https://ca.test/{n}")) for n in range(4)]
    assert vault.load(["a.test"])["a.test"] == stored[-1]
    assert [os.path.exists(each.key_path) for each in stored] == [False, False, True, True]


def test_what_was_learnt_is_found_again(vault: Vault) -> None:
    cert = replace(
        vault.store("a.test", issue()),
        window=Window(start=1.5, end=2.5, instant=2.0, ask_at=9.0),
        revoked=True,
    )
    vault.note(cert)
    assert vault.load(["a.test"]) == {"a.test": cert}


@pytest.mark.parametrize("file", ["meta.json", "key.pem", "chain.pem"])
@pytest.mark.parametrize("harm", ["gone", "empty"])
def test_one_that_is_not_whole_is_passed_over(vault: Vault, file: str, harm: str) -> None:
    former, latter = (vault.store("a.test", issue()) for _ in range(2))
    path = Path(latter.folder, file)
    path.unlink() if harm == "gone" else path.write_bytes(b"")
    assert vault.load(["a.test"]) == {"a.test": former}


@pytest.mark.parametrize(
    "meta", [b"\xff", b"[]", b"{}", b'{"version": 9}', b'{"version": 1, "id": "b.test"}']
)
def test_a_description_that_cannot_be_read_is_none(vault: Vault, meta: bytes) -> None:
    cert = vault.store("a.test", issue())
    Path(cert.folder, "meta.json").write_bytes(meta)
    assert vault.load(["a.test"]) == {}


def test_what_was_left_half_written_goes(vault: Vault) -> None:
    cert = vault.store("a.test", issue())
    above = Path(cert.folder).parent
    (above / ".new-1").mkdir()
    (above / ".new-1" / "key.pem").touch()
    (above / "000001" / ".new-meta.json-1").touch()  # what was learnt of it since
    Path(vault.folder, "orders", ".new-2").touch()
    vault.keep_order_key("https://ca.test/old", b"k")
    vault.load(["a.test"])
    vault.tidy(now=0.0)
    assert [path.name for path in Path(vault.folder).rglob(".new-*")] == []
    assert vault.order_key("https://ca.test/old") == b"k"
    vault.tidy(now=1e12)
    assert vault.order_key("https://ca.test/old") is None
    assert vault.load(["a.test"]) == {"a.test": cert}


def test_an_account_is_of_a_ca_an_address_and_a_binding(vault: Vault) -> None:
    one = Authority(directory="https://ca.test/dir")
    bound = replace(one, binding=Binding(kid="k", hmac_key="h"))
    other = replace(one, directory="https://ca.test/other")
    vault.keep_account(one, "me@example.com", Account(b"key", "https://ca.test/account"))
    assert vault.account(one, "me@example.com") == Account(b"key", "https://ca.test/account")
    for authority, email in [(one, ""), (bound, "me@example.com"), (other, "me@example.com")]:
        assert vault.account(authority, email) is None


def test_an_account_whose_address_was_not_written_has_its_key(vault: Vault) -> None:
    one = Authority(directory="https://ca.test/dir")
    vault.keep_account(one, "", Account(b"key", ""))
    assert vault.account(one, "") == Account(b"key", "")


def test_a_disk_that_cannot_be_written_is_a_failure_of_ours(tmp_path: Path) -> None:
    (tmp_path / "vault").write_text("a file", encoding="utf-8")
    vault = Vault(str(tmp_path / "vault"))
    for act in (vault.probe, lambda: vault.store("a.test", issue())):
        with pytest.raises(IssueFailed, match=r"vault") as caught:
            act()
        assert (caught.value.kind, caught.value.elsewhere) == ("storage", False)


def test_a_probe_leaves_nothing(vault: Vault) -> None:
    vault.probe()
    assert [path for path in Path(vault.folder).rglob("*") if path.is_file()] == []


def test_the_description_says_what_edgectl_needs(vault: Vault) -> None:
    cert: Cert = vault.store("a.test", issue())
    meta = json.loads(Path(cert.folder, "meta.json").read_text(encoding="utf-8"))
    assert meta["names"] == ["a.test"]
    assert meta["directory"] == "https://ca.test/dir"
    assert meta["not_after"] - meta["not_before"] == pytest.approx(90 * 86400 + 3600)
    assert cert.ari_id.count(".") == 1
