"""The words of the protocol, for the dictionary of the engine and for mutations without it."""

from __future__ import annotations

from functools import cache

from flowstorm_channel.events import EVENTS, SPELLINGS
from flowstorm_channel.schema import Kind, Shape, members

__all__ = ["dictionary", "words"]

_BESIDES = (
    # pieces of JSON, msgpack, HTTP, SSML and of the platforms' messages
    *('{"', '":"', '","', '":', ',"', "[", "]", "{}", "[]", "null", "true", "false", "-0", "1e999", "NaN"),
    *("\\u0000", "\\ud800", "\\udfff", "\\uD83D\\uDE00", "\ufeff", "\r\n", "\n", "=", "==", "AAAA", "AA=="),
    *("18446744073709551615", "18446744073709551616", "-9223372036854775809", "9007199254740993", "1.5e-324"),
    *("twilio:", "connected", "start", "media", "dtmf", "mark", "stop", "streamSid", "customParameters"),
    *("mediaFormat", "payload", "inbound", "turn-1", "turn-2", "Sleeping", "callSid", "accountSid"),
    *("flowstorm-session-id", "Cookie", "Content-Type", "Content-Length", "Accept", "Authorization"),
    *("application/json", "application/msgpack", "text/plain", "audio/wav", "audio/mpeg", "audio/basic"),
    *("Bearer ", "realtime=1", "X-Key", "X-DeviceId", "key=", "deviceId=", "?", "&", "%00", "%F0%9F", "; "),
    *("request", "session", "context", "System", "application", "applicationId", "user", "userId", "device"),
    *("LaunchRequest", "IntentRequest", "SessionEndedRequest", "CanFulfillIntentRequest", "slots", "intent"),
    *("AMAZON.StopIntent", "AMAZON.HelpIntent", "Alexa.Presentation.APL.UserEvent", "supportedInterfaces"),
    *("Geolocation", "timestamp", "System.ExceptionEncountered", "attributes", "flowstorm", "apiAccessToken"),
    *("actions.intent.MAIN", "actions.intent.TEXT", "actions.intent.CANCEL", "actions.intent.NO_INPUT"),
    *("conversation", "conversationId", "conversationToken", "userStorage", "inputs", "rawInputs", "handler"),
    *("scene", "params", "typeOverrides", "languageCode", "home", "actions.handler.HEALTH_CHECK"),
    *(
        "<speak>",
        "</speak>",
        "<audio src='",
        "<break/>",
        "<p>",
        "</p>",
        "<s>",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
    ),
    *("&amp;", "&#13;", "&#x1F600;", "<?xml version='1.0'?>", "<!DOCTYPE", "amazon:effect", "…", "\u2029"),
    *("recording", "version", "channel", "$bytes", "$float", "$$", "nan", "at", "wire", "by", "told", "acts"),
    *("log", "entries", "startedDateTime", "_webSocketMessages", "postData", "content", "encoding", "base64"),
    *("RS256", "kid", "alg", "iss", "aud", "exp", "keys", "-----BEGIN CERTIFICATE-----", "HMAC_SHA256"),
)
_BYTES = (
    *(b"\x80", b"\x81", b"\xde\x00\x01", b"\xdf\x00\x00\x00\x01", b"\x90", b"\xdc\xff\xff", b"\xc0", b"\xc1"),
    *(b"\xc4\x01", b"\xc6\xff\xff\xff\xff", b"\xca\x7f\xc0\x00\x00", b"\xcb\x7f\xf8" + bytes(6), b"\xd4\x01"),
    *(b"\xd9\x05", b"\xdb\x00\x00\x00\x01", b"\xcf" + b"\xff" * 8, b"\xd3\x80" + bytes(7), b"\xa4type"),
)


@cache
def words() -> tuple[bytes, ...]:
    """All of them, each once, in a fixed order: names of events and members, values of enumerations."""
    found = dict.fromkeys(SPELLINGS)
    seen: set[type] = set()
    for cls in EVENTS.values():
        _collect(cls, found, seen)
    return tuple(dict.fromkeys((*(each.encode() for each in (*found, *_BESIDES)), *_BYTES)))


def _collect(cls: type, found: dict[str, None], seen: set[type]) -> None:
    if cls not in seen:
        seen.add(cls)
        for each in members(cls):
            found.update(dict.fromkeys((each.wire, *each.aliases, *map(str, each.shape.choices))))
            _collect_shape(each.shape, found, seen)


def _collect_shape(shape: Shape, found: dict[str, None], seen: set[type]) -> None:
    match shape.kind:
        case Kind.ENUM:
            found.update(dict.fromkeys(str(each.value) for each in shape.of))
        case Kind.OBJECT:
            _collect(shape.of, found, seen)
        case Kind.LIST:
            _collect_shape(shape.of, found, seen)
        case Kind.UNION:
            for cls in shape.of:
                _collect(cls, found, seen)


def dictionary() -> str:
    """The words as a dictionary file of libFuzzer."""
    return "".join(f'"{_escaped(each)}"\n' for each in words())


def _escaped(word: bytes) -> str:
    return "".join(
        chr(each) if 0x20 <= each < 0x7F and each not in b'"\\' else f"\\x{each:02x}" for each in word
    )
