"""How long a turn takes, beside the application that one writes by hand: in turn, by the same clients."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import quantiles

import attrs

from tests.load.process import ROOT
from tests.load.talkers import V1

__all__ = ["PEERS", "QUANTILES", "Latency", "measure"]

PEERS = ("ours", "by_hand")
"""Applications in `tests.bench.peers`."""
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
_CLIENTS = 8


@attrs.frozen
class Latency:
    """How long turns took, in seconds, in order."""

    seconds: Sequence[float]

    def quantile(self, share: float) -> float:
        """The time in which so large a share of the turns was answered."""
        if share >= 1.0:
            return self.seconds[-1]
        return quantiles(self.seconds, n=1000, method="inclusive")[round(share * 1000) - 1]


async def measure(rounds: int, turns: int) -> dict[str, Latency]:
    """Measure both.

    Args:
        rounds: in which each has its turn.
        turns: of each client, in a round.
    """
    found: dict[str, list[float]] = {name: [] for name in PEERS}
    with _serving(PEERS[0]) as ours, _serving(PEERS[1]) as by_hand:
        ports = dict(zip(PEERS, (ours, by_hand), strict=True))
        talkers = {
            name: [V1(port, f"latency-{each}") for each in range(_CLIENTS)] for name, port in ports.items()
        }
        for crowd in talkers.values():
            for talker in crowd:
                await talker.open()
        for number in range(rounds + 1):
            for name, crowd in talkers.items():
                times = await asyncio.gather(*(_times(talker, turns) for talker in crowd))
                if number:  # the first is for warming up
                    found[name] += [each for some in times for each in some]
        for crowd in talkers.values():
            for talker in crowd:
                await talker.close()
    return {name: Latency(sorted(times)) for name, times in found.items()}


async def _times(talker: V1, turns: int) -> list[float]:
    times = []
    for number in range(turns):
        began = time.perf_counter()
        await talker.ask(f"number {number}")
        times.append(time.perf_counter() - began)
    return times


@contextmanager
def _serving(name: str) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        number = listening.fileno()
        command = [sys.executable, "-m", "tests.bench.peers.serve", name, str(number)]
        process = subprocess.Popen(command, pass_fds=[number], cwd=ROOT)
        try:
            yield listening.getsockname()[1]
        finally:
            process.terminate()
            process.wait()
