"""State that all workers share. For hooks: `from edge import shared`.

`shared.counter("logins").add()` counts in this worker's own cell and sums over all workers, past
and present, when read. `shared.flag("maintenance").set(1)` is seen by every worker at once.
Both live as long as the master, through worker restarts and upgrades.
"""

from edge.shared.names import SharedCounter, SharedFlag, counter, flag

__all__ = ["SharedCounter", "SharedFlag", "counter", "flag"]
