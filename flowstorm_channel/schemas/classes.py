"""JSON Schema of wire classes, out of the declarations that their codecs are compiled from.

A class has two schemas. The one of what is *sent* is strict: it has each member under its one name and in its
one form, and requires every member that encoders always write. The one of what is *accepted* is what decoders
take: fewer members, other names, other forms, null. Whatever is valid by the first is valid by the second,
as long as it stays within the limits.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from flowstorm_channel.answers import Part
from flowstorm_channel.codecs import to_json
from flowstorm_channel.codecs.settings import DEFAULTS_OF_THE_CODEC
from flowstorm_channel.events import SPELLINGS, Event
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.locales import locale_to_wire
from flowstorm_channel.schema import INTEGERS, Kind, Member, Shape, Value, members
from flowstorm_channel.schemas import scalars
from flowstorm_channel.schemas.scalars import JsonSchema
from flowstorm_channel.values import LogEntry

__all__ = ["AT", "DIALECT", "Definitions", "described", "summary"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""What the schemas are written in."""
AT = "#/$defs/"


def summary(cls: type) -> str:
    """What the documentation of a class says first."""
    return " ".join((inspect.getdoc(cls) or "").partition("\n\n")[0].split())


def described(schema: Mapping[str, Any], text: str) -> JsonSchema:
    """The schema with a description of its own."""
    sentence = {"description": text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")}
    if schema.keys() == {"$ref"}:
        # Makers of types take a reference with something beside it for a new type.
        return {**sentence, "allOf": [dict(schema)]}
    return {**sentence, **{name: value for name, value in schema.items() if name != "description"}}


class Definitions:
    """The schemas of classes by their names, gathered as they are referred to.

    Args:
        accepted: of what is accepted; else of what is sent.
        limits: of what is accepted.
        at: where references lead.
        prefix: of the names of classes that do not begin with it.
        schemas: where they are gathered; those of several prefixes can share it.
    """

    def __init__(
        self,
        *,
        accepted: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        at: str = AT,
        prefix: str = "",
        schemas: dict[str, JsonSchema] | None = None,
    ) -> None:
        self.accepted = accepted
        self.schemas: dict[str, JsonSchema] = {} if schemas is None else schemas
        self._limits = limits
        self._at = at
        self._prefix = prefix

    def of(self, cls: type) -> JsonSchema:
        """A reference to the schema of a class."""
        name = cls.__name__ if cls.__name__.startswith(self._prefix) else self._prefix + cls.__name__
        if name not in self.schemas:
            self.schemas[name] = {}  # its place comes before those of its parts
            self.schemas[name] = self.inline(cls)
        return self.reference(name)

    def reference(self, name: str) -> JsonSchema:
        """A reference to a schema by its name."""
        return {"$ref": self._at + name}

    def zone(self) -> JsonSchema:
        """A reference to the schema of time zones."""
        return self._define("ZoneName", scalars.ZONE)

    def one_of(self, classes: Iterable[type]) -> JsonSchema:
        """Any of several classes, told apart by what they say of themselves."""
        return {"oneOf": [self.of(cls) for cls in classes]}

    def unknown(self, name: str, member: str, known: Iterable[str]) -> JsonSchema:
        """A reference to the schema of objects of a type that is not known.

        Args:
            name: of the definition.
            member: that says the type.
            known: the types that are.
        """
        self.schemas[name] = {
            "description": "Of a type that this version does not know. It is delivered, never dropped.",
            "type": "object",
            "properties": {member: {**self._text(), "not": {"enum": list(known)}}},
            "required": [member],
            **self._openness(),
        }
        return self.reference(name)

    # -------------------------------------------------------- a class

    def inline(self, cls: type) -> JsonSchema:
        """The schema of a class itself; what it refers to is gathered."""
        properties: dict[str, JsonSchema] = {}
        required: list[str] = []
        choices: list[JsonSchema] = []
        if hasattr(cls, "TYPE"):
            spellings = _spellings(cls)
            several = self.accepted and len(spellings) > 1
            properties["type"] = {"enum": spellings} if several else {"const": spellings[0]}
            required.append("type")
        for each in members(cls):
            schema = self._member(cls, each)
            properties[each.wire] = schema
            for alias in each.aliases if self.accepted else ():
                properties[alias] = described(schema, f"another name of `{each.wire}`; the last one counts")
            if self.accepted and each.inside is not None:
                properties |= self._inside(each, schema)
            if self._is_required(cls, each) and not (self.accepted and each.aliases):
                required.append(each.wire)
            elif each.required and self.accepted:
                choices.append(self._any_name(each))
        return {
            "description": summary(cls),
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
            **({"allOf": choices} if choices else {}),
            **self._openness(),
        }

    def _openness(self) -> JsonSchema:
        """Members that are not known are kept out of the way, within the limits."""
        if not self.accepted:
            return {}
        limits = self._limits
        return {
            "maxProperties": limits.items,
            "propertyNames": {"maxLength": limits.string_bytes},
            "additionalProperties": self._json(),
        }

    def _is_required(self, cls: type, each: Member) -> bool:
        if _names_its_class(each):
            return True
        if self.accepted:
            return each.required
        # Parts of an answer leave out what is empty.
        return not each.shape.optional and not (issubclass(cls, Part) and each.shape.kind is Kind.LIST)

    def _member(self, cls: type, each: Member) -> JsonSchema:
        if _names_its_class(each):
            return {"const": each.default}
        schema = self._shape(each.shape)
        if each.shape.kind is Kind.LIST and issubclass(cls, Part):
            schema["minItems"] = 1
        if self.accepted and (not each.required or each.aliases):
            schema = _nullable(schema)
        schema = described(schema, each.doc) if each.doc else schema
        if self.accepted and not each.required and (cls, each.name) not in DEFAULTS_OF_THE_CODEC:
            schema["default"] = _plain(each.default, each.shape)
        return schema

    def _inside(self, each: Member, schema: JsonSchema) -> dict[str, JsonSchema]:
        assert each.inside is not None
        outer, inner = each.inside
        what = f"another place of `{each.wire}`; the last one counts"
        return {outer: described({**self.reference("Json"), "properties": {inner: schema}}, what)}

    def _any_name(self, each: Member) -> JsonSchema:
        """Under one of its names it has to be there, and to say something."""
        names = each.wire, *each.aliases
        given = ({"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in names)
        return {"anyOf": list(given)}

    # -------------------------------------------------------- a value

    def _shape(self, shape: Shape) -> JsonSchema:
        if shape.choices:
            return {"enum": list(shape.choices)}
        match shape.kind:
            case Kind.STRING:
                return self._text()
            case Kind.INTEGER:
                return {"type": "integer", "minimum": INTEGERS.start, "maximum": INTEGERS.stop - 1}
            case Kind.NUMBER:
                return {"type": "number"}
            case Kind.BOOLEAN:
                return {"type": "boolean"}
            case Kind.ENUM:
                return {"type": "string", "enum": [each.value for each in shape.of]}
            case Kind.LOCALE:
                return self._text() if self.accepted else dict(scalars.LOCALE)
            case Kind.ZONE:
                return self.zone()
            case Kind.TIME:
                return self._define("Time", scalars.accepted_time() if self.accepted else scalars.SENT_TIME)
            case Kind.BYTES:
                return self._define("Bytes", self._bytes())
            case Kind.MAP:
                return {"type": "object", **(self._json() if self.accepted else {})}
            case Kind.OBJECT:
                return self.of(shape.of)
            case Kind.UNION:
                return self.one_of(shape.of)
            case _:
                return self._list(shape.of)

    def _text(self) -> JsonSchema:
        return {"type": "string", **({"maxLength": self._limits.string_bytes} if self.accepted else {})}

    def _list(self, element: Shape) -> JsonSchema:
        schema: JsonSchema = {"type": "array", "items": self._shape(element)}
        if self.accepted:
            limits = self._limits
            schema["maxItems"] = (
                min(limits.log_entries, limits.items) if element.of is LogEntry else limits.items
            )
        return schema

    def _bytes(self) -> JsonSchema:
        return scalars.accepted_bytes(self._limits) if self.accepted else scalars.SENT_BYTES

    def _json(self) -> JsonSchema:
        limits = self._limits
        inner = self.reference("Json")
        return self._define(
            "Json",
            {
                "description": "Any JSON value, within the limits.",
                "maxLength": limits.string_bytes,
                "maxItems": limits.items,
                "items": inner,
                "maxProperties": limits.items,
                "propertyNames": {"maxLength": limits.string_bytes},
                "additionalProperties": inner,
            },
        )

    def _define(self, name: str, schema: JsonSchema) -> JsonSchema:
        self.schemas.setdefault(name, schema)
        return self.reference(name)


def _spellings(cls: type) -> list[str]:
    own = cls.TYPE  # type: ignore[attr-defined]
    others = (name for name, known in SPELLINGS.items() if known is cls and name != own)
    return [own, *others] if issubclass(cls, Event) else [own]


def _names_its_class(each: Member) -> bool:
    """Whether a member has the only value that it may have: it tells objects of its class from others."""
    return each.shape.choices == (each.default,)


def _nullable(schema: JsonSchema) -> JsonSchema:
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    with_null = {**schema, "type": [schema["type"], "null"]}
    return {**with_null, "enum": [*schema["enum"], None]} if "enum" in schema else with_null


def _plain(default: Any, shape: Shape) -> Any:
    """A default as JSON has it."""
    if isinstance(default, Value):
        return to_json(default)
    if isinstance(default, tuple):
        return [_plain(each, shape) for each in default]
    if shape.kind is Kind.ENUM and default is not None:
        return default.value
    return locale_to_wire(default) if shape.kind is Kind.LOCALE and default is not None else default
