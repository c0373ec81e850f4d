"""Finding the end of a msgpack map without unpacking it, in whatever pieces it comes.

`msgpack.Unpacker` in feeding mode bounds its buffer by what was fed, not by what one object takes, and looks
at a declared length only when the whole of the object is there. Here every length is checked where it stands.
"""

from __future__ import annotations

from flowstorm_channel.codecs.faults import Fault, TooDeep
from flowstorm_channel.limits import Limits

__all__ = ["Headers"]

# How the first byte of an object says what follows (github.com/msgpack/msgpack, spec.md): for numbers and the
# like how many bytes, for the rest how many bytes hold the length.
_FIXED = {
    **dict.fromkeys(range(0x80), 0),
    **dict.fromkeys(range(0xE0, 0x100), 0),
    **dict.fromkeys((0xC0, 0xC2, 0xC3), 0),
    **dict.fromkeys((0xCC, 0xD0), 1),
    **dict.fromkeys((0xCD, 0xD1), 2),
    **dict.fromkeys((0xCA, 0xCE, 0xD2), 4),
    **dict.fromkeys((0xCB, 0xCF, 0xD3), 8),
}
_STRINGS = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_BLOCKS = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_ARRAYS = {0xDC: 2, 0xDD: 4}
_MAPS = {0xDE: 2, 0xDF: 4}
_LENGTHS = {**_STRINGS, **_BLOCKS, **_ARRAYS, **_MAPS}


class Headers:
    """Goes from header to header. It goes on where it stopped, so that every header is looked at once.

    Args:
        limits: of one map; a length beyond them is refused before what it announces has come.
    """

    __slots__ = ("_limits", "_open", "_position", "scanned")

    scanned: int
    """All headers looked at so far."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.scanned = 0
        self.restart()

    def restart(self) -> None:
        """Begin with a new map."""
        self._position = 0
        self._open: list[int] = []  # how many objects each open container still lacks, outermost first

    def find_end(self, data: bytes | bytearray, stop: int) -> int | None:
        """Where the map ends that begins at the first byte; None when that is not at or before `stop`.

        Args:
            data: what was given before, and more.

        Raises:
            Fault: it is no map, more than the limits allow, or not msgpack.
        """
        position, waiting = self._position, self._open
        if position and not waiting:
            return position if position <= stop else None  # all headers are in, the last string is not
        while position < stop:
            first = data[position]
            width = _LENGTHS.get(first, 0)
            if position + 1 + width > stop:
                break
            self.scanned += 1
            if not position and first not in _MAPS and first & 0xF0 != 0x80:
                raise Fault("an event must be a map")
            length = int.from_bytes(data[position + 1 : position + 1 + width], "big")
            position += 1 + width
            children = 0
            if first in _FIXED:
                position += _FIXED[first]
            elif first in _STRINGS or 0xA0 <= first < 0xC0:
                length = length if width else first & 0x1F
                self._check(length, self._limits.string_bytes, "a string of more than {} bytes")
                position += length
            elif first in _BLOCKS:
                self._check(length, self._limits.audio_bytes, "more than {} bytes")
                position += length
            elif first in _ARRAYS or 0x90 <= first < 0xA0:
                children = length if width else first & 0x0F
                self._check(children, self._limits.items, "more than {} elements")
                self._check_depth(len(waiting) + 1)
            elif first in _MAPS or 0x80 <= first < 0x90:
                length = length if width else first & 0x0F
                self._check(length, self._limits.items, "more than {} members")
                self._check_depth(len(waiting) + 1)
                children = 2 * length
            else:
                raise Fault(f"not msgpack that is used here: an object of type 0x{first:02x}")
            # What is announced is as good as here: nobody waits for what will be refused.
            self._check(position + children, self._limits.message_bytes, "a message of more than {} bytes")
            if children:
                waiting.append(children)
            else:
                while waiting:
                    waiting[-1] -= 1
                    if waiting[-1]:
                        break
                    waiting.pop()
                if not waiting:
                    self._position = position
                    return position if position <= stop else None
            self._position = position
        return None

    def _check_depth(self, depth: int) -> None:
        if depth > self._limits.nesting:
            raise TooDeep(self._limits.nesting)

    def _check(self, length: int, most: int, problem: str) -> None:
        if length > most:
            raise Fault(problem.format(most), limit=True)
