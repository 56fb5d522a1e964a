"""The edge's own hooks, in their order, and those of them that follow the settings."""

from edge.builtin.access import Admit, Banned
from edge.builtin.auth import Authenticate
from edge.builtin.balance import Balance, Eject
from edge.builtin.breaker import Break
from edge.builtin.browser import CrossOrigin, Secure
from edge.builtin.forward_auth import AskWhoMayPass
from edge.builtin.gate import Gate
from edge.builtin.https import Challenge, ClientCertificate, ToHttps
from edge.builtin.limit import Concurrent, Limit, LimitFields, Pace
from edge.builtin.mirror import Copy
from edge.builtin.pages import ErrorPages, InterceptErrors
from edge.builtin.route import FieldRules, OwnAnswer, Router
from edge.builtin.split import Split, Stick
from edge.builtin.static import Static
from edge.builtin.token import CheckToken
from edge.hooks import Hook
from edge.table.model import Mode, Settings
from edge.table.reader import Table


class Platform:
    """What a worker is besides a proxy engine."""

    def __init__(self, table: Table) -> None:
        self.router = Router(table)
        self._gate = Gate()
        self._pages = ErrorPages()
        self._stick = Stick()
        self._modes: tuple[Mode, ...] = ()
        self._plain = True  # nothing speaks TLS
        self.hooks: list[Hook] = [
            Challenge(self.router),
            Banned(),
            self.router,
            ToHttps(self.router),
            ClientCertificate(),
            Admit(),
            self._gate,
            Limit(),
            LimitFields(),
            Concurrent(),
            CrossOrigin(),
            Authenticate(),
            CheckToken(),
            AskWhoMayPass(),
            Pace(),
            OwnAnswer(),
            Static(),
            Break(),
            FieldRules(),
            Split(),
            self._stick,
            Balance(),
            Eject(),
            InterceptErrors(self._pages),
            Secure(),
            self._pages,
            Copy(),
        ]
        """In the order in which they run."""

    def __repr__(self) -> str:
        return f"<Platform {len(self.hooks)} hooks>"

    def follow(self, settings: Settings) -> bool:
        """Other settings are in force; whether routes need other hooks than before."""
        self._pages.pages = settings.error_pages
        self._stick.secret = settings.secret.encode()
        changed = (settings.modes, settings.tls is None) != (self._modes, self._plain)
        self._plain = settings.tls is None
        if settings.modes != self._modes:
            self._modes = settings.modes
            self._gate.follow(settings.modes)
        return changed
