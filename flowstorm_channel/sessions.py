"""Names of sessions: what a client may propose, and what a server makes up."""

from __future__ import annotations

import re
import uuid

__all__ = ["uuid4_text", "well_formed"]

_WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def well_formed(session_id: str) -> bool:
    """Whether a client may propose that id: 1 to 64 letters, digits, ``_`` and ``-`` (D-58)."""
    return _WELL_FORMED.fullmatch(session_id) is not None


def uuid4_text() -> str:
    """A new session id that nobody can guess."""
    return str(uuid.uuid4())
