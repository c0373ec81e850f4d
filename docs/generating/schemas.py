"""The schemas, as files that other programs read."""

from __future__ import annotations

import json
from typing import Any

from flowstorm_channel import schemas


def files() -> dict[str, str]:
    """The text of each, by its path below ``docs``."""
    made = {
        "events.sent": schemas.event_schema(),
        "events.accepted": schemas.event_schema(accepted=True),
        "states": schemas.states_document(),
        "states.schema": schemas.states_schema(),
        **{f"{each}.asyncapi": schemas.asyncapi_document(each) for each in schemas.ASYNCAPI_CHANNELS},
        **{f"{each}.openapi": schemas.openapi_document(each) for each in schemas.OPENAPI_CHANNELS},
    }
    return {f"schemas/{name}.json": text(document) for name, document in made.items()}


def text(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
