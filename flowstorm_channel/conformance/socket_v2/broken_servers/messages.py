"""V2 servers whose events are not what they should be, of the kinds that real ones have been."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

from flowstorm_channel.conformance.frames import Frame, started
from flowstorm_channel.conformance.socket_v2.broken_servers.faults import Faulty, fault, having
from flowstorm_channel.socket_v2 import bodies
from flowstorm_channel.socket_v2.bodies import Form
from flowstorm_channel.wire import END, Message, RequestHead, ResponseHead

__all__: list[str] = []


class _Says(Faulty):
    """What says other events in JSON."""

    def _given(self, message: Message) -> Iterable[Message]:
        if isinstance(message, bytes) and self._form is Form.JSON:
            return (self._line(each) for each in self._instead(json.loads(message)))
        return super()._given(message)

    @staticmethod
    def _line(frame: Frame) -> bytes:
        return json.dumps(frame).encode() + b"\n"

    @abstractmethod
    def _instead(self, frame: Frame) -> Iterable[Frame]:
        """What it says in the place of an event."""


@fault("sends-results-as-text")
class _ResultsAsText(_Says):
    """Sends a RecognizedInput with a text instead of an input, as Recognized is on V1."""

    def _instead(self, frame: Frame) -> Iterable[Frame]:
        if frame["type"] == "RecognizedInput":
            frame = {"type": "RecognizedInput", "text": "spoken", "isFinal": frame["isFinal"]}
        return (frame,)


@fault("sends-long-names")
class _LongNames(_Says):
    """Sends events under the names of the documentation, such as ResponseEvent."""

    def _instead(self, frame: Frame) -> Iterable[Frame]:
        return ({**frame, "type": f"{frame['type']}Event"},)


@fault("sends-locales-with-a-hyphen")
class _Hyphen(_Says):
    """Sends a Response whose language is spelled as in HTTP."""

    def _instead(self, frame: Frame) -> Iterable[Frame]:
        if frame["type"] == "Response":
            frame["response"]["locale"] = "en-US"
        return (frame,)


@fault("leaves-out-logs")
class _NoLogs(_Says):
    """Sends null where a Response has no logs."""

    def _instead(self, frame: Frame) -> Iterable[Frame]:
        if frame["type"] == "Response":
            frame["response"]["logs"] = None
        return (frame,)


@fault("sends-items-without-a-text")
class _NoText(_Says):
    """Sends null as the text of an item that is to be seen."""

    def _instead(self, frame: Frame) -> Iterable[Frame]:
        if frame.get("responseItem", {}).get("video"):
            frame["responseItem"]["text"] = None
        return (frame,)


@fault("sends-events-of-v1")
class _SaysV1(_Says):
    """Sends the SessionStarted of V1 before the Response."""

    def _instead(self, frame: Frame) -> Iterable[Frame]:
        return (started("a-session"), frame) if frame["type"] == "Response" else (frame,)


@fault("ends-without-a-response")
class _NoResponse(_Says):
    """Ends the body behind the last item, and sends no Response."""

    def _instead(self, frame: Frame) -> Iterable[Frame]:
        return () if frame["type"] == "Response" else (frame,)


@fault("sends-the-result-twice")
class _ResultTwice(_Says):
    """Sends the final result when it is there, and once more with the Response."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._result: tuple[Frame, ...] = ()

    def _instead(self, frame: Frame) -> Iterable[Frame]:
        if frame["type"] == "RecognizedInput":
            self._result = (frame,)
        return (*self._result, frame) if frame["type"] == "Response" else (frame,)


@fault("recognises-what-was-typed")
class _RecognisesTyped(_Says):
    """Sends what was typed back as recognised."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._began = False

    def _instead(self, frame: Frame) -> Iterable[Frame]:
        result = {"type": "RecognizedInput", "input": {"transcript": {"text": "typed"}}, "isFinal": True}
        first, self._began = not self._began, True
        return (result, frame) if first and self._typed and frame["type"] == "ResponseItem" else (frame,)


@fault("puts-the-dot-first")
class _DotFirst(Faulty):
    """Says in text that the session has ended before it says goodbye."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._held: list[bytes] = []

    def _given(self, message: Message) -> Iterable[Message]:
        if isinstance(message, bytes) and self._form is Form.TEXT:
            self._held.append(message)
            return ()
        if message is END:
            return (*sorted(self._held, key=lambda each: each != b".\n"), END)
        return super()._given(message)


@fault("answers-nameless-gets")
class _AnswersNameless(Faulty):
    """Answers a GET without a cookie as if its PUT had not come."""

    def _given(self, message: Message) -> Iterable[Message]:
        if self.head is None or self.head.method != "GET" or self._cookie is not None or message is END:
            return super()._given(message)
        return () if isinstance(message, bytes) else (ResponseHead(status=204),)


@fault("takes-anything-for-text")
class _AnythingIsText(Faulty):
    """Takes a body of an unknown type for what the user says."""

    def _asked(self, head: RequestHead) -> RequestHead:
        found = bodies.media_type_of(head.header("Content-Type"))
        known = not found or bodies.body_form(found) is not None or bodies.is_audio(found)
        return head if known else having(head, "Content-Type", "text/plain")


@fault("writes-a-body-behind-204")
class _BodyBehind204(Faulty):
    """Writes something for people into the body of a 204."""

    def _given(self, message: Message) -> Iterable[Message]:
        yield from super()._given(message)
        if isinstance(message, ResponseHead) and message.status == 204:
            yield b"OK\n"
