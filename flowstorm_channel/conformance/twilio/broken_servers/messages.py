"""Servers that do not bear what they did not expect."""

from __future__ import annotations

import base64

from flowstorm_channel.conformance.twilio.broken_servers.faults import BrokenServer, fault
from flowstorm_channel.conformance.twilio.frames import Frame
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.states import State

__all__: list[str] = []

_KNOWN = {
    *("event", "sequenceNumber", "streamSid", "protocol", "version"),
    *("start", "media", "dtmf", "mark", "stop"),
}


@fault("knows-its-events-only")
class _KnowsItsEventsOnly(BrokenServer):
    """Fails at events that were not there when it was written."""

    def heard(self, frame: Frame) -> Frame | None:
        if isinstance(frame.get("event"), str):
            ["connected", "start", "media", "dtmf", "mark", "stop"].index(frame["event"])
        return frame


@fault("takes-known-members-only")
class _TakesKnownMembersOnly(BrokenServer):
    """Validates frames strictly, so that each member that Twilio adds makes it fail."""

    def heard(self, frame: Frame) -> Frame | None:
        unknown = set(frame) - _KNOWN
        if "event" in frame and unknown:
            raise TypeError(f"unexpected {unknown}")
        return frame


@fault("expects-start-before-audio")
class _ExpectsStartBeforeAudio(BrokenServer):
    """Fails when audio comes before it knows the stream."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("event") == "media" and self._state is State.OPEN:
            raise KeyError("no stream")
        return frame


@fault("starts-again")
class _StartsAgain(BrokenServer):
    """Takes the streamSid of any start, also in the middle of a call."""

    _first: str | None = None

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("event") == "start" and self._stream_sid is not None:
            self._first, self._stream_sid = self._stream_sid, frame["streamSid"]
            return None
        if self._first is not None and frame.get("streamSid") == self._first:
            frame["streamSid"] = self._stream_sid
        return frame


@fault("starts-once")
class _StartsOnce(BrokenServer):
    """Fails when start comes a second time."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("event") == "start" and self._stream_sid is not None:
            raise ValueError("there is a stream already")
        return frame


@fault("listens-to-itself")
class _ListensToItself(BrokenServer):
    """Recognises the audio of all tracks, so that it answers to itself."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("event") == "media" and "media" in frame:
            frame["media"]["track"] = "inbound"
        return frame


@fault("dies-of-bad-frames")
class _DiesOfBadFrames(BrokenServer):
    """Closes the call when a frame cannot be read."""

    def _fault(self, error: RemoteProtocolError) -> None:
        super()._fault(error)
        self.die()


@fault("expects-audio-in-media")
class _ExpectsAudioInMedia(BrokenServer):
    """Fails when a payload is not base64, or is absent."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("event") == "media":
            base64.b64decode(frame["media"]["payload"], validate=True)
        return frame
