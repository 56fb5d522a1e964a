"""What is wanted: certificates for names, from whom, and how the names are proven.

The reader owns the format: whoever wants certificates of the keeper makes these.
"""

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """How a name is proven to be ours."""

    HTTP = "http-01"
    ALPN = "tls-alpn-01"
    DNS = "dns-01"


class KeyType(StrEnum):
    """What a certificate's key is; each certificate gets a new one."""

    P256 = "p256"
    P384 = "p384"
    RSA2048 = "rsa2048"
    RSA4096 = "rsa4096"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """An account that one has with a CA already (RFC 8555, 7.3.4), as the CA's pages name it."""

    kid: str
    hmac_key: str  # base64url


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A CA: where its directory is, and how it is trusted."""

    directory: str
    ca_file: str = ""  # trust for the directory itself; "" is what the system trusts
    binding: Binding | None = None
    staging: str = ""  # a directory to try first after a failure; "" is the known one, if any

    @property
    def probe(self) -> "Authority | None":
        """The CA's staging directory, where attempts cost nothing."""
        url = self.staging or STAGING.get(self.directory, "")
        return Authority(directory=url, ca_file=self.ca_file, binding=self.binding) if url else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsHook:
    """The user's own way to put a TXT record into the DNS: a command, or a file with functions."""

    command: tuple[str, ...] = ()  # called with: present|cleanup NAME VALUE
    file: str = ""  # Python: present(name, value), cleanup(name, value)
    timeout_s: float = 60.0
    wait_s: float = 0.0  # until the record is at all nameservers


@dataclass(frozen=True, slots=True, kw_only=True)
class CertSpec:
    """One certificate that is wanted."""

    id: str
    names: tuple[str, ...]  # lower case, IDNA, no trailing dot; addresses too
    authorities: tuple[Authority, ...]  # in the order in which they are asked
    email: str = ""
    profile: str = ""
    key_type: KeyType = KeyType.P256
    kinds: tuple[Kind, ...] = (Kind.HTTP, Kind.ALPN, Kind.DNS)
    dns: DnsHook | None = None


LETS_ENCRYPT: Final = "https://acme-v02.api.letsencrypt.org/directory"
ZERO_SSL: Final = "https://acme.zerossl.com/v2/DV90"

STAGING: Final = {
    LETS_ENCRYPT: "https://acme-staging-v02.api.letsencrypt.org/directory",
    "https://dv.acme-v02.api.pki.goog/directory":
        "https://dv.acme-v02.test-api.pki.goog/directory",
}  # fmt: skip


def is_address(name: str) -> bool:
    """Whether a certificate's name is an address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def usable_kinds(spec: CertSpec, *, wildcard: bool) -> tuple[Kind, ...]:
    """How such a name can be proven: a wildcard by a DNS record alone (RFC 8555, 7.1.3)."""
    allowed = (Kind.DNS,) if wildcard else tuple(Kind)
    return tuple(
        kind for kind in spec.kinds if kind in allowed and (kind is not Kind.DNS or spec.dns)
    )


def problem_of(spec: CertSpec) -> str:
    """Why such a certificate can never be obtained; "" when there is no reason."""
    if not spec.names or not spec.authorities:
        return f"{spec.id} has {'no CA' if spec.names else 'no names'}"
    for name in spec.names:
        if name.startswith("*.") and not usable_kinds(spec, wildcard=True):
            return (
                f"{name} is a wildcard, which a CA accepts by DNS-01 only:"
                " it needs a dns_hook, and dns-01 among the allowed challenges"
            )
        if not usable_kinds(spec, wildcard=name.startswith("*.")):
            return f"{name} has no way to be proven: allow a challenge type"
    return ""
