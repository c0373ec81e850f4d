"""Whether a request comes from Alexa: its headers, the certificates they name, its signature, its age.

Nothing is fetched and no clock is read here: the host brings the certificates (`CertificateNeed`), the
roots that it trusts, and the time (external.md, 1, "Authentication").
"""

from __future__ import annotations

import math
import re
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from flowstorm_channel.codecs.faults import shown
from flowstorm_channel.codecs.scalars import from_base64
from flowstorm_channel.errors import SignatureError
from flowstorm_channel.events import CertificateNeed
from flowstorm_channel.wire import RequestHead

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509 import Certificate, ExtensionType, Name

    E = TypeVar("E", bound=ExtensionType)

__all__ = ["AlexaCertificates", "AlexaSignature", "certificate_url", "check_timestamp"]

URL_HEADER: Final = "SignatureCertChainUrl"
SIGNATURE_HEADER: Final = "Signature-256"
LEGACY_HEADER: Final = "Signature"

SIGNER: Final = "echo-api.amazon.com"
"""The host that the signing certificate must be for."""
TOLERANCE: Final = 150
"""How far the time of a request may be from now, in seconds."""
EVENT_TOLERANCE: Final = 3600
"""The same for skill events, which Amazon delivers again when they could not be delivered."""
_EVENTS = "AlexaSkillEvent."

_HOST = "s3.amazonaws.com"
_PATH = "/echo.api/"
_LONGEST_URL = 1024
_LONGEST_SIGNATURE = 2048  # in characters; a key of 2048 bits makes 344
_LONGEST_PEM = 64 * 1024
_MOST_CERTIFICATES = 10
_LONGEST_REASON = 200
_ARMOUR = b"-----BEGIN "
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_KEY_BITS = range(2048, 8192 + 1)

# What readers of addresses take for different things, and none of which Amazon uses.
_AMBIGUOUS = {
    "\\": "a backslash",
    "%": "percent-encoding",
    "?": "a query",
    "#": "a fragment",
    "@": "user information",
}
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")
_PLAIN_PATH = re.compile(r"[A-Za-z0-9._~/-]*", re.ASCII)


# ------------------------------------------------------------ headers


REFUSED_FOR = 60.0
"""Seconds for which an address is not fetched from again whose certificates were refused."""
MOST_REFUSED = 1000


@attrs.frozen(kw_only=True)
class AlexaSignature:
    """What the headers of a request say of its signature.

    Args:
        url: where the certificates are; as `certificate_url` gives it.
        signature: of the body, by the first of them.
    """

    url: str
    signature: bytes = attrs.field(repr=lambda data: f"{len(data)} bytes")

    @classmethod
    def read(cls, head: RequestHead) -> AlexaSignature:
        """Read and check the headers of a request.

        Raises:
            SignatureError: one is missing or there twice, the address is not one that Amazon may name, or
                the signature is not base64.
        """
        url = _header(head, URL_HEADER)
        if head.header(SIGNATURE_HEADER) is None and head.header(LEGACY_HEADER) is not None:
            raise SignatureError("missing: only the legacy SHA-1 signature is there", path=SIGNATURE_HEADER)
        signature = _header(head, SIGNATURE_HEADER)
        if len(signature) > _LONGEST_SIGNATURE:
            raise SignatureError(f"more than {_LONGEST_SIGNATURE} characters", path=SIGNATURE_HEADER)
        try:
            decoded = from_base64(signature)
        except ValueError as error:
            raise SignatureError(f"not base64: {error}", path=SIGNATURE_HEADER) from None
        return cls(url=certificate_url(url), signature=decoded)


def _header(head: RequestHead, name: str) -> str:
    found = [value for key, value in head.headers if key.lower() == name.lower()]
    if len(found) > 1:
        # Who asks for the first would see another one than who asks for the last.
        raise SignatureError("there more than once", path=name)
    if not found or not found[0]:
        raise SignatureError("missing", path=name)
    return found[0]


def certificate_url(text: str) -> str:
    """The address of certificates as it is safe to fetch: checked, and written in the one way that all
    readers of addresses understand alike.

    Args:
        text: from the header ``SignatureCertChainUrl``.

    Raises:
        SignatureError: Amazon does not keep its certificates there.
    """
    problem, path = _problem_of_url(text)
    if problem:
        raise SignatureError(f"{problem}: {shown(text)}", path=URL_HEADER)
    return f"https://{_HOST}{path}"


def _problem_of_url(text: str) -> tuple[str, str]:
    """What is wrong with an address, else nothing and its path without dots."""
    if len(text) > _LONGEST_URL:
        return f"more than {_LONGEST_URL} characters", ""
    if not text.isascii():
        return "characters beyond ASCII", ""
    if _UNPRINTABLE.search(text):
        return "a control character or a space", ""
    for mark, meaning in _AMBIGUOUS.items():
        if mark in text:
            return f"{meaning} in the address", ""
    scheme, _, rest = text.partition("://")
    if scheme.lower() != "https":
        return "the scheme is not https", ""
    authority, slash, path = rest.partition("/")
    host, colon, port = authority.partition(":")
    if host.lower() != _HOST:
        return f"the host is not {_HOST}", ""
    if colon and port != "443":
        return "the port is not 443", ""
    path = slash + path
    if "//" in path:
        return "an empty segment in the path", ""
    if not _PLAIN_PATH.fullmatch(path):
        return "an unusual character in the path", ""
    path = _without_dots(path)
    if not path.startswith(_PATH) or path == _PATH:
        return f"the path leads to no file of {_PATH}", ""
    return "", path


def _without_dots(path: str) -> str:
    kept: list[str] = []
    for segment in path[1:].split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    return "/" + "/".join(kept)


# ------------------------------------------------------------ certificates


@attrs.frozen(kw_only=True)
class _Signer:
    """The key of a chain that was verified, and how long the whole chain is valid."""

    key: RSAPublicKey
    valid_from: datetime
    valid_to: datetime
    fresh_until: float


class AlexaCertificates:
    """The chains of certificates that Alexa's requests name, verified and kept for a while.

    Args:
        roots: certificates that are trusted: PEM, as many as there are in it, or DER, one; or several of
            these. Those of browsers will do, e.g. the file of `certifi`; in PEM, what cannot be read is left
            out.
        clock: gives seconds; it may not go backwards.
        keep_for: seconds until a chain is to be fetched again.
        most: chains kept at a time; the oldest make room.

    Raises:
        ImportError: `cryptography` is not installed.
        ValueError: there is no root that can be read; `keep_for` or `most` is not positive.
    """

    def __init__(
        self,
        roots: bytes | Iterable[bytes],
        *,
        clock: Callable[[], float] = time.monotonic,
        keep_for: float = 3600.0,
        most: int = 100,
    ) -> None:
        try:
            from cryptography.x509.verification import Store
        except ImportError as error:
            raise ImportError(
                "Alexa's certificates are verified by cryptography: pip install 'flowstorm-channel[verify]'"
            ) from error
        if not keep_for > 0 or most < 1:
            raise ValueError("keep_for and most must be positive")
        given = (roots,) if isinstance(roots, bytes) else tuple(roots)
        self._roots = [each for data in given for each in _load_roots(data)]
        if not self._roots:
            raise ValueError("there is no root that can be read: no chain could ever be verified")
        self._store = Store(self._roots)
        self._clock = clock
        self._keep_for = keep_for
        self._most = most
        self._signers: dict[str, _Signer] = {}  # the oldest first
        self._refused: dict[str, float] = {}  # until when

    def knows(self, url: str) -> bool:
        """Whether the chain of an address is here, and fresh: else it has to be fetched, and added.

        Args:
            url: `AlexaSignature.url`.
        """
        signer = self._signers.get(url)
        return signer is not None and self._clock() < signer.fresh_until

    def need(self, url: str) -> CertificateNeed | None:
        """What has to be fetched, and added, before signatures of that address can be checked.

        Args:
            url: `AlexaSignature.url`.

        Raises:
            SignatureError: what the address gave has just been refused; it is not to be fetched all the time.
        """
        if self.knows(url):
            return None
        if self._clock() < self._refused.get(url, -math.inf):
            if url in self._signers:
                return None  # the earlier ones may be valid still
            raise SignatureError(f"the certificates of {shown(url)} have been refused")
        return CertificateNeed(url=url)

    def add(self, url: str, pem: bytes, now: datetime) -> None:
        """Verify the chain that an address gave, and keep it. One that is refused changes nothing.

        Args:
            url: `AlexaSignature.url`.
            pem: the signing certificate first, then those between it and a root.
            now: the time, with its zone.

        Raises:
            SignatureError: it is no chain that Amazon could sign with now.
            ValueError: `now` has no zone.
        """
        now = _aware(now)
        try:
            chain = _load_chain(pem)
            key = _check_leaf(chain[0], now)
            verified = self._verify(chain, now)
        except SignatureError:
            self._refused[url] = self._clock() + REFUSED_FOR
            if len(self._refused) > MOST_REFUSED:
                del self._refused[next(iter(self._refused))]
            raise
        signer = _Signer(
            key=key,
            valid_from=max(each.not_valid_before_utc for each in verified),
            valid_to=min(each.not_valid_after_utc for each in verified),
            fresh_until=self._clock() + self._keep_for,
        )
        self._signers.pop(url, None)
        if len(self._signers) >= self._most:
            del self._signers[next(iter(self._signers))]
        self._signers[url] = signer

    def check(self, signature: AlexaSignature, body: bytes, now: datetime) -> None:
        """Check that a request was signed by whom its headers name.

        It does not ask whether the chain is fresh: a body may take its time after `knows` was asked.

        Args:
            signature: from the headers.
            body: as it came, every byte of it.
            now: the time, with its zone.

        Raises:
            SignatureError: the chain of that address is not here or not valid now, or the signature is of
                another body or by another key.
            ValueError: `now` has no zone.
        """
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        now = _aware(now)
        signer = self._signers.get(signature.url)
        if signer is None:
            raise SignatureError(f"the certificates of {shown(signature.url)} are not here")
        if not signer.valid_from <= now <= signer.valid_to:
            del self._signers[signature.url]  # there may be new ones at the same address
            raise SignatureError(
                f"the certificates are valid from {signer.valid_from} to {signer.valid_to}, not now"
            )
        try:
            signer.key.verify(signature.signature, body, PKCS1v15(), SHA256())
        except InvalidSignature:
            raise SignatureError(
                "the signature is not that of the body by the certificate's key", path=SIGNATURE_HEADER
            ) from None

    def _verify(self, chain: Sequence[Certificate], now: datetime) -> Sequence[Certificate]:
        """The way from the leaf to a root, both included."""
        from cryptography.x509 import DNSName
        from cryptography.x509.verification import PolicyBuilder, VerificationError

        verifier = PolicyBuilder().store(self._store).time(now).build_server_verifier(DNSName(SIGNER))
        try:
            try:
                return verifier.verify(chain[0], list(chain[1:]))
            except VerificationError as error:
                problem = (
                    _problem_of_chain(chain, self._roots, now) or f"the chain does not verify: {_told(error)}"
                )
        except _unreadable() as error:
            problem = f"a certificate of the chain cannot be read: {_told(error)}"
        raise SignatureError(problem)


def _load_roots(data: bytes) -> list[Certificate]:
    from cryptography import x509

    blocks = _PEM.findall(data)
    found = []
    with warnings.catch_warnings():
        # Bundles of browsers hold some that `cryptography` warns of, and one day will not read.
        warnings.simplefilter("ignore")
        for block in blocks:
            with suppress(*_unreadable()):
                found.append(x509.load_pem_x509_certificate(block))
        if not blocks:
            found.append(x509.load_der_x509_certificate(data))
    return found


def _load_chain(pem: bytes) -> list[Certificate]:
    from cryptography import x509

    if len(pem) > _LONGEST_PEM:
        raise SignatureError(f"the certificates take more than {_LONGEST_PEM} bytes")
    if pem.count(_ARMOUR) > _MOST_CERTIFICATES:
        raise SignatureError(f"more than {_MOST_CERTIFICATES} certificates")
    try:
        return x509.load_pem_x509_certificates(pem)
    except _unreadable() as error:
        raise SignatureError(f"not certificates in PEM: {_told(error)}") from None


def _unreadable() -> tuple[type[Exception], ...]:
    """What `cryptography` raises for bytes that are no certificate, at once or when a part is looked at."""
    from cryptography import exceptions, x509

    return (
        *(ValueError, TypeError, LookupError, exceptions.UnsupportedAlgorithm),
        *(x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
        Warning,  # of an issuer's bad habits, where the host makes errors of warnings
    )


def _told(error: Exception) -> str:
    """What `cryptography` says, without what the names in a certificate could do to a log."""
    return ascii(str(error))[1:-1][:_LONGEST_REASON]


def _check_leaf(leaf: Certificate, now: datetime) -> RSAPublicKey:
    """The key of the signing certificate, when that is all that only the first of a chain must be."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    try:
        key = leaf.public_key()
        problem = _problem_of_leaf(leaf) or _problem_of_validity(leaf, now)
    except _unreadable() as error:
        raise SignatureError(f"the signing certificate cannot be read: {_told(error)}") from None
    if problem:
        raise SignatureError(f"the signing certificate {problem}")
    if not isinstance(key, RSAPublicKey):
        raise SignatureError("the key of the signing certificate is not an RSA key")
    if key.key_size not in _KEY_BITS:
        raise SignatureError(f"the key of the signing certificate has {key.key_size} bits")
    return key


def _problem_of_leaf(leaf: Certificate) -> str:
    from cryptography.x509 import BasicConstraints, DNSName, KeyUsage, SubjectAlternativeName

    constraints = _extension(leaf, BasicConstraints)
    if constraints is not None and constraints.ca:
        return "is that of an authority: a chain begins with the leaf"
    names = _extension(leaf, SubjectAlternativeName)
    hosts = [] if names is None else names.get_values_for_type(DNSName)
    if SIGNER not in [each.lower() for each in hosts]:
        return f"is not for {SIGNER}"
    usage = _extension(leaf, KeyUsage)
    if usage is None or not usage.digital_signature:
        return "is not for digital signatures"
    return ""


def _problem_of_validity(certificate: Certificate, now: datetime) -> str:
    if now < certificate.not_valid_before_utc:
        return f"is not valid before {certificate.not_valid_before_utc}"
    if now > certificate.not_valid_after_utc:
        return f"has expired at {certificate.not_valid_after_utc}"
    return ""


def _extension(certificate: Certificate, kind: type[E]) -> E | None:
    from cryptography.x509 import ExtensionNotFound

    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except ExtensionNotFound:
        return None


def _problem_of_chain(chain: Sequence[Certificate], roots: Iterable[Certificate], now: datetime) -> str:
    """What is wrong with a chain that does not verify, where it is more than a word of the verifier says."""
    trusted = {each.subject for each in roots}
    given = {each.subject: each for each in chain[1:]}
    certificate = chain[0]
    for _ in chain:
        issuer = certificate.issuer
        if issuer in trusted:
            break
        if issuer == certificate.subject or (issuer not in given and certificate is not chain[0]):
            return f"the chain ends in a root that is not trusted: {_name(issuer)}"
        if issuer not in given:
            return f"an intermediate certificate is missing: {_name(issuer)}"
        certificate = given[issuer]
        if problem := _problem_of_validity(certificate, now):
            return f"the intermediate certificate {_name(issuer)} {problem}"
    return ""


def _name(name: Name) -> str:
    return shown(name.rfc4514_string())


# ------------------------------------------------------------ time


def check_timestamp(timestamp: datetime | None, kind: str, now: datetime) -> None:
    """Check that a request is of now, and not one of earlier that somebody sends again.

    Args:
        timestamp: of the request; without a zone it is UTC.
        kind: type of the request: skill events may be an hour old, all others 150 seconds.
        now: the time, with its zone.

    Raises:
        SignatureError: it is older than that, as far ahead, or has no time.
        ValueError: `now` has no zone.
    """
    now = _aware(now)
    if timestamp is None:
        raise SignatureError("missing", path="request.timestamp")
    if timestamp.tzinfo is None:
        timestamp = timestamp.replace(tzinfo=timezone.utc)
    age = (now - timestamp).total_seconds()
    most = EVENT_TOLERANCE if kind.startswith(_EVENTS) else TOLERANCE
    if abs(age) > most:
        raise SignatureError(
            f"{abs(age):.0f} seconds {'old' if age > 0 else 'ahead'}, of at most {most}",
            path="request.timestamp",
        )


def _aware(now: datetime) -> datetime:
    if now.utcoffset() is None:
        raise ValueError("now must have a zone")
    return now.astimezone(timezone.utc)
