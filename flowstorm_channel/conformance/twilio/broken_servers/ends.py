"""Servers that end calls in the wrong way, or at the wrong time."""

from __future__ import annotations

from flowstorm_channel.conformance.twilio.broken_servers.faults import BrokenServer, fault
from flowstorm_channel.conformance.twilio.frames import Frame
from flowstorm_channel.server import Turn
from flowstorm_channel.values import Response
from flowstorm_channel.wire import Close, CloseCode, Message

__all__: list[str] = []


@fault("hangs-up-at-once")
class _HangsUpAtOnce(BrokenServer):
    """Closes the call as soon as the session has ended: nobody hears the goodbye."""

    def _complete(self, turn: Turn, response: Response) -> None:
        super()._complete(turn, response)
        if self.session is None:
            self._shut(CloseCode.NORMAL, "the end", "closed")


@fault("never-hangs-up")
class _NeverHangsUp(BrokenServer):
    """Does not close the call when the session has ended."""

    def heard(self, frame: Frame) -> Frame | None:
        return None if frame.get("event") == "mark" and frame["mark"]["name"] == "Sleeping" else frame

    def _limit(self, name: str) -> float | None:
        return None if name == "playback" else super()._limit(name)


@fault("waits-for-the-last-mark")
class _WaitsForTheLastMark(BrokenServer):
    """Waits for the last mark for ever, even when it never comes back."""

    def _limit(self, name: str) -> float | None:
        return None if name == "playback" else super()._limit(name)


@fault("is-silent-about-errors")
class _IsSilentAboutErrors(BrokenServer):
    """Writes errors into its log, and the caller waits in silence."""

    def _fail(self, turn: Turn, text: str) -> None:  # noqa: ARG002
        turn.finish()


@fault("welcomes-everybody")
class _WelcomesEverybody(BrokenServer):
    """Goes on with a call whose application was refused."""

    def fail(self, text: str, *, source: str | None = None, status: int | None = None) -> None:  # noqa: ARG002
        self.ready()


@fault("passes-stop-over")
class _PassesStopOver(BrokenServer):
    """Knows no stop, and talks on until the socket breaks."""

    def heard(self, frame: Frame) -> Frame | None:
        return None if frame.get("event") == "stop" else frame


@fault("dies-with-a-lost-call")
class _DiesWithALostCall(BrokenServer):
    """Does not catch that a socket breaks while it writes: the process ends, with all calls."""

    def _transport_gone(self, end: Close) -> None:
        super()._transport_gone(end)
        for each in self.shared.get("calls", ()):
            if each is not self:
                each.die()

    def heard(self, frame: Frame) -> Frame | None:
        if frame.get("event") == "start":
            self.shared.setdefault("calls", []).append(self)
        return frame


@fault("takes-no-call-after-a-lost-one")
class _TakesNoCallAfterALostOne(BrokenServer):
    """Keeps the place of a call whose socket broke, and has no other."""

    def _transport_gone(self, end: Close) -> None:
        super()._transport_gone(end)
        self.shared["busy"] = True

    def _read(self, message: Message) -> None:
        if not self.shared.get("busy"):
            super()._read(message)


@fault("dies-of-huge-frames")
class _DiesOfHugeFrames(BrokenServer):
    """Reads frames of any size, and runs out of memory."""

    def receive_data(self, message: Message) -> None:
        if isinstance(message, str) and len(message) > 1 << 20:
            self.shared["dead"] = True
        if not self.shared.get("dead"):
            super().receive_data(message)
