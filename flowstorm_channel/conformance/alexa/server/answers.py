"""Answers: what the dialogue says and shows is said and shown, as the platform takes it."""

from __future__ import annotations

import re

from flowstorm_channel.conformance.alexa.lint import MOST_SPEECH
from flowstorm_channel.conformance.alexa.peer import ECHO, ECHO_SHOW, FIRST_ECHO_SHOW, AlexaCaller
from flowstorm_channel.conformance.alexa.server.suite import check
from flowstorm_channel.conformance.verdicts import NotDeclared, Violation
from flowstorm_channel.conformance.webhook import at, strings_in

COMMAND = re.compile(r"#[A-Za-z]\w*")


@check(needs=("echo",))
def words_are_escaped(alexa: AlexaCaller) -> None:
    """Says what would be markup to a dialogue that repeats what it hears: it comes back as text."""
    speech = alexa.launched().say("wave fish & chips <b> wave").speech
    if not speech.problem and "fish" not in speech.text:
        raise NotDeclared("the dialogue does not repeat what it is told")
    if speech.problem or "fish & chips <b>" not in speech.text:
        raise Violation(speech.problem or f"'fish & chips <b>' came back as {speech.text!r:.200}")


@check(needs=("command",))
def commands_are_not_said(alexa: AlexaCaller) -> None:
    """Makes the dialogue give a command: its name is not read out."""
    answer = alexa.launched().say(alexa.phrase("command"))
    found = COMMAND.search(answer.speech.text)
    if found:
        raise Violation(f"Alexa says {found[0]!r}")


@check(needs=("card",))
def a_card_is_sent(alexa: AlexaCaller) -> None:
    """Makes the dialogue give a card."""
    answer = alexa.launched().say(alexa.phrase("card"))
    alexa.claimed("card", bool(at(answer.response, "card", "type")), "there is no card")


@check(needs=("image",))
def an_image_is_shown_on_every_device(alexa: AlexaCaller) -> None:
    """Makes the dialogue show an image on a new screen, an old one, and none: if need be, on a card."""
    for interfaces in (ECHO_SHOW, FIRST_ECHO_SHOW, ECHO):
        response = alexa.launched(interfaces).say(alexa.phrase("image")).response
        shown = strings_in([response.get("directives"), response.get("card")])
        names = ", ".join(interfaces)
        alexa.claimed("image", any("://" in each for each in shown), f"no image on a device with {names}")


@check(needs=("video",))
def a_video_is_played(alexa: AlexaCaller) -> None:
    """Makes the dialogue play a video on a device that can, and on one that cannot."""
    alexa.launched().say(alexa.phrase("video"))
    answer = alexa.launched(ECHO_SHOW).say(alexa.phrase("video"))
    kinds = [each.get("type") for each in answer.directives]
    alexa.claimed("video", "VideoApp.Launch" in kinds, "there is no VideoApp.Launch")


@check(needs=("much",))
def an_answer_that_is_too_long_is_cut(alexa: AlexaCaller) -> None:
    """Makes the dialogue say more than Alexa takes: most of what fits is said."""
    answer = alexa.launched().say(alexa.phrase("much"))
    said = answer.speech
    alexa.claimed(
        "much", len(said.text) >= MOST_SPEECH // 4, f"of a long answer {len(said.text)} characters are left"
    )
