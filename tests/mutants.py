"""Messages that begin as an event and in which something was changed: at random, the same for the same seed.

What hypothesis draws is small and shrinks well. This makes a thousand messages in the time of ten, with all
that JSON and msgpack can spell and a parser may understand in its own way.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from random import Random
from typing import Any

import msgpack

from flowstorm_channel.events import EVENTS, SPELLINGS
from flowstorm_channel.schema import Kind, Member, Shape, members

__all__ = ["as_json", "as_msgpack", "mutant", "plain_event"]


class Spelled:
    """A value that no tree of Python can hold, as it is spelled in each form."""

    def __init__(self, text: str, packed: bytes) -> None:
        self.text, self.packed = text, packed


class Pairs(list):  # type: ignore[type-arg]
    """The members of an object, each a list of name and value: a name may be there twice."""


def _number(text: str) -> Spelled:
    return Spelled(text, b"\xcb" + struct.pack(">d", float(text)))


_TEXTS = (
    *("", "a", "#intro", "attributes", "I would like to know", "x" * 30, "x" * 70, "é", "ě" * 9, "\u2028"),
    *("\U0001f600", '"', "\\", "\n", "\x00", "\x7f", "</speak>", "2026-01-02T03:04:05.678Z", "Word", "AAA="),
)
_LOCALES = ("", "en", "en_US", "cs-CZ", "zh-Hans-CN", "not a tag")
_ZONES = ("Europe/Prague", "+02:00", "Z", "Mars/Olympus")
_TIMES = (
    *("2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05", "2026-01-02T03:04:05.123456", "2026-01-02"),
    *("2026-01-02T03:04:05.1234567Z", "2026-01-02T03:04:05+01:00", "2026-W01-5T03:04:05.678", "9"),
    *("2026-01-02T24:04:05.678", "2026-01-02T03:04:60", "2026-01-02T03:04:05,678Z", "٢026-01-02T03:04:05"),
)
_INTEGERS = (
    *(0, 1, -1, 42, 16000, 2**31, -(2**31) - 1, 2**53 + 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1),
    *(-(2**63), -(2**63) + 1),
)
_FLOATS = (0.0, -0.0, 1.0, 0.93, 0.1, 1e-7, 5e-324, 1.7976931348623157e308, 1e16, 1e22, 9007199254740993.0)
_ODD = (
    *map(_number, ("1e2", "1E5", "1e-400", "1.50", "-0.0", "1e22", "9223372036854775808.0")),
    *(Spelled(text, b"\xcb\x7f\xf0" + bytes(6)) for text in ("1e400", "Infinity", "9" * 400)),
    *(Spelled(text, b"\xcb\x7f\xf8" + bytes(6)) for text in ("NaN", "-Infinity")),
    *(Spelled(text, b"\xca\x3f\x80\x00\x00") for text in ("-0", "01", "+1", "1.", ".5")),
    *(Spelled(text, b"\xd4\x05x") for text in ("18446744073709551616", "-9223372036854775809", "9" * 30)),
    *(Spelled(text, b"\xd6\xff" + bytes(4)) for text in ('"\\ud800"', '"\\udc00x"', '"\\ud83d\\ude00"')),
    *(Spelled(text, b"\xa2\xff\xfe") for text in ('"\x01"', '"\\x"', "'a'", "tru")),
    *(Spelled("[" * n + "]" * n, b"\x91" * n + b"\xc0") for n in (1, 2, 5, 30, 70)),
    *(Spelled('{"a":' * n + "1" + "}" * n, b"\x81\xa1a" * n + b"\x01") for n in (1, 2, 5, 30, 70)),
    Spelled("[" + "1," * 40 + "1]", b"\xdc\x00\x29" + b"\x01" * 41),
    Spelled("[" + "1," * 1200 + "1]", b"\xdc\x04\xb1" + b"\x01" * 1201),
    Spelled('"' + "x" * 400 + '"', b"\xda\x01\x90" + b"x" * 400),
    Spelled("[]", b"\xc4\x03abc"),
    Spelled("{}", b"\x81\xc4\x01a\x01"),
    Spelled("{}", b"\x81\x01\x01"),
    Spelled("1", b"\xc1"),
)


def plain_event(random: Random) -> Pairs:
    """An event as a peer may send it."""
    cls = random.choice(list(EVENTS.values()))
    names = [name for name, each in SPELLINGS.items() if each is cls]
    kind = cls.TYPE if random.random() < 0.8 else random.choice(names)
    found = _object(cls, random)
    found[:] = [pair for pair in found if pair[0] != "type"]
    found.insert(0 if random.random() < 0.8 else random.randint(0, len(found)), ["type", kind])
    return found


def _object(cls: type, random: Random) -> Pairs:
    share = random.choice((0.2, 0.5, 1.0))
    found = Pairs()
    if hasattr(cls, "TYPE"):
        found.append(["type", cls.TYPE])
    for each in members(cls):
        if each.required or random.random() < share:
            found.append([_name(each, random), _value(each.shape, random)])
    if random.random() < 0.2:
        random.shuffle(found)
    return found


def _name(each: Member, random: Random) -> str:
    return random.choice((each.wire, *each.aliases)) if random.random() < 0.5 else each.wire


def _value(shape: Shape, random: Random) -> Any:
    if shape.choices:
        return random.choice(shape.choices)
    match shape.kind:
        case Kind.STRING:
            return random.choice(_TEXTS)
        case Kind.INTEGER:
            return random.choice(_INTEGERS[:9] if random.random() < 0.8 else _INTEGERS)
        case Kind.NUMBER:
            return random.choice(_FLOATS) if random.random() < 0.8 else random.choice(_INTEGERS)
        case Kind.BOOLEAN:
            return random.random() < 0.5
        case Kind.BYTES:
            return random.randbytes(random.choice((0, 1, 2, 3, 40, 300)))
        case Kind.LOCALE:
            return random.choice(_LOCALES)
        case Kind.ZONE:
            return random.choice(_ZONES[:3])
        case Kind.TIME:
            return random.choice(_TIMES[:3]) if random.random() < 0.9 else random.choice(_TIMES)
        case Kind.MAP:
            return _free(random) if random.random() < 0.8 else Pairs()
        case Kind.ENUM:
            return random.choice(list(shape.of)).value
        case Kind.OBJECT:
            return _object(shape.of, random)
        case Kind.UNION:
            return _object(random.choice(shape.of), random)
    return [_value(shape.of, random) for _ in range(random.choice((0, 1, 1, 2, 3)))]


def _free(random: Random, depth: int = 2) -> Pairs:
    return Pairs([random.choice(_TEXTS), _anything(random, depth)] for _ in range(random.choice((1, 2, 3))))


def _anything(random: Random, depth: int = 2) -> Any:
    choice = random.random()
    if choice < 0.06:
        return random.choice(_ODD)
    if choice < 0.2 and depth:
        return _free(random, depth - 1)
    if choice < 0.3 and depth:
        return [_anything(random, depth - 1) for _ in range(random.choice((0, 1, 2)))]
    return random.choice(
        (
            *(None, True, False, random.choice(_TEXTS), random.choice(_INTEGERS), random.choice(_FLOATS)),
            *(random.choice(_LOCALES), random.choice(_ZONES), random.choice(_TIMES), random.randbytes(3)),
        )
    )


def mutant(random: Random) -> Pairs:
    """An event of which none to four members were changed."""
    tree = plain_event(random)
    for _ in range(random.choice((0, 0, 0, 1, 1, 1, 1, 2, 4))):
        objects = list(_objects(tree))
        pairs = random.choice(objects)
        pair = random.choice(pairs) if pairs else ["a", 1]
        match random.randrange(8):
            case 0:  # another value
                pair[1] = _anything(random)
            case 1:  # doubled, the other value before or behind
                pairs.insert(random.randint(0, len(pairs)), [pair[0], _anything(random)])
            case 2:  # doubled, with the same value
                pairs.append([pair[0], pair[1]])
            case 3:  # renamed
                pair[0] = random.choice(_NAMES)
            case 4:  # one more
                pairs.append([random.choice((*_NAMES, *_TEXTS)), _anything(random)])
            case 5 if pairs:
                pairs.remove(pair)
            case 6:
                pair[1] = None
            case _:  # the value of another member of that name or another
                other = random.choice(random.choice(objects) or [["a", 1]])
                pairs.append([other[0], pair[1]])
    return tree


_NAMES = sorted(
    {"type", "message", "sessionId", "appKey", "sender", "key", "sessionTimeout", "attributes", "text"}
    | {each.wire for cls in EVENTS.values() for each in members(cls)}
)


def _objects(tree: Any, depth: int = 0) -> Iterator[Pairs]:
    if depth > 9:
        return
    if isinstance(tree, Pairs):
        yield tree
        for _, value in tree:
            yield from _objects(value, depth + 1)
    elif isinstance(tree, list):
        for value in tree:
            yield from _objects(value, depth + 1)


# ------------------------------------------------------------ spelling

_TOKENS = (
    *("{", "}", "[", "]", ":", ",", '"', "\\", "\\u", "\\ud800", "null", "1e999", "-0", "NaN", " ", "\n"),
    *("\x00", "\ufeff", "é", "9" * 20, ",1.0", "true", '"type"', '"attributes":{', "0", "e5", "\x1f"),
)


def as_json(tree: Any, random: Random) -> str | bytes:
    """A text of it, now and then with a fault in its letters; str or bytes."""
    text = "".join(_json(tree, random, random.random() < 0.1))
    if random.random() < 0.2:
        for _ in range(random.choice((1, 1, 2))):
            at = random.randint(0, len(text))
            match random.randrange(4):
                case 0:
                    text = text[:at] + random.choice(_TOKENS) + text[at:]
                case 1:
                    text = text[:at] + text[at + random.choice((1, 1, 2, 9)) :]
                case 2:
                    text = text[:at] + chr(random.choice((34, 92, 1, 9, 32, 127, 233))) + text[at + 1 :]
                case _:
                    end = min(len(text), at + random.randint(1, 30))
                    text = text[:end] + text[at:end] + text[end:]
    if random.random() < 0.3:
        data = text.encode()
        if random.random() < 0.1 and data:
            at = random.randrange(len(data))
            data = data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]
        return data
    return text


def _json(tree: Any, random: Random, odd: bool) -> Iterator[str]:
    space = random.choice(("", " ", "\n\t")) if odd else ""
    if isinstance(tree, Spelled):
        yield tree.text
    elif isinstance(tree, Pairs):
        yield "{" + space
        for number, (name, value) in enumerate(tree):
            yield "," + space if number else ""
            yield _quoted(name, random, odd) + space + ":" + space
            yield from _json(value, random, odd)
        yield space + "}"
    elif isinstance(tree, list):
        yield "["
        for number, value in enumerate(tree):
            yield "," + space if number else ""
            yield from _json(value, random, odd)
        yield space + "]"
    elif isinstance(tree, bytes):
        yield json.dumps(base64.b64encode(tree).decode())
    elif isinstance(tree, str):
        yield _quoted(tree, random, odd)
    else:
        yield json.dumps(tree)


def _quoted(text: str, random: Random, odd: bool) -> str:
    if odd and random.random() < 0.3:
        escaped = (f"\\u{ord(each):04x}" if ord(each) < 0x10000 else each for each in text)
        return '"' + "".join(escaped) + '"'
    return json.dumps(text, ensure_ascii=random.random() < 0.5)


def as_msgpack(tree: Any, random: Random) -> bytes:
    """The bytes of it, now and then with a fault in them."""
    data = b"".join(_msgpack(tree, random, random.random() < 0.1))
    if random.random() < 0.2:
        at = random.randint(0, len(data))
        match random.randrange(3):
            case 0:
                data = (
                    data[:at] + random.choice((b"\xc0", b"\xc4\x01a", b"\xa1a", b"\x81", b"\xd4")) + data[at:]
                )
            case 1:
                data = data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]
            case _:
                data = data[:at] + data[at + 1 :]
    return data


def _msgpack(tree: Any, random: Random, odd: bool) -> Iterator[bytes]:
    if isinstance(tree, Spelled):
        yield tree.packed
    elif isinstance(tree, Pairs):
        long = len(tree) > 15 or (odd and random.random() < 0.2)
        yield b"\xde" + struct.pack(">H", len(tree)) if long else bytes([0x80 | len(tree)])
        for name, value in tree:
            yield from _msgpack(name, random, odd)
            yield from _msgpack(value, random, odd)
    elif isinstance(tree, list):
        long = len(tree) > 15 or (odd and random.random() < 0.2)
        yield b"\xdc" + struct.pack(">H", len(tree)) if long else bytes([0x90 | len(tree)])
        for value in tree:
            yield from _msgpack(value, random, odd)
    elif odd and isinstance(tree, str) and random.random() < 0.2:
        encoded = tree.encode()
        yield random.choice((b"\xda", b"\xc5")) + struct.pack(">H", len(encoded)) + encoded
    elif odd and type(tree) is float and abs(tree) < 1e30:
        yield b"\xca" + struct.pack(">f", tree)
    else:
        packed: Any = msgpack.packb(tree)
        yield packed
