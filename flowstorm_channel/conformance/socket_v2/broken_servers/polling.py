"""V2 servers that go wrong with GETs and with several PUTs, of the kinds that real ones have been."""

from __future__ import annotations

from typing import Any

from flowstorm_channel.channel import Entry
from flowstorm_channel.conformance.socket_v2.broken_servers.faults import Faulty, Waits, fault, having
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.events import Event, RecognizedInputEvent, ResponseItemEvent
from flowstorm_channel.socket_v2.settings import COOKIE
from flowstorm_channel.values import Input, Request
from flowstorm_channel.wire import Close, CloseCode, RequestHead

__all__: list[str] = []


# ------------------------------------------------------------ GETs


@fault("lets-nameless-gets-wait")
class _NamelessGets(Faulty):
    """Lets a GET wait that names no session, for a PUT that can never be its."""

    def _asked(self, head: RequestHead) -> RequestHead:
        nameless = head.method == "GET" and head.header("Cookie") is None
        return having(head, "Cookie", f"{COOKIE}=nobody") if nameless else head


@fault("lets-late-gets-wait")
class _LateGetsWait(Waits):
    """Lets a GET that came too late wait for the next turn."""

    FOR, SECONDS = "late", 30.0


@fault("refuses-a-second-get")
class _RefusesSecondGet(Faulty):
    """Keeps to the first GET, which the client may have lost."""

    def _meet_put(self) -> None:
        meeting = self._sessions.meet(self._who(self._cookie or ""))
        if meeting.get is not None:
            self._refuse(409, "there is another GET")
        else:
            super()._meet_put()


@fault("gives-up-with-the-get")
class _GivesUpWithGet(Faulty):
    """Ends the turn when its GET is broken off."""

    def _transport_gone(self, end: Close) -> None:
        put = self._meeting.put if self._reads and self._meeting is not None else None
        super()._transport_gone(end)
        if put is not None:
            put._shut(CloseCode.HOST_FAILED, "", "lost")


@fault("does-not-notice-lost-requests")
class _NoticesNothing(Faulty):
    """Goes on listening to a client that has gone."""

    def receive_eof(self) -> None:
        if self._reads:
            super().receive_eof()


@fault("ends-the-session-of-a-lost-request")
class _EndsLost(Faulty):
    """Throws the session away when a request is broken off."""

    def _transport_gone(self, end: Close) -> None:
        if self._joined is not None and not self._answered:
            self._joined.ended = True
        super()._transport_gone(end)


@fault("lets-gets-wait-for-ten-seconds")
class _ShortWait(Waits):
    """Gives a GET up before the user has found the button."""

    FOR, SECONDS = "get", 10.0


@fault("sends-typed-text-to-the-get")
class _TypedToGet(Faulty):
    """Sends what was typed to the GET, as if it had been recognised."""

    def _on_input(self, what: str, said: Input, request: Request | None) -> None:
        get = None if self._meeting is None else self._meeting.get
        if get is not None:
            get._join_put()
            get._put(get._encode(RecognizedInputEvent(input=said, is_final=False)))
        super()._on_input(what, said, request)


@fault("sends-the-answer-to-the-get-too")
class _AnswerToGet(Faulty):
    """Sends the parts of the answer to the GET, too."""

    def _write(self, event: Event, turn: object = None) -> Entry | None:
        get = None if self._meeting is None else self._meeting.get
        if isinstance(event, ResponseItemEvent) and get is not None:
            get._put(get._encode(event))
        return super()._write(event, turn)


# ------------------------------------------------------------ two PUTs


@fault("gives-both-puts-up")
class _BothUp(Faulty):
    """Refuses the PUT that waited, and gives up the one it waited for as well."""

    def _timed_out(self, name: str) -> None:
        first = self._meeting.put if name == "second_put" and self._meeting is not None else None
        super()._timed_out(name)
        if first is not None:
            first._refuse(409, "there is another PUT")


@fault("refuses-a-second-put-at-once")
class _RefusesAtOnce(Waits):
    """Refuses a PUT as long as it has not noticed that the one before was given up."""

    FOR, SECONDS = "second_put", 0.01


@fault("lets-a-second-put-wait-for-ever")
class _WaitsForEver(Waits):
    """Lets a PUT wait until the one before it has come to its end."""

    FOR, SECONDS = "second_put", None


@fault("lets-all-puts-wait")
class _AllWait(Faulty):
    """Lets any number of PUTs of a session wait."""

    def _reject(self, status: int, problem: RemoteProtocolError | str) -> None:
        if problem != "another request of this session waits already":
            super()._reject(status, problem)


@fault("lets-a-new-put-end-the-stream")
class _NewPutWins(Faulty):
    """Throws away what is being said as soon as there is another PUT."""

    def _take_over(self, meeting: Any, other: Any) -> bool:
        if other._running is None:
            other._refuse(409, "there is another PUT")
        return super()._take_over(meeting, other)
