"""Who answers challenges: something of the edge's, for any worker may be asked."""

from typing import Protocol

from control.acme.spec import Kind


class Solver(Protocol):
    """Makes challenges answerable. For HTTP-01 and TLS-ALPN-01; the DNS is the user's."""

    def present(self, kind: Kind, name: str, token: str, key_authorization: str) -> None:
        """Returns when every worker can answer it. May be told of the same one twice. Raises
        `Refused` when it cannot."""

    def withdraw(self, kind: Kind, name: str, token: str, key_authorization: str) -> None:
        """Nobody asks any more. Also for what was never presented. Raises `Refused`."""
