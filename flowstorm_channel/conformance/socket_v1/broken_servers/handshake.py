"""Servers that go wrong before the conversation begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flowstorm_channel.channel import Entry, Timeouts
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.reference import ReferenceHost
from flowstorm_channel.conformance.socket_v1.broken_servers.faults import BrokenServer, fault, inside, refuse
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.events import ErrorEvent, Event, InitEvent, InputEvent
from flowstorm_channel.server import ServerChannel
from flowstorm_channel.socket_v1 import SocketV1Server
from flowstorm_channel.states import State
from flowstorm_channel.wire import Close, CloseCode, Message, RequestHead, ResponseHead

__all__: list[str] = []


@fault("wants-no-slash")
class _WantsNoSlash(SocketV1Server):
    """Listens at `/socket`, and not at `/socket/`."""

    def _read(self, message: Message) -> None:
        if isinstance(message, RequestHead) and message.url.endswith("/"):
            self._put(ResponseHead(status=404))
            self._put(Close(CloseCode.ABNORMAL))
        else:
            super()._read(message)


@fault("chooses-a-subprotocol")
class _ChoosesASubprotocol(SocketV1Server):
    """Names a subprotocol in its handshake, offered or not."""

    def _put(self, message: Message, turn: object = None) -> Entry:
        if isinstance(message, ResponseHead) and not message.headers:
            message = ResponseHead(status=101, headers=(("Sec-WebSocket-Protocol", "flowstorm.v1"),))
        return super()._put(message, turn)


@fault("forgets-ready")
class _ForgetsReady(BrokenServer):
    """Takes an Init without a word."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        if frame["type"] != "Ready":
            yield frame


@fault("is-ready-at-once")
class _IsReadyAtOnce(SocketV1Server):
    """Says Ready as soon as the WebSocket is open, and again when Init has come."""

    def _read(self, message: Message) -> None:
        super()._read(message)
        if isinstance(message, RequestHead):
            self._put('{"type":"Ready"}')


@fault("announces-a-session-before-ready")
class _AnnouncesASessionBeforeReady(SocketV1Server):
    """Begins a session with every connection, and tells its id before Ready."""

    def ready(self) -> None:
        self._begin_session()
        super().ready()


@fault("knows-one-name-of-the-key")
class _KnowsOneNameOfTheKey(BrokenServer):
    """Takes `key` and `deviceId` in Init, and not `appKey` and `sender`."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("type") == "Init" and not {"key", "deviceId"} <= set(frame):
            refuse("key and deviceId are required")
        return frame


@fault("needs-no-key")
class _NeedsNoKey(BrokenServer):
    """Puts a default in the place of a key that is missing."""

    def heard(self, frame: Frame) -> Frame | None:
        return {"key": "default", **frame} if frame.get("type") == "Init" else frame


@fault("wants-all-settings")
class _WantsAllSettings(BrokenServer):
    """Takes no Init without a `config`, and no null in it."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("type") == "Init" and None in (inside(frame, "config") or {"config": None}).values():
            refuse("config is required")
        return frame


@fault("knows-one-sample-rate")
class _KnowsOneSampleRate(BrokenServer):
    """Refuses the sample rate of the Node client."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("type") == "Init" and inside(frame, "config").get("sttSampleRate") == 44100:
            refuse("sttSampleRate is 16000")
        return frame


@fault("wants-hyphens")
class _WantsHyphens(BrokenServer):
    """Understands locales only with a hyphen."""

    def heard(self, frame: Frame) -> Frame | None:
        if "_" in str(inside(frame, "config").get("locale")) + str(inside(frame, "input").get("locale")):
            refuse("no language tag")
        return frame


@fault("knows-only-named-zones")
class _KnowsOnlyNamedZones(BrokenServer):
    """Understands the names of zones, and no offsets."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("type") == "Init" and "+" in str(inside(frame, "config").get("zoneId")):
            refuse("no such zone")
        return frame


@fault("hangs-up-on-whom-it-refuses")
class _HangsUpOnWhomItRefuses(SocketV1Server):
    """Closes the connection without an Error when it refuses an Init."""

    def fail(self, text: str, **_: Any) -> None:
        self.close(CloseCode.NO_INIT, text)


@fault("waits-for-init-for-ever")
class _WaitsForInitForEver(SocketV1Server):
    """Leaves a connection open on which nobody introduces himself."""

    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw, timeouts=Timeouts(init=None))


@fault("gives-no-reason-for-hanging-up")
class _GivesNoReasonForHangingUp(SocketV1Server):
    """Closes a connection on which no Init comes as if all were well."""

    def _shut(self, code: int, reason: str, why: str) -> None:
        super()._shut(CloseCode.NORMAL if code == CloseCode.NO_INIT else code, reason, why)


@fault("passes-over-what-comes-before-init")
class _PassesOverWhatComesBeforeInit(SocketV1Server):
    """Answers nothing to an Input that comes before Init."""

    def _take(self, event: Event) -> None:
        if self._state is not State.OPEN or not isinstance(event, InputEvent):
            super()._take(event)


class _SlowHost(ReferenceHost):
    """Takes its time to look up a key."""

    def take(self, channel: ServerChannel, event: Event) -> None:
        if isinstance(event, InitEvent):
            self._steps.append((self._clock() + 0.2, lambda: super(_SlowHost, self).take(channel, event)))
        else:
            super().take(channel, event)


@fault("loses-what-comes-before-ready", _SlowHost)
class _LosesWhatComesBeforeReady(SocketV1Server):
    """Loses what comes while it looks up the key of an Init."""

    def receive_data(self, message: Message) -> None:
        if self._question is None:
            super().receive_data(message)


@fault("takes-empty-frames-for-faults")
class _TakesEmptyFramesForFaults(SocketV1Server):
    """Answers an empty binary frame with Error."""

    def _read(self, message: Message) -> None:
        if message == b"":
            self._fault(RemoteProtocolError("an empty message"))
        else:
            super()._read(message)


@fault("takes-one-init")
class _TakesOneInit(SocketV1Server):
    """Takes a second Init for a fault."""

    def _on_init(self, what: str, event: InitEvent) -> None:
        if self._state is State.OPEN:
            super()._on_init(what, event)
        else:
            self._fault(RemoteProtocolError("Init has come already"))


@fault("keeps-its-first-settings")
class _KeepsItsFirstSettings(SocketV1Server):
    """Says Ready to a second Init, and goes on with the settings of the first."""

    def ready(self) -> None:
        first = self.init
        super().ready()
        self._init = first or self._init


@fault("serves-whom-it-refuses")
class _ServesWhomItRefuses(SocketV1Server):
    """Refuses an Init with Error, and answers the client's inputs nevertheless."""

    def fail(self, text: str, **kw: Any) -> None:
        if self._state is State.OPEN and isinstance(self._question, InitEvent):
            self._write(ErrorEvent(text=text))
            self._init, self._question = self._question, None
            self._move("> Ready")
        else:
            super().fail(text, **kw)


@fault("needs-no-init")
class _NeedsNoInit(SocketV1Server):
    """Answers inputs of clients that have not introduced themselves."""

    def _take(self, event: Event) -> None:
        if self._state is State.OPEN and isinstance(event, InputEvent):
            self._init = InitEvent(key="anybody", device_id="anywhere")
            self._move("> Ready")
        super()._take(event)
