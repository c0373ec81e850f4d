"""Servers that go wrong in a turn, or when it is interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flowstorm_channel.conformance.frames import Frame, item, response
from flowstorm_channel.conformance.socket_v1.broken_servers.faults import BrokenServer, fault, inside
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.events import (
    BinaryEvent,
    ErrorEvent,
    Event,
    InputEvent,
    LogEvent,
    RecognizedInputEvent,
    ResponseEvent,
    ResponseItemEvent,
)
from flowstorm_channel.server import EMPTY, Turn
from flowstorm_channel.socket_v1 import SocketV1Server
from flowstorm_channel.values import Input, Request, Response

__all__: list[str] = []


@fault("answers-twice")
class _AnswersTwice(BrokenServer):
    """Closes each answer with a second, empty Response."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        yield frame
        if frame["type"] == "Response":
            yield response()


@fault("drops-interrupted-turns")
class _DropsInterruptedTurns(SocketV1Server):
    """Sends no Response to an input that was interrupted by the next one."""

    def _cut(self, reason: str, response: Response = EMPTY) -> bool:  # noqa: ARG002
        if self._running is not None:
            self._close_turn(self._running, reason)
        return False


@fault("leaks-interrupted-turns")
class _LeaksInterruptedTurns(SocketV1Server):
    """Closes an interrupted turn, and goes on to send its parts."""

    def _cut(self, reason: str, response: Response = EMPTY) -> bool:  # noqa: ARG002
        if self._running is None:
            return False
        self._running = None
        self._put_last(self._encode(ResponseEvent(response=self._outgoing(response))))
        return True


@fault("ends-interrupted-sessions")
class _EndsInterruptedSessions(SocketV1Server):
    """Says in the Response to an interrupted turn that the session has ended."""

    def _cut(self, reason: str, response: Response = EMPTY) -> bool:
        return super()._cut(reason, response.replace(session_ended=True))


@fault("tells-the-result-before-it-closes")
class _TellsTheResultBeforeItCloses(SocketV1Server):
    """Sends a final result before the Response that closes the turn it interrupts."""

    def _recognized(self, heard: Input, *, final: bool, reason: str = "recognized") -> None:
        if final and self._running is not None:
            self._write(RecognizedInputEvent(input=heard, is_final=True))
            self._cut(reason)
            self._advance("> Recognized final")
            self._tell(InputEvent(input=heard), self._new_turn(heard, None))
        else:
            super()._recognized(heard, final=final, reason=reason)


@fault("talks-on-after-an-error")
class _TalksOnAfterAnError(SocketV1Server):
    """Sends Error, and goes on with the turn."""

    def _break(self, what: str, reason: str, error: ErrorEvent) -> None:  # noqa: ARG002
        self._put(self._encode(error))
        self._advance(what)


@fault("says-nothing-for-nothing")
class _SaysNothingForNothing(SocketV1Server):
    """Sends no Response when the dialogue has nothing to say."""

    _said = 0

    def _respond(self, turn: Turn, event: ResponseItemEvent | ResponseEvent | BinaryEvent) -> None:
        if not isinstance(event, ResponseEvent):
            self._said = turn.number
        elif self._said != turn.number and not event.response.items:
            self._retire(turn)
            return
        super()._respond(turn, event)


@fault("has-items-only-singly")
class _HasItemsOnlySingly(BrokenServer):
    """Leaves the items out of the Response of clients that want none singly."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        if frame["type"] == "Response":
            frame["response"]["items"] = []
        yield frame


@fault("repeats-single-items")
class _RepeatsSingleItems(BrokenServer):
    """Sends the items singly, and all of them again with the Response."""

    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw)
        self._sent: list[Any] = []

    def said(self, frame: Frame) -> Iterator[Frame]:
        if frame["type"] == "ResponseItem":
            self._sent.append(frame["responseItem"])
        elif frame["type"] == "Response":
            frame["response"]["items"] = self._sent + frame["response"]["items"]
            self._sent = []
        yield frame


@fault("sends-all-items-singly")
class _SendsAllItemsSingly(BrokenServer):
    """Sends items singly to clients that do not know such events."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        if frame["type"] == "Response":
            for each in frame["response"]["items"]:
                yield {"type": "ResponseItem", "responseItem": each}
            frame["response"]["items"] = []
        yield frame


@fault("sends-images-without-text")
class _SendsImagesWithoutText(BrokenServer):
    """Leaves out the text of an item that is an image."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        held = inside(frame, "responseItem")
        if held.get("image"):
            held["text"] = None
        yield frame


@fault("sends-code-as-objects")
class _SendsCodeAsObjects(BrokenServer):
    """Sends the code of a command as an object, not as the text of one."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        held = inside(frame, "responseItem")
        if "code" in held:
            held["code"] = {"value": held["code"]}
        yield frame


@fault("sends-commands-with-their-words")
class _SendsCommandsWithTheirWords(BrokenServer):
    """Puts a command and the words behind it into one item."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        text = str(inside(frame, "responseItem").get("text"))
        yield item(f"{text} Louder.") if text.startswith("#") else frame


@fault("leaves-its-own-turns-open")
class _LeavesItsOwnTurnsOpen(SocketV1Server):
    """Sends no Response behind what it says of its own accord."""

    def _complete(self, turn: Turn, response: Response) -> None:
        if turn.input is None:
            self._retire(turn)
        else:
            super()._complete(turn, response)


@fault("speaks-the-language-of-init")
class _SpeaksTheLanguageOfInit(SocketV1Server):
    """Forgets the language that a Response has set."""

    def _spoken_locale(self) -> str:
        return self._config().locale


@fault("tells-typed-words")
class _TellsTypedWords(SocketV1Server):
    """Sends Recognized for words that were typed."""

    def _on_input(self, what: str, said: Input, request: Request | None) -> None:
        super()._on_input(what, said, request)
        self._write(RecognizedInputEvent(input=said, is_final=True))


@fault("streams-to-everybody")
class _StreamsToEverybody(BrokenServer):
    """Sends audio whether the client wants it or not."""

    def said(self, frame: Frame) -> Iterator[Frame | bytes]:
        yield frame
        if frame["type"] == "ResponseItem":
            yield b"ID3 audio"


@fault("forgets-to-speak")
class _ForgetsToSpeak(BrokenServer):
    """Sends no audio, and no addresses of it."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        inside(frame, "responseItem").pop("audio", None)
        yield frame

    def spoken(self, audio: bytes) -> Iterator[bytes]:  # noqa: ARG002
        yield from ()


@fault("cuts-audio-into-blocks")
class _CutsAudioIntoBlocks(BrokenServer):
    """Sends a file of audio in several frames."""

    def spoken(self, audio: bytes) -> Iterator[bytes]:
        half = len(audio) // 2
        yield audio[:half]
        yield audio[half:]


@fault("wants-a-session-for-logs")
class _WantsASessionForLogs(SocketV1Server):
    """Answers a Log with Error when the session is over."""

    def _take(self, event: Event) -> None:
        if isinstance(event, LogEvent) and self.session is None:
            self._fault(RemoteProtocolError("there is no session"))
        else:
            super()._take(event)
