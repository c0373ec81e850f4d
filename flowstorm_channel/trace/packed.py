"""A recording as a msgpack file, to be written while it happens: the head, then the entries, one map each.

Nothing in it refers to what comes later, so that a file that was cut off anywhere, by a crash or a full disk,
is readable up to its last whole entry.
"""

from __future__ import annotations

import codecs
import io
import math
from collections.abc import Iterator
from typing import Any

import msgpack  # type: ignore[import-untyped]

from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.trace.entries import Entry, Head, Recording
from flowstorm_channel.trace.lines import load
from flowstorm_channel.trace.trees import entry_of_tree, head_of_tree, tree_of_entry, tree_of_head

__all__ = ["pack", "pack_entry", "pack_head", "read", "unpack"]

_LONGEST = 2**31 - 1
_MOST = 2**24
"""Elements of an array that was cut off; room for them is made before they are there."""
_MAPS = (*range(0x80, 0x90), 0xDE, 0xDF)
"""How a map begins."""


def pack(recording: Recording) -> Iterator[bytes]:
    """The pieces of a file: the head, and each entry.

    Raises:
        ValueError: the time of an entry is no finite number.
    """
    yield pack_head(recording.head)
    for entry in recording.entries:
        yield pack_entry(entry)


def pack_head(head: Head) -> bytes:
    """How a file begins."""
    return _packed(tree_of_head(head))


def pack_entry(entry: Entry) -> bytes:
    """How it goes on.

    Raises:
        ValueError: the time is no finite number.
    """
    if not math.isfinite(entry.at):
        raise ValueError(f"{entry.at} is no time")
    return _packed(tree_of_entry(entry))


def unpack(data: bytes) -> Recording:
    """Read a recording.

    Args:
        data: of a file; a last entry that was cut off is left out.

    Raises:
        RemoteProtocolError: it is no recording, one of a newer version, or broken elsewhere than at its end.
    """
    unpacker = msgpack.Unpacker(
        raw=False,
        strict_map_key=True,
        unicode_errors="surrogatepass",
        max_buffer_size=max(len(data), 1),
        max_str_len=_LONGEST,
        max_bin_len=_LONGEST,
        # Not by the length of the file: one that was cut off is shorter than what it says.
        max_array_len=max(len(data), _MOST),
        max_map_len=max(len(data), _MOST),
        ext_hook=_refused,
    )
    unpacker.feed(data)
    trees = _trees(unpacker)
    head = head_of_tree(next(trees, None))
    return Recording(head, tuple(_entry(number, tree) for number, tree in enumerate(trees, 1)))


def read(data: bytes) -> Recording:
    """Read a recording of either form.

    Args:
        data: of a file.

    Raises:
        RemoteProtocolError: it is no recording, one of a newer version, or broken elsewhere than at its end.
    """
    if data[:1] and data[0] in _MAPS:  # the head; nothing that is text begins so
        return unpack(data)
    # A line that was cut off in the middle of a character is cut off all the same.
    text = io.BytesIO(data.removeprefix(codecs.BOM_UTF8))
    return load(line.decode("utf-8", errors="replace") for line in text)


def _entry(number: int, tree: object) -> Entry:
    try:
        return entry_of_tree(tree)
    except RemoteProtocolError as error:
        raise RemoteProtocolError(f"entry {number} is none: {error}") from None


def _trees(unpacker: Any) -> Iterator[Any]:
    while True:
        at = unpacker.tell()
        try:
            tree = unpacker.unpack()
        except msgpack.OutOfData:
            return
        except (ValueError, RecursionError, MemoryError, msgpack.UnpackException) as error:
            raise RemoteProtocolError(f"not msgpack after {at} bytes: {error}") from None
        yield tree


def _packed(tree: dict[str, Any]) -> bytes:
    data: Any = msgpack.packb(tree, unicode_errors="surrogatepass")
    return bytes(data)


def _refused(code: int, data: bytes) -> Any:
    raise ValueError(f"an extension of type {code}, {len(data)} bytes")
