"""Hypothesis strategies for all values and events of the wire, and for JSON as peers send it.

Built from the declarations in `schema`, so a new member is tried as soon as it is declared.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any, TypeVar

from hypothesis import strategies as st

from flowstorm_channel.events import EVENTS, SPELLINGS, Event, UnknownEvent
from flowstorm_channel.schema import Kind, Member, Shape, Value, members
from flowstorm_channel.zone_names import ZONE_NAMES

__all__ = ["cuts", "events", "json_maps", "json_values", "texts", "unknown_events", "values"]

V = TypeVar("V", bound=Value)

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
