"""Servers that go wrong when the caller says nothing."""

from __future__ import annotations

from collections.abc import Iterator

from flowstorm_channel.conformance.twilio.broken_servers.faults import BrokenServer, fault
from flowstorm_channel.conformance.twilio.frames import Frame
from flowstorm_channel.server import Turn
from flowstorm_channel.states import State
from flowstorm_channel.twilio import TwilioServer
from flowstorm_channel.values import Response
from flowstorm_channel.wire import Close

__all__: list[str] = []


@fault("never-tells-silence", silence_timeout=0)
class _NeverTellsSilence(TwilioServer):
    """Waits for ever when the caller says nothing."""


@fault("loses-patience", silence_timeout=2000)
class _LosesPatience(TwilioServer):
    """Takes a caller who thinks for two seconds for silent."""


@fault("takes-silence-for-speech")
class _TakesSilenceForSpeech(BrokenServer):
    """Counts silence from the caller's last frame, and Twilio sends frames all the time."""

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("event") == "media":
            self._start("> Recognized interim")
        return frame


@fault("counts-silence-while-it-talks")
class _CountsSilenceWhileItTalks(BrokenServer):
    """Counts silence from when the answer was sent, not from when it was heard."""

    def said(self, frame: Frame) -> Iterator[Frame | Close]:
        yield frame
        if frame["event"] == "mark" and frame["mark"]["name"] != "Sleeping":
            self._on_mark(frame["mark"]["name"])


@fault("asks-those-who-sleep")
class _AsksThoseWhoSleep(BrokenServer):
    """Knows no sleep: the caller is asked after five seconds whether he is still there."""

    def _complete(self, turn: Turn, response: Response) -> None:
        super()._complete(turn, response.replace(sleep_timeout=0))


@fault("hangs-up-to-sleep")
class _HangsUpToSleep(BrokenServer):
    """Ends the call when the session is to sleep."""

    def _complete(self, turn: Turn, response: Response) -> None:
        sleeps = response.sleep_timeout > 0
        super()._complete(
            turn, response.replace(session_ended=sleeps or response.session_ended, sleep_timeout=0)
        )


@fault("sleeps-too-deeply")
class _SleepsTooDeeply(BrokenServer):
    """Stops its recogniser when the session sleeps, and does not start it again."""

    def heard(self, frame: Frame) -> Frame | None:
        deaf = frame.get("event") == "media" and self._state is State.SLEEPING
        return None if deaf else frame
