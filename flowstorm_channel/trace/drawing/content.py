"""What the page of a recording draws, as JSON that can stand in HTML."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

from flowstorm_channel.trace.drawing.model import Band, Picture, Row
from flowstorm_channel.trace.drawing.texts import clean

__all__ = ["AUDIO_BYTES", "content_of"]

AUDIO_BYTES = 24_000_000
"""Of audio that can be listened to, in one page."""
_RAW = 65_536
"""Bytes of a message that the page shows."""
_INNER = 1024
"""Bytes that stand in a member."""
_DEEPEST = 100
_EXACT = 2**53
"""Beyond it a number is not exact in the page."""
_POINTS = 240


def content_of(picture: Picture, *, audio_bytes: int) -> str:
    """The picture as JSON in ASCII without ``<``, so that nothing in it ends the element that it stands in.

    Args:
        picture: what is drawn.
        audio_bytes: how much audio is put in.
    """
    rows, left = [], audio_bytes
    for row in picture.rows:
        tree, taken = _row(row, left)
        rows.append(tree)
        left -= taken
    content = {
        "seenBy": picture.head.seen_by,
        "redacted": [clean(each) for each in picture.head.redacted],
        "kinds": picture.kinds,
        "wires": len(picture.wires),
        "duration": picture.duration,
        "spans": [[each.slot, each.region, each.name, each.first, each.last] for each in picture.spans],
        "rows": rows,
    }
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _row(row: Row, audio_bytes: int) -> tuple[dict[str, Any], int]:
    """A row as the page knows it, and how many bytes of audio are in it."""
    members = {
        "wire": row.wire,
        "by": row.by,
        "state": row.state,
        "audio": row.audio,
        "notes": [[clean(each.id), clean(each.level), clean(each.text)] for each in row.notes] or None,
        **_raw(row),
    }
    taken = 0
    if row.band is not None:
        fits = row.kind == "audio" and row.band.size <= audio_bytes
        taken = row.band.size if fits else 0
        members["band"] = _band(row.band, whole=fits)
    tree = {
        "entry": row.entry,
        "at": round(row.at, 6),
        "since": round(row.since, 6),
        "kind": row.kind,
        "channel": row.channel,
        "name": row.name,
        "text": row.text,
        **{name: value for name, value in members.items() if value is not None},
    }
    return tree, taken


def _raw(row: Row) -> dict[str, Any]:
    """What went over the wire, and what is in it; that is left out where the page can read it itself."""
    fields = None if row.fields is None else _shown(row.fields)
    if isinstance(row.raw, str) and len(row.raw) <= _RAW:
        if fields is not None and fields == row.fields:
            return {"raw": row.raw, "parsed": True}
        return {"raw": row.raw, "fields": fields}
    if row.raw is None:
        return {"fields": fields}
    data = row.raw.encode(errors="replace") if isinstance(row.raw, str) else row.raw
    return {"base64": _base64(data[:_RAW]), "size": len(data), "fields": fields}


def _band(band: Band, *, whole: bool) -> dict[str, Any]:
    levels = band.levels
    return {
        "encoding": band.encoding,
        "rate": band.rate,
        "size": band.size,
        "length": band.length,
        "loudest": max(levels, default=None),
        "levels": band.curve(_POINTS),
        "entries": [each.entry for each in band.blocks],
        "at": [round(each.at, 6) for each in band.blocks],
        "sizes": [len(each.data) for each in band.blocks],
        "loud": [each.level for each in band.blocks],
        "data": _base64(b"".join(each.data for each in band.blocks)) if whole else None,
    }


def _shown(value: Any, depth: int = 0) -> Any:
    """A value as the page shows it: what JavaScript has no form for is an object with the name ``$``."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if abs(value) <= _EXACT else {"$": str(value)}
        case float():
            return value if math.isfinite(value) else {"$": str(value)}
        case bytes():
            return {"$": _base64(value[:_INNER]), "size": len(value)}
        case Mapping() if depth < _DEEPEST:
            return {_name(name): _shown(each, depth + 1) for name, each in value.items()}
        case list() | tuple() if depth < _DEEPEST:
            return [_shown(each, depth + 1) for each in value]
        case Mapping() | list() | tuple():
            return {"$": "nested too deep to be shown"}
    return {"$": repr(value)}


def _name(name: Any) -> str:
    text = name if isinstance(name, str) else repr(name)
    return f"${text}" if text.startswith("$") else text


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
