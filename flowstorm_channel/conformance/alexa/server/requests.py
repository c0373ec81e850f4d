"""Requests: all that is asked gets an answer, what is new too."""

from __future__ import annotations

from flowstorm_channel.conformance.alexa.peer import ECHO, ECHO_SHOW, FIRST_ECHO_SHOW, AlexaCaller
from flowstorm_channel.conformance.alexa.server.suite import check
from flowstorm_channel.conformance.verdicts import NotDeclared, Violation
from flowstorm_channel.conformance.webhook import Tree, at

# ------------------------------------------------------------ requests


@check()
def a_launch_is_answered(alexa: AlexaCaller) -> None:
    """Opens the skill."""
    device = alexa.device()
    device.ask(device.says.launch())


@check(needs=("end",))
def words_reach_the_dialogue(alexa: AlexaCaller) -> None:
    """Says two things as words of a slot: the ending phrase ends the session, the other does not."""
    device = alexa.launched()
    if device.say(alexa.phrase("echo")).ends:
        raise Violation("the session ended at words that are not the ending phrase")
    answer = device.say(alexa.phrase("end"))
    alexa.claimed("end", answer.ends, "the session did not end at the ending phrase")


@check()
def a_slot_without_a_value_is_answered(alexa: AlexaCaller) -> None:
    """Says something that is not understood: the slot has no value, is not there, or there are no slots."""
    device = alexa.launched()
    device.say(None)
    device.ask(device.says.intent(device.says.message))

    def without_slots(tree: Tree) -> None:
        del tree["request"]["intent"]["slots"]

    device.ask(device.says.intent(device.says.message), without_slots)


@check()
def help_is_answered(alexa: AlexaCaller) -> None:
    """Asks for help, and says what Alexa finds no intent for."""
    device = alexa.launched()
    device.ask(device.says.help())
    device.ask(device.says.intent("AMAZON.FallbackIntent"))


@check(needs=("end",))
def stopping_ends_the_session(alexa: AlexaCaller) -> None:
    """Says stop, cancel and go home, once each: the session ends."""
    for name in ("AMAZON.StopIntent", "AMAZON.CancelIntent", "AMAZON.NavigateHomeIntent"):
        device = alexa.launched()
        answer = device.ask(device.says.intent(name))
        alexa.claimed("end", answer.ends, f"the session did not end at {name}")


@check()
def the_end_of_a_session_is_answered(alexa: AlexaCaller) -> None:
    """Ends sessions without a word: by the user, after too many reprompts, and for an error."""
    error = {"type": "INVALID_RESPONSE", "message": "The response was not understood."}
    for reason, more in (("USER_INITIATED", None), ("EXCEEDED_MAX_REPROMPTS", None), ("ERROR", error)):
        device = alexa.launched()
        device.ask(device.says.end(reason, more))


@check()
def can_fulfill_is_answered(alexa: AlexaCaller) -> None:
    """Asks on behalf of a user who names no skill whether this one could do something."""
    device = alexa.device()
    answer = device.ask(device.says.can_fulfill(device.says.message, **{device.says.slot: "anything"}))
    verdict = at(answer.response, "canFulfillIntent", "canFulfill")
    if verdict not in ("YES", "NO", "MAYBE"):
        raise Violation(f"canFulfill has to be YES, NO or MAYBE, got {verdict!r:.80}")


@check()
def requests_outside_of_sessions_are_answered(alexa: AlexaCaller) -> None:
    """Makes requests that have no session: of the audio player, a button, the account, and of an error."""
    for kind in (
        "AudioPlayer.PlaybackStarted",
        "PlaybackController.PlayCommandIssued",
        "AlexaSkillEvent.SkillEnabled",
        "System.ExceptionEncountered",
    ):
        device = alexa.device()
        device.ask(device.says.request(kind, in_session=False))


@check()
def touches_are_answered(alexa: AlexaCaller) -> None:
    """Touches the screen of a new device and of an old one; what was touched may be no text."""
    for interfaces, touched in ((ECHO_SHOW, "yes"), (ECHO_SHOW, {"x": 1}), (FIRST_ECHO_SHOW, "yes")):
        device = alexa.launched(interfaces)
        device.ask(device.says.touch(touched))


@check(needs=("echo",))
def words_are_read_as_utf8(alexa: AlexaCaller) -> None:
    """Says words beyond ASCII to a dialogue that repeats what it hears."""
    said = alexa.launched().say("wave vlna vlnička příliš wave").speech.text
    if "vlna" not in said:
        raise NotDeclared("the dialogue does not repeat what it is told")
    if "vlnička příliš" not in said:
        raise Violation(f"'vlnička příliš' came back as {said!r:.200}")


# ------------------------------------------------------------ what is new


@check()
def unknown_requests_are_answered(alexa: AlexaCaller) -> None:
    """Makes requests of types that came later than the skill, within a session."""
    device = alexa.launched()
    for kind in ("SessionResumedRequest", "Connections.Response", "Conformance.Tomorrow"):
        device.ask(device.says.request(kind, cause={"type": "Tomorrow"}))


@check()
def unknown_intents_are_answered(alexa: AlexaCaller) -> None:
    """Says something that Alexa takes for intents that are not the skill's, with slots and without."""
    device = alexa.launched()
    device.ask(device.says.intent("ConformanceIntent"))
    device.ask(device.says.intent("ConformanceIntent", place="Prague", time=None))


@check()
def unknown_members_are_ignored(alexa: AlexaCaller) -> None:
    """Puts members and interfaces that nobody knows into every part of a launch."""
    device = alexa.device({**ECHO, "Conformance.Tomorrow": {"maxVersion": "9"}})

    def grown(tree: Tree) -> None:
        parts = (
            *(("session", each) for each in ("user", "application")),
            ("context", "System"),
            ("context", "System", "device"),
        )
        for path in (("session",), ("context",), ("request",), *parts):
            at(tree, *path)["conformance"] = {"tomorrow": [1, None, {"a": True}]}
        tree["conformance"] = None

    device.ask(device.says.launch(), grown)


@check()
def absent_members_are_missed_by_nobody(alexa: AlexaCaller) -> None:
    """Launches the skill from a device that is not named, without a token, with parts of a place only."""
    device = alexa.device()

    def bare(tree: Tree) -> None:
        system = tree["context"]["System"]
        for name in ("device", "apiAccessToken", "apiEndpoint"):
            del system[name]
        tree["context"]["Geolocation"] = {"locationServices": {"access": "ENABLED", "status": "STOPPED"}}
        del tree["session"]["attributes"]

    device.ask(device.says.launch(), bare)

    def half(tree: Tree) -> None:
        tree["context"]["Geolocation"] = {"coordinate": {"latitudeInDegrees": 50.1}, "heading": {}}

    device = alexa.device()
    device.ask(device.says.launch(), half)
