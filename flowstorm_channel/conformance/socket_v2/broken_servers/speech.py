"""V2 servers that go wrong while the user speaks, of the kinds that real ones have been."""

from __future__ import annotations

import attrs

from flowstorm_channel.channel import Entry
from flowstorm_channel.conformance.socket_v2.broken_servers.faults import (
    OTHER,
    Faulty,
    Waits,
    fault,
    having,
    refuse_malformed,
    without,
)
from flowstorm_channel.events import BinaryEvent, Event, InputStreamCloseEvent, RecognizedInputEvent
from flowstorm_channel.states import Audio
from flowstorm_channel.wire import Close, CloseCode, Message, RequestHead, ResponseHead

__all__: list[str] = []


@fault("forgets-the-final-result")
class _NoFinal(Faulty):
    """Answers speech without saying what was recognised."""

    def _write(self, event: Event, turn: object = None) -> Entry | None:
        final = isinstance(event, RecognizedInputEvent) and event.is_final
        return None if final else super()._write(event, turn)


@fault("sends-interim-results-in-the-put")
class _InterimInPut(Faulty):
    """Sends all results in the PUT's response, where most clients do not read yet."""

    def _write(self, event: Event, turn: object = None) -> Entry | None:
        if isinstance(event, RecognizedInputEvent):
            return self._put(self._encode(event), turn)
        return super()._write(event, turn)


@fault("sends-the-final-result-to-the-get")
class _FinalToGet(Faulty):
    """Sends the final result in the GET, too."""

    def _write(self, event: Event, turn: object = None) -> Entry | None:
        get = None if self._meeting is None else self._meeting.get
        if isinstance(event, RecognizedInputEvent) and event.is_final and get is not None:
            get._put(get._encode(event))
        return super()._write(event, turn)


@fault("refuses-late-audio")
class _RefusesLateAudio(Faulty):
    """Takes audio behind the end of recognition for an error, though it was on its way."""

    def _on_binary(self, event: BinaryEvent) -> None:
        if self._said and self._audio is Audio.CLOSED:
            refuse_malformed(self, "nobody listens any more")
        else:
            super()._on_binary(event)


@fault("hangs-up-on-late-audio")
class _HangsUpOnLateAudio(Faulty):
    """Breaks the connection off on which audio comes behind the answer, and with it what was not read yet."""

    def receive_data(self, message: Message) -> None:
        super().receive_data(message)
        if isinstance(message, bytes) and self._answered and not self._finished:
            self._put(Close(CloseCode.ABNORMAL))
            self._finish(CloseCode.ABNORMAL, "")


@fault("leaves-the-get-open")
class _LeavesGetOpen(Faulty):
    """Lets the GET wait for the next utterance, so that the client never learns that it was heard."""

    def _release_get(self) -> None:
        """Nothing ends it."""


@fault("ends-gets-with-204")
class _EndsWith204(Faulty):
    """Ends a GET on which nothing came with 204, which says that there was no PUT."""

    def _end_get(self) -> None:
        self._status = 204
        self._conclude()


@fault("ends-gets-with-200")
class _EndsWith200(Faulty):
    """Ends a GET with 200, also when no PUT came."""

    def _answered_with(self, head: ResponseHead) -> ResponseHead:
        return attrs.evolve(head, status=200) if self._reads and head.status == 204 else head


@fault("refuses-early-gets")
class _RefusesEarly(Faulty):
    """Has nothing for a GET that is there before its PUT."""

    def _meet_put(self) -> None:
        super()._meet_put()
        if self._waits:
            self._refuse(404, "there is no such stream")


@fault("knows-sessions-only-when-they-have-begun")
class _KnowsOnlyBegun(Faulty):
    """Refuses a GET with the id of a session that has had no turn yet."""

    def _meet_put(self) -> None:
        if self._sessions.knows(self._cookie or ""):
            super()._meet_put()
        else:
            self._refuse(404, "there is no such session")


@fault("writes-results-in-json-only")
class _JsonOnly(Faulty):
    """Does not look at the Accept of a GET."""

    def _asked(self, head: RequestHead) -> RequestHead:
        return without(head, "Accept")


@fault("knows-no-recordings")
class _NoRecordings(Faulty):
    """Takes audio only as it is captured, not as a file."""

    def _asked(self, head: RequestHead) -> RequestHead:
        return having(head, "Content-Type", OTHER) if head.header("Content-Type") == "audio/wav" else head


@fault("ignores-the-language")
class _IgnoresLanguage(Faulty):
    """Does not look at Accept-Language."""

    def _asked(self, head: RequestHead) -> RequestHead:
        return without(head, "Accept-Language")


@fault("listens-for-ever")
class _ListensForEver(Waits):
    """Waits for speech as long as the client sends silence."""

    FOR, SECONDS = "silence", None


@fault("hears-silence-after-two-seconds")
class _Impatient(Waits):
    """Gives up before the user has drawn breath."""

    FOR, SECONDS = "silence", 2.0


@fault("takes-the-end-of-audio-for-the-end")
class _EndsWithAudio(Faulty):
    """Answers InputStreamClose, and reads nothing of the text behind it."""

    def _take(self, event: Event) -> None:
        super()._take(event)
        if isinstance(event, InputStreamCloseEvent):
            self._status = 204
            self._conclude()


@fault("makes-a-turn-of-a-closed-stream")
class _TurnOfNothing(Faulty):
    """Says #silence for a user who closed the microphone and said nothing."""

    def _on_end_of_body(self) -> None:
        if self._said and self._running is None and self._audio is Audio.CLOSED and not self._reads:
            self._refuse(500, "no input")
        else:
            super()._on_end_of_body()
