"""How V1 servers write and read: JSON in all its forms, and msgpack."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from flowstorm_channel.conformance.socket_v1.peer import Conversation, V1Caller, final
from flowstorm_channel.conformance.socket_v1.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation
from flowstorm_channel.values import INTRO

__all__: list[str] = []

_FORMS = (
    '{"input":{"transcript":{"confidence":1,"text":"%s"},"locale":"en"},"type":"Input"}',
    ' \n{\t"type" : "\\u0049nput",\r\n "input" : { "transcript" : { "text" : "%s" } } }\n',
    '{"type":"Input","input":{"attributes":{"a":"\\ud83d\\ude00 😀 é","b":1e2},"transcript":{"text":"%s"}}}',
)
"""The same Input, written in other ways: the type last, white space and escapes, all of Unicode."""


@check()
def json_is_read_in_all_its_forms(server: V1Caller) -> None:
    """Sends Inputs with the type at the end, with white space and escapes, with characters of all planes."""
    talk = server.started()
    for form in _FORMS:
        text = form % json.dumps(server.profile.phrase("echo"))[1:-1]
        talk.send(text)
        talk.answered(f"{text!r:.90}")


@check()
def locales_are_written_with_underscores(server: V1Caller) -> None:
    """Speaks `en_US`: the locale of the Response has no hyphen."""
    talk = server.ready(locale="en_US")
    locale = str(server.arrange(lambda: talk.ask(INTRO)).response.get("locale"))
    if "-" in locale:
        raise Violation(f"the locale of a Response is {locale}; real clients read {locale.replace('-', '_')}")


def packed(server: V1Caller, talk: Conversation) -> Conversation:
    """A conversation in msgpack."""
    server.assume("msgpack", talk.packed, "the server does not agree to msgpack")
    return talk


@check(needs=("msgpack",))
def msgpack_is_agreed_on(server: V1Caller) -> None:
    """Offers the subprotocol of msgpack: the server names it in its answer."""
    server.demand("msgpack", server.connect(packed=True).packed, "the server does not agree to msgpack")


@check(needs=("msgpack",))
def where_msgpack_is_agreed_on_it_is_spoken(server: V1Caller) -> None:
    """Begins a conversation in msgpack: each event of the server's is one binary message with a map."""
    talk = packed(server, server.connect(packed=True))
    talk.introduce()
    talk.expect("Ready")
    talk.ask(INTRO)
    if any(record.by == "server" and isinstance(record.message, str) for record in server.log):
        raise Violation("a text message came, though msgpack was agreed on")


@check(needs=("msgpack",))
def msgpack_says_the_same_as_json(server: V1Caller) -> None:
    """Begins the same conversation in JSON and in msgpack: the Responses have the same members."""
    shapes = []
    for each in (server.ready(), packed(server, server.ready(packed=True))):
        held = server.arrange(partial(each.ask, INTRO)).response
        shapes.append({member: type(value) for member, value in held.items() if value is not None})
    in_json, in_msgpack = shapes
    for member, kind in in_json.items():
        if in_msgpack.get(member) is not kind:
            raise Violation(
                f"{member} is {_kind(kind)} in JSON and {_kind(in_msgpack.get(member))} in msgpack"
            )


def _kind(kind: type[Any] | None) -> str:
    return "missing" if kind is None else kind.__name__


@check(needs=("msgpack", "audio"))
def spoken_audio_is_bytes_in_msgpack(server: V1Caller) -> None:
    """Asks for speech in msgpack: it comes as Binary, with bytes in it."""
    talk = packed(server, server.started(packed=True, tts="RequiredStreaming"))
    heard = [each for each in talk.goes_on("the first turn").frames if each["type"] == "Binary"]
    server.assume("audio", bool(heard), "no audio came")
    if not isinstance(heard[0].get("data"), bytes):
        raise Violation(f"the data of Binary are {_kind(type(heard[0].get('data')))} in msgpack")


@check(needs=("msgpack", "speech"))
def heard_audio_is_bytes_in_msgpack(server: V1Caller) -> None:
    """Speaks in msgpack, in Binary events: it is recognised."""
    talk = packed(server, server.listening(packed=True))
    talk.speak()
    if final(talk.up_to_result()) is None:
        raise Violation("nothing was recognised in Binary events")
