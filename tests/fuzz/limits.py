"""The limits of the machines that are fuzzed: in half of the runs so small that they are reached."""

from __future__ import annotations

from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from tests.fuzz.program import Program

__all__ = ["chosen_limits"]

_SMALL = Limits(
    message_bytes=400,
    audio_bytes=64,
    nesting=6,
    items=8,
    string_bytes=60,
    log_entries=2,
    queued_bytes=1000,
    header_bytes=300,
    header_value_bytes=100,
    body_bytes=600,
    webhook_bytes=500,
)
_TINY = Limits(
    message_bytes=40,
    audio_bytes=8,
    nesting=2,
    items=3,
    string_bytes=12,
    log_entries=1,
    queued_bytes=150,
    header_bytes=60,
    header_value_bytes=40,
    body_bytes=70,
    webhook_bytes=60,
)
_ROOMY = Limits(
    message_bytes=4000,
    audio_bytes=1000,
    nesting=12,
    items=100,
    string_bytes=1000,
    log_entries=10,
    queued_bytes=8000,
    body_bytes=6000,
    webhook_bytes=5000,
)
_CHOICES = (DEFAULT_LIMITS, DEFAULT_LIMITS, DEFAULT_LIMITS, DEFAULT_LIMITS, _ROOMY, _ROOMY, _SMALL, _TINY)


def chosen_limits(program: Program) -> Limits:
    """Those of this run."""
    return program.choose(_CHOICES)
