"""Answers: what the dialogue says and shows is said and shown, as the platform takes it."""

from __future__ import annotations

import re

from flowstorm_channel.conformance.google.peer import GoogleCaller
from flowstorm_channel.conformance.google.server.suite import check
from flowstorm_channel.conformance.verdicts import NotDeclared, Violation
from flowstorm_channel.conformance.webhook import strings_in

COMMAND = re.compile(r"#[A-Za-z]\w*")


@check(needs=("echo",))
def words_are_escaped(google: GoogleCaller) -> None:
    """Says what would be markup to a dialogue that repeats what it hears: it comes back as text."""
    for assistant in google.launched():
        speech = assistant.say("wave fish & chips <b> wave").speech
        if not speech.problem and "fish" not in speech.text:
            raise NotDeclared("the dialogue does not repeat what it is told")
        if speech.problem or "fish & chips <b>" not in speech.text:
            raise Violation(speech.problem or f"'fish & chips <b>' came back as {speech.text!r:.200}")


@check(needs=("command",))
def commands_are_not_said(google: GoogleCaller) -> None:
    """Makes the dialogue give a command: its name is neither said nor shown."""
    for assistant in google.launched():
        answer = assistant.say(google.phrase("command"))
        found = COMMAND.search(f"{answer.speech.text} {answer.text}")
        if found:
            raise Violation(f"{found[0]!r} is said or shown")


@check(needs=("image",))
def an_image_is_shown(google: GoogleCaller) -> None:
    """Makes the dialogue show an image, with a screen and without one."""
    for assistant in google.launched(screen=False):
        assistant.say(google.phrase("image"))
    for assistant in google.launched():
        cards = [content for _, content in assistant.say(google.phrase("image")).cards]
        shown = any("://" in each for each in strings_in(cards))
        google.claimed("image", shown, "there is no card with an image")


@check(needs=("card",))
def a_card_is_shown(google: GoogleCaller) -> None:
    """Makes the dialogue give a card, with a screen and without one."""
    for assistant in google.launched(screen=False):
        assistant.say(google.phrase("card"))
    for assistant in google.launched():
        google.claimed("card", bool(assistant.say(google.phrase("card")).cards), "there is no card")


@check(needs=("suggestions",))
def suggestions_are_shown(google: GoogleCaller) -> None:
    """Makes the dialogue suggest what to say next, with a screen and without one."""
    for assistant in google.launched(screen=False):
        assistant.say(google.phrase("suggestions"))
    for assistant in google.launched():
        answer = assistant.say(google.phrase("suggestions"))
        google.claimed("suggestions", bool(answer.suggestions), "there are no suggestions")


@check(needs=("much",))
def an_answer_that_is_long_is_said(google: GoogleCaller) -> None:
    """Makes the dialogue say much more than bubbles show: it is said all the same."""
    for assistant in google.launched():
        said = len(assistant.say(google.phrase("much")).speech.text)
        google.claimed("much", said >= 2000, f"of a long answer {said} characters are said")
