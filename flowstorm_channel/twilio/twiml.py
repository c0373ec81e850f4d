"""TwiML: what Twilio is to do with a call (external.md, 3).

The builders make documents, which go out as the answer to a webhook (`response`) or with the request for a
call (`CallRequest`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from flowstorm_channel.twilio.signature import check_address
from flowstorm_channel.wire import ResponseHead

__all__ = ["check_parameter", "connect_stream", "hang_up", "reject", "response", "say_and_hang_up"]

LONGEST_PARAMETER = 499
"""Name and value of a parameter together, in characters (unconfirmed)."""

Method = Literal["POST", "GET"]


def connect_stream(
    url: str,
    *,
    parameters: Mapping[str, str] = MappingProxyType({}),
    name: str | None = None,
    status_callback: str | None = None,
    status_callback_method: Method | None = None,
    action: str | None = None,
    method: Method | None = None,
) -> str:
    """Connect the call with a stream in both directions. The stream takes all there is until it is over.

    Args:
        url: of the stream, ``wss://…``. Twilio allows no query in it: use parameters.
        parameters: given to the server of the stream when it starts, as `customParameters`.
        name: of the stream; no two of a call have the same.
        status_callback: an address that is told when the stream starts, stops or fails.
        status_callback_method: of HTTP, for that.
        action: an address that says what to do when the stream is over; without one the call ends then.
        method: of HTTP, for that.

    Raises:
        ValueError: the address is none of a stream, a parameter is too long, or XML has no form for
            something.
    """
    check_address(url, "wss")
    if "?" in url or "#" in url:
        raise ValueError(f"{url!r} has a query: a stream gets parameters instead")
    if status_callback is not None:
        check_address(status_callback, "https", "http")
    stream = _element(
        "Stream",
        "".join(_parameter(key, value) for key, value in parameters.items()),
        url=url,
        name=name,
        statusCallback=status_callback,
        statusCallbackMethod=_one_of(status_callback_method, "POST", "GET"),
    )
    return _document(_element("Connect", stream, action=action, method=_one_of(method, "POST", "GET")))


def reject(reason: Literal["rejected", "busy"] = "rejected") -> str:
    """Do not take the call, which then costs nothing.

    Args:
        reason: what the caller is to hear: that there is nobody, or the busy signal.

    Raises:
        ValueError: it is another reason.
    """
    return _document(_element("Reject", reason=_one_of(reason, "rejected", "busy")))


def hang_up() -> str:
    """End the call."""
    return _document(_element("Hangup"))


def say_and_hang_up(text: str, *, language: str | None = None, voice: str | None = None) -> str:
    """Say something in the voice of Twilio, then end the call: for calls that are taken only to be refused.

    Args:
        text: what is said.
        language: its language tag, ``en-US``; Twilio's default without one.
        voice: by Twilio's name for it.

    Raises:
        ValueError: XML has no form for something.
    """
    say = _element("Say", _escaped(text), language=language, voice=voice)
    return _document(say + _element("Hangup"))


def response(twiml: str) -> tuple[ResponseHead, bytes]:
    """The answer to a webhook.

    Args:
        twiml: the document.
    """
    headers = ("Content-Type", "text/xml; charset=utf-8"), ("Cache-Control", "no-store")
    return ResponseHead(status=200, headers=headers), twiml.encode()


def check_parameter(name: str, value: str) -> None:
    """Refuse a parameter of a stream that Twilio would not hand on.

    Raises:
        ValueError: it is too long, has no name, or XML has no form for it.
    """
    if not name:
        raise ValueError("a parameter has no name")
    if len(name) + len(value) > LONGEST_PARAMETER:
        raise ValueError(f"the parameter {name[:40]!a} has more than {LONGEST_PARAMETER} characters")
    try:
        _escaped(name + value)
    except ValueError as error:
        raise ValueError(f"the parameter {name[:40]!a}: {error}") from None


# ------------------------------------------------------------ XML

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# White space in an attribute would become a space, a carriage return anywhere a line feed.
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)


def _document(verbs: str) -> str:
    return f"{_DECLARATION}<Response>{verbs}</Response>"


def _element(verb: str, inside: str = "", /, **attributes: str | None) -> str:
    """An element, without those attributes that are None."""
    said = (f' {key}="{_escaped(value)}"' for key, value in attributes.items() if value is not None)
    opening = f"<{verb}{''.join(said)}"
    return f"{opening}>{inside}</{verb}>" if inside else f"{opening}/>"


def _parameter(name: str, value: str) -> str:
    check_parameter(name, value)
    return _element("Parameter", name=name, value=value)


def _escaped(text: str) -> str:
    if found := _NOT_XML.search(text):
        raise ValueError(f"XML has no form for the character {found[0]!a}")
    return text.translate(_ESCAPES)


def _one_of(value: str | None, *legal: str) -> str | None:
    if value is not None and value not in legal:
        raise ValueError(f"{value!r} is not one of {', '.join(legal)}")
    return value
