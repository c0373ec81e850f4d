"""What documents of AsyncAPI and OpenAPI have in common: schemas of both forms, under names of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowstorm_channel.events import Side
from flowstorm_channel.limits import Limits
from flowstorm_channel.schemas.classes import AT, Definitions
from flowstorm_channel.schemas.scalars import JsonSchema

__all__ = ["Components", "draft_07"]

_ACCEPTED = "#/accepted/"
_PLACE = "#/components/schemas/"


class Components:
    """The schemas of a document that is one end's: what it receives as accepted, what it sends as sent.

    A class that goes both ways has two schemas; that of what is accepted is called ``Accepted…``.

    Args:
        side: whose document it is.
        limits: of what that end accepts.
    """

    def __init__(self, side: Side, limits: Limits) -> None:
        self._side = side
        self._limits = limits
        self._sent: dict[str, JsonSchema] = {}
        self._accepted: dict[str, JsonSchema] = {}

    def sent_by(self, sender: Side, prefix: str = "") -> Definitions:
        """Where the schemas belong of what an end sends.

        Args:
            sender: that end.
            prefix: see `Definitions`.
        """
        accepted = sender is not self._side
        return Definitions(
            accepted=accepted,
            limits=self._limits,
            at=_ACCEPTED if accepted else AT,
            prefix=prefix,
            schemas=self._accepted if accepted else self._sent,
        )

    def complete(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document with the schemas among its components, and all references leading there."""
        sent, accepted = self._sent, self._accepted
        twice = {name for name, schema in accepted.items() if name in sent and sent[name] != schema}
        names = {name: f"Accepted{name}" if name in twice else name for name in accepted}

        def place(reference: str) -> str:
            if reference.startswith(_ACCEPTED):
                return _PLACE + names[reference.removeprefix(_ACCEPTED)]
            return reference.replace(AT, _PLACE)

        schemas = {**sent, **{names[name]: schema for name, schema in accepted.items()}}
        whole = {**document, "components": {**document["components"], "schemas": schemas}}
        placed: dict[str, Any] = _with_references(whole, place)
        return placed


def _with_references(tree: Any, place: Callable[[str], str]) -> Any:
    if isinstance(tree, list):
        return [_with_references(each, place) for each in tree]
    if not isinstance(tree, dict):
        return tree
    return {
        name: place(value) if name == "$ref" and isinstance(value, str) else _with_references(value, place)
        for name, value in tree.items()
    }


def draft_07(tree: Any) -> Any:
    """The same in the older draft that AsyncAPI is written in: nothing stands beside a reference."""
    if isinstance(tree, list):
        return [draft_07(each) for each in tree]
    if not isinstance(tree, dict):
        return tree
    found = {"items" if name == "prefixItems" else name: draft_07(value) for name, value in tree.items()}
    if "$ref" not in found or len(found) == 1:
        return found
    return {"allOf": [{"$ref": found.pop("$ref")}], **found}
