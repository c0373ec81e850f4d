"""What machines are made with, as plain values: written when a recording begins, read to make them again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from operator import attrgetter
from typing import Any, NamedTuple

import attrs

from flowstorm_channel.alexa import AlexaServer
from flowstorm_channel.alexa.answers import AlexaLimits
from flowstorm_channel.alexa.inputs import Intents
from flowstorm_channel.channel import Channel, Timeouts
from flowstorm_channel.codecs import from_json, to_json
from flowstorm_channel.errors import LocalProtocolError, RemoteProtocolError
from flowstorm_channel.google import GoogleAssistantServer
from flowstorm_channel.limits import Limits
from flowstorm_channel.sessions import Session, Sessions
from flowstorm_channel.socket_v1 import SocketV1Client, SocketV1Server
from flowstorm_channel.socket_v1.frames import offers_msgpack
from flowstorm_channel.socket_v2 import SocketV2Client, SocketV2Server
from flowstorm_channel.socket_v2.bodies import Form
from flowstorm_channel.trace.entries import End
from flowstorm_channel.trace.plain import of_plain
from flowstorm_channel.twilio import TwilioServer
from flowstorm_channel.values import ClientConfig, SttEncoding

__all__ = ["KINDS", "Kind", "kind_of", "options_of", "sessions_of", "settings_of", "tree_of_sessions"]


class _Option(NamedTuple):
    """One that a constructor takes."""

    read: Callable[[Any], Any]
    """Its value, from a machine."""
    to_tree: Callable[[Any], Any] = lambda value: value
    of_tree: Callable[[Any], Any] = lambda tree: tree


class Kind(NamedTuple):
    """A class of machines."""

    cls: type[Channel]
    channel: str
    end: End
    options: Mapping[str, _Option]
    asks: tuple[str, ...]
    """The questions that it asks the world; see `sources`."""
    host_writes: tuple[str, ...] = ()
    """Attributes that a host may change at any time, and the machine reads when it needs them."""
    shares: bool = False
    """Whether it is given `Sessions`, or None."""
    fixed: Mapping[str, Any] = {}
    """Options that are the same for every machine that is made again."""


def _flat(name: str, cls: Callable[..., Any]) -> _Option:
    """An option whose value has only plain members."""
    return _Option(attrgetter(name), attrs.asdict, lambda tree: cls(**tree))


def _plain(name: str) -> _Option:
    return _Option(attrgetter(name))


def _texts(name: str) -> _Option:
    """A collection of texts in which the order says nothing."""
    return _Option(
        attrgetter(name),
        lambda value: None if value is None else sorted(value),
        lambda tree: None if tree is None else frozenset(tree),
    )


def _headers(read: Callable[[Any], Any]) -> _Option:
    return _Option(
        read, lambda value: [list(pair) for pair in value], lambda tree: [tuple(pair) for pair in tree]
    )


def _given_headers(client: SocketV1Client) -> Any:
    """Those of the handshake that the host has named: the offer of msgpack comes behind them."""
    headers = client._head.headers
    return headers[:-1] if offers_msgpack(client._head) else headers


def _given_headers_of_v2(client: SocketV2Client) -> Any:
    """The token comes behind them."""
    return client._headers[:-1] if client.init.token else client._headers


_CHANNEL = {"limits": _flat("limits", Limits), "timeouts": _flat("timeouts", Timeouts)}
_SERVER = {**_CHANNEL, "queue_inputs": _plain("_queue_inputs")}
_CLIENT = {
    **_CHANNEL,
    "url": _plain("url"),
    "key": _plain("init.key"),
    "device_id": _plain("init.device_id"),
    "token": _plain("init.token"),
    "config": _Option(attrgetter("init.config"), to_json, lambda tree: from_json(ClientConfig, tree)),
    "attributes": _plain("attributes"),
    "session_id": _plain("session_id"),
    "auto_start": _plain("auto_start"),
    "auto_microphone": _plain("auto_microphone"),
    "pause_on_interrupt": _plain("pause_on_interrupt"),
}
_CLIENT_WRITES = ("attributes", "auto_start", "auto_microphone", "pause_on_interrupt", "session_id")
_INTENTS = _Option(
    attrgetter("_intents"),
    lambda value: {**attrs.asdict(value), "texts": dict(value.texts), "fulfils": sorted(value.fulfils)},
    lambda tree: Intents(**{**tree, "fulfils": frozenset(tree["fulfils"])}),
)

_ALL = (
    Kind(SocketV1Server, "socket-v1", "server", _SERVER, ("make_id",)),
    Kind(SocketV2Server, "socket-v2", "server", _SERVER, ("make_id",), ("session.data",), shares=True),
    Kind(
        AlexaServer,
        "alexa",
        "server",
        {
            **_SERVER,
            "skill_ids": _texts("_skill_ids"),
            "intents": _INTENTS,
            "base_url": _plain("_base_url"),
            "title": _plain("_title"),
            "reprompt": _plain("_reprompt"),
            "answer_limits": _flat("_answer_limits", AlexaLimits),
        },
        ("make_id", "now", "device_id", "certificates"),
        ("session.data", "attributes", "directives"),
        shares=True,
    ),
    Kind(
        GoogleAssistantServer,
        "google",
        "server",
        {
            **_SERVER,
            "project_ids": _texts("_project_ids"),
            "base_url": _plain("_base_url"),
            "reprompt": _plain("_reprompt"),
        },
        ("make_id", "now", "keys"),
        ("session.data",),
        shares=True,
    ),
    Kind(
        TwilioServer,
        "twilio",
        "server",
        {**_SERVER, "error_audio": _plain("_error_audio"), "silence_timeout": _plain("_silence_timeout")},
        ("make_id", "check"),
        fixed={"auth_token": None, "public_url": None},
    ),
    Kind(
        SocketV1Client,
        "socket-v1",
        "client",
        {
            **_CLIENT,
            "msgpack": _Option(lambda client: offers_msgpack(client._head)),
            "requests": _plain("_requests"),
            "headers": _headers(_given_headers),
        },
        ("make_id",),
        _CLIENT_WRITES,
    ),
    Kind(
        SocketV2Client,
        "socket-v2",
        "client",
        {
            **_CLIENT,
            "msgpack": _Option(lambda client: client._form is Form.MSGPACK),
            "stt_model": _plain("_settings.stt_model"),
            "stt_encoding": _Option(
                attrgetter("_settings.stt_encoding"), attrgetter("value"), lambda tree: SttEncoding(tree)
            ),
            "video_file": _plain("_settings.video_file"),
            "headers": _headers(_given_headers_of_v2),
        },
        ("make_id",),
        _CLIENT_WRITES,
    ),
)
KINDS: Mapping[str, Kind] = {kind.cls.__name__: kind for kind in _ALL}
"""By the names of their classes."""


def kind_of(channel: Channel) -> Kind:
    """The kind of a machine.

    Raises:
        TypeError: it is of none that is known.
    """
    for cls in type(channel).__mro__:
        if cls.__name__ in KINDS and KINDS[cls.__name__].cls is cls:
            return KINDS[cls.__name__]
    raise TypeError(f"{type(channel).__name__} cannot be recorded: it is no channel of this library")


def settings_of(channel: Channel, kind: Kind) -> dict[str, Any]:
    """What a machine that was just made was made with, as plain values."""
    return {name: option.to_tree(option.read(channel)) for name, option in kind.options.items()}


def options_of(kind: Kind, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments to make a machine with.

    Args:
        kind: of the machine.
        settings: from `settings_of`, perhaps of another release: what it does not name has its default.

    Raises:
        RemoteProtocolError: they are none.
    """
    try:
        return {
            name: option.of_tree(of_plain(settings[name]))
            for name, option in kind.options.items()
            if name in settings
        }
    except (TypeError, ValueError, KeyError, RemoteProtocolError) as error:
        raise RemoteProtocolError(f"the settings of a {kind.cls.__name__} cannot be read: {error}") from None


# ------------------------------------------------------------ what machines share


def tree_of_sessions(sessions: Sessions) -> dict[str, Any]:
    """What `Sessions` were made with, and those that are remembered there."""
    kept = []
    for session, until in sessions._kept.values():
        with suppress(LocalProtocolError):  # the host keeps in it what cannot be written
            kept.append([session.snapshot(), until - sessions._clock()])
    names = ("stored", "keep_for", "most", "most_waiting")
    return {**{name: getattr(sessions, name) for name in names}, "kept": kept}


def sessions_of(tree: Mapping[str, Any], clock: Callable[[], float]) -> Sessions:
    """The same again.

    Args:
        tree: from `tree_of_sessions`.
        clock: gives the time in seconds.

    Raises:
        RemoteProtocolError: they are none.
    """
    try:
        members = {**tree}
        kept = members.pop("kept")
        sessions = Sessions(clock=clock, **members)
        for snapshot, seconds in kept:
            sessions.keep(Session.restore(snapshot), seconds)
    except (TypeError, ValueError, KeyError, RemoteProtocolError) as error:
        raise RemoteProtocolError(f"what the machines share cannot be read: {error}") from None
    return sessions
