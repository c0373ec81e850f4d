"""Interruptions: the caller speaks, or presses a key, while the server talks."""

from __future__ import annotations

from collections.abc import Iterator

from flowstorm_channel.conformance.twilio.peer import Phone
from flowstorm_channel.conformance.twilio.server.suite import check
from flowstorm_channel.conformance.verdicts import NotDeclared, Violation

__all__: list[str] = []

_PIECE = 800
"""Bytes by which audio is known again: 100 ms."""
_VARIED = 8
"""As many different bytes are in it, or it is silence or a plain tone."""
_LEAKING = 2000
"""Milliseconds in which more would come of a turn that has not been stopped."""
_AT_ONCE = 1500


def pieces(audio: bytes) -> Iterator[bytes]:
    """What can be known again of some audio."""
    for start in range(0, len(audio) - _PIECE + 1, _PIECE):
        piece = audio[start : start + _PIECE]
        if len(set(piece)) >= _VARIED:
            yield piece


@check(needs=("audio", "speech"), seconds=15)
def speech_clears_what_is_played(server: Phone) -> None:
    """Speaks while the server talks: when the speech has been recognised, clear comes."""
    server.interrupted()


@check(needs=("audio", "speech"), seconds=15)
def the_answer_comes_after_the_clear(server: Phone) -> None:
    """Speaks while the server talks: the answer is not cleared with what was interrupted."""
    call = server.arrange(server.interrupted).call
    call.listen()
    last = max(at for at, each in enumerate(call.came) if each.event == "clear")
    if not call.all("media", last):
        raise Violation("after the last clear came no audio: the answer is cleared, too, or there is none")


@check(needs=("audio", "speech"), seconds=20)
def nothing_of_an_interrupted_turn_comes_after_the_clear(server: Phone) -> None:
    """Speaks while the server talks: the audio after the clear is nothing of what was interrupted."""
    found = server.arrange(server.interrupted)
    found.call.wait("media", found.at)
    server.pass_time(_LEAKING)
    uncut = found.uncut

    def known(audio: bytes) -> bool:
        return any(piece in uncut and piece not in found.answer for piece in pieces(audio))

    if not known(found.before):
        raise NotDeclared("what the server says cannot be known again by its sound")
    if known(found.after):
        raise Violation("after the clear came audio of the turn that was interrupted")


@check(needs=("audio",))
def keys_do_not_interrupt_by_themselves(server: Phone) -> None:
    """Presses a key that means nothing while the server talks: nothing is cleared."""
    key = server.profile.idle_key
    if key is None:
        raise NotDeclared("each key means something to the dialogue")
    call = server.answered()
    since = len(call.came)
    call.press(key)
    if call.wait("clear", since, _AT_ONCE) is not None:
        raise Violation(f"the key {key} cleared what was played")


@check(needs=("audio", "speech"), seconds=10)
def keys_do_not_end_the_call(server: Phone) -> None:
    """Presses a key that means nothing: the caller can still speak with the server."""
    key = server.profile.idle_key
    if key is None:
        raise NotDeclared("each key means something to the dialogue")
    call = server.greeted()
    call.converse()
    call.press(key)
    call.goes_on(f"the key {key}")


@check(needs=("audio", "end"), seconds=10)
def marks_of_cleared_audio_do_not_count(server: Phone) -> None:
    """Interrupts the greeting with the end: its mark comes back at once, and ends nothing before its time."""
    call = server.greeted()
    call.ask_for("end")
    call.wait("(closed)")
    call.listen()
    server.assume("end", call.ended is not None, "the phrase for the end did not end the call")
    call = server.answered()
    call.wait("mark", ms=_AT_ONCE)
    if not call.peer.marks:
        raise NotDeclared("the greeting was over before it could be interrupted")
    since = call.ask_for("end")
    call.wait("(closed)", since)
    call.listen(since)
    if call.cut_off:
        raise Violation("a mark of cleared audio came back, and the call was closed before the last words")
