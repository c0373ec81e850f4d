"""An Alexa device for tests of skills: it makes requests as Alexa does, and takes no answer that Alexa would
refuse."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any, Protocol

import attrs

from flowstorm_channel.ssml import inner, plain
from flowstorm_channel.values import Location
from flowstorm_channel.wire import RequestHead

__all__ = ["ECHO", "ECHO_SHOW", "FIRST_ECHO_SHOW", "AlexaPeer", "Heard", "Signer"]

Interfaces = Mapping[str, Mapping[str, Any]]

ECHO: Interfaces = MappingProxyType({"AudioPlayer": {}})
"""What a device without a screen can do."""
ECHO_SHOW: Interfaces = MappingProxyType(
    {
        "AudioPlayer": {},
        "Alexa.Presentation.APL": {"runtime": {"maxVersion": "2024.3"}},
        "VideoApp": {},
    }
)
"""What a device with a screen can do."""
FIRST_ECHO_SHOW: Interfaces = MappingProxyType({"AudioPlayer": {}, "Display": {}, "VideoApp": {}})
"""What a device with a screen could do before there was APL."""

Sent = tuple[RequestHead, bytes]


class Signer(Protocol):
    """What signs requests; `flowstorm_channel.testing.signing.AlexaSigner` does."""

    def headers(self, body: bytes) -> tuple[tuple[str, str], ...]:
        """The headers that prove who sent a body."""
        ...


@attrs.frozen(kw_only=True)
class Heard:
    """What the user gets of an answer.

    Args:
        body: all of it.
        speech: what Alexa says, as plain text.
        ssml: the same as it came; None when it says nothing, or plain text.
        reprompt: what it says when the user says nothing, as plain text.
        card: for the user's Alexa app, as it came.
        image: address of the picture that is shown, on the screen or else on the card.
        video: address of the video that is played.
        ended: the session is over.
        listening: the microphone opens.
    """

    body: Mapping[str, Any]
    speech: str = ""
    ssml: str | None = None
    reprompt: str = ""
    card: Mapping[str, Any] | None = None
    image: str | None = None
    video: str | None = None
    ended: bool = False
    listening: bool = False


class AlexaPeer:
    """A device and its user. What a request shall say otherwise may be set at any time.

    Args:
        now: gives the time, with its zone.
        application_id: of the skill.
        device_id: of the device; None: it is not told.
        user_id: of the account.
        locale: the language of the user.
        interfaces: what the device can do: `ECHO`, `ECHO_SHOW` …
        location: where the device is; None: the user does not tell.
        access_token: for Alexa's services.
        message: the intent, and
        slot: the slot of it, that takes whatever the user says.
        signer: signs the requests; None: nobody does.
        url: of the skill.
        most_bytes: of an answer.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        application_id: str = "amzn1.ask.skill.test",
        device_id: str | None = "test-device",
        user_id: str = "test-user",
        locale: str = "en-US",
        interfaces: Interfaces = ECHO,
        location: Location | None = None,
        access_token: str | None = "test-token",
        message: str = "MessageIntent",
        slot: str = "text",
        signer: Signer | None = None,
        url: str = "/alexa",
        most_bytes: int = 24 * 1024,
    ) -> None:
        self._now = now
        self.application_id = application_id
        self.device_id = device_id
        self.user_id = user_id
        self.locale = locale
        self.interfaces = interfaces
        self.location = location
        self.access_token = access_token
        self.message = message
        self.slot = slot
        self.signer = signer
        self.url = url
        self.most_bytes = most_bytes
        self.session_id: str | None = None
        """Of the session; None while there is none."""
        self.attributes: Mapping[str, Any] = {}
        """What the last answer of the session wants to have back."""
        self._new = False
        self._sessions = 0
        self._requests = 0
        self._asked = ""
        self._in_session = False

    # -------------------------------------------------------- what the user does

    def launch(self) -> Sent:
        """Open the skill."""
        return self.request("LaunchRequest")

    def say(self, text: str | None) -> Sent:
        """Say something; None: something that is not understood."""
        return self.intent(self.message, **{self.slot: text})

    def intent(self, name: str, /, **slots: str | Mapping[str, Any] | None) -> Sent:
        """Say something that Alexa takes for an intent.

        Args:
            name: of the intent.
            slots: what is said for each; a mapping has the members of a slot that are not usual.
        """
        return self.request("IntentRequest", dialogState="STARTED", intent=_intent(name, slots))

    def stop(self) -> Sent:
        """Say "stop"."""
        return self.intent("AMAZON.StopIntent")

    def help(self) -> Sent:
        """Say "help"."""
        return self.intent("AMAZON.HelpIntent")

    def touch(self, *arguments: Any) -> Sent:
        """Touch something on the screen.

        Args:
            arguments: of the event; on a device without APL, the first is the element's token.
        """
        if "Alexa.Presentation.APL" in self.interfaces:
            return self.request("Alexa.Presentation.APL.UserEvent", token="test", arguments=list(arguments))
        return self.request("Display.ElementSelected", token=arguments[0])

    def end(self, reason: str = "USER_INITIATED", error: Mapping[str, str] | None = None) -> Sent:
        """Leave the session without a word; or Alexa does.

        Args:
            reason: ``USER_INITIATED``, ``ERROR`` or ``EXCEEDED_MAX_REPROMPTS``.
            error: what Alexa did not like: ``type`` and ``message``.

        Raises:
            ValueError: there is no session.
        """
        if self.session_id is None:
            raise ValueError("there is no session to end")
        more: dict[str, Any] = {} if error is None else {"error": dict(error)}
        return self.request("SessionEndedRequest", reason=reason, **more)

    def can_fulfill(self, name: str, /, **slots: str | Mapping[str, Any] | None) -> Sent:
        """Ask, for a user who names no skill, whether this one could do something."""
        return self.request("CanFulfillIntentRequest", intent=_intent(name, slots))

    def request(self, kind: str, /, *, in_session: bool = True, **members: Any) -> Sent:
        """Any other request.

        Args:
            kind: its type.
            in_session: it belongs to the session; one begins when there is none.
            members: that only this type has.
        """
        self._requests += 1
        self._asked, self._in_session = kind, in_session
        if in_session and self.session_id is None:
            self._sessions += 1
            self.session_id, self._new, self.attributes = f"test-session-{self._sessions}", True, {}
        tree = {
            "version": "1.0",
            **({"session": self._session()} if in_session else {}),
            "context": self._context(),
            "request": {
                "type": kind,
                "requestId": f"test-request-{self._requests}",
                "timestamp": self._now().astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "locale": self.locale,
                **members,
            },
        }
        body = json.dumps(tree, ensure_ascii=False).encode()
        headers = (
            ("Content-Type", "application/json; charset=utf-8"),
            ("Content-Length", str(len(body))),
            *(self.signer.headers(body) if self.signer is not None else ()),
        )
        return RequestHead(method="POST", url=self.url, headers=headers), body

    def _session(self) -> dict[str, Any]:
        new, self._new = self._new, False
        return {
            "new": new,
            "sessionId": self.session_id,
            "application": {"applicationId": self.application_id},
            "attributes": self.attributes,
            "user": {"userId": self.user_id},
        }

    def _context(self) -> dict[str, Any]:
        device = {} if self.device_id is None else {"deviceId": self.device_id}
        system = {
            "application": {"applicationId": self.application_id},
            "user": {"userId": self.user_id},
            "device": {**device, "supportedInterfaces": dict(self.interfaces)},
            "apiEndpoint": "https://api.amazonalexa.com",
            **({} if self.access_token is None else {"apiAccessToken": self.access_token}),
        }
        place = {} if self.location is None else {"Geolocation": _geolocation(self.location)}
        return {"System": system, **place}

    # -------------------------------------------------------- what the user gets

    def take(self, status: int, body: bytes) -> Heard:
        """Take the answer to the last request.

        Args:
            status: of the HTTP response.
            body: of the HTTP response.

        Raises:
            AssertionError: Alexa would refuse it; the text says by which rule.
        """
        _rule(status == 200, f"the status is 200, not {status}")
        _rule(len(body) <= self.most_bytes, f"{len(body)} bytes of at most {self.most_bytes}")
        tree = _json(body)
        _rule(isinstance(tree.get("version"), str), "version is a text")
        _rule(isinstance(tree.get("response"), dict), "response is an object")
        attributes = tree.get("sessionAttributes", {})
        _rule(isinstance(attributes, dict), "sessionAttributes is an object")
        answer: dict[str, Any] = tree["response"]
        self._check_place(answer)
        speech, ssml = _speech("outputSpeech", answer)
        reprompt, _ = _speech("outputSpeech", _object("reprompt", answer))
        card = _card(answer)
        image, video = self._directives(answer)
        ends = answer.get("shouldEndSession")
        _rule(ends in (None, True, False), "shouldEndSession is true, false or omitted")
        _rule(
            ends is not False or any(answer.get(each) for each in _CONTENT),
            "a session goes on only with something said, shown or done",
        )
        ended = self._in_session and (ends is True or self._asked in _UNHEARD)
        if self._in_session:
            self.attributes = attributes
        if ended:
            self.session_id = None
        return Heard(
            body=tree,
            speech=speech,
            ssml=ssml,
            reprompt=reprompt,
            card=card,
            image=image or (card or {}).get("image", {}).get("largeImageUrl"),
            video=video,
            ended=ended,
            listening=ends is False,
        )

    def _check_place(self, answer: Mapping[str, Any]) -> None:
        """What may stand in an answer to this request at all."""
        if self._asked == "CanFulfillIntentRequest":
            verdict = _object("canFulfillIntent", answer).get("canFulfill")
            _rule(verdict in ("YES", "NO", "MAYBE"), "canFulfill is YES, NO or MAYBE")
        else:
            _rule("canFulfillIntent" not in answer, "canFulfillIntent answers no other request")
        silent = self._asked in _UNHEARD
        if silent or not self._in_session:
            found = [each for each in (*_CONTENT, "reprompt") if answer.get(each)]
            what = self._asked if silent else "a request outside of sessions"
            _rule(not found, f"{what} is answered without {', '.join(found)}")
        if not self._in_session:
            _rule("shouldEndSession" not in answer, "outside of sessions nothing ends")

    def _directives(self, answer: Mapping[str, Any]) -> tuple[str | None, str | None]:
        """The addresses of the picture on the screen and of the video."""
        directives = _list("directives", answer)
        image = video = None
        for each in directives:
            kind = each.get("type")
            _rule(isinstance(kind, str), "a directive has a type")
            if kind == "VideoApp.Launch":
                _rule("shouldEndSession" not in answer, "with VideoApp.Launch shouldEndSession is omitted")
                self._needs("VideoApp")
                video = _fetched(_object("videoItem", each).get("source"))
            elif kind == "Alexa.Presentation.APL.RenderDocument":
                self._needs("Alexa.Presentation.APL")
                others = {other.get("type") for other in directives if other is not each}
                _rule(not others & _NOT_BESIDE_APL, "a document stands beside no video and no template")
                image = self._document(each)
            elif kind == "Display.RenderTemplate":
                self._needs("Display")
                sources = _list("sources", _object("image", _object("template", each)))
                _rule(bool(sources), "an image has sources")
                for source in reversed(sources):
                    image = _picture(source.get("url"))
        return image, video

    def _needs(self, interface: str) -> None:
        _rule(interface in self.interfaces, f"the device has no {interface}")

    def _document(self, directive: Mapping[str, Any]) -> str | None:
        _rule(bool(directive.get("token")), "a document has a token")
        document, sources = _object("document", directive), _object("datasources", directive)
        _rule(document.get("type") == "APL", "a document is of type APL")
        most = self.interfaces["Alexa.Presentation.APL"].get("runtime", {}).get("maxVersion", "1.0")
        version = document.get("version", "")
        _rule(_version(version) <= _version(most), f"APL {version}, but the device knows {most}")
        template = _object("mainTemplate", document)
        _rule(bool(template), "a document has a mainTemplate")
        image = None
        for source in _images(template):
            image = _picture(_bound(source, sources))
        return image


# ------------------------------------------------------------ making requests


def _intent(name: str, slots: Mapping[str, str | Mapping[str, Any] | None]) -> dict[str, Any]:
    found = {}
    for slot, said in slots.items():
        more = {} if said is None else dict(said) if isinstance(said, Mapping) else {"value": said}
        found[slot] = {"name": slot, "confirmationStatus": "NONE", **more}
    return {"name": name, "confirmationStatus": "NONE", "slots": found}


_PLACES = (
    ("coordinate", "latitudeInDegrees", "lat"),
    ("coordinate", "longitudeInDegrees", "lng"),
    ("coordinate", "accuracyInMeters", "acc"),
    ("altitude", "altitudeInMeters", "alt"),
    ("altitude", "accuracyInMeters", "alt_acc"),
    ("speed", "speedInMetersPerSecond", "spd"),
    ("speed", "accuracyInMetersPerSecond", "spd_acc"),
    ("heading", "directionInDegrees", "hdg"),
    ("heading", "accuracyInDegrees", "hdg_acc"),
)


def _geolocation(location: Location) -> dict[str, Any]:
    found: dict[str, Any] = {"locationServices": {"access": "ENABLED", "status": "RUNNING"}}
    for part, name, attribute in _PLACES:
        value = getattr(location, attribute)
        if value is not None:
            found.setdefault(part, {})[name] = value
    return found


# ------------------------------------------------------------ checking answers

_CONTENT = ("outputSpeech", "card", "directives")
_UNHEARD = ("SessionEndedRequest", "CanFulfillIntentRequest")
"""After what the user hears nothing, and the session is over."""
_NOT_BESIDE_APL = {"VideoApp.Launch", "Display.RenderTemplate"}
_SPEECH_CHARACTERS = 8000
_CARD_CHARACTERS = 8000
_ADDRESS_CHARACTERS = 2000
_SOUNDS = 5
_SOUND = re.compile(r"<audio\b[^>]*?\bsrc=[\"']([^\"']*)")
_BINDING = re.compile(r"\$\{payload\.([\w.]+)\}")
_CARDS = {
    "Simple": ("title", "content"),
    "Standard": ("title", "text", "image"),
    "LinkAccount": (),
    "AskForPermissionsConsent": ("permissions",),
}


def _rule(holds: bool, text: str) -> None:
    if not holds:
        raise AssertionError(f"Alexa refuses the answer: {text}")


def _json(body: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(body.decode())
    except ValueError as error:
        raise AssertionError(f"Alexa refuses the answer: it is no JSON: {error}") from None
    _rule(isinstance(tree, dict), "it is an object")
    found: dict[str, Any] = tree
    return found


def _object(name: str, tree: Mapping[str, Any]) -> Mapping[str, Any]:
    found = tree.get(name, {})
    _rule(isinstance(found, Mapping), f"{name} is an object")
    checked: Mapping[str, Any] = found
    return checked


def _list(name: str, tree: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = tree.get(name, [])
    _rule(isinstance(found, list) and all(isinstance(each, dict) for each in found), f"{name} are objects")
    checked: list[Mapping[str, Any]] = found
    return checked


def _speech(name: str, tree: Mapping[str, Any]) -> tuple[str, str | None]:
    """The plain text of a speech, and its SSML when it is SSML."""
    if name not in tree:
        return "", None
    speech = _object(name, tree)
    kind = speech.get("type")
    _rule(kind in ("PlainText", "SSML"), f"{name} is PlainText or SSML, not {kind}")
    text = speech.get("text" if kind == "PlainText" else "ssml")
    _rule(isinstance(text, str), f"{name} has its text")
    said = str(text)
    _rule(len(said) <= _SPEECH_CHARACTERS, f"{len(said)} characters of at most {_SPEECH_CHARACTERS}")
    if kind == "PlainText":
        return said, None
    _rule(said.startswith("<speak>") and inner(said) is not None, "SSML is well-formed, in one <speak>")
    sounds = _SOUND.findall(said)
    _rule(len(sounds) <= _SOUNDS, f"{len(sounds)} sounds of at most {_SOUNDS}")
    for each in sounds:
        _rule(each.startswith(("https://", "soundbank://")), f"a sound is fetched by HTTPS: {each}")
    return plain(said), said


def _card(answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if "card" not in answer:
        return None
    card = _object("card", answer)
    kind = card.get("type")
    _rule(kind in _CARDS, f"no such card: {kind}")
    foreign = card.keys() - {"type", *_CARDS[str(kind)]}
    _rule(not foreign, f"a {kind} card has no {', '.join(sorted(foreign))}")
    addresses = _object("image", card).values()
    for each in addresses:
        _picture(each)
    texts = [card.get(each, "") for each in ("title", "content", "text")]
    size = sum(len(each) for each in (*texts, *addresses))
    _rule(size <= _CARD_CHARACTERS, f"a card of {size} characters of at most {_CARD_CHARACTERS}")
    return card


def _fetched(address: Any) -> str:
    _rule(isinstance(address, str) and address.startswith("https://"), f"HTTPS is needed: {address}")
    return str(address)


def _picture(address: Any) -> str:
    found = _fetched(address)
    _rule(len(found) <= _ADDRESS_CHARACTERS, f"an address of more than {_ADDRESS_CHARACTERS} characters")
    return found


def _version(text: Any) -> tuple[int, ...]:
    _rule(isinstance(text, str) and re.fullmatch(r"\d+(\.\d+)*", text) is not None, f"no version: {text}")
    return tuple(map(int, text.split(".")))


def _images(component: Any) -> Iterator[str]:
    """The sources of all pictures, those in front last."""
    if isinstance(component, list):
        for each in component:
            yield from _images(each)
    elif isinstance(component, Mapping):
        if component.get("type") == "Image":
            yield str(component.get("source"))
        for each in component.values():
            yield from _images(each)


def _bound(text: str, sources: Mapping[str, Any]) -> str:
    """What a property of a document says once its data are filled in."""
    binding = _BINDING.fullmatch(text)
    if binding is None:
        return text
    found: Any = sources
    for name in binding[1].split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return str(found)
