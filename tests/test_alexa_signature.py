"""Who may speak as Alexa: every way to pretend is refused, each with a reason of its own.

The certificates are made here with `cryptography`, apart from those of `AlexaSigner`, which is tested too.
"""

from __future__ import annotations

import posixpath
import sys
import warnings
from base64 import b64encode
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowstorm_channel.alexa.signature import (
    AlexaCertificates,
    AlexaSignature,
    certificate_url,
    check_timestamp,
)
from flowstorm_channel.errors import SignatureError
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.testing.signing import AlexaSigner
from flowstorm_channel.wire import RequestHead
from tests.depth import examples

URL = "https://s3.amazonaws.com/echo.api/echo-api-cert.pem"
BODY = '{"version":"1.0","request":{"locale":"cs-CZ","text":"žlutý kůň"}}'.encode()
NOW = datetime(2026, 6, 15, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)


# ------------------------------------------------------------ certificates as an authority makes them


@cache
def key(owner: str, bits: int = 2048) -> rsa.RSAPrivateKey:  # noqa: ARG001
    return rsa.generate_private_key(65537, bits)


@cache
def curve_key(owner: str) -> ec.EllipticCurvePrivateKey:  # noqa: ARG001
    return ec.generate_private_key(ec.SECP256R1())


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, each) for each in text.split("|")])


def certificate(
    subject: str,
    issuer: str,
    *,
    own_key: Any = None,
    issuer_key: Any = None,
    ca: bool = True,
    valid: tuple[datetime, datetime] = (NOW - DAY, NOW + DAY),
    hosts: tuple[str, ...] = (),
    digital_signature: bool | None = None,
    usages: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.SERVER_AUTH,),
) -> bytes:
    """PEM; keys are those of the names unless given. `digital_signature` None: no key usage at all."""
    public = (own_key or curve_key(subject)).public_key()
    signer = issuer_key or curve_key(issuer)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.BasicConstraints(ca, None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
    )
    if ca or digital_signature is not None:
        signs = bool(digital_signature)
        usage = x509.KeyUsage(signs, False, not signs and not ca, False, False, ca, ca, False, False)
        builder = builder.add_extension(usage, True)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(h) for h in hosts]), False)
    if not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), False)
    return builder.sign(signer, SHA256()).public_bytes(Encoding.PEM)


def leaf(issuer: str = "mid", *, subject: str = "leaf", **changes: Any) -> bytes:
    usual: dict[str, Any] = {
        "own_key": key("leaf"),
        "ca": False,
        "hosts": ("alexa.example", "Echo-API.amazon.com"),
        "digital_signature": True,
    }
    return certificate(subject, issuer, **{**usual, **changes})


@cache
def authority(subject: str, issuer: str) -> bytes:
    return certificate(subject, issuer, valid=(NOW - 10 * DAY, NOW + 10 * DAY))


def armoured(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + b64encode(der) + b"\n-----END CERTIFICATE-----\n"


def altered(pem: bytes, old: bytes, new: bytes) -> bytes:
    """Another certificate, with the signature of the first."""
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    assert old in der
    return armoured(der.replace(old, new))


ROOT = authority("root", "root")
MID = authority("mid", "root")
CHAIN = leaf() + MID


def sign(body: bytes, by: str = "leaf", digest: HashAlgorithm | None = None) -> str:
    return b64encode(key(by).sign(body, PKCS1v15(), digest or SHA256())).decode()


def head(*headers: tuple[str, str]) -> RequestHead:
    return RequestHead(method="POST", url="/alexa", headers=headers)


# ------------------------------------------------------------ a good request, and every bad one


@attrs.frozen
class Case:
    """All that a verdict depends on."""

    headers: tuple[tuple[str, str], ...] = (
        ("Content-Type", "application/json"),
        ("signaturecertchainurl", URL),
        ("SIGNATURE-256", sign(BODY)),
        ("Signature", "AAAA"),
    )
    pem: bytes = CHAIN
    body: bytes = BODY
    roots: bytes = ROOT
    kind: str = "IntentRequest"
    timestamp: datetime | None = NOW - timedelta(seconds=20)
    now: datetime = NOW

    def verify(self) -> None:
        signature = AlexaSignature.read(head(*self.headers))
        certificates = AlexaCertificates(self.roots)
        certificates.add(signature.url, self.pem, self.now)
        certificates.check(signature, self.body, self.now)
        check_timestamp(self.timestamp, self.kind, self.now)


def test_a_good_request_is_believed() -> None:
    Case().verify()


GOOD: dict[str, Case] = {
    "signed with root in the chain": Case(pem=CHAIN + ROOT),
    "an unneeded certificate in the chain": Case(pem=leaf() + authority("other", "root") + MID),
    "signed by the root itself": Case(pem=leaf("root")),
    "cross-signed root": Case(pem=CHAIN + authority("root", "old root"), roots=ROOT),
    "the older root trusted": Case(
        pem=CHAIN + authority("root", "old root"), roots=authority("old root", "old root")
    ),
    "as many certificates as there may be": Case(pem=leaf() + MID * 9),
    "text around the certificates": Case(
        pem=b"leaf\n" + CHAIN.replace(b"-----\n-----", b"-----\nmid\n-----")
    ),
    "last second of the certificate": Case(now=NOW + DAY, timestamp=NOW + DAY),
    "first second of the certificate": Case(now=NOW - DAY, timestamp=NOW - DAY),
    "time in another zone": Case(now=NOW.astimezone(timezone(timedelta(hours=14)))),
}


@pytest.mark.parametrize("case", GOOD.values(), ids=GOOD)
def test_what_amazon_may_do_is_believed(case: Case) -> None:
    case.verify()


def with_url(url: str) -> Case:
    return Case(headers=(("SignatureCertChainUrl", url), ("Signature-256", sign(BODY))))


def with_signature(text: str) -> Case:
    return Case(headers=(("SignatureCertChainUrl", URL), ("Signature-256", text)))


def without(*names: str) -> Case:
    return Case(headers=tuple(pair for pair in Case().headers if pair[0].lower() not in names))


MISMATCH = "Signature-256: the signature is not that of the body by the certificate's key"

BAD: dict[str, tuple[Case, str]] = {
    "no address": (without("signaturecertchainurl"), "SignatureCertChainUrl: missing"),
    "empty address": (with_url(""), "SignatureCertChainUrl: missing"),
    "no signature": (without("signature-256", "signature"), "Signature-256: missing"),
    "SHA-1 signature only": (
        without("signature-256"),
        "Signature-256: missing: only the legacy SHA-1 signature is there",
    ),
    "two addresses": (
        Case(headers=(*Case().headers, ("SignatureCertChainUrl", URL))),
        "SignatureCertChainUrl: there more than once",
    ),
    "two signatures": (
        Case(headers=(*Case().headers, ("signature-256", "AAAA"))),
        "Signature-256: there more than once",
    ),
    "signature not base64": (with_signature("!!!!"), "Signature-256: not base64: "),
    "signature cut": (with_signature(sign(BODY)[:-1]), "Signature-256: not base64: its length"),
    "signature with line break": (with_signature("AAA\n" * 86), "Signature-256: not base64: "),
    "signature too long": (with_signature("AAAA" * 513), "Signature-256: more than 2048 characters"),
    "body changed": (Case(body=BODY + b" "), MISMATCH),
    "body gone": (Case(body=b""), MISMATCH),
    "body in another charset": (Case(body=BODY.decode().encode("cp1250")), MISMATCH),
    "signature of another body": (with_signature(sign(b"{}")), MISMATCH),
    "signature of another length": (with_signature("AAAA"), MISMATCH),
    "signature by another key": (with_signature(sign(BODY, "thief")), MISMATCH),
    "SHA-1 signature where SHA-256 is expected": (with_signature(sign(BODY, digest=SHA1())), MISMATCH),
    "key of the certificate changed": (Case(pem=leaf(own_key=key("thief")) + MID), MISMATCH),
    "not certificates": (Case(pem=b"<Error><Code>AccessDenied</Code></Error>"), "not certificates in PEM: "),
    "nothing": (Case(pem=b""), "not certificates in PEM: "),
    "certificate cut": (Case(pem=leaf()[:-100]), "not certificates in PEM: "),
    "PEM of zeros": (
        Case(pem=b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        "not certificates in PEM: ",
    ),
    "too much": (Case(pem=CHAIN + b"#" * 65536), "the certificates take more than 65536 bytes"),
    "too many": (Case(pem=leaf() + MID * 10), "more than 10 certificates"),
    "foreign root": (
        Case(roots=authority("foreign", "foreign")),
        "the chain ends in a root that is not trusted: 'CN=root'",
    ),
    "foreign root in the chain": (
        Case(pem=CHAIN + ROOT, roots=authority("foreign", "foreign")),
        "the chain ends in a root that is not trusted: 'CN=root'",
    ),
    "self-signed": (
        Case(pem=leaf("leaf", issuer_key=key("leaf"))),
        "the chain ends in a root that is not trusted: 'CN=leaf'",
    ),
    "root of the same name": (
        Case(roots=certificate("root", "root", own_key=key("thief"), issuer_key=key("thief"))),
        "the chain does not verify: ",
    ),
    "intermediate of the same name": (
        Case(pem=leaf() + certificate("mid", "root", own_key=key("thief"))),
        "the chain does not verify: ",
    ),
    "going in circles": (
        Case(pem=leaf("one") + authority("one", "two") + authority("two", "one")),
        "the chain does not verify: ",
    ),
    "signed by a leaf": (
        Case(
            pem=leaf("leaf 2", issuer_key=key("leaf 2"))
            + certificate(
                "leaf 2", "mid", own_key=key("leaf 2"), ca=False, hosts=("x.example",), digital_signature=True
            )
            + MID
        ),
        "the chain does not verify: ",
    ),
    "no intermediate": (Case(pem=leaf()), "an intermediate certificate is missing: 'CN=mid'"),
    "another intermediate": (
        Case(pem=leaf() + authority("other", "root")),
        "an intermediate certificate is missing: 'CN=mid'",
    ),
    "name that cannot be read": (
        Case(pem=leaf() + altered(MID, b"\x0c\x04root", b"\x4c\x04root")),
        "a certificate of the chain cannot be read: ",
    ),
    "extension twice": (
        Case(pem=altered(leaf(), b"\x55\x1d\x0e", b"\x55\x1d\x23") + MID),
        "the signing certificate cannot be read: ",
    ),
    "intermediate first": (
        Case(pem=MID + leaf()),
        "the signing certificate is that of an authority: a chain begins with the leaf",
    ),
    "signed with the key of an authority": (
        Case(pem=certificate("leaf", "root", own_key=key("leaf"), hosts=("echo-api.amazon.com",))),
        "the signing certificate is that of an authority",
    ),
    "expired": (
        Case(now=NOW + DAY + timedelta(seconds=1), timestamp=NOW + DAY),
        "the signing certificate has expired at 2026-06-16 12:00:00+00:00",
    ),
    "not valid yet": (
        Case(now=NOW - DAY - timedelta(seconds=1), timestamp=NOW - DAY),
        "the signing certificate is not valid before 2026-06-14 12:00:00+00:00",
    ),
    "intermediate expired": (
        Case(pem=leaf() + certificate("mid", "root", valid=(NOW - 2 * DAY, NOW - DAY))),
        "the intermediate certificate 'CN=mid' has expired at ",
    ),
    "intermediate not valid yet": (
        Case(pem=leaf() + certificate("mid", "root", valid=(NOW + DAY, NOW + 2 * DAY))),
        "the intermediate certificate 'CN=mid' is not valid before ",
    ),
    "root expired": (
        Case(roots=certificate("root", "root", valid=(NOW - 2 * DAY, NOW - DAY))),
        "the chain does not verify: ",
    ),
    "for another host": (
        Case(pem=leaf(hosts=("alexa.example",)) + MID),
        "the signing certificate is not for echo-api",
    ),
    "for every host": (
        Case(pem=leaf(hosts=("*.amazon.com",)) + MID),
        "the signing certificate is not for echo-api",
    ),
    "for a host that only begins so": (
        Case(pem=leaf(hosts=("echo-api.amazon.com.thief.example",)) + MID),
        "the signing certificate is not for echo-api",
    ),
    "for no host": (Case(pem=leaf(hosts=()) + MID), "the signing certificate is not for echo-api"),
    "not for signatures": (
        Case(pem=leaf(digital_signature=False) + MID),
        "the signing certificate is not for digital signatures",
    ),
    "without a usage": (
        Case(pem=leaf(digital_signature=None) + MID),
        "the signing certificate is not for digital signatures",
    ),
    "only for clients": (
        Case(pem=leaf(usages=(ExtendedKeyUsageOID.CLIENT_AUTH,)) + MID),
        "the chain does not verify: ",
    ),
    "key on a curve": (
        Case(pem=leaf(own_key=curve_key("leaf")) + MID),
        "the key of the signing certificate is not an RSA key",
    ),
    "weak key": (
        Case(pem=leaf(own_key=key("weak", 1024)) + MID),
        "the key of the signing certificate has 1024 bits",
    ),
    "sent again": (
        Case(timestamp=NOW - timedelta(seconds=151)),
        "request.timestamp: 151 seconds old, of at most 150",
    ),
    "sent ahead": (
        Case(timestamp=NOW + timedelta(seconds=151)),
        "request.timestamp: 151 seconds ahead, of at most 150",
    ),
    "without time": (Case(timestamp=None), "request.timestamp: missing"),
}


@pytest.mark.parametrize(("case", "reason"), BAD.values(), ids=BAD)
def test_whoever_pretends_is_refused_with_the_reason(case: Case, reason: str) -> None:
    with pytest.raises(SignatureError) as caught:
        case.verify()
    assert str(caught.value).startswith(reason)


def test_a_reason_can_neither_forge_lines_of_a_log_nor_fill_it() -> None:
    line = "a\nINFO all is well"
    unusable = leaf(subject="|".join([line] * 20), usages=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    for case in (
        Case(pem=leaf(line, issuer_key=key("leaf"))),
        Case(pem=unusable + MID),
        with_url(f"https://{line}{'x' * 900}"),
        with_url(f"https://{'x' * 900}"),
    ):
        with pytest.raises(SignatureError) as caught:
            case.verify()
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300


# ------------------------------------------------------------ addresses


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "HTTPS://S3.AmazonAWS.com/echo.api/echo-api-cert.pem",
        "https://s3.amazonaws.com:443/echo.api/echo-api-cert.pem",
        "https://s3.amazonaws.com/echo.api/../echo.api/echo-api-cert.pem",
        "https://s3.amazonaws.com/../echo.api/echo-api-cert.pem",
        "https://s3.amazonaws.com/evil/.././echo.api/./echo-api-cert.pem",
    ],
)
def test_addresses_of_amazon_are_written_in_one_way(url: str) -> None:
    assert certificate_url(url) == URL


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://s3.amazonaws.com/echo.api/x", "the scheme is not https"),
        ("https:s3.amazonaws.com/echo.api/x", "the scheme is not https"),
        ("//s3.amazonaws.com/echo.api/x", "the scheme is not https"),
        ("xhttps://s3.amazonaws.com/echo.api/x", "the scheme is not https"),
        ("https://s3.amazonaws.com.evil.example/echo.api/x", "the host is not s3.amazonaws.com"),
        ("https://evil.s3.amazonaws.com/echo.api/x", "the host is not s3.amazonaws.com"),
        ("https://s3.amazonaws.com./echo.api/x", "the host is not s3.amazonaws.com"),
        ("https:///s3.amazonaws.com/echo.api/x", "the host is not s3.amazonaws.com"),
        ("https://[s3.amazonaws.com]/echo.api/x", "the host is not s3.amazonaws.com"),
        ("https://evil.example/https://s3.amazonaws.com/echo.api/x", "the host is not s3.amazonaws.com"),
        ("https://s3.amazonaws.com:563/echo.api/x", "the port is not 443"),
        ("https://s3.amazonaws.com:/echo.api/x", "the port is not 443"),
        ("https://s3.amazonaws.com:0443/echo.api/x", "the port is not 443"),
        ("https://s3.amazonaws.com:443:1/echo.api/x", "the port is not 443"),
        ("https://s3.amazonaws.com", "the path leads to no file of /echo.api/"),
        ("https://s3.amazonaws.com/echo.api", "the path leads to no file of /echo.api/"),
        ("https://s3.amazonaws.com/echo.api/", "the path leads to no file of /echo.api/"),
        ("https://s3.amazonaws.com/echo.api/x/..", "the path leads to no file of /echo.api/"),
        ("https://s3.amazonaws.com/EcHo.aPi/x", "the path leads to no file of /echo.api/"),
        ("https://s3.amazonaws.com/echo.api.evil/x", "the path leads to no file of /echo.api/"),
        ("https://s3.amazonaws.com/echo.api/../evil/x", "the path leads to no file of /echo.api/"),
        ("https://s3.amazonaws.com/evil/echo.api/x", "the path leads to no file of /echo.api/"),
        ("https://s3.amazonaws.com//echo.api/x", "an empty segment in the path"),
        ("https://s3.amazonaws.com/echo.api//x", "an empty segment in the path"),
        ("https://s3.amazonaws.com/echo.api/..;/x", "an unusual character in the path"),
        ("https://s3.amazonaws.com/echo.api/%2e%2e/evil/x", "percent-encoding in the address"),
        ("https://s3.amazonaws.com/echo.api/x?versionId=1", "a query in the address"),
        ("https://s3.amazonaws.com/echo.api/x#y", "a fragment in the address"),
        ("https://ann@s3.amazonaws.com/echo.api/x", "user information in the address"),
        ("https://s3.amazonaws.com@evil.example/echo.api/x", "user information in the address"),
        ("https://s3.amazonaws.com\\@evil.example/echo.api/x", "a backslash in the address"),
        ("https:\\\\s3.amazonaws.com/echo.api/x", "a backslash in the address"),
        ("https://s3.amazonaws.com/\techo.api/x", "a control character or a space"),
        (" https://s3.amazonaws.com/echo.api/x", "a control character or a space"),
        ("https://s3.amazonaws.com/echo.api/x\r\nHost: evil", "a control character or a space"),
        ("https://s3.amazonaws.com/echo.api/\x7f", "a control character or a space"),
        ("https://ｓ3.amazonaws.com/echo.api/x", "characters beyond ASCII"),
        ("https://s3.amazonaws.com:٤٤٣/echo.api/x", "characters beyond ASCII"),
        ("https://s3.amazonaws.com/echo.api/\udc80", "characters beyond ASCII"),
        ("https://s3.amazonaws.com/echo.api/" + "x" * 1000, "more than 1024 characters"),
    ],
)  # fmt: skip
def test_addresses_that_lead_elsewhere_are_refused(url: str, reason: str) -> None:
    with pytest.raises(SignatureError) as caught:
        certificate_url(url)
    assert str(caught.value).startswith(f"SignatureCertChainUrl: {reason}: ")


PIECES = st.sampled_from(
    [
        *(
            "https",
            "HTTPS",
            "http",
            "://",
            ":",
            "/",
            "//",
            "s3.amazonaws.com",
            "S3.AMAZONAWS.COM",
            "evil.example",
        ),
        *(
            "echo.api",
            "Echo.api",
            "/echo.api/",
            ".",
            "..",
            "/../",
            "x.pem",
            "%2e",
            "%2F",
            "\\",
            "@",
            "?",
            "#",
            ";",
        ),
        *(":443", ":80", " ", "\t", "\n", "\x00", "é", "ⅹ", "[", "]", "~"),
    ]
)


@settings(max_examples=examples(200))
@given(
    st.sampled_from(["", "https://s3.amazonaws.com", "https://s3.amazonaws.com/echo.api/"]),
    st.lists(PIECES, max_size=7).map("".join) | st.text(max_size=20),
)
@example("https://s3.amazonaws.com/echo.api/", "../echo.api/x.pem")
def test_an_address_that_is_let_through_means_the_same_to_others(begin: str, rest: str) -> None:
    try:
        url = certificate_url(begin + rest)
    except SignatureError:
        return
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("https", "s3.amazonaws.com", "", "")
    assert posixpath.normpath(parts.path) == parts.path.rstrip("/")
    assert parts.path.startswith("/echo.api/")
    assert parts.geturl() == url == certificate_url(url)


# ------------------------------------------------------------ the cache


def test_a_chain_is_fresh_for_a_while() -> None:
    clock = ManualClock()
    certificates = AlexaCertificates(ROOT, clock=clock, keep_for=60)
    assert not certificates.knows(URL)
    certificates.add(URL, CHAIN, NOW)
    assert certificates.knows(URL)
    assert not certificates.knows(URL + "x")
    clock.advance(59.9)
    assert certificates.knows(URL)
    clock.advance(0.1)
    assert not certificates.knows(URL)
    certificates.add(URL, CHAIN, NOW)
    assert certificates.knows(URL)


def test_a_chain_that_ages_while_the_body_comes_still_serves() -> None:
    clock = ManualClock()
    certificates = AlexaCertificates(ROOT, clock=clock, keep_for=60)
    certificates.add(URL, CHAIN, NOW)
    clock.advance(61)
    certificates.check(AlexaSignature.read(head(*Case().headers)), BODY, NOW)


@pytest.mark.parametrize(
    "now", [NOW - DAY - timedelta(seconds=1), NOW + DAY + timedelta(seconds=1)], ids=["before", "after"]
)
def test_a_chain_that_is_not_valid_any_more_is_fetched_again(now: datetime) -> None:
    certificates = AlexaCertificates(ROOT, clock=ManualClock())
    certificates.add(URL, CHAIN, NOW)
    signature = AlexaSignature.read(head(*Case().headers))
    with pytest.raises(SignatureError, match=r"the certificates are valid from .*, not now"):
        certificates.check(signature, BODY, now)
    assert not certificates.knows(URL)


def test_a_chain_lasts_no_longer_than_its_intermediate() -> None:
    certificates = AlexaCertificates(ROOT, clock=ManualClock())
    hour, second = timedelta(hours=1), timedelta(seconds=1)
    chain = leaf() + certificate("mid", "root", valid=(NOW - hour, NOW + hour))
    signature = AlexaSignature.read(head(*Case().headers))
    for now, outside in ((NOW - hour, NOW - hour - second), (NOW + hour, NOW + hour + second)):
        certificates.add(URL, chain, NOW)
        certificates.check(signature, BODY, now)
        with pytest.raises(SignatureError, match="not now"):
            certificates.check(signature, BODY, outside)
        with pytest.raises(SignatureError, match="the intermediate certificate 'CN=mid'"):
            certificates.add(URL, chain, outside)


def test_a_bad_chain_does_not_drive_a_good_one_out() -> None:
    certificates = AlexaCertificates(ROOT, clock=ManualClock(), most=1)
    certificates.add(URL, CHAIN, NOW)
    for url in (URL, URL + "x"):
        with pytest.raises(SignatureError):
            certificates.add(url, leaf(), NOW)
    certificates.check(AlexaSignature.read(head(*Case().headers)), BODY, NOW)
    assert not certificates.knows(URL + "x")


def test_only_so_many_chains_are_kept_and_the_oldest_make_room() -> None:
    certificates = AlexaCertificates(ROOT, clock=ManualClock(), most=2)
    for url, kept in (("a", "a"), ("b", "ab"), ("b", "ab"), ("a", "ab"), ("c", "ac")):
        certificates.add(url, CHAIN, NOW)
        assert [each for each in "abc" if certificates.knows(each)] == list(kept)


def test_a_signature_is_checked_with_the_chain_of_its_own_address() -> None:
    certificates = AlexaCertificates(ROOT, clock=ManualClock())
    certificates.add(URL + "x", CHAIN, NOW)
    with pytest.raises(SignatureError, match="are not here"):
        certificates.check(AlexaSignature.read(head(*Case().headers)), BODY, NOW)


# ------------------------------------------------------------ mistakes of the host


def test_roots_are_taken_as_pem_and_as_der() -> None:
    foreign = authority("foreign", "foreign")
    der = x509.load_pem_x509_certificate(ROOT).public_bytes(Encoding.DER)
    for roots in (ROOT, foreign + ROOT, der, [foreign, ROOT], iter([foreign, der])):
        AlexaCertificates(roots).add(URL, CHAIN, NOW)


def test_the_roots_of_browsers_can_be_given() -> None:
    certifi = pytest.importorskip("certifi")
    with open(certifi.where(), "rb") as file:
        certificates = AlexaCertificates(file.read())
    with pytest.raises(SignatureError, match="not trusted: 'CN=root'"):
        certificates.add(URL, CHAIN, NOW)


@pytest.mark.parametrize(
    "roots",
    [b"", b"root.pem", ROOT[:-60], [], ROOT[:-60] + b"\n-----END CERTIFICATE-----"],
    ids=["nothing", "a file name", "cut", "none", "damaged"],
)
def test_no_readable_root_is_a_mistake(roots: bytes | list[bytes]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of DER the words are those of cryptography
        AlexaCertificates(roots)


def test_an_odd_root_is_nothing_to_warn_of() -> None:
    serial = x509.load_pem_x509_certificate(ROOT).serial_number
    length = (serial.bit_length() + 8) // 8
    odd = altered(ROOT, serial.to_bytes(length, "big"), b"\x80" * length)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        AlexaCertificates(odd + ROOT).add(URL, CHAIN, NOW)
    assert told == []


def test_a_root_that_cannot_be_read_is_left_out() -> None:
    damaged = ROOT[:-60] + b"\n-----END CERTIFICATE-----\n"
    AlexaCertificates(damaged + ROOT).add(URL, CHAIN, NOW)


@pytest.mark.parametrize("arguments", [{"keep_for": 0.0}, {"keep_for": float("nan")}, {"most": 0}], ids=str)
def test_bounds_must_be_positive(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        AlexaCertificates(ROOT, **arguments)


@pytest.mark.parametrize(
    "call",
    [
        lambda now: AlexaCertificates(ROOT).add(URL, CHAIN, now),
        lambda now: AlexaCertificates(ROOT).check(AlexaSignature(url=URL, signature=b""), BODY, now),
        lambda now: check_timestamp(NOW, "LaunchRequest", now),
    ],
    ids=["add", "check", "check_timestamp"],
)
def test_a_time_without_a_zone_is_a_mistake(call: Callable[[datetime], None]) -> None:
    with pytest.raises(ValueError, match="now must have a zone"):
        call(NOW.replace(tzinfo=None))


@pytest.mark.parametrize("make", [lambda: AlexaCertificates(ROOT), AlexaSigner], ids=["verify", "sign"])
def test_the_missing_extra_is_named(make: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [each for each in sys.modules if each.partition(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ImportError, match=r"pip install 'flowstorm-channel\[verify\]'"):
        make()


# ------------------------------------------------------------ time


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [
        ("LaunchRequest", 150),
        ("AlexaSkillEventX", 150),
        ("", 150),
        ("AlexaSkillEvent.SkillEnabled", 3600),
        ("AlexaSkillEvent.SomethingNew", 3600),
    ],
)
@pytest.mark.parametrize("sign", [-1, 1], ids=["old", "ahead"])
def test_a_request_is_of_now(kind: str, seconds: int, sign: int) -> None:
    check_timestamp(NOW + sign * timedelta(seconds=seconds), kind, NOW)
    with pytest.raises(SignatureError, match=f"{seconds + 1} seconds .*, of at most {seconds}"):
        check_timestamp(NOW + sign * timedelta(seconds=seconds + 1), kind, NOW)


def test_a_time_without_a_zone_is_utc() -> None:
    check_timestamp(NOW.replace(tzinfo=None), "LaunchRequest", NOW.astimezone(timezone(timedelta(hours=-9))))


@given(
    st.datetimes(timezones=st.none() | st.just(timezone.utc) | st.just(timezone(timedelta(hours=23)))),
    st.text(max_size=5),
)
@example(datetime.min.replace(tzinfo=timezone(timedelta(hours=23))), "")
@example(datetime.max.replace(tzinfo=timezone(timedelta(hours=-23))), "")
def test_any_time_is_taken_or_refused(timestamp: datetime, kind: str) -> None:
    try:
        check_timestamp(timestamp, kind, NOW)
    except SignatureError:
        return
    assert timestamp.year == NOW.year


# ------------------------------------------------------------ junk


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["SignatureCertChainUrl", "signature-256", "Signature", "x"]),
            st.sampled_from([URL, sign(BODY), ""]) | st.text(max_size=8),
        ),
        max_size=4,
    )
)
def test_any_headers_are_read_or_refused(headers: list[tuple[str, str]]) -> None:
    try:
        signature = AlexaSignature.read(head(*headers))
    except SignatureError:
        return
    assert signature.url == URL


CERTIFICATES = AlexaCertificates(ROOT)
DER = [x509.load_pem_x509_certificate(each).public_bytes(Encoding.DER) for each in (leaf(), MID)]


@given(st.binary(max_size=60) | st.binary(max_size=60).map(armoured))
def test_any_bytes_for_certificates_are_refused(pem: bytes) -> None:
    with pytest.raises(SignatureError):
        CERTIFICATES.add(URL, pem, NOW)


@settings(max_examples=examples(150))
@given(st.data())
def test_damaged_certificates_are_refused_by_nothing_else(data: st.DataObject) -> None:
    which = data.draw(st.integers(0, 1))
    damaged = bytearray(DER[which])
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at] = data.draw(st.integers(0, 255))
    chain = [bytes(damaged) if index == which else each for index, each in enumerate(DER)]
    try:
        CERTIFICATES.add(URL, b"".join(map(armoured, chain)), NOW)
    except SignatureError:
        return
    # What the issuer signed is as it was.
    before, after = (x509.load_der_x509_certificate(each) for each in (DER[which], chain[which]))
    assert after.tbs_certificate_bytes == before.tbs_certificate_bytes


@given(st.integers(0, len(BODY) * 8 - 1), st.booleans())
def test_one_bit_decides(bit: int, of_body: bool) -> None:
    data = bytearray(BODY if of_body else key("leaf").sign(BODY, PKCS1v15(), SHA256()))
    data[bit // 8] ^= 1 << bit % 8
    changed = bytes(data)
    case = Case(body=changed) if of_body else with_signature(b64encode(changed).decode())
    CERTIFICATES.add(URL, CHAIN, NOW)
    with pytest.raises(SignatureError, match="the signature is not that of the body"):
        CERTIFICATES.check(AlexaSignature.read(head(*case.headers)), case.body, NOW)


# ------------------------------------------------------------ the signer for tests of others


def verified(signer: AlexaSigner, roots: bytes, now: datetime = NOW) -> None:
    signature = AlexaSignature.read(head(*signer.headers(BODY)))
    assert signature.url == signer.url
    certificates = AlexaCertificates(roots)
    certificates.add(signature.url, signer.chain, now)
    certificates.check(signature, BODY, now)


def test_what_the_signer_signs_is_believed() -> None:
    signer = AlexaSigner(url="https://s3.amazonaws.com/echo.api/another.pem")
    verified(signer, signer.roots)
    verified(AlexaSigner(), signer.roots)


def test_a_signer_of_another_authority_is_not_believed() -> None:
    with pytest.raises(SignatureError, match="not trusted: 'CN=Other root'"):
        verified(AlexaSigner("Other"), AlexaSigner().roots)


def test_a_signer_can_be_out_of_date_and_of_another_host() -> None:
    signer = AlexaSigner(valid_from=NOW - DAY, valid_to=NOW)
    verified(signer, signer.roots)
    with pytest.raises(SignatureError, match="has expired"):
        verified(signer, signer.roots, NOW + DAY)
    with pytest.raises(SignatureError, match="is not valid before"):
        verified(signer, signer.roots, NOW - 2 * DAY)
    for hosts in ([], ["alexa.example"]):
        with pytest.raises(SignatureError, match="is not for echo-api"):
            verified(AlexaSigner(hosts=hosts), signer.roots)
