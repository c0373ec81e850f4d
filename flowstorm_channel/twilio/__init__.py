"""Twilio Media Streams: phone calls, the server side (external.md, 3)."""

from flowstorm_channel.twilio.calls import CallAnswer, CallRefused, CallRequest, hang_up_request
from flowstorm_channel.twilio.server import TwilioServer
from flowstorm_channel.twilio.webhook import CallWebhook, answer_call

__all__ = [
    "CallAnswer",
    "CallRefused",
    "CallRequest",
    "CallWebhook",
    "TwilioServer",
    "answer_call",
    "hang_up_request",
]
