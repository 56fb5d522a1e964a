"""The settings about TLS: of the server, and of a `[[route]]`."""

from dataclasses import asdict
from typing import Final

from control.config import kinds
from control.config.setting import DAY_S, Group, Setting, Shape
from edge.table.model import TlsSettings, UpstreamTls

_TLS: Final = asdict(TlsSettings())
_UPSTREAM: Final = asdict(UpstreamTls())

TLS: Final = Group(
    name="tls",
    doc="TLS for all hosts, on the addresses of server.https. A reload changes it.",
    settings=(
        Setting(
            key="redirect",
            kind=kinds.FLAG,
            default=_TLS["redirect"],
            doc="Send clients from http to https (308) where the host has a certificate.",
        ),
        Setting(
            key="hsts",
            kind=kinds.DURATION,
            default=float(_TLS["hsts_s"]),
            into="hsts_s",
            low=0.0,
            high=730 * DAY_S,
            doc="Tell browsers to use https only, for that long; 0 says nothing.",
        ),
        Setting(
            key="default",
            kind=kinds.AUTHORITY,
            default_doc="none: they get the alert `unrecognized_name`",
            doc="The host whose certificate is for clients that ask for an unknown name, or none.",
        ),
        Setting(
            key="handshake",
            kind=kinds.DURATION,
            default=_TLS["handshake_s"],
            into="handshake_s",
            low=0.1,
            high=300.0,
            doc="A handshake in all.",
        ),
        Setting(
            key="handshakes",
            kind=kinds.COUNT,
            default=_TLS["handshakes"],
            low=1,
            high=100_000,
            doc="Handshakes under way per worker; past it, they take turns. Nobody waits for silent"
            " clients for more than a second.",
        ),
        Setting(
            key="acme_directory",
            kind=kinds.DIRECTORY,
            shape=Shape.MANY,
            default=(),
            default_doc="Let's Encrypt",
            doc="CAs that certificates come from (RFC 8555): the next is asked when one fails.",
        ),
        Setting(
            key="acme_email",
            default="",
            doc="Whom a CA writes to.",
        ),
        Setting(
            key="acme_ca_file",
            kind=kinds.PATH,
            default_doc="those that the system trusts",
            doc="PEM file of who may have signed the CAs' own certificates, for private CAs.",
        ),
        Setting(
            key="acme_account",
            kind=kinds.BINDING,
            default_doc="none",
            doc='"KEY-ID:HMAC-KEY" of an account that one has with the CA (external account'
            " binding).",
        ),
        Setting(
            key="acme_profile",
            default="",
            doc='A profile of the CA, such as "shortlived".',
        ),
        Setting(
            key="acme_key",
            kind=kinds.KEY_TYPE,
            default="p256",
            doc="What keys are: `p256`, `p384`, `rsa2048` or `rsa4096`; each certificate has its"
            " own.",
        ),
        Setting(
            key="acme_challenges",
            kind=kinds.CHALLENGE,
            shape=Shape.MANY,
            default=(),
            default_doc="all that can be",
            doc="How names may be proven: `http-01`, `tls-alpn-01`, `dns-01`.",
        ),
        Setting(
            key="ask",
            kind=kinds.SERVICE,
            default_doc="none: nothing is `on_demand`",
            doc="Who says which names may have certificates on demand: it is asked with"
            " `?domain=NAME`, and 2xx is yes. A no is remembered for a minute.",
        ),
        Setting(
            key="dns_hook",
            kind=kinds.PATH,
            default_doc="none: wildcards have no certificate of a public CA",
            doc="For DNS-01: a program, called with `present` or `cleanup`, the name and the"
            " value; or a"
            " file ending in `.py` with functions of these names.",
        ),
        Setting(
            key="dns_wait",
            kind=kinds.DURATION,
            default=0.0,
            low=0.0,
            high=3600.0,
            doc="Until a record is at all nameservers.",
        ),
    ),
)

ROUTE_TLS: Final = Group(
    name="route.tls",
    doc="The certificate of the route's hosts; a string alone is its `mode`. All routes of a"
    " host must"
    " agree, those that say nothing do.",
    settings=(
        Setting(
            key="mode",
            kind=kinds.TLS_MODE,
            default_doc="`auto`, or `own` with `cert`",
            doc="`auto`: from a CA, or from the internal one for names that no CA knows;"
            " `internal`: from that one; `own`: from a file; `on_demand`: as `auto`, for each name"
            " that a pattern stands for, when a client first asks for it and `tls.ask` allows it;"
            " `off`: none.",
        ),
        Setting(
            key="cert", kind=kinds.PATH, doc="PEM file of the certificate and its intermediates."
        ),
        Setting(key="key", kind=kinds.PATH, doc="PEM file of its key. Control reads it as itself."),
        Setting(
            key="client_ca",
            kind=kinds.PATH,
            default_doc="none: clients are asked for no certificate",
            doc="PEM file of those who sign the certificates of clients.",
        ),
        Setting(
            key="client_required",
            kind=kinds.FLAG,
            default=True,
            doc="Clients without one are refused; else they are let in as strangers.",
        ),
    ),
    short="mode",
)

UPSTREAM_TLS: Final = Group(
    name="route.upstream_tls",
    doc="Speak TLS with the peers. A string alone is its `server_name`.",
    settings=(
        Setting(
            key="server_name",
            kind=kinds.AUTHORITY,
            default_doc="the name that the upstream is written with",
            doc="Whom the peers' certificates must be for, and whom they are asked for (SNI).",
        ),
        Setting(
            key="ca",
            kind=kinds.PATH,
            default_doc="those that the system trusts",
            doc="PEM file of who may have signed them.",
        ),
        Setting(
            key="verify",
            kind=kinds.FLAG,
            default=_UPSTREAM["verify"],
            doc="false takes any certificate: then anybody can be the peer.",
        ),
        Setting(
            key="cert",
            kind=kinds.PATH,
            into="chain",
            doc="PEM file of a certificate that edged shows; the workers' user must read it.",
        ),
        Setting(key="key", kind=kinds.PATH, doc="PEM file of its key, likewise."),
    ),
    short="server_name",
)
