"""State that all workers share. For hooks: `from edge import shared`.

`shared.counter("logins").add()` counts in this worker's own cell and sums over all workers, past
and present, when read. `shared.flag("maintenance").set(1)` is seen by every worker at once.
`shared.limit("logins", 5, 60.0).take(address).allowed` is a rate limit over all workers,
`shared.slots("exports", 2)` a limit of what goes on at the same time, and
`shared.ban(address, 600.0)` refuses a client for ten minutes.
All live as long as the master, through worker restarts and upgrades.
"""

from edge.shared.buckets import Bucket, Verdict
from edge.shared.names import (
    SharedCounter,
    SharedFlag,
    ban,
    bans,
    counter,
    flag,
    limit,
    slots,
)
from edge.shared.slots import Slots

__all__ = [
    "Bucket", "SharedCounter", "SharedFlag", "Slots", "Verdict", "ban", "bans", "counter", "flag",
    "limit", "slots",
]  # fmt: skip
