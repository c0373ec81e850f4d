"""How the commands read recordings, and make them."""

from __future__ import annotations

import argparse
import codecs
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

# What reads and makes recordings is imported where it is wanted, so that other commands start sooner.
if TYPE_CHECKING:
    from flowstorm_channel.contrib.recordings import Recordings
    from flowstorm_channel.trace import Recording

__all__ = ["machine_number", "missing_in", "read_recording", "recorder_of"]


def read_recording(name: str) -> Recording:
    """The recording in a file of either form, or the wires in a HAR.

    Args:
        name: of the file; ``-``: standard input.

    Raises:
        OSError: the file cannot be read.
        RemoteProtocolError: there is none in it.
    """
    from flowstorm_channel.trace import of_har, read

    data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    archive = _archive(data)
    return read(data) if archive is None else of_har(archive)


def machine_number(text: str) -> int:
    """The number of a machine, for an option.

    Raises:
        ValueError, argparse.ArgumentTypeError: it is none.
    """
    found = int(text)
    if found < 0:
        raise argparse.ArgumentTypeError(f"{text} is no number of a machine")
    return found


def missing_in(recording: Recording, channels: Iterable[int]) -> int | None:
    """The first of some machines that is not in a recording; None when all are."""
    return min(set(channels) - {each.channel for each in recording.entries}, default=None)


def _archive(data: bytes) -> object | None:
    """The HAR in a file; None: it is something else."""
    if data.removeprefix(codecs.BOM_UTF8).lstrip()[:1] != b"{":
        return None
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return tree if "log" in tree else None


@contextmanager
def recorder_of(name: str | None) -> Iterator[Recordings | None]:
    """What records machines, for as long as a command runs.

    Args:
        name: of the file; None: nothing is recorded.

    Raises:
        OSError: the file cannot be written.
    """
    if name is None:
        yield None
        return
    from flowstorm_channel.contrib.recordings import Recordings

    with closing(Recordings(name)) as recordings:
        yield recordings
