"""What a V2 server is checked for: the bodies of requests."""

from __future__ import annotations

import json

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.socket_v2 import bodies
from flowstorm_channel.conformance.socket_v2.exchange import Exchange
from flowstorm_channel.conformance.socket_v2.peer import V2Caller
from flowstorm_channel.conformance.socket_v2.server.suite import check
from flowstorm_channel.values import INTRO

__all__: list[str] = []

WORDS = "Kolik je hodin? Příliš žluťoučký kůň."


@check()
def a_body_may_be_cut_anywhere(server: V2Caller) -> None:
    """Sends a log and an input byte by byte, with letters of two bytes and nothing between the events."""
    device = server.device()
    put = device.put()
    body = bodies.write(frames.log(WORDS)).rstrip() + bodies.write(frames.said(WORDS)).rstrip()
    byte_by_byte(put, body)
    put.turn()


@check()
def a_text_may_be_cut_anywhere(server: V2Caller) -> None:
    """Sends a line of text byte by byte, with letters of two bytes."""
    put = server.device().put(content_type=bodies.TEXT)
    byte_by_byte(put, WORDS.encode())
    put.answer(200)


@check()
def events_may_come_in_one_piece(server: V2Caller) -> None:
    """Sends a log and an input in one piece."""
    server.device().whole(frames.log("seen by the kit"), frames.said(INTRO)).turn()


@check()
def events_may_stand_in_an_array(server: V2Caller) -> None:
    """Sends a log and an input as the elements of one array."""
    body = json.dumps([frames.log("seen by the kit"), frames.said(INTRO)]).encode()
    server.device().whole(body=body).turn()


@check()
def unknown_events_are_passed_over(server: V2Caller) -> None:
    """Sends an event that there is not, then an input."""
    server.device().whole({"type": "Conformance", "x": 1}, frames.said(INTRO)).turn()


@check()
def unknown_members_are_ignored(server: V2Caller) -> None:
    """Says something with members that there are not."""
    said = frames.said(INTRO, conformance={"x": 1})
    server.device().whole({**said, "conformance": [1]}).turn()


@check()
def long_names_are_understood(server: V2Caller) -> None:
    """Says something as InputEvent."""
    server.device().whole({**frames.said(INTRO), "type": "InputEvent"}).turn()


@check()
def a_null_means_the_default(server: V2Caller) -> None:
    """Says something with null for language, zone and attributes."""
    server.device().whole(frames.said(INTRO, locale=None, zoneId=None, attributes=None)).turn()


def byte_by_byte(put: Exchange, body: bytes) -> None:
    """Send a whole body in the smallest pieces."""
    for each in body:
        put.send(bytes((each,)))
    put.end()
