"""The verbs of `edgectl` that steer traffic: peers, bans, maintenance, pauses."""

import re
from typing import Final

import click

from control.cli import show
from control.cli.context import Context

_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(s|m|h|d)")
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic in newer ones only
    """A duration such as 90s, 10m, 1h or 7d, as seconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, context: click.Context | None
    ) -> float:
        """Read it."""
        if isinstance(value, float):
            return value
        match = _DURATION.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is no duration: write it like 90s, 10m, 1h or 7d", param, context)
        return float(match[1]) * _UNITS[match[2]]


DURATION: Final = Duration()


@click.command(short_help="The peers: who is up, and who has how much to do.")
@click.pass_obj
def peers(context: Context) -> None:
    """The peers of all routes: who is up, drained or left alone, and who has how much to do.

    \b
    Example: edgectl peers
    """
    context.say(context.client.get("/v1/peers"), show.peers)


@click.group(short_help="Take one peer out for a while, and bring it back.")
def peer() -> None:
    """Take one peer out for a while, and bring it back.

    \b
    Example: edgectl peer drain 127.0.0.1:9001
    """


@peer.command()
@click.argument("address")
@click.option("--wait", "wait_s", default=30.0, help="Seconds for what it has.", show_default=True)
@click.pass_obj
def drain(context: Context, address: str, wait_s: float) -> None:
    """Give a peer no more requests; returns when it has answered those that it had.

    It stays so through reloads and restarts of workers, until it is resumed or edged is restarted.

    \b
    Example: edgectl peer drain 127.0.0.1:9001
    """
    document = context.client.post("/v1/peers/drain", timeout_s=None, peer=address, wait_s=wait_s)
    context.say(document, lambda _: show.printable(f"{address} is drained"))


@peer.command(name="resume")
@click.argument("address")
@click.pass_obj
def peer_resume(context: Context, address: str) -> None:
    """Give a drained peer requests again.

    \b
    Example: edgectl peer resume 127.0.0.1:9001
    """
    document = context.client.post("/v1/peers/resume", peer=address)
    context.say(document, lambda _: show.printable(f"{address} gets requests again"))


@click.command(short_help="Refuse a client's requests for a while.")
@click.argument("network")
@click.option("--for", "for_s", type=DURATION, default="1h", show_default=True, help="How long.")
@click.pass_obj
def ban(context: Context, network: str, for_s: float) -> None:
    """Refuse the requests of an address or a network for a while: 403 `banned`.

    It outlives reloads and restarts; `unban` ends it early.

    \b
    Examples: edgectl ban 203.0.113.7
              edgectl ban 2001:db8::/48 --for 7d
    """
    document = context.client.post("/v1/bans/add", network=network, for_s=for_s)
    context.say(document, lambda done: show.printable(f"{done['network']} is banned"))


@click.command(short_help="End a ban.")
@click.argument("network")
@click.pass_obj
def unban(context: Context, network: str) -> None:
    """End the ban of an address or a network.

    \b
    Example: edgectl ban 203.0.113.7 && edgectl unban 203.0.113.7
    """
    document = context.client.post("/v1/bans/lift", network=network)
    context.say(document, lambda done: show.printable(f"{done['network']} is not banned any more"))


@click.command(short_help="Who is banned, and for how long yet.")
@click.pass_obj
def bans(context: Context) -> None:
    """Addresses and networks whose requests are refused, by hand, by a limit or by a hook.

    \b
    Example: edgectl bans
    """
    context.say(context.client.get("/v1/bans"), show.bans)


@click.command(short_help="What is in maintenance, or paused.")
@click.pass_obj
def modes(context: Context) -> None:
    """Routes that do not serve as usual: in maintenance, or paused.

    \b
    Example: edgectl modes
    """
    context.say(context.client.get("/v1/modes"), show.modes)


@click.group(short_help="Answer 503 with a page instead of a route.")
def maintenance() -> None:
    """Answer 503 with a page instead of a route, and end that.

    TARGET is a route's pattern, a host for all its routes, or '*' for all.

    \b
    Example: edgectl maintenance on example.com --allow 198.51.100.0/24
    """


@maintenance.command(name="on")
@click.argument("target")
@click.option("--allow", multiple=True, metavar="CIDR", help="Clients who notice nothing.")
@click.option("--message", default="", help="What the page says.")
@click.option("--retry-after", type=DURATION, default="1m", show_default=True, help="For clients.")
@click.pass_obj
def maintenance_on(
    context: Context, target: str, allow: tuple[str, ...], message: str, retry_after: float
) -> None:
    """Begin it; returns when every worker knows. It outlives reloads and restarts.

    \b
    Example: edgectl maintenance on example.com --message 'Back at noon.'
    """
    document = context.client.post(
        "/v1/maintenance/on",
        target=target,
        allow=list(allow),
        message=message,
        retry_after_s=retry_after,
    )
    context.say(document, lambda done: show.entered(done, "is in maintenance"))


@maintenance.command(name="off")
@click.argument("target")
@click.pass_obj
def maintenance_off(context: Context, target: str) -> None:
    """End it.

    \b
    Example: edgectl maintenance on example.com && edgectl maintenance off example.com
    """
    document = context.client.post("/v1/maintenance/off", target=target)
    context.say(document, lambda done: show.entered(done, "serves as usual"))


@click.command(short_help="Hold a route's requests for a moment.")
@click.argument("target")
@click.option("--allow", multiple=True, metavar="CIDR", help="Clients who notice nothing.")
@click.option(
    "--hold", type=DURATION, default="30s", show_default=True, help="How long each may wait."
)
@click.pass_obj
def pause(context: Context, target: str, allow: tuple[str, ...], hold: float) -> None:
    """Hold the requests of a route until it is resumed: they wait, and none is lost.

    One that has waited for --hold gets 503 `paused`. TARGET is a route's pattern, a host for all
    its routes, or '*' for all.

    \b
    Example: edgectl pause example.com --hold 2m
    """
    document = context.client.post("/v1/pause", target=target, allow=list(allow), hold_s=hold)
    context.say(document, lambda done: show.entered(done, "is paused"))


@click.command(short_help="Let held requests go on.")
@click.argument("target")
@click.pass_obj
def resume(context: Context, target: str) -> None:
    """Let the requests of a paused route go on.

    \b
    Example: edgectl pause example.com && edgectl resume example.com
    """
    document = context.client.post("/v1/resume", target=target)
    context.say(document, lambda done: show.entered(done, "serves as usual"))


WAIT: Final = click.option(
    "--timeout",
    type=DURATION,
    default="1m",
    show_default=True,
    help="How long to wait; the attempt goes on.",
)


@click.group(short_help="The hosts, and the certificate of each.", invoke_without_command=True)
@click.pass_context
def certs(command: click.Context) -> None:
    """The hosts, the certificate that each is served with, what happens next, and what is wrong.

    \b
    Example: edgectl certs
    """
    if command.invoked_subcommand is None:
        context: Context = command.obj
        context.say(context.client.get("/v1/certs"), show.certs)


@certs.command()
@click.argument("host")
@WAIT
@click.pass_obj
def renew(context: Context, host: str, timeout: float) -> None:
    """Obtain a new certificate from the CA now, also when that was given up.

    Returns when every worker has it. When it cannot be had, the error says why and when it is tried
    again, and the former one serves on.

    \b
    Example: edgectl certs renew www.example.com
    """
    document = context.client.post("/v1/certs/renew", host=host, within_s=timeout)
    context.say(document, lambda done: show.renewed(done, "has a new certificate"))


@certs.command()
@click.argument("host")
@WAIT
@click.pass_obj
def revoke(context: Context, host: str, timeout: float) -> None:
    """Have the CA revoke a certificate, when its key may be known, and obtain a new one.

    Returns when every worker has that. Until then the revoked one is served.

    \b
    Example: edgectl certs revoke www.example.com
    """
    document = context.client.post("/v1/certs/revoke", host=host, within_s=timeout)
    context.say(document, lambda done: show.renewed(done, "is revoked and has a new certificate"))


VERBS: Final = (certs, peers, peer, ban, unban, bans, maintenance, pause, resume, modes)
"""All of them."""
