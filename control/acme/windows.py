"""What is asked of a CA about a certificate that there is: when to renew it (RFC 9773), its end."""

from dataclasses import replace
from typing import Final

from control.acme.accounts import NOT_OURS
from control.acme.client import Client
from control.acme.failure import IssueFailed
from control.acme.issuance import Desk
from control.acme.renewal import WINDOW_RETRY_S, ask_again_s, chosen
from control.acme.spec import Authority, CertSpec
from control.acme.vault import Account, Cert

SILENT_S: Final = 86400.0
"""How long a CA that says nothing about renewals is not asked."""


class Windows:
    """Asks, and writes the answers into the vault."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._silent: dict[str, float] = {}  # CA: until when it is not asked

    def __repr__(self) -> str:
        return f"<Windows {len(self._silent)} silent>"

    def first_ask(self, cert: Cert) -> float:
        """When to ask for a certificate that was there at the start: not for all at once."""
        if cert.window is not None:
            return cert.window.ask_at
        return self.again_at()

    def again_at(self) -> float:
        """When to ask again where there was no answer."""
        return self._desk.clock.now() + WINDOW_RETRY_S * (1 + self._desk.toss()) / 2

    def ask(self, spec: CertSpec, cert: Cert) -> tuple[Cert, float]:
        """The certificate with its window, and when to ask again. Raises `IssueFailed`."""
        now = self._desk.clock.now()
        authority = _authority_of(spec, cert)
        if authority is None or self._silent.get(cert.directory, 0.0) > now:
            return cert, self.again_at()
        found = self._desk.steps.take(_window_at, authority, cert)
        if found is None:
            self._silent[cert.directory] = now + SILENT_S
            return cert, self.again_at()
        start, end, retry_after_s = found
        window = chosen(cert.window, start, end, self._desk.toss())
        window = replace(window, ask_at=now + ask_again_s(retry_after_s))
        cert = replace(cert, window=window)
        self._desk.steps.file(self._desk.vault.note, cert)
        return cert, window.ask_at

    def revoke(self, spec: CertSpec, cert: Cert, reason: int) -> Cert:
        """The certificate, revoked. Raises `IssueFailed`."""
        authority = _authority_of(spec, cert)
        if authority is None:
            raise IssueFailed("no-authority", f"{cert.directory} is not among its CAs any more")
        steps, vault = self._desk.steps, self._desk.vault
        chain, key = steps.file(vault.read, cert)
        owner = Account(key, "")  # whoever has the certificate's key may, too (RFC 8555, 7.6)
        account = steps.file(vault.account, authority, spec.email)
        holders = (account, owner) if account is not None and account.url else (owner,)
        for holder in holders:
            try:
                steps.take(_revoke_at, authority, holder, chain, reason)
                break
            except IssueFailed as failure:
                if failure.kind not in NOT_OURS or holder is owner:
                    raise  # else it is of another account of ours, that is no more
        cert = replace(cert, revoked=True)
        steps.file(vault.note, cert)
        return cert


# Private


def _authority_of(spec: CertSpec, cert: Cert) -> Authority | None:
    return next((one for one in spec.authorities if one.directory == cert.directory), None)


def _window_at(authority: Authority, cert: Cert) -> tuple[float, float, float] | None:
    client = Client(authority)
    try:
        client.connect()
        return client.window(cert.ari_id)
    finally:
        client.close()


def _revoke_at(authority: Authority, holder: Account, chain: str, reason: int) -> None:
    client = Client(authority, *holder)
    try:
        client.connect()
        client.revoke(chain, reason)
    except IssueFailed as failure:
        if failure.kind != "alreadyRevoked":
            raise
    finally:
        client.close()
