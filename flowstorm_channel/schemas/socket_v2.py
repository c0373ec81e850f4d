"""Socket V2 as OpenAPI (socket-v2.md)."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from itertools import product
from typing import Any

import attrs

from flowstorm_channel.events import (
    EVENTS,
    BinaryEvent,
    ErrorEvent,
    Event,
    InputEvent,
    RecognizedInputEvent,
    Side,
    Version,
)
from flowstorm_channel.limits import Limits
from flowstorm_channel.schemas.classes import Definitions, described
from flowstorm_channel.schemas.components import Components
from flowstorm_channel.schemas.events import packed_binary, union_of
from flowstorm_channel.schemas.scalars import PARAMETER, JsonSchema
from flowstorm_channel.schemas.statuses import NO_STORE, refusals
from flowstorm_channel.socket_v2.bodies import MEDIA_TYPES, Form
from flowstorm_channel.socket_v2.settings import COOKIE, PARAMETERS, Settings
from flowstorm_channel.values import Response

__all__ = ["socket_v2"]

Tree = dict[str, Any]

_DESCRIPTION = """\
Conversations over HTTP. A PUT brings the input of a turn and takes its answer; a GET reads what is recognised
while a PUT still brings audio. Bodies of events are a sequence: JSON objects one after another, or the
elements of one array, and msgpack maps one after another. An answer in JSON has one event a line. The schema
of such a body is that of one event."""

_SECURITY = {
    "key": ("key", "The application (D-27)."),
    "device_id": ("deviceId", "The device."),
}


def socket_v2(components: Components, limits: Limits) -> Tree:
    """The document, without its schemas."""
    client, server = components.sent_by(Side.CLIENT), components.sent_by(Side.SERVER)
    answers = _Answers(server)
    said = _said(client, limits)
    schemes, requirements = _security()
    turn = {
        "summary": "Say something and take the answer; or send logs.",
        "requestBody": {"$ref": "#/components/requestBodies/Said"},
        "responses": answers.to_a_turn(),
    }
    return {
        "info": {"title": "Flowstorm Socket V2", "version": "2.0.0", "description": _DESCRIPTION},
        "paths": {
            "/client": {
                "parameters": [*_parameters(client), _cookie(required=False)],
                "put": {"operationId": "say", **turn},
                "post": {"operationId": "sayByPost", **turn},
                "get": {
                    "operationId": "listen",
                    "summary": "Read interim results of the PUT that runs, or of the next one (D-69).",
                    "parameters": [_cookie(required=True)],
                    "responses": answers.to_a_get(),
                },
            }
        },
        "security": requirements,
        "components": {
            "requestBodies": {"Said": {"required": True, "content": said}},
            "securitySchemes": schemes,
        },
    }


# ------------------------------------------------------------ what every request says


def _parameters(definitions: Definitions) -> Iterator[Tree]:
    defaults = attrs.fields_dict(Settings)
    texts = _texts()
    for each in PARAMETERS:
        if each.attribute in _SECURITY:
            continue
        schema = _setting(each.attribute, defaults[each.attribute].default, each.read, definitions)
        places = ("header", each.header, ""), ("query", each.query, each.header)
        for place, name, other in places:
            if name:
                text = texts.get(each.attribute, each.attribute) + (
                    f"; it wins over {other}" if other else ""
                )
                yield {"name": name, "in": place, "schema": schema, **described({}, text)}


def _texts() -> dict[str, str]:
    """What the documentation of `Settings` says of each."""
    lines = (Settings.__doc__ or "").partition("Args:")[2].splitlines()
    pairs = (line.strip().partition(": ") for line in lines if ": " in line)
    return {name: text.rstrip(".") for name, _, text in pairs}


def _setting(name: str, default: Any, read: Any, definitions: Definitions) -> JsonSchema:
    """The schema of a parameter; an empty one says nothing."""
    if isinstance(default, bool):
        legal: list[JsonSchema] = [{"type": "boolean"}, {"enum": ["1", "0", "yes", "no", ""]}]
    elif isinstance(default, int):
        legal = [{"type": "integer", "minimum": 1, "maximum": 999_999_999}, {"const": ""}]
    elif isinstance(default, Enum):
        values = [each.value for each in type(default) if _reads(read, each.value)]
        return {"type": "string", "enum": [*values, ""], "default": default.value}
    elif name == "zone_id":
        legal = [definitions.zone(), {"const": ""}]
    else:
        return {**PARAMETER, "default": default}
    return {"anyOf": legal, "default": default}


def _reads(read: Any, text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True


def _cookie(*, required: bool) -> Tree:
    return {
        "name": COOKIE,
        "in": "cookie",
        "required": required,
        "schema": {"type": "string", **({"minLength": 1} if required else {})},
        "description": "The session. A client may propose an id of 1 to 64 letters, digits, `_` and `-`; one "
        "that is malformed or somebody else's is replaced.",
    }


def _security() -> tuple[Tree, list[Tree]]:
    """Application and device are named, each in a header or in the query; a token may come with them."""
    schemes: Tree = {}
    ways: list[list[str]] = []
    for each in PARAMETERS:
        if each.attribute in _SECURITY:
            name, text = _SECURITY[each.attribute]
            found = {name: ("header", each.header), f"{name}InQuery": ("query", each.query)}
            for scheme, (place, parameter) in found.items():
                schemes[scheme] = {"type": "apiKey", "in": place, "name": parameter, "description": text}
            ways.append(list(found))
    schemes["token"] = {
        "type": "http",
        "scheme": "bearer",
        "description": "The user's, if the host wants one.",
    }
    named = [list(names) for names in product(*ways)]
    return schemes, [{name: [] for name in each} for names in named for each in (names, [*names, "token"])]


# ------------------------------------------------------------ bodies


def _said(definitions: Definitions, limits: Limits) -> Tree:
    """The bodies of a PUT, by their types."""
    classes = [cls for cls in EVENTS.values() if Version.V2 in cls.VERSIONS and Side.CLIENT in cls.SENT_BY]
    union = union_of(classes, definitions)
    definitions.schemas["SaidEvent"] = described(union, "what a client says in a PUT")
    event = definitions.reference("SaidEvent")
    one_input = {"contains": definitions.of(InputEvent), "minContains": 0, "maxContains": 1}
    packed = [each for each in union["oneOf"] if each != definitions.of(BinaryEvent)]
    schemas: Tree = {
        Form.TEXT.value: {
            "description": "One line of the user's text.",
            "type": "string",
            "maxLength": limits.string_bytes,
            "pattern": "[^\\r\\n]",
        },
        Form.JSON.value: {"anyOf": [event, {"type": "array", "items": event, **one_input}]},
        Form.MSGPACK.value: {"oneOf": [*packed, packed_binary()]},
    }
    found: Tree = {}
    for media_type in MEDIA_TYPES:
        form = next((each for each in Form if each.value.startswith(media_type)), None)
        found[media_type] = {} if form is None else {"schema": schemas[form.value]}
    return found


class _Answers:
    """The responses.

    Args:
        definitions: of what the server sends.
    """

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._turn = self._any("AnswerEvent", "what the server says in answer to a PUT", _answering())
        self._recognised = self._any(
            "ResultEvent", "what the server says in answer to a GET", [RecognizedInputEvent, ErrorEvent]
        )
        self._errors = refusals(
            (400, 401, 403, 408, 409, 413, 415, 431, 503), self._content(definitions.of(ErrorEvent))
        )
        _say_both_timeouts(definitions)

    def _any(self, name: str, text: str, classes: list[type[Event]]) -> JsonSchema:
        self._definitions.schemas[name] = described(self._definitions.one_of(classes), text)
        return self._definitions.reference(name)

    def _content(self, schema: JsonSchema) -> Tree:
        return {
            form.value.partition(";")[0]: {"schema": {"type": "string"} if form is Form.TEXT else schema}
            for form in Form
        }

    def to_a_turn(self) -> Tree:
        """Those of PUT and POST."""
        cookie = {
            "Set-Cookie": {
                "description": f"The session in force, as the cookie {COOKIE}.",
                "schema": {"type": "string"},
            }
        }
        return {
            "200": {
                "description": "The answer: RecognizedInput when the input was spoken, ResponseItem any "
                "number of times, and Response. Error takes the place of any of them.",
                "headers": {**NO_STORE, **cookie},
                "content": self._content(self._turn),
            },
            "204": {"description": "There was no input, only logs or nothing.", "headers": NO_STORE},
            **self._errors,
        }

    def to_a_get(self) -> Tree:
        """Those of GET."""
        return {
            "200": {
                "description": "Interim results; the end of the body says that recognition is finished.",
                "headers": NO_STORE,
                "content": self._content(self._recognised),
            },
            "204": {"description": "No PUT with audio has come.", "headers": NO_STORE},
            **{status: each for status, each in self._errors.items() if status not in ("409", "415")},
        }


def _answering() -> list[type[Event]]:
    # The audio of an answer is named by address; blocks of it may come with a later version.
    return [
        cls
        for cls in EVENTS.values()
        if Version.V2 in cls.VERSIONS and Side.SERVER in cls.SENT_BY and cls is not BinaryEvent
    ]


def _say_both_timeouts(definitions: Definitions) -> None:
    """A Response says its timeout under both names (D-18)."""
    response = definitions.schemas[Response.__name__]
    properties = response["properties"]
    properties["sessionTimeout"] = described(properties["sleepTimeout"], "the same as `sleepTimeout`")
    response["required"].append("sessionTimeout")
