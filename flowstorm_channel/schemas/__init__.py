"""Schemas of what goes over the wires, made from the classes and tables that the machines run on.

- `event_schema` and `class_schema`: JSON Schema, draft 2020-12;
- `asyncapi_document`: AsyncAPI 3.0 of Socket V1 and of Twilio's Media Streams;
- `openapi_document`: OpenAPI 3.1 of Socket V2 and of the webhooks of Alexa and Google Assistant;
- `states_document`: the transition tables and deadlines of all machines, and `states_schema` of that.

All are what `json.loads` gives: made anew at each call, and in an order that does not change.
"""

from flowstorm_channel.schemas.asyncapi import ASYNCAPI_CHANNELS, AsyncApiChannel, asyncapi_document
from flowstorm_channel.schemas.events import class_schema, event_schema
from flowstorm_channel.schemas.openapi import OPENAPI_CHANNELS, OpenApiChannel, openapi_document
from flowstorm_channel.schemas.states import STATES_CHANNELS, StatesChannel, states_document, states_schema

__all__ = [
    "ASYNCAPI_CHANNELS",
    "OPENAPI_CHANNELS",
    "STATES_CHANNELS",
    "AsyncApiChannel",
    "OpenApiChannel",
    "StatesChannel",
    "asyncapi_document",
    "class_schema",
    "event_schema",
    "openapi_document",
    "states_document",
    "states_schema",
]
