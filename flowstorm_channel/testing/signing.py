"""Signed requests for tests of servers, as Alexa and Google Assistant send them.

Needs the extra: ``pip install 'flowstorm-channel[verify]'``. Keys are made once in a process.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.x509 import Certificate, Name

__all__ = ["AlexaSigner", "GoogleSigner"]

_VALID_FROM = datetime(2020, 1, 1, tzinfo=timezone.utc)
_VALID_TO = datetime(2049, 12, 31, tzinfo=timezone.utc)

Headers = tuple[tuple[str, str], ...]


class AlexaSigner:
    """Signs requests as Alexa does, with a root, an intermediate and a signing certificate of its own.

    Args:
        authority: who issues the certificates; signers of another authority have other keys.
        url: where the certificates are, as requests say.
        hosts: for which the signing certificate is.
        valid_from: when the validity of the signing certificate begins, with its zone.
        valid_to: when it ends.

    Raises:
        ImportError: `cryptography` is not installed.
    """

    roots: bytes
    """What `AlexaCertificates` has to trust, PEM."""
    chain: bytes
    """What a `CertificateNeed` is answered with, PEM."""

    def __init__(
        self,
        authority: str = "Test",
        *,
        url: str = "https://s3.amazonaws.com/echo.api/echo-api-cert-test.pem",
        hosts: Sequence[str] = ("echo-api.amazon.com",),
        valid_from: datetime = _VALID_FROM,
        valid_to: datetime = _VALID_TO,
    ) -> None:
        _require_cryptography()
        self.url = url
        root, intermediate, leaf = (f"{authority} {each}" for each in ("root", "intermediate", "leaf"))
        self._key = _key(leaf)
        signing = _certificate(leaf, intermediate, hosts=hosts, valid=(valid_from, valid_to))
        self.roots = _pem(_certificate(root, root))
        self.chain = _pem(signing) + _pem(_certificate(intermediate, root))

    def headers(self, body: bytes) -> Headers:
        """The headers that say who signed a request with that body."""
        signature = b2a_base64(_sign(self._key, body), newline=False).decode()
        return (("SignatureCertChainUrl", self.url), ("Signature-256", signature))


class GoogleSigner:
    """Signs tokens as Google does for the webhooks of an Assistant project.

    Args:
        project: that tokens are for.
        kid: name of the key; signers of another name have another key.
        valid_from: when the validity of the key's certificate begins, with its zone.
        valid_to: when it ends.

    Raises:
        ImportError: `cryptography` is not installed.
    """

    document: bytes
    """What a `KeysNeed` is answered with, JSON."""

    def __init__(
        self,
        project: str = "test-project",
        *,
        kid: str = "test-key",
        valid_from: datetime = _VALID_FROM,
        valid_to: datetime = _VALID_TO,
    ) -> None:
        _require_cryptography()
        self.project = project
        self.kid = kid
        name = f"Google {kid}"
        self._key = _key(name)
        certificate = _certificate(name, name, valid=(valid_from, valid_to))
        self.document = json.dumps({kid: _pem(certificate).decode()}).encode()

    def token(self, now: datetime, **claims: Any) -> str:
        """A token that is issued at a time, and good for an hour.

        Args:
            now: that time, with its zone.
            claims: what it says beside what Google's say, or instead; None leaves a claim out.
        """
        issued = int(now.timestamp())
        usual = {
            "iss": "https://accounts.google.com",
            "aud": self.project,
            "nbf": issued,
            "iat": issued,
            "exp": issued + 3600,
            "jti": f"test-{issued}",
        }
        return self.sign({name: value for name, value in {**usual, **claims}.items() if value is not None})

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        """A token of exactly these claims.

        Args:
            claims: any JSON object.
            header: members of the token's header beside the usual ones, or instead.
        """
        parts = {"alg": "RS256", "kid": self.kid, "typ": "JWT", **header}, claims
        signed = b".".join(_base64url(json.dumps(part).encode()) for part in parts)
        return b".".join((signed, _base64url(_sign(self._key, signed)))).decode()

    def headers(self, version: Literal[2, 3], now: datetime, **claims: Any) -> Headers:
        """The header that says who sent a request.

        Args:
            version: 2 for the Actions SDK, 3 for the Actions Builder.
            now: as for `token`.
            claims: as for `token`.
        """
        name = "authorization" if version == 2 else "google-assistant-signature"
        return ((name, self.token(now, **claims)),)


# ------------------------------------------------------------ keys and certificates


def _require_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "test requests are signed with cryptography: pip install 'flowstorm-channel[verify]'"
        ) from error


_KEYS: dict[str, RSAPrivateKey] = {}


def _key(owner: str) -> RSAPrivateKey:
    """The key of that owner; made only once, since that takes long."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    if owner not in _KEYS:
        _KEYS[owner] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return _KEYS[owner]


def _sign(key: RSAPrivateKey, data: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    return key.sign(data, PKCS1v15(), SHA256())


def _certificate(
    owner: str,
    issuer: str,
    *,
    hosts: Sequence[str] | None = None,
    valid: tuple[datetime, datetime] = (_VALID_FROM, _VALID_TO),
) -> Certificate:
    """A certificate for hosts; None: that of an authority."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import ExtendedKeyUsageOID

    key, signing_key = _key(owner).public_key(), _key(issuer)
    authority = hosts is None
    usage = x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(owner))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False
        )
    )
    if hosts is not None:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
    return builder.sign(signing_key, SHA256())


def _name(owner: str) -> Name:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, owner)])


def _pem(certificate: Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _base64url(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).translate(_URL_SAFE, b"=")


_URL_SAFE = bytes.maketrans(b"+/", b"-_")
