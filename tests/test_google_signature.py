"""Who may speak as Google Assistant: every token that Google did not make for us, now, is refused.

What `google-auth` says of the same tokens is asked, too.
"""

from __future__ import annotations

import hmac
import json
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Collection
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any, Literal

import attrs
import google.auth._helpers
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from google.oauth2 import id_token
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flowstorm_channel.errors import SignatureError
from flowstorm_channel.events import KeysNeed
from flowstorm_channel.google.signature import GoogleKeys, token_of
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.testing.signing import GoogleSigner
from flowstorm_channel.testing.strategies import json_values
from flowstorm_channel.wire import RequestHead
from tests.depth import examples

NOW = datetime(2026, 6, 15, 12, tzinfo=timezone.utc)
SECONDS = int(NOW.timestamp())
HOUR = 3600
DAY = 86400
PROJECT = "demo-1"
KID = "key 1"


# ------------------------------------------------------------ tokens and keys as Google makes them


@cache
def key(owner: str, bits: int = 2048) -> rsa.RSAPrivateKey:  # noqa: ARG001
    return rsa.generate_private_key(65537, bits)


def certificate(private: Any, *, days: tuple[int, int] = (-7, 7)) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "federated-signon.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days[0]))
        .not_valid_after(NOW + timedelta(days[1]))
        .sign(private, SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


CERTIFICATES = {KID: certificate(key("google")), "key 2": certificate(key("other"))}
DOCUMENT = json.dumps(CERTIFICATES).encode()


def encoded(data: bytes | dict[str, Any] | str) -> str:
    if not isinstance(data, bytes):
        data = (data if isinstance(data, str) else json.dumps(data)).encode()
    return urlsafe_b64encode(data).decode().rstrip("=")


HEADER = {"alg": "RS256", "kid": KID, "typ": "JWT"}
CLAIMS = {
    "iss": "https://accounts.google.com",
    "aud": PROJECT,
    "nbf": SECONDS - 300,
    "iat": SECONDS - 10,
    "exp": SECONDS + HOUR,
    "jti": "1f",
}


def without(members: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in names}


def token(claims: Any = CLAIMS, header: Any = HEADER, by: str = "google") -> str:
    signed = f"{encoded(header)}.{encoded(claims)}"
    return f"{signed}.{encoded(key(by).sign(signed.encode(), PKCS1v15(), SHA256()))}"


def claiming(**claims: Any) -> str:
    return token({**CLAIMS, **claims})


def keys(document: bytes = DOCUMENT, **arguments: Any) -> GoogleKeys:
    made = GoogleKeys(clock=ManualClock(), **arguments)
    made.add(document)
    return made


KEYS = keys()


def check(text: str, audience: Collection[str] = frozenset({PROJECT}), now: datetime = NOW) -> dict[str, Any]:
    return dict(KEYS.check(text, audience=audience, now=now))


# ------------------------------------------------------------ good tokens


def test_a_good_token_is_believed_and_its_claims_are_told() -> None:
    assert check(token()) == CLAIMS


GOOD: dict[str, str] = {
    "issuer without scheme": claiming(iss="accounts.google.com"),
    "other key": token(CLAIMS, {**HEADER, "kid": "key 2"}, "other"),
    "no type": token(CLAIMS, without(HEADER, "typ")),
    "several audiences": claiming(aud=["somebody", PROJECT]),
    "fractions of seconds": claiming(iat=SECONDS - 0.5, exp=SECONDS + 0.5, nbf=SECONDS - 0.5),
    "the longest time": claiming(iat=SECONDS, exp=SECONDS + DAY),
    "clock behind": claiming(iat=SECONDS + 300, nbf=SECONDS + 300),
    "clock ahead": claiming(exp=SECONDS - 300, iat=SECONDS - HOUR),
    "more claims": claiming(nonce="1"),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_what_google_may_do_is_believed(text: str) -> None:
    assert check(text)["jti"] == "1f"


def test_any_of_the_audiences_will_do_and_the_zone_of_now_does_not_matter() -> None:
    check(token(), {"demo-0", PROJECT}, NOW.astimezone(timezone(timedelta(hours=-11))))


# ------------------------------------------------------------ bad tokens


def unsigned(header: Any, claims: Any = CLAIMS, signature: str = "AAAA") -> str:
    return f"{encoded(header)}.{encoded(claims)}.{signature}"


def with_password(password: bytes) -> str:
    signed = f"{encoded({**HEADER, 'alg': 'HS256'})}.{encoded(CLAIMS)}"
    return f"{signed}.{encoded(hmac.digest(password, signed.encode(), 'sha256'))}"


def with_other_padding() -> str:
    signed = f"{encoded(HEADER)}.{encoded(CLAIMS)}"
    padding = PSS(MGF1(SHA256()), PSS.DIGEST_LENGTH)
    return f"{signed}.{encoded(key('google').sign(signed.encode(), padding, SHA256()))}"


HEAD, PAYLOAD, SIGNATURE = token().split(".")
NOT_BY_KEY = "the signature of the token is not by the key that it names"

BAD: dict[str, tuple[str, str]] = {
    "no begin": (token(without(CLAIMS, "nbf")), "nbf: missing"),
    "no name": (token(without(CLAIMS, "jti")), "jti: missing"),
    "name by number": (claiming(jti=1), "jti: missing"),
    # Anybody can have such a token made for our project: it is signed with the same key, by the same issuer.
    "of a user": (claiming(sub="1", azp="client", email="ann@example.com"), "azp: the token says who"),
    "of a program": (claiming(sub="1"), "sub: the token says who somebody is, not that the Assistant asks"),
    "asked for": (claiming(target_audience=PROJECT), "target_audience: the token says who"),
    "empty": ("", "not a signed token: 1 parts, not 3"),
    "two parts": (f"{HEAD}.{PAYLOAD}", "not a signed token: 2 parts, not 3"),
    "four parts": (f"{token()}.{SIGNATURE}", "not a signed token: 4 parts, not 3"),
    "too long": (claiming(x="x" * 8192), "a token of more than 8192 characters"),
    "no algorithm": (token(CLAIMS, without(HEADER, "alg")), "alg: must be RS256, not None"),
    "algorithm none": (unsigned({**HEADER, "alg": "none"}, signature=""), "alg: must be RS256, not 'none'"),
    "algorithm None": (unsigned({**HEADER, "alg": "None"}), "alg: must be RS256, not 'None'"),
    "certificate used as password": (
        with_password(CERTIFICATES[KID].encode()),
        "alg: must be RS256, not 'HS256'",
    ),
    "algorithm in small letters": (token(CLAIMS, {**HEADER, "alg": "rs256"}), "alg: must be RS256"),
    "several algorithms": (token(CLAIMS, {**HEADER, "alg": ["RS256"]}), "alg: must be RS256, not an array"),
    "algorithm twice": (
        unsigned('{"alg":"RS256","kid":"key 1","alg":"none"}'),
        "alg: must be RS256, not 'none'",
    ),
    "extension": (token(CLAIMS, {**HEADER, "crit": ["exp"]}), "crit: asks for extensions"),
    "no key named": (token(CLAIMS, without(HEADER, "kid")), "kid: does not name a key"),
    "empty key": (token(CLAIMS, {**HEADER, "kid": ""}), "kid: does not name a key"),
    "key by number": (token(CLAIMS, {**HEADER, "kid": 1}), "kid: does not name a key"),
    "unknown key": (token(CLAIMS, {**HEADER, "kid": "key 3"}), "kid: no key of the name 'key 3' is known"),
    "key brought along": (
        token(CLAIMS, {**HEADER, "kid": "x", "jwk": {}, "x5c": [CERTIFICATES[KID]]}, "thief"),
        "kid: no key of the name 'x' is known",
    ),
    "header not base64url": (f"!.{PAYLOAD}.{SIGNATURE}", "the header of the token is not base64url"),
    "header padded": (f"{HEAD}==.{PAYLOAD}.{SIGNATURE}", "the header of the token is not base64url"),
    "header no JSON": (token(CLAIMS, "RS256"), "the header of the token: not JSON"),
    "header no object": (token(CLAIMS, "[]"), "the header of the token must be an object, not an array"),
    "payload not base64url": (f"{HEAD}.a+b/.{SIGNATURE}", "the payload of the token is not base64url"),
    "payload of no length": (f"{HEAD}.AAAAA.{SIGNATURE}", "the payload of the token is not base64url"),
    "payload no JSON": (token("{"), "the payload of the token: not JSON"),
    "payload not UTF-8": (token(b'{"\xff":1}'), "the payload of the token: not UTF-8"),
    "payload no object": (token("1"), "the payload of the token must be an object, not an integer"),
    "payload too deep": (
        token('{"a":' + "[" * 70 + "]" * 70 + "}"),
        "the payload of the token: nested more than 64 deep",
    ),
    "no signature": (f"{HEAD}.{PAYLOAD}.", "the signature of the token is not base64url"),
    "signature with a line break": (token() + "\n", "the signature of the token is not base64url"),
    "signature beyond ASCII": (token()[:-1] + "é", "the signature of the token is not base64url"),
    "stray bits": (f"{HEAD}.{PAYLOAD}.AB", "the signature of the token is not base64url: its last character"),
    "signature cut": (f"{HEAD}.{PAYLOAD}.{SIGNATURE[:-6]}", NOT_BY_KEY),
    "other padding": (with_other_padding(), NOT_BY_KEY),
    "by the other key": (token(by="other"), NOT_BY_KEY),
    "by a thief": (token(by="thief"), NOT_BY_KEY),
    "claims changed": (f"{HEAD}.{claiming(sub='0').split('.')[1]}.{SIGNATURE}", NOT_BY_KEY),
    "header changed": (f"{encoded({**HEADER, 'x': 1})}.{PAYLOAD}.{SIGNATURE}", NOT_BY_KEY),
    "no issuer": (token(without(CLAIMS, "iss")), "iss: must be https://accounts.google.com, not None"),
    "other issuer": (claiming(iss="https://accounts.google.com.evil.example"), "iss: must be"),
    "issuer by http": (claiming(iss="http://accounts.google.com"), "iss: must be"),
    "several issuers": (claiming(iss=["accounts.google.com"]), "iss: must be"),
    "no audience": (token(without(CLAIMS, "aud")), "aud: the token is for somebody else: None"),
    "other audience": (claiming(aud="demo-2"), "aud: the token is for somebody else: 'demo-2'"),
    "part of the audience": (claiming(aud="demo"), "aud: the token is for somebody else"),
    "no audience of several": (claiming(aud=[]), "aud: the token is for somebody else"),
    "other audiences": (claiming(aud=["a", ["demo-1"], None]), "aud: the token is for somebody else"),
    "audience as an object": (claiming(aud={PROJECT: True}), "aud: the token is for somebody else"),
    "no time of issue": (token(without(CLAIMS, "iat")), "iat: missing"),
    "no end": (token(without(CLAIMS, "exp")), "exp: missing"),
    "begin null": (claiming(nbf=None), "nbf: must be a number, not null"),
    "end as text": (claiming(exp=str(SECONDS + HOUR)), "exp: must be a number, not a string"),
    "end true": (claiming(exp=True), "exp: must be a number, not a boolean"),
    "infinite end": (token('{"exp":1e999}'), "the payload of the token: "),
    "issued in the future": (claiming(iat=SECONDS + 301), "iat: the token was issued in the future"),
    "not yet": (claiming(nbf=SECONDS + 301), "nbf: the token is not valid yet"),
    "expired": (claiming(exp=SECONDS - 301, iat=SECONDS - HOUR), "exp: the token has expired"),
    "good for too long": (
        claiming(iat=SECONDS, exp=SECONDS + DAY + 1),
        "exp: the token is not good for 0 to 86400 seconds",
    ),
    "good for ever": (claiming(exp=1e300), "exp: the token is not good for 0 to 86400 seconds"),
    "ends before it begins": (
        claiming(iat=SECONDS, exp=SECONDS - 1),
        "exp: the token is not good for 0 to 86400 seconds",
    ),
}


@pytest.mark.parametrize(("text", "reason"), BAD.values(), ids=BAD)
def test_every_other_token_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(SignatureError) as caught:
        check(text)
    assert str(caught.value).startswith(reason)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("days", [(-9, -1), (1, 9)], ids=["expired", "not valid yet"])
def test_a_key_is_good_for_as_long_as_its_certificate(days: tuple[int, int]) -> None:
    document = json.dumps({KID: certificate(key("google"), days=days)}).encode()
    with pytest.raises(SignatureError, match="kid: the certificate of the key 'key 1' is not valid now"):
        keys(document).check(token(), audience=[PROJECT], now=NOW)


def test_the_clocks_of_certificates_may_differ_too() -> None:
    late = NOW + timedelta(days=7, seconds=300)
    issued = int(late.timestamp())
    KEYS.check(claiming(iat=issued, exp=issued + 1), audience=[PROJECT], now=late)


# ------------------------------------------------------------ mistakes of the host


def test_one_audience_is_no_collection() -> None:
    with pytest.raises(TypeError, match="must be a collection of project ids"):
        KEYS.check(claiming(aud="demo"), audience="demo-1", now=NOW)


def test_no_audience_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="audience is empty"):
        KEYS.check(token(), audience=[], now=NOW)


def test_a_time_without_a_zone_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="now must have a zone"):
        KEYS.check(token(), audience=[PROJECT], now=NOW.replace(tzinfo=None))


@pytest.mark.parametrize("arguments", [{"keep_for": 0.0}, {"again": -1.0}, {"again": float("nan")}], ids=str)
def test_times_must_be_positive(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        GoogleKeys(**arguments)


@pytest.mark.parametrize("make", [GoogleKeys, GoogleSigner], ids=["verify", "sign"])
def test_the_missing_extra_is_named(make: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [each for each in sys.modules if each.partition(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ImportError, match=r"pip install 'flowstorm-channel\[verify\]'"):
        make()


# ------------------------------------------------------------ when keys are fetched


NEED = KeysNeed(url="https://www.googleapis.com/oauth2/v1/certs")
UNKNOWN = token(CLAIMS, {**HEADER, "kid": "new"})


def test_keys_are_fetched_at_first_and_when_they_are_old() -> None:
    clock = ManualClock(1000.0)
    made = GoogleKeys(clock=clock, keep_for=600)
    assert made.need(token()) == made.need(token()) == NEED
    with pytest.raises(SignatureError, match="no key of the name 'key 1' is known"):
        made.check(token(), audience=[PROJECT], now=NOW)
    made.add(DOCUMENT)
    assert made.need(token()) is None
    clock.advance(599.9)
    assert made.need(token()) is None
    clock.advance(0.1)
    assert made.need(token()) == NEED
    made.add(DOCUMENT)
    assert made.need(token()) is None


def test_keys_that_age_while_they_are_used_still_serve() -> None:
    clock = ManualClock()
    made = GoogleKeys(clock=clock, keep_for=600)
    made.add(DOCUMENT)
    clock.advance(601)
    made.check(token(), audience=[PROJECT], now=NOW)


def test_an_unknown_key_has_the_keys_fetched_again_but_not_all_the_time() -> None:
    clock = ManualClock()
    made = GoogleKeys(clock=clock, again=60)
    made.add(DOCUMENT)
    asked = []
    for second in range(181):
        if made.need(UNKNOWN) is not None:
            asked.append(second)
            made.add(DOCUMENT)
        assert made.need(token()) is None
        clock.advance(1)
    assert asked == [0, 60, 120, 180]


def test_an_unknown_key_right_after_a_fetch_is_not_worth_another() -> None:
    made = GoogleKeys(clock=ManualClock())
    assert made.need(UNKNOWN) == NEED
    made.add(DOCUMENT)
    assert made.need(UNKNOWN) is None


def test_a_new_key_is_taken_and_an_old_one_forgotten() -> None:
    made = keys()
    assert made.need(UNKNOWN) == NEED
    made.add(json.dumps({"new": CERTIFICATES[KID]}).encode())
    made.check(UNKNOWN, audience=[PROJECT], now=NOW)
    with pytest.raises(SignatureError, match="no key of the name 'key 1' is known"):
        made.check(token(), audience=[PROJECT], now=NOW)


@pytest.mark.parametrize(
    "name", [name for name, (_, reason) in BAD.items() if reason.startswith(("not", "alg", "crit"))]
)
def test_nothing_is_fetched_for_what_no_key_could_make_good(name: str) -> None:
    assert GoogleKeys(clock=ManualClock()).need(BAD[name][0]) is None


# ------------------------------------------------------------ documents of keys


def number(value: int) -> str:
    return encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def jwk(kid: str = KID, **changes: Any) -> dict[str, Any]:
    numbers = key("google").public_key().public_numbers()
    usual = {"kid": kid, "kty": "RSA", "alg": "RS256", "use": "sig", "n": number(numbers.n), "e": "AQAB"}
    return {**usual, **changes}


def key_set(*jwks: Any) -> bytes:
    return json.dumps({"keys": jwks}).encode()


def test_a_key_set_will_do() -> None:
    curve = {"kid": "c", "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}
    document = key_set(curve, jwk(), jwk("e", use="enc"), jwk("p", alg="PS256"), jwk(""), 1, {"kty": "RSA"})
    made = keys(document)
    made.check(token(), audience=[PROJECT], now=NOW)
    for kid in ("e", "p", "c"):
        with pytest.raises(SignatureError, match="no key of the name"):
            made.check(token(CLAIMS, {**HEADER, "kid": kid}), audience=[PROJECT], now=NOW)


def test_keys_that_cannot_sign_tokens_are_left_out() -> None:
    curve = certificate(ec.generate_private_key(ec.SECP256R1()))
    document = {"curve": curve, "weak": certificate(key("weak", 1024)), **CERTIFICATES}
    made = keys(json.dumps(document).encode())
    made.check(token(), audience=[PROJECT], now=NOW)
    for kid in ("curve", "weak"):
        with pytest.raises(SignatureError, match="no key of the name"):
            made.check(token(CLAIMS, {**HEADER, "kid": kid}), audience=[PROJECT], now=NOW)


NO_KEY = "the document of keys holds no RSA key that could be used"

DOCUMENTS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "the document of keys: empty"),
    "HTML": (b"<html>", "the document of keys: not JSON"),
    "not UTF-8": (b"\xff", "the document of keys: not UTF-8"),
    "array": (b"[]", "the document of keys must be an object, not an array"),
    "too long": (DOCUMENT + b" " * 65536, "the document of keys takes more than 65536 bytes"),
    "no certificate": (b"{}", NO_KEY),
    "weak certificate": (json.dumps({"a": certificate(key("weak", 1024))}).encode(), NO_KEY),
    "number": (b'{"a":1}', "the key 'a' must be a certificate, not an integer"),
    "text": (b'{"a":"x"}', "the certificate of the key 'a' cannot be read: "),
    "one certificate cut": (
        json.dumps({**CERTIFICATES, "a": CERTIFICATES[KID][:-99]}).encode(),
        "the certificate of the key 'a' cannot be read: ",
    ),
    "no key in the set": (key_set(), NO_KEY),
    "weak key in the set": (key_set(jwk(n=number(2**1023 + 1))), NO_KEY),
    "giant key in the set": (key_set(jwk(n=number(2**9000 + 1))), NO_KEY),
    "modulus as a number": (key_set(jwk(n=5)), "n: must be a string, not an integer"),
    "exponent padded": (key_set(jwk(e="AQAB==")), "the number e of a key is not base64url"),
    "exponent one": (key_set(jwk(e="AQ")), "the key 'key 1' cannot be read: "),
}


@pytest.mark.parametrize(("document", "reason"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_refused_document_leaves_the_keys_as_they_were(document: bytes, reason: str) -> None:
    clock = ManualClock()
    made = GoogleKeys(clock=clock, keep_for=600)
    made.add(DOCUMENT)
    clock.advance(599)
    with pytest.raises(SignatureError) as caught:
        made.add(document)
    assert str(caught.value).startswith(reason)
    made.check(token(), audience=[PROJECT], now=NOW)
    clock.advance(1)
    assert made.need(token()) == NEED


# ------------------------------------------------------------ where the token is


def head(*headers: tuple[str, str]) -> RequestHead:
    return RequestHead(method="POST", url="/google", headers=headers)


@pytest.mark.parametrize(
    ("version", "headers"),
    [
        (2, [("Authorization", "a.b.c")]),
        (2, [("authorization", "Bearer a.b.c")]),
        (2, [("AUTHORIZATION", "bearer  a.b.c"), ("Google-Assistant-Signature", "x")]),
        (3, [("Google-Assistant-Signature", "a.b.c"), ("Authorization", "x")]),
    ],
)
def test_each_version_has_a_header_for_the_token(
    version: Literal[2, 3], headers: list[tuple[str, str]]
) -> None:
    assert token_of(head(*headers), version) == "a.b.c"


def test_version_3_has_no_bearers() -> None:
    assert token_of(head(("Google-Assistant-Signature", "Bearer a.b.c")), 3) == "Bearer a.b.c"


@pytest.mark.parametrize(
    ("version", "headers", "reason"),
    [
        (2, [("Google-Assistant-Signature", "a.b.c")], "authorization: missing"),
        (2, [("Authorization", "")], "authorization: missing"),
        (2, [("Authorization", "Bearer ")], "authorization: missing"),
        (2, [("Authorization", "a"), ("authorization", "a")], "authorization: there more than once"),
        (3, [("Authorization", "a.b.c")], "google-assistant-signature: missing"),
        (3, [("google-assistant-signature", "a")] * 2, "google-assistant-signature: there more than once"),
    ],
)
def test_without_one_token_nobody_is_believed(
    version: Literal[2, 3], headers: list[tuple[str, str]], reason: str
) -> None:
    with pytest.raises(SignatureError) as caught:
        token_of(head(*headers), version)
    assert str(caught.value) == reason


# ------------------------------------------------------------ google-auth says the same


@attrs.frozen
class Reply:
    data: bytes
    status: int = 200


def google_believes(text: str, audience: list[str], document: bytes = DOCUMENT) -> bool:
    def request(url: str, method: str) -> Reply:
        assert (url, method) == (GoogleKeys.URL, "GET")
        return Reply(document)

    try:
        id_token.verify_oauth2_token(text, request, audience, clock_skew_in_seconds=300)  # type: ignore[no-untyped-call]
    except Exception:
        # Of junk it raises TypeError, KeyError and others, too.
        return False
    return True


def believes(text: str, audience: list[str]) -> bool:
    try:
        check(text, audience)
    except SignatureError:
        return False
    return True


@pytest.fixture
def google_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google.auth._helpers, "utcnow", lambda: NOW.replace(tzinfo=None))


NEARBY = st.sampled_from([-90000, -3600, -301, -300, -299, -1, 0, 1, 299, 300, 301, 3600, 86400, 90000]).map(
    lambda seconds: SECONDS + seconds
)
TIMES = NEARBY | NEARBY.map(lambda value: value + 0.5)
CLAIMED = st.fixed_dictionaries(
    {},
    optional={
        "iss": st.sampled_from(["https://accounts.google.com", "accounts.google.com", "x", "", None, 1]),
        "aud": st.sampled_from([PROJECT, "demo-2", "demo", "", None, 1]),
        "iat": TIMES | st.sampled_from([None, "1", "", True]),
        "exp": TIMES | st.sampled_from([None, "1", "", True]),
    },
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "alg": st.sampled_from(["RS256", "none", "HS256", "ES256", "RS512", "", None, 1]),
        "kid": st.sampled_from([KID, "key 2", "key 3", 1]),
    },
)


@pytest.mark.usefixtures("google_clock")
@settings(max_examples=examples(100), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    CLAIMED,
    HEADERS,
    st.sampled_from(["google", "google", "other", "thief"]),
    st.lists(st.sampled_from(["demo-1", "demo-2"]), min_size=1),
)
@example({}, {}, "google", ["demo-1"])
@example({"iat": SECONDS + 300, "exp": SECONDS + 301}, {}, "google", ["demo-1"])
@example({"iat": SECONDS - HOUR, "exp": SECONDS - 300}, {"kid": "key 2"}, "other", ["demo-1"])
def test_google_auth_agrees(
    claims: dict[str, Any], header: dict[str, Any], by: str, audience: list[str]
) -> None:
    claims = {**CLAIMS, **claims}
    text = token(claims, {**HEADER, **header}, by)
    agreed = google_believes(text, audience)
    if agreed and not 0 <= claims["exp"] - claims["iat"] <= DAY:
        agreed = False  # the Node library refuses it, this one does not ask
    assert believes(text, audience) == agreed


@pytest.mark.usefixtures("google_clock")
@pytest.mark.parametrize("name", [name for name in GOOD if name != "several audiences"])
def test_google_auth_believes_the_good_ones(name: str) -> None:
    assert google_believes(GOOD[name], [PROJECT])


STRICTER = {
    # It takes any key for a token that names none, and knows neither nbf nor crit nor how long is too long.
    *("too long", "extension", "no key named", "empty key", "begin null", "not yet"),
    *("good for too long", "good for ever", "ends before it begins"),
    # And it is made for the tokens of users and programs.
    *("no begin", "no name", "name by number", "of a user", "of a program", "asked for"),
}


@pytest.mark.usefixtures("google_clock")
@pytest.mark.parametrize("name", BAD)
def test_google_auth_refuses_the_bad_ones_but_those_that_it_does_not_look_at(name: str) -> None:
    assert google_believes(BAD[name][0], [PROJECT]) == (name in STRICTER)


@pytest.mark.parametrize("aud", [PROJECT, ["x", PROJECT]], ids=["one", "several"])
def test_google_auth_believes_by_a_key_set_too(aud: Any) -> None:
    # It leaves key sets to PyJWT, which asks the clock on the wall.
    now = datetime.now(timezone.utc)
    issued = int(now.timestamp())
    text = claiming(aud=aud, iat=issued, nbf=issued, exp=issued + HOUR)
    document = key_set(jwk())
    assert google_believes(text, [PROJECT], document)
    assert keys(document).check(text, audience=[PROJECT], now=now)["aud"] == aud
    assert not google_believes(text, ["demo-2"], document)


# ------------------------------------------------------------ junk


ALPHABET = "ABCabc019-_.=+/ \n"


@settings(max_examples=examples(120))
@given(st.text(max_size=20) | st.text(ALPHABET, max_size=40))
def test_any_text_for_a_token_is_refused(text: str) -> None:
    made = GoogleKeys(clock=ManualClock())
    with pytest.raises(SignatureError):
        check(text)
    assert made.need(text) is None


@settings(max_examples=examples(120))
@given(json_values(), json_values() | st.fixed_dictionaries({"aud": json_values(), "iat": json_values()}))
def test_any_json_in_a_token_is_refused(header: Any, claims: Any) -> None:
    claimed = {**CLAIMS, **claims} if isinstance(claims, dict) else claims
    for text in (token(json.dumps(claimed)), unsigned(json.dumps(header), json.dumps(claims))):
        try:
            found = check(text)
        except SignatureError:
            continue
        assert found == claimed
        assert found["aud"] == PROJECT or PROJECT in found["aud"]


@settings(deadline=None)  # a busy machine may take its time
@given(st.integers(0, len(token()) - 1), st.sampled_from(ALPHABET))
def test_one_character_decides(at: int, character: str) -> None:
    text = token()
    changed = text[:at] + character + text[at + 1 :]
    assert believes(changed, [PROJECT]) == (changed == text)


@settings(max_examples=examples(120))
@given(
    st.binary(max_size=40)
    | json_values().map(lambda tree: json.dumps(tree).encode())
    | st.dictionaries(
        st.sampled_from(["kid", "kty", "n", "e", "use", "alg"]),
        json_values() | st.sampled_from(["RSA", "sig", "AQAB", "a", "AQAB" * 100]),
    ).map(key_set)
)
def test_any_document_of_keys_is_refused(document: bytes) -> None:
    with pytest.raises(SignatureError):
        keys(document)


@settings(max_examples=examples(120))
@given(st.data())
def test_damaged_certificates_are_refused_by_nothing_else(data: st.DataObject) -> None:
    der = bytearray(x509.load_pem_x509_certificate(CERTIFICATES[KID].encode()).public_bytes(Encoding.DER))
    der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    pem = f"-----BEGIN CERTIFICATE-----\n{b64encode(der).decode()}\n-----END CERTIFICATE-----\n"
    made = keys()
    try:
        made.add(json.dumps({KID: pem}).encode())
        made.check(token(), audience=[PROJECT], now=NOW)
    except SignatureError:
        return


# ------------------------------------------------------------ the signer for tests of others


@pytest.mark.parametrize("version", [2, 3])
def test_what_the_signer_signs_is_believed(version: Literal[2, 3]) -> None:
    signer = GoogleSigner("my-project")
    text = token_of(head(*signer.headers(version, NOW, nonce="1", jti="x")), version)
    claims = keys(signer.document).check(text, audience=["my-project"], now=NOW)
    assert claims["nonce"] == "1"
    assert claims["jti"] == "x"
    with pytest.raises(SignatureError, match="aud"):
        keys(signer.document).check(text, audience=["another"], now=NOW)


@pytest.mark.usefixtures("google_clock")
def test_google_auth_believes_the_signer() -> None:
    signer = GoogleSigner()
    assert google_believes(signer.token(NOW), ["test-project"], signer.document)
    assert not google_believes(signer.token(NOW, exp=1), ["test-project"], signer.document)


def test_a_signer_of_another_key_is_not_believed() -> None:
    mine, other = GoogleSigner(), GoogleSigner(kid="other")
    for text in (other.token(NOW), other.sign({"iss": "x"}, kid=mine.kid)):
        with pytest.raises(SignatureError):
            keys(mine.document).check(text, audience=["test-project"], now=NOW)


def test_a_signer_can_be_out_of_date() -> None:
    signer = GoogleSigner(valid_to=NOW - timedelta(days=1))
    with pytest.raises(SignatureError, match="is not valid now"):
        keys(signer.document).check(signer.token(NOW), audience=["test-project"], now=NOW)
