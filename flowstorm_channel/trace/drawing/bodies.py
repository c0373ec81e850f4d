"""The objects in the bodies of HTTP, however they were cut; what is wrong with them is shown, not refused."""

from __future__ import annotations

import json
import re
from typing import Any, Protocol, cast

import msgpack  # type: ignore[import-untyped]

from flowstorm_channel.codecs.brackets import Brackets
from flowstorm_channel.limits import Limits

__all__ = ["Json", "Msgpack", "Reader", "json_of", "msgpack_of"]

_LIMITS = Limits(nesting=500)
_BETWEEN = re.compile(rb"[ \t\r\n\[\],]*")
_LONGEST = 2**31 - 1


def json_of(data: str | bytes) -> Any:
    """What a text of JSON holds.

    Raises:
        ValueError: it is none.
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deep") from None


def msgpack_of(data: bytes) -> Any:
    """What a message of msgpack holds.

    Raises:
        ValueError: it is none, or more than one.
    """
    unpacker = _unpacker()
    try:
        unpacker.feed(data)
        tree = unpacker.unpack()
    except (msgpack.UnpackException, ValueError, RecursionError, TypeError) as error:
        raise ValueError(str(error) or type(error).__name__) from None
    if unpacker.tell() != len(data):
        raise ValueError("more follows what is whole")
    return tree


class Reader(Protocol):
    """Takes a body in pieces."""

    problem: str
    """Why it is not read any further; empty: it is."""

    def feed(self, data: bytes) -> list[Any]:
        """What is complete with this piece."""
        ...


class Json:
    """Objects of JSON, with anything between them that may stand there."""

    def __init__(self) -> None:
        self.problem = ""
        self._held = bytearray()
        self._inside = False
        self._brackets = Brackets(_LIMITS)

    def feed(self, data: bytes) -> list[Any]:
        """What is complete with this piece."""
        found: list[Any] = []
        if not self.problem:
            self._held += data
            try:
                while (end := self._end()) is not None:
                    found.append(json_of(bytes(self._held[:end])))
                    del self._held[:end]
            except ValueError as error:
                self.problem = f"not JSON: {error}"
        return found

    def _end(self) -> int | None:
        """Where the next object ends; None when it has not come.

        Raises:
            ValueError: there is none.
        """
        if not self._inside:
            self._brackets.restart()
            del self._held[: cast("re.Match[bytes]", _BETWEEN.match(self._held)).end()]
            if self._held and self._held[:1] != b"{":
                raise ValueError(f"no object begins with {bytes(self._held[:20])!r}")
        end = self._brackets.find_end(self._held, len(self._held)) if self._held else None
        self._inside = bool(self._held) and end is None
        return end


class Msgpack:
    """Maps of msgpack."""

    def __init__(self) -> None:
        self.problem = ""
        self._unpacker = _unpacker()

    def feed(self, data: bytes) -> list[Any]:
        """What is complete with this piece."""
        found: list[Any] = []
        try:
            if not self.problem:
                self._unpacker.feed(data)
                for tree in self._unpacker:  # what comes before something broken is whole
                    found.append(tree)  # noqa: PERF402
        except (msgpack.UnpackException, ValueError, RecursionError, TypeError) as error:
            self.problem = f"not msgpack: {str(error) or type(error).__name__}"
        return found


def _unpacker() -> Any:
    return msgpack.Unpacker(
        raw=False, strict_map_key=False, unicode_errors="replace", max_buffer_size=_LONGEST
    )
