"""Clients that handle the microphone badly."""

from __future__ import annotations

from collections.abc import Iterable

from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.socket_v1.broken_clients.base import BrokenClient, fault
from flowstorm_channel.events import InputAudioStreamOpenEvent
from flowstorm_channel.states import Audio

__all__: list[str] = []


@fault("streams-at-once")
class _StreamsAtOnce(BrokenClient):
    """Sends audio as soon as it has asked, without waiting for the acknowledgement."""

    def send_audio(self, block: bytes) -> bool:
        if self._audio is Audio.ASKED:
            self._put(block)
        return super().send_audio(block)


@fault("streams-for-ever")
class _StreamsForEver(BrokenClient):
    """Does not stop its microphone once it was acknowledged."""

    _streams = False

    def heard(self, frame: Frame) -> Iterable[Frame]:
        self._streams = self._streams or frame["type"] == "InputAudioStreamOpen"
        return (frame,)

    def send_audio(self, block: bytes) -> bool:
        if self._streams and self._audio is not Audio.OPEN:
            self._put(block)
        return super().send_audio(block)


@fault("takes-any-acknowledgement")
class _TakesAnyAcknowledgement(BrokenClient):
    """Streams on an acknowledgement, even when it has closed the stream since it asked."""

    _late = False

    def _on_acknowledgement(self, event: InputAudioStreamOpenEvent, what: str) -> None:
        self._late = self._audio is Audio.CLOSED
        super()._on_acknowledgement(event, what)

    def send_audio(self, block: bytes) -> bool:
        if self._late:
            self._put(block)
        return super().send_audio(block)


@fault("never-streams")
class _NeverStreams(BrokenClient):
    """Asks for the microphone, and sends no audio."""

    def spoken(self, audio: bytes) -> Iterable[bytes]:
        return () if audio else (audio,)


@fault("never-closes-its-stream")
class _NeverCloses(BrokenClient):
    """Leaves it to the server to find out that no more audio comes."""

    def said(self, frame: Frame) -> Iterable[Frame]:
        return () if frame["type"] == "InputAudioStreamClose" else (frame,)


@fault("takes-every-result-for-final")
class _TakesEveryResultForFinal(BrokenClient):
    """Does not look at isFinal."""

    def heard(self, frame: Frame) -> Iterable[Frame]:
        frame.pop("isFinal", None)
        return (frame,)


@fault("takes-a-bare-result-for-interim")
class _TakesBareForInterim(BrokenClient):
    """Takes a result without isFinal for an interim one."""

    def heard(self, frame: Frame) -> Iterable[Frame]:
        if frame["type"] == "Recognized":
            frame.setdefault("isFinal", False)
        return (frame,)


@fault("shows-no-answers-to-speech")
class _ShowsNoAnswersToSpeech(BrokenClient):
    """Waits for its own input to be answered, and drops the answer to what was recognised."""

    _by_voice = False

    def heard(self, frame: Frame) -> Iterable[Frame]:
        if frame["type"] == "Recognized" and frame.get("isFinal") is not False:
            self._by_voice = True
        if frame["type"] == "Response":
            self._by_voice = False
        return () if self._by_voice and frame["type"] == "ResponseItem" else (frame,)
