"""What the admin API can be asked: one method per verb, from plain values to a JSON document."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from control import metrics
from control import status as status_of
from control.admin.protocol import LARGEST_PAGE, PAGE
from control.admin.values import Document, Query, flag, number, one, seconds, text, texts
from control.certificates import ORDER_S
from control.explain import CLIENT, Explainer, explain
from control.refusal import Refused
from control.status import Sources
from control.upgrade import Upgrader
from edge.shared.segment import Segment
from edge.table.model import Mode, decode_route

FOLLOW_IDLE_S: Final = 10.0
QUICK_S: Final = 10.0
DRAIN_WAIT_S: Final = 30.0
LONGEST_DRAIN_S: Final = 3600.0
LONGEST_ORDER_S: Final = 600.0
BAN_S: Final = 3600.0
HOLD_S: Final = 30.0
RETRY_AFTER_S: Final = 60.0


class Commands:
    """The verbs. Each raises `Refused` for what cannot be done."""

    def __init__(self, sources: Sources, upgrader: Upgrader, explainer: Explainer) -> None:
        self._sources = sources
        self._upgrader = upgrader
        self._explainer = explainer

    def __repr__(self) -> str:
        return f"<Commands {self._sources.publisher!r}>"

    # Questions

    def status(self, query: Query) -> Document:
        """Everything at a glance."""
        return status_of.status(self._sources)

    def workers(self, query: Query) -> Document:
        """The worker processes."""
        segment: Segment = self._sources.segment
        try:
            master = self._sources.channel.ask("status", timeout_s=status_of.MASTER_WAIT_S)
        except Refused:
            master = {}
        return {
            "generation": self._sources.publisher.generation,
            "workers": status_of.workers(segment, master),
        }

    def routes(self, query: Query) -> Document:
        """Published routes: `contains` filters patterns, owners and peers; `limit`, `offset`."""
        needle = one(query, "contains").lower()
        limit = number(query, "limit", PAGE, LARGEST_PAGE)
        offset = number(query, "offset", 0)
        published = self._sources.publisher.published
        keys = sorted(
            key
            for key, text in published.items()
            if key.startswith("route:") and (not needle or needle in text.lower())
        )
        page = keys[offset : offset + limit]
        return {
            "generation": self._sources.publisher.generation,
            "total": len(keys),
            "offset": offset,
            "routes": [_compact(asdict(decode_route(published[key]))) for key in page],
        }

    def explain(self, query: Query) -> Document:
        """What a request would get: `method`, `url`, any number of `header=Name: value`."""
        url = one(query, "url")
        if not url:
            raise Refused("bad-request", "The parameter 'url' is missing.")
        fields = []
        for field in query.get("header", []):
            name, colon, value = field.partition(":")
            if not colon or not name.strip():
                raise Refused("bad-request", f"A header is 'Name: value', not {field!r}.")
            fields.append((name.strip(), value.strip()))
        table = self._explainer.table(self._sources.publisher.generation)
        return explain(
            table,
            self._sources.reloader.hooks(),
            one(query, "method") or "GET",
            url,
            fields,
            one(query, "client") or CLIENT,
        )

    def events(self, query: Query) -> Document:
        """The latest events, oldest first: `limit`, `after` (an id)."""
        limit = number(query, "limit", PAGE, LARGEST_PAGE)
        return {"events": self._sources.events.latest(limit, number(query, "after", 0))}

    def follow(self, query: Query) -> Iterator[Document | None]:
        """The latest events, then each as it happens; None when nothing did for a while."""
        events = self._sources.events
        # Followed first and read then, so that none falls between; a double is left out.
        live = events.follow(FOLLOW_IDLE_S)
        first = next(live)
        last = 0
        for entry in self.events(query)["events"]:
            last = entry["id"]
            yield entry
        yield first
        for entry_or_none in live:
            if entry_or_none is None or entry_or_none["id"] > last:
                yield entry_or_none

    def hooks(self, query: Query) -> Document:
        """The configured hooks in order, with what the workers counted of them."""
        hooks = self._sources.reloader.hooks()
        counted = metrics.hook_numbers(self._sources.segment)
        return {
            "hooks": [asdict(hook) | _numbers(counted.get(hook.name[:40], {})) for hook in hooks]
        }

    def peers(self, query: Query) -> Document:
        """The peers of the published routes."""
        return {"peers": self._sources.peers.listed(self._sources.publisher.published)}

    def bans(self, query: Query) -> Document:
        """Addresses and networks that are refused for a while."""
        return {"bans": self._sources.bans.listed()}

    def modes(self, query: Query) -> Document:
        """Targets in maintenance, or paused."""
        return {"modes": self._sources.modes.listed()}

    def certs(self, query: Query) -> Document:
        """The hosts, and the certificate that each is served with."""
        return {"certs": self._sources.reloader.certificates.listed()}

    def authority(self, query: Query) -> Document:
        """The internal CA's root, made now if there is none."""
        pem = self._sources.reloader.certificates.provider.authority.root_pem()
        return {"root_pem": pem.decode()}

    # Orders

    def ban(self, body: Document) -> Document:
        """Refuse `network` for `for_s` seconds."""
        return self._sources.bans.ban(text(body, "network"), seconds(body, "for_s", BAN_S))

    def lift_ban(self, body: Document) -> Document:
        """End the ban of `network`."""
        return self._sources.bans.lift(text(body, "network"))

    def enter_maintenance(self, body: Document) -> Document:
        """`target` answers 503 with a page, but for clients in `allow`."""
        mode = Mode(
            target=text(body, "target"),
            kind="maintenance",
            allow=texts(body, "allow"),
            message=text(body, "message"),
            retry_after_s=int(seconds(body, "retry_after_s", RETRY_AFTER_S)),
        )
        return self._sources.modes.enter(mode)

    def leave_maintenance(self, body: Document) -> Document:
        """`target` serves again."""
        return self._sources.modes.leave(text(body, "target"), "maintenance")

    def pause(self, body: Document) -> Document:
        """Hold the requests of `target`, each for at most `hold_s`, but for clients in `allow`."""
        mode = Mode(
            target=text(body, "target"),
            kind="pause",
            allow=texts(body, "allow"),
            hold_s=seconds(body, "hold_s", HOLD_S),
        )
        return self._sources.modes.enter(mode)

    def resume(self, body: Document) -> Document:
        """Let the held requests of `target` go on."""
        return self._sources.modes.leave(text(body, "target"), "pause")

    def drain_peer(self, body: Document) -> Document:
        """Take a peer out, and wait at most `wait_s` until it has nothing under way."""
        wait_s = body.get("wait_s", DRAIN_WAIT_S)
        if not isinstance(wait_s, int | float) or not 0 <= wait_s <= LONGEST_DRAIN_S:
            raise Refused("bad-request", f"'wait_s' is 0 to {LONGEST_DRAIN_S:g} seconds.")
        published = self._sources.publisher.published
        return self._sources.peers.drain(str(body.get("peer", "")), float(wait_s), published)

    def resume_peer(self, body: Document) -> Document:
        """Give a drained peer exchanges again."""
        published = self._sources.publisher.published
        return self._sources.peers.resume(str(body.get("peer", "")), published)

    def renew_certificate(self, body: Document) -> Document:
        """Obtain a new certificate for `host` now; waits for it, at most `within_s`."""
        certificates = self._sources.reloader.certificates
        return certificates.renew(text(body, "host"), _within_s(body))

    def revoke_certificate(self, body: Document) -> Document:
        """Have the certificate of `host` revoked; waits for the new one, at most `within_s`."""
        certificates = self._sources.reloader.certificates
        return certificates.revoke(text(body, "host"), _within_s(body))

    def obtain_certificate(self, body: Document) -> Document:
        """Have a certificate on demand for `name`; a worker asks when a client does."""
        return self._sources.reloader.certificates.obtain(text(body, "name"))

    def reload(self, body: Document) -> Document:
        """Apply the file on disk; `roll` also rolls the workers."""
        return self._sources.reloader.reload(roll=flag(body, "roll"))

    def check(self, body: Document) -> Document:
        """What a reload would do."""
        return self._sources.reloader.check()

    def stop(self, body: Document) -> Document:
        """End edged: drained, or `now`. Answered when the workers are gone."""
        self._sources.channel.ask("stop", now=flag(body, "now"))
        return {"stopping": True}

    def upgrade(self, body: Document) -> Document:
        """Exec the code on disk in place."""
        executable = body.get("executable", "")
        if not isinstance(executable, str):
            raise Refused("bad-request", "'executable' is a path.")
        return self._upgrader.upgrade(executable)

    def reopen_logs(self, body: Document) -> Document:
        """Have all workers open their access log again, after it was moved away."""
        self._sources.channel.ask("reopen-logs", timeout_s=QUICK_S)
        return {"reopened": True}


# Private


def _within_s(body: Document) -> float:
    within_s = seconds(body, "within_s", ORDER_S)
    if not 0 <= within_s <= LONGEST_ORDER_S:
        raise Refused("bad-request", f"'within_s' is 0 to {LONGEST_ORDER_S:g} seconds.")
    return within_s


def _compact(route: Document) -> Document:
    return {name: part for name, part in route.items() if part not in (None, "", ())}


def _numbers(counted: dict[str, int]) -> Document:
    calls, us = counted.get("calls", 0), counted.get("us", 0)
    return {
        "calls": calls,
        "errors": counted.get("errors", 0),
        "seconds": round(us / 1e6, 6),
        "mean_us": round(us / calls, 1) if calls else None,
    }
