"""Talking to a CA (RFC 8555, 8738, 9773): the only module that knows the `acme` library.

It has the library's signatures and nonces, and reads the answers itself: CAs err, and an answer
that makes no sense is a failure like any other. Each method asks once and returns; whoever calls
it waits, repeats and remembers. It blocks: it is for a thread, one at a time.
"""

import base64
import contextlib
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any, Final, TypeVar

import josepy.errors
import josepy.interfaces
import josepy.jwa
import josepy.jwk
import josepy.util
import requests
from acme import client as library
from acme import errors, messages
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from control.acme.answers import (
    Answer,
    Authorization,
    OrderView,
    authorization_of,
    json_of,
    order_of,
    problem_of,
    retry_after_s,
    strings,
    text_of,
    window_of,
)
from control.acme.chain import leaf_of
from control.acme.failure import STRANGE, UNREACHABLE, IssueFailed
from control.acme.keys import key_of
from control.acme.spec import Authority, is_address

T = TypeVar("T")

ANSWER_S: Final = 30.0
LARGEST: Final = 1024 * 1024
NONCE_TRIES: Final = 12
PAGES: Final = 100
LOOKS: Final = 20
USER_AGENT: Final = "edged"


class Client:
    """A conversation with one CA, as the holder of an account with its key; of a certificate's key,
    which may only revoke that; without one, for what is open to all."""

    def __init__(self, authority: Authority, key: bytes = b"", account_url: str = "") -> None:
        self.authority = authority
        self.directory: dict[str, Any] = {}
        algorithm = josepy.jwa.ES256
        self._key: josepy.jwk.JWK | None = None
        if key:
            self._key, algorithm = _signer(key)
        self._net = library.ClientNetwork(
            self._key, alg=algorithm, user_agent=USER_AGENT, timeout=int(ANSWER_S)
        )
        if authority.ca_file:
            # A flag for the library, but it goes to `requests` as it stands, where a path may be.
            self._net.verify_ssl = authority.ca_file  # type: ignore[assignment]
        self._net.session.hooks["response"].append(self._take)
        self._last: Answer | None = None
        self._closed = False
        self._be(account_url)

    def __repr__(self) -> str:
        return f"<Client {self.authority.directory}>"

    def connect(self) -> None:
        """Read the directory."""
        found = json_of(self._ask(self.authority.directory))
        for name in ("newNonce", "newAccount", "newOrder"):
            text_of(found, name)
        self.directory = found

    @property
    def account_url(self) -> str:
        """The account's address; "" before there is one."""
        account = self._net.account
        return str(account.uri) if account is not None else ""

    def register(self, email: str) -> str:
        """The account of this key: a new one, or the one that there is. Its address."""
        self._be("")
        payload: dict[str, Any] = {"termsOfServiceAgreed": True}
        if email:
            payload["contact"] = [f"mailto:{email}"]
        if self.authority.binding is not None:
            payload["externalAccountBinding"] = self._bound()
        answer = self._post(self.directory["newAccount"], payload)
        self._be(answer.location)
        return answer.location

    def place(self, names: tuple[str, ...], profile: str, replaces: str) -> OrderView:
        """A new order."""
        identifiers = [
            {"type": "ip" if is_address(name) else "dns", "value": name} for name in names
        ]
        payload: dict[str, Any] = {"identifiers": identifiers}
        if profile and profile in self._meta("profiles", dict):
            payload["profile"] = profile
        elif profile:
            offered = ", ".join(self._meta("profiles", dict)) or "none"
            detail = f"it has no profile {profile} (it offers {offered})"
            raise IssueFailed("invalidProfile", detail, is_final=True)
        if replaces and "renewalInfo" in self.directory:
            payload["replaces"] = replaces
        answer = self._post(self.directory["newOrder"], payload)
        return order_of(answer, answer.location)

    def find(self, names: tuple[str, ...]) -> OrderView | None:
        """An order for those names that is still open, where the CA lists orders."""
        account = json_of(self._post(self.account_url, None))
        url, orders = account.get("orders"), []
        for _ in range(PAGES):
            if not isinstance(url, str):
                break
            answer = self._post(url, None)
            orders += strings(json_of(answer), "orders")
            url = answer.links.get("next")
        for order in reversed(orders[-LOOKS:]):
            found = self.look(order)
            if set(found.names) == set(names) and found.is_open:
                return found
        return None

    def look(self, order: str) -> OrderView:
        """An order as it is now."""
        return order_of(self._post(order, None), order)

    def authorization(self, url: str) -> Authorization:
        """What there is to do for one name."""
        return authorization_of(self._post(url, None), url, self._thumbprint())

    def answer(self, challenge: str) -> None:
        """Tell the CA that it may look."""
        self._post(challenge, {})

    def finalize(self, order: OrderView, request: bytes) -> OrderView:
        """Ask for the certificate itself."""
        csr = base64.urlsafe_b64encode(request).decode().rstrip("=")
        return order_of(self._post(order.finalize, {"csr": csr}), order.url)

    def chain(self, url: str) -> str:
        """The certificate and those above it, as PEM."""
        return self._post(url, None).text

    def revoke(self, chain: str, reason: int = 0) -> None:
        """Have it revoked (RFC 5280, 5.3.1 for the reason)."""
        leaf = base64.urlsafe_b64encode(leaf_of(chain).public_bytes(Encoding.DER)).decode()
        payload = {"certificate": leaf.rstrip("="), "reason": reason}
        self._post(text_of(self.directory, "revokeCert"), payload)

    def window(self, ari_id: str) -> tuple[float, float, float] | None:
        """When the CA would like a renewal: from, until, and after how many seconds to ask again.

        None when it says nothing about that.
        """
        url = self.directory.get("renewalInfo")
        if not ari_id or not isinstance(url, str):
            return None
        answer = self._ask(f"{url.rstrip('/')}/{ari_id}")
        return *window_of(answer), answer.retry_after_s

    def close(self) -> None:
        """End its connections; also those that a thread has in its hands, when it is done."""
        self._closed = True
        self._net.session.close()

    # Private

    def _be(self, account_url: str) -> None:
        self._net.account = (
            messages.RegistrationResource(uri=account_url, body=messages.Registration())
            if account_url
            else None
        )

    def _bound(self) -> dict[str, Any]:
        binding = self.authority.binding
        assert binding is not None
        assert self._key is not None
        directory = messages.Directory(self.directory)
        try:
            return messages.ExternalAccountBinding.from_data(
                self._key.public_key(), binding.kid, binding.hmac_key, directory
            )
        except (ValueError, josepy.errors.Error):
            detail = f"the hmac_key of {binding.kid} is not base64url"
            raise IssueFailed("externalAccountRequired", detail, is_final=True) from None

    def _meta(self, name: str, kind: type[T]) -> T:
        meta = self.directory.get("meta")
        found = meta.get(name) if isinstance(meta, dict) else None
        return found if isinstance(found, kind) else kind()

    def _thumbprint(self) -> str:
        assert self._key is not None
        return base64.urlsafe_b64encode(self._key.thumbprint()).decode().rstrip("=")

    def _ask(self, url: str) -> Answer:
        """Without a signature."""
        with self._translated(url):
            self._net.get(url)
        return self._answered()

    def _post(self, url: str, payload: dict[str, Any] | None) -> Answer:
        """Signed; no payload is the question for what is there (RFC 8555, 6.3)."""
        nonces = self.directory["newNonce"]
        for left in reversed(range(NONCE_TRIES)):
            try:
                with self._translated(url):
                    body = None if payload is None else _Body(payload)
                    self._net.post(url, body, new_nonce_url=nonces)
                return self._answered()
            except IssueFailed as failure:
                if failure.kind != "badNonce" or not left:
                    raise
        raise AssertionError

    def _answered(self) -> Answer:
        assert self._last is not None
        return self._last

    def _take(self, response: requests.Response, *_: object, **__: object) -> None:
        """Read each answer with limits on its size and its time, and keep it: the library's
        errors do not say what its headers were."""
        deadline = time.monotonic() + ANSWER_S
        text = bytearray()
        for piece in response.iter_content(16384):
            text += piece
            if len(text) > LARGEST or time.monotonic() > deadline:
                response.close()
                raise requests.RequestException("its answer is too long, or takes too long")
        response._content = bytes(text)  # where `requests` keeps what it has read
        self._last = Answer(
            status=response.status_code,
            text=text.decode("utf-8", "replace"),
            location=response.headers.get("Location", ""),
            retry_after_s=retry_after_s(response.headers.get("Retry-After", "")),
            links={rel: link["url"] for rel, link in response.links.items() if "url" in link},
        )

    @contextlib.contextmanager
    def _translated(self, url: str) -> Iterator[None]:
        scheme = urllib.parse.urlsplit(url).scheme
        if scheme != urllib.parse.urlsplit(self.authority.directory).scheme:
            raise IssueFailed(STRANGE, f"it sends us to {url}")
        if self._closed:
            raise IssueFailed(UNREACHABLE, "nobody waits for it any more")
        self._last = None
        try:
            yield
        except requests.RequestException as error:
            raise IssueFailed(UNREACHABLE, f"{url}: {_reason(error)}") from None
        except (errors.Error, josepy.errors.Error) as error:
            if self._last is None or self._last.status < 400:
                raise IssueFailed(STRANGE, f"{url}: {error}") from None
            raise problem_of(self._last) from None
        finally:
            if self._closed:
                self._net.session.close()


class _Body(josepy.interfaces.JSONDeSerializable):
    """A payload as it stands."""

    def __init__(self, payload: dict[str, Any]) -> None:
        self.payload = payload

    def to_partial_json(self) -> dict[str, Any]:
        return self.payload

    @classmethod
    def from_json(cls, jobj: object) -> "_Body":
        """The library's base asks for it."""
        assert isinstance(jobj, dict)
        return cls(jobj)


# Private


def _signer(pem: bytes) -> tuple[josepy.jwk.JWK, josepy.jwa.JWASignature]:
    key = key_of(pem)
    if isinstance(key, rsa.RSAPrivateKey):
        return josepy.jwk.JWKRSA(key=josepy.util.ComparableRSAKey(key)), josepy.jwa.RS256
    algorithm = josepy.jwa.ES384 if isinstance(key.curve, ec.SECP384R1) else josepy.jwa.ES256
    return josepy.jwk.JWKEC(key=key), algorithm


def _reason(error: requests.RequestException) -> str:
    """The innermost reason: the outer ones name objects."""
    inner: BaseException = error
    while inner.__cause__ or inner.__context__:
        inner = inner.__cause__ or inner.__context__ or inner
    return str(inner) or type(inner).__name__
