"""Recordings in files: ``ChannelApp(dialogue, recorder=Recordings("calls.fsrec"))`` records what it serves.

A file that has grown is followed by another one, with a number in its name; the oldest are deleted. What was
written survives the end of the process, however it ends.
"""

from __future__ import annotations

import logging
import re
import threading
from contextlib import suppress
from itertools import count
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from flowstorm_channel.channel import Channel
from flowstorm_channel.trace import Recorder

__all__ = ["Recordings"]

log = logging.getLogger("flowstorm_channel")

C = TypeVar("C", bound=Channel)


class Recordings:
    """Records machines in files, one after the other. May be used by several threads.

    A machine is recorded in one file to its end, as long as that has room: a new file is begun for machines
    that come later. No file is written to that was there before.

    Args:
        path: of the first file: ``calls.fsrec``. The next is ``calls-2.fsrec``.
        max_bytes: of a file, before another one is begun. One that has twice as many is ended at once.
        keep: how many files of that name are kept.
        texts: see `Recorder`.
        audio: see `Recorder`.
        tokens: see `Recorder`.

    Raises:
        ValueError: a number is not positive.
        OSError: the file cannot be written.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        max_bytes: int = 64 * 1024 * 1024,
        keep: int = 10,
        texts: bool = True,
        audio: bool = True,
        tokens: bool = False,
    ) -> None:
        if max_bytes < 1 or keep < 1:
            raise ValueError("max_bytes and keep must be positive")
        self._path = Path(path)
        self._max_bytes = max_bytes
        self._keep = keep
        self._options: dict[str, Any] = {"texts": texts, "audio": audio, "tokens": tokens}
        self._lock = threading.RLock()
        self._files: list[_File] = []
        self._closed = False
        self._begin()

    @property
    def path(self) -> Path:
        """Of the file that is written now."""
        return self._files[-1].path

    def watch(self, channel: C) -> C:
        """Record a machine that was just made.

        Returns:
            The same.

        Raises:
            TypeError: it is no channel of this library.
            ValueError: it has been used already.
        """
        with self._lock:
            if self._closed:
                return channel
            if not self._files[-1].has_room(self._max_bytes):
                self._go_on()
            return self._files[-1].recorder.watch(channel)

    def close(self) -> None:
        """End the recordings. Machines that are not closed go on without. A second time it does nothing."""
        with self._lock:
            self._closed = True
            for each in self._files:
                each.close()

    def _go_on(self) -> None:
        """Begin another file; what is in the older ones goes on there until its end."""
        try:
            self._begin()
        except OSError as error:
            log.warning("nothing is recorded: %s", error)

    def _begin(self) -> None:
        begun = self._new_file()
        for each in self._files:
            if not each.recorder.open or each.recorder.failure is not None:
                each.close()
        numbers = sorted(self._numbers())
        for number in numbers[: max(0, len(numbers) - self._keep)]:
            self._delete(number)
        self._files = [*(each for each in self._files if not each.closed), begun]

    def _new_file(self) -> _File:
        """A file that nobody else has begun: another process may be about to take the same number."""
        for number in count(max(self._numbers(), default=0) + 1):
            with suppress(FileExistsError):
                return _File(self._name(number), 2 * self._max_bytes, self._lock, self._options)
        raise AssertionError("there are always more numbers")

    def _delete(self, number: int) -> None:
        """Delete a file; what is still recorded there goes on without."""
        path = self._name(number)
        for each in self._files:
            if each.path == path:
                each.close()
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("an old recording stays: %s", error)

    def _name(self, number: int) -> Path:
        return self._path if number == 1 else self._path.with_stem(f"{self._path.stem}-{number}")

    def _numbers(self) -> list[int]:
        """Of the files that are there."""
        pattern = re.compile(rf"{re.escape(self._path.stem)}-([2-9]|[1-9]\d+){re.escape(self._path.suffix)}")
        found = [pattern.fullmatch(each.name) for each in self._path.parent.iterdir()]
        first = [1] if self._path.exists() else []
        return first + [int(each[1]) for each in found if each is not None]


class _File:
    """One of the files."""

    def __init__(self, path: Path, most: int, lock: threading.RLock, options: dict[str, Any]) -> None:
        self.path = path
        self._most = most
        # Unbuffered, so that what was written is there when the process dies.
        self._file: BinaryIO = open(path, "xb", buffering=0)  # noqa: SIM115
        self.recorder = Recorder(self._write, lock=lock, **options)

    @property
    def closed(self) -> bool:
        """Whether nothing more can be written."""
        return self._file.closed

    def has_room(self, most: int) -> bool:
        """Whether more machines may be recorded there: it is no greater, can be written, and has not been
        deleted."""
        return self.recorder.failure is None and self.recorder.size < most and self.path.exists()

    def close(self) -> None:
        """Say that it ends here."""
        if not self.closed:
            self.recorder.stop()
            with suppress(OSError):  # nothing is buffered: what was written is there
                self._file.close()

    def _write(self, data: bytes) -> None:
        if self.recorder.size + len(data) > self._most:
            raise OSError(f"{self.path} is full: a machine was recorded for too long")
        written = 0
        while written < len(data):
            written += self._file.write(data[written:])
