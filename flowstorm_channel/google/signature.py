"""Whether a request comes from Google: the token that its head brings, and the keys that sign such tokens.

Nothing is fetched and no clock is read here: the host brings the keys (`KeysNeed`) and the time
(external.md, 2, "Authentication").
"""

from __future__ import annotations

import math
import re
import time
from binascii import a2b_base64
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeGuard

import attrs

from flowstorm_channel.codecs import JsonCodec
from flowstorm_channel.codecs.faults import form, shown
from flowstorm_channel.codecs.scalars import to_base64
from flowstorm_channel.errors import RemoteProtocolError, SignatureError
from flowstorm_channel.events import KeysNeed
from flowstorm_channel.wire import RequestHead

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

__all__ = ["GoogleKeys", "project_of", "token_of"]

HEADERS: Final[Mapping[int, str]] = {2: "authorization", 3: "google-assistant-signature"}
"""Where the token is, by version. In version 3 ``authorization`` holds one of the user."""
ISSUERS: Final = ("https://accounts.google.com", "accounts.google.com")
SKEW: Final = 300
"""How far the clocks of Google and of this host may be apart, in seconds."""
LIFETIME: Final = 86_400
"""The longest time that a token may be good for, in seconds."""

_LONGEST_TOKEN = 8 * 1024
_LONGEST_DOCUMENT = 64 * 1024
_KEY_BITS = range(2048, 8192 + 1)
_JSON = JsonCodec()
_HEADER, _CLAIMS, _DOCUMENT = "header of the token", "payload of the token", "document of keys"

_SOMEBODY = frozenset({"sub", "azp", "email", "email_verified", "target_audience"})
"""Claims of tokens about users and service accounts; the Assistant's own have none of them."""

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
_STANDARD = str.maketrans("-_", "+/")
_BEARER = re.compile(r"\Abearer +", re.IGNORECASE)


# ------------------------------------------------------------ tokens


def token_of(head: RequestHead, version: Literal[2, 3]) -> str:
    """The token that says who sends a request, not verified yet.

    Args:
        head: of the request.
        version: 2 for the Actions SDK, 3 for the Actions Builder. In version 2 the token may stand behind
            ``Bearer``.

    Raises:
        SignatureError: there is none, or more than one.
    """
    name = HEADERS[version]
    found = [value for key, value in head.headers if key.lower() == name]
    if len(found) > 1:
        raise SignatureError("there more than once", path=name)
    token = found[0] if found else ""
    if version == 2:
        token = _BEARER.sub("", token)
    if not token:
        raise SignatureError("missing", path=name)
    return token


@attrs.frozen(kw_only=True)
class _Token:
    """A token of the right form; nothing that it says may be believed yet."""

    kid: str
    claims: bytes
    signed: bytes
    signature: bytes


def _read(token: str) -> _Token:
    if len(token) > _LONGEST_TOKEN:
        raise SignatureError(f"a token of more than {_LONGEST_TOKEN} characters")
    parts = token.split(".")
    if len(parts) != 3:
        raise SignatureError(f"not a signed token: {len(parts)} parts, not 3")
    header = _object(_from_base64url(parts[0], _HEADER), _HEADER)
    # Not the token decides how it is to be verified: "none" would do, or the public key used as a password.
    if header.get("alg") != "RS256":
        raise SignatureError(f"must be RS256, not {shown(header.get('alg'))}", path="alg")
    if "crit" in header:
        raise SignatureError("asks for extensions that nobody knows here", path="crit")
    kid = header.get("kid")
    if type(kid) is not str or not kid:
        raise SignatureError("does not name a key", path="kid")
    return _Token(
        kid=kid,
        claims=_from_base64url(parts[1], _CLAIMS),
        signed=f"{parts[0]}.{parts[1]}".encode(),
        signature=_from_base64url(parts[2], "signature of the token"),
    )


def _from_base64url(text: str, what: str) -> bytes:
    """Decode what has exactly one spelling: no padding, no stray characters, no stray bits."""
    if not text or len(text) % 4 == 1 or not _BASE64URL.fullmatch(text):
        raise SignatureError(f"the {what} is not base64url")
    standard = text.translate(_STANDARD)
    data = a2b_base64(standard + "=" * (-len(text) % 4))
    if to_base64(data).rstrip("=") != standard:
        raise SignatureError(f"the {what} is not base64url: its last character holds too much")
    return data


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        tree = _JSON.decode_tree(data)
    except RemoteProtocolError as error:
        raise SignatureError(f"the {what}: {error}") from None
    if type(tree) is not dict:
        raise SignatureError(f"the {what} must be an object, not {form(tree)}")
    return tree


def project_of(claims: Mapping[str, Any], audience: Collection[str]) -> str | None:
    """Of the projects whose tokens are taken, the one that a token is for.

    Args:
        claims: of the token.
        audience: ids of the projects.
    """
    named = claims.get("aud")
    every = named if type(named) is list else [named]
    return next((each for each in every if type(each) is str and each in audience), None)


def _check_claims(claims: Mapping[str, Any], audience: Collection[str], moment: float) -> None:
    if claims.get("iss") not in ISSUERS:
        raise SignatureError(f"must be {ISSUERS[0]}, not {shown(claims.get('iss'))}", path="iss")
    if project_of(claims, audience) is None:
        raise SignatureError(f"the token is for somebody else: {shown(claims.get('aud'))}", path="aud")
    found = sorted(_SOMEBODY.intersection(claims))
    if found:
        # Google signs tokens of its users and of anybody's programs with the same keys, for any audience.
        raise SignatureError("the token says who somebody is, not that the Assistant asks", path=found[0])
    if type(claims.get("jti")) is not str or not claims["jti"]:
        raise SignatureError("missing", path="jti")
    issued, expires = _seconds(claims, "iat"), _seconds(claims, "exp")
    if issued > moment + SKEW:
        raise SignatureError("the token was issued in the future", path="iat")
    if _seconds(claims, "nbf") > moment + SKEW:
        raise SignatureError("the token is not valid yet", path="nbf")
    if expires < moment - SKEW:
        raise SignatureError("the token has expired", path="exp")
    if not 0 <= expires - issued <= LIFETIME:
        raise SignatureError(f"the token is not good for 0 to {LIFETIME} seconds", path="exp")


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    if name not in claims:
        raise SignatureError("missing", path=name)
    value = claims[name]
    if type(value) is int or type(value) is float:
        return value
    raise SignatureError(f"must be a number, not {form(value)}", path=name)


# ------------------------------------------------------------ keys


@attrs.frozen(kw_only=True)
class _Key:
    key: RSAPublicKey
    valid_from: float = -math.inf
    valid_to: float = math.inf


class GoogleKeys:
    """The public keys that Google signs with, kept for a while.

    Args:
        clock: gives seconds; it may not go backwards.
        keep_for: seconds until they are to be fetched again.
        again: seconds between two fetches because of tokens that name an unknown key, so that nobody
            can make the host fetch all the time.

    Raises:
        ImportError: `cryptography` is not installed.
        ValueError: `keep_for` or `again` is not positive.
    """

    URL: ClassVar[str] = "https://www.googleapis.com/oauth2/v1/certs"
    """Where Google publishes them."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        keep_for: float = 3600.0,
        again: float = 60.0,
    ) -> None:
        try:
            import cryptography  # noqa: F401
        except ImportError as error:
            raise ImportError(
                "Google's tokens are verified by cryptography: pip install 'flowstorm-channel[verify]'"
            ) from error
        if not (keep_for > 0 and again > 0):
            raise ValueError("keep_for and again must be positive")
        self._clock = clock
        self._keep_for = keep_for
        self._again = again
        self._keys: dict[str, _Key] = {}
        self._fresh_until = self._ask_from = -math.inf

    def need(self, token: str) -> KeysNeed | None:
        """What has to be fetched, and added, before that token can be checked.

        None when the keys are here; also for a token that no key could make a good one.

        Args:
            token: from `token_of`.
        """
        try:
            kid = _read(token).kid
        except SignatureError:
            return None
        now = self._clock()
        fresh = now < self._fresh_until
        if fresh and (kid in self._keys or now < self._ask_from):
            return None
        self._ask_from = now + self._again
        return KeysNeed(url=self.URL)

    def add(self, document: bytes) -> None:
        """Take the keys that were fetched, instead of all earlier ones. A refused document changes nothing.

        Keys that cannot make the signatures of tokens are left out.

        Args:
            document: JSON, an object of PEM certificates by the names of their keys; or a JWK Set.

        Raises:
            SignatureError: it is something else, or there is no key in it.
        """
        if len(document) > _LONGEST_DOCUMENT:
            raise SignatureError(f"the {_DOCUMENT} takes more than {_LONGEST_DOCUMENT} bytes")
        tree = _object(document, _DOCUMENT)
        listed = tree.get("keys")
        keys = _of_key_set(listed) if type(listed) is list else _of_certificates(tree)
        if not keys:
            raise SignatureError(f"the {_DOCUMENT} holds no RSA key that could be used")
        self._keys = keys
        self._fresh_until = self._clock() + self._keep_for

    def check(self, token: str, *, audience: Collection[str], now: datetime) -> Mapping[str, Any]:
        """Check that Google made a token, for us, and that it is good now; what it claims.

        It does not ask whether the keys are fresh. A key is good for as long as its certificate.

        Args:
            token: from `token_of`.
            audience: ids of the projects whose tokens are taken.
            now: the time, with its zone.

        Raises:
            SignatureError: it is no such token.
            TypeError: `audience` is a string, not several.
            ValueError: `audience` is empty, or `now` has no zone.
        """
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        if isinstance(audience, str):
            raise TypeError("audience must be a collection of project ids, not one")
        if not audience:
            raise ValueError("audience is empty: no token could ever be for it")
        if now.utcoffset() is None:
            raise ValueError("now must have a zone")
        moment = now.timestamp()
        found = _read(token)
        key = self._keys.get(found.kid)
        if key is None:
            raise SignatureError(f"no key of the name {shown(found.kid)} is known", path="kid")
        if not key.valid_from - SKEW <= moment <= key.valid_to + SKEW:
            raise SignatureError(
                f"the certificate of the key {shown(found.kid)} is not valid now", path="kid"
            )
        try:
            key.key.verify(found.signature, found.signed, PKCS1v15(), SHA256())
        except InvalidSignature:
            raise SignatureError("the signature of the token is not by the key that it names") from None
        claims = _object(found.claims, _CLAIMS)
        _check_claims(claims, audience, moment)
        return claims


def _of_certificates(tree: Mapping[str, Any]) -> dict[str, _Key]:
    from cryptography import exceptions, x509

    unreadable = (
        *(ValueError, TypeError, exceptions.UnsupportedAlgorithm, x509.InvalidVersion),
        Warning,  # of an issuer's bad habits, where the host makes errors of warnings
    )
    keys: dict[str, _Key] = {}
    for kid, pem in tree.items():
        if type(pem) is not str:
            raise SignatureError(f"the key {shown(kid)} must be a certificate, not {form(pem)}")
        try:
            certificate = x509.load_pem_x509_certificate(pem.encode())
            key = certificate.public_key()
            valid_from = certificate.not_valid_before_utc.timestamp()
            valid_to = certificate.not_valid_after_utc.timestamp()
        except unreadable as error:
            raise SignatureError(f"the certificate of the key {shown(kid)} cannot be read: {error}") from None
        if _usable(key):
            keys[kid] = _Key(key=key, valid_from=valid_from, valid_to=valid_to)
    return keys


def _of_key_set(listed: list[Any]) -> dict[str, _Key]:
    """The keys of a JWK Set (RFC 7517), those for other algorithms and uses left out."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    keys: dict[str, _Key] = {}
    for each in listed:
        jwk = each if type(each) is dict else {}
        kid = jwk.get("kid")
        if (
            type(kid) is not str
            or jwk.get("kty") != "RSA"
            or jwk.get("use", "sig") != "sig"
            or jwk.get("alg", "RS256") != "RS256"
        ):
            continue
        try:
            key = RSAPublicNumbers(_integer(jwk, "e"), _integer(jwk, "n")).public_key()
        except ValueError as error:
            raise SignatureError(f"the key {shown(kid)} cannot be read: {error}") from None
        if _usable(key):
            keys[kid] = _Key(key=key)
    return keys


def _integer(jwk: Mapping[str, Any], name: str) -> int:
    text = jwk.get(name)
    if type(text) is not str:
        raise SignatureError(f"must be a string, not {form(text)}", path=name)
    return int.from_bytes(_from_base64url(text, f"number {name} of a key"), "big")


def _usable(key: object) -> TypeGuard[RSAPublicKey]:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    return isinstance(key, RSAPublicKey) and key.key_size in _KEY_BITS
