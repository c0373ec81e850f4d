"""A run: a mortal part, in which the server is killed, and a lasting one, whose memory counts."""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from flowstorm_channel.contrib.stores import StoreError
from tests.load.faults import FAULTS, MORTAL
from tests.load.ledger import Book, Verdict, audit, read_entries
from tests.load.process import Memory, Server
from tests.load.schedule import Strike, make_schedule
from tests.load.traffic import Traffic, World
from tests.redis_server import redis_server

__all__ = ["Plan", "Result", "run"]

GROWTH = 1.10
"""How much larger the process may be after the load than before."""


@attrs.frozen
class Plan:
    """What is to be run.

    Args:
        turns: to be acknowledged.
        rounds: how often each fault strikes in each part.
        faults: their names.
        seed: of chance.
        application: its name in `tests.load.broken`.
        warm_up: share of the turns before memory is measured.
        mortal: share of the turns in which the server is killed.
        patience: seconds after which a turn is lost on a connection that stands.
    """

    turns: int
    rounds: int
    faults: Sequence[str] = tuple(FAULTS)
    seed: int = 1
    application: str = "sound"
    warm_up: float = 0.1
    mortal: float = 0.4
    patience: float = 60.0

    @property
    def in_mortal_part(self) -> Sequence[str]:
        """The faults of that part: a short run has the others only in the part that lasts."""
        return self.faults if self.rounds > 1 else [name for name in self.faults if name in MORTAL]


@attrs.frozen
class Result:
    """What came out."""

    plan: Plan
    verdict: Verdict
    hurt: list[str]
    said: int
    acknowledged: int
    refused: int
    timed_out: int
    broken: int
    lifetimes: int
    strikes: dict[str, int]
    by_kind: dict[str, int]
    before: Memory
    after: Memory
    seconds: float

    @property
    def growth(self) -> float:
        """Of the process's memory."""
        return self.after.bytes / self.before.bytes

    @property
    def memory_back(self) -> bool:
        """Whether it is, and nothing is left of those who have gone."""
        same = self.after.tasks <= self.before.tasks and self.after.objects <= GROWTH * self.before.objects
        return self.growth <= GROWTH and same and not self.after.channels and not self.after.sessions

    @property
    def passed(self) -> bool:
        """Whether all is well."""
        return (
            self.verdict.clean and self.memory_back and not self.hurt and self.acknowledged >= self.plan.turns
        )


async def run(plan: Plan) -> Result:
    """Run it."""
    began = time.monotonic()
    with redis_server() as redis, tempfile.TemporaryDirectory() as folder:
        ledger, complaints = Path(folder, "ledger"), Path(folder, "complaints")
        server = Server(redis.url, ledger, complaints, plan.application)
        world = World(server, redis, Book(plan.patience), random.Random(plan.seed))
        by_kind: Counter[str] = Counter()
        mortal, warm_up = round(plan.turns * plan.mortal), round(plan.turns * plan.warm_up)
        lasting = [name for name in plan.faults if name not in MORTAL]
        try:
            await server.start()
            if mortal:
                by_kind += await _part(world, "mortal", mortal, plan.in_mortal_part, plan.rounds)
                server.kill()
                await server.start()
            by_kind += await _part(world, "warm-up", warm_up, lasting, 1, at_once=True)
            before = await server.memory()
            by_kind += await _part(world, "lasting", plan.turns - mortal - warm_up, lasting, plan.rounds)
            after = await server.memory()
        finally:
            server.kill()
        book = world.book
        if book.timed_out and not world.struck["clock-jump"]:
            world.hurt.append(f"{book.timed_out} turns timed out, although no clock has jumped")
        world.hurt += _unexpected(complaints.read_text(encoding="utf-8").splitlines())
        return Result(
            plan=plan,
            verdict=audit(book, read_entries(ledger)),
            hurt=world.hurt,
            said=len(book.speakers),
            acknowledged=len(book.acknowledged),
            refused=book.refused,
            timed_out=book.timed_out,
            broken=book.broken,
            lifetimes=server.lifetimes,
            strikes=dict(world.struck),
            by_kind=dict(by_kind),
            before=before,
            after=after,
            seconds=time.monotonic() - began,
        )


def _unexpected(complaints: Sequence[str]) -> list[str]:
    """What the server complained of, other than that its store is down."""
    return [
        f"the server: {text} ({number} times)"
        for text, number in Counter(complaints).items()
        if not text.endswith(f"({StoreError.__name__})")
    ]


async def _part(
    world: World, name: str, turns: int, faults: Sequence[str], rounds: int, *, at_once: bool = False
) -> Counter[str]:
    """Traffic with faults, one after the other, or all at once.

    Returns:
        How many turns of each kind were acknowledged.
    """
    schedule = make_schedule(faults, 0 if at_once else turns, rounds, world.chance)
    striking: asyncio.Future[Any]
    traffic = Traffic(world, turns, lambda: not striking.done())
    if at_once:
        striking = asyncio.gather(*(_strike(world, name, traffic, each) for each in schedule))
    else:
        striking = asyncio.create_task(_strike(world, name, traffic, *schedule))
    await traffic.run()
    await striking
    return traffic.by_kind


async def _strike(world: World, name: str, traffic: Traffic, *strikes: Strike) -> None:
    """One fault after the other, each when its time has come."""
    for strike in strikes:
        while traffic.done < strike.at:
            await asyncio.sleep(0.02)
        found = {
            kind: len(findings) for kind, findings in attrs.asdict(world.book.verdict).items() if findings
        }
        print(f"{name}: {traffic.done} turns, {strike.fault} {found or ''}", file=sys.stderr, flush=True)
        await FAULTS[strike.fault](world)
        world.struck[strike.fault] += 1
