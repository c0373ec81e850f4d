"""Messages as real peers send them, and what may be wrong with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgpack  # type: ignore[import-untyped]

from tests.fuzz.program import Program

__all__ = ["FROM_CLIENT", "FROM_SERVER", "binary_message", "mutated", "text_message", "tree_of"]

Tree = dict[str, Any]

_INPUT: Tree = {
    "locale": "en-US",
    "zoneId": "Europe/Prague",
    "transcript": {"text": "hello", "confidence": 0.5, "provider": "Google"},
    "alternatives": [{"text": "hallo"}],
    "classes": [{"type": "Intent", "name": "7", "score": 0.9, "model": "m"}],
    "tokens": [
        {"type": "Word", "text": "hello", "startTime": 0.1, "classes": [{"type": "Entity", "name": "e"}]},
        {"type": "Punctuation", "text": "."},
    ],
    "attributes": {"clientType": "app", "deep": {"list": [1, -1.5, None, True, "x"]}},
}
_CONFIG: Tree = {
    "locale": "en",
    "zoneId": "+02:00",
    "sttMode": "SingleUtterance",
    "sttSampleRate": 8000,
    "tts": "RequiredLinks",
    "ttsFileType": "wav",
    "silenceTimeout": 100,
    "sendResponseItems": True,
    "sttInterimResults": True,
    "returnSsml": False,
}
_ITEM: Tree = {
    "text": "part",
    "ssml": "<speak>part</speak>",
    "audio": "/a.mp3",
    "image": "https://x/i.png",
    "ttsConfig": {"provider": "p", "locale": "en", "gender": "Female", "name": "n"},
}
_LOGS = [{"time": "2026-01-01T00:00:00.25", "relativeTime": 0.5, "level": "INFO", "text": "log"}]
_RESPONSE: Tree = {
    "locale": "en",
    "items": [_ITEM],
    "logs": _LOGS,
    "attributes": {"a": 1},
    "sttMode": "SingleUtterance",
    "expectedPhrases": [{"text": "yes"}],
    "sessionEnded": False,
    "sleepTimeout": 0,
    "turnId": "t1",
}
_OPEN: Tree = {"type": "InputAudioStreamOpen"}
_BINARY: Tree = {"type": "Binary", "data": "AAAA"}


def _said(text: str) -> Tree:
    return {"type": "Input", "input": {"transcript": {"text": text}}}


def _init(**config: Any) -> Tree:
    return {"type": "Init", "key": "K", "deviceId": "D", "config": {"sendResponseItems": True, **config}}


def _request(session_id: str, **members: Any) -> Tree:
    said = {"transcript": {"text": "hello"}}
    inside = {"appKey": "K", "deviceId": "D", "sessionId": session_id, "input": said, **members}
    return {"type": "Request", "request": inside}


FROM_CLIENT: tuple[Tree, ...] = (
    _init(),
    _said("hello"),
    _OPEN,
    {"type": "InputAudioStreamClose"},
    {"type": "InputAudioStreamCancel"},
    {"type": "SessionEnded"},
    _init(sttMode="Duplex"),
    _init(sttMode="SingleUtterance", silenceTimeout=100),
    _init(sendResponseItems=False, sttMode="Default"),
    {"type": "Init", "key": "K", "deviceId": "D", "token": "T", "config": _CONFIG},
    {"type": "Input", "input": _INPUT},
    _request("R"),
    _request("S", token="T", initiationId="I", attributes={"b": 2}),
    _request("no id!"),
    {**_OPEN, "sessionId": "R"},
    {**_OPEN, "message": {"sessionId": "S"}},
    {"type": "Log", "entries": _LOGS},
    {"type": "Vote", "turnId": "t1", "vote": 1},
    {"type": "InputStreamClose"},
    _BINARY,
    {"type": "Binary", "data": ""},
    {"type": "Novelty", "x": {"y": [1]}},
    {"type": "SessionEnd"},
    _said("#intro"),
)
"""What clients say, the usual first."""

FROM_SERVER: tuple[Tree, ...] = (
    {"type": "Ready"},
    {"type": "SessionStarted", "sessionId": "S"},
    {"type": "ResponseItem", "responseItem": {"text": "part"}},
    {"type": "Response", "response": {"items": []}},
    {"type": "Response", "response": {"items": [], "sessionEnded": True}},
    {"type": "Response", "response": {"items": [], "sleepTimeout": 5}},
    {"type": "Response", "response": {"items": [{"text": "x"}], "sttMode": "Duplex"}},
    {"type": "Response", "response": {"items": [{"text": "x"}], "sttMode": "SingleUtterance"}},
    {"type": "Response", "response": _RESPONSE},
    {"type": "SessionEnded"},
    _OPEN,
    {"type": "Recognized", "text": "yes", "isFinal": True},
    {"type": "Recognized", "text": "ye", "isFinal": False},
    {"type": "RecognizedInput", "input": _INPUT, "isFinal": True},
    {"type": "RecognizedInput", "input": {"transcript": {"text": "y"}}, "isFinal": False},
    {"type": "Error", "text": "no", "source": "s"},
    {"type": "ResponseItem", "responseItem": _ITEM},
    _BINARY,
    {"type": "Binary", "data": ""},
    {"type": "Novelty", "x": 1},
    _said("hello"),
)
"""What servers say."""

_ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        0.0,
        -0.0,
        0.5,
        1e308,
        2**53 + 1,
        2**63 - 1,
        -(2**63),
        2**64 - 1,
        86400,
    ),
    *(
        "",
        " ",
        "x",
        "\x00",
        "\n",
        "\x85",
        "é",
        "\U0001f600",
        "\u2028",
        "AA==",
        "A",
        "=",
        "%00",
        "x" * 300,
        "true",
    ),
    *(
        [],
        {},
        [None],
        {"": None},
        [[[[]]]],
        {"type": "Ready"},
        {"sessionId": "S"},
        ["x"] * 40,
        [0, 255, -128],
    ),
    *("Duplex", "SingleUtterance", "Default", "Required", "mulaw", "en", "zz-ZZ", "UTC", "+18:01", "K", "D"),
    *(
        "2026-01-01T00:00:00",
        "0001-01-01T00:00:00+23:59",
        "S",
        "R",
        "no id!",
        "#silence",
        "#intro",
        "alexa:x",
    ),
)


def mutated(tree: Any, program: Program) -> Any:
    """The tree with a few things changed; the tree itself stays as it is.

    Args:
        tree: of JSON.
        program: says how many, which and how.
    """
    for _ in range(_CHANGES[program.byte() % len(_CHANGES)]):
        tree = _changed(tree, program)
    return tree


_CHANGES = (0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 3, 5)


def _changed(tree: Any, program: Program) -> Any:
    """One step down at a time, until the program says: here."""
    choice = program.byte()
    if choice < 160 and isinstance(tree, (dict, list)) and tree:
        if isinstance(tree, dict):
            name = list(tree)[program.byte() % len(tree)]
            return {**tree, name: _changed(tree[name], program)}
        index = program.byte() % len(tree)
        return [*tree[:index], _changed(tree[index], program), *tree[index + 1 :]]
    return _another(tree, choice, program)


def _another(tree: Any, choice: int, program: Program) -> Any:
    match choice % 8:
        case 0 if isinstance(tree, dict) and tree:
            gone = list(tree)[program.byte() % len(tree)]
            return {name: each for name, each in tree.items() if name != gone}
        case 1 if isinstance(tree, dict):
            return {**tree, program.text(12): program.choose(_ODD)}
        case 2 if isinstance(tree, list):
            return [*tree, *tree[:2], program.choose(_ODD)]
        case 3:
            return program.text(40)
        case 4:
            return [tree]
        case 5:
            return {program.text(8): tree}
        case 6 if isinstance(tree, (int, float)):
            return tree * -3 + program.byte()
    return program.choose(_ODD)


def tree_of(among: Sequence[Tree], program: Program) -> Any:
    """One of the messages, perhaps changed."""
    return mutated(program.choose(among), program)


def text_message(tree: Any) -> str:
    """The tree as JSON text; what is a lone surrogate stays one."""
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":"))


def binary_message(tree: Any) -> bytes:
    """The tree as msgpack; the data of a Binary becomes bin."""
    if isinstance(tree, dict) and isinstance(tree.get("data"), str):
        tree = {**tree, "data": tree["data"].encode("utf-8", "replace")}
    packed: Any = msgpack.packb(tree, unicode_errors="surrogatepass")
    return bytes(packed)
