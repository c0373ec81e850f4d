"""What a V2 server is checked for: the user's voice."""

from __future__ import annotations

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.socket_v2 import bodies
from flowstorm_channel.conformance.socket_v2.exchange import QUIET, Answer, name
from flowstorm_channel.conformance.socket_v2.peer import INPUT_CLOSE, LIVE, SOON, V2Caller
from flowstorm_channel.conformance.socket_v2.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation
from flowstorm_channel.values import SILENCE

__all__: list[str] = []

RATE = 16_000


@check(needs=("speech",))
def the_final_result_comes_first(server: V2Caller) -> None:
    """Speaks: the final result is the first thing in the PUT's answer, and a turn follows it."""
    talk = server.streaming()
    talk.recognise()
    talk.put.end()
    answer = talk.put.turn()
    first = answer.frames[0]
    if first["type"] != "RecognizedInput" or first.get("isFinal") is not True:
        raise Violation(f"the answer begins with {name(first)}, not with a final RecognizedInput")
    if not frames.text_of(first):
        raise Violation(f"there is no text in the result: {first}")


@check(needs=("speech",))
def audio_that_comes_late_does_no_harm(server: V2Caller) -> None:
    """Goes on speaking when the result is there: the answer comes as usual."""
    talk = server.streaming()
    talk.recognise()
    for _ in range(5):
        talk.put.speak(QUIET)
    talk.put.end()
    talk.put.turn()


@check(needs=("speech",))
def interim_results_come_on_the_get(server: V2Caller) -> None:
    """Speaks: results that are not final come on the GET, and none of them in the PUT."""
    talk = server.streaming()
    talk.recognise()
    talk.put.end()
    answer = talk.put.turn()
    if any(each["type"] == "RecognizedInput" and each.get("isFinal") is not True for each in answer.frames):
        raise Violation("a result that is not final came in the PUT")
    read = talk.get.answer()
    wrong = next((each for each in read.frames if not _is_interim(each)), None)
    if wrong is not None:
        raise Violation(f"the GET brought {name(wrong)}")
    _has_results(server, read)


@check(needs=("speech",))
def the_get_ends_with_recognition(server: V2Caller) -> None:
    """Speaks, and leaves the PUT open: the GET ends with 200 as soon as there is a final result."""
    talk = server.streaming()
    talk.recognise()
    if not talk.get.ended(SOON):
        raise Violation("the final result is there, and the GET goes on")
    talk.get.answer(200)


@check(needs=("speech",))
def a_get_may_come_first(server: V2Caller) -> None:
    """Opens the GET before the PUT, and speaks: the GET reads what is recognised."""
    talk = server.streaming(get_first=True)
    talk.recognise()
    talk.put.end()
    talk.put.turn()
    talk.get.answer(200)


@check(needs=("speech",))
def results_may_be_lines_of_text(server: V2Caller) -> None:
    """Asks for text with the GET's Accept, and speaks: results are lines that begin with a tilde."""
    talk = server.streaming(headers={"Accept": "text/plain"})
    talk.recognise()
    talk.put.end()
    talk.put.turn()
    read = talk.get.answer(200)
    _has_results(server, read)
    if len(read.lines("~")) != len(read.frames):
        raise Violation(f"expected lines that begin with ~, got {read}")


@check(needs=("speech",))
def a_recording_is_answered(server: V2Caller) -> None:
    """Sends a whole WAV file: what is in it is recognised and answered."""
    server.hears()
    answer = server.started().whole(body=_wav(server.profile.speech), content_type="audio/wav").turn()
    if answer.kinds[0] != "RecognizedInput":
        raise Violation(f"the answer begins with {name(answer.frames[0])}, not with a RecognizedInput")


@check(needs=("speech",))
def a_voice_may_come_as_events(server: V2Caller) -> None:
    """Streams its voice as Binary events in JSON, and speaks: that is recognised and answered."""
    server.hears()
    put = server.started().put()
    for block in blocks(server):
        put.write(bodies.binary(block))
    put.end()
    if put.turn().kinds[0] != "RecognizedInput":
        raise Violation(f"the answer begins with {name(put.frames[0])}, not with a RecognizedInput")


@check(needs=("speech",))
def results_have_the_language_and_zone_of_the_request(server: V2Caller) -> None:
    """Speaks, once with a language and a zone and once with none: the result has them, or the defaults."""
    server.hears()
    asked = {"Accept-Language": "en-GB,cs;q=0.5", "X-TimeZone": "America/New_York"}
    for headers, wanted in (
        (asked, ("en-gb", "America/New_York")),
        ({}, ("en-us", "Europe/Prague")),
    ):
        put = server.device().put(content_type="audio/basic", query=LIVE, headers=headers)
        put.speak()
        put.end()
        first = server.arrange(put.turn).frames[0]
        held = first.get("input") or {}
        given = (str(held.get("locale")).lower().replace("_", "-"), held.get("zoneId"))
        if given != wanted:
            raise Violation(f"the result is of {' in '.join(map(str, given))}, not {' in '.join(wanted)}")


@check(needs=("speech",), timing=True, seconds=7)
def silence_ends_after_five_seconds(server: V2Caller) -> None:
    """Streams silence: after five seconds the turn is the input #silence, and the GET ends."""
    talk = server.streaming()
    opened = server.now
    talk.put.next("RecognizedInput", "Response", "Error", ms=7_000)
    took = server.now - opened
    if took < 4_000:
        raise Violation(f"the stream was given up after {took:.0f} ms")
    said = frames.text_of(talk.put.frames[0])
    if said != SILENCE:
        raise Violation(f"the result of silence is {said!r}, not {SILENCE}")
    talk.put.end()
    talk.put.turn()
    talk.get.answer(200, SOON)


# ------------------------------------------------------------ the switch to text


@check()
def text_may_follow_the_stream(server: V2Caller) -> None:
    """Streams audio, closes the stream, and says something as text: the GET ends, the text counts."""
    device = server.started()
    put = device.put(bodies.binary(QUIET))
    server.settle()
    get = device.get()
    server.settle()
    put.write(INPUT_CLOSE)
    if not get.ended(SOON):
        raise Violation("the stream is closed, and the GET goes on")
    get.answer(200)
    put.write(bodies.binary(QUIET), frames.said(server.profile.phrase("echo")))
    put.end()
    put.turn()


@check()
def audio_behind_a_text_is_dropped(server: V2Caller) -> None:
    """Says something as text, and sends a block of audio behind it: the text is answered."""
    said = frames.said(server.profile.phrase("echo"))
    server.started().whole(said, bodies.binary(QUIET)).turn()


@check()
def a_closed_stream_and_no_text_is_no_turn(server: V2Caller) -> None:
    """Streams a block of audio, closes the stream, and says nothing: that is answered with 204."""
    server.started().whole(bodies.binary(QUIET), INPUT_CLOSE).answer(204)


def blocks(server: V2Caller) -> list[bytes]:
    """The profile's speech in blocks of 100 ms."""
    speech = server.profile.speech
    size = RATE // 10 * 2
    return [speech[start : start + size] for start in range(0, len(speech), size)]


def _has_results(server: V2Caller, read: Answer) -> None:
    server.assume("interim", bool(read.frames), "no result came on the GET")


def _is_interim(frame: Frame) -> bool:
    return frame["type"] == "RecognizedInput" and frame.get("isFinal") is not True


def _wav(pcm: bytes) -> bytes:
    """A file with these samples in it."""
    form = b"fmt " + (16).to_bytes(4, "little") + bytes((1, 0, 1, 0))
    form += RATE.to_bytes(4, "little") + (2 * RATE).to_bytes(4, "little") + bytes((2, 0, 16, 0))
    inside = b"WAVE" + form + b"data" + len(pcm).to_bytes(4, "little") + pcm
    return b"RIFF" + len(inside).to_bytes(4, "little") + inside
