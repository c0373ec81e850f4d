"""How the commands read recordings, and make them."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from flowstorm_channel.contrib.recordings import Recordings
from flowstorm_channel.trace import Recording, of_har, read

__all__ = ["read_recording", "recorder_of"]


def read_recording(name: str) -> Recording:
    """The recording in a file of either form, or the wires in a HAR.

    Args:
        name: of the file; ``-``: standard input.

    Raises:
        OSError: the file cannot be read.
        RemoteProtocolError: there is none in it.
    """
    data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    archive = _archive(data)
    return read(data) if archive is None else of_har(archive)


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
    with closing(Recordings(name)) as recordings:
        yield recordings
