"""Version 3 of the protocol: the webhook of the Actions Builder (external.md, 2).

The members are those of the platform; what is not used here is left out of the classes, and ignored.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flowstorm_channel.answers import Part, Unsent
from flowstorm_channel.codecs.trees import text_of
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.google.inputs import (
    MOST_STORED,
    STORED_ID,
    VERIFIED,
    action_named,
    id_of,
    input_of,
    stored_id,
)
from flowstorm_channel.google.speech import OK, Answer, Bubble, CardContent, answer_of
from flowstorm_channel.locales import Locale, check_zone, locale_from_wire
from flowstorm_channel.schema import JsonMap, Value, member, wire_class
from flowstorm_channel.values import Input, Location, Response

__all__ = [
    "Card",
    "Content",
    "Expected",
    "Handler",
    "Home",
    "Image",
    "Intent",
    "NewScene",
    "NewSession",
    "NewUser",
    "NextScene",
    "Prompt",
    "Scene",
    "Session",
    "Simple",
    "Suggestion",
    "User",
    "V3Request",
    "V3Response",
]

SCREEN = "RICH_RESPONSE"
END = "actions.scene.END_CONVERSATION"
"""The scene after the last one."""

# ------------------------------------------------------------ requests


@wire_class
class Handler(Value):
    """What is asked of the webhook."""

    name: str = member(default="", doc="as its author calls it")


@wire_class
class Intent(Value):
    """What the user means."""

    name: str = member(default="", doc="such as `actions.intent.MAIN`; empty when nothing was said")
    params: JsonMap = member(factory=dict, doc="what belongs to it: name to `original` and `resolved`")
    query: str = member(default="", doc="the user's words")


@wire_class
class NextScene(Part):
    """Where the conversation goes."""

    name: str = member(default="", doc="of a scene")


@wire_class
class Scene(Value):
    """Where the conversation is."""

    name: str = member(default="", doc="of the scene")
    slot_filling_status: str = member(default="", doc="`UNSPECIFIED`, `INITIALIZED`, `COLLECTING` or `FINAL`")
    slots: JsonMap = member(factory=dict, doc="what is to be asked for: name to `mode`, `status`, `value`")
    next: NextScene | None = member(default=None, doc="where it will go")


@wire_class
class Session(Value):
    """The conversation."""

    id: str = member(doc="the same until the conversation ends")
    params: JsonMap = member(factory=dict, doc="what is stored until then")
    language_code: str = member(default="", doc="the language; empty: the user's")


@wire_class
class User(Value):
    """Who speaks."""

    locale: str = member(default="", doc="the user's language")
    params: JsonMap = member(factory=dict, doc="what is stored with the user, at most 10 KB")
    verification_status: str = member(default="", doc="`VERIFIED` or `GUEST`")
    account_linking_status: str = member(default="", doc="`LINKED` or `NOT_LINKED`")
    last_seen_time: str | None = member(default=None, doc="when the user spoke last")


@wire_class
class Home(Value):
    """The house that the device is in."""

    params: JsonMap = member(factory=dict, doc="what is stored with it")


@wire_class
class V3Request(Value):
    """A request of version 3; see `GoogleRequest` for what it tells."""

    handler: Handler = member(doc="what is asked for")
    intent: Intent = member(doc="what the user means")
    scene: Scene | None = member(default=None, doc="where the conversation is")
    session: Session = member(doc="the conversation")
    user: User = member(doc="who speaks")
    home: Home | None = member(default=None, doc="where the device stands")
    device: JsonMap = member(doc="the device, as it came: `capabilities`, `currentLocation`, `timeZone` …")
    context: JsonMap = member(factory=dict, doc="of media and of a canvas")

    def check(self) -> None:
        """Refuse a request that belongs to no conversation.

        Raises:
            RemoteProtocolError: with the place.
        """
        if not self.session.id:
            raise RemoteProtocolError("is empty", path="session.id")

    # -------------------------------------------------------- what it tells

    @property
    def version(self) -> str:
        return "3"

    @property
    def session_id(self) -> str:
        return self.session.id

    @property
    def locale(self) -> Locale:
        return locale_from_wire(self.session.language_code or self.user.locale)

    @property
    def zone_id(self) -> str | None:
        zone = _at(self.device, "timeZone", "id")
        with suppress(TypeError, ValueError):
            return check_zone(zone)
        return None

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What the device can do, such as ``RICH_RESPONSE``."""
        found = self.device.get("capabilities")
        return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()

    @property
    def has_screen(self) -> bool:
        return SCREEN in self.capabilities

    @property
    def location(self) -> Location | None:
        place = _at(self.device, "currentLocation", "coordinates")
        if not isinstance(place, Mapping):
            return None
        with suppress(TypeError):
            return Location(lat=place.get("latitude", 0.0), lng=place.get("longitude", 0.0))
        return None

    @property
    def health_check(self) -> bool:
        return (
            self.handler.name == "actions.handler.HEALTH_CHECK"
            or self.intent.name == "actions.intent.HEALTH_CHECK"
        )

    @property
    def begins(self) -> bool:
        return self.intent.name == "actions.intent.MAIN"

    @property
    def ends(self) -> bool:
        return self.intent.name == "actions.intent.CANCEL"

    def input(self) -> Input:
        words = self.intent.query
        if not self.intent.name and not words.strip():
            words = action_named(self.handler.name)
        return input_of(
            self.intent.name,
            words,
            version=self.version,
            locale=self.locale,
            zone_id=self.zone_id,
            has_screen=self.has_screen,
            location=self.location,
        )

    # -------------------------------------------------------- the device id

    @property
    def device_id(self) -> str:
        stored = stored_id(self.user.params) if self._is_verified else None
        return stored or id_of(self.session_id)

    @property
    def _is_verified(self) -> bool:
        return self.user.verification_status == VERIFIED

    @property
    def _new_user(self) -> "NewUser | None":
        """What is stored with the user, and the device id; None when it is there already, or cannot be."""
        if not self._is_verified or STORED_ID in self.user.params:
            return None
        params = {**self.user.params, STORED_ID: id_of(self.session_id)}
        return NewUser(params=params) if len(text_of(params).encode()) <= MOST_STORED else None

    # -------------------------------------------------------- its answer

    def answer(
        self,
        response: Response,
        *,
        base_url: str | None = None,
        reprompt: str | None = None,  # noqa: ARG002 (the webhook is asked what to say, see `#silence`)
    ) -> "tuple[V3Response, tuple[Unsent, ...]]":
        answer = answer_of(response, base_url=base_url, has_screen=self.has_screen, ends=self.ends)
        return (
            V3Response(
                session=self._session,
                prompt=_prompt(answer),
                user=self._new_user,
                scene=self._last_scene if answer.ended else None,
                expected=None if answer.ended else self._expected(response, answer),
            ),
            answer.unsent,
        )

    def healthy(self) -> "V3Response":
        return V3Response(session=self._session, prompt=Prompt(override=True, first_simple=_simple(OK)))

    @property
    def _session(self) -> "NewSession":
        return NewSession(id=self.session.id, params=self.session.params)

    @property
    def _last_scene(self) -> "NewScene":
        # No slot is changed, and none may be returned that has not been received.
        name = None if self.scene is None else self.scene.name
        return NewScene(name=name, next=NextScene(name=END))

    def _expected(self, response: Response, answer: Answer) -> "Expected | None":
        """What is listened for next, when something is known of it."""
        language = response.locale if response.locale != self.locale else None
        if language is None and not answer.hints:
            return None
        return Expected(speech=answer.hints or None, language_code=language)


def _at(tree: Any, *names: str) -> Any:
    """What stands there; None when nothing does."""
    for name in names:
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree


# ------------------------------------------------------------ answers


@wire_class
class Simple(Part):
    """A bubble."""

    speech: str = member(doc="what is said, an SSML document")
    text: str = member(doc="what is shown, at most 640 characters")


@wire_class
class Image(Part):
    """An image."""

    url: str = member(doc="its address, https")
    alt: str = member(doc="for those who cannot see it")


@wire_class
class Card(Part):
    """A card with a text, an image, or both."""

    title: str | None = member(default=None, doc="the heading")
    text: str | None = member(default=None, doc="the body")
    image: Image | None = member(default=None, doc="above it")


@wire_class
class Content(Part):
    """What is shown beside the bubbles."""

    card: Card | None = member(default=None, doc="a card")


@wire_class
class Suggestion(Part):
    """A chip with something that the user may say next."""

    title: str = member(doc="at most 25 characters")


@wire_class
class Prompt(Part):
    """What is said and shown."""

    override: bool = member(default=False, doc="instead of what other prompts of the turn say")
    first_simple: Simple = member(doc="a bubble")
    content: Content | None = member(default=None, doc="a card")
    last_simple: Simple | None = member(default=None, doc="a second bubble")
    suggestions: tuple[Suggestion, ...] | None = member(default=None, doc="chips, at most eight")


@wire_class
class NewSession(Part):
    """What is stored until the conversation ends."""

    id: str = member(doc="of the conversation")
    params: JsonMap = member(factory=dict, doc="added to what is stored; null deletes")


@wire_class
class NewScene(Part):
    """Where the conversation goes."""

    name: str | None = member(default=None, doc="of the scene that the request came from")
    slots: JsonMap = member(factory=dict, doc="changed ones")
    next: NextScene | None = member(default=None, doc="the next scene; none: it stays")


@wire_class
class NewUser(Part):
    """What is stored with the user."""

    params: JsonMap = member(factory=dict, doc="all of it, at most 10 KB")


@wire_class
class Expected(Part):
    """What is listened for next."""

    speech: tuple[str, ...] | None = member(default=None, doc="phrases that are likely, at most 1000")
    language_code: str | None = member(default=None, doc="the language from now on")


@wire_class
class V3Response(Part):
    """An answer of version 3."""

    session: NewSession = member(doc="what is stored until the conversation ends")
    prompt: Prompt = member(doc="what is said and shown")
    user: NewUser | None = member(default=None, doc="what is stored with the user")
    scene: NewScene | None = member(default=None, doc="where it goes; none: it stays")
    expected: Expected | None = member(default=None, doc="what is listened for")


def _prompt(answer: Answer) -> Prompt:
    first, last = answer.bubbles[0], answer.bubbles[1:]
    chips = tuple(Suggestion(title=each) for each in answer.suggestions)
    return Prompt(
        first_simple=_simple(first),
        content=None if answer.card is None else Content(card=_card(answer.card)),
        last_simple=_simple(last[0]) if last else None,
        suggestions=chips or None,
    )


def _simple(bubble: Bubble) -> Simple:
    return Simple(speech=bubble.speech, text=bubble.text)


def _card(card: CardContent) -> Card:
    image = None if card.image is None else Image(url=card.image, alt=card.description)
    return Card(title=card.title or None, text=card.text or None, image=image)
