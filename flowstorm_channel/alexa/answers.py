"""What Alexa says and shows of a response (external.md, 4, "Alexa out"), within its limits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from flowstorm_channel.alexa.inputs import Answering, Intents, answering
from flowstorm_channel.alexa.messages import (
    APL,
    DISPLAY,
    VIDEO,
    AlexaRequest,
    AlexaResponse,
    BodyTemplate7,
    CanFulfillIntent,
    CardImage,
    DisplayImage,
    ImageSource,
    LaunchVideo,
    RenderDocument,
    RenderTemplate,
    Reprompt,
    ResponseBody,
    SimpleCard,
    SsmlSpeech,
    StandardCard,
    VideoItem,
    VideoMetadata,
)
from flowstorm_channel.answers import Unsent, fetched_from
from flowstorm_channel.codecs.trees import text_of
from flowstorm_channel.ssml import escape, inner, plain, shorten, shorten_text, speak, with_sounds
from flowstorm_channel.values import Card, Command, Response, ResponseItem, TtsConfig

__all__ = ["AlexaLimits", "answer", "can_fulfill", "nothing"]

TOKEN = "flowstorm"
"""By which events name what is shown."""


@attrs.frozen(kw_only=True)
class AlexaLimits:
    """What Alexa takes at most (external.md, 1; some of it is hearsay, so it can be set).

    Args:
        speech: characters of an answer's SSML, tags included.
        card: characters of a card: title, text and address of the picture.
        address: characters of a picture's address.
        sounds: sounds in one answer.
        total: bytes of an answer.
    """

    speech: int = 8000
    card: int = 8000
    address: int = 2000
    sounds: int = 5
    total: int = 24 * 1024


DEFAULT_LIMITS = AlexaLimits()


def answer(
    response: Response,
    request: AlexaRequest,
    *,
    session_attributes: Mapping[str, Any],
    directives: Sequence[Mapping[str, Any]] = (),
    base_url: str | None = None,
    title: str = "",
    reprompt: str | None = None,
    limits: AlexaLimits = DEFAULT_LIMITS,
) -> tuple[AlexaResponse, tuple[Unsent, ...]]:
    """What Alexa says and shows of a response, and what it cannot.

    Args:
        response: with all its items.
        request: that it answers; it tells what the device can do.
        session_attributes: what the next request of the session shall bring back.
        directives: more for the device to do, as JSON. They are never left out.
        base_url: of addresses in items that begin with ``/``; HTTPS.
        title: of cards, pictures and videos that have none.
        reprompt: said when the user says nothing; None: the last sentence again, ``""``: nothing.
        limits: what Alexa takes.

    Raises:
        TypeError, ValueError: JSON has no form for a session attribute or a directive.
    """
    if answering(request) is Answering.SILENT:
        unsaid = Unsent("response", f"nothing may be answered to {request.kind}")
        playable = any(each.playable for each in response.items)
        return AlexaResponse(session_attributes=session_attributes), (unsaid,) if playable else ()
    parts = _Parts(base_url, limits)
    for item in response.items:
        parts.take(item)
    draft = _Draft(response, parts, title, session_attributes, directives)
    draft.speak(reprompt)
    draft.show(request)
    draft.fit()
    return draft.message(), tuple(parts.unsent)


def can_fulfill(request: AlexaRequest, intents: Intents) -> AlexaResponse:
    """The answer to a CanFulfillIntentRequest, for which no dialogue runs.

    What a dialogue can do is not known here, only what `Intents.fulfils` promises: a skill that says yes to
    everything is sent what it cannot answer.
    """
    verdict = "YES" if request.intent in intents.fulfils else "NO"
    slots = {name: {"canUnderstand": verdict, "canFulfill": verdict} for name in request.slots}
    return AlexaResponse(
        response=ResponseBody(can_fulfill_intent=CanFulfillIntent(can_fulfill=verdict, slots=slots))
    )


def nothing(request: AlexaRequest | None = None) -> AlexaResponse:
    """The answer to a request that says nothing to the dialogue.

    Args:
        request: its session keeps its attributes, when it has one.
    """
    if request is None or request.session is None:
        return AlexaResponse()
    return AlexaResponse(session_attributes=request.session.attributes)


# ------------------------------------------------------------ what the items come to

_SOUND_LIBRARY = "soundbank://soundlibrary/"


class _Parts:
    """What all items of a response come to: one speech, one card, one picture, one video."""

    def __init__(self, base_url: str | None, limits: AlexaLimits) -> None:
        self._base_url = base_url
        self.limits = limits
        self.unsent: list[Unsent] = []
        self.speech: list[str] = []
        self.voice: str | None = None
        self.card: Card | None = None
        self.image: str | None = None
        self.background: str | None = None
        self.video: str | None = None
        self._sounds = 0

    def take(self, item: ResponseItem) -> None:
        command = item.command
        if command is not None:
            self._obey(command)
        self._say(self._body(item, "" if command else item.text), item.tts_config)
        if item.audio:
            sound = self._sound(item.audio)
            self.speech += [] if sound is None else [f'<audio src="{escape(sound)}"/>']
        if item.image:
            self.image = self._first("image", self.image, self._picture("image", item.image))
        if item.video:
            self.video = self._first("video", self.video, self._address("video", item.video))
        if item.background and self.background is None:
            self.background = (
                self._picture("background", item.background)
                if _is_address(item.background)
                else item.background
            )

    def leave_out(self, part: str, reason: str) -> None:
        self.unsent.append(Unsent(part, reason))

    def _obey(self, command: Command) -> None:
        if command.name != "card":
            self.leave_out(command.name, "Alexa has no such command")
            return
        card = Card.of(command.payload)
        if card == Card():
            self.leave_out("card", "it has neither title nor text")
        else:
            self.card = self._first("card", self.card, card)

    def _first(self, part: str, taken: Any, another: Any) -> Any:
        """There is place for one of each part only."""
        if taken is not None and another is not None:
            self.leave_out(part, "an answer has only one")
        return another if taken is None else taken

    def _body(self, item: ResponseItem, text: str) -> str:
        if not item.ssml or not item.ssml.strip():
            return escape(text)
        body = inner(item.ssml)
        if body is None:
            self.leave_out("ssml", "it is not well-formed")
            return escape(text)
        return with_sounds(body, self._sound)

    def _say(self, body: str, config: TtsConfig | None) -> None:
        if not body.strip():
            return
        self.voice = _voice(config)
        self.speech.append(_voiced(body, self.voice))

    def _sound(self, text: str) -> str | None:
        """The address of one more sound; None when it cannot be played."""
        address = self._address("audio", text)
        if address is not None and self._sounds == self.limits.sounds:
            self.leave_out("audio", f"more than {self.limits.sounds} sounds")
            return None
        self._sounds += address is not None
        return address

    def _picture(self, part: str, text: str) -> str | None:
        address = self._address(part, text)
        if address is not None and len(address) > self.limits.address:
            self.unsent.append(Unsent.too_long(part, len(address), self.limits.address))
            return None
        return address

    def _address(self, part: str, text: str) -> str | None:
        """An address that Alexa can fetch from."""
        if part == "audio" and text.startswith(_SOUND_LIBRARY):
            return text
        try:
            return fetched_from(text, self._base_url)
        except ValueError as error:
            self.leave_out(part, str(error))
            return None


def _is_address(background: str) -> bool:
    return background.startswith("/") or ":" in background


def _voice(config: TtsConfig | None) -> str | None:
    """The name of the voice as Alexa knows it; None: Alexa's own."""
    if config is None:
        return None
    return config.amazon_alexa or (config.name if config.provider.lower() == "amazon" else None) or None


def _voiced(body: str, voice: str | None) -> str:
    if voice is None or "<voice" in body:  # it names its voices itself
        return body
    return f'<voice name="{escape(voice)}">{body}</voice>'


# ------------------------------------------------------------ what they are said and shown as

_SENTENCES = re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+|(?<=[。！？।؟])")
_WORDS, _CHARACTERS = 3, 30


def _last_sentence(text: str) -> str:
    """The last sentence, and those before it as long as it would be too short to be understood alone."""
    sentences = [each for each in _SENTENCES.split(text) if each.strip()]
    last = ""
    while sentences and len(last.split()) < _WORDS and len(last) < _CHARACTERS:
        last = f"{sentences.pop()} {last}".strip()
    return last


def _document(image: str | None, background: str | None) -> RenderDocument:
    """A picture and what is behind it, on the whole screen.

    The addresses are data and no part of the document, where they could be taken for expressions. It needs
    no more than the first version of the language, which every device knows.
    """
    frame: dict[str, Any] = {"type": "Frame", "width": "100vw", "height": "100vh"}
    layers = []
    if background is not None and _is_address(background):
        layers.append(_layer("background", "best-fill"))
    elif background is not None:
        frame["backgroundColor"] = "${payload.picture.background}"
    if image is not None:
        layers.append(_layer("image", "best-fit"))
    frame["items"] = [{"type": "Container", "width": "100%", "height": "100%", "items": layers}]
    return RenderDocument(
        token=TOKEN,
        document={
            "type": "APL",
            "version": "1.0",
            "mainTemplate": {"parameters": ["payload"], "items": [frame]},
        },
        datasources={
            "picture": {
                name: value for name, value in (("image", image), ("background", background)) if value
            }
        },
    )


def _layer(name: str, scale: str) -> dict[str, Any]:
    return {
        "type": "Image",
        "source": f"${{payload.picture.{name}}}",
        "scale": scale,
        "position": "absolute",
        "width": "100vw",
        "height": "100vh",
    }


def _template(image: str, background: str | None, title: str) -> RenderTemplate:
    """The same for devices that do not know the language."""
    return RenderTemplate(
        template=BodyTemplate7(
            token=TOKEN,
            title=title or None,
            image=_image(image),
            background_image=_image(background) if background and _is_address(background) else None,
        )
    )


def _image(address: str) -> DisplayImage:
    return DisplayImage(sources=(ImageSource(url=address),))


# ------------------------------------------------------------ what the device gets of them

_EXCLUSIVE = ("Alexa.Presentation.", "AudioPlayer.", "Dialog.", "Display.", "VideoApp.")
"""What Alexa takes no picture beside."""


def _speech(body: str) -> SsmlSpeech | None:
    return SsmlSpeech(ssml=speak(body)) if body else None


class _Draft:
    """An answer that is being made to fit."""

    def __init__(
        self,
        response: Response,
        parts: _Parts,
        title: str,
        session_attributes: Mapping[str, Any],
        directives: Sequence[Mapping[str, Any]],
    ) -> None:
        self._parts = parts
        self._limits = parts.limits
        self._ended = response.session_ended and not response.sleep_timeout
        self._title = title
        self._session_attributes = session_attributes
        self._directives = directives
        self._body = ""
        self.reprompt: SsmlSpeech | None = None
        self.card: SimpleCard | StandardCard | None = None
        self.image: dict[str, Any] | None = None
        self.video: dict[str, Any] | None = None

    # -------------------------------------------------------- what is said

    def speak(self, reprompt: str | None) -> None:
        self._body = self._shortened("speech", " ".join(self._parts.speech))
        again = _last_sentence(plain(self._body)) if reprompt is None else reprompt
        voiced = _voiced(escape(again), self._parts.voice) if again.strip() else ""
        self.reprompt = _speech(self._shortened("reprompt", voiced))

    def _shortened(self, part: str, body: str) -> str:
        most, size = self._limits.speech, len(speak(body))
        if size <= most:
            return body
        self._too_long(part, size, most)
        return shorten(body, most - (size - len(body)))

    # -------------------------------------------------------- what is shown

    def show(self, request: AlexaRequest) -> None:
        parts = self._parts
        if parts.video is not None:
            if request.supports(VIDEO):
                metadata = VideoMetadata(title=self._title) if self._title else None
                item = VideoItem(source=parts.video, metadata=metadata)
                self.video = LaunchVideo(video_item=item).to_json()
            else:
                parts.leave_out("video", "the device plays none")
        on_screen = self._show_picture(request)
        if parts.background is not None and not on_screen:
            parts.leave_out("background", "the device shows none")
        self.card = self._make_card(None if on_screen else parts.image)

    def _show_picture(self, request: AlexaRequest) -> bool:
        """Show it on the device; False when it is not one to show a picture, or does something else."""
        image, background = self._parts.image, self._parts.background
        if self.video is not None or any(self._is_exclusive(each) for each in self._directives):
            return False
        if request.supports(APL) and (image or background):
            self.image = _document(image, background).to_json()
        elif request.supports(DISPLAY) and image:
            self.image = _template(image, background, self._title).to_json()
        return self.image is not None

    @staticmethod
    def _is_exclusive(directive: Mapping[str, Any]) -> bool:
        return str(directive.get("type")).startswith(_EXCLUSIVE)

    def _make_card(self, image: str | None) -> SimpleCard | StandardCard | None:
        card = self._parts.card
        if card is None and image is None:
            return None
        title, text = (card.title if card else "") or self._title, card.text if card else ""
        size = len(title) + len(text) + len(image or "")
        if size > self._limits.card:
            self._too_long("card", size, self._limits.card)
            room = self._limits.card - len(image or "")
            title = shorten_text(title, room)
            text = shorten_text(text, room - len(title))
        if image is None:
            return SimpleCard(title=title or None, content=text or None)
        return StandardCard(title=title or None, text=text or None, image=CardImage(large_image_url=image))

    # -------------------------------------------------------- the whole

    def fit(self) -> None:
        """Leave out what matters least until the whole is short enough; in the end the speech is cut."""
        size = self._size()
        for part in ("card", "image", "reprompt", "video"):
            if size > self._limits.total and getattr(self, part) is not None:
                setattr(self, part, None)
                self._too_long(part, size, self._limits.total, "bytes of the whole answer")
                size = self._size()
        if size > self._limits.total and self._body:
            self._too_long("speech", size, self._limits.total, "bytes of the whole answer")
            # A character takes at least one byte.
            self._body = shorten(self._body, len(self._body) - (size - self._limits.total))
            size = self._size()
        if size > self._limits.total:
            self._too_long("response", size, self._limits.total, "bytes of the whole answer")

    def _too_long(self, part: str, length: int, most: int, unit: str = "characters") -> None:
        self._parts.unsent.append(Unsent.too_long(part, length, most, unit))

    def _size(self) -> int:
        return len(text_of(self.message().to_json()).encode())

    def message(self) -> AlexaResponse:
        """The answer as it is now."""
        speech = _speech(self._body)
        own = (each for each in (self.image, self.video) if each is not None)
        directives = (*own, *self._directives)
        ends: bool | None = self._ended or not (speech or self.card or directives)
        if any(each.get("type") == LaunchVideo.TYPE for each in directives):
            ends = None  # it must not be told, and nobody is asked while a video plays
        goes_on = ends is False and self.reprompt is not None
        return AlexaResponse(
            session_attributes=self._session_attributes,
            response=ResponseBody(
                output_speech=speech,
                card=self.card,
                reprompt=Reprompt(output_speech=self.reprompt) if goes_on else None,
                directives=directives,
                should_end_session=ends,
            ),
        )
