"""The vault: certificates with their keys, accounts, and keys of orders under way, as files.

Rule 1: what is under its own name is whole. Files are written beside it, synced, and renamed; a
        chain comes with its key as one folder, so nobody ever sees the one without the other.
Rule 2: what was served stays. A new certificate gets a folder of its own, and the one before it
        is kept for those who have not heard yet.
Rule 3: everything is control's alone. Workers get a copy of what they serve (`certstore.py`).

Everything here blocks: it is for a thread.
"""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, NamedTuple

from control import durable
from control.acme.chain import facts_of
from control.acme.failure import STORAGE, IssueFailed
from control.acme.renewal import Window
from control.acme.spec import Authority

FORMAT: Final = 1
CHAIN: Final = "chain.pem"
KEY: Final = "key.pem"
META: Final = "meta.json"
ACCOUNT: Final = "account.json"
KEPT: Final = 2
"""So many of a certificate's issues stay: the one that is served, and the one before it."""

OLD_S: Final = 30 * 86400.0
"""No order lives that long."""

_LONGEST: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Cert:
    """A certificate in the vault."""

    id: str
    names: tuple[str, ...]
    directory: str  # of the CA that issued it
    issuer: str
    serial: str
    not_before: float
    not_after: float
    ari_id: str
    order: str  # the order's address at the CA
    stored: float  # when it came into the vault
    folder: str = ""
    window: Window | None = None
    revoked: bool = False

    @property
    def chain_path(self) -> str:
        """The file with the chain, the certificate itself first."""
        return os.path.join(self.folder, CHAIN)

    @property
    def key_path(self) -> str:
        """The file with its private key."""
        return os.path.join(self.folder, KEY)


class Issue(NamedTuple):
    """What goes into the vault together."""

    chain: str
    key: bytes
    directory: str
    order: str
    now: float


class Account(NamedTuple):
    """An account at a CA; its address is "" until the CA has said it for that very key."""

    key: bytes
    url: str


class Vault:
    """The folder. Its methods raise `IssueFailed` of kind `storage` when it cannot do its part."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._certificates = os.path.join(folder, "certificates")
        self._accounts = os.path.join(folder, "accounts")
        self._orders = os.path.join(folder, "orders")

    def __repr__(self) -> str:
        return f"<Vault {self.folder}>"

    def probe(self) -> None:
        """Make sure that what is about to be obtained can be written: orders cost, at the CA."""
        with self._storing():
            self._prepare()
            path = os.path.join(self._orders, f"probe-{secrets.token_hex(4)}")
            text = secrets.token_bytes(4096)
            try:
                durable.write(path, text)
                if _read(path) != text:
                    raise IssueFailed(STORAGE, f"{path} reads otherwise than it was written")
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)

    def tidy(self, now: float) -> None:
        """Remove what nobody will ask for: half-written files, and keys of orders long over."""
        for above, _, files in os.walk(self.folder):
            if above.startswith(self._certificates):
                continue  # `load` does that for those that it loads
            for path in (os.path.join(above, name) for name in files):
                with contextlib.suppress(OSError):
                    is_old = above == self._orders and os.stat(path).st_mtime < now - OLD_S
                    if is_old or durable.is_unfinished(os.path.basename(path)):
                        os.unlink(path)

    # Certificates

    def load(self, ids: Iterable[str]) -> dict[str, Cert]:
        """The newest whole certificate of each; what was left half written goes."""
        found = ((name, self._newest(name)) for name in ids)
        return {name: cert for name, cert in found if cert is not None}

    def store(self, name: str, issue: Issue) -> Cert:
        """Put chain and key into the vault, as one."""
        facts = facts_of(issue.chain)
        cert = Cert(
            id=name, directory=issue.directory, order=issue.order, stored=issue.now, **asdict(facts)
        )
        with self._storing():
            self._prepare()
            above = self._folder_of(name)
            durable.make_folder(above)
            cert = replace(cert, folder=os.path.join(above, f"{_next_number(above):06d}"))
            files = {CHAIN: issue.chain.encode(), KEY: issue.key, META: _meta_of(cert)}
            durable.write_folder(cert.folder, files)
            for number in _numbers(above)[:-KEPT]:
                shutil.rmtree(os.path.join(above, number))
        return cert

    def note(self, cert: Cert) -> None:
        """Write down what was learnt of a certificate since: its window, its end."""
        with self._storing():
            durable.write(os.path.join(cert.folder, META), _meta_of(cert))

    def read(self, cert: Cert) -> tuple[str, bytes]:
        """Its chain and its key."""
        with self._storing():
            return _read(cert.chain_path).decode(), _read(cert.key_path)

    def remove(self, name: str) -> None:
        """Forget a certificate with its keys."""
        with self._storing():
            shutil.rmtree(self._folder_of(name), ignore_errors=True)

    # Accounts

    def account(self, authority: Authority, email: str) -> Account | None:
        """The account at that CA, if there is a key for one."""
        folder = self._account_folder(authority, email)
        with self._storing():
            try:
                key = _read(os.path.join(folder, KEY))
            except FileNotFoundError:
                return None
            try:
                known = json.loads(_read(os.path.join(folder, ACCOUNT)))
                url = str(known["url"]) if known["key"] == _digest(key.decode()) else ""
            except (FileNotFoundError, ValueError, KeyError, TypeError):
                url = ""  # the CA tells it to whoever has the key
            return Account(key, url)

    def keep_account(self, authority: Authority, email: str, account: Account) -> None:
        """Write down an account: its key before the CA is asked, its address afterwards."""
        folder = self._account_folder(authority, email)
        with self._storing():
            self._prepare()
            durable.make_folder(folder)
            durable.write(os.path.join(folder, KEY), account.key)
            known = {
                "version": FORMAT,
                "directory": authority.directory,
                "url": account.url,
                "key": _digest(account.key.decode()),  # whose address that is
            }
            durable.write(os.path.join(folder, ACCOUNT), json.dumps(known).encode())

    # Orders

    def order_key(self, order: str) -> bytes | None:
        """The key of an order under way."""
        with self._storing():
            try:
                return _read(self._order_path(order))
            except FileNotFoundError:
                return None

    def keep_order_key(self, order: str, key: bytes) -> None:
        """Write down the key before the CA gets a request with it."""
        with self._storing():
            self._prepare()
            durable.write(self._order_path(order), key)

    def drop_order_key(self, order: str) -> None:
        """The order is over."""
        with self._storing(), contextlib.suppress(FileNotFoundError):
            os.unlink(self._order_path(order))

    # Private

    @contextlib.contextmanager
    def _storing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = error.filename or self.folder
            raise IssueFailed(
                STORAGE, f"{where}: {error.strerror or error}", elsewhere=False
            ) from None

    def _prepare(self) -> None:
        for folder in (self.folder, self._certificates, self._accounts, self._orders):
            durable.make_folder(folder)

    def _folder_of(self, name: str) -> str:
        return os.path.join(self._certificates, _file_name(name))

    def _account_folder(self, authority: Authority, email: str) -> str:
        kid = authority.binding.kid if authority.binding else ""
        digest = _digest(f"{authority.directory}\n{email}\n{kid}")[:16]
        host = urllib.parse.urlsplit(authority.directory).hostname or "ca"
        return os.path.join(self._accounts, f"{_file_name(host)}-{digest}")

    def _order_path(self, order: str) -> str:
        return os.path.join(self._orders, f"{_digest(order)}.pem")

    def _newest(self, name: str) -> Cert | None:
        above = self._folder_of(name)
        with contextlib.suppress(OSError):
            _sweep(above)
            for number in reversed(_numbers(above)):
                folder = os.path.join(above, number)
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                    _sweep(folder)
                    return _cert_in(folder, name)
        return None


# Private


def _cert_in(folder: str, name: str) -> Cert:
    """The certificate of a folder. Raises `OSError`, `ValueError`, `KeyError` or `TypeError`."""
    raw: dict[str, Any] = json.loads(_read(os.path.join(folder, META)))
    if raw.pop("version") != FORMAT or raw["id"] != name:
        raise ValueError(f"{folder} is not of {name}")
    window = raw.pop("window")
    names = tuple(raw.pop("names"))
    cert = Cert(**raw, names=names, window=Window(**window) if window else None, folder=folder)
    if not os.path.getsize(cert.chain_path) or not os.path.getsize(cert.key_path):
        raise ValueError(f"{folder} has an empty file")
    return cert


def _meta_of(cert: Cert) -> bytes:
    known = asdict(cert)
    del known["folder"]
    return json.dumps({"version": FORMAT, **known}, indent=1).encode()


def _sweep(folder: str) -> None:
    """Remove what a crash has left half written. Raises `OSError` when there is no such folder."""
    for entry in os.scandir(folder):
        if not durable.is_unfinished(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.unlink(entry.path)


def _numbers(folder: str) -> list[str]:
    return sorted(entry for entry in os.listdir(folder) if entry.isdecimal())


def _next_number(folder: str) -> int:
    return int(max(_numbers(folder), default="0")) + 1


def _file_name(name: str) -> str:
    """The name as one of a file: the same for no other, and never a hidden one."""
    quoted = urllib.parse.quote(name, safe="")
    if quoted.startswith("."):
        quoted = f"%2E{quoted[1:]}"
    return quoted if quoted and len(quoted) <= _LONGEST else f"%{_digest(name)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
