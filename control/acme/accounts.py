"""Accounts at CAs: found in the vault, opened where there is none, looked for anew where a CA does
not take what is in the vault for one.

Rule 1: one opening at a time for each account, and all who need it share how that ends: at a first
        start that is every certificate.
Rule 2: the key is in the vault before the CA hears of it, and the address is bound to the key. A CA
        that is asked with a key that it knows says which account that is, and opens none.
"""

from typing import Final

import gevent

from control.acme.client import Client
from control.acme.failure import IssueFailed
from control.acme.keys import new_key
from control.acme.spec import Authority, KeyType
from control.acme.steps import Steps
from control.acme.vault import Account, Vault

NOT_OURS: Final = {"accountDoesNotExist", "malformed", "unauthorized"}
"""What CAs say to a request that is signed with another key than the account's, or for none."""


class Accounts:
    """The accounts of one vault."""

    def __init__(self, vault: Vault, steps: Steps) -> None:
        self._vault = vault
        self._steps = steps
        self._openings: dict[tuple[str, str, str], gevent.Greenlet] = {}

    def __repr__(self) -> str:
        return f"<Accounts {len(self._openings)} being opened>"

    def find(self, authority: Authority, email: str) -> Account:
        """The account at that CA, with its address. Raises `IssueFailed`."""
        account = self._steps.file(self._vault.account, authority, email)
        if account is not None and account.url:
            return account
        return self._opened(authority, email, "")

    def find_anew(self, authority: Authority, email: str, refused: str) -> Account:
        """The account, after a refusal (`NOT_OURS`) of requests for that address: the CA is asked
        which one it has for the key. With the same address, that was not the reason. Raises
        `IssueFailed`."""
        return self._opened(authority, email, refused)

    # Private

    def _opened(self, authority: Authority, email: str, refused: str) -> Account:
        name = (authority.directory, email, authority.binding.kid if authority.binding else "")
        opening = self._openings.get(name)
        if opening is None:
            # A greenlet of its own: whoever wanted it first may be ended before the CA answers.
            opening = gevent.spawn(self._open_once, name, authority, email, refused)
            self._openings[name] = opening
        outcome: Account | IssueFailed = opening.get()
        if isinstance(outcome, IssueFailed):
            raise outcome
        return outcome

    def _open_once(
        self, name: tuple[str, str, str], authority: Authority, email: str, refused: str
    ) -> Account | IssueFailed:
        try:
            return self._open(authority, email, refused)
        except IssueFailed as failure:  # gevent would take it for a bug, and print it
            return failure
        finally:
            del self._openings[name]

    def _open(self, authority: Authority, email: str, refused: str) -> Account:
        take, file, vault = self._steps.take, self._steps.file, self._vault
        account = file(vault.account, authority, email)
        if account is None:
            account = Account(take(new_key, KeyType.P256), "")
            file(vault.keep_account, authority, email, account)
        elif account.url not in ("", refused):
            return account  # another opening has ended a moment ago
        client = Client(authority, account.key)
        try:
            take(client.connect)
            known = account._replace(url=self._steps.insist(lambda: client.register(email)))
        finally:
            client.close()
        if known != account:
            file(vault.keep_account, authority, email, known)
        return known
