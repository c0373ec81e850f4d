"""How the commands read recordings, and make them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from flowstorm_channel.contrib.recordings import Recordings
from flowstorm_channel.trace import Recording, read

__all__ = ["read_recording", "recorder_of"]


def read_recording(name: str) -> Recording:
    """The recording in a file of either form.

    Args:
        name: of the file; ``-``: standard input.

    Raises:
        OSError: the file cannot be read.
        RemoteProtocolError: there is none in it.
    """
    return read(sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes())


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
