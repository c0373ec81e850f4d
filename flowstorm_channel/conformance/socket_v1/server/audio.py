"""What V1 servers hear: the microphone, what is recognised, and silence."""

from __future__ import annotations

from functools import partial

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.socket_v1.peer import BLOCK, PARTS, Conversation, V1Caller, final, name
from flowstorm_channel.conformance.socket_v1.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation
from flowstorm_channel.values import SILENCE

__all__: list[str] = []

_SILENCE = 1500
"""The silenceTimeout that is asked for, in milliseconds."""
_EARLY = 250
_LATE = 1500
"""Milliseconds by which silence may be noticed too early, and too late."""
_QUIET = b"\0" * BLOCK


def acknowledged(talk: Conversation, what: str) -> None:
    """Open the microphone: it has to be acknowledged."""
    talk.send(frames.OPEN)
    found = talk.receive()
    if found is None or found["type"] != "InputAudioStreamOpen":
        raise Violation(f"{what}, InputAudioStreamOpen was answered with {name(found)}")


def results(came: list[Frame]) -> list[Frame]:
    """What was recognised."""
    return [each for each in came if each["type"] == "Recognized"]


# ------------------------------------------------------------ the microphone


@check(needs=("speech",))
def the_microphone_is_acknowledged(server: V1Caller) -> None:
    """Sends InputAudioStreamOpen, and waits for the same event."""
    talk = server.started(silenceTimeout=0)
    talk.send(frames.OPEN)
    found = talk.receive()
    opened = found is not None and found["type"] == "InputAudioStreamOpen"
    server.demand("speech", opened, f"InputAudioStreamOpen was answered with {name(found)}")


@check(needs=("speech",))
def the_microphone_is_acknowledged_once(server: V1Caller) -> None:
    """Sends InputAudioStreamOpen again while the stream is open: it is not acknowledged again."""
    talk = server.listening()
    talk.send(frames.OPEN)
    talk.stays_quiet("a second InputAudioStreamOpen", 1000)


@check(needs=("speech",))
def the_browsers_microphone_is_understood(server: V1Caller) -> None:
    """Opens and closes the microphone with all the members that the browser client adds."""
    talk, session_id = server.begun(silenceTimeout=0)
    key = server.profile.key
    names = {"appKey": key, "deviceId": talk.device_id, "sender": talk.device_id, "token": "token"}
    talk.send({**frames.OPEN, "appKey": key, "message": {**names, "sessionId": session_id}})
    found = talk.receive()
    opened = found is not None and found["type"] == "InputAudioStreamOpen"
    server.demand("speech", opened, f"the browser's InputAudioStreamOpen was answered with {name(found)}")
    talk.send({**frames.CLOSE, "appKey": key})
    talk.stays_quiet("the browser's InputAudioStreamClose")
    talk.goes_on("the browser's InputAudioStreamClose")


@check(needs=("speech",))
def the_microphone_opens_again_after_a_result(server: V1Caller) -> None:
    """Speaks, and opens the microphone again after the answer: it is acknowledged, and hears."""
    talk = server.listening()
    server.recognised(talk)
    server.arrange(talk.answer)
    acknowledged(talk, "after a final result and its answer")
    talk.speak()
    if final(talk.up_to_result()) is None:
        raise Violation("nothing was recognised when the microphone was opened again")


@check(needs=("speech",))
def the_microphone_opens_again_after_it_was_closed(server: V1Caller) -> None:
    """Closes the microphone and opens it again: it is acknowledged."""
    talk = server.listening()
    talk.send(frames.CLOSE)
    acknowledged(talk, "after InputAudioStreamClose")


@check(needs=("speech",))
def typing_closes_the_microphone(server: V1Caller) -> None:
    """Types while the microphone is open, and opens it again after the answer: it is acknowledged."""
    talk = server.listening()
    server.arrange(lambda: talk.goes_on("InputAudioStreamOpen"))
    acknowledged(talk, "after an Input and its answer")


@check(needs=("speech",))
def audio_that_nobody_wants_is_dropped(server: V1Caller) -> None:
    """Sends audio behind a final result, as every client does, and when no microphone is open."""
    talk = server.listening()
    server.recognised(talk)
    talk.speak()
    talk.answered("audio behind a final result")
    talk.during(500)
    talk.send(_QUIET)
    talk.stays_quiet("audio without an open microphone")
    talk.goes_on("audio without an open microphone")


@check(needs=("speech", "duplex"))
def a_duplex_microphone_stays_open(server: V1Caller) -> None:
    """Speaks twice in Duplex without opening the microphone again: both are recognised."""
    talk = server.listening(sttMode="Duplex")
    server.recognised(talk)
    server.arrange(talk.answer)
    talk.during(500)
    talk.speak()
    again = final(talk.up_to_result()) is not None
    server.demand("duplex", again, "nothing was recognised any more after the first final result")


@check(needs=("speech", "later"))
def the_servers_own_turn_leaves_the_microphone_open(server: V1Caller) -> None:
    """Waits with an open microphone for what the server says of its own accord, and is still heard."""
    talk = server.started(silenceTimeout=0)
    server.arrange(lambda: talk.ask(server.profile.phrase("later")))
    server.arrange(lambda: acknowledged(talk, "after an answer"))
    begun = talk.receive(4000)
    later = begun is not None and begun["type"] in (*PARTS, "Response")
    server.assume("later", later, f"after the answer to the phrase for later came {name(begun)}")
    talk.during(500)
    talk.speak()
    if final(talk.up_to_result()) is None:
        raise Violation("nothing was recognised any more after a turn that the server has begun")


# ------------------------------------------------------------ what is recognised


@check(needs=("speech",))
def what_is_recognised_is_answered(server: V1Caller) -> None:
    """Speaks without asking for interim results: a final one comes, and then the answer to it."""
    talk = server.listening(sttInterimResults=False)
    talk.speak()
    heard = final(talk.up_to_result()) is not None
    server.demand("speech", heard, "nothing was recognised in the profile's speech")
    talk.answer()


@check(needs=("speech",))
def the_final_result_comes_before_its_answer(server: V1Caller) -> None:
    """Speaks: nothing of the answer comes before the final result."""
    talk = server.listening()
    early = [each for each in server.recognised(talk) if each["type"] not in ("Recognized", "SessionStarted")]
    if early:
        raise Violation(f"{name(early[0])} came before the final result")


@check(needs=("speech",))
def nothing_is_recognised_after_the_final_result(server: V1Caller) -> None:
    """Speaks on after the final result without opening the microphone again: nothing more is recognised."""
    talk = server.listening()
    server.recognised(talk)
    talk.speak()
    more = results(talk.during(2500))
    if more:
        raise Violation(
            f"after the final result came {name(more[0])}, though the microphone was not opened again"
        )


def _given_up(server: V1Caller, event: Frame) -> None:
    """Give the microphone up in mid-speech and speak on: nothing is recognised."""
    talk = server.listening()
    talk.speak(server.profile.speech[: len(server.profile.speech) // 4 // BLOCK * BLOCK])
    talk.send(event)
    talk.during(300)  # a result may have crossed it
    talk.speak()
    more = results(talk.during(2000))
    if more:
        raise Violation(f"after {name(event)} came {name(more[0])}")


@check(needs=("speech",))
def a_closed_microphone_hears_nothing(server: V1Caller) -> None:
    """Closes the microphone in mid-speech and speaks on: nothing is recognised."""
    _given_up(server, frames.CLOSE)


@check(needs=("speech",))
def a_cancelled_microphone_hears_nothing(server: V1Caller) -> None:
    """Cancels the stream in mid-speech and speaks on: nothing is recognised until it is opened again."""
    _given_up(server, frames.CANCEL)
    talk = server.listening()
    talk.send(frames.CANCEL)
    acknowledged(talk, "after InputAudioStreamCancel")


# ------------------------------------------------------------ silence


@check(needs=("speech",), timing=True, seconds=2)
def silence_is_told(server: V1Caller) -> None:
    """Opens the microphone and says nothing: after the silenceTimeout comes `#silence`, and its answer."""
    talk = server.listening(silenceTimeout=_SILENCE)
    since = server.now
    found = talk.receive(_SILENCE + _LATE)
    if found is None or found["type"] != "Recognized" or found.get("text") != SILENCE:
        raise Violation(f"expected Recognized {SILENCE!r} after {_SILENCE} ms, got {name(found)}")
    if server.now - since < _SILENCE - _EARLY:
        raise Violation(f"silence was told after {server.now - since:.0f} ms, not {_SILENCE}")
    talk.answer()


@check(needs=("speech",), timing=True, seconds=3)
def quiet_audio_does_not_put_silence_off(server: V1Caller) -> None:
    """Sends quiet audio and keep-alives all the time: `#silence` comes nevertheless."""
    talk = server.listening(silenceTimeout=_SILENCE)
    until = server.now + _SILENCE + _LATE
    came: list[Frame] = []
    while server.now < until and not results(came):
        talk.send({"type": "Binary", "data": _QUIET} if talk.packed else _QUIET)
        talk.send(b"")
        came += talk.during(100)
    if not results(came):
        raise Violation(f"nothing came within {_SILENCE + _LATE} ms of quiet audio")


@check(needs=("speech",), timing=True, seconds=6)
def silence_can_be_switched_off(server: V1Caller) -> None:
    """Opens the microphone with a silenceTimeout of 0 and says nothing: no silence is told."""
    talk = server.listening(silenceTimeout=0)
    found = results(talk.during(6000))
    if found:
        raise Violation(f"{name(found[0])} came, though silenceTimeout is 0")


@check(needs=("speech",), timing=True, seconds=5)
def there_is_no_silence_without_a_microphone(server: V1Caller) -> None:
    """Waits with the microphone closed, before it was ever open and afterwards: no silence is told."""
    for once_open in (False, True):
        talk = server.started(silenceTimeout=1000)
        if once_open:
            server.arrange(partial(acknowledged, talk, "after an answer"))
            talk.send(frames.CLOSE)
        found = results(talk.during(2500))
        if found:
            raise Violation(f"{name(found[0])} came, though the microphone is closed")
