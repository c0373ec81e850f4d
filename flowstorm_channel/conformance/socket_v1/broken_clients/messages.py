"""Clients that send the wrong thing."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.socket_v1.broken_clients.base import BrokenClient, fault

__all__: list[str] = []

Out = Iterable[Frame | str | bytes]


@fault("forgets-init")
class _ForgetsInit(BrokenClient):
    """Opens the WebSocket and waits for Ready, without an Init."""

    def said(self, frame: Frame) -> Out:
        return () if frame["type"] == "Init" else (frame,)


@fault("talks-before-ready")
class _TalksBeforeReady(BrokenClient):
    """Says #intro right behind Init, without waiting for Ready."""

    def said(self, frame: Frame) -> Out:
        return (frame, frames.said("#intro")) if frame["type"] == "Init" else (frame,)


@fault("logs-before-init")
class _LogsBeforeInit(BrokenClient):
    """Sends its log first, and Init behind it."""

    def said(self, frame: Frame) -> Out:
        return (frames.log("connected"), frame) if frame["type"] == "Init" else (frame,)


@fault("leaves-out-the-config")
class _LeavesOutTheConfig(BrokenClient):
    """Sends Init without a config when it has nothing to configure."""

    def said(self, frame: Frame) -> Out:
        frame.pop("config", None)
        return (frame,)


@fault("leaves-out-attributes")
class _LeavesOutAttributes(BrokenClient):
    """Sends Request without attributes when there are none."""

    def said(self, frame: Frame) -> Out:
        frame.get("request", {}).pop("attributes", None)
        return (frame,)


@fault("spells-types-in-full")
class _SpellsTypesInFull(BrokenClient):
    """Sends InputEvent, LogEvent … as the classes are called."""

    def said(self, frame: Frame) -> Out:
        return ({**frame, "type": f"{frame['type']}Event"},)


@fault("sends-words-without-a-transcript")
class _SendsBareText(BrokenClient):
    """Sends the words themselves as the transcript, which is an object."""

    def said(self, frame: Frame) -> Out:
        if frame["type"] == "Input":
            return ({"type": "Input", "input": {"transcript": frames.text_of(frame)}},)
        return (frame,)


@fault("writes-locales-with-a-hyphen")
class _WritesLocalesWithAHyphen(BrokenClient):
    """Sends the browser's language as it is, such as en-US."""

    def said(self, frame: Frame) -> Out:
        for held in (frame.get("config"), frame.get("input")):
            if isinstance(held, dict) and isinstance(held.get("locale"), str):
                held["locale"] = held["locale"].replace("_", "-")
        return (frame,)


@fault("sends-audio-in-json")
class _SendsAudioInJson(BrokenClient):
    """Sends blocks of audio as base64 in JSON, as one does on Socket V2."""

    def spoken(self, audio: bytes) -> Iterable[Any]:
        return ({"type": "Binary", "data": base64.b64encode(audio).decode()},) if audio else (audio,)


@fault("closes-the-stream-as-on-v2")
class _ClosesAsOnV2(BrokenClient):
    """Sends InputStreamClose, Socket V2's word, where the stream ends."""

    def said(self, frame: Frame) -> Out:
        return ({"type": "InputStreamClose"},) if frame["type"] == "InputAudioStreamClose" else (frame,)


@fault("says-everything-twice")
class _SaysEverythingTwice(BrokenClient):
    """Sends an input again, since a button was pressed and a key, too."""

    def said(self, frame: Frame) -> Out:
        return (frame, frame) if frame["type"] == "Input" else (frame,)


@fault("types-in-ascii")
class _TypesInAscii(BrokenClient):
    """Sends a question mark for every letter beyond ASCII."""

    def said(self, frame: Frame) -> Out:
        if frame["type"] == "Input":
            frame["input"]["transcript"]["text"] = frames.text_of(frame).encode("ascii", "replace").decode()
        return (frame,)


@fault("keeps-its-log")
class _KeepsItsLog(BrokenClient):
    """Writes its log to its own console only."""

    def said(self, frame: Frame) -> Out:
        return () if frame["type"] == "Log" else (frame,)


@fault("logs-nothing")
class _LogsNothing(BrokenClient):
    """Sends Log without its entries."""

    def said(self, frame: Frame) -> Out:
        return ({**frame, "entries": []},) if frame["type"] == "Log" else (frame,)


@fault("keeps-votes")
class _KeepsVotes(BrokenClient):
    """Thanks for a vote, and does not send it."""

    def said(self, frame: Frame) -> Out:
        return () if frame["type"] == "Vote" else (frame,)


@fault("does-not-tell-the-end")
class _DoesNotTellTheEnd(BrokenClient):
    """Ends the session for itself, without SessionEnded."""

    def said(self, frame: Frame) -> Out:
        return () if frame["type"] == "SessionEnded" else (frame,)
