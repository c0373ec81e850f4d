"""Servers that go wrong in reading or writing messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flowstorm_channel.channel import Entry
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.socket_v1.broken_servers.faults import (
    BrokenServer,
    fault,
    in_json,
    inside,
    refuse,
)
from flowstorm_channel.errors import LimitExceeded, RemoteProtocolError
from flowstorm_channel.events import BinaryEvent, Event
from flowstorm_channel.limits import Limits
from flowstorm_channel.socket_v1 import SocketV1Server
from flowstorm_channel.socket_v1.frames import Frames
from flowstorm_channel.states import State
from flowstorm_channel.wire import CloseCode, Message, RequestHead

__all__: list[str] = []

_KNOWN = frozenset(
    (
        *("Init", "Input", "Request", "SessionEnded", "Log"),
        *("InputAudioStreamOpen", "InputAudioStreamClose", "InputAudioStreamCancel"),
    )
)
_MEMBERS = frozenset(
    (
        *("type", "key", "appKey", "deviceId", "sender", "token", "config", "input", "request", "entries"),
        *("message", "sessionId", "turnId", "nodeId", "vote"),
    )
)


# ------------------------------------------------------------ what they read


@fault("fails-on-unknown-events")
class _FailsOnUnknownEvents(BrokenServer):
    """Answers events with Error that it does not know, votes among them."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("type") not in _KNOWN:
            refuse(f"there is no event {frame.get('type')}")
        return frame


@fault("fails-on-unknown-members")
class _FailsOnUnknownMembers(BrokenServer):
    """Answers events with Error that have members it does not know."""

    def heard(self, frame: Frame) -> Frame | None:
        if not set(frame) <= _MEMBERS:
            refuse("unknown members")
        return frame


@fault("knows-only-short-names")
class _KnowsOnlyShortNames(BrokenServer):
    """Passes over events whose type is spelled as in the documentation."""

    def heard(self, frame: Frame) -> Frame | None:
        return None if str(frame.get("type")).endswith("Event") else frame


@fault("passes-over-events-of-servers")
class _PassesOverEventsOfServers(BrokenServer):
    """Passes over what only a server may send, and what belongs to Socket V2."""

    def heard(self, frame: Frame) -> Frame | None:
        return None if frame.get("type") in ("Ready", "Response", "InputStreamClose") else frame


@fault("wants-the-type-first")
class _WantsTheTypeFirst(BrokenServer):
    """Reads events only when their type comes first."""

    def heard(self, frame: Frame) -> Frame | None:
        if next(iter(frame), "type") != "type":
            refuse("no type")
        return frame


@fault("takes-only-text-for-attributes")
class _TakesOnlyTextForAttributes(BrokenServer):
    """Answers an Input with Error that has an attribute which is no text."""

    def heard(self, frame: Frame) -> Frame | None:
        attributes = inside(inside(frame, "input"), "attributes")
        if not all(isinstance(each, str) for each in attributes.values()):
            refuse("an attribute is no text")
        return frame


@fault("wants-a-confidence")
class _WantsAConfidence(BrokenServer):
    """Answers an Input with Error whose transcript has no confidence."""

    def heard(self, frame: Frame) -> Frame | None:
        transcript = inside(inside(frame, "input"), "transcript")
        if transcript and "confidence" not in transcript:
            refuse("confidence is required")
        return frame


@fault("takes-null-for-a-value")
class _TakesNullForAValue(BrokenServer):
    """Answers an Input with Error that has a null in it."""

    def heard(self, frame: Frame) -> Frame | None:
        if None in inside(frame, "input").values():
            refuse("null")
        return frame


@fault("wants-one-form-of-time")
class _WantsOneFormOfTime(BrokenServer):
    """Answers a Log with Error whose times are no ISO 8601."""

    def heard(self, frame: Frame) -> Frame | None:
        entries = frame.get("entries")
        if isinstance(entries, list) and not isinstance(entries[0]["time"], str):
            refuse("no time")
        return frame


@fault("passes-over-what-it-does-not-understand")
class _PassesOverFaults(SocketV1Server):
    """Answers nothing to what is no event, or wrong in one."""

    def _fault(self, error: RemoteProtocolError) -> None:
        if self._state is State.OPEN:
            super()._fault(error)


@fault("hangs-up-on-faults")
class _HangsUpOnFaults(SocketV1Server):
    """Closes the connection after an Error of the client's."""

    def _fault(self, error: RemoteProtocolError) -> None:
        super()._fault(error)
        self.close(CloseCode.NO_INIT, "a fault")


@fault("takes-little")
class _TakesLittle(SocketV1Server):
    """Refuses messages of more than four kilobytes."""

    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw, limits=Limits(message_bytes=4096, audio_bytes=4096))


@fault("fails-at-its-limits")
class _FailsAtItsLimits(SocketV1Server):
    """Falls over messages that are too large or too deep: the connection breaks."""

    def _fault(self, error: RemoteProtocolError) -> None:
        if isinstance(error, LimitExceeded):
            self.close(CloseCode.HOST_FAILED, "internal error")
        else:
            super()._fault(error)


@fault("is-struck-dumb-by-its-limits")
class _IsStruckDumbByItsLimits(SocketV1Server):
    """Answers nothing to messages that are too large or too deep."""

    def _fault(self, error: RemoteProtocolError) -> None:
        if not isinstance(error, LimitExceeded):
            super()._fault(error)


# ------------------------------------------------------------ what they write


@fault("writes-hyphens")
class _WritesHyphens(BrokenServer):
    """Writes locales with a hyphen."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        if frame["type"] == "Response":
            frame["response"]["locale"] = frame["response"]["locale"].replace("_", "-")
        yield frame


@fault("leaves-out-what-is-empty")
class _LeavesOutWhatIsEmpty(BrokenServer):
    """Leaves out the members of a Response that are empty."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        if frame["type"] == "Response":
            frame["response"] = {name: value for name, value in frame["response"].items() if value}
        yield frame


@fault("writes-types-as-documented")
class _WritesTypesAsDocumented(BrokenServer):
    """Calls SessionStarted and SessionEnded what the documentation calls them."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        names = {"SessionStarted": "SessionStart", "SessionEnded": "SessionEnd"}
        yield {**frame, "type": names.get(frame["type"], frame["type"])}


@fault("has-no-text-for-errors")
class _HasNoTextForErrors(BrokenServer):
    """Sends Error with a code, and without a text."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        yield {"type": "Error", "code": 400} if frame["type"] == "Error" else frame


@fault("confirms-logs")
class _ConfirmsLogs(BrokenServer):
    """Sends every Log back."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("type") == "Log" and self._state is not State.OPEN:
            self._put('{"type":"Log","entries":[]}')
        return frame


@fault("writes-audio-in-json")
class _WritesAudioInJson(BrokenServer):
    """Sends audio as events in JSON, as on Socket V2."""

    def spoken(self, audio: bytes) -> Iterator[Frame]:
        yield in_json(audio)


# ------------------------------------------------------------ msgpack


@fault("never-agrees-to-msgpack")
class _NeverAgreesToMsgpack(SocketV1Server):
    """Claims to speak msgpack, and does not agree when it is offered."""

    def _read(self, message: Message) -> None:
        super()._read(RequestHead(url=message.url) if isinstance(message, RequestHead) else message)


@fault("agrees-to-msgpack-and-writes-json")
class _AgreesAndWritesJson(BrokenServer):
    """Agrees to msgpack, reads it, and writes JSON."""

    def _encode(self, event: Event) -> Message:
        return Frames(self.limits).write(event) if self.packs else super()._encode(event)

    def _put(self, message: Message, turn: object = None) -> Entry:
        return SocketV1Server._put(self, message, turn)


@fault("packs-less")
class _PacksLess(BrokenServer):
    """Leaves out empty members in msgpack, and not in JSON."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        if self.packs and frame["type"] == "Response":
            frame["response"] = {name: value for name, value in frame["response"].items() if value}
        yield frame


@fault("packs-audio-as-text")
class _PacksAudioAsText(BrokenServer):
    """Writes the audio in msgpack as base64."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        yield in_json(frame["data"]) if frame["type"] == "Binary" else frame


@fault("hears-no-packed-audio")
class _HearsNoPackedAudio(BrokenServer):
    """Passes over Binary events in msgpack."""

    def _on_binary(self, event: BinaryEvent) -> None:
        if not self.packs:
            super()._on_binary(event)
