"""What hosts do with machines, as plain values: written by a recorder, done again in a replay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

import msgpack  # type: ignore[import-untyped]

from flowstorm_channel.channel import Channel
from flowstorm_channel.codecs import MsgpackCodec, from_json, to_json
from flowstorm_channel.errors import ChannelError, RemoteProtocolError
from flowstorm_channel.events import BinaryEvent, Event, LocalEvent, Need
from flowstorm_channel.sessions import LIMITS
from flowstorm_channel.trace.plain import of_plain, plain
from flowstorm_channel.values import Input

__all__ = ["ACTS", "arguments_of", "can_be_called", "perform", "tree_of_event"]

ACTS: Mapping[str, str] = {
    "turn.send": "_respond",
    "turn.fail": "_fail",
    "turn.interrupt": "_interrupt",
    "turn.finish_playback": "_played",
    "stream.ready": "_stream_ready",
    "stream.recognized": "_recognized",
    "stream.interrupt": "_barge_in",
    "stream.end_of_utterance": "_utterance_ended",
    **{
        name: name
        for name in (
            *("ready", "fail", "provide", "give_way", "begin", "rename_session", "close", "send"),
            *("open", "say", "open_microphone", "send_audio", "send_recording", "close_microphone"),
            *("interrupt", "pause", "resume"),
        )
    },
}
"""Which method of a machine stands behind what a host does. What is not here does one of these."""

_CODEC = MsgpackCodec(LIMITS)


def tree_of_event(event: Event) -> dict[str, Any]:
    """An event as plain values, with its ``type``; also those that never go over a wire."""
    if isinstance(event, BinaryEvent):
        return {"type": "Binary", "data": event.data}
    if isinstance(event, LocalEvent):
        members = {each.name: getattr(event, each.name) for each in type(event).__attrs_attrs__}  # type: ignore[attr-defined]
        if isinstance(members.get("error"), Exception):
            members["error"] = str(members["error"])
        return {"type": type(event).__name__.removesuffix("Event"), **members}
    try:
        tree: dict[str, Any] = msgpack.unpackb(_CODEC.encode(event))
    except (ChannelError, TypeError, ValueError) as error:
        return {"type": type(event).__name__.removesuffix("Event"), "unwritable": str(error)}
    return tree


def can_be_called(call: Callable[..., Any], arguments: tuple[Any, ...], more: Mapping[str, Any]) -> bool:
    """Whether it takes these arguments."""
    try:
        signature(call).bind(*arguments, **more)
    except TypeError:
        return False
    return True


def arguments_of(
    call: Callable[..., Any], arguments: tuple[Any, ...], more: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a call, by their names, as plain values."""
    bound = signature(call).bind(*arguments, **more).arguments
    return {name: _to_tree(name, value) for name, value in bound.items()}


def perform(channel: Channel, turns: Mapping[int, Any], name: str, arguments: Mapping[str, Any]) -> Any:
    """Do what a host did.

    Args:
        channel: the machine.
        turns: those that its host knew, by their numbers.
        name: of what it did.
        arguments: from `arguments_of`.

    Raises:
        RemoteProtocolError: it is nothing that a host does with such a machine.
        ChannelError: what the machine raises.
    """
    call = getattr(channel, ACTS.get(name, ""), None)
    if call is None:
        raise RemoteProtocolError(f"{name!r:.40} is nothing that is done with a {type(channel).__name__}")
    try:
        found = {key: _of_tree(channel, turns, key, value) for key, value in arguments.items()}
        signature(call).bind(**found)
    except (TypeError, ValueError, KeyError, OverflowError, RecursionError, ChannelError) as error:
        raise RemoteProtocolError(f"the arguments of {name} cannot be read: {error}") from None
    return call(**found)


def _to_tree(name: str, value: Any) -> Any:
    if isinstance(value, Event):
        return tree_of_event(value)
    if name == "turn":
        return value.number
    if isinstance(value, Input):
        return to_json(value)
    return int(value) if name == "code" else plain(value)


def _of_tree(channel: Any, turns: Mapping[int, Any], name: str, tree: Any) -> Any:
    match name:
        case "turn":
            return turns[tree]
        case "event":
            packed: Any = msgpack.packb(tree)
            return _CODEC.decode(packed)
        case "need":
            return channel._question if tree is not None else Need()
        case "heard":
            return from_json(Input, tree)
    return of_plain(tree)
