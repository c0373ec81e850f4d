"""Who sent a request: the signature that Twilio puts on webhooks and on the handshake of a stream.

Everything here is a function of what is given: the secret, the address, the parameters or the body. The
address is the public one, as Twilio was told it; what a server behind a proxy sees is another, and the host
headers of a request are never believed (external.md, 3).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

import attrs

from flowstorm_channel.codecs.scalars import to_base64
from flowstorm_channel.errors import RemoteProtocolError, SignatureError
from flowstorm_channel.wire import RequestHead

__all__ = [
    "HMAC_SHA1",
    "HMAC_SHA256",
    "SETTINGS_HEADER",
    "SIGNATURE_HEADER",
    "SignatureSettings",
    "check_address",
    "check_form",
    "check_handshake",
    "check_json",
    "check_request",
    "public_address",
    "sign",
]

SIGNATURE_HEADER = "X-Twilio-Signature"
SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"
"""Says how a request was signed, when it was not with the auth token and `HMAC_SHA1`."""
HMAC_SHA1 = "HMAC_SHA1"
"""The algorithm of the auth token."""
HMAC_SHA256 = "HMAC_SHA256"
"""The algorithm of shared keys."""

_HASHES = {HMAC_SHA1: hashlib.sha1, HMAC_SHA256: hashlib.sha256}

Params = Sequence[tuple[str, str]]
"""The parameters of a form, decoded; a name may come more than once."""


def sign(secret: str, url: str, params: Iterable[tuple[str, str]] = (), *, algorithm: str = HMAC_SHA1) -> str:
    """The signature of a request, in base64.

    Args:
        secret: the account's auth token, or the shared key.
        url: the public address, with its query.
        params: those of the form, decoded; none for GET, JSON and WebSocket.
        algorithm: `HMAC_SHA1` or `HMAC_SHA256`.

    Raises:
        ValueError: the secret is empty, so that anybody could sign; or the algorithm is unknown.
    """
    if not secret:
        raise ValueError("the secret of signatures is empty")
    if algorithm not in _HASHES:
        raise ValueError(f"{algorithm!r} is not one of {', '.join(_HASHES)}")
    # Of a repeated name the values are sorted, and equal ones count once.
    text = url + "".join(name + value for name, value in sorted(set(params)))
    digest = hmac.new(secret.encode(), _bytes(text), _HASHES[algorithm]).digest()
    return to_base64(digest)


# ------------------------------------------------------------ checks


def check_form(
    auth_token: str, signature: str | None, url: str, params: Params, *, algorithm: str = HMAC_SHA1
) -> None:
    """Check a request with a form, or without a body.

    Args:
        auth_token: the secret it should be signed with.
        signature: the header `SIGNATURE_HEADER`; None when the request has none.
        url: the public address, with the query of the request.
        params: all of the form, decoded, the empty ones too; none for GET.
        algorithm: see `SignatureSettings`.

    Raises:
        SignatureError: nobody who knows the secret sent it, or the address is not the one Twilio was told.
        ValueError: the secret is empty, or the address is not absolute.
    """
    if algorithm not in _HASHES:
        raise SignatureError(f"signed with {_shown(algorithm)}, which is not one of {', '.join(_HASHES)}")
    right = [sign(auth_token, each, params, algorithm=algorithm) for each in _spellings(url)]
    if signature is None:
        raise SignatureError(f"there is no {SIGNATURE_HEADER}")
    given = _bytes(signature.strip())
    if not any(hmac.compare_digest(each.encode(), given) for each in right):
        what = f" with {len(params)} parameters" if params else ""
        raise SignatureError(
            f"not the signature of {_shown(_without_secrets(url))}{what}: it is forged, or this is not"
            " the address that Twilio calls, or not the secret of its account"
        )


def check_json(
    auth_token: str, signature: str | None, url: str, body: bytes, *, algorithm: str = HMAC_SHA1
) -> None:
    """Check a request with a body that is no form: its hash stands in the address, as ``bodySHA256``.

    Args:
        auth_token: the secret it should be signed with.
        signature: the header `SIGNATURE_HEADER`; None when the request has none.
        url: the public address, with the query of the request.
        body: as it was received.
        algorithm: see `SignatureSettings`.

    Raises:
        SignatureError: as for `check_form`; or the body is another one.
        ValueError: the secret is empty, or the address is not absolute.
    """
    check_form(auth_token, signature, url, (), algorithm=algorithm)
    named = parse_qs(urlsplit(url).query).get("bodySHA256")
    if named is None:
        raise SignatureError("there is no bodySHA256 in the address, so that nothing says what the body was")
    if not hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), _bytes(named[0])):
        raise SignatureError("the body is not the one that bodySHA256 in the address was made of")


def check_request(
    auth_token: str,
    head: RequestHead,
    url: str,
    params: Params = (),
    *,
    shared_keys: Mapping[str, str] | None = None,
) -> None:
    """Check a request with a form, or without a body, by what its head says about its signature.

    Args:
        auth_token: of the account.
        head: of the request.
        url: the public address: see `public_address`.
        params: as for `check_form`.
        shared_keys: the secrets of shared keys, by their ids: see `SignatureSettings`.

    Raises:
        SignatureError: as for `check_form`; or the shared key is not known here.
        ValueError: the secret is empty, or the address is not absolute.
    """
    settings = SignatureSettings.read(head)
    secret = settings.secret(auth_token, shared_keys)
    check_form(secret, head.header(SIGNATURE_HEADER), url, params, algorithm=settings.algorithm)


def check_handshake(
    auth_token: str, head: RequestHead, url: str, *, shared_keys: Mapping[str, str] | None = None
) -> None:
    """Check the handshake of a stream.

    Args:
        auth_token: of the account.
        head: the request that opens the WebSocket.
        url: the public address. It begins with ``wss:``, although many servers call it ``https:``.
        shared_keys: as for `check_request`.

    Raises:
        SignatureError: as for `check_request`.
        ValueError: the secret is empty, or the address is not that of a WebSocket.
    """
    if _Address.of(url).scheme.lower() not in ("wss", "ws"):
        raise ValueError(f"{_shown(_without_secrets(url))} is not the address of a WebSocket")
    check_request(auth_token, head, url, shared_keys=shared_keys)


@attrs.frozen(kw_only=True)
class SignatureSettings:
    """How a request says it was signed, in the header `SETTINGS_HEADER`.

    Args:
        key: the id of a shared key; None: the auth token.
        algorithm: its name in capitals, known or not.
    """

    key: str | None = None
    algorithm: str = HMAC_SHA1

    @classmethod
    def read(cls, head: RequestHead) -> SignatureSettings:
        """What the head of a request says; without the header, what has always held."""
        found: dict[str, str] = {}
        for part in (head.header(SETTINGS_HEADER) or "").split(","):
            name, _, value = part.partition("=")
            if value.strip():
                found.setdefault(name.strip(), value.strip())
        return cls(key=found.get("key"), algorithm=found.get("algorithm", HMAC_SHA1).upper())

    def secret(self, auth_token: str, shared_keys: Mapping[str, str] | None = None) -> str:
        """The secret to check with.

        Args:
            auth_token: of the account.
            shared_keys: the secrets of shared keys, by their ids.

        Raises:
            SignatureError: the shared key is not known here.
        """
        if self.key is None:
            return auth_token
        secret = (shared_keys or {}).get(self.key)
        if secret is None:
            raise SignatureError(f"signed with the shared key {_shown(self.key)}, which is not known here")
        return secret


def _bytes(text: str) -> bytes:
    """A text of the peer's. Not even one that is none may be an error: it only belongs to no signature."""
    return text.encode(errors="surrogatepass")


def _shown(text: str) -> str:
    """A text of the peer's for a log: printable, and not too long."""
    return ascii(text[:200])


# ------------------------------------------------------------ addresses

_PORTS = {"https": "443", "wss": "443", "http": "80", "ws": "80"}
_WITHOUT_TLS = {"https": "http", "wss": "ws"}
_ADDRESS = re.compile(r"([^:/?#]+)://([^/?#]*)(.*)", re.DOTALL)
_BLANK = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")
_TARGET = re.compile(r"(?:[/?][!\"$-~]*)?")
_PORT = re.compile(r":(\d*)\Z", re.ASCII)


class _Address(NamedTuple):
    """An address in four parts, each spelled as it was."""

    scheme: str
    user: str
    """With the at sign; empty when there is none."""
    host: str
    """With the brackets of IPv6, and with the port."""
    rest: str

    @classmethod
    def of(cls, url: str) -> _Address:
        found = _ADDRESS.fullmatch(url)
        if found is None or found[1].lower() not in _PORTS:
            raise ValueError(f"{url!r} is not an absolute address of {', '.join(_PORTS)}")
        user, at, host = found[2].rpartition("@")
        if not host or host.startswith(":"):
            raise ValueError(f"{url!r} has no host")
        return cls(found[1], user + at, host, found[3])


def _spellings(url: str) -> list[str]:
    """The forms of an address that Twilio may have signed.

    Its services differ in whether they leave out the port or name the usual one, and a user with a password
    is left out by some.
    """
    scheme, user, host, rest = _Address.of(url)
    port = _PORT.search(host)
    bare = host if port is None else host[: port.start()]
    hosts = dict.fromkeys([host, bare])
    if port is None or not port[1]:
        hosts[f"{bare}:{_PORTS[scheme.lower()]}"] = None
    return [f"{scheme}://{who}{each}{rest}" for who in dict.fromkeys([user, ""]) for each in hosts]


def _without_secrets(url: str) -> str:
    """An address as a log may have it: queries carry tokens."""
    scheme, _, host, rest = _Address.of(url)
    return f"{scheme}://{host}{re.split('[?#]', rest, maxsplit=1)[0]}"


def check_address(url: str, *schemes: str) -> None:
    """Refuse what cannot be called.

    Args:
        schemes: the legal ones.

    Raises:
        ValueError: it is not absolute, has another scheme, or what no address can hold.
    """
    if _Address.of(url).scheme.lower() not in schemes:
        raise ValueError(f"{url!r} does not begin with {' or '.join(schemes)}")
    if _BLANK.search(url):
        raise ValueError(f"{url!r} holds a blank or a control character")


def public_address(public_url: str, head: RequestHead, scheme: Literal["https", "wss"]) -> str:
    """The address under which Twilio sent a request.

    Args:
        public_url: where the outside finds the root of this server, ``https://host/base``: what stands
            before the path that requests have here. A trailing slash makes no difference.
        head: of the request; only path and query of it count.
        scheme: ``https`` for a webhook, ``wss`` for a stream; ``http`` and ``ws`` come of it when
            `public_url` is without TLS itself.

    Raises:
        RemoteProtocolError: the request has no path.
        ValueError: the public address is not absolute, or has a query.
    """
    base = _Address.of(public_url)
    if "?" in base.rest or "#" in base.rest:
        raise ValueError(f"{public_url!r} has a query: the public address is that of the whole server")
    secure = base.scheme.lower() in ("https", "wss")
    signed = scheme if secure else _WITHOUT_TLS[scheme]
    return f"{signed}://{base.user}{base.host}{base.rest.rstrip('/')}{_target(head.url)}"


def _target(url: str) -> str:
    """Path and query of what a request asks for, spelled as they are."""
    absolute = None if url.startswith("/") else _ADDRESS.fullmatch(url)
    target = url if absolute is None else absolute[3]
    if (absolute is None and not target.startswith("/")) or not _TARGET.fullmatch(target):
        raise RemoteProtocolError("what the request asks for is no address")
    return target
