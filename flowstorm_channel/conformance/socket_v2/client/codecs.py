"""What a response is made of, and how it is cut."""

from __future__ import annotations

import json

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.socket_v2.client.suite import (
    check,
    goes_on,
    must_show,
    speaks_events,
    speaks_json,
)
from flowstorm_channel.conformance.socket_v2.incoming import answer_of
from flowstorm_channel.conformance.socket_v2.listener import V2Listener

__all__: list[str] = []

_LONG = 200_000
"""Bytes of a string that is legal, and longer than the buffers that lines are often read with."""


@check(needs=("say",))
def a_response_may_be_cut_anywhere(server: V2Listener) -> None:
    """Sends the same answer whole and byte by byte: it has to be shown the same both times."""
    server.shows()
    server.turn("Whole, please.", frames.item("Whole: lapis č€😀."), answer_of())
    must_show(server, "lapis", "an item that came in one piece")
    # As far as it can be seen: what shows it may have no such letters.
    tail = next((each for each in (" č€😀", " č€", " č") if server.place_of(f"lapis{each}")), "")
    request = server.said("In crumbs, please.")
    data = request.encode(frames.item('Crumbs: {[ "pyrite č€😀.'), answer_of())
    request.begin()
    request.write(*(data[at : at + 1] for at in range(len(data))))
    request.finish()
    server.played()
    must_show(server, f"pyrite{tail}", "an item whose bytes came one by one")
    goes_on(server, "after a response in crumbs")


@check(needs=("say",))
def events_need_no_lines(server: V2Listener) -> None:
    """Sends events with nothing between them, in many lines, and in an array: all have to be understood."""
    server.shows()
    for number, text in enumerate(("feldspar", "gneiss", "schist")):
        request = server.said(f"In form {number}.")
        speaks_json(request)
        pair = [frames.item(text), answer_of()]
        forms = (
            "".join(map(json.dumps, pair)),
            "\r\n\r\n".join(json.dumps(each, indent=4) for each in pair),
            json.dumps(pair),
        )
        server.answer(request, forms[number].encode())
        what = ("events with nothing between them", "events of many lines", "events in an array")[number]
        must_show(server, text, f"an item of {what}")
    goes_on(server, "after an array of events")


@check(needs=("say",))
def the_charset_of_a_response_does_not_matter(server: V2Listener) -> None:
    """Names the media type of the response with a charset, and in other letters: it is shown all the same."""
    server.shows()
    request = server.said("What type are you?")
    kind = request.form.title().replace("/J", "/j")
    request.begin(media_type=f"{kind};charset=UTF-8")
    request.write(frames.item("Any type: basanite."), answer_of())
    request.finish()
    server.played()
    must_show(server, "basanite", f"an item in a body whose Content-Type has a charset ({kind})")


@check(needs=("say",))
def a_long_event_is_taken(server: V2Listener) -> None:
    """Sends a Response of 200 kB in one line: it has to be taken."""
    server.shows()
    speaks_events(
        server.turn("At length.", answer_of("At length: ruby.", attributes={"volume": "x" * _LONG}))
    )
    must_show(server, "ruby", "the item of a Response of 200 kB")
    goes_on(server, "after a Response of 200 kB")
