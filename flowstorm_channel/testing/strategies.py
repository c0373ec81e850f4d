"""Hypothesis strategies for what goes over the wires: values, events, frames, whole sessions, audio; and for
what no honest peer would send.

Built from the declarations in `schema`, so a new member is tried as soon as it is declared. They shrink
towards what is short and plain: the empty text, the first choice, the fewest turns.
"""

from __future__ import annotations

import json
import math
import random
import string
from copy import deepcopy
from datetime import datetime
from enum import Enum
from typing import Any, Literal, TypeVar

from hypothesis import strategies as st

from flowstorm_channel.codecs import JsonCodec, MsgpackCodec, to_json
from flowstorm_channel.events import (
    EVENTS,
    SPELLINGS,
    BinaryEvent,
    Event,
    InitEvent,
    InputAudioStreamCloseEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    ReadyEvent,
    RecognizedEvent,
    ResponseEvent,
    ResponseItemEvent,
    SessionEndEvent,
    SessionStartEvent,
    UnknownEvent,
)
from flowstorm_channel.schema import Kind, Member, Shape, Value, members
from flowstorm_channel.values import ClientConfig, Input, Response, ResponseItem, Transcript
from flowstorm_channel.zone_names import ZONE_NAMES

__all__ = [
    "audio",
    "cuts",
    "events",
    "frames",
    "hostile_messages",
    "hostile_objects",
    "json_maps",
    "json_values",
    "session_ids",
    "sessions",
    "texts",
    "unknown_events",
    "values",
]

V = TypeVar("V", bound=Value)
_JSON = JsonCodec()

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_integers = st.integers(-(2**63), 2**64 - 1)
_floats = st.floats(allow_nan=False, allow_infinity=False)
_times = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)) | st.datetimes().map(
    lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000)
)
_locales = st.sampled_from(["en", "en_US", "cs-CZ", "zh-Hans-CN", "de"])
_zones = st.sampled_from(sorted(ZONE_NAMES)) | st.sampled_from(["+02:00", "Z", "UTC+1"])
_scalars = st.none() | st.booleans() | _integers | _floats | texts


def json_values(*, binary: bool = False) -> st.SearchStrategy[Any]:
    """Free JSON values.

    Args:
        binary: bytes too, which msgpack has a form for.
    """
    return st.recursive(
        _scalars | st.binary(max_size=8) if binary else _scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=6,
    )


def json_maps(*, binary: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """Free JSON objects."""
    return st.dictionaries(texts, json_values(binary=binary), max_size=3)


def values(cls: type[V], *, binary: bool = False) -> st.SearchStrategy[V]:
    """Objects of a wire class.

    Args:
        binary: maps may hold bytes.
    """
    return st.fixed_dictionaries(
        {each.name: _member(each, binary) for each in members(cls) if each.required},
        optional={each.name: _member(each, binary) for each in members(cls) if not each.required},
    ).map(lambda arguments: cls(**arguments))


def _member(each: Member, binary: bool) -> st.SearchStrategy[Any]:
    found = _of_shape(each.shape, binary)
    return st.none() | found if each.shape.optional else found


_BY_KIND: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.STRING: texts,
    Kind.INTEGER: _integers,
    Kind.NUMBER: _floats,
    Kind.BOOLEAN: st.booleans(),
    Kind.BYTES: st.binary(max_size=40),
    Kind.LOCALE: _locales,
    Kind.ZONE: _zones,
    Kind.TIME: _times,
}


def _of_shape(shape: Shape, binary: bool) -> st.SearchStrategy[Any]:
    if shape.choices:
        return st.sampled_from(shape.choices)
    if shape.kind in _BY_KIND:
        return _BY_KIND[shape.kind]
    if shape.kind is Kind.MAP:
        return json_maps(binary=binary)
    if shape.kind is Kind.ENUM:
        legal: type[Enum] = shape.of
        return st.sampled_from(legal)
    if shape.kind is Kind.LIST:
        return st.lists(_of_shape(shape.of, binary), max_size=3).map(tuple)
    if shape.kind is Kind.UNION:
        return st.one_of([values(cls, binary=binary) for cls in shape.of])
    found: st.SearchStrategy[Any] = values(shape.of, binary=binary)
    return found


def unknown_events(*, binary: bool = False) -> st.SearchStrategy[UnknownEvent]:
    """Events of types that are not known."""
    kinds = texts.filter(lambda kind: kind not in SPELLINGS)
    return st.builds(
        lambda data, kind: UnknownEvent(data={**data, "type": kind}), json_maps(binary=binary), kinds
    )


def events(*, binary: bool = False) -> st.SearchStrategy[Event]:
    """Every event that goes over a wire.

    Args:
        binary: maps may hold bytes.
    """
    known: list[st.SearchStrategy[Event]] = [values(cls, binary=binary) for cls in EVENTS.values()]
    return st.one_of([*known, unknown_events(binary=binary)])


@st.composite
def cuts(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The same bytes in pieces, as a transport may bring them."""
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def frames(codec: JsonCodec | MsgpackCodec = _JSON) -> st.SearchStrategy[str | bytes]:
    """Events as one message of the wire each.

    Args:
        codec: writes them.
    """
    return events(binary=isinstance(codec, MsgpackCodec)).map(codec.encode)


def audio(*, milliseconds: int = 200, rate: int = 16_000) -> st.SearchStrategy[bytes]:
    """Blocks of signed 16-bit little-endian samples: silence, a tone, noise.

    Args:
        milliseconds: at most, in a block.
        rate: samples in a second.
    """
    samples = st.integers(1, max(1, milliseconds * rate // 1000))
    tones = st.builds(
        _tone, samples, st.sampled_from([100, 440, 3000]), st.sampled_from([500, 8000, 32767]), st.just(rate)
    )
    noise = st.builds(
        lambda seed, count: random.Random(seed).randbytes(2 * count), st.integers(0, 99), samples
    )
    return st.one_of(samples.map(lambda count: bytes(2 * count)), tones, noise)


def session_ids(*, well_formed: bool = True) -> st.SearchStrategy[str]:
    """Ids of sessions.

    Args:
        well_formed: as a client may propose them; else such as have to be replaced (D-58).
    """
    if well_formed:
        return st.text(_ID_CHARACTERS, min_size=1, max_size=64)
    return st.sampled_from(
        ["", "a" * 65, "../x", "a b", "a;b=c", "ä", "\x00", "a\r\nSet-Cookie: x"]
    ) | st.builds(
        lambda before, wrong: before + wrong,
        st.text(_ID_CHARACTERS, max_size=8),
        st.text(
            st.characters(exclude_characters=_ID_CHARACTERS, exclude_categories=["Cs"]),
            min_size=1,
            max_size=3,
        ),
    )


Said = tuple[Literal["client", "server"], Event]
"""An event, and the end that sends it."""


@st.composite
def sessions(draw: st.DrawFn, *, turns: int = 4) -> list[Said]:
    """Whole sessions of Socket V1, from Init to the end: what each end sends, in a legal order.

    Args:
        turns: at most; each is typed or spoken, answered in parts or at once. The last one ends the session.
    """
    config = ClientConfig(send_response_items=True, stt_interim_results=True)
    session_id = draw(session_ids())
    told: list[Said] = [
        ("client", InitEvent(key=draw(_NAMES), device_id=draw(_NAMES), config=config)),
        ("server", ReadyEvent()),
    ]
    count = draw(st.integers(1, turns))
    for number in range(count):
        told += draw(_inputs(spoken=number > 0))
        if number == 0:
            told.append(("server", SessionStartEvent(session_id=session_id)))
        items: list[Said] = [("server", ResponseItemEvent(response_item=item)) for item in draw(_ITEMS)]
        told += items
        told.append(
            ("server", ResponseEvent(response=Response(locale="en", session_ended=number == count - 1)))
        )
    return [*told, ("server", SessionEndEvent())]


@st.composite
def _inputs(draw: st.DrawFn, *, spoken: bool) -> list[Said]:
    """What goes before an answer: an Input, or speech until it is recognised."""
    text = draw(texts)
    if not spoken or not draw(st.booleans()):
        return [("client", InputEvent(input=Input(transcript=Transcript(text=text))))]
    blocks = draw(st.lists(audio(milliseconds=2), max_size=3))
    interim = draw(st.lists(texts, max_size=2))
    return [
        ("client", InputAudioStreamOpenEvent()),
        ("server", InputAudioStreamOpenEvent()),
        *(("client", BinaryEvent(data=block)) for block in blocks),
        *(("server", RecognizedEvent(text=each, is_final=False)) for each in interim),
        ("server", RecognizedEvent(text=text, is_final=True)),
        ("client", InputAudioStreamCloseEvent()),
    ]


@st.composite
def hostile_objects(draw: st.DrawFn, *, binary: bool = False) -> dict[str, Any]:
    """Objects that begin as an event and in which one to three members were changed, dropped or doubled.

    Args:
        binary: values may be bytes.
    """
    tree: dict[str, Any] = to_json(draw(events()))
    for _ in range(draw(st.integers(1, 3))):
        place: Any = tree
        while True:
            inner = [each for each in (place.values() if isinstance(place, dict) else place) if each]
            inner = [each for each in inner if isinstance(each, (dict, list))]
            if not inner or draw(st.booleans()):
                break
            place = draw(st.sampled_from(inner))
        if isinstance(place, dict):
            name = draw(st.sampled_from([*place, *_TROUBLESOME]))
            if draw(st.booleans()):
                place.pop(name, None)
            else:
                place[name] = deepcopy(draw(_NASTY | json_values(binary=binary)))
        else:
            place[draw(st.integers(0, len(place) - 1))] = deepcopy(draw(_NASTY))
    return tree


def hostile_messages() -> st.SearchStrategy[str | bytes]:
    """Messages that are no event, or look like one: junk, pieces of JSON and msgpack, broken objects."""
    pieces = st.lists(st.sampled_from(_PIECES), max_size=12).map("".join)
    packed = st.lists(st.sampled_from(_PACKED), max_size=8).map(b"".join)
    deep = st.builds(lambda depth, form: form * depth, st.integers(1, 5000), st.sampled_from(['{"a":', "["]))
    broken = hostile_objects().map(lambda tree: json.dumps(tree, ensure_ascii=False))
    return st.one_of(broken, pieces, packed, st.text(max_size=40), st.binary(max_size=80), deep)


def _tone(count: int, hertz: int, loudness: int, rate: int) -> bytes:
    samples = (int(loudness * math.sin(2 * math.pi * hertz * each / rate)) for each in range(count))
    return b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples)


_ID_CHARACTERS = string.ascii_letters + string.digits + "_-"
_NAMES = st.text(_ID_CHARACTERS, min_size=1, max_size=12)
_ITEMS = st.lists(st.builds(ResponseItem, text=texts), max_size=3)
_TROUBLESOME = ("type", "key", "appKey", "sender", "sessionTimeout", "message", "sessionId", "text")
"""Members that have a meaning in more than one place, or more than one name."""
_NASTY: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        [None, True, False, 0, 1, -1, 1.0, "", "en_US", "Male", "Word", "AAA=", "2022-05-27T14:19:04"]
    ),
    st.sampled_from([[], {}, [1], [2022, 5, 27, 14, 19], {"sessionId": 5}, [None], [{}], [{"type": "Word"}]]),
    st.sampled_from([*SPELLINGS, "Later"]),
)
_PIECES = (
    *(
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        '"',
        "\\",
        "\\ud800",
        '"type":',
        '"Input"',
        '"Init"',
        "null",
        "true",
        "1e999",
    ),
    *("-0", "NaN", " ", "\n", "\x00", "\ufeff", "é", '{"type":"Ready"}', "9" * 40),
)
_PACKED = (
    *(
        b"\x81\xa4type\xa5Ready",
        b"\x80",
        b"\x90",
        b"\xc0",
        b"\xc1",
        b"\xc4\x02\x00\x00",
        b"\xdf\xff\xff\xff\xff",
    ),
    *(
        b"\xdb\xff\xff\xff\xff",
        b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
        b"\xd4\x00\x00",
        b"\xa1\xff",
        b"\x92",
    ),
)
