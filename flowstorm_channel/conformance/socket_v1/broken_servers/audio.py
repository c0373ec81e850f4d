"""Servers that go wrong with what they hear."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from flowstorm_channel.channel import Rules
from flowstorm_channel.conformance.frames import OPEN, Frame
from flowstorm_channel.conformance.socket_v1.broken_servers.faults import BrokenServer, fault
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.events import (
    BinaryEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    RecognizedInputEvent,
)
from flowstorm_channel.socket_v1 import SocketV1Server
from flowstorm_channel.states import SERVER, SERVER_AUDIO, SERVER_DEADLINES, SERVER_DUPLEX_AUDIO, Audio
from flowstorm_channel.values import SILENCE, Input

__all__: list[str] = []


@fault("never-acknowledges")
class _NeverAcknowledges(BrokenServer):
    """Opens the stream, and does not say so."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        if frame != OPEN:
            yield frame


@fault("acknowledges-every-time")
class _AcknowledgesEveryTime(SocketV1Server):
    """Acknowledges a stream again that is open."""

    def _on_stream_open(self, what: str, event: InputAudioStreamOpenEvent) -> None:
        if self._audio is Audio.OPEN:
            self._write(InputAudioStreamOpenEvent())
        super()._on_stream_open(what, event)


@fault("opens-the-microphone-itself")
class _OpensTheMicrophoneItself(BrokenServer):
    """Sends InputAudioStreamOpen after each answer, though nobody has asked."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        yield frame
        if frame["type"] == "Response":
            yield OPEN


@fault("names-the-session-in-its-acknowledgement")
class _NamesTheSession(BrokenServer):
    """Sends the id of the session with InputAudioStreamOpen."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        yield {**frame, "sessionId": self.session_id} if frame == OPEN and self.session_id else frame


@fault("wants-a-bare-event-for-the-microphone")
class _WantsABareEvent(BrokenServer):
    """Passes over an InputAudioStreamOpen with members that only the browser sends."""

    def heard(self, frame: Frame) -> Frame | None:
        return None if frame.get("type") == "InputAudioStreamOpen" and "message" in frame else frame


@fault("opens-once")
class _OpensOnce(BrokenServer):
    """Takes the microphone for open from the first time on."""

    _opened = False

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("type") == "InputAudioStreamOpen":
            known, self._opened = self._opened, True
            return None if known else frame
        return frame


@fault("hears-once")
class _HearsOnce(SocketV1Server):
    """Acknowledges the microphone again after a final result, and recognises nothing more."""

    _deaf = False

    def _on_binary(self, event: BinaryEvent) -> None:
        if not self._deaf:
            super()._on_binary(event)

    def _recognized(self, heard: Input, *, final: bool, reason: str = "recognized") -> None:
        super()._recognized(heard, final=final, reason=reason)
        self._deaf = self._deaf or (final and self._audio is Audio.CLOSED)


@fault("listens-on")
class _ListensOn(SocketV1Server):
    """Leaves the stream open after a final result, and after typed words."""

    RULES = Rules(SERVER, SERVER_DUPLEX_AUDIO, SERVER_DEADLINES)


@fault("closes-the-microphone-when-it-speaks")
class _ClosesTheMicrophoneWhenItSpeaks(SocketV1Server):
    """Closes the stream when it begins a turn by itself."""

    RULES = Rules(
        SERVER,
        {audio: {**row, "> ResponseItem": Audio.CLOSED} for audio, row in SERVER_AUDIO.items()},
        SERVER_DEADLINES,
    )


@fault("knows-no-duplex")
class _KnowsNoDuplex(SocketV1Server):
    """Closes a Duplex stream after a final result."""

    DUPLEX_RULES = Rules(SERVER, SERVER_AUDIO, SERVER_DEADLINES)


@fault("fails-on-audio-that-comes-late")
class _FailsOnLateAudio(SocketV1Server):
    """Answers audio with Error when the microphone is closed."""

    def _on_binary(self, event: BinaryEvent) -> None:
        if event.data and self._audio is not Audio.OPEN:
            self._fault(RemoteProtocolError("the microphone is closed"))
        else:
            super()._on_binary(event)


@fault("forgets-spoken-words")
class _ForgetsSpokenWords(SocketV1Server):
    """Tells what it has recognised, and does not answer it."""

    def _recognized(self, heard: Input, *, final: bool, reason: str = "recognized") -> None:
        super()._recognized(heard, final=final, reason=reason)
        if final:
            self._told.clear()


@fault("tells-results-late")
class _TellsResultsLate(BrokenServer):
    """Sends a final result behind the first part of the answer to it."""

    _held: Frame | None = None

    def said(self, frame: Frame) -> Iterator[Frame]:
        if frame["type"] == "Recognized" and frame["isFinal"]:
            self._held = frame
            return
        yield frame
        if self._held is not None:
            yield self._held
        self._held = None


@fault("tells-everybody-interim-results")
class _TellsEverybodyInterimResults(SocketV1Server):
    """Sends interim results to clients that do not know them."""

    def _recognized(self, heard: Input, *, final: bool, reason: str = "recognized") -> None:
        if not final and not self._config().stt_interim_results:
            self._write(RecognizedInputEvent(input=heard, is_final=False))
        super()._recognized(heard, final=final, reason=reason)


@fault("leaves-out-is-final")
class _LeavesOutIsFinal(BrokenServer):
    """Leaves out isFinal where it is true, which is its default."""

    def said(self, frame: Frame) -> Iterator[Frame]:
        if frame.get("isFinal") is True:
            del frame["isFinal"]
        yield frame


@fault("knows-no-close")
class _KnowsNoClose(BrokenServer):
    """Passes over InputAudioStreamClose and InputAudioStreamCancel."""

    def heard(self, frame: Frame) -> Frame | None:
        ends = ("InputAudioStreamClose", "InputAudioStreamCancel")
        return None if frame.get("type") in ends else frame


@fault("tells-what-it-has-when-it-is-cancelled")
class _TellsWhatItHas(BrokenServer):
    """Sends what it has recognised so far when the client closes or cancels the stream."""

    def heard(self, frame: Frame) -> Frame | None:
        ends = ("InputAudioStreamClose", "InputAudioStreamCancel")
        if frame.get("type") in ends and self._audio is Audio.OPEN:
            self._recognized(self._input("spo", self._stream_config()), final=False)
        return frame


@fault("never-notices-silence")
class _NeverNoticesSilence(SocketV1Server):
    """Waits for words as long as the microphone is open."""

    def _limit(self, name: str) -> float | None:
        return None if name == "silence" else super()._limit(name)


@fault("is-impatient")
class _IsImpatient(SocketV1Server):
    """Takes half a silenceTimeout for silence."""

    def _limit(self, name: str) -> float | None:
        limit = super()._limit(name)
        return limit / 2 if name == "silence" and limit is not None else limit


@fault("takes-audio-for-speech")
class _TakesAudioForSpeech(SocketV1Server):
    """Times silence anew with every block of audio, however quiet."""

    def _on_binary(self, event: BinaryEvent) -> None:
        super()._on_binary(event)
        self._start("> Recognized interim")


@fault("times-silence-always")
class _TimesSilenceAlways(SocketV1Server):
    """Takes a silenceTimeout of 0 for one that is not there."""

    def _limit(self, name: str) -> float | None:
        limit = super()._limit(name)
        return 5.0 if name == "silence" and limit == 0 else limit


@fault("notices-silence-of-who-types")
class _NoticesSilenceOfWhoTypes(SocketV1Server):
    """Times silence after every answer, though the microphone is closed."""

    RULES = Rules(
        SERVER,
        SERVER_AUDIO,
        tuple(
            attrs.evolve(each, audio=frozenset()) if each.name == "silence" else each
            for each in SERVER_DEADLINES
        ),
    )

    def _timed_out(self, name: str) -> None:
        if name == "silence" and self._audio is not Audio.OPEN:
            heard = self._input(SILENCE, self._config())
            self._begin_session()
            self._write(RecognizedInputEvent(input=heard, is_final=True))
            self._advance("< Input")
            self._tell(InputEvent(input=heard), self._new_turn(heard, None))
        else:
            super()._timed_out(name)
