"""Amazon Alexa: custom skills, the server side (external.md, 1)."""

from flowstorm_channel.alexa.inputs import INTENTS, Intents
from flowstorm_channel.alexa.messages import AlexaRequest, AlexaResponse
from flowstorm_channel.alexa.server import AlexaOptions, AlexaServer
from flowstorm_channel.alexa.signature import AlexaCertificates

__all__ = [
    "INTENTS",
    "AlexaCertificates",
    "AlexaOptions",
    "AlexaRequest",
    "AlexaResponse",
    "AlexaServer",
    "Intents",
]
