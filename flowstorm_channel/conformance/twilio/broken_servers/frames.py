"""Servers that write frames as Twilio does not take them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from flowstorm_channel.conformance.twilio.broken_servers.faults import BrokenServer, fault
from flowstorm_channel.conformance.twilio.frames import Frame, audio_of
from flowstorm_channel.testing.twilio import RATE
from flowstorm_channel.twilio.server import Playback
from flowstorm_channel.wire import Close

__all__: list[str] = []

_MINUTE = 60 * RATE


@fault("sends-wav-files")
class _SendsWavFiles(BrokenServer):
    """Sends what its text-to-speech gives it, with the WAV header: the caller hears a click."""

    def said(self, frame: Frame) -> Iterator[Frame | Close]:
        if frame["event"] == "media":
            header = b"RIFF\x24\xff\xff\xffWAVEfmt "
            frame["media"]["payload"] = base64.b64encode(header + (audio_of(frame) or b"")).decode()
        yield frame


@fault("names-the-call")
class _NamesTheCall(BrokenServer):
    """Puts the callSid where the streamSid should be."""

    def said(self, frame: Frame) -> Iterator[Frame | Close]:
        assert self.start is not None
        yield {**frame, "streamSid": self.start.call_sid}


@fault("keeps-the-stream-in-a-global")
class _KeepsTheStreamInAGlobal(BrokenServer):
    """Keeps the streamSid in a global variable: the latest call's stands in the frames of all."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("event") == "start":
            self.shared["sid"] = frame["streamSid"]
        return frame

    def said(self, frame: Frame) -> Iterator[Frame | Close]:
        yield {**frame, "streamSid": self.shared["sid"]}


@fault("sends-audio-as-lists")
class _SendsAudioAsLists(BrokenServer):
    """Sends the audio as a list of numbers instead of in base64."""

    def said(self, frame: Frame) -> Iterator[Frame | Close]:
        if frame["event"] == "media":
            frame["media"]["payload"] = list(audio_of(frame) or b"")
        yield frame


@fault("sends-transcripts")
class _SendsTranscripts(BrokenServer):
    """Sends events of its own for its monitoring page, over the socket of the call."""

    def said(self, frame: Frame) -> Iterator[Frame | Close]:
        yield frame
        if frame["event"] == "mark":
            yield {"event": "transcript", "streamSid": frame["streamSid"], "text": "Hello!"}


@fault("sets-no-marks")
class _SetsNoMarks(BrokenServer):
    """Sets no marks, and takes the answer for heard as soon as it is sent."""

    def said(self, frame: Frame) -> Iterator[Frame | Close]:
        if frame["event"] == "mark":
            self.receive_data(f'{{"event": "mark", "mark": {{"name": "{frame["mark"]["name"]}"}}}}')
        else:
            yield frame


@fault("marks-the-beginning")
class _MarksTheBeginning(BrokenServer):
    """Sets the mark before the audio of a turn, so that it comes back at once."""

    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw)
        self._held: list[Frame] = []

    def said(self, frame: Frame) -> Iterator[Frame | Close]:
        if frame["event"] == "media":
            self._held.append(frame)
        else:
            yield frame
            yield from self._held
            self._held = []


@fault("calls-all-marks-the-same")
class _CallsAllMarksTheSame(BrokenServer):
    """Gives all marks one name, so that none can be told from another."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("event") == "mark":
            frame["mark"]["name"] = self._awaited or "done"
        return frame

    def said(self, frame: Frame) -> Iterator[Frame | Close]:
        if frame["event"] == "mark":
            frame["mark"]["name"] = "done"
        yield frame


@fault("greets-before-start")
class _GreetsBeforeStart(BrokenServer):
    """Begins to play a jingle as soon as it is connected, when it cannot know the stream."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("event") == "connected":
            payload = base64.b64encode(b"\xff" * 160).decode()
            self.put({"event": "media", "streamSid": None, "media": {"payload": payload}})
        return frame


class _Heard(Playback):
    """Knows nothing that is still to be heard."""

    @property
    def left(self) -> float:
        return 0.0


@fault("overfills-the-buffer")
class _OverfillsTheBuffer(BrokenServer):
    """Sends all of an answer that is longer than Twilio keeps."""

    def _play(self, data: bytes) -> None:
        known, self._playback = self._playback, _Heard(self._clock)
        for start in range(0, len(data), _MINUTE):
            super()._play(data[start : start + _MINUTE])
        self._playback = known
