"""What Alexa sends to a custom skill, and what the skill answers (external.md, 1).

Requests are read leniently, since Amazon adds to them all the time: whatever may be absent is optional here,
members that are not known are ignored, and the `request` itself, of which there are dozens of types, is kept
as it came; the properties of `AlexaRequest` find what is needed in it, and never raise. Read it with::

    codec.value_of(AlexaRequest, codec.decode_tree(body))

Responses are written strictly, with `AlexaResponse.to_json`.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar, Final

import attrs

from flowstorm_channel.answers import Part
from flowstorm_channel.codecs.faults import Fault
from flowstorm_channel.codecs.scalars import read_time
from flowstorm_channel.locales import Locale
from flowstorm_channel.schema import JsonMap, Value, member, wire_class
from flowstorm_channel.values import Location

__all__ = [
    "APL",
    "DISPLAY",
    "VIDEO",
    "AlexaRequest",
    "AlexaResponse",
    "Altitude",
    "Application",
    "AskForPermissionsConsentCard",
    "BodyTemplate7",
    "CanFulfillIntent",
    "CardImage",
    "Context",
    "Coordinate",
    "Device",
    "DisplayImage",
    "Geolocation",
    "Heading",
    "ImageSource",
    "LaunchVideo",
    "LinkAccountCard",
    "Person",
    "PlainTextSpeech",
    "PlayBehavior",
    "RenderDocument",
    "RenderTemplate",
    "Reprompt",
    "ResponseBody",
    "Session",
    "SimpleCard",
    "Slot",
    "Speed",
    "SsmlSpeech",
    "StandardCard",
    "System",
    "User",
    "VideoItem",
    "VideoMetadata",
]


APL: Final = "Alexa.Presentation.APL"
DISPLAY: Final = "Display"
VIDEO: Final = "VideoApp"


# ------------------------------------------------------------ requests: the envelope


@wire_class
class Application(Value):
    """A skill."""

    application_id: str = member(default="", doc="of the skill")


@wire_class
class User(Value):
    """The account of the user."""

    user_id: str = member(default="", doc="of the account, for this skill")
    access_token: str | None = member(
        default=None, secret=True, doc="of the linked account, when there is one"
    )


@wire_class
class Session(Value):
    """The session of a request."""

    new: bool = member(default=False, doc="it begins with this request")
    session_id: str = member(default="", doc="of the session")
    application: Application = member(default=Application(), doc="the skill")
    attributes: JsonMap = member(factory=dict, doc="what the last response wanted to have back")
    user: User = member(default=User(), doc="the user")


@wire_class
class Device(Value):
    """The device that the user speaks to."""

    device_id: str = member(default="", doc="of the device, for this skill")
    supported_interfaces: JsonMap = member(factory=dict, doc="by their names")


@wire_class
class Person(Value):
    """Who speaks, when Alexa recognises the voice."""

    person_id: str = member(default="", doc="of the person, for this skill")
    access_token: str | None = member(
        default=None, secret=True, doc="of the linked account, when there is one"
    )


@wire_class
class System(Value):
    """The skill, the user and the device, also outside of sessions."""

    application: Application = member(default=Application(), doc="the skill")
    user: User = member(default=User(), doc="the user")
    device: Device = member(default=Device(), doc="the device")
    person: Person | None = member(default=None, doc="who speaks")
    api_endpoint: str = member(default="", doc="where Alexa's services for skills are")
    api_access_token: str | None = member(default=None, secret=True, doc="what opens them, for this request")


@wire_class
class Coordinate(Value):
    """A place on the earth."""

    latitude_in_degrees: float | None = member(default=None, doc="degrees north")
    longitude_in_degrees: float | None = member(default=None, doc="degrees east")
    accuracy_in_meters: float | None = member(default=None, doc="metres")


@wire_class
class Altitude(Value):
    """A height."""

    altitude_in_meters: float | None = member(default=None, doc="metres")
    accuracy_in_meters: float | None = member(default=None, doc="metres")


@wire_class
class Heading(Value):
    """A direction."""

    direction_in_degrees: float | None = member(default=None, doc="degrees from north")
    accuracy_in_degrees: float | None = member(default=None, doc="degrees")


@wire_class
class Speed(Value):
    """A speed."""

    speed_in_meters_per_second: float | None = member(default=None, doc="metres a second")
    accuracy_in_meters_per_second: float | None = member(default=None, doc="metres a second")


@wire_class
class Geolocation(Value):
    """Where the device is."""

    timestamp: str | None = member(default=None, doc="when that was found out")
    coordinate: Coordinate = member(default=Coordinate(), doc="the place")
    altitude: Altitude = member(default=Altitude(), doc="the height")
    heading: Heading = member(default=Heading(), doc="where it moves to")
    speed: Speed = member(default=Speed(), doc="how fast")


@wire_class
class Context(Value):
    """What is so while the request is made."""

    system: System = member(default=System(), wire="System", doc="skill, user and device")
    geolocation: Geolocation = member(default=Geolocation(), wire="Geolocation", doc="where the device is")


# ------------------------------------------------------------ requests: what stands in a request


def _at(tree: Any, *path: str) -> Any:
    """What stands there in free JSON; None when nothing does."""
    for name in path:
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree


def _text(tree: Any, *path: str) -> str | None:
    found = _at(tree, *path)
    return found if isinstance(found, str) else None


def _list(tree: Any, *path: str) -> list[Any]:
    found = _at(tree, *path)
    return found if isinstance(found, list) else []


@attrs.frozen(kw_only=True)
class Slot:
    """One slot of an intent.

    Args:
        name: of the slot.
        value: what the user said; several values joined by spaces. None: nothing.
        resolved: what the skill's model calls that; None when it has no name for it.
        confirmation_status: ``NONE``, ``CONFIRMED`` or ``DENIED``.
    """

    name: str
    value: str | None = None
    resolved: str | None = None
    confirmation_status: str | None = None

    @classmethod
    def read(cls, name: str, tree: Any) -> "Slot":
        """The slot of an intent's `slots`; what is malformed in it counts as absent."""
        said = [_said(each) for each in _values(tree)]
        values = [value for value, _ in said if value]
        meanings = [meaning for _, meaning in said if meaning]
        return cls(
            name=name,
            value=" ".join(values) or None,
            resolved=" ".join(meanings) if meanings and len(meanings) == len(values) else None,
            confirmation_status=_text(tree, "confirmationStatus"),
        )


def _values(tree: Any) -> list[Any]:
    """The values of a slot; only one that may have several has a list of them."""
    several = _list(tree, "slotValue", "values")
    return several if several and not _text(tree, "value") else [tree]


def _said(tree: Any) -> tuple[str, str | None]:
    """What was said for a slot, and what the model calls it."""
    for authority in _list(tree, "resolutions", "resolutionsPerAuthority"):
        if _text(authority, "status", "code") == "ER_SUCCESS_MATCH":
            for value in _list(authority, "values"):
                return (_text(tree, "value") or "").strip(), _text(value, "value", "name")
    return (_text(tree, "value") or "").strip(), None


@wire_class
class AlexaRequest(Value):
    """One request of Alexa to a skill."""

    version: str = member(default="1.0", doc="of the form of requests")
    session: Session | None = member(default=None, doc="none: the request is outside of any session")
    context: Context = member(default=Context(), doc="what is so while it is made")
    request: JsonMap = member(doc="what it is about, as it came")

    @property
    def kind(self) -> str:
        """What it is about: ``LaunchRequest``, ``IntentRequest`` …; empty when it does not say so."""
        return _text(self.request, "type") or ""

    @property
    def request_id(self) -> str:
        """Of this request; empty when it has none."""
        return _text(self.request, "requestId") or ""

    @property
    def timestamp(self) -> datetime | None:
        """When it was sent, in UTC and without zone; None when it does not say so."""
        try:
            return read_time(_at(self.request, "timestamp"))
        except Fault:
            return None

    @property
    def locale(self) -> Locale | None:
        """The language of the user; None when it does not say so."""
        found = _text(self.request, "locale")
        return Locale(found) if found else None

    @property
    def application_id(self) -> str:
        """Of the skill that it is for."""
        found = self.context.system.application.application_id
        return found or (self.session.application.application_id if self.session else "")

    @property
    def user_id(self) -> str:
        """Of the account; it changes when the user enables the skill anew."""
        return self.context.system.user.user_id or (self.session.user.user_id if self.session else "")

    @property
    def device_id(self) -> str:
        """Of the device; empty when it is not told."""
        return self.context.system.device.device_id

    @property
    def access_token(self) -> str | None:
        """Opens Alexa's services for skills, for this request; it is new in each."""
        return self.context.system.api_access_token

    def supports(self, interface: str) -> bool:
        """Whether the device has an interface.

        Args:
            interface: by its name, such as ``VideoApp``.
        """
        return interface in self.context.system.device.supported_interfaces

    @property
    def apl_version(self) -> str | None:
        """The newest version of the Alexa Presentation Language that the device knows; None without APL."""
        if not self.supports(APL):
            return None
        interfaces = self.context.system.device.supported_interfaces
        return _text(interfaces, APL, "runtime", "maxVersion") or "1.0"

    @property
    def has_screen(self) -> bool:
        """Whether the device can show pictures."""
        return self.supports(APL) or self.supports(DISPLAY)

    @property
    def location(self) -> Location | None:
        """Where the device is, when the user lets the skill know."""
        found = self.context.geolocation
        place = found.coordinate
        if place.latitude_in_degrees is None or place.longitude_in_degrees is None:
            return None
        return Location(
            lat=place.latitude_in_degrees,
            lng=place.longitude_in_degrees,
            acc=place.accuracy_in_meters,
            alt=found.altitude.altitude_in_meters,
            alt_acc=found.altitude.accuracy_in_meters,
            spd=found.speed.speed_in_meters_per_second,
            spd_acc=found.speed.accuracy_in_meters_per_second,
            hdg=found.heading.direction_in_degrees,
            hdg_acc=found.heading.accuracy_in_degrees,
        )

    @property
    def intent(self) -> str:
        """The name of the intent; empty when it has none."""
        return _text(self.request, "intent", "name") or ""

    @property
    def slots(self) -> dict[str, Slot]:
        """The slots of the intent by their names, those that nothing was said for too."""
        found = _at(self.request, "intent", "slots")
        given = found if isinstance(found, Mapping) else {}
        return {name: Slot.read(name, tree) for name, tree in given.items()}

    @property
    def touched(self) -> str | None:
        """What the user has touched on the screen: the element's token, or the first text among the
        arguments of its event."""
        texts = (each for each in _list(self.request, "arguments") if isinstance(each, str) and each.strip())
        return next(texts, None) or _text(self.request, "token")

    @property
    def reason(self) -> str | None:
        """Why a session ended: ``USER_INITIATED``, ``ERROR`` or ``EXCEEDED_MAX_REPROMPTS``."""
        return _text(self.request, "reason")

    @property
    def error(self) -> str | None:
        """What Alexa did not like, with its type, such as ``INVALID_RESPONSE``."""
        told = _text(self.request, "error", "type"), _text(self.request, "error", "message")
        return ": ".join(each for each in told if each) or None


# ------------------------------------------------------------ responses


class PlayBehavior(Enum):
    """What becomes of the speech that has not been played yet."""

    ENQUEUE = "ENQUEUE"
    REPLACE_ALL = "REPLACE_ALL"
    REPLACE_ENQUEUED = "REPLACE_ENQUEUED"


@wire_class
class SsmlSpeech(Part):
    """Speech as SSML."""

    TYPE: ClassVar[str] = "SSML"

    ssml: str = member(doc="a document: `<speak>…</speak>`")
    play_behavior: PlayBehavior | None = member(default=None, doc="what becomes of earlier speech")


@wire_class
class PlainTextSpeech(Part):
    """Speech as text."""

    TYPE: ClassVar[str] = "PlainText"

    text: str = member(doc="what is said")
    play_behavior: PlayBehavior | None = member(default=None, doc="what becomes of earlier speech")


@wire_class
class CardImage(Part):
    """The picture of a card."""

    small_image_url: str | None = member(default=None, doc="about 720 × 480")
    large_image_url: str | None = member(default=None, doc="about 1200 × 800")


@wire_class
class SimpleCard(Part):
    """Text for the user's Alexa app."""

    TYPE: ClassVar[str] = "Simple"

    title: str | None = member(default=None, doc="the heading")
    content: str | None = member(default=None, doc="the text")


@wire_class
class StandardCard(Part):
    """Text and a picture for the user's Alexa app."""

    TYPE: ClassVar[str] = "Standard"

    title: str | None = member(default=None, doc="the heading")
    text: str | None = member(default=None, doc="the text")
    image: CardImage | None = member(default=None, doc="the picture")


@wire_class
class LinkAccountCard(Part):
    """Asks the user to link an account."""

    TYPE: ClassVar[str] = "LinkAccount"


@wire_class
class AskForPermissionsConsentCard(Part):
    """Asks the user for permissions."""

    TYPE: ClassVar[str] = "AskForPermissionsConsent"

    permissions: tuple[str, ...] = member(doc="names such as `alexa::devices:all:geolocation:read`")


@wire_class
class Reprompt(Part):
    """What is said when the user says nothing."""

    output_speech: SsmlSpeech | PlainTextSpeech | None = member(default=None, doc="what is said")
    directives: tuple[JsonMap, ...] = member(default=(), doc="what the device does meanwhile")


@wire_class
class VideoMetadata(Part):
    """What is shown of a video."""

    title: str | None = member(default=None, doc="the heading")
    subtitle: str | None = member(default=None, doc="below it")


@wire_class
class VideoItem(Part):
    """A video."""

    source: str = member(doc="address, HTTPS; at most 1280 × 720")
    metadata: VideoMetadata | None = member(default=None, doc="what is shown of it")


@wire_class
class LaunchVideo(Part):
    """A directive: play a video. The response that holds it must not say whether the session ends."""

    TYPE: ClassVar[str] = "VideoApp.Launch"

    video_item: VideoItem = member(doc="the video")


@wire_class
class RenderDocument(Part):
    """A directive: show a document of the Alexa Presentation Language."""

    TYPE: ClassVar[str] = "Alexa.Presentation.APL.RenderDocument"

    token: str = member(doc="by which events name the document")
    document: JsonMap = member(doc="the document")
    datasources: JsonMap | None = member(default=None, doc="what it shows")


@wire_class
class ImageSource(Part):
    """One size of a picture."""

    url: str = member(doc="address, HTTPS")


@wire_class
class DisplayImage(Part):
    """A picture of a display template."""

    content_description: str | None = member(default=None, doc="for screen readers")
    sources: tuple[ImageSource, ...] = member(doc="the picture, in one size or more")


@wire_class
class BodyTemplate7(Part):
    """A template that shows one picture."""

    TYPE: ClassVar[str] = "BodyTemplate7"

    token: str | None = member(default=None, doc="by which events name it")
    title: str | None = member(default=None, doc="the heading")
    image: DisplayImage | None = member(default=None, doc="the picture")
    background_image: DisplayImage | None = member(default=None, doc="behind it")


@wire_class
class RenderTemplate(Part):
    """A directive: show a template. For devices that do not know APL."""

    TYPE: ClassVar[str] = "Display.RenderTemplate"

    template: BodyTemplate7 = member(doc="the template")


@wire_class
class CanFulfillIntent(Part):
    """Whether the skill could do what a user asked of no skill in particular."""

    can_fulfill: str = member(choices=("YES", "NO", "MAYBE"), doc="as a whole")
    slots: JsonMap | None = member(default=None, doc="each slot: `canUnderstand`, `canFulfill`")


@wire_class
class ResponseBody(Part):
    """What Alexa says and does."""

    output_speech: SsmlSpeech | PlainTextSpeech | None = member(default=None, doc="what Alexa says")
    card: SimpleCard | StandardCard | LinkAccountCard | AskForPermissionsConsentCard | None = member(
        default=None, doc="for the user's Alexa app"
    )
    reprompt: Reprompt | None = member(default=None, doc="what it says when the user says nothing")
    directives: tuple[JsonMap, ...] = member(default=(), doc="what the device does")
    should_end_session: bool | None = member(
        default=None, doc="no: the microphone opens; none: it depends on the device"
    )
    can_fulfill_intent: CanFulfillIntent | None = member(
        default=None, doc="the answer to a CanFulfillIntentRequest, and to nothing else"
    )


@wire_class
class AlexaResponse(Part):
    """The answer to one request of Alexa."""

    version: str = member(default="1.0", doc="of the form of responses")
    session_attributes: JsonMap = member(factory=dict, doc="what the next request shall bring back")
    response: ResponseBody = member(default=ResponseBody(), doc="what Alexa says and does")
