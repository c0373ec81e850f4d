"""A Google Assistant for tests: it makes the requests that a test scripts, and judges the answers.

There is no service any more that could be asked (external.md, 2). What it would have refused raises an
AssertionError here, with the rule.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Literal
from urllib.parse import urlencode
from xml.etree import ElementTree

import attrs

from flowstorm_channel.errors import LocalProtocolError
from flowstorm_channel.sessions import uuid4_text
from flowstorm_channel.testing.signing import GoogleSigner
from flowstorm_channel.values import Card, Location
from flowstorm_channel.wire import RequestHead

__all__ = ["GooglePeer", "Heard"]

Tree = dict[str, Any]


@attrs.frozen(kw_only=True)
class Heard:
    """What the user of an Assistant hears and sees of an answer.

    Args:
        speech: as plain text.
        text: of the bubbles, on lines of their own.
        card: its title and text, when there is one that has any.
        image: the address of the one on the card.
        suggestions: the titles of the chips.
        ended: the conversation is over.
        ssml: of each bubble, as it came; plain text where that came.
        reprompt: what will be said when the user says nothing (version 2).
        hints: phrases that are listened for.
    """

    speech: str
    text: str
    card: Card | None = None
    image: str | None = None
    suggestions: tuple[str, ...] = ()
    ended: bool = False
    ssml: tuple[str, ...] = ()
    reprompt: str | None = None
    hints: tuple[str, ...] = ()


class GooglePeer:
    """An Assistant that talks to a webhook in one of the two versions of the protocol.

    Each of the methods that say something makes a request; `take` takes the answer to it. What an answer
    stores comes back in the next request: with the conversation, and with a verified user for ever.

    Args:
        version: ``2``: the Actions SDK; ``3``: the Actions Builder.
        url: of the webhook.
        key: of the application, for the address.
        locale: of the user.
        screen: whether the device has one.
        verified: whether Google knows the user.
        zone_id: of the device; version 3 only.
        location: of the device.
        signer: signs the requests; without one they are not signed.
        now: gives the time, with its zone; a signer needs it.
        make_id: makes the ids of conversations.

    Raises:
        ValueError: there is a signer, but no time.
    """

    def __init__(
        self,
        version: Literal["2", "3"] = "3",
        *,
        url: str = "/google",
        key: str | None = None,
        locale: str = "en-US",
        screen: bool = True,
        verified: bool = True,
        zone_id: str | None = "Europe/Prague",
        location: Location | None = None,
        signer: GoogleSigner | None = None,
        now: Callable[[], datetime] | None = None,
        make_id: Callable[[], str] = uuid4_text,
    ) -> None:
        if signer is not None and now is None:
            raise ValueError("a signer needs to know the time: give it as now")
        self.version = version
        self.locale = locale
        self.screen = screen
        self.verified = verified
        self.zone_id = zone_id
        self.location = location
        self.conversation_id: str | None = None
        """Of the conversation that goes on; None between two."""
        self.token: str | None = None
        """What the last answer stored with the conversation (version 2)."""
        self.storage = ""
        """What is stored with the user (version 2)."""
        self.session_params: Tree = {}
        """What is stored with the conversation (version 3)."""
        self.user_params: Tree = {}
        """What is stored with the user (version 3)."""
        self.slots: Tree = {}
        """Of the scene (version 3)."""
        self._url = url if key is None else f"{url}?{urlencode({'key': key})}"
        self._signer = signer
        self._now = now
        self._make_id = make_id
        self._silences = 0
        self._asked: str | None = None  # the intent that waits for an answer
        self._scene: str | None = None

    # -------------------------------------------------------- what the user does

    def launch(self) -> tuple[RequestHead, bytes]:
        """Begin a conversation; one that goes on is given up."""
        self._forget()
        self.conversation_id = self._make_id()
        return self._ask("actions.intent.MAIN", "talk to my action")

    def say(self, text: str) -> tuple[RequestHead, bytes]:
        """Say something.

        Raises:
            LocalProtocolError: no conversation goes on.
        """
        # Version 3 knows only intents of the author's own: the one of this action takes any text.
        return self._ask("actions.intent.TEXT" if self.version == "2" else "anything", text)

    def intent(self, name: str, words: str = "") -> tuple[RequestHead, bytes]:
        """Say something that Google takes for an intent.

        Raises:
            LocalProtocolError: no conversation goes on.
        """
        return self._ask(name, words)

    def cancel(self) -> tuple[RequestHead, bytes]:
        """Say goodbye.

        Raises:
            LocalProtocolError: no conversation goes on.
        """
        return self._ask("actions.intent.CANCEL", "stop")

    def silence(self) -> tuple[RequestHead, bytes]:
        """Say nothing; the third time in a row is the last.

        Raises:
            LocalProtocolError: no conversation goes on.
        """
        silences = self._silences + 1
        ending = "" if self.version == "2" else f"_{silences}" if silences < 3 else "_FINAL"
        return self._ask(f"actions.intent.NO_INPUT{ending}", "", silences=silences)

    def health_check(self) -> tuple[RequestHead, bytes]:
        """Ask whether anybody is there, as Google does of itself at any time."""
        self._asked = _HEALTH
        if self.version == "2":
            tree = self._v2("actions.intent.MAIN", "talk to my action", self._make_id(), "NEW")
            check = {"name": "is_health_check", "boolValue": True, "textValue": "1"}
            tree["inputs"][0]["arguments"] = [check]
            return self._request(tree)
        return self._request(
            {
                "handler": {"name": "actions.handler.HEALTH_CHECK"},
                "intent": {"name": _HEALTH},
                "session": {"id": _HEALTH_SESSION},
                "user": {"locale": self.locale},
                "device": {"capabilities": []},
            }
        )

    # -------------------------------------------------------- requests

    def _ask(self, intent: str, words: str, *, silences: int = 0) -> tuple[RequestHead, bytes]:
        if self.conversation_id is None:
            raise LocalProtocolError("no conversation goes on", legal=("launch()",))
        self._silences = silences
        self._asked = intent
        begins = intent == "actions.intent.MAIN"
        if self.version == "2":
            return self._request(self._v2(intent, words, self.conversation_id, "NEW" if begins else "ACTIVE"))
        return self._request(self._v3(intent, words, self.conversation_id))

    def _request(self, tree: Tree) -> tuple[RequestHead, bytes]:
        body = json.dumps(tree, ensure_ascii=False).encode()
        headers = [("content-type", "application/json;charset=UTF-8"), ("content-length", str(len(body)))]
        if self._signer is not None and self._now is not None:
            headers += self._signer.headers(2 if self.version == "2" else 3, self._now())
        return RequestHead(method="POST", url=self._url, headers=headers), body

    def _v2(self, intent: str, words: str, conversation_id: str, kind: str) -> Tree:
        user: Tree = {"locale": self.locale, "userVerificationStatus": self._verification}
        if self.storage:
            user["userStorage"] = self.storage
        conversation = {"conversationId": conversation_id, "type": kind}
        if self.token is not None and kind == "ACTIVE":
            conversation["conversationToken"] = self.token
        capabilities = ["AUDIO_OUTPUT", *(["SCREEN_OUTPUT"] if self.screen else [])]
        surface = {"capabilities": [{"name": f"actions.capability.{each}"} for each in capabilities]}
        return {
            "user": user,
            "conversation": conversation,
            "inputs": [
                {
                    "intent": intent,
                    "rawInputs": [{"inputType": "VOICE", "query": words}],
                    "arguments": self._arguments(intent, words),
                }
            ],
            "surface": surface,
            "device": {} if self.location is None else {"location": self._place(self.location)},
            "availableSurfaces": [surface],
            "isInSandbox": True,
        }

    def _arguments(self, intent: str, words: str) -> list[Tree]:
        if intent == "actions.intent.TEXT":
            return [{"name": "text", "rawText": words, "textValue": words}]
        if intent == "actions.intent.OPTION":
            return [{"name": "OPTION", "textValue": words}]
        if intent == "actions.intent.NO_INPUT":
            final: Tree = {"boolValue": True} if self._silences >= 3 else {}
            return [
                {"name": "REPROMPT_COUNT", "intValue": str(self._silences - 1)},
                {"name": "IS_FINAL_REPROMPT", **final},
            ]
        return []

    def _v3(self, intent: str, words: str, conversation_id: str) -> Tree:
        device: Tree = {"capabilities": ["SPEECH", *(["RICH_RESPONSE"] if self.screen else [])]}
        if self.location is not None:
            device["currentLocation"] = self._place(self.location)
        if self.zone_id is not None:
            device["timeZone"] = {"id": self.zone_id}
        tree: Tree = {
            "handler": {"name": "talk"},
            "intent": {"name": intent, "params": {}, "query": words},
            "session": {
                "id": conversation_id,
                "params": self.session_params,
                "typeOverrides": [],
                "languageCode": "",
            },
            "user": {
                "locale": self.locale,
                "params": self.user_params,
                "accountLinkingStatus": "NOT_LINKED",
                "verificationStatus": self._verification,
            },
            "home": {"params": {}},
            "device": device,
        }
        if self._scene is not None:
            scene = {"name": self._scene, "slotFillingStatus": "UNSPECIFIED", "slots": self.slots}
            tree["scene"] = scene
        return tree

    @property
    def _verification(self) -> str:
        return "VERIFIED" if self.verified else "GUEST"

    @staticmethod
    def _place(location: Location) -> Tree:
        return {"coordinates": {"latitude": location.lat, "longitude": location.lng}}

    # -------------------------------------------------------- answers

    def take(self, status: int, body: bytes) -> Heard:
        """Take the answer to the last request.

        Raises:
            AssertionError: Google would not accept it.
            LocalProtocolError: nothing has been asked.
        """
        asked, self._asked = self._asked, None
        if asked is None:
            raise LocalProtocolError("nothing has been asked", legal=("launch()", "health_check()"))
        _require(status == 200, f"the status must be 200, not {status}: {body[:200]!r}")
        tree = _parsed(body)
        goodbye = asked == "actions.intent.CANCEL"
        if self.version == "2":
            heard = self._take_v2(tree, goodbye, health=asked == _HEALTH)
        else:
            heard = self._take_v3(tree, _HEALTH_SESSION if asked == _HEALTH else self.conversation_id)
        _require(heard.ended or not goodbye, "after CANCEL the conversation must end")
        if heard.ended and asked != _HEALTH:
            self.conversation_id = None
            self._forget()
        return heard

    def _forget(self) -> None:
        """The end of a conversation."""
        self.token = None
        self.session_params = {}
        self._silences = 0
        self._scene = None
        if not self.verified:
            self.storage = ""
            self.user_params = {}

    def _take_v2(self, tree: Tree, goodbye: bool, *, health: bool) -> Heard:
        _fit(tree, _V2_RESPONSE, "")
        ended = not tree.get("expectUserResponse", False)
        expected = tree.get("expectedInputs") or []
        prompts: list[Tree] = []
        hints: tuple[str, ...] = ()
        if ended:
            _require(not expected, "expectedInputs where no response is expected")
            shown = tree.get("finalResponse", {}).get("richResponse")
            _require(not (shown or {}).get("suggestions"), "suggestions in a finalResponse")
        else:
            _require("finalResponse" not in tree, "a finalResponse where a response is expected")
            _require(len(expected) == 1, "expectedInputs must be one")
            _require(bool(expected[0].get("possibleIntents")), "possibleIntents must not be empty")
            prompt = expected[0].get("inputPrompt", {})
            shown, prompts = prompt.get("richInitialPrompt"), prompt.get("noInputPrompts") or []
            hints = _hints(expected[0].get("speechBiasingHints"))
        _require(bool(shown), "there is no richResponse")
        heard = self._rich(shown, goodbye)
        reprompts = [_spoken_v2(each) for each in prompts]
        _require(len(reprompts) <= 3, "more than 3 noInputPrompts")
        _require(len(tree.get("userStorage", "").encode()) <= 10_000, "userStorage of more than 10 KB")
        if not health:
            self.token = tree.get("conversationToken")
            self.storage = tree.get("userStorage") or self.storage
        reprompt = reprompts[0][0] if reprompts else None
        return attrs.evolve(heard, ended=ended, reprompt=reprompt, hints=hints)

    def _rich(self, shown: Tree, goodbye: bool) -> Heard:
        items = shown.get("items") or []
        for each in items:
            _require(len(each) == 1, "an item must be exactly one thing")
        simple = [each["simpleResponse"] for each in items if "simpleResponse" in each]
        cards = [each["basicCard"] for each in items if "basicCard" in each]
        _require(bool(items) and "simpleResponse" in items[0], "the first item must be a simpleResponse")
        _require(len(simple) <= 2, "more than 2 simpleResponses")
        _require(len(cards) <= 1, "more than 1 rich item")
        spoken = [_spoken_v2(each) for each in simple]
        texts = [_text(each.get("displayText")) for each in simple]
        if goodbye:
            _require(len(items) == 1, "CANCEL is answered with a single simpleResponse")
            for text in (spoken[0][0], texts[0]):
                _require(len(text) <= 60, "CANCEL is answered with at most 60 characters")
        card, image = None, None
        if cards:
            found = cards[0]
            card = self._card(found.get("title"), found.get("formattedText"), found.get("image"))
            image = _image(found.get("image"), "accessibilityText")
        return Heard(
            speech=" ".join(speech for speech, _ in spoken if speech),
            text="\n".join(each for each in texts if each),
            card=card,
            image=image,
            suggestions=self._suggestions(shown.get("suggestions")),
            ssml=tuple(source for _, source in spoken),
        )

    def _take_v3(self, tree: Tree, session_id: str | None) -> Heard:
        _fit(tree, _V3_RESPONSE, "")
        session = tree.get("session", {})
        _require(session.get("id") == session_id, "session.id must be the one of the request")
        prompt = tree.get("prompt", {})
        _require("firstSimple" in prompt, "there is no prompt.firstSimple")
        simple = [prompt[each] for each in ("firstSimple", "lastSimple") if each in prompt]
        spoken = [_spoken_v3(each) for each in simple]
        content = prompt.get("content", {})
        _require(len(content) <= 1, "content must be exactly one thing")
        card, image = None, _image(content.get("image"), "alt")
        if "card" in content:
            found = content["card"]
            card = self._card(found.get("title"), found.get("text"), found.get("image"))
            image = _image(found.get("image"), "alt")
        _require(self.screen or not content, "the device has no screen")
        ended = self._go_on(tree.get("scene", {}))
        user_params = tree.get("user", {}).get("params", {})
        size = len(json.dumps(user_params, ensure_ascii=False, separators=(",", ":")).encode())
        _require(size <= 10_000, "user.params of more than 10 KB")
        if session_id != _HEALTH_SESSION:
            self.session_params = _merged(self.session_params, session.get("params", {}))
            self.user_params = _merged(self.user_params, user_params)
        return Heard(
            speech=" ".join(speech for speech, _ in spoken if speech),
            text="\n".join(text for each in simple if (text := _text(each.get("text")))),
            card=card,
            image=image,
            suggestions=self._suggestions(prompt.get("suggestions")),
            ended=ended,
            ssml=tuple(source for _, source in spoken),
            hints=_hints(tree.get("expected", {}).get("speech")),
        )

    def _go_on(self, scene: Tree) -> bool:
        """Whether the next scene is none."""
        name = scene.get("name")
        _require(name is None or name == self._scene, f"scene.name must be {self._scene!r}, not {name!r}")
        unknown = scene.get("slots", {}).keys() - self.slots.keys()
        _require(self._scene is not None or not unknown, "slots without a scene")
        _require(not unknown, f"slots that the request did not have: {sorted(unknown)}")
        after = scene.get("next", {}).get("name", "")
        _require("next" not in scene or bool(after), "scene.next without a name")
        if after != "actions.scene.END_CONVERSATION":
            self._scene = after or self._scene or "Talk"
        return bool(after == "actions.scene.END_CONVERSATION")

    def _card(self, title: str | None, text: str | None, image: Tree | None) -> Card | None:
        _require(self.screen, "the device has no screen")
        _require(bool(text) or bool(image), "a card must have a text or an image")
        return Card(title=title or "", text=text or "") if title or text else None

    def _suggestions(self, chips: list[Tree] | None) -> tuple[str, ...]:
        titles = tuple(each.get("title", "") for each in chips or [])
        _require(self.screen or not titles, "the device has no screen")
        _require(len(titles) <= 8, "more than 8 suggestions")
        _require(all(titles), "a suggestion without a title")
        _require(all(len(each) <= 25 for each in titles), "a suggestion of more than 25 characters")
        _require(len(set(titles)) == len(titles), "suggestions must be unique")
        return titles


# ------------------------------------------------------------ the rules

_HEALTH: Final = "actions.intent.HEALTH_CHECK"
_HEALTH_SESSION: Final = "actions.session.HEALTH_CHECK"

_SIMPLE_RESPONSE = {"ssml": str, "textToSpeech": str, "displayText": str}
_V2_IMAGE = {"url": str, "accessibilityText": str, "height": int, "width": int}
_OPEN_URL = {"url": str, "urlTypeHint": str}
_RICH_RESPONSE = {
    "items": [
        {
            "simpleResponse": _SIMPLE_RESPONSE,
            "basicCard": {
                "title": str,
                "subtitle": str,
                "formattedText": str,
                "image": _V2_IMAGE,
                "imageDisplayOptions": str,
                "buttons": [{"title": str, "openUrlAction": _OPEN_URL}],
            },
        }
    ],
    "suggestions": [{"title": str}],
    "linkOutSuggestion": {"destinationName": str, "openUrlAction": _OPEN_URL},
}
_V2_RESPONSE = {
    "expectUserResponse": bool,
    "conversationToken": str,
    "userStorage": str,
    "resetUserStorage": bool,
    "isInSandbox": bool,
    "expectedInputs": [
        {
            "inputPrompt": {"richInitialPrompt": _RICH_RESPONSE, "noInputPrompts": [_SIMPLE_RESPONSE]},
            "possibleIntents": [{"intent": str, "inputValueData": dict, "parameterName": str}],
            "speechBiasingHints": [str],
        }
    ],
    "finalResponse": {"richResponse": _RICH_RESPONSE},
}
_SIMPLE = {"speech": str, "text": str}
_V3_IMAGE = {"url": str, "alt": str, "height": int, "width": int}
_LINK = {"name": str, "open": {"url": str, "hint": str}}
_V3_RESPONSE = {
    "session": {"id": str, "params": dict, "typeOverrides": [dict], "languageCode": str},
    "prompt": {
        "override": bool,
        "firstSimple": _SIMPLE,
        "lastSimple": _SIMPLE,
        "content": {
            "card": {
                "title": str,
                "subtitle": str,
                "text": str,
                "image": _V3_IMAGE,
                "imageFill": str,
                "button": _LINK,
            },
            "image": _V3_IMAGE,
        },
        "suggestions": [{"title": str}],
        "link": _LINK,
    },
    "scene": {"name": str, "slots": dict, "next": {"name": str}},
    "user": {"params": dict},
    "home": {"params": dict},
    "expected": {"speech": [str], "languageCode": str},
}


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise AssertionError(f"Google would not accept the answer: {rule}")


def _parsed(body: bytes) -> Tree:
    try:
        tree = json.loads(body.decode(), parse_constant=_no_constant)
    except ValueError as error:
        raise AssertionError(f"Google would not accept the answer: it is not JSON: {error}") from None
    _require(isinstance(tree, dict), "it must be an object")
    found: Tree = tree
    return found


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _fit(value: Any, form: Any, path: str) -> None:
    """Refuse members that Google does not know, and those of a wrong type."""
    if isinstance(form, dict):
        _require(isinstance(value, dict), f"{path or 'it'} must be an object")
        for name, inner in value.items():
            here = f"{path}.{name}".lstrip(".")
            _require(name in form, f"there is no member {here}")
            _fit(inner, form[name], here)
    elif isinstance(form, list):
        _require(isinstance(value, list), f"{path} must be an array")
        for index, inner in enumerate(value):
            _fit(inner, form[0], f"{path}[{index}]")
    else:
        _require(type(value) is form, f"{path} must be {form.__name__}, not {value!r:.80}")


def _spoken_v2(simple: Tree) -> tuple[str, str]:
    _require(len(simple.keys() & {"ssml", "textToSpeech"}) == 1, "either ssml or textToSpeech must be given")
    if "ssml" in simple:
        return _heard(simple["ssml"])
    return _read_out(simple["textToSpeech"])


def _spoken_v3(simple: Tree) -> tuple[str, str]:
    speech: str = simple.get("speech", "")
    return _heard(speech) if _is_ssml(speech) else _read_out(speech)


def _is_ssml(source: str) -> bool:
    return source.lstrip().startswith("<speak")


def _read_out(text: str) -> tuple[str, str]:
    _require(bool(text.strip()), "nothing is said")
    return text, text


def _heard(source: str) -> tuple[str, str]:
    """SSML as plain text, and as it came."""
    try:
        root = ElementTree.fromstring(source)
    except ElementTree.ParseError as error:
        raise AssertionError(f"Google would not accept the answer: SSML: {error}: {source!r}") from None
    _require(root.tag == "speak", "SSML must be in <speak>")
    for each in root.iter():
        _check_element(each, is_root=each is root)
    text = " ".join(" ".join(_pieces(root)).split())
    sounds = any(each.tag in ("audio", "break") for each in root.iter())
    _require(bool(text) or sounds, f"nothing is said: {source!r}")
    return text, source


def _check_element(element: ElementTree.Element, *, is_root: bool) -> None:
    attributes = element.attrib
    if element.tag == "speak":
        _require(is_root, "<speak> inside <speak>")
    elif element.tag == "audio":
        _require(attributes.get("src", "").lower().startswith("https://"), "the src of <audio> must be https")
    elif element.tag == "voice":
        gender, variant = attributes.get("gender", "neutral"), attributes.get("variant", "1")
        _require(gender in ("male", "female", "neutral"), f"<voice> of gender {gender!r}")
        _require(variant.isdecimal() and int(variant) > 0, f"<voice> of variant {variant!r}")


def _pieces(element: ElementTree.Element) -> Iterator[str]:
    """The text of an element, apart wherever something stands between."""
    yield element.text or ""
    for each in element:
        yield from _pieces(each)
        yield each.tail or ""


def _text(text: str | None) -> str:
    """What a bubble shows."""
    _require(text is None or len(text) <= 640, "a bubble of more than 640 characters")
    return text or ""


def _image(image: Mapping[str, Any] | None, description: str) -> str | None:
    if image is None:
        return None
    url: str = image.get("url", "")
    _require(url.lower().startswith("https://"), f"an image must be https, not {url!r}")
    _require(bool(image.get(description)), f"an image must have {description}")
    return url


def _hints(hints: list[str] | None) -> tuple[str, ...]:
    _require(len(hints or ()) <= 1000, "more than 1000 phrases to listen for")
    _require(all(hints or ()), "an empty phrase to listen for")
    return tuple(hints or ())


def _merged(stored: Tree, changes: Tree) -> Tree:
    """What is stored, after an answer: null deletes."""
    return {name: value for name, value in {**stored, **changes}.items() if value is not None}
