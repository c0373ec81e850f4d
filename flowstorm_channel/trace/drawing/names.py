"""What a message or an event is called in a picture, and what is in it in few words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

__all__ = ["Words", "at", "of_arguments", "of_event", "of_tree"]

_LONGEST = 200


class Words(NamedTuple):
    """How something is called."""

    name: str
    text: str = ""


def at(tree: Any, *path: str | int) -> Any:
    """What stands there; None when nothing does."""
    for step in path:
        if isinstance(step, int):
            tree = tree[step] if isinstance(tree, list) and step < len(tree) else None
        else:
            tree = tree.get(step) if isinstance(tree, dict) else None
    return tree


def of_tree(tree: Any) -> Words | None:
    """The words for an object of any channel; None when it is none that is known."""
    match tree:
        case {"type": str()}:
            return of_event(tree)
        case {"event": str(name)}:
            return Words(name, _text(at(tree, "mark", "name"), at(tree, "dtmf", "digit")))
        case {"request": {"type": str(kind)} as request}:
            return Words(kind, _text(at(request, "intent", "name"), *_slots(request), request.get("reason")))
        case {"version": str(), "response": {} as response}:
            return Words("response", _text(*_alexa_speech(response), *_said(response)))
        case {"handler": {"name": str(name)}}:
            return Words(name, _text(at(tree, "intent", "query")))
        case {"inputs": [{"intent": str(intent)}, *_]}:
            return Words(intent, _text(at(tree, "inputs", 0, "rawInputs", 0, "query")))
        case {"prompt": {}} | {"expectUserResponse": _} | {"finalResponse": {}}:
            return Words("response", _text(*_said(tree)))
    return None


def of_event(tree: Mapping[str, Any]) -> Words:
    """The words for an event.

    Args:
        tree: with its ``type``.
    """
    name = str(tree.get("type"))
    texts = (at(tree, *path) for path in _TEXTS.get(name, ()))
    items = at(tree, "response", "items") if name == "Response" else None
    more = [at(each, "text") for each in items] if isinstance(items, list) else []
    return Words(name, _text(*texts, *more, *_more(name, tree)))


def _more(name: str, tree: Mapping[str, Any]) -> Iterator[str]:
    """What decides how it goes on."""
    if name in ("Recognized", "RecognizedInput") and isinstance(tree.get("isFinal"), bool):
        yield _FINAL["final", tree["isFinal"]]
    if name == "Response":
        if at(tree, "response", "sessionEnded") is True:
            yield "(the session ends)"
        sleep = at(tree, "response", "sleepTimeout")
        if isinstance(sleep, (int, float)) and sleep > 0:
            yield f"(sleeps for {sleep:g} s)"


def of_arguments(name: str, arguments: Mapping[str, Any]) -> Words:
    """The words for what a host did."""
    event = arguments.get("event")
    if isinstance(event, Mapping) and isinstance(event.get("type"), str):
        said = of_event(event)
        return Words(name, f"{said.name} {said.text}".rstrip())
    heard = at(arguments.get("heard"), "transcript", "text")
    plain = (
        value if isinstance(value, str) else _FINAL.get((key, value), f"{key}={value!r}")
        for key, value in arguments.items()
        if isinstance(value, (str, bool, int, float)) and key != "turn"
    )
    return Words(name, _text(heard, *plain))


_FINAL: Mapping[tuple[str, Any], str] = {("final", True): "(final)", ("final", False): "(interim)"}


_INPUT = (("input", "transcript", "text"),)
_TEXTS: Mapping[str, tuple[tuple[str | int, ...], ...]] = {
    "Init": (("key",),),
    "Input": _INPUT,
    "Request": (("request", "input", "transcript", "text"),),
    "Recognized": (("text",),),
    "RecognizedInput": (("text",), ("input", "transcript", "text")),
    "ResponseItem": (("responseItem", "text"),),
    "SessionStarted": (("sessionId",),),
    "Error": (("text",),),
    "Log": (("entries", 0, "text"),),
    "Fault": (("error",),),
    "TurnInterrupted": (("reason",),),
    "Closed": (("code",), ("reason",)),
    "Dtmf": (("digit",),),
    "Vote": (("vote",),),
}
"""Where the words of an event stand."""


def _text(*found: Any) -> str:
    said = (str(each) for each in found if isinstance(each, (str, int, float)) and each != "")
    return " ".join(said)[:_LONGEST]


def _slots(request: Mapping[str, Any]) -> Iterator[Any]:
    slots = at(request, "intent", "slots")
    for slot in slots.values() if isinstance(slots, dict) else ():
        yield at(slot, "value")


def _alexa_speech(response: Mapping[str, Any]) -> Iterator[Any]:
    for member in ("text", "ssml"):
        yield at(response, "outputSpeech", member)


def _said(tree: Mapping[str, Any]) -> Iterator[Any]:
    """What Google Assistant says, in either version."""
    for name in ("firstSimple", "lastSimple"):
        yield at(tree, "prompt", name, "speech")
    rich = at(tree, "expectedInputs", 0, "inputPrompt", "richInitialPrompt")
    for answer in (rich, at(tree, "finalResponse", "richResponse")):
        items = at(answer, "items")
        for item in items if isinstance(items, list) else ():
            yield at(item, "simpleResponse", "textToSpeech")
            yield at(item, "simpleResponse", "ssml")
