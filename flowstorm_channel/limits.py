"""How much a peer may send: one frozen object, on by default (D-34, D-82)."""

from __future__ import annotations

import attrs

__all__ = ["DEFAULT_LIMITS", "Limits"]


def _positive(_: object, attribute: attrs.Attribute[int], value: int) -> None:
    if type(value) is not int or value < 1:
        raise ValueError(f"{attribute.name} must be a positive whole number, not {value!r}")


@attrs.frozen(kw_only=True)
class Limits:
    """The bounds on what is taken from a peer.

    A verdict never depends on how the transport cut the bytes. What exceeds a bound is refused with
    `LimitExceeded` before it is buffered or built.

    Args:
        message_bytes: one text message or one JSON object of a stream, in bytes of UTF-8;
            one msgpack map, in bytes.
        audio_bytes: one binary audio frame, in bytes.
        nesting: objects and arrays inside each other, the outermost counted.
        items: members of one object, elements of one array.
        string_bytes: one string, in bytes of UTF-8 as decoded.
        log_entries: entries of one Log event, logs of one Response.
        queued_bytes: what waits in a machine, in bytes and 64 more for each message: received and not yet
            told, and, counted apart, queued and not yet taken by `data_to_send()`.
        header_bytes: the headers of an HTTP message and its address, in bytes.
        header_value_bytes: one header's value, or the address, in bytes.
        body_bytes: the body of an HTTP message, in bytes.
        webhook_bytes: the body of a request of Alexa, Google Assistant or Twilio, in bytes.
    """

    message_bytes: int = attrs.field(default=1024 * 1024, validator=_positive)
    audio_bytes: int = attrs.field(default=1024 * 1024, validator=_positive)
    nesting: int = attrs.field(default=64, validator=_positive)
    items: int = attrs.field(default=1_000, validator=_positive)
    string_bytes: int = attrs.field(default=256 * 1024, validator=_positive)
    log_entries: int = attrs.field(default=1_000, validator=_positive)
    queued_bytes: int = attrs.field(default=4 * 1024 * 1024, validator=_positive)
    header_bytes: int = attrs.field(default=16 * 1024, validator=_positive)
    header_value_bytes: int = attrs.field(default=4 * 1024, validator=_positive)
    body_bytes: int = attrs.field(default=32 * 1024 * 1024, validator=_positive)
    webhook_bytes: int = attrs.field(default=128 * 1024, validator=_positive)


DEFAULT_LIMITS = Limits()
"""The limits of every channel that was given no others."""
