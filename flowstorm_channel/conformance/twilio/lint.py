"""What can be said of a server of phone calls by looking at its frames."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from flowstorm_channel.conformance.lint import Linter
from flowstorm_channel.conformance.twilio.frames import Frame, audio_of, object_of, problem_of
from flowstorm_channel.trace import Record
from flowstorm_channel.wire import Message

__all__ = ["SERVER_RULES", "TwilioLinter"]

SERVER_RULES: Mapping[str, str] = {
    "frames_are_understood": "every frame is media with a payload, mark with a name, or clear, in JSON",
    "frames_name_their_stream": "the streamSid of every frame is that of the stream on this WebSocket",
    "audio_has_no_file_header": "audio is bare: it does not begin as WAV, MP3, Ogg and other files do",
    "marks_have_names_of_their_own": "no name of a mark comes twice in a call",
    "nothing_is_sent_before_start": "no frame is sent before Twilio has said start",
    "nothing_is_sent_after_stop": "no frame is sent after Twilio has said stop",
}

_HEADERS = {
    b"RIFF": "WAV",
    b"ID3\x02": "MP3",
    b"ID3\x03": "MP3",
    b"ID3\x04": "MP3",
    b"OggS": "Ogg",
    b"fLaC": "FLAC",
    b".snd": "AU",
    b"\x1aE\xdf\xa3": "WebM",
}


@attrs.define
class _Stream:
    """What is known of the stream on a wire."""

    sid: object = None
    stopped: float | None = None
    marks: set[str] = attrs.field(factory=set)


class TwilioLinter(Linter):
    """Reads the wires of phone calls.

    Args:
        seen_by: the end at which they were recorded.
    """

    def __init__(self, seen_by: str) -> None:
        super().__init__(seen_by)
        self._streams: dict[int, _Stream] = {}

    def _take(self, record: Record) -> None:
        stream = self._streams.setdefault(record.wire, _Stream())
        if not isinstance(record.message, str | bytes):
            return
        if record.by == "server":
            self._said(stream, record.message)
        else:
            self._heard(stream, object_of(record.message) or {})

    def _heard(self, stream: _Stream, frame: Frame) -> None:
        match frame:
            case {"event": "start", "streamSid": str(sid)} if stream.sid is None:
                stream.sid = sid
            case {"event": "stop"}:
                stream.stopped = self._now
                self._rule("nothing_is_sent_after_stop", True, "")

    def _said(self, stream: _Stream, message: Message) -> None:
        problem = problem_of(message)
        self._rule("frames_are_understood", not problem, problem)
        frame = object_of(message)
        if frame is None or problem:
            return
        event = frame["event"]
        begun = stream.sid is not None
        self._rule("nothing_is_sent_before_start", begun, f"{event} came before start")
        if begun:
            text = f"{event} names {frame.get('streamSid')!r:.60}, and the stream is {stream.sid!r:.60}"
            self._rule("frames_name_their_stream", frame.get("streamSid") == stream.sid, text)
        if stream.stopped is not None and self._knows("server", stream.stopped):
            self._rule("nothing_is_sent_after_stop", False, f"{event} came after stop")
        if event == "media":
            self._look_at_audio(audio_of(frame) or b"")
        elif event == "mark":
            name = frame["mark"]["name"]
            new = name not in stream.marks
            self._rule("marks_have_names_of_their_own", new, f"a second mark {name!r:.60}")
            stream.marks.add(name)

    def _look_at_audio(self, audio: bytes) -> None:
        kind = _HEADERS.get(audio[:4])
        self._rule("audio_has_no_file_header", kind is None, f"the payload begins as a {kind} file does")

    def _rule(self, name: str, held: bool, text: str) -> None:
        self._holds("server", name, held, text)
