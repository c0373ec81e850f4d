"""AsyncAPI 3.0 documents of the channels on WebSockets: Socket V1, and Media Streams of Twilio.

A document is one end's: what that end receives is described as it accepts it, what it sends as it sends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import attrs

from flowstorm_channel.events import EVENTS, SPELLINGS, BinaryEvent, Side, Version
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.schema import members
from flowstorm_channel.schemas.classes import summary
from flowstorm_channel.schemas.components import Components, draft_07
from flowstorm_channel.schemas.events import UNKNOWN, packed_binary
from flowstorm_channel.schemas.scalars import JsonSchema
from flowstorm_channel.socket_v1.frames import SUBPROTOCOL, SUBPROTOCOL_HEADER
from flowstorm_channel.twilio import frames

__all__ = ["ASYNCAPI_CHANNELS", "AsyncApiChannel", "asyncapi_document"]

AsyncApiChannel = Literal["socket-v1", "twilio"]
"""What there is a document of."""
ASYNCAPI_CHANNELS: tuple[AsyncApiChannel, ...] = get_args(AsyncApiChannel)

Tree = dict[str, Any]
Key = tuple[Side, str]
"""A message: who sends it, and its name."""

_JSON = "application/json"
_MSGPACK = "application/msgpack"
_BYTES = "application/octet-stream"


@attrs.frozen(kw_only=True)
class _Channel:
    """What goes over a WebSocket.

    Args:
        name: in the document.
        title: for people.
        text: for people.
        messages: all, by their keys.
        replies: names of the messages of the other end that answer one.
        headers: of the handshake.
    """

    name: str
    title: str
    text: str
    messages: Mapping[Key, Tree]
    replies: Mapping[Key, tuple[str, ...]] = attrs.field(factory=dict)
    headers: JsonSchema | None = None


@attrs.frozen(kw_only=True)
class _Service:
    """What a document is about.

    Args:
        info: of the document.
        url: where a server may be.
        security: schemes by name.
        channels: makes them, given where the schemas belong.
    """

    info: Tree
    url: str
    security: Tree
    channels: Callable[[Components], Iterator[_Channel]]


def asyncapi_document(
    channel: AsyncApiChannel,
    *,
    side: Side = Side.SERVER,
    url: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Tree:
    """The AsyncAPI document of one end of a channel.

    Args:
        channel: ``socket-v1`` or ``twilio``.
        side: whose document it is; the client of ``twilio`` is Twilio.
        url: where the server is; an example by default. Only host and path of it are told.
        limits: of what that end accepts.

    Raises:
        ValueError: there is no such channel, or the address is no WebSocket's.
    """
    service = _SERVICES.get(channel)
    if service is None:
        raise ValueError(f"{channel!r} has no AsyncAPI document; {', '.join(_SERVICES)} have")
    place = urlsplit(url or service.url)
    if place.scheme not in ("ws", "wss") or not place.netloc:
        raise ValueError(f"{url!r} is no address of a WebSocket")
    components = Components(side, limits)
    channels = list(service.channels(components))
    document = {
        "asyncapi": "3.0.0",
        "info": service.info,
        "defaultContentType": _JSON,
        "servers": {
            "server": {
                "host": place.netloc.rpartition("@")[2],
                "protocol": place.scheme,
                "security": [{"$ref": f"#/components/securitySchemes/{each}"} for each in service.security],
            }
        },
        "channels": {each.name: _channel(each, place.path or "/") for each in channels},
        "operations": {name: operation for each in channels for name, operation in _operations(each, side)},
        "components": {
            "messages": {
                _name(key, each): message for each in channels for key, message in each.messages.items()
            },
            "securitySchemes": service.security,
        },
    }
    complete: Tree = draft_07(components.complete(document))
    return complete


# ------------------------------------------------------------ channels


def _channel(channel: _Channel, path: str) -> Tree:
    binding: Tree = {"method": "GET", "bindingVersion": "0.1.0"}
    if channel.headers is not None:
        binding["headers"] = channel.headers
    names = (_name(key, channel) for key in channel.messages)
    return {
        "address": path,
        "title": channel.title,
        "description": channel.text,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"ws": binding},
    }


def _name(key: Key, channel: _Channel) -> str:
    """Such as ``clientInit``; the first channel of a document needs no name of its own in it."""
    sender, name = key
    return f"{sender.value}{'' if channel.name == 'json' else channel.name.capitalize()}{name}"


def _operations(channel: _Channel, side: Side) -> Iterator[tuple[str, Tree]]:
    """What an end does: it sends its messages, and receives those of the other end."""
    place = {"$ref": f"#/channels/{channel.name}"}

    def reference(*key: Any) -> Tree:
        return {"$ref": f"{place['$ref']}/messages/{_name(key, channel)}"}

    for (sender, name), message in channel.messages.items():
        action = "send" if sender is side else "receive"
        operation = {
            "action": action,
            "channel": place,
            "summary": message["summary"],
            "messages": [reference(sender, name)],
        }
        answers = channel.replies.get((sender, name))
        if answers:
            other = Side.SERVER if sender is Side.CLIENT else Side.CLIENT
            operation["reply"] = {
                "channel": place,
                "messages": [reference(other, each) for each in answers],
            }
        yield action + _name((sender, name), channel).removeprefix(sender.value), operation


def _message(name: str, text: str, payload: JsonSchema, content_type: str = _JSON) -> Tree:
    return {"name": name, "title": name, "summary": text, "contentType": content_type, "payload": payload}


# ------------------------------------------------------------ Socket V1

_V1_REPLIES: Mapping[Key, tuple[str, ...]] = {
    (Side.CLIENT, "Init"): ("Ready", "Error"),
    (Side.CLIENT, "InputAudioStreamOpen"): ("InputAudioStreamOpen", "Error"),
    (Side.CLIENT, "SessionEnded"): ("SessionEnded",),
    **dict.fromkeys(
        ((Side.CLIENT, "Input"), (Side.CLIENT, "Request")),
        ("SessionStarted", "ResponseItem", "Audio", "Response", "SessionEnded", "Error"),
    ),
}
_V1_FRAMES: tuple[tuple[str, str, JsonSchema], ...] = (
    ("Audio", "A block of audio: the client's speech, or a whole file of the server's.", {}),
    ("KeepAlive", "An empty frame: it proves the peer alive, and is not audio (D-15).", {"maxLength": 0}),
)


def _socket_v1(components: Components) -> Iterator[_Channel]:
    json = dict(_v1_events(components))
    for side in Side:
        for name, text, more in _V1_FRAMES:
            json[side, name] = _message(name, text, {**_ANY_BYTES, **more}, _BYTES)
    yield _Channel(
        name="json",
        title="Socket V1",
        text="A text frame is one event as JSON. A binary frame is a block of audio; empty, a keep-alive.",
        messages=json,
        replies=_V1_REPLIES,
    )
    packed = {key: {**message, "contentType": _MSGPACK} for key, message in json.items() if key[1] != "Audio"}
    for side in Side:
        packed[side, "Binary"] = _message("Binary", summary(BinaryEvent), packed_binary(), _MSGPACK)
        packed[side, "KeepAlive"] = json[side, "KeepAlive"]
    yield _Channel(
        name="msgpack",
        title="Socket V1 with msgpack",
        text="When both ends name the subprotocol, a binary frame is one event as a msgpack map with the "
        "same members; bytes are bin. An empty one is a keep-alive.",
        messages=packed,
        replies={
            key: tuple("Binary" if each == "Audio" else each for each in names)
            for key, names in _V1_REPLIES.items()
        },
        headers={
            "type": "object",
            "properties": {SUBPROTOCOL_HEADER: {"type": "string", "const": SUBPROTOCOL}},
            "required": [SUBPROTOCOL_HEADER],
        },
    )


_ANY_BYTES: JsonSchema = {"type": "string", "format": "binary"}


def _v1_events(components: Components) -> Iterator[tuple[Key, Tree]]:
    for side in Side:
        definitions = components.sent_by(side)
        for name, cls in EVENTS.items():
            # A JSON Binary is understood (D-59), and never sent.
            sent = cls is not BinaryEvent or definitions.accepted
            if sent and side in cls.SENT_BY and Version.V1 in cls.VERSIONS:
                yield (side, name), _message(name, summary(cls), definitions.of(cls))
        unknown = definitions.unknown(UNKNOWN, "type", SPELLINGS)
        yield (side, "Unknown"), _message("Unknown", "An event of a type that is not known.", unknown)


# ------------------------------------------------------------ Twilio

_FROM_TWILIO = get_args(frames.FromTwilio)
_TO_TWILIO = (frames.MediaFrame, frames.MarkFrame, frames.ClearFrame)


def _twilio(components: Components) -> Iterator[_Channel]:
    messages: dict[Key, Tree] = {}
    for side, classes in ((Side.CLIENT, _FROM_TWILIO), (Side.SERVER, _TO_TWILIO)):
        definitions = components.sent_by(side)
        for cls in classes:
            name = cls.__name__.removesuffix("Frame")
            messages[side, name] = _message(name, summary(cls), definitions.of(cls))
    events = [members(cls)[0].default for cls in _FROM_TWILIO]
    unknown = components.sent_by(Side.CLIENT).unknown("UnknownFrame", "event", events)
    messages[Side.CLIENT, "Unknown"] = _message("Unknown", "A frame that is not known.", unknown)
    yield _Channel(
        name="json",
        title="Media Streams",
        text="A text frame is one object as JSON, told apart by its `event`. Audio is raw μ-law, 8000 "
        "samples a second, as base64. A mark comes back when what was sent before it has been played, or "
        "cleared.",
        messages=messages,
        replies={(Side.SERVER, "Mark"): ("Mark",)},
    )


# ------------------------------------------------------------ what there is

_SERVICES: Mapping[str, _Service] = {
    "socket-v1": _Service(
        info={
            "title": "Flowstorm Socket V1",
            "version": "1.0.0",
            "description": "Conversations over a WebSocket. The client opens with Init and waits for Ready; "
            "then each input gets exactly one Response or Error, in order, with any number of ResponseItem "
            "and audio before it. Which message is legal when is in the tables of states. Types and members "
            "that are not known are passed over.",
        },
        url="ws://127.0.0.1:8000/socket",
        security={
            "token": {
                "type": "apiKey",
                "in": "password",
                "description": "The member `token` of Init, if the host wants one.",
            }
        },
        channels=_socket_v1,
    ),
    "twilio": _Service(
        info={
            "title": "Twilio Media Streams",
            "version": "1.0.0",
            "description": "Phone calls: Twilio connects to the server that its TwiML names. The custom "
            "parameters `appKey`, `deviceId` or `sender`, `token` and `locale` say who calls.",
        },
        url="wss://example.com/call",
        security={
            "signature": {
                "type": "httpApiKey",
                "in": "header",
                "name": "X-Twilio-Signature",
                "description": "Base64 of an HMAC of the address, by the account's token.",
            }
        },
        channels=_twilio,
    ),
}
