"""What both versions mean alike by what a user says, and who the user is (external.md, 2 and 4)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from flowstorm_channel.sessions import well_formed
from flowstorm_channel.values import (
    INTRO,
    SILENCE,
    STOP,
    ClientAttributes,
    Input,
    InputClass,
    InputClassType,
    Location,
    Transcript,
    action_of,
)

__all__ = ["MOST_STORED", "STORED_ID", "VERIFIED", "action_named", "id_of", "input_of", "stored_id"]


# ------------------------------------------------------------ what the user says

INTENT = "actions.intent."
"""What the names of Google's own intents begin with."""
_MEANINGS = {
    f"{INTENT}MAIN": INTRO,
    f"{INTENT}CANCEL": STOP,
    **dict.fromkeys([f"{INTENT}NO_INPUT{end}" for end in ("", "_1", "_2", "_FINAL")], SILENCE),
}
_WORDS = {f"{INTENT}TEXT", f"{INTENT}OPTION"}
"""Intents that say nothing beside the user's words."""


def action_named(name: str) -> str:
    """An intent or a handler as an input action: ``actions.intent.PERMISSION`` is ``#PERMISSION``."""
    name = name.removeprefix(INTENT)
    return action_of(name) if name else SILENCE


def input_of(
    intent: str,
    words: str,
    *,
    version: str,
    locale: str,
    zone_id: str | None,
    has_screen: bool,
    location: Location | None,
) -> Input:
    """What a request says.

    Args:
        intent: its name; empty when there is none.
        words: of the user, or the key of what he chose; may be empty.
        version: of the protocol; the other arguments are what a `GoogleRequest` tells of the device.
    """
    attributes = ClientAttributes(
        client_type=f"google-assistant:{version}", client_screen=has_screen, client_location=location
    )
    plainly = not intent or intent in _MEANINGS or intent in _WORDS
    given: dict[str, Any] = {} if zone_id is None else {"zone_id": zone_id}
    return Input(
        locale=locale,
        transcript=Transcript(text=_text_of(intent, words)),
        classes=() if plainly else (InputClass(type=InputClassType.INTENT, name=intent),),
        attributes=attributes.to_map(),
        **given,
    )


def _text_of(intent: str, words: str) -> str:
    if intent in _MEANINGS:
        return _MEANINGS[intent]
    if words.strip():
        return words
    return SILENCE if intent in _WORDS else action_named(intent)


# ------------------------------------------------------------ what is stored with the user

VERIFIED = "VERIFIED"
"""What is said of a user whom Google knows, and with whom something can be stored."""
STORED_ID = "flowstormDeviceId"
"""Under which name a device id is kept in a user's storage."""
MOST_STORED = 10_000
"""How much Google stores for a user, in bytes."""


def id_of(conversation_id: str) -> str:
    """The device id of a conversation's user with whom none is stored: the same in every turn."""
    return hashlib.sha256(conversation_id.encode()).hexdigest()[:32]


def stored_id(storage: Mapping[str, Any]) -> str | None:
    """The device id that an answer has stored there; None when there is none."""
    found = storage.get(STORED_ID)
    return found if isinstance(found, str) and well_formed(found) else None
