"""Replay tokens: a short text that says what the kit did, so that it can be done again."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from typing import Any

import attrs

__all__ = ["Token"]

_PREFIX = "fsc1-"
_MOST = 1 << 20  # bytes, unpacked


@attrs.frozen(kw_only=True)
class Token:
    """What was done.

    Args:
        suite: such as ``socket-v1/server``.
        check: the name of the check that was run; None: it was a walk.
        steps: of the walk, each as JSON.
    """

    suite: str
    check: str | None = None
    steps: tuple[Any, ...] = ()

    def __str__(self) -> str:
        content = {"suite": self.suite}
        whole = {**content, "check": self.check} if self.check else {**content, "steps": list(self.steps)}
        packed = zlib.compress(json.dumps(whole, separators=(",", ":")).encode(), 9)
        return _PREFIX + base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> Token:
        """The token that a text is.

        Raises:
            ValueError: it is none, or one of another version.
        """
        text = text.strip()
        if not text.startswith(_PREFIX):
            raise ValueError(f"a replay token begins with {_PREFIX}")
        encoded = text[len(_PREFIX) :]
        try:
            unpacker = zlib.decompressobj()
            data = unpacker.decompress(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)), _MOST)
            found = json.loads(data) if unpacker.eof else None
        except (binascii.Error, zlib.error, ValueError, RecursionError):
            found = None
        match found:
            case {"suite": str(suite), "check": str(check)}:
                return cls(suite=suite, check=check)
            case {"suite": str(suite), "steps": list(steps)}:
                return cls(suite=suite, steps=tuple(steps))
        raise ValueError("this replay token is not whole")
