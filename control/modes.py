"""Maintenance and pauses, by order of an operator: kept, published, and shown.

They live beside the configuration, so that no reload ends them. Each has a target: a pattern as
`edgectl routes` shows it, a host (all its routes), or "*".
"""

import difflib
import logging
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from control.events import Events
from control.publish import ROUTE, SETTINGS, Changes, Publisher
from control.refusal import Refused
from control.state import State
from edge.rewrite import networks
from edge.table.model import Mode, Settings, decode_settings, encode

log = logging.getLogger("control.modes")

KEPT: Final = "modes"
SECRET: Final = "secret"
EVERYTHING: Final = "*"
LONGEST_HOLD_S: Final = 600.0
LONGEST_RETRY_S: Final = 30 * 86400
MESSAGE_CHARACTERS: Final = 1000


@dataclass(slots=True)
class ModeDesk:
    """What can be asked and done about them."""

    publisher: Publisher
    state: State
    events: Events
    _modes: tuple[Mode, ...] = ()
    _secret: str = ""
    _known: bool = field(default=False)

    def completed(self, settings: Settings) -> Settings:
        """The settings of a file with what does not come from it."""
        if not self._known:
            self._read()
        return replace(settings, modes=self._modes, secret=self._secret)

    def listed(self) -> list[dict[str, Any]]:
        """The modes in force."""
        return [asdict(mode) for mode in self._modes]

    def enter(self, mode: Mode) -> dict[str, Any]:
        """Put routes into a mode, instead of the one that they are in. Raises `Refused`."""
        _check(mode)
        self._find(mode.target)
        others = tuple(each for each in self._modes if each.target != mode.target)
        late = self._change((*others, mode))
        self.events.add(f"{mode.kind}-on", f"{mode.target} is in {mode.kind}", target=mode.target)
        return asdict(mode) | {"unacked": late}

    def leave(self, target: str, kind: str) -> dict[str, Any]:
        """End the mode of a target. Raises `Refused`."""
        found = [mode for mode in self._modes if mode.target == target and mode.kind == kind]
        if not found:
            raise Refused("not-found", f"{target!r} is not in {kind}: see 'edgectl modes'.")
        late = self._change(tuple(mode for mode in self._modes if mode not in found))
        self.events.add(f"{kind}-off", f"{target} serves as usual", target=target)
        return {"target": target, "kind": kind, "unacked": late}

    # Private

    def _read(self) -> None:
        """What was in force. A state database that does not work leaves what is published."""
        try:
            modes = self.state.kept(KEPT) or []
            secret = self.state.kept(SECRET)
            if secret is None:
                secret = secrets.token_hex(32)
                self.state.keep(SECRET, secret)
        except Refused as refusal:
            log.error("modes are taken from the table: %s", refusal.message)
            published = self.publisher.published.get(SETTINGS)
            settings = decode_settings(published) if published else Settings()
            self._modes = settings.modes
            self._secret = settings.secret or secrets.token_hex(32)
            return
        self._modes = tuple(Mode(**mode | {"allow": tuple(mode["allow"])}) for mode in modes)
        self._secret = secret
        self._known = True

    def _change(self, modes: tuple[Mode, ...]) -> list[int]:
        """Keep and publish them; the slots whose workers have not taken it up. Raises `Refused`."""
        with self.publisher.lock:
            published = self.publisher.published.get(SETTINGS)
            if published is None:
                raise Refused("busy", "Nothing is published yet: try again in a moment.")
            before = self._modes
            self.state.keep(KEPT, [asdict(mode) for mode in modes])
            settings = replace(decode_settings(published), modes=modes)
            try:
                done = self.publisher.publish(Changes(put={SETTINGS: encode(settings)}))
            except Refused:
                self.state.keep(KEPT, [asdict(mode) for mode in before])
                raise
            self._modes = modes
            return list(done.unacked)

    def _find(self, target: str) -> None:
        """Raises `Refused` for what is no route, no host of one and not "*"."""
        known = _targets(self.publisher.published)
        if target not in known:
            near = difflib.get_close_matches(target, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "see 'edgectl routes'."
            raise Refused("not-found", f"No route has the pattern or host {target!r}: {hint}")


# Private


def _targets(published: Mapping[str, str]) -> set[str]:
    patterns = {key.removeprefix(ROUTE) for key in published if key.startswith(ROUTE)}
    return {EVERYTHING} | patterns | {pattern.partition("/")[0] for pattern in patterns}


def _check(mode: Mode) -> None:
    try:
        networks(mode.allow)
    except ValueError as error:
        raise Refused("bad-request", f"'allow' is no list of networks: {error}.") from None
    if len(mode.message) > MESSAGE_CHARACTERS:
        raise Refused("bad-request", f"A message has at most {MESSAGE_CHARACTERS} characters.")
    if not 0 < mode.hold_s <= LONGEST_HOLD_S:
        raise Refused("bad-request", f"Requests are held for at most {LONGEST_HOLD_S:g} s.")
    if not 0 <= mode.retry_after_s <= LONGEST_RETRY_S:
        raise Refused("bad-request", f"'retry_after_s' is 0 to {LONGEST_RETRY_S}.")
