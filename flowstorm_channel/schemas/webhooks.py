"""The webhooks of Alexa and Google Assistant as OpenAPI (external.md)."""

from __future__ import annotations

from typing import Any

from flowstorm_channel.alexa import messages
from flowstorm_channel.events import SPELLINGS, Side
from flowstorm_channel.google.server import DEFAULT_KEY
from flowstorm_channel.google.v2 import V2Request, V2Response
from flowstorm_channel.google.v3 import V3Request, V3Response
from flowstorm_channel.limits import Limits
from flowstorm_channel.schemas.classes import Definitions
from flowstorm_channel.schemas.components import Components
from flowstorm_channel.schemas.scalars import PARAMETER, JsonSchema
from flowstorm_channel.schemas.statuses import NO_STORE, refusals

__all__ = ["alexa", "google"]

Tree = dict[str, Any]

_JSON = "application/json"
_REFUSAL: JsonSchema = {
    "type": "object",
    "properties": {"error": {"description": "For people.", "type": "string"}},
    "required": ["error"],
}
_STATUSES = (400, 408, 409, 413, 431, 503)


def _webhook(
    *, info: Tree, path: str, operation: Tree, request: JsonSchema, answer: JsonSchema, **rest: Tree
) -> Tree:
    refused = (*_STATUSES, *operation.pop("refused"))
    return {
        "info": info,
        "paths": {
            path: {
                "post": {
                    **operation,
                    "requestBody": {"required": True, "content": {_JSON: {"schema": request}}},
                    "responses": {
                        "200": {
                            "description": "The answer.",
                            "headers": NO_STORE,
                            "content": {_JSON: {"schema": answer}},
                        },
                        **refusals(tuple(sorted(refused)), {_JSON: {"schema": _REFUSAL}}),
                    },
                }
            }
        },
        "components": rest,
    }


def _header(name: str, text: str) -> Tree:
    return {"type": "apiKey", "in": "header", "name": name, "description": text}


# ------------------------------------------------------------ Alexa

_DIRECTIVES = (messages.LaunchVideo, messages.RenderDocument, messages.RenderTemplate)


def alexa(components: Components, limits: Limits) -> Tree:  # noqa: ARG001
    """The document of a skill, without its schemas."""
    platform, skill = components.sent_by(Side.CLIENT), components.sent_by(Side.SERVER)
    document = _webhook(
        info={
            "title": "Amazon Alexa, a custom skill",
            "version": "1.0.0",
            "description": "What Alexa sends to a skill, as far as it is read, and what the skill answers.",
        },
        path="/alexa",
        operation={"operationId": "answer", "summary": "One turn, or an event.", "refused": (403,)},
        request=platform.of(messages.AlexaRequest),
        answer=skill.of(messages.AlexaResponse),
        securitySchemes={
            "signature": _header("Signature-256", "RSA, SHA-256, of the body; base64."),
            "certificates": _header(
                "SignatureCertChainUrl", "Where the certificates are that it is checked with."
            ),
        },
    )
    document["security"] = [{"signature": [], "certificates": []}]
    _name_requests(platform)
    _name_directives(skill)
    return document


def _name_requests(definitions: Definitions) -> None:
    """A request says what it is; what a channel event is called cannot be one."""
    properties = definitions.schemas["AlexaRequest"]["properties"]
    kind = {"type": "string", "minLength": 1, "not": {"enum": list(SPELLINGS)}}
    properties["request"] |= {"properties": {"type": kind}, "required": ["type"]}


def _name_directives(definitions: Definitions) -> None:
    """The directives that responses are translated into; a host may add others."""
    known = [definitions.of(cls) for cls in _DIRECTIVES]
    for name in ("ResponseBody", "Reprompt"):
        items = definitions.schemas[name]["properties"]["directives"]
        items["items"] = {"anyOf": [*known, items["items"]]}


# ------------------------------------------------------------ Google Assistant


def google(components: Components, limits: Limits) -> Tree:  # noqa: ARG001
    """The document of an action's webhook, without its schemas."""
    ways = [
        [components.sent_by(side, prefix).of(cls) for prefix, cls in (("V2", second), ("V3", third))]
        for side, second, third in (
            (Side.CLIENT, V2Request, V3Request),
            (Side.SERVER, V2Response, V3Response),
        )
    ]
    requests, answers = ways
    _tell_apart(components.sent_by(Side.CLIENT))
    document = _webhook(
        info={
            "title": "Google Assistant, a webhook",
            "version": "3.0.0",
            "description": "Version 2 (Actions SDK) and version 3 (Actions Builder), told apart by their "
            "members. Google has switched the service off in 2023.",
        },
        path="/google",
        operation={
            "operationId": "answer",
            "summary": "One turn.",
            "parameters": [
                {
                    "name": "key",
                    "in": "query",
                    "description": "The application.",
                    "schema": {**PARAMETER, "default": DEFAULT_KEY},
                }
            ],
            "refused": (401, 403),
        },
        request={"oneOf": requests},
        answer={"oneOf": answers},
        securitySchemes={
            "token": _header("Authorization", "Version 2: a token that Google has signed."),
            "signature": _header("Google-Assistant-Signature", "Version 3: a token that Google has signed."),
        },
    )
    document["security"] = [{"token": []}, {"signature": []}]
    return document


def _tell_apart(definitions: Definitions) -> None:
    """How requests are told apart, and what none may lack."""
    second = definitions.schemas["V2Request"]
    second["not"] = {"anyOf": [{"required": ["handler"]}, {"required": ["session"]}]}
    second["properties"]["inputs"]["minItems"] = 1
    definitions.schemas["V2Conversation"]["properties"]["conversationId"]["minLength"] = 1
    definitions.schemas["V3Session"]["properties"]["id"]["minLength"] = 1
