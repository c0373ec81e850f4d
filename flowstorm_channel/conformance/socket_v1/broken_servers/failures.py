"""Servers that go wrong when something else does."""

from __future__ import annotations

from typing import Any

from flowstorm_channel.channel import Timeouts
from flowstorm_channel.conformance.reference import LONG, ReferenceHost
from flowstorm_channel.conformance.socket_v1.broken_servers.faults import fault
from flowstorm_channel.events import Event, InitEvent, TurnInterruptedEvent
from flowstorm_channel.server import ServerChannel, Turn
from flowstorm_channel.socket_v1 import SocketV1Server

__all__: list[str] = []


@fault("falls-silent-with-its-dialogue")
class _FallsSilentWithItsDialogue(SocketV1Server):
    """Sends nothing when the dialogue fails."""

    def _fail(self, turn: Turn, text: str) -> None:
        """Nothing."""


@fault("tells-failures-as-errors")
class _TellsFailuresAsErrors(SocketV1Server):
    """Sends Error when the dialogue fails."""

    def _fail(self, turn: Turn, text: str) -> None:  # noqa: ARG002
        self.fail(text)


@fault("fails-without-a-word")
class _FailsWithoutAWord(SocketV1Server):
    """Ends the session with an empty Response when the dialogue fails."""

    def _fail(self, turn: Turn, text: str) -> None:  # noqa: ARG002
        turn.finish(session_ended=True)


class _FinishingHost(ReferenceHost):
    """Says what a client has missed when it comes back."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._missed: set[str] = set()

    def take(self, channel: ServerChannel, event: Event) -> None:
        super().take(channel, event)
        match event:
            case TurnInterruptedEvent(reason="lost") if channel.init is not None:
                self._missed.add(channel.init.device_id)
            case InitEvent() if event.device_id in self._missed:
                self._plan(self._clock() + 0.1, channel.begin(), LONG)


@fault("goes-on-where-it-was-cut-off", _FinishingHost)
class _GoesOnWhereItWasCutOff(SocketV1Server):
    """Goes on with the answer to a lost connection as soon as the device is there again."""


@fault("hangs-up-on-the-silent")
class _HangsUpOnTheSilent(SocketV1Server):
    """Closes a connection on which nothing has come for a minute."""

    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw, timeouts=Timeouts(idle=60.0))
