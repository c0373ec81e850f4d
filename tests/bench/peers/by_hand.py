"""A server of Socket V1 as one writes it in an afternoon: no checks, no cancellation, no limits.

`Session` is the bare loop; `app` is an application for an ASGI server around it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

__all__ = ["Session", "app"]


class Session:
    """What one connection remembers, and what it answers."""

    def __init__(self) -> None:
        self.session_id: str | None = None
        self.config: dict[str, Any] = {}

    def receive(self, text: str) -> Iterator[str]:
        """The messages that answer one."""
        event = json.loads(text)
        match event["type"]:
            case "Init":
                self.config = event.get("config", {})
                yield json.dumps({"type": "Ready"})
            case "Input":
                if self.session_id is None:
                    self.session_id = str(uuid.uuid4())
                    yield json.dumps({"type": "SessionStarted", "sessionId": self.session_id})
                said = event["input"]["transcript"]["text"]
                item = {"text": f"You said {said}.", "confidence": 1.0, "repeatable": True}
                yield json.dumps({"type": "ResponseItem", "responseItem": item})
                response = {
                    "locale": event["input"].get("locale", "en"),
                    "items": [],
                    "logs": [],
                    "attributes": {},
                    "expectedPhrases": [],
                    "sessionEnded": False,
                    "sleepTimeout": 0,
                }
                yield json.dumps({"type": "Response", "response": response})


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """The same as an application."""
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    session = Session()
    while True:
        message = await receive()
        if message["type"] != "websocket.receive":
            return
        for text in session.receive(message["text"]):
            await send({"type": "websocket.send", "text": text})
