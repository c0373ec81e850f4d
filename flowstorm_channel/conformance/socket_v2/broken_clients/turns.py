"""Broken in what they say, show and interrupt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flowstorm_channel.conformance.socket_v2.broken_clients.base import fault
from flowstorm_channel.errors import LocalProtocolError
from flowstorm_channel.events import (
    Event,
    InputEvent,
    LogEvent,
    ResponseItemEvent,
)
from flowstorm_channel.socket_v2 import SocketV2Client
from flowstorm_channel.socket_v2.requests import Request
from flowstorm_channel.states import State
from flowstorm_channel.values import Response, Transcript
from flowstorm_channel.wire import END, End, Message

__all__: list[str] = []


@fault("never-ends-the-body")
class _NeverEndsTheBody(SocketV2Client):
    """Leaves the PUT of a text open, as if it were a WebSocket."""

    def _transmit(self, event: Event, message: Message) -> None:
        put = self._put_request
        if isinstance(event, InputEvent) and put is not None and put.writing:
            put.put(message)
        else:
            super()._transmit(event, message)

    def _begin_put(self, content: str, body: Iterable[bytes | End]) -> None:
        super()._begin_put(content, [each for each in body if each is not END])


@fault("sends-the-history")
class _SendsTheHistory(SocketV2Client):
    """Sends all that was said so far with every input, as one does with language models."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._history = b""

    def _encode(self, event: Event) -> bytes:
        if isinstance(event, InputEvent):
            self._history += super()._encode(event)
            return self._history
        return super()._encode(event)


@fault("writes-ascii")
class _WritesAscii(SocketV2Client):
    """Replaces all letters beyond ASCII by question marks."""

    def _encode(self, event: Event) -> bytes:
        if isinstance(event, InputEvent):
            text = event.input.transcript.text.encode("ascii", "replace").decode()
            event = InputEvent(input=event.input.replace(transcript=Transcript(text=text)))
        return super()._encode(event)


@fault("keeps-its-language")
class _KeepsItsLanguage(SocketV2Client):
    """Goes on in its own language when the dialogue changes to another."""

    def _on_response(self, response: Response) -> None:
        super()._on_response(response.replace(locale=None))


@fault("breaks-the-turn-for-logs")
class _BreaksTheTurnForLogs(SocketV2Client):
    """Has one PUT at a time: logs break off the one whose answer is awaited."""

    def _transmit(self, event: Event, message: Message) -> None:
        if isinstance(event, LogEvent):
            self._give_up_turn()
        super()._transmit(event, message)


@fault("plays-single-items-only")
class _PlaysSingleItemsOnly(SocketV2Client):
    """Takes the Response for a mere end mark: the items in it are not played."""

    def _on_response(self, response: Response) -> None:
        super()._on_response(response.replace(items=()))


@fault("ignores-single-items")
class _IgnoresSingleItems(SocketV2Client):
    """Knows items in Responses only."""

    def _on_part(self, event: Event, what: str, *, playable: bool) -> None:
        pass


@fault("plays-what-is-loaded-first")
class _PlaysWhatIsLoadedFirst(SocketV2Client):
    """Plays the items of a Response in the order in which their audio was loaded."""

    def _on_response(self, response: Response) -> None:
        super()._on_response(response.replace(items=response.items[::-1]))


@fault("plays-the-response-first")
class _PlaysTheResponseFirst(SocketV2Client):
    """Keeps single items until the Response has come, and plays its items before them."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._kept: list[Any] = []

    def _on_part(self, event: Event, what: str, *, playable: bool) -> None:  # noqa: ARG002
        assert isinstance(event, ResponseItemEvent)
        self._kept.append(event.response_item)

    def _on_response(self, response: Response) -> None:
        kept, self._kept = self._kept, []
        super()._on_response(response.replace(items=(*response.items, *kept)))


@fault("waits-for-the-end-of-nothing")
class _WaitsForTheEndOfNothing(SocketV2Client):
    """Has a player that hangs when there was nothing to play: what comes later stands behind that."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._hangs = False

    def _on_part(self, event: Event, what: str, *, playable: bool) -> None:
        if not self._hangs:
            super()._on_part(event, what, playable=playable)

    def _on_response(self, response: Response) -> None:
        self._hangs = self._hangs or not (response.items or self._unplayed)
        super()._on_response(response.replace(items=()) if self._hangs else response)


@fault("waits-for-the-whole-body")
class _WaitsForTheWholeBody(SocketV2Client):
    """Reads a response when it is complete, and not as it comes."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._bodies: dict[Request, bytes] = {}

    def _on_body(self, request: Request, data: bytes) -> None:
        if data:
            self._bodies[request] = self._bodies.get(request, b"") + data
        else:
            super()._on_body(request, data)

    def _on_end(self, request: Request) -> None:
        body = self._bodies.pop(request, None)
        if body is None:
            super()._on_end(request)
        else:
            self._enqueue((request, END), 0, again=True)
            super()._on_body(request, body)


@fault("waits-for-playback")
class _WaitsForPlayback(SocketV2Client):
    """Lets the user say nothing until the answer has been played, also when there is nothing to play."""

    def _qualified(self, what: str) -> str:
        return what if what == "< Response" else super()._qualified(what)

    def _say(self, event: Any) -> Any:
        if self.state in (State.PROCESSING, State.RESPONDING):
            raise LocalProtocolError("the answer is being played")
        return super()._say(event)


@fault("lets-the-answer-run")
class _LetsTheAnswerRun(SocketV2Client):
    """Does not break off the PUT whose answer is interrupted: it only looks away."""

    def _give_up_turn(self) -> None:
        self._put_request = self._get_request = None


@fault("mixes-answers")
class _MixesAnswers(SocketV2Client):
    """Does not break off the PUT whose answer is interrupted, and plays what else it brings."""

    def _give_up_turn(self) -> None:
        self._put_request = self._get_request = None

    def _take(self, event: Event) -> None:
        late = self._source is not self._put_request
        if late and isinstance(event, ResponseItemEvent):
            self._tell(event)
        else:
            super()._take(event)
