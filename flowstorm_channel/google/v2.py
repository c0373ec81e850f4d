"""Version 2 of the protocol: the conversation webhook of the Actions SDK (external.md, 2).

The members are those of the platform; what is not used here is left out of the classes, and ignored.
"""

from typing import Any

from flowstorm_channel.answers import Part, Unsent
from flowstorm_channel.codecs import JsonCodec
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.google.inputs import MOST_STORED, STORED_ID, VERIFIED, id_of, input_of, stored_id
from flowstorm_channel.google.speech import OK, Answer, Bubble, CardContent, answer_of
from flowstorm_channel.locales import Locale, locale_from_wire
from flowstorm_channel.schema import Value, member, wire_class
from flowstorm_channel.ssml import escape, plain, shorten_text, speak
from flowstorm_channel.values import Input, Location, Response

__all__ = [
    "Argument",
    "BasicCard",
    "Capability",
    "Conversation",
    "Coordinates",
    "Device",
    "DeviceLocation",
    "ExpectedInput",
    "ExpectedIntent",
    "FinalResponse",
    "Image",
    "InputPrompt",
    "RawInput",
    "RichItem",
    "RichResponse",
    "SimpleResponse",
    "Suggestion",
    "Surface",
    "User",
    "UserInput",
    "V2Request",
    "V2Response",
]

SCREEN = "actions.capability.SCREEN_OUTPUT"
MOST_GOODBYE = 60
"""Characters of the answer to a goodbye: one bubble of plain text."""

_JSON = JsonCodec()

# ------------------------------------------------------------ requests


@wire_class
class User(Value):
    """Who speaks."""

    locale: str = member(default="", doc="the user's language")
    user_storage: str = member(default="", doc="what answers have stored with the user, at most 10 KB")
    user_verification_status: str = member(default="", doc="`VERIFIED` or `GUEST`")
    access_token: str | None = member(default=None, secret=True, doc="of a linked account")
    id_token: str | None = member(default=None, secret=True, doc="a signed profile of the user")
    last_seen: str | None = member(default=None, doc="when the user spoke last")


@wire_class
class Conversation(Value):
    """The conversation that a request belongs to."""

    conversation_id: str = member(doc="the same until the conversation ends")
    type: str = member(default="", doc="`NEW` or `ACTIVE`")
    conversation_token: str | None = member(default=None, doc="what the last answer gave along")


@wire_class
class RawInput(Value):
    """What was said, as recognised."""

    input_type: str = member(default="", doc="`TOUCH`, `VOICE`, `KEYBOARD` or `URL`")
    query: str = member(default="", doc="the words")


@wire_class
class Argument(Value):
    """A value that belongs to an intent."""

    name: str = member(default="", doc="such as `text` or `OPTION`")
    raw_text: str | None = member(default=None, doc="the user's words")
    text_value: str | None = member(default=None, doc="the value as text; of an option, its key")
    bool_value: bool = member(default=False, doc="the value as truth")
    int_value: str | None = member(default=None, doc="the value as a whole number, in a string")


@wire_class
class UserInput(Value):
    """What the user means by what he said."""

    intent: str = member(default="", doc="such as `actions.intent.TEXT`")
    raw_inputs: tuple[RawInput, ...] = member(default=(), doc="what was said")
    arguments: tuple[Argument, ...] = member(default=(), doc="what belongs to the intent")

    def argument(self, name: str) -> Argument | None:
        """The first argument of that name."""
        return next((each for each in self.arguments if each.name == name), None)


@wire_class
class Capability(Value):
    """Something that a device can do."""

    name: str = member(default="", doc="such as `actions.capability.SCREEN_OUTPUT`")


@wire_class
class Surface(Value):
    """What the user's device can do."""

    capabilities: tuple[Capability, ...] = member(default=(), doc="all of it")


@wire_class
class Coordinates(Value):
    """A place on the earth; a coordinate that is absent is zero."""

    latitude: float = member(default=0.0, doc="degrees north")
    longitude: float = member(default=0.0, doc="degrees east")


@wire_class
class DeviceLocation(Value):
    """Where a device is; the user has to permit it."""

    coordinates: Coordinates | None = member(default=None, doc="the precise place")
    formatted_address: str | None = member(default=None, doc="the address")
    zip_code: str | None = member(default=None, doc="the postal code")
    city: str | None = member(default=None, doc="the city")


@wire_class
class Device(Value):
    """The user's device."""

    location: DeviceLocation | None = member(default=None, doc="where it is")


@wire_class
class V2Request(Value):
    """A request of version 2; see `GoogleRequest` for what it tells."""

    user: User = member(default=User(), doc="who speaks")
    conversation: Conversation = member(doc="where")
    inputs: tuple[UserInput, ...] = member(doc="what is said: one")
    surface: Surface = member(default=Surface(), doc="what the device can do")
    device: Device = member(default=Device(), doc="the device")
    available_surfaces: tuple[Surface, ...] = member(default=(), doc="other devices of the user")
    is_in_sandbox: bool = member(default=False, doc="nothing is to be paid")

    def check(self) -> None:
        """Refuse a request that says nothing, or not where.

        Raises:
            RemoteProtocolError: with the place.
        """
        if not self.inputs:
            raise RemoteProtocolError("is empty", path="inputs")
        if not self.conversation.conversation_id:
            raise RemoteProtocolError("is empty", path="conversation.conversationId")

    # -------------------------------------------------------- what it tells

    @property
    def version(self) -> str:
        return "2"

    @property
    def session_id(self) -> str:
        return self.conversation.conversation_id

    @property
    def locale(self) -> Locale:
        return locale_from_wire(self.user.locale)

    @property
    def zone_id(self) -> None:
        return None

    @property
    def has_screen(self) -> bool:
        return any(each.name == SCREEN for each in self.surface.capabilities)

    @property
    def location(self) -> Location | None:
        place = self.device.location
        if place is None or place.coordinates is None:
            return None
        return Location(lat=place.coordinates.latitude, lng=place.coordinates.longitude)

    @property
    def health_check(self) -> bool:
        return self._input.argument("is_health_check") is not None

    @property
    def begins(self) -> bool:
        return self.conversation.type == "NEW"

    @property
    def ends(self) -> bool:
        return self._input.intent == "actions.intent.CANCEL"

    @property
    def _input(self) -> UserInput:
        return self.inputs[0]

    def input(self) -> Input:
        return input_of(
            self._input.intent,
            self._words,
            version=self.version,
            locale=self.locale,
            zone_id=self.zone_id,
            has_screen=self.has_screen,
            location=self.location,
        )

    @property
    def _words(self) -> str:
        """The user's words, or the key of the option that was chosen; none of an intent that says it all."""
        kind = self._input.intent.removeprefix("actions.intent.")
        name = {"TEXT": "text", "OPTION": "OPTION", "": "text"}.get(kind)
        if name is None:
            return ""
        given = self._input.argument(name) or Argument()
        said = (each.query for each in self._input.raw_inputs)
        return next((each for each in (given.text_value, given.raw_text, *said) if each), "")

    # -------------------------------------------------------- the device id

    @property
    def device_id(self) -> str:
        stored = stored_id(self._storage or {}) if self._is_verified else None
        return stored or id_of(self.session_id)

    @property
    def _is_verified(self) -> bool:
        return self.user.user_verification_status == VERIFIED

    @property
    def _storage(self) -> dict[str, Any] | None:
        """What is stored with the user, when it is an object; None when it is anything else."""
        if not self.user.user_storage.strip():
            return {}
        try:
            tree = _JSON.decode_tree(self.user.user_storage)
        except RemoteProtocolError:
            return None
        return tree if isinstance(tree, dict) else None

    @property
    def _new_storage(self) -> str | None:
        """The storage with the device id in it; None when it is there already, or cannot be.

        All the rest stays as it is spelled.
        """
        storage = self._storage
        if not self._is_verified or storage is None or STORED_ID in storage:
            return None
        text = self.user.user_storage if self.user.user_storage.strip() else "{}"
        before, brace, after = text.partition("{")
        comma = "," if storage else ""
        text = f'{before}{brace}"{STORED_ID}":"{id_of(self.session_id)}"{comma}{after}'
        return text if len(text.encode()) <= MOST_STORED else None

    # -------------------------------------------------------- its answer

    def answer(
        self,
        response: Response,
        *,
        base_url: str | None = None,
        reprompt: str | None = None,
    ) -> "tuple[V2Response, tuple[Unsent, ...]]":
        answer = answer_of(response, base_url=base_url, has_screen=self.has_screen, ends=self.ends)
        shown, unsent = _goodbye(answer) if self.ends else (_rich(answer), answer.unsent)
        if answer.ended:
            return self._final(shown), unsent
        prompts = None if reprompt is None else (SimpleResponse(text_to_speech=reprompt),)
        expected = ExpectedInput(
            input_prompt=InputPrompt(rich_initial_prompt=shown, no_input_prompts=prompts),
            speech_biasing_hints=answer.hints or None,
        )
        return self._answer(expect_user_response=True, expected_inputs=(expected,)), unsent

    def healthy(self) -> "V2Response":
        return self._final(RichResponse(items=(_simple(OK),)))

    def _final(self, shown: "RichResponse") -> "V2Response":
        return self._answer(expect_user_response=False, final_response=FinalResponse(rich_response=shown))

    def _answer(self, **members: Any) -> "V2Response":
        return V2Response(
            conversation_token=self.conversation.conversation_token,
            user_storage=None if self.health_check else self._new_storage,
            **members,
        )


# ------------------------------------------------------------ answers


@wire_class
class SimpleResponse(Part):
    """A bubble: either `ssml` or `text_to_speech` is said."""

    ssml: str | None = member(default=None, doc="what is said, an SSML document")
    text_to_speech: str | None = member(default=None, doc="what is said, plain text")
    display_text: str | None = member(default=None, doc="what is shown, at most 640 characters")


@wire_class
class Image(Part):
    """An image."""

    url: str = member(doc="its address, https")
    accessibility_text: str = member(doc="for those who cannot see it")


@wire_class
class BasicCard(Part):
    """A card with a text, an image, or both."""

    title: str | None = member(default=None, doc="the heading")
    formatted_text: str | None = member(default=None, doc="the body")
    image: Image | None = member(default=None, doc="above it")


@wire_class
class RichItem(Part):
    """One part of an answer: exactly one of the members."""

    simple_response: SimpleResponse | None = member(default=None, doc="a bubble")
    basic_card: BasicCard | None = member(default=None, doc="a card")


@wire_class
class Suggestion(Part):
    """A chip with something that the user may say next."""

    title: str = member(doc="at most 25 characters")


@wire_class
class RichResponse(Part):
    """What is said and shown."""

    items: tuple[RichItem, ...] = member(doc="bubbles, at most two; then at most one card")
    suggestions: tuple[Suggestion, ...] | None = member(default=None, doc="chips, at most eight")


@wire_class
class InputPrompt(Part):
    """What the user is told before it is listened to him."""

    rich_initial_prompt: RichResponse = member(doc="the answer")
    no_input_prompts: tuple[SimpleResponse, ...] | None = member(
        default=None, doc="what is said when nothing is heard"
    )


@wire_class
class ExpectedIntent(Part):
    """What the user may mean next."""

    intent: str = member(default="actions.intent.TEXT", doc="anything, by default")


@wire_class
class ExpectedInput(Part):
    """What is said, and what may be said to it."""

    input_prompt: InputPrompt = member(doc="the answer")
    possible_intents: tuple[ExpectedIntent, ...] = member(default=(ExpectedIntent(),), doc="what may follow")
    speech_biasing_hints: tuple[str, ...] | None = member(
        default=None, doc="phrases that are likely, at most 1000"
    )


@wire_class
class FinalResponse(Part):
    """The last that is said."""

    rich_response: RichResponse = member(doc="the answer")


@wire_class
class V2Response(Part):
    """An answer of version 2."""

    expect_user_response: bool = member(doc="the conversation goes on")
    conversation_token: str | None = member(default=None, doc="what the next request brings back")
    user_storage: str | None = member(default=None, doc="what is stored with the user from now on")
    expected_inputs: tuple[ExpectedInput, ...] | None = member(default=None, doc="one, when it goes on")
    final_response: FinalResponse | None = member(default=None, doc="when it does not")


def _rich(answer: Answer) -> RichResponse:
    items = [_simple(each) for each in answer.bubbles]
    if answer.card is not None:
        items.append(RichItem(basic_card=_card(answer.card)))
    chips = tuple(Suggestion(title=each) for each in answer.suggestions)
    return RichResponse(items=tuple(items), suggestions=chips or None)


def _simple(bubble: Bubble) -> RichItem:
    return RichItem(simple_response=SimpleResponse(ssml=bubble.speech, display_text=bubble.text))


def _card(card: CardContent) -> BasicCard:
    image = None if card.image is None else Image(url=card.image, accessibility_text=card.description)
    return BasicCard(title=card.title or None, formatted_text=card.text or None, image=image)


def _goodbye(answer: Answer) -> tuple[RichResponse, tuple[Unsent, ...]]:
    """The answer to a goodbye: of more than one short plain text Google would say nothing."""
    unsent = list(answer.unsent)
    said = " ".join(plain(each.speech).strip() for each in answer.bubbles).strip()
    shown = " ".join(each.text for each in answer.bubbles)
    if answer.card is not None:
        unsent.append(Unsent("card", "a goodbye is answered with speech alone"))
    if said and answer.bubbles[0].speech != speak(escape(said)):
        unsent.append(Unsent("speech", "a goodbye is answered in plain text"))
    for part, text in (("speech", said), ("text", shown)):
        if len(text) > MOST_GOODBYE:
            unsent.append(Unsent.too_long(part, len(text), MOST_GOODBYE))
    simple = SimpleResponse(
        ssml=None if said else answer.bubbles[0].speech,  # a sound
        text_to_speech=shorten_text(said, MOST_GOODBYE) or None,
        display_text=shorten_text(shown, MOST_GOODBYE),
    )
    return RichResponse(items=(RichItem(simple_response=simple),)), tuple(unsent)
