"""V2 servers whose answers are not what they should be, of the kinds that real ones have been."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from flowstorm_channel.conformance.socket_v2.broken_servers.faults import (
    Faulty,
    fault,
    having,
    query_of,
    with_query,
)
from flowstorm_channel.events import Event, ResponseEvent, ResponseItemEvent
from flowstorm_channel.server import Turn
from flowstorm_channel.socket_v2.bodies import Form
from flowstorm_channel.values import ResponseItem
from flowstorm_channel.wire import END, Close, Message, RequestHead, ResponseHead

__all__: list[str] = []


# ------------------------------------------------------------ turns


@fault("leaves-the-body-open")
class _LeavesOpen(Faulty):
    """Writes the Response, and forgets to end the body."""

    def _given(self, message: Message) -> Iterable[Message]:
        return () if message is END and self._status == 200 else super()._given(message)


@fault("sends-items-twice")
class _ItemsTwice(Faulty):
    """Sends items one by one, and all of them again in the Response."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._shown: list[ResponseItem] = []

    def _encode(self, event: Event) -> bytes:
        if isinstance(event, ResponseItemEvent):
            self._shown.append(event.response_item)
        elif isinstance(event, ResponseEvent):
            items = (*self._shown, *event.response.items)
            event = ResponseEvent(response=event.response.replace(items=items))
        return super()._encode(event)


class _SendsItems(Faulty):
    SINGLY: ClassVar[str]

    def _asked(self, head: RequestHead) -> RequestHead:
        query = (pair for pair in query_of(head) if pair[0] != "sendResponseItems")
        return having(with_query(head, query), "X-SendResponseItems", self.SINGLY)


@fault("always-sends-items-singly")
class _AlwaysSingly(_SendsItems):
    """Sends items one by one to everybody."""

    SINGLY = "true"


@fault("never-sends-items-singly")
class _NeverSingly(_SendsItems):
    """Sends all items in the Response, as it did before there was anything else."""

    SINGLY = "false"


@fault("buffers-its-answers")
class _Buffers(Faulty):
    """Stands behind something that hands an answer on when it is complete."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._held: list[Message] = []

    def _given(self, message: Message) -> Iterable[Message]:
        self._held.append(message)
        return self._held if message is END or isinstance(message, Close) else ()


@fault("writes-json-on-many-lines")
class _Pretty(Faulty):
    """Writes JSON so that people can read it."""

    def _given(self, message: Message) -> Iterable[Message]:
        if isinstance(message, bytes) and self._form is Form.JSON:
            return (json.dumps(json.loads(message), indent=2).encode() + b"\n",)
        return super()._given(message)


@fault("writes-json-without-line-ends")
class _NoLines(Faulty):
    """Writes one event behind the other with nothing between them."""

    def _given(self, message: Message) -> Iterable[Message]:
        if isinstance(message, bytes) and self._form is Form.JSON:
            return (message.rstrip(),)
        return super()._given(message)


@fault("fails-with-500")
class _FailsWith500(Faulty):
    """Answers with 500 when the dialogue fails."""

    def _fail(self, turn: Turn, text: str) -> None:  # noqa: ARG002
        self._refuse(500, text)


@fault("says-nothing-when-the-dialogue-fails")
class _FailsSilently(Faulty):
    """Ends the body when the dialogue fails, with nothing in it."""

    def _fail(self, turn: Turn, text: str) -> None:
        super()._fail(turn, text)
        self._discard_output()
        self._put(END)


# ------------------------------------------------------------ lines of text


class _Rewrites(Faulty):
    """What changes lines of text."""

    def _given(self, message: Message) -> Iterable[Message]:
        if not isinstance(message, bytes) or self._form is not Form.TEXT:
            return super()._given(message)
        kept = b"".join(map(self._line, message.splitlines(keepends=True)))
        return (kept,) if kept else ()

    @abstractmethod
    def _line(self, line: bytes) -> bytes:
        """What it says in the place of a line."""


@fault("answers-with-bare-text")
class _BareText(_Rewrites):
    """Answers a text with nothing but the words."""

    def _line(self, line: bytes) -> bytes:
        return line.removeprefix(b"< ")


@fault("marks-speech-as-results")
class _WrongMark(_Rewrites):
    """Marks in text what it says as if it were something that it has recognised."""

    def _line(self, line: bytes) -> bytes:
        return b"~" + line[1:] if line.startswith(b"< ") else line


@fault("names-no-charset")
class _NoCharset(Faulty):
    """Sends text without saying how it is encoded."""

    def _answered_with(self, head: ResponseHead) -> ResponseHead:
        return having(head, "Content-Type", (head.header("Content-Type") or "").split(";")[0])


@fault("forgets-the-dot")
class _NoDot(_Rewrites):
    """Does not say in text that the session has ended."""

    def _line(self, line: bytes) -> bytes:
        return b"" if line == b".\n" else line


@fault("leaves-properties-out-of-text")
class _NoProperties(_Rewrites):
    """Sends of an item to clients of text only what can be read aloud."""

    def _line(self, line: bytes) -> bytes:
        return b"" if line.startswith(b"#") else line
