"""Applications with one defect each: what the books have to notice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from flowstorm_channel.server import Turn
from tests.load.application import Application
from tests.load.ledger import Answer

__all__ = ["APPLICATIONS"]

_NOW_AND_THEN = 20


class Forgetful(Application):
    """A turn is answered now and then that is booked nowhere."""

    def book(self, turn: Turn, number: int) -> None:
        if number % _NOW_AND_THEN:
            super().book(turn, number)


class Amnesic(Application):
    """A session forgets a turn now and then."""

    def remember(self, turn: Turn, number: int) -> Answer:
        before = dict(turn.session.data)
        answer = super().remember(turn, number)
        if number % _NOW_AND_THEN == 0:
            turn.session.data.clear()
            turn.session.data.update(before)
        return answer


class Doubling(Application):
    """A turn is done twice now and then."""

    def book(self, turn: Turn, number: int) -> None:
        super().book(turn, number)
        if number % _NOW_AND_THEN == 0:
            super().book(turn, number)


class Mixing(Application):
    """A turn finds itself now and then in the session of whoever spoke before."""

    _other: dict[str, Any] | None = None

    def remember(self, turn: Turn, number: int) -> Answer:
        if number % _NOW_AND_THEN == 0 and self._other is not None:
            turn.session.data.update(self._other)
        answer = super().remember(turn, number)
        self._other = dict(turn.session.data)
        return answer


class Silent(Application):
    """A turn is never answered now and then."""

    async def dialogue(self, turn: Turn) -> AsyncIterator[str]:
        async for part in super().dialogue(turn):
            if turn.text.isdigit() and int(turn.text) % _NOW_AND_THEN == 0:
                await asyncio.Event().wait()
            yield part


class Leaking(Application):
    """Each turn leaves something behind."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._kept: list[bytes] = []

    def book(self, turn: Turn, number: int) -> None:
        super().book(turn, number)
        self._kept.append(b"x" * 100_000)


APPLICATIONS: dict[str, type[Application]] = {
    "sound": Application,
    **{each.__name__.lower(): each for each in (Forgetful, Amnesic, Doubling, Mixing, Silent, Leaking)},
}
