"""Machines that are recorded without their hosts knowing of it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from flowstorm_channel.trace import Recorder, Recording, unpack
from flowstorm_channel.trace.settings import KINDS


class Tape:
    """A recorder and what it has written."""

    def __init__(self, **options: Any) -> None:
        self.pieces: list[bytes] = []
        self.recorder = Recorder(self.pieces.append, **options)

    @property
    def file(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def recording(self) -> Recording:
        assert self.recorder.failure is None
        return unpack(self.file)


@contextmanager
def everything_recorded(**options: Any) -> Iterator[Tape]:
    """Every machine that is made meanwhile is recorded."""
    tape = Tape(**options)
    with pytest.MonkeyPatch.context() as patch:
        for kind in KINDS.values():
            patch.setattr(kind.cls, "__init__", _watched(kind.cls, tape.recorder))
        yield tape


def _watched(cls: Any, recorder: Recorder) -> Any:
    made = cls.__init__

    @functools.wraps(made)
    def make(self: Any, *arguments: Any, **options: Any) -> None:
        made(self, *arguments, **options)
        recorder.watch(self)

    return make
