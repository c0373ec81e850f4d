"""The microphone."""

from __future__ import annotations

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.socket_v1.client.suite import ERROR, check, goes_on, must_show
from flowstorm_channel.conformance.socket_v1.listener import QUIET, Accepted, Listener
from flowstorm_channel.conformance.verdicts import Violation

__all__: list[str] = []

NEEDS = ("say", "open_microphone", "speak")
BLOCK = b"\1\2" * 800


def _speaks(server: Listener, talk: Accepted) -> bool:
    """Whether audio goes out when the user speaks."""
    for _ in range(3):
        server.driver.act("speak", BLOCK)
    return bool(talk.audio_during(0 if server.driver.exact else QUIET))


def _must_be_silent(server: Listener, talk: Accepted, what: str) -> None:
    server.pass_time(0 if server.driver.exact else 100)
    talk.during(0)
    if _speaks(server, talk):
        raise Violation(f"{what}, audio is still sent")


def _open(server: Listener) -> Accepted:
    talk = server.listening()
    server.arranged(_speaks(server, talk) or None, "the microphone is open, and no audio is sent")
    return talk


@check(needs=NEEDS)
def audio_waits_for_the_acknowledgement(server: Listener) -> None:
    """Has the user speak before InputAudioStreamOpen is acknowledged, and after: audio goes out only then."""
    talk = server.begun()
    server.wants_to_speak(talk)
    if _speaks(server, talk):
        raise Violation("audio was sent before InputAudioStreamOpen was acknowledged")
    talk.send(frames.OPEN)
    server.pass_time(0 if server.driver.exact else 100)
    if not _speaks(server, talk):
        raise Violation("InputAudioStreamOpen was acknowledged, and no audio is sent")


@check(needs=NEEDS)
def a_final_result_closes_the_microphone(server: Listener) -> None:
    """Recognises something final: InputAudioStreamClose has to come, and no more audio."""
    talk = _open(server)
    talk.send(frames.recognized("good morning", final=True))
    if talk.comes("InputAudioStreamClose") is None:
        server.said(talk, "Did you hear that?", 0)
        raise Violation("a final result was not answered with InputAudioStreamClose")
    _must_be_silent(server, talk, "after a final result")


@check(needs=NEEDS)
def a_result_is_final_unless_it_says_otherwise(server: Listener) -> None:
    """Recognises something without isFinal: InputAudioStreamClose has to come."""
    talk = _open(server)
    talk.send({"type": "Recognized", "text": "good morning"})
    if talk.comes("InputAudioStreamClose") is None:
        raise Violation("a Recognized without isFinal was not answered with InputAudioStreamClose")


@check(needs=NEEDS)
def the_answer_to_speech_is_shown(server: Listener) -> None:
    """Recognises something final and answers it: the answer has to be shown, and the user can go on."""
    server.showing()
    talk = _open(server)
    talk.say(frames.recognized("good morning", final=True), frames.item("Good opal."), frames.response())
    must_show(server, "opal", "the answer to what was recognised")
    server.played()
    goes_on(server, talk, "after a spoken turn")


@check(needs=NEEDS)
def an_interim_result_changes_nothing(server: Listener) -> None:
    """Sends an interim result: audio has to go on, and the microphone stays open."""
    talk = _open(server)
    talk.send(frames.recognized("good mor", final=False))
    closed = talk.comes("InputAudioStreamClose", 0 if server.driver.exact else QUIET)
    if closed is not None or not _speaks(server, talk):
        raise Violation("an interim result closed the microphone")


@check(needs=(*NEEDS, "close_microphone"))
def closing_the_microphone_is_told(server: Listener) -> None:
    """Has the user close the microphone: InputAudioStreamClose has to come, and no more audio."""
    talk = _open(server)
    server.driver.act("close_microphone")
    if talk.comes("InputAudioStreamClose") is None:
        raise Violation("the microphone was closed, and InputAudioStreamClose did not come")
    _must_be_silent(server, talk, "after the microphone was closed")


@check(needs=NEEDS)
def typing_closes_the_microphone(server: Listener) -> None:
    """Has the user type while the microphone is open: InputAudioStreamClose has to come before the input."""
    talk = _open(server)
    server.driver.act("say", "I would rather type.")
    found = [frame["type"] for frame in talk.until("Input", "Request") if frame["type"] != "Binary"]
    if "InputAudioStreamClose" not in found:
        raise Violation("the user typed something, and the microphone was not closed before it")
    _must_be_silent(server, talk, "after the user typed something")


@check(needs=NEEDS)
def an_acknowledgement_that_nobody_asked_for_opens_nothing(server: Listener) -> None:
    """Acknowledges an opening that the client has closed again: no audio must go out."""
    talk = server.begun()
    server.wants_to_speak(talk)
    server.arrange(lambda: server.asked(talk, "I would rather type."))
    talk.send(frames.OPEN)
    _must_be_silent(server, talk, "after an acknowledgement that came too late")


@check(needs=NEEDS)
def an_error_closes_the_microphone(server: Listener) -> None:
    """Sends Error while the microphone is open: no more audio must go out."""
    talk = _open(server)
    talk.send(ERROR)
    _must_be_silent(server, talk, "after an Error")


@check(needs=NEEDS)
def the_end_of_the_session_closes_the_microphone(server: Listener) -> None:
    """Ends the session while the microphone is open: no more audio must go out."""
    talk = _open(server)
    talk.say(frames.response(sessionEnded=True), frames.ENDED)
    _must_be_silent(server, talk, "after the end of the session")


@check(needs=NEEDS, seconds=11)
def a_new_connection_asks_for_the_microphone_again(server: Listener) -> None:
    """Breaks the connection off while the microphone is open: no audio must go out on a new one unasked."""
    talk = server.again(_open(server))
    _must_be_silent(server, talk, "on a new connection, without an opening")
