"""What a dialogue hears of a request of Alexa (external.md, 4): the tables and nothing else decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from types import MappingProxyType

import attrs

from flowstorm_channel.alexa.messages import AlexaRequest, Slot
from flowstorm_channel.values import (
    HELP,
    INTRO,
    SILENCE,
    STOP,
    ClientAttributes,
    ClientConfig,
    Input,
    InputClass,
    InputClassType,
    Transcript,
    Word,
    action_of,
)

__all__ = ["INTENTS", "REQUESTS", "Answering", "Intents", "answering", "input_of"]

TOUCH = "#touch"
"""The text of an input that says: the user has touched something that has no text."""
LONGEST = 4096
"""Characters of what is said for slots, up to which it is taken apart into words."""
LOCALE = "en-US"
"""Of a request that tells none."""


class Answering(Enum):
    """How a request is answered."""

    ANSWER = "answer"
    """By the dialogue."""
    SILENT = "silent"
    """The dialogue hears it, but nothing may be said, shown or done."""
    CAN_FULFILL = "can fulfill"
    """Without the dialogue: whether the skill could do something."""
    NONE = "none"
    """With nothing: it is no input."""


REQUESTS: Mapping[str, Answering] = MappingProxyType(
    {
        "LaunchRequest": Answering.ANSWER,
        "IntentRequest": Answering.ANSWER,
        "SessionEndedRequest": Answering.SILENT,
        "CanFulfillIntentRequest": Answering.CAN_FULFILL,
        "Display.ElementSelected": Answering.ANSWER,
        "Alexa.Presentation.APL.UserEvent": Answering.ANSWER,
    }
)
"""How each type of request is answered; all others with nothing."""

INTENTS: Mapping[str, str] = MappingProxyType(
    {
        "AMAZON.HelpIntent": HELP,
        "AMAZON.FallbackIntent": HELP,
        "AMAZON.StopIntent": STOP,
        "AMAZON.CancelIntent": STOP,
        "AMAZON.NavigateHomeIntent": STOP,
        "AMAZON.YesIntent": "yes",
        "AMAZON.NoIntent": "no",
        "AMAZON.RepeatIntent": "repeat",
        "AMAZON.StartOverIntent": "start over",
        "AMAZON.NextIntent": "next",
        "AMAZON.PreviousIntent": "previous",
        "AMAZON.PauseIntent": "pause",
        "AMAZON.ResumeIntent": "resume",
        "AMAZON.MoreIntent": "more",
        "AMAZON.LoopOnIntent": "loop on",
        "AMAZON.LoopOffIntent": "loop off",
        "AMAZON.ShuffleOnIntent": "shuffle on",
        "AMAZON.ShuffleOffIntent": "shuffle off",
        "AMAZON.ScrollUpIntent": "scroll up",
        "AMAZON.ScrollDownIntent": "scroll down",
        "AMAZON.ScrollLeftIntent": "scroll left",
        "AMAZON.ScrollRightIntent": "scroll right",
        "AMAZON.PageUpIntent": "page up",
        "AMAZON.PageDownIntent": "page down",
        "AMAZON.NavigateSettingsIntent": "settings",
    }
)
"""What Alexa's own intents say, unless `Intents` says otherwise."""


def _texts(given: Mapping[str, str]) -> Mapping[str, str]:
    for name, text in given.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise TypeError(f"texts must name the texts of intents, not {name!r}: {text!r}")
    return MappingProxyType(dict(given))


def _names(given: Iterable[str]) -> frozenset[str]:
    if isinstance(given, str):
        raise TypeError("fulfils must list intents, not be one")
    return frozenset(given)


@attrs.frozen(kw_only=True)
class Intents:
    """Which of a skill's intents say what.

    An intent that is not named here says what was said for its slots, all in one text; without any, its own
    name as an action: ``#BookTable``. Its name is the input's class, too.

    Args:
        message: the intent that takes whatever the user says.
        slot: of that intent, and of any other, that holds the text.
        texts: what intents say that have no text of their own; `INTENTS` by default. To add one, give
            ``{**INTENTS, "AMAZON.YesIntent": "ano"}``.
        fulfils: the intents that the skill promises to understand when somebody asks for no skill in
            particular; the dialogue is not asked then.

    Raises:
        TypeError: `texts` is no mapping of texts to texts.
    """

    message: str = "MessageIntent"
    slot: str = "text"
    texts: Mapping[str, str] = attrs.field(default=INTENTS, converter=_texts, hash=False)
    fulfils: frozenset[str] = attrs.field(default=frozenset(), converter=_names)


DEFAULT_INTENTS = Intents()


# ------------------------------------------------------------ the input


def answering(request: AlexaRequest) -> Answering:
    """How a request is answered. Outside of a session there is nobody to answer."""
    found = REQUESTS.get(request.kind, Answering.NONE)
    return Answering.NONE if request.session is None and found is not Answering.CAN_FULFILL else found


def input_of(
    request: AlexaRequest,
    intents: Intents = DEFAULT_INTENTS,
    *,
    zone_id: str = ClientConfig().zone_id,
) -> Input | None:
    """What the dialogue hears; None when it hears nothing of the request.

    Args:
        request: of Alexa.
        intents: which of the skill's intents say what.
        zone_id: the user's time zone, which Alexa does not tell.

    Raises:
        ValueError: the zone is unknown.
    """
    if answering(request) not in (Answering.ANSWER, Answering.SILENT):
        return None
    text = _text(request, intents)
    entities = _entities(request, intents)
    if text != _joined(entities) or len(text) > LONGEST:
        entities = []  # something else is said than they say, or what nobody has said in one breath
    meaning = " ".join(each.resolved or each.value or "" for each in entities)
    return Input(
        locale=request.locale or LOCALE,
        zone_id=zone_id,
        transcript=Transcript(text=text),
        alternatives=(Transcript(text=meaning),) if entities and meaning != text else (),
        classes=(InputClass(type=InputClassType.INTENT, name=request.intent),) if request.intent else (),
        tokens=tuple(word for each in entities for word in _words(each)),
        attributes=_attributes(request),
    )


def _entities(request: AlexaRequest, intents: Intents) -> list[Slot]:
    """The slots that something was said for, but that of the free text."""
    return [each for name, each in request.slots.items() if each.value and name != intents.slot]


def _joined(slots: list[Slot]) -> str:
    return " ".join(each.value or "" for each in slots)


def _text(request: AlexaRequest, intents: Intents) -> str:
    match request.kind:
        case "LaunchRequest":
            return INTRO
        case "SessionEndedRequest":
            return STOP
        case "IntentRequest":
            return _said(request, intents)
        case _:
            return request.touched or TOUCH


def _said(request: AlexaRequest, intents: Intents) -> str:
    name = request.intent
    if name in intents.texts:
        return intents.texts[name]
    free = request.slots.get(intents.slot)
    said = free.value if free and free.value else _joined(_entities(request, intents))
    if name and name != intents.message:
        return said or action_of(name)
    return said or SILENCE  # the user has said something, but nothing was understood


def _words(slot: Slot) -> list[Word]:
    """What was said for a slot, as an entity of its name (events.md); its first word has a `B-`."""
    return [
        Word(
            text=text,
            classes=(InputClass(type=InputClassType.ENTITY, name=f"{'I' if index else 'B'}-{slot.name}"),),
        )
        for index, text in enumerate((slot.value or "").split())
    ]


def _attributes(request: AlexaRequest) -> dict[str, object]:
    return ClientAttributes(
        client_type=f"amazon-alexa:{request.version}",
        client_screen=request.has_screen,
        client_location=request.location,
    ).to_map()
