"""Broken at the microphone."""

from __future__ import annotations

import array
from collections.abc import Iterable
from typing import Any

from flowstorm_channel.channel import Timeouts
from flowstorm_channel.conformance.socket_v2.broken_clients.base import fault
from flowstorm_channel.events import (
    BinaryEvent,
    ErrorEvent,
    Event,
    InputAudioStreamCloseEvent,
    InputEvent,
    RecognizedInputEvent,
)
from flowstorm_channel.socket_v2 import SocketV2Client
from flowstorm_channel.socket_v2.requests import Request
from flowstorm_channel.states import State
from flowstorm_channel.wire import END, End, Message

__all__: list[str] = []


@fault("never-reads-results")
class _NeverReadsResults(SocketV2Client):
    """Sends no GET while the microphone is open, and so never hears that something was recognised."""

    def _begin_get(self) -> None:
        pass


@fault("reads-for-nobody")
class _ReadsForNobody(SocketV2Client):
    """Sends its GET without the cookie."""

    def _begin_get(self) -> None:
        self._get_request = self._begin("GET", None, None, (END,))


@fault("records-first")
class _RecordsFirst(SocketV2Client):
    """Collects what is spoken, and sends it when recognition is over."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._recorded: list[Event] = []

    def _transmit(self, event: Event, message: Message) -> None:
        if isinstance(event, BinaryEvent):
            self._recorded.append(event)
        else:
            super()._transmit(event, message)

    def _end_body(self) -> None:
        recorded, self._recorded = self._recorded, []
        for each in recorded:
            if self._put_request is not None:
                super()._transmit(each, self._encode(each))
        super()._end_body()


@fault("sends-a-put-for-each-block")
class _SendsAPutForEachBlock(SocketV2Client):
    """Cannot write a body while it is made, as browsers cannot, and so ends a PUT behind each block."""

    def _transmit(self, event: Event, message: Message) -> None:
        put = self._put_request
        assert isinstance(message, bytes)
        if not isinstance(event, BinaryEvent):
            super()._transmit(event, message)
        elif put is not None and put.writing:
            put.put(message)
            put.put(END)
        else:
            self._begin("PUT", "application/json", self.session_id, (message, END), logs=True)


@fault("swaps-bytes")
class _SwapsBytes(SocketV2Client):
    """Sends its samples with the high byte first."""

    def _encode(self, event: Event) -> bytes:
        if isinstance(event, BinaryEvent):
            samples = array.array("h", event.data)
            samples.byteswap()
            event = BinaryEvent(data=samples.tobytes())
        return super()._encode(event)


@fault("streams-a-recording")
class _StreamsARecording(SocketV2Client):
    """Streams what is spoken as audio/basic, and does not say that it is captured meanwhile."""

    def _begin_put(self, content: str, body: Iterable[bytes | End]) -> None:
        super()._begin_put(content if list(body) else "audio/basic", body)

    def _encode(self, event: Event) -> bytes:
        return event.data if isinstance(event, BinaryEvent) else super()._encode(event)


@fault("ignores-the-end-of-the-get")
class _IgnoresTheEndOfTheGet(SocketV2Client):
    """Reads interim results, and does not see that there will be no more of them."""

    def _on_end(self, request: Request) -> None:
        if request is self._get_request:
            request.complete()
        else:
            super()._on_end(request)


@fault("wants-an-interim-result")
class _WantsAnInterimResult(SocketV2Client):
    """Takes a 200 without interim results for a 204."""

    def _on_end(self, request: Request) -> None:
        if request is self._get_request and not request.received:
            request.status = 204
        super()._on_end(request)


@fault("stops-at-an-interim-result")
class _StopsAtAnInterimResult(SocketV2Client):
    """Ends the PUT at the first interim result."""

    def _on_interim_input(self, event: RecognizedInputEvent, request: Request) -> None:
        super()._on_interim_input(event, request)
        self._end_body()


@fault("takes-a-204-for-the-end")
class _TakesA204ForTheEnd(SocketV2Client):
    """Ends the PUT when a GET is answered with 204."""

    def _on_end(self, request: Request) -> None:
        if request is self._get_request:
            request.status = 200
        super()._on_end(request)


@fault("takes-a-loss-for-the-end")
class _TakesALossForTheEnd(SocketV2Client):
    """Ends the PUT when the connection of its GET is lost."""

    def _on_break(self, request: Request, code: int, reason: str) -> None:
        if request is self._get_request:
            request.status = 200
            self._on_end(request)
        else:
            super()._on_break(request, code, reason)


@fault("reads-once")
class _ReadsOnce(SocketV2Client):
    """Sends no other GET when one has brought nothing."""

    def _timed_out(self, name: str) -> None:
        if name != "get_again":
            super()._timed_out(name)


@fault("forgets-the-cookie-when-it-reads-again")
class _ForgetsTheCookieWhenItReadsAgain(SocketV2Client):
    """Repeats a GET without its cookie."""

    def _timed_out(self, name: str) -> None:
        if name == "get_again":
            self._get_request = self._begin("GET", None, None, (END,))
        else:
            super()._timed_out(name)


@fault("looks-away-when-it-reads-again")
class _LooksAwayWhenItReadsAgain(SocketV2Client):
    """Repeats a GET, and hears nothing of what that brings."""

    def _timed_out(self, name: str) -> None:
        if name == "get_again":
            self._begin("GET", None, self.session_id, (END,), logs=True)
        else:
            super()._timed_out(name)


@fault("reads-without-a-pause", timeouts=Timeouts(get_again=0.05))
class _ReadsWithoutAPause(SocketV2Client):
    """Repeats a GET as soon as the one before is over."""


@fault("reads-on")
class _ReadsOn(SocketV2Client):
    """Sends another GET when recognition is over, and so on until the answer has come."""

    def _on_end(self, request: Request) -> None:
        reads = request is self._get_request
        super()._on_end(request)
        if reads and self.state is State.PROCESSING:
            self._begin_get()


@fault("takes-the-result-for-the-answer")
class _TakesTheResultForTheAnswer(SocketV2Client):
    """Closes the PUT when the final result has come, and says that as text."""

    def _on_final_input(self, event: RecognizedInputEvent, request: Request) -> None:
        request.give_up()
        self._say(self._spoken(event.text))


@fault("never-closes-its-microphone")
class _NeverClosesItsMicrophone(SocketV2Client):
    """Leaves the body of the PUT open when the user closes the microphone."""

    def _transmit(self, event: Event, message: Message) -> None:
        if not isinstance(event, InputAudioStreamCloseEvent):
            super()._transmit(event, message)

    def _advance(self, what: str) -> None:
        if what == "> InputAudioStreamClose":
            self._move(what)
        else:
            super()._advance(what)


@fault("hears-no-keyboard")
class _HearsNoKeyboard(SocketV2Client):
    """Loses what is typed while the microphone is open."""

    def _transmit(self, event: Event, message: Message) -> None:
        put = self._put_request
        if not isinstance(event, InputEvent) or put is None or not put.writing:
            super()._transmit(event, message)


@fault("types-beside-the-microphone")
class _TypesBesideTheMicrophone(SocketV2Client):
    """Sends what is typed in a PUT beside that of the microphone, which goes on."""

    def _transmit(self, event: Event, message: Message) -> None:
        if isinstance(event, InputEvent):
            self._put_request = None
        super()._transmit(event, message)


@fault("takes-an-error-for-a-204")
class _TakesAnErrorForA204(SocketV2Client):
    """Repeats a GET that has brought Error, and goes on streaming."""

    def _take(self, event: Event) -> None:
        if isinstance(event, ErrorEvent) and self._source is self._get_request:
            assert self._source is not None
            self._source.status = 204
        else:
            super()._take(event)


@fault("ignores-errors-in-the-get")
class _IgnoresErrorsInTheGet(SocketV2Client):
    """Takes nothing but interim results out of a GET, and is deaf for its end."""

    def _take(self, event: Event) -> None:
        if not isinstance(event, ErrorEvent) or self._source is not self._get_request:
            super()._take(event)
