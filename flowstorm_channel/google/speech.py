"""What both versions mean alike by what a response says: speech, text, a card and chips (external.md, 4).

`v2` and `v3` know under which names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import attrs

from flowstorm_channel.answers import Unsent, fetched_from
from flowstorm_channel.codecs.faults import shown
from flowstorm_channel.ssml import escape, inner, plain, shorten_text, speak
from flowstorm_channel.values import (
    Card,
    Command,
    ExpectedPhrase,
    Response,
    ResponseItem,
    TtsConfig,
)

__all__ = [
    "LONGEST_SUGGESTION",
    "MOST_HINTS",
    "MOST_SUGGESTIONS",
    "MOST_TEXT",
    "OK",
    "Answer",
    "Bubble",
    "CardContent",
    "answer_of",
]

MOST_TEXT = 640
"""Characters that a bubble shows."""
MOST_SUGGESTIONS = 8
LONGEST_SUGGESTION = 25
"""Of a chip, in characters."""
MOST_HINTS = 1_000
"""Phrases that recognition takes."""

_PAUSE = '<break time="200ms"/>'
_NO_WORDS = "…"
_NO_SCREEN = "the device has no screen"
_SOUND = re.compile(r"<(?:audio|break)\b")
_VARIANT = re.compile(r"[1-9]\d{0,3}", re.ASCII)


class Bubble(NamedTuple):
    """One utterance of the assistant."""

    speech: str
    """An SSML document, in which there is something to hear."""
    text: str
    """To show; never empty."""


class CardContent(NamedTuple):
    """What a card shows: a text, an image, or both."""

    title: str
    text: str
    image: str | None
    description: str
    """Of the image, for those who cannot see it; never empty."""


OK = Bubble(speak("ok"), "ok")
"""What is said to a health check."""


@attrs.frozen(kw_only=True)
class Answer:
    """A response, cut to what Google Assistant takes.

    Args:
        bubbles: one, or two when the text is too long for one.
        card: the only one.
        suggestions: of what to say next.
        hints: of what will be said next.
        ended: the conversation is over.
        unsent: what was cut or left out.
    """

    bubbles: tuple[Bubble, ...]
    card: CardContent | None
    suggestions: tuple[str, ...]
    hints: tuple[str, ...]
    ended: bool
    unsent: tuple[Unsent, ...]


def answer_of(response: Response, *, base_url: str | None, has_screen: bool, ends: bool) -> Answer:
    """What a response says, within the limits of Google Assistant.

    Args:
        base_url: of addresses that begin with ``/``.
        has_screen: whether the device can show cards and suggestions.
        ends: the user ends the conversation, whatever the response says.
    """
    draft = _Draft(base_url, has_screen)
    for item in response.items:
        draft.add(item)
    ended = ends or (response.session_ended and response.sleep_timeout == 0)  # D-51
    card = draft.card()
    return Answer(
        bubbles=draft.bubbles(card),
        card=card,
        suggestions=draft.suggestions(ended),
        hints=() if ended else draft.hints(response.expected_phrases),
        ended=ended,
        unsent=tuple(draft.unsent),
    )


class _Draft:
    """An answer that grows item by item."""

    def __init__(self, base_url: str | None, has_screen: bool) -> None:
        self.unsent: dict[Unsent, None] = {}  # told once each, in their order
        self._base_url = base_url
        self._has_screen = has_screen
        self._segments: list[_Segment] = []
        self._card: Card | None = None
        self._image: str | None = None
        self._image_text = ""
        self._suggestions: dict[str, None] = {}

    def _leave_out(self, part: str, reason: str) -> None:
        self.unsent[Unsent(part, reason)] = None

    def _cut(self, part: str, text: str, most: int) -> str:
        """The text, shortened when it is too long."""
        if len(text) > most:
            self.unsent[Unsent.too_long(part, len(text), most)] = None
        return shorten_text(text, most)

    # -------------------------------------------------------- items

    def add(self, item: ResponseItem) -> None:
        """Say one item more."""
        command = item.command
        if command is not None:
            self._obey(command)
        text = "" if command is not None else item.text.strip()
        body = self._body(item.ssml, text)
        words = text or plain(body).strip()
        audio = self._address("audio", item.audio)
        if body or audio:
            self._segments.append(
                _Segment(
                    text=words,
                    body=body,
                    voice=self._voice(item.tts_config, body),
                    sound="" if audio is None else f'<audio src="{escape(audio)}"/>',
                    divisible=body == escape(text),
                )
            )
        self._see(item.image, words)
        for part, given in (("video", item.video), ("background", item.background)):
            if given:
                self._leave_out(part, "Google Assistant shows none")

    def _obey(self, command: Command) -> None:
        if command.name == "suggestions":
            self._suggest(command.payload)
        elif command.name == "card":
            self._set_card(command.payload)
        else:
            self._leave_out(command.name, "Google Assistant has no such command")

    def _body(self, ssml: str | None, text: str) -> str:
        if not ssml:
            return escape(text)
        body = inner(ssml)
        if body is None:
            self._leave_out("ssml", "it is not well-formed")
            return escape(text)
        return body.strip() or escape(text)

    def _voice(self, config: TtsConfig | None, body: str) -> str:
        """The tag that begins the voice of an item; empty when it needs none."""
        if config is None or "<voice" in body:  # it names its voices itself
            return ""
        variant = config.google_assistant or ""
        if variant and not _VARIANT.fullmatch(variant):
            self._leave_out("voice", f"{variant[:40]!r} is no variant: a whole number from 1")
            variant = ""
        attribute = f' variant="{variant}"' if variant else ""
        return f'<voice gender="{config.gender.value.lower()}"{attribute}>'

    def _address(self, part: str, address: str | None) -> str | None:
        """An address that Google fetches from; None when there is none, or another one."""
        if not address:
            return None
        try:
            return fetched_from(address, self._base_url)
        except ValueError as error:
            self._leave_out(part, str(error))
            return None

    def _see(self, address: str | None, text: str) -> None:
        image = self._address("image", address)
        if image is not None and self._image is not None:
            self._leave_out("image", "an answer has only one")
        elif image is not None:
            self._image, self._image_text = image, text

    def _set_card(self, payload: Any) -> None:
        card = Card.of(payload)
        if card == Card():
            self._leave_out("card", "it has neither title nor text")
        elif self._card is not None:
            self._leave_out("card", "an answer has only one")
        else:
            self._card = card

    def _suggest(self, payload: Any) -> None:
        given = payload.get("suggestions") if isinstance(payload, dict) else payload
        if not isinstance(given, list):
            self._leave_out("suggestions", "not a list of them")
            return
        for each in given:
            title = _words(each)
            if len(title) > LONGEST_SUGGESTION:
                # It is what the user says by touching it: a part of it would be something else.
                self.unsent[Unsent.too_long("suggestions", len(title), LONGEST_SUGGESTION)] = None
            elif title:
                self._suggestions[title] = None
            else:
                self._leave_out("suggestions", f"{shown(each)} is no text")

    # -------------------------------------------------------- the answer

    def suggestions(self, ended: bool) -> tuple[str, ...]:
        """The chips."""
        found = tuple(self._suggestions)
        if found and ended:
            self._leave_out("suggestions", "the conversation ends")
            return ()
        if found and not self._has_screen:
            self._leave_out("suggestions", _NO_SCREEN)
            return ()
        if len(found) > MOST_SUGGESTIONS:
            self._leave_out("suggestions", f"{len(found)} of at most {MOST_SUGGESTIONS}")
        return found[:MOST_SUGGESTIONS]

    def hints(self, phrases: Iterable[ExpectedPhrase]) -> tuple[str, ...]:
        """The phrases that are likely to come."""
        found = tuple(dict.fromkeys(text for each in phrases if (text := each.text.strip())))
        if len(found) > MOST_HINTS:
            self._leave_out("hints", f"{len(found)} of at most {MOST_HINTS}")
        return found[:MOST_HINTS]

    def card(self) -> CardContent | None:
        """The card, when there is something to put on it and something to show it on."""
        if not self._has_screen:
            if self._card is not None:
                self._leave_out("card", _NO_SCREEN)
            if self._image is not None:
                self._leave_out("image", _NO_SCREEN)
            return None
        if self._card is None and self._image is None:
            return None
        title, text = ("", "") if self._card is None else (self._card.title, self._card.text)
        if self._image is None and not text:
            title, text = "", title  # a text there must be
        description = title or shorten_text(self._image_text, MOST_TEXT) or "Image"
        return CardContent(title, text, self._image, description)

    def bubbles(self, card: CardContent | None) -> tuple[Bubble, ...]:
        """What is said. Where there is nothing to say, the card is read out; without one there is a pause."""
        segments = self._segments
        if not any(each.text or each.audible for each in segments) and card is not None:
            said = card.title or card.text
            segments = [_Segment(text=said, body=escape(said), divisible=True)] if said else []
        first, second = _divided(segments)
        return tuple(self._bubble(each) for each in (first, second) if each or each is first)

    def _bubble(self, segments: list[_Segment]) -> Bubble:
        text = " ".join(each.text for each in segments if each.text)
        spoken = " ".join(each.speech for each in segments if each.audible)
        return Bubble(speak(spoken or _PAUSE), self._cut("text", text, MOST_TEXT) or _NO_WORDS)


def _words(value: Any) -> str:
    """A text of a payload, as it can be sent: JSON can spell what is no character. Of anything else, none."""
    return value.encode(errors="replace").decode().strip() if isinstance(value, str) else ""


# ------------------------------------------------------------ one bubble, or two

_LEAST = 40
"""In less room than that no text is begun: it would hardly be more than a word."""


@attrs.frozen(kw_only=True)
class _Segment:
    """What one item says, or a part of it.

    Args:
        text: to show.
        body: the speech, SSML.
        voice: the tag that begins another voice.
        sound: a tag that plays something after it.
        divisible: the speech is the text, and can be cut where the text is.
    """

    text: str
    body: str
    voice: str = ""
    sound: str = ""
    divisible: bool

    @property
    def audible(self) -> bool:
        return bool(self.sound or _SOUND.search(self.body) or plain(self.body).strip())

    @property
    def speech(self) -> str:
        spoken = f"{self.voice}{self.body}</voice>" if self.voice and self.body else self.body
        return f"{spoken} {self.sound}" if spoken and self.sound else spoken or self.sound

    def divided(self, most: int) -> tuple[_Segment, _Segment]:
        """As much of it as fits, and the rest."""
        head = shorten_text(self.text, most)
        tail = self.text[len(head) :].lstrip()
        return (
            attrs.evolve(self, text=head, body=escape(head), sound=""),
            attrs.evolve(self, text=tail, body=escape(tail)),
        )


def _divided(segments: Iterable[_Segment]) -> tuple[list[_Segment], list[_Segment]]:
    """What is shown in the first bubble, and what in the second."""
    rest = list(segments)
    if _width(rest) <= MOST_TEXT:
        return rest, []
    fitting, room = 0, MOST_TEXT
    while len(text := rest[fitting].text) <= room:
        room -= len(text) + bool(text)
        fitting += 1
    first, rest = rest[:fitting], rest[fitting:]
    if rest[0].divisible and _width(rest) > MOST_TEXT and room >= _LEAST:
        head, rest[0] = rest[0].divided(room)
        first.append(head)
    elif not first:
        first.append(rest.pop(0))
    return first, rest


def _width(segments: list[_Segment]) -> int:
    """How long the text of a bubble would be."""
    return sum(len(each.text) + 1 for each in segments if each.text) - 1
