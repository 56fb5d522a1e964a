"""The edge's own hooks, in their order."""

from edge.builtin.auth import Authenticate
from edge.builtin.balance import Balance, Eject
from edge.builtin.limit import Admit, Limit, LimitFields
from edge.builtin.route import FieldRules, OwnAnswer, Router
from edge.builtin.static import Static
from edge.hooks import Hook


def builtin_hooks(router: Router) -> list[Hook]:
    """The edge's own hooks, in the order in which they run."""
    return [
        router,
        Admit(),
        Limit(),
        LimitFields(),
        Authenticate(),
        OwnAnswer(),
        Static(),
        FieldRules(),
        Balance(),
        Eject(),
    ]
