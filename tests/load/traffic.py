"""The mix: who talks, how much of it, and what becomes of each turn."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable

import attrs

from tests.load.calls import Call
from tests.load.ledger import Book, Conversation
from tests.load.process import Server
from tests.load.talkers import (
    BROKEN,
    V1,
    V2,
    Refused,
    Talker,
    TimedOut,
    V1Client,
    V1Spoken,
    V2Client,
    V2Recording,
)
from tests.redis_server import RedisServer

__all__ = ["MIX", "Share", "Traffic", "World", "converse", "say_one"]

_AGAIN = 0.1
"""Seconds until a client that was refused, or whose connection is gone, tries again."""
_SLACK = 40
"""Turns that a kind may be ahead of its share."""


@attrs.frozen
class Share:
    """One kind of client in the mix.

    Args:
        talker: makes one.
        share: of all turns.
        clients: that talk at the same time.
    """

    talker: type[Talker]
    share: float
    clients: int


MIX = (
    Share(V1, 0.40, 14),
    Share(V1Spoken, 0.12, 6),
    Share(V1Client, 0.06, 4),
    Share(V2, 0.22, 12),
    Share(V2Recording, 0.04, 4),
    Share(V2Client, 0.02, 3),
    Share(Call, 0.14, 8),
)


@attrs.define
class World:
    """What the faults have in their hands.

    Args:
        server: under load.
        redis: where its sessions are.
        book: of all clients.
        chance: seeded.
    """

    server: Server
    redis: RedisServer
    book: Book
    chance: random.Random
    hurt: list[str] = attrs.field(factory=list)
    """What a fault has seen go wrong, such as a flood that was not refused."""
    struck: Counter[str] = attrs.field(factory=Counter)
    _named: int = 0

    def name(self, kind: str) -> str:
        """Of a new device."""
        self._named += 1
        return f"{kind.replace(', ', '-').replace(' ', '-')}-{self._named}"


async def say_one(talker: Talker, conversation: Conversation, *words: str) -> bool:
    """One turn, opened before, whose fate is booked.

    Args:
        talker: is connected.
        conversation: its.
        words: that follow the number.

    Returns:
        Whether it was acknowledged.
    """
    held, number = talker.session_id, conversation.say()
    try:
        answer = await asyncio.wait_for(talker.ask(" ".join((str(number), *words))), conversation.patience)
    except TimedOut:
        conversation.time_out()
    except Refused:
        conversation.refuse()
        await asyncio.sleep(_AGAIN)
    except asyncio.TimeoutError:  # before the others: from Python 3.11 on it is an OSError
        conversation.miss()
        raise EOFError from None
    except BROKEN:
        conversation.break_off()
        raise
    else:
        conversation.hear(answer, talker.session_id)
        if "bye" in words:
            conversation.begin()
        return True
    if held is not None and talker.session_id is None:
        conversation.begin()
    return False


async def converse(
    talker: Talker,
    conversation: Conversation,
    turns: int,
    going: Callable[[], bool] = lambda: True,
    acknowledged: Callable[[], None] = lambda: None,
) -> None:
    """A conversation over one connection, as long as it stands.

    Args:
        talker: is not connected yet.
        conversation: its.
        turns: at most.
        going: whether there is more to say.
        acknowledged: called after each turn that was.
    """
    done = 0
    talker.over = False
    try:
        await asyncio.wait_for(talker.open(), conversation.patience)
        if not talker.keeps_session:
            conversation.begin()
        while done < turns and going() and not talker.over:
            words = ("bye",) if done % 50 == 49 else ()
            if await say_one(talker, conversation, *words):
                done += 1
                acknowledged()
    except asyncio.TimeoutError:
        conversation.miss()
    except (*BROKEN, Refused):
        await asyncio.sleep(_AGAIN)
    finally:
        await talker.close()


class Traffic:
    """The clients of the mix, until enough turns are acknowledged and somebody else has done what he does.

    Args:
        world: they talk in.
        turns: to be acknowledged.
        meanwhile: whether something goes on for which there should be traffic.
    """

    def __init__(self, world: World, turns: int, meanwhile: Callable[[], bool]) -> None:
        self._world = world
        self._turns = turns
        self._meanwhile = meanwhile
        self._before = len(world.book.acknowledged)
        self.by_kind: Counter[str] = Counter()

    @property
    def done(self) -> int:
        """Turns acknowledged so far."""
        return len(self._world.book.acknowledged) - self._before

    def going(self) -> bool:
        """Whether there is more to say."""
        return self.done < self._turns or self._meanwhile()

    async def run(self) -> None:
        """All of it."""
        await asyncio.gather(*(self._client(share) for share in MIX for _ in range(share.clients)))

    async def _client(self, share: Share) -> None:
        """One after the other: each talks for a while, goes, and another one comes."""
        kind, world = share.talker.kind, self._world
        while self.going():
            device = world.name(kind)
            talker, conversation = share.talker(world.server.port, device), Conversation(world.book, device)
            for _ in range(world.chance.randint(1, 3)):  # the same one comes back
                while self.going() and self.by_kind[kind] > share.share * self.done + _SLACK:
                    await asyncio.sleep(0.01)
                turns = world.chance.randint(20, 60)
                await converse(talker, conversation, turns, self.going, lambda: self.by_kind.update((kind,)))
