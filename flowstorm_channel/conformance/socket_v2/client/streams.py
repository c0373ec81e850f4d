"""What is spoken: the PUT of the microphone, and the GET beside it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.socket_v2 import bodies
from flowstorm_channel.conformance.socket_v2.client.suite import (
    AGAIN,
    ERROR,
    MICROPHONE,
    STAYS,
    check,
    dropped,
    goes_on,
    must_show,
)
from flowstorm_channel.conformance.socket_v2.incoming import Incoming, answer_of, recognized_input
from flowstorm_channel.conformance.socket_v2.listener import BLOCK, V2Listener
from flowstorm_channel.conformance.verdicts import NotDeclared, Violation

__all__: list[str] = []

_MANY = 20
"""GETs: nobody sends so many in four seconds with a second between them."""


@check(needs=MICROPHONE)
def the_microphone_is_a_put_and_a_get(server: V2Listener) -> None:
    """Opens the microphone: a PUT whose body stays open and a GET have to come, and both name the session."""
    server.turn("Good morning.")
    put = server.opened()
    server.assume("open_microphone", put is not None, "no PUT came when the microphone was opened")
    assert put is not None
    get = server.seen(_next_get(server))
    if get is None:
        raise Violation("no GET came beside the PUT of the microphone")
    for each in (put, get):
        if each.cookie != server.session:
            raise Violation(f"the {each.head.method} of the microphone names the session {each.cookie!r}")
    server.let_pass(STAYS)
    if put.ended or put.gone:
        raise Violation("the PUT of the microphone came to its end though nothing was recognised")


@check(needs=(*MICROPHONE, "speak"))
def audio_is_sent_as_it_is_spoken(server: V2Listener) -> None:
    """Speaks ten blocks, and goes on: what was spoken has to arrive meanwhile, and unchanged."""
    put, get = server.listening()
    for _ in range(9):
        server.act("speak", BLOCK)
    spoken = BLOCK * 10
    arrived = server.seen(lambda: len(put.audio) >= len(spoken))
    if arrived is None:
        raise Violation(f"{len(spoken)} bytes of audio were spoken, {len(put.audio)} came before the end")
    if put.audio != spoken:
        raise Violation("the audio that came is not what was spoken")
    kind = bodies.media_type_of(put.head.header("Content-Type"))
    if kind in bodies.AUDIO and put.setting("", "realtime") != "1":
        raise Violation(f"audio that is being captured is sent as {kind} without realtime=1")
    server.recognise(get)


@check(needs=MICROPHONE)
def the_end_of_a_get_ends_the_put(server: V2Listener) -> None:
    """Ends the GET as a server does that has recognised something: the body of the PUT has to end, too."""
    put, get = server.listening()
    server.recognise(get, "good", "good day")
    ended = server.seen(lambda: put.ended)
    with suppress(NotDeclared):
        server.act("speak", BLOCK)  # nobody hears it any more
    server.gather()
    if ended is None:
        raise Violation("the GET came to its end, and the body of the PUT did not")


@check(needs=MICROPHONE)
def an_empty_get_ends_the_put(server: V2Listener) -> None:
    """Ends the GET with 200 and without any interim result: that means the same."""
    put, get = server.listening()
    server.recognise(get)
    if server.seen(lambda: put.ended) is None:
        raise Violation("the GET ended with 200 and an empty body, and the body of the PUT did not end")


@check(needs=MICROPHONE)
def interim_results_end_nothing(server: V2Listener) -> None:
    """Sends interim results in the GET, and does not end it: the PUT has to go on."""
    put, get = server.listening()
    get.begin()
    for words in ("turn", "turn on", "turn on the light"):
        get.write(recognized_input(words, final=False))
        server.let_pass(STAYS / 3)
    if put.ended or put.gone:
        raise Violation("an interim result ended the PUT of the microphone")


@check(needs=MICROPHONE)
def a_get_that_brings_nothing_is_repeated(server: V2Listener) -> None:
    """Answers the GET with 204: the PUT goes on, another GET comes, and the end of that ends the PUT."""
    put, get = server.listening()
    get.answer(status=204)
    another = _repeated(server, put, get, "after a 204")
    server.recognise(another, "good day")
    if server.seen(lambda: put.ended) is None:
        raise Violation("the second GET came to its end, and the body of the PUT did not")


@check(needs=MICROPHONE)
def a_get_that_breaks_is_repeated(server: V2Listener) -> None:
    """Breaks the GET, before it was answered and in the middle: the PUT goes on, and another GET comes."""
    put, get = server.listening()
    get.lose()
    get = _repeated(server, put, get, "after a GET that broke")
    get.begin()
    get.write(recognized_input("turn", final=False))
    server.let_pass(STAYS)
    get.lose()
    _repeated(server, put, get, "after a GET that broke behind an interim result")


def _repeated(server: V2Listener, put: Incoming, before: Incoming, what: str) -> Incoming:
    """Another GET comes, and the PUT goes on."""
    get = server.seen(_next_get(server))
    if put.ended or put.gone:
        raise Violation(f"{what} the PUT of the microphone came to its end")
    if get is None:
        raise Violation(f"{what} no other GET came")
    if get.cookie != before.cookie:
        raise Violation(f"{what} the next GET named the session {get.cookie!r}, not {before.cookie!r}")
    return get


@check(needs=MICROPHONE, timing=True, seconds=4)
def the_get_is_repeated_at_most_once_a_second(server: V2Listener) -> None:
    """Answers every GET with 204 at once: they must not come more often than once a second."""
    _, get = server.listening()
    times = [get.came_at]
    until = server.now + 4000
    get.answer(status=204)
    while len(times) < _MANY and (another := server.seen(_next_get(server), until - server.now)):
        times.append(another.came_at)
        another.answer(status=204)
    server.assume("open_microphone", len(times) > 1, "the GET was not repeated after a 204")
    shortest = min(after - before for before, after in itertools.pairwise(times))
    if shortest < 900:
        raise Violation(f"{len(times)} GETs came in four seconds, two of them {shortest:.0f} ms apart")


def _next_get(server: V2Listener) -> Callable[[], Incoming | None]:
    return lambda: server.running(put=False)


@check(needs=MICROPHONE)
def nothing_is_read_behind_the_end_of_recognition(server: V2Listener) -> None:
    """Ends the GET, and takes its time for the answer: no other GET must come meanwhile."""
    put, get = server.listening()
    server.recognise(get, "hello")
    server.arranged(server.seen(lambda: put.ended), "the end of the GET did not end the PUT")
    more = [each for each in server.later(get, AGAIN) if not each.is_put]
    if more:
        raise Violation(f"{len(more)} GETs came while the answer was awaited, with nothing to read for them")


@check(needs=MICROPHONE)
def a_spoken_turn_is_answered(server: V2Listener) -> None:
    """Recognises something, and answers it in the PUT: the answer is shown, and the user can go on."""
    put, get = server.listening()
    server.recognise(get, "what")
    server.arranged(server.seen(lambda: put.ended), "the end of the GET did not end the PUT")
    final = recognized_input("what is that", final=True)
    put.begin()
    put.write(final)
    server.let_pass(STAYS)
    if put.gone:
        raise Violation("the PUT was broken off behind the final result")
    put.write(frames.item("That is topaz."), answer_of())
    put.finish()
    server.played()
    if server.driver.shown() is not None:
        must_show(server, "topaz", "the answer to what was spoken")
    goes_on(server, "after a spoken turn")


@check(needs=(*MICROPHONE, "close_microphone"))
def closing_the_microphone_ends_the_put(server: V2Listener) -> None:
    """Closes the microphone: the body of the PUT has to end, and the answer to it is shown."""
    put, _ = server.listening()
    server.act("close_microphone")
    if server.seen(lambda: put.ended) is None:
        raise Violation("the microphone was closed, and the body of the PUT did not end")
    server.answer(put, recognized_input("done", final=True), frames.item("Done: zircon."), answer_of())
    if server.driver.shown() is not None:
        must_show(server, "zircon", "the answer to what was spoken")


@check(needs=MICROPHONE)
def a_text_in_mid_stream_is_said(server: V2Listener) -> None:
    """Types something while the microphone is open: the text has to come, and the audio to end."""
    put, _ = server.listening()
    request = server.heard("Never mind, I type.")
    if request is None:
        raise Violation("what was typed while the microphone was open did not come")
    if server.seen(lambda: put.ended or put.gone) is None:
        raise Violation("the PUT of the microphone goes on beside that of the text")
    server.answer(request, frames.item("As you like: agate."), answer_of())
    if server.driver.shown() is not None:
        must_show(server, "agate", "the answer to what was typed")


@check(needs=MICROPHONE)
def an_error_in_the_get_is_an_error(server: V2Listener) -> None:
    """Sends Error in the GET: the PUT has to come to an end, and the next one does not name the session."""
    put, get = server.listening()
    get.answer(ERROR)
    if server.seen(lambda: put.ended or put.gone) is None:
        raise Violation("after Error in the GET the PUT of the microphone goes on")
    dropped(server, "Who am I now?", "after Error in the GET")
