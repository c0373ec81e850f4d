"""The events of Flowstorm's channels as the kit sends and reads them: plain objects of JSON.

The kit does not use the library's events for this: what it checks is the wire, with all that may stand there.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    *("CANCEL", "CLOSE", "ENDED", "OPEN", "READY", "Frame"),
    *("init", "item", "log", "recognized", "request", "response", "said", "started", "text_of"),
]

Frame = dict[str, Any]
"""One event."""

READY: Frame = {"type": "Ready"}
OPEN: Frame = {"type": "InputAudioStreamOpen"}
CLOSE: Frame = {"type": "InputAudioStreamClose"}
CANCEL: Frame = {"type": "InputAudioStreamCancel"}
ENDED: Frame = {"type": "SessionEnded"}


def init(*, key: str, device_id: str, **config: Any) -> Frame:
    """What a V1 client says first; `config` has the wire's names."""
    return {"type": "Init", "key": key, "deviceId": device_id, "config": config}


def said(text: str, **members: Any) -> Frame:
    """An Input."""
    return {"type": "Input", "input": {"transcript": {"text": text}, **members}}


def request(text: str, session_id: str, *, key: str, device_id: str) -> Frame:
    """A Request: the older form of Input."""
    return {
        "type": "Request",
        "request": {
            "appKey": key,
            "deviceId": device_id,
            "sessionId": session_id,
            "input": {"transcript": {"text": text}},
            "attributes": {},
        },
    }


def log(text: str) -> Frame:
    """A Log with one entry."""
    entry = {"time": "2026-01-01T00:00:00", "relativeTime": 0.0, "level": "INFO", "text": text}
    return {"type": "Log", "entries": [entry]}


def item(text: str, **members: Any) -> Frame:
    """A ResponseItem."""
    return {"type": "ResponseItem", "responseItem": {"text": text, **members}}


def response(*texts: str, **members: Any) -> Frame:
    """A Response, with all members that real clients need (D-07)."""
    return {
        "type": "Response",
        "response": {
            "locale": "en",
            "items": [{"text": text} for text in texts],
            "logs": [],
            "attributes": {},
            "sessionEnded": False,
            "sleepTimeout": 0,
            **members,
        },
    }


def recognized(text: str, *, final: bool) -> Frame:
    """A V1 server's result."""
    return {"type": "Recognized", "text": text, "isFinal": final}


def started(session_id: str) -> Frame:
    """A V1 server's SessionStarted."""
    return {"type": "SessionStarted", "sessionId": session_id}


def text_of(frame: Frame) -> str:
    """The words in an Input or Request; empty when there are none."""
    held = frame.get("input") or (frame.get("request") or {}).get("input") or {}
    transcript = held.get("transcript") if isinstance(held, dict) else None
    text = transcript.get("text") if isinstance(transcript, dict) else None
    return text if isinstance(text, str) else ""
