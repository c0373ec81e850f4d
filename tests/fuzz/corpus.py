"""The inputs that are kept, and what makes new ones of them without an engine."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from tests.fuzz.words import words

__all__ = ["CORPUS", "added", "kept", "minimised", "mutants"]

CORPUS = Path(__file__).parent / "corpus"
_STEPS = 4000

Run = Callable[[bytes], None]


def kept(name: str) -> list[bytes]:
    """The inputs that are kept for a target, in a fixed order."""
    return [each.read_bytes() for each in sorted((CORPUS / name).glob("*")) if each.is_file()]


def added(folder: Path, data: bytes) -> Path:
    """Keep an input, under a name that its content gives it."""
    path = folder / hashlib.sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return path


# ------------------------------------------------------------ mutations


def mutants(inputs: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """So many inputs made of those: bytes turned, pieces doubled, dropped and exchanged, words put in.

    Args:
        inputs: to begin with.
        count: how many.
        seed: the same one gives the same mutants.
    """
    random = Random(seed)
    for _ in range(count):
        data = bytearray(random.choice(inputs))
        for _ in range(random.choice((1, 1, 2, 4))):
            _mutate(data, inputs, random)
        yield bytes(data)


def _mutate(data: bytearray, inputs: list[bytes], random: Random) -> None:
    at = random.randrange(len(data) + 1)
    end = min(len(data), at + random.choice((1, 1, 2, 4, 16)))
    match random.randrange(7):
        case 0 if at < len(data):
            data[at] ^= 1 << random.randrange(8)
        case 1 if at < len(data):
            data[at] = random.choice((0, 1, 2, 31, 64, 127, 128, 254, 255))
        case 2:
            data[at:at] = random.choice(words())
        case 3:
            del data[at:end]
        case 4:
            data[at:at] = data[at:end]
        case 5:
            other = random.choice(inputs)
            start = random.randrange(len(other) + 1)
            data[at:end] = other[start : start + 16]
        case _:
            data[at:end] = random.randbytes(end - at)


# ------------------------------------------------------------ minimising


def minimised(run: Run, data: bytes) -> tuple[bytes, str]:
    """The smallest input that goes wrong at the same place, and how; the input itself when it does not."""
    problem = _problem(run, data)
    if problem is None:
        return data, "it does not go wrong again"
    steps = _STEPS
    size = max(1, len(data) // 2)
    while size and steps:
        at = 0
        while at < len(data) and steps:
            shorter = data[:at] + data[at + size :]
            steps -= 1
            if _problem(run, shorter) == problem:
                data = shorter
            else:
                at += size
        size //= 2
    for at in range(len(data)):
        plain = data[:at] + b"\0" + data[at + 1 :]
        if _problem(run, plain) == problem:
            data = plain
    return data, problem


def _problem(run: Run, data: bytes) -> str | None:
    """What goes wrong and where; None: nothing."""
    try:
        run(data)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-3:]
        return " < ".join((type(error).__name__, *(f"{each.name}:{each.lineno}" for each in reversed(where))))
    return None
