"""Who sent a request: certificates, tokens and signatures of anybody's making. Only the genuine ones hold."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from functools import cache
from urllib.parse import urlencode

from flowstorm_channel.alexa.signature import AlexaCertificates, AlexaSignature
from flowstorm_channel.errors import RemoteProtocolError, SignatureError
from flowstorm_channel.google.signature import GoogleKeys, token_of
from flowstorm_channel.testing.signing import AlexaSigner, GoogleSigner
from flowstorm_channel.twilio.signature import (
    SETTINGS_HEADER,
    SIGNATURE_HEADER,
    check_handshake,
    check_json,
    public_address,
    sign,
)
from flowstorm_channel.twilio.webhook import CallWebhook, answer_call
from flowstorm_channel.wire import RequestHead
from tests.fuzz.limits import chosen_limits
from tests.fuzz.messages import mutated
from tests.fuzz.program import Failure, Program

__all__ = ["signatures"]

_NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
_BODY = b'{"version":"1.0"}'
_SECRET = "secret"
_ROOT = "https://host.example/base"


@cache
def _alexa() -> AlexaSigner:
    return AlexaSigner()


@cache
def _google() -> GoogleSigner:
    return GoogleSigner()


@cache
def _token() -> str:
    return _google().token(_NOW)


def signatures(data: bytes) -> None:
    """One of the platforms; something of its proof is another."""
    program = Program(data)
    which: Callable[[Program], None] = program.choose(
        (_alexa_headers, _alexa_chain, _google_token, _google_keys, _twilio_form, _twilio_json, _twilio_call)
    )
    which(program)


def _spoiled(genuine: bytes, program: Program) -> bytes:
    """The genuine bytes with something exchanged, or nothing."""
    for _ in range(program.below(4)):
        at = program.byte() * 256 + program.byte()
        at %= len(genuine) + 1
        genuine = genuine[:at] + program.taken(8) + genuine[at + program.below(6) :]
    return genuine


def _spoiled_text(genuine: str, program: Program) -> str:
    return _spoiled(genuine.encode(), program).decode("utf-8", "surrogateescape")


def _refuses(act: Callable[[], object], *, genuine: bool) -> None:
    """Raise `Failure` when what is not genuine is taken; what is genuine need not be, in other respects."""
    try:
        act()
    except SignatureError as error:
        str(error).encode()
        if genuine:
            raise Failure(f"the genuine one is refused: {error}") from None
    else:
        if not genuine:
            raise Failure("what is not genuine is taken")


# ------------------------------------------------------------ Alexa


def _alexa_headers(program: Program) -> None:
    """The headers and the body."""
    signer = _alexa()
    certificates = _certificates()
    headers = dict(signer.headers(_BODY))
    name = program.choose(tuple(headers))
    spoiled = {**headers, name: _spoiled_text(headers[name], program)}
    body = _spoiled(_BODY, program)
    pairs = list(spoiled.items())
    if program.below(8) == 7:
        pairs.append(
            (program.choose(("Signature", "signature-256", "SIGNATURECERTCHAINURL")), program.text(20))
        )
    head = RequestHead(method="POST", url="/alexa", headers=tuple(pairs))

    try:
        signature = AlexaSignature.read(head)
        if certificates.need(signature.url) is not None:
            raise SignatureError("another address")
        certificates.check(signature, body, _NOW)
    except SignatureError as error:
        if dict(pairs) == headers and body == _BODY:
            raise Failure(f"the genuine one is refused: {error}") from None
    else:
        if body != _BODY or signature.signature != _bytes_of(headers["Signature-256"]):
            raise Failure("what is not genuine is taken")


def _bytes_of(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


@cache
def _certificates() -> AlexaCertificates:
    found = AlexaCertificates(_alexa().roots, clock=lambda: 0.0)
    found.add(_alexa().url, _alexa().chain, _NOW)
    return found


def _alexa_chain(program: Program) -> None:
    """The certificates."""
    signer = _alexa()
    certificates = AlexaCertificates(signer.roots, clock=lambda: 0.0)
    if program.below(4) == 3:
        chain = program.rest()
    elif program.flag():
        chain = _spoiled_der(signer.chain, program)
    else:
        chain = _spoiled(signer.chain, program)
    try:
        certificates.add(signer.url, chain, _NOW)
    except SignatureError as error:
        text = str(error)
        text.encode()
        if len(text) > 1000:
            raise Failure(f"{len(text)} characters of complaint") from None
        if certificates.knows(signer.url):
            raise Failure("a chain that was refused is known") from None
        return
    signature = AlexaSignature.read(RequestHead(method="POST", url="/", headers=signer.headers(_BODY)))
    certificates.check(signature, _BODY, _NOW)  # it can only be the signer's own


def _spoiled_der(chain: bytes, program: Program) -> bytes:
    """The chain with something exchanged inside the first certificate."""
    begin, end = b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n"
    first, rest = chain.split(end, 1)
    der = base64.b64decode(first.removeprefix(begin))
    spoiled = base64.encodebytes(_spoiled(der, program))
    return begin + spoiled + end + rest


# ------------------------------------------------------------ Google


def _google_token(program: Program) -> None:
    """The token, as a whole or in one of its parts."""
    keys = _keys()
    genuine = _token()
    if program.below(4) == 3:
        parts = genuine.split(".")
        which = program.below(3)
        raw = base64.urlsafe_b64decode(parts[which] + "==")
        parts[which] = base64.urlsafe_b64encode(_spoiled(raw, program)).rstrip(b"=").decode()
        token = ".".join(parts)
    else:
        token = _spoiled_text(genuine, program)
    version = 3 if program.flag() else 2
    name = "authorization" if version == 2 else "google-assistant-signature"
    header = ("Bearer " if program.flag() else "") + token
    try:
        found = token_of(RequestHead(method="POST", url="/", headers=((name, header),)), version)
    except SignatureError:
        return
    keys.need(found)
    _refuses(
        lambda: keys.check(found, audience=["test-project"], now=_NOW),
        genuine=found == genuine,
    )


@cache
def _keys() -> GoogleKeys:
    found = GoogleKeys(clock=lambda: 0.0)
    found.need(_token())
    found.add(_google().document)
    return found


def _google_keys(program: Program) -> None:
    """The document with the keys."""
    signer = _google()
    keys = GoogleKeys(clock=lambda: 0.0)
    keys.need(_token())
    form = program.below(4)
    if form == 0:
        document = program.rest()
    elif form == 1:
        document = _spoiled(signer.document, program)
    else:
        tree = json.loads(signer.document) if form == 2 else json.loads(_jwks())
        try:
            document = json.dumps(mutated(tree, program)).encode()
        except ValueError:
            return
    try:
        keys.add(document)
    except SignatureError as error:
        str(error).encode()
        if keys.need(_token()) is None:
            raise Failure("a document that was refused makes keys fresh") from None
        return
    with suppress(SignatureError):
        keys.check(_token(), audience=["test-project"], now=_NOW)


@cache
def _jwks() -> str:
    from cryptography.x509 import load_pem_x509_certificate

    (pem,) = json.loads(_google().document).values()
    numbers = load_pem_x509_certificate(pem.encode()).public_key().public_numbers()  # type: ignore[union-attr]

    def text(number: int) -> str:
        return (
            base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))
            .rstrip(b"=")
            .decode()
        )

    key = {
        "kty": "RSA",
        "alg": "RS256",
        "use": "sig",
        "kid": "test-key",
        "n": text(numbers.n),
        "e": text(numbers.e),
    }
    return json.dumps({"keys": [key]})


# ------------------------------------------------------------ Twilio


def _twilio_form(program: Program) -> None:
    """The handshake of a stream."""
    url = f"/call?{program.text(40)}" if program.flag() else "/call"
    try:
        address = public_address(_ROOT, RequestHead(url=url), "wss")
    except RemoteProtocolError:
        return
    genuine = sign(_SECRET, address)
    signature = _spoiled_text(genuine, program)
    headers = [(SIGNATURE_HEADER, signature)]
    if program.below(4) == 3:
        headers.append((SETTINGS_HEADER, program.text(60)))
    head = RequestHead(url=url, headers=tuple(headers))
    own = signature.strip() == genuine
    if len(headers) == 1:
        _refuses(lambda: check_handshake(_SECRET, head, address), genuine=own)
    else:
        try:
            check_handshake(_SECRET, head, address, shared_keys={"SK1": "another"})
        except SignatureError:
            return
        if not own and "SK1" not in headers[1][1] and "256" not in headers[1][1]:
            raise Failure("what is not genuine is taken")


def _twilio_json(program: Program) -> None:
    """A request with a body that is no form."""
    import hashlib

    body = _spoiled(_BODY, program)
    url = f"{_ROOT}/events?bodySHA256={hashlib.sha256(_BODY).hexdigest()}"
    genuine = sign(_SECRET, url)
    signature = _spoiled_text(genuine, program)
    right = signature.strip() == genuine and body == _BODY
    _refuses(lambda: check_json(_SECRET, signature, url, body), genuine=right)


def _twilio_call(program: Program) -> None:
    """The webhook of a call."""
    limits = chosen_limits(program)
    signed = program.flag()
    method = program.choose(("POST", "POST", "GET", "PUT"))
    usual = urlencode({"CallSid": "CA1", "From": "+420", "To": "+421", "Direction": "inbound"})
    form = _spoiled(usual.encode(), program)
    url = f"/call?key=K&locale=cs{program.text(30)}"
    headers = [("Content-Type", "application/x-www-form-urlencoded")]
    if signed:
        headers.append((SIGNATURE_HEADER, program.text(30)))
    if program.below(8) == 7:
        headers.append((program.text(10), program.text(20)))
    head = RequestHead(method=method, url=url, headers=tuple(headers))
    token = _SECRET if signed else None
    try:
        CallWebhook.read(head, form, auth_token=token, public_url=_ROOT, limits=limits)
    except RemoteProtocolError as error:
        str(error).encode()
    else:
        if signed:
            raise Failure("what is not genuine is taken")
    response, body = answer_call(head, form, auth_token=token, public_url=_ROOT, limits=limits)
    body.decode()
    if signed and response.status == 200:
        raise Failure("what is not genuine is answered")
