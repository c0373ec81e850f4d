"""A recording as JSON Lines: the head, then an entry on each line; to be read, searched and compared.

A file that was cut off is readable up to its last whole line.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.trace.entries import Entry, Head, Recording
from flowstorm_channel.trace.trees import entry_of_tree, head_of_tree, tree_of_entry, tree_of_head

__all__ = ["dump", "load"]

_UNWRITABLE = re.compile("[\x85\u2028\u2029\ud800-\udfff]")
"""What JSON lets stand in a string, and what would end a line of the file, or has no form in UTF-8."""


def dump(head: Head, entries: Iterable[Entry]) -> Iterator[str]:
    """The lines of a file, each with its line break. They can be written in UTF-8 whatever a peer has sent.

    Args:
        head: what the recording is of.
        entries: in order.

    Raises:
        ValueError: the time of an entry is no finite number, or an entry is nested too deep to be written.
    """
    yield _line(tree_of_head(head))
    for entry in entries:
        if not math.isfinite(entry.at):
            raise ValueError(f"{entry.at} is no time")
        yield _line(tree_of_entry(entry))


def load(lines: Iterable[str]) -> Recording:
    """Read a recording.

    Args:
        lines: of a file; a last one that was cut off is left out.

    Raises:
        RemoteProtocolError: it is no recording, one of a newer version, or broken elsewhere than at its end.
    """
    rest = iter(lines)
    try:
        head = head_of_tree(_object(next(rest, "")))
    except _NotJson:
        head = head_of_tree(None)
    entries: list[Entry] = []
    broken: RemoteProtocolError | None = None
    for number, line in enumerate(rest, 2):
        if not line.strip():
            continue
        if broken is not None:
            raise broken
        try:
            entries.append(entry_of_tree(_object(line)))
        except RemoteProtocolError as error:
            broken = RemoteProtocolError(f"line {number} is no record: {error}")
            if line.endswith("\n"):
                raise broken from None  # it is whole
    return Recording(head, tuple(entries))


# ------------------------------------------------------------ what JSON has no form for


class _NotJson(RemoteProtocolError):
    """A line that is nothing in JSON."""


def _line(tree: dict[str, Any]) -> str:
    if isinstance(tree.get("bytes"), bytes):
        tree = {**tree, "bytes": base64.b64encode(tree["bytes"]).decode()}
    try:
        text = json.dumps(_to_json(tree), ensure_ascii=False, allow_nan=False)
    except RecursionError:
        raise ValueError("an entry is nested too deep to be written as JSON") from None
    return _UNWRITABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def _to_json(value: Any) -> Any:
    """Bytes and what is no number become objects with a name that begins with ``$``."""
    if isinstance(value, dict):
        return {f"${name}" if name[:1] == "$" else name: _to_json(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_json(each) for each in value]
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(value)}
    return value


def _of_json(value: Any) -> Any:
    match value:
        case {"$bytes": str(text)}:
            return _bytes(text)
        case {"$float": "nan" | "inf" | "-inf" as text}:
            return float(text)
        case dict():
            return {name[1:] if name[:2] == "$$" else name: _of_json(each) for name, each in value.items()}
        case list():
            return [_of_json(each) for each in value]
    return value


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise RemoteProtocolError(f"its bytes are no base64: {error}") from None


def _object(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line, parse_constant=_refused)
        if not isinstance(found, dict):
            raise _NotJson("not an object")
        tree: dict[str, Any] = _of_json(found)
    except RemoteProtocolError:
        raise
    except (ValueError, RecursionError) as error:
        raise _NotJson(f"not JSON: {error}") from None
    if "by" in tree and isinstance(tree.get("bytes"), str):
        tree["bytes"] = _bytes(tree["bytes"])
    return tree


def _refused(name: str) -> float:
    raise ValueError(f"{name} is no number")
