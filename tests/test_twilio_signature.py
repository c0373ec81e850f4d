"""Signatures of Twilio, against its own validator and against vectors that Twilio has published."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from flowstorm_channel.errors import RemoteProtocolError, SignatureError
from flowstorm_channel.testing.strategies import texts
from flowstorm_channel.twilio.signature import (
    HMAC_SHA1,
    HMAC_SHA256,
    SETTINGS_HEADER,
    SIGNATURE_HEADER,
    SignatureSettings,
    check_address,
    check_form,
    check_handshake,
    check_json,
    check_request,
    public_address,
    sign,
)
from flowstorm_channel.wire import RequestHead
from tests.depth import examples

UNHURRIED = settings(max_examples=examples(60), deadline=None)
TOKEN = "12345"
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
PARAMS = (
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675309"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
)
PUBLISHED = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
"""What Twilio's documentation gives for these."""


def head(url: str = "/", **headers: str) -> RequestHead:
    """A request with headers, underscores for hyphens."""
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return RequestHead(url=url, headers=pairs)


def signed(url: str, params: tuple[tuple[str, str], ...] = (), token: str = TOKEN) -> RequestHead:
    return RequestHead(url="/", headers=((SIGNATURE_HEADER, sign(token, url, params)),))


# ------------------------------------------------------------ the signature


def test_the_example_of_the_documentation() -> None:
    assert sign(TOKEN, URL, PARAMS) == PUBLISHED
    check_form(TOKEN, PUBLISHED, URL, PARAMS)


def test_the_order_of_parameters_does_not_matter_and_their_case_does() -> None:
    assert sign(TOKEN, URL, reversed(PARAMS)) == PUBLISHED
    assert sign(TOKEN, URL, [("a", "1"), ("B", "2")]) == sign(TOKEN, URL + "B2a1")


def test_of_a_repeated_parameter_the_values_are_sorted_and_count_once() -> None:
    repeated = [("Event", "ringing"), ("Event", "answered"), ("Event", "ringing"), ("A", "1")]
    assert sign(TOKEN, URL, repeated) == sign(TOKEN, URL + "A1EventansweredEventringing")


class MultiDict(dict[str, list[str]]):
    """What Twilio's validator takes for a form with repeated names."""

    def getall(self, name: str) -> list[str]:
        return self[name]


def multi(params: list[tuple[str, str]]) -> MultiDict:
    found = MultiDict()
    for name, value in params:
        found.setdefault(name, []).append(value)
    return found


forms = st.lists(st.tuples(st.sampled_from(["From", "To", "a", "B", "é"]) | texts, texts), max_size=6)
tokens = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
algorithms = st.sampled_from([HMAC_SHA1, HMAC_SHA256])
paths = st.from_regex(
    r"(/[a-zA-Z0-9._~%-]{0,6}){1,3}(\?[a-z]{1,3}=[a-zA-Z0-9%+]{0,5}(&[a-z]=[0-9]){0,2})?", fullmatch=True
)
addresses = st.builds(
    lambda scheme, port, path: f"{scheme}://voice.example.com{port}{path}",
    st.sampled_from(["https", "http"]),
    st.sampled_from(["", ":443", ":80", ":8443"]),
    paths,
)


@UNHURRIED
@given(tokens, addresses, forms, algorithms)
def test_signatures_are_those_of_the_peer(
    token: str, url: str, params: list[tuple[str, str]], algorithm: str
) -> None:
    theirs = RequestValidator(token).compute_signature(url, multi(params), algorithm)
    assert sign(token, url, params, algorithm=algorithm) == theirs


def accepts(check: Any, *args: Any, **kw: Any) -> bool:
    try:
        check(*args, **kw)
    except SignatureError:
        return False
    return True


@UNHURRIED
@given(
    *(addresses, addresses, forms, forms, algorithms, algorithms),
    st.booleans(),
)
def test_verdicts_are_those_of_the_peer(
    url: str,
    other_url: str,
    params: list[tuple[str, str]],
    other_params: list[tuple[str, str]],
    algorithm: str,
    other_algorithm: str,
    same: bool,
) -> None:
    signature = sign(TOKEN, url, params, algorithm=algorithm)
    if not same:
        url, params, algorithm = other_url, other_params, other_algorithm
    theirs = RequestValidator(TOKEN).validate(url, multi(params), signature, algorithm)
    assert accepts(check_form, TOKEN, signature, url, params, algorithm=algorithm) is theirs
    assert theirs or not same


@UNHURRIED
@given(addresses, st.binary(max_size=40), st.binary(max_size=40), algorithms)
def test_verdicts_on_bodies_are_those_of_the_peer(
    url: str, body: bytes, other: bytes, algorithm: str
) -> None:
    url += ("&" if "?" in url else "?") + "bodySHA256=" + hashlib.sha256(body).hexdigest()
    signature = sign(TOKEN, url, algorithm=algorithm)
    check_json(TOKEN, signature, url, body, algorithm=algorithm)
    assert accepts(check_json, TOKEN, signature, url, other, algorithm=algorithm) is (body == other)
    try:
        text = other.decode()
    except UnicodeDecodeError:
        return  # theirs takes text only
    theirs = RequestValidator(TOKEN).validate(url, text, signature, algorithm)
    assert theirs is (body == other)


@UNHURRIED
@given(st.data())
def test_whatever_is_changed_the_signature_is_wrong(data: st.DataObject) -> None:
    params = data.draw(forms)
    signature = sign(TOKEN, URL, params)
    place = data.draw(st.integers(0, len(signature) - 1))
    letter = data.draw(st.characters())
    assume(letter != signature[place])
    assert not accepts(check_form, TOKEN, signature[:place] + letter + signature[place + 1 :], URL, params)
    assert not accepts(check_form, TOKEN + "6", signature, URL, params)
    assert not accepts(check_form, TOKEN, signature, URL + "&x=1", params)
    assert not accepts(check_form, TOKEN, signature, URL, [*params, ("More", "1")])


# ------------------------------------------------------------ reasons


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        (None, "there is no X-Twilio-Signature"),
        ("", "not the signature of 'https://mycompany.com/myapp.php' with 5 parameters"),
        (PUBLISHED[:-1], "not the signature of"),
        (PUBLISHED + ", " + PUBLISHED, "not the signature of"),
        ("é\ud800", "not the signature of"),
    ],
    ids=["absent", "empty", "short", "twice", "no base64"],
)
def test_a_refusal_says_why(signature: str | None, reason: str) -> None:
    with pytest.raises(SignatureError, match=reason):
        check_form(TOKEN, signature, URL, PARAMS)


def test_a_refusal_shows_neither_the_token_nor_the_query() -> None:
    with pytest.raises(SignatureError) as caught:
        check_form("s3cret", PUBLISHED, "https://u:p4ss@h/p?token=t0ken", ())
    assert str(caught.value).startswith("not the signature of 'https://h/p': it is forged")
    for each in ("s3cret", "t0ken", "p4ss", sign("s3cret", "https://h/p?token=t0ken")):
        assert each not in str(caught.value)


def test_a_long_address_makes_no_long_refusal() -> None:
    with pytest.raises(SignatureError) as caught:
        check_form(TOKEN, PUBLISHED, "https://h/" + "\U0001f600" * 10_000, ())
    assert len(str(caught.value)) < 2_500


def test_white_space_around_a_signature_does_not_count() -> None:
    check_form(TOKEN, f" {PUBLISHED} ", URL, PARAMS)


@pytest.mark.parametrize("check", [check_form, check_json], ids=["form", "json"])
def test_an_empty_secret_is_a_mistake_of_the_host(check: Any) -> None:
    for signature in (PUBLISHED, None):
        with pytest.raises(ValueError, match="empty"):
            check("", signature, URL, b"" if check is check_json else ())


def test_an_unknown_algorithm_is_refused_when_checked_and_a_mistake_when_signed() -> None:
    with pytest.raises(
        SignatureError, match="signed with 'HMAC_MD5', which is not one of HMAC_SHA1, HMAC_SHA256"
    ):
        check_form(TOKEN, PUBLISHED, URL, PARAMS, algorithm="HMAC_MD5")
    with pytest.raises(ValueError, match="HMAC_MD5"):
        sign(TOKEN, URL, algorithm="HMAC_MD5")


def test_text_that_is_none_is_refused_like_any_other() -> None:
    for url, params in ((f"{URL}\ud800", ()), (URL, [("From", "\udfff")])):
        assert not accepts(check_form, TOKEN, PUBLISHED, url, params)


# ------------------------------------------------------------ bodies


def test_a_body_needs_its_hash_in_the_address() -> None:
    with pytest.raises(SignatureError, match="no bodySHA256"):
        check_json(TOKEN, sign(TOKEN, URL), URL, b"{}")


def test_another_body_is_refused() -> None:
    url = f"{URL}&bodySHA256={hashlib.sha256(b'{}').hexdigest()}"
    check_json(TOKEN, sign(TOKEN, url), url, b"{}")
    with pytest.raises(SignatureError, match="the body is not the one"):
        check_json(TOKEN, sign(TOKEN, url), url, b"[]")
    with pytest.raises(SignatureError, match="not the signature"):
        check_json(TOKEN, sign(TOKEN, URL), url, b"{}")


def test_a_hash_that_is_no_text_is_refused() -> None:
    url = f"{URL}&bodySHA256=%ff\udfff"
    with pytest.raises(SignatureError, match="the body is not the one"):
        check_json(TOKEN, sign(TOKEN, url), url, b"{}")


def test_a_body_of_an_event_without_hash_does_not_crash_as_with_the_peer() -> None:
    # Its issue 885: a string of parameters and no bodySHA256 is a TypeError.
    with pytest.raises(TypeError):
        RequestValidator(TOKEN).validate(URL, "{}", PUBLISHED)
    assert not accepts(check_json, TOKEN, PUBLISHED, URL, b"{}")


# ------------------------------------------------------------ ports, users, slashes


def spellings(*urls: str) -> list[tuple[str, str]]:
    return [(given, signed) for given in urls for signed in urls]


SAME = [
    *spellings("https://h/x", "https://h:443/x"),
    *spellings("http://h/x", "http://h:80/x"),
    *spellings("wss://h/x", "wss://h:443/x"),
    *spellings("ws://h/x", "ws://h:80/x"),
    *spellings("https://[::1]/x", "https://[::1]:443/x"),
    *spellings("https://h?x=1", "https://h:443?x=1"),
    *spellings("https://h", "https://h:443"),
    ("https://h:8443/x", "https://h/x"),
    ("https://[fe80::1]:8443/x", "https://[fe80::1]/x"),
    ("https://h:/x", "https://h/x"),
    ("https://h:/x", "https://h:443/x"),
    ("https://u:p@h/x", "https://u:p@h/x"),
    ("https://u:p@h/x", "https://u:p@h:443/x"),
    ("https://u:p@h:8443/x", "https://u:p@h/x"),
    ("https://u:p@h/x", "https://h/x"),
    ("https://u:p@h/x", "https://h:443/x"),
    ("https://u:p@[::1]:8443/x", "https://[::1]/x"),
    ("HTTPS://H/x", "HTTPS://H:443/x"),
]
OTHER = [
    ("https://h/x", "https://h:80/x"),
    ("https://h/x", "https://h:8443/x"),
    ("wss://h/x", "wss://h:80/x"),
    ("http://h/x", "http://h:443/x"),
    ("wss://h/x", "https://h/x"),
    ("https://h/x", "wss://h/x"),
    ("https://h/x", "http://h/x"),
    ("https://h/x", "https://h/x/"),
    ("https://h/x/", "https://h/x"),
    ("https://h/x", "https://h/x?"),
    ("https://h/x", "https://u:p@h/x"),
    ("https://u:p@h/x", "https://u/x"),
    ("https://[::1]/x", "https://[/x"),
    ("https://h/:443", "https://h/"),
    ("https://h/a@b", "https://b"),
]


@pytest.mark.parametrize(("url", "signed_url"), SAME, ids=[f"{url} as {other}" for url, other in SAME])
def test_an_address_is_signed_with_or_without_port_and_user(url: str, signed_url: str) -> None:
    check_form(TOKEN, sign(TOKEN, signed_url, PARAMS), url, PARAMS)


@pytest.mark.parametrize(("url", "signed_url"), OTHER, ids=[f"{url} not {other}" for url, other in OTHER])
def test_another_address_is_another_signature(url: str, signed_url: str) -> None:
    with pytest.raises(SignatureError):
        check_form(TOKEN, sign(TOKEN, signed_url, PARAMS), url, PARAMS)


def test_the_published_signature_of_an_address_with_a_user() -> None:
    # From the tests of Twilio's library for Node.
    check_form(TOKEN, "2YRLlVAflCqxaNicjMpJcSTgzSs=", URL.replace("//", "//user@"), PARAMS)


def test_what_the_peer_does_wrong_with_ports_is_right_here() -> None:
    peer = RequestValidator(TOKEN)
    for url, right in (
        ("wss://h/x", "wss://h:443/x"),
        ("https://u:p@h:8443/x", "https://u:p@h/x"),
        ("https://[::1]:8443/x", "https://[::1]/x"),
    ):
        assert not peer.validate(url, {}, sign(TOKEN, right))
        check_form(TOKEN, sign(TOKEN, right), url, ())


@pytest.mark.parametrize(
    "url",
    ["", "/x", "h/x", "ftp://h/x", "https:/h", "https://", "https:///x", "https://:443/x", "https://u@/x"],
)
def test_a_relative_address_is_a_mistake_of_the_host(url: str) -> None:
    with pytest.raises(ValueError, match=r"is not an absolute address|has no host"):
        check_form(TOKEN, PUBLISHED, url, ())


# ------------------------------------------------------------ handshakes


def test_the_handshake_of_a_stream() -> None:
    url = "wss://voice.example.com/call/"
    check_handshake(TOKEN, signed(url), url)
    check_handshake(TOKEN, signed("wss://voice.example.com:443/call/"), url)
    assert RequestValidator(TOKEN).validate(url, {}, sign(TOKEN, url))


def test_the_name_of_the_header_may_be_written_small() -> None:
    url = "wss://voice.example.com/call"
    check_handshake(TOKEN, head(x_twilio_signature=sign(TOKEN, url)), url)


def test_a_handshake_that_was_signed_as_https_is_refused() -> None:
    with pytest.raises(SignatureError, match="not the signature of 'wss://h/call': "):
        check_handshake(TOKEN, signed("https://h/call"), "wss://h/call")
    with pytest.raises(SignatureError, match="there is no"):
        check_handshake(TOKEN, head(), "wss://h/call")


def test_a_handshake_is_checked_against_the_address_of_a_websocket() -> None:
    with pytest.raises(ValueError, match="'https://h/call' is not the address of a WebSocket"):
        check_handshake(TOKEN, signed("https://h/call?a=1"), "https://h/call?a=1")


# ------------------------------------------------------------ shared keys


KEYS = {"webhooks_sharedkey_1": "shared"}


def settings_header(value: str) -> RequestHead:
    return RequestHead(url="/", headers=((SETTINGS_HEADER, value),))


@pytest.mark.parametrize(
    ("value", "key", "algorithm"),
    [
        ("key=k,algorithm=HMAC_SHA256", "k", HMAC_SHA256),
        ("algorithm=HMAC_SHA256,key=k", "k", HMAC_SHA256),
        (" key = k , algorithm = hmac_sha256 ", "k", HMAC_SHA256),
        ("key=a=b", "a=b", HMAC_SHA1),
        ("algorithm=,algorithm=HMAC_SHA256,algorithm=HMAC_SHA1", None, HMAC_SHA256),
        ("", None, HMAC_SHA1),
        ("key", None, HMAC_SHA1),
        ("key=", None, HMAC_SHA1),
        ("algorithm=rot13", None, "ROT13"),
    ],
)
def test_what_the_settings_of_a_signature_say(value: str, key: str | None, algorithm: str) -> None:
    assert SignatureSettings.read(settings_header(value)) == SignatureSettings(key=key, algorithm=algorithm)


def test_without_settings_it_is_the_auth_token() -> None:
    assert SignatureSettings.read(head()) == SignatureSettings() == SignatureSettings(algorithm=HMAC_SHA1)


@UNHURRIED
@given(
    st.lists(st.sampled_from(["algorithm", "key", " ", "=", ",", "HMAC_SHA256", "HMAC_SHA1", "x"])).map(
        "".join
    )
)
def test_the_algorithm_is_read_like_the_peer_reads_it(value: str) -> None:
    from twilio.request_validator import get_signature_algorithm

    assert SignatureSettings.read(settings_header(value)).algorithm == get_signature_algorithm(value).upper()


def with_settings(
    settings: str, secret: str, algorithm: str, params: tuple[tuple[str, str], ...] = ()
) -> RequestHead:
    signature = RequestValidator(secret).compute_signature(URL, dict(params), algorithm)
    return RequestHead(url="/", headers=((SETTINGS_HEADER, settings), (SIGNATURE_HEADER, signature)))


def test_a_shared_key_signs_instead_of_the_auth_token() -> None:
    request = with_settings("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", "shared", HMAC_SHA256, PARAMS)
    check_request(TOKEN, request, URL, PARAMS, shared_keys=KEYS)
    with pytest.raises(SignatureError, match="not the signature"):
        check_request(TOKEN, request, URL, PARAMS, shared_keys={"webhooks_sharedkey_1": "another"})


@pytest.mark.parametrize(
    "keys", [None, {}, {"webhooks_sharedkey_2": "shared"}], ids=["none", "empty", "another"]
)
def test_a_shared_key_that_is_not_known_is_refused(keys: Mapping[str, str] | None) -> None:
    request = with_settings("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", TOKEN, HMAC_SHA256)
    with pytest.raises(SignatureError, match="the shared key 'webhooks_sharedkey_1', which is not known"):
        check_request(TOKEN, request, URL, shared_keys=keys)


def test_the_settings_alone_do_not_open_anything() -> None:
    forged = with_settings("algorithm=HMAC_SHA256", "guessed", HMAC_SHA256)
    with pytest.raises(SignatureError):
        check_request(TOKEN, forged, URL, shared_keys=KEYS)
    check_request(TOKEN, with_settings("algorithm=HMAC_SHA256", TOKEN, HMAC_SHA256), URL)
    with pytest.raises(SignatureError, match="'ROT13'"):
        check_request(TOKEN, with_settings("algorithm=rot13", TOKEN, HMAC_SHA1), URL)


def test_a_handshake_may_be_signed_with_a_shared_key() -> None:
    url = "wss://h/call"
    signature = sign("shared", url, algorithm=HMAC_SHA256)
    pairs = (
        (SETTINGS_HEADER, "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"),
        (SIGNATURE_HEADER, signature),
    )
    check_handshake(TOKEN, RequestHead(url="/", headers=pairs), url, shared_keys=KEYS)


# ------------------------------------------------------------ public addresses


@pytest.mark.parametrize(
    ("public", "target", "expected"),
    [
        ("https://h", "/call", "https://h/call"),
        ("https://h/", "/call", "https://h/call"),
        ("https://h/base", "/call/?a=1&b=%20", "https://h/base/call/?a=1&b=%20"),
        ("https://h/base/", "/", "https://h/base/"),
        ("https://u:p@h:8443/base", "/call", "https://u:p@h:8443/base/call"),
        ("https://[::1]", "/call", "https://[::1]/call"),
        ("https://h", "http://internal:8000/call?a=1", "https://h/call?a=1"),
        ("https://h", "//evil.example/call", "https://h//evil.example/call"),
        ("https://h/base", "http://internal", "https://h/base"),
        ("https://h/base", "http://internal?a=1", "https://h/base?a=1"),
        ("wss://h", "/call", "https://h/call"),
        ("http://h", "/call", "http://h/call"),
        ("ws://h", "/call", "http://h/call"),
    ],
)
def test_the_public_address_of_a_request(public: str, target: str, expected: str) -> None:
    assert public_address(public, RequestHead(url=target), "https") == expected
    stream = expected.replace("http", "ws", 1)
    assert public_address(public, RequestHead(url=target), "wss") == stream


def test_the_host_headers_of_a_request_are_not_believed() -> None:
    request = RequestHead(
        url="http://evil.example/call",
        headers=(
            ("Host", "evil.example"),
            ("X-Forwarded-Host", "evil.example"),
            ("X-Forwarded-Proto", "http"),
            ("Forwarded", "host=evil.example;proto=http"),
        ),
    )
    assert public_address("https://h", request, "https") == "https://h/call"


@pytest.mark.parametrize(
    "target",
    ["", "*", "call", "h:443", "?a=1", "http://h#x", "/a#b", "/a b", "/\n", "/é", "/\ud800"],
    ids=ascii,
)
def test_a_request_for_nothing_is_the_peers_fault(target: str) -> None:
    with pytest.raises(RemoteProtocolError, match="no address"):
        public_address("https://h", RequestHead(url=target), "https")


@pytest.mark.parametrize("public", ["", "h", "//h", "ftp://h", "https://h?a=1", "https://h/#x", "https://"])
def test_a_public_address_that_is_none_is_a_mistake_of_the_host(public: str) -> None:
    with pytest.raises(ValueError, match=r"absolute|query|host"):
        public_address(public, RequestHead(url="/"), "https")


@UNHURRIED
@given(st.text(max_size=30))
def test_whatever_a_request_asks_for_the_public_host_stays(target: str) -> None:
    try:
        url = public_address("https://h/base", RequestHead(url=target), "https")
    except RemoteProtocolError:
        return
    assert url == "https://h/base" or url[: len("https://h/base") + 1] in (
        "https://h/base/",
        "https://h/base?",
    )


@pytest.mark.parametrize("url", ["https://h", "https://h:8443/x?y=1"])
def test_an_address_that_can_be_called(url: str) -> None:
    check_address(url, "https", "http")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("wss://h", "does not begin with https or http"),
        ("https://h/a b", "blank"),
        ("https://h/\n", "blank"),
        ("/x", "absolute"),
    ],
)
def test_an_address_that_cannot_be_called(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_address(url, "https", "http")
