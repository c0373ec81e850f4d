"""Rows about the codec. What they compare with is imported where it is timed."""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable, Iterable
from typing import Any

from tests.bench.messages import AUDIO, JSON, PLAIN
from tests.bench.rows import Goal, Row, Tier, of_cases
from tests.bench.timing import Case, Work

__all__ = ["ROWS"]

TEXTS = "abcde"
"""The messages without Binary, which is timed by itself."""


def _pairs(
    ours: Callable[[Any], Any], peer: Callable[[Any], Any], data: Iterable[tuple[Any, ...]]
) -> list[Case]:
    """Cases of a name, what is given to ours, and what to the peer's."""
    return [
        Case(name, Work("f(x)", f=ours, x=one), Work("f(x)", f=peer, x=other)) for name, one, other in data
    ]


def _decode_beside_pydantic() -> list[Case]:
    from flowstorm_channel.codecs import JsonCodec
    from tests.bench.peers.pydantic_models import EVENT

    return _pairs(JsonCodec().decode, EVENT.validate_json, [(name, JSON[name], JSON[name]) for name in TEXTS])


def _decode_beside_msgspec() -> list[Case]:
    from flowstorm_channel.codecs import JsonCodec
    from tests.bench.peers.msgspec_structs import FROM_JSON

    return _pairs(JsonCodec().decode, FROM_JSON.decode, [(name, JSON[name], JSON[name]) for name in TEXTS])


def _encode_beside_pydantic() -> list[Case]:
    from flowstorm_channel.codecs import JsonCodec
    from tests.bench.peers.pydantic_models import EVENT

    codec = JsonCodec()
    events = [(name, codec.decode(JSON[name]), EVENT.validate_json(JSON[name])) for name in TEXTS]
    return [
        Case(
            name,
            Work("encode(event)", encode=codec.encode, event=ours),
            Work("dump(event, by_alias=True)", dump=EVENT.dump_json, event=peers),
        )
        for name, ours, peers in events
    ]


def _binary_beside_pydantic() -> list[Case]:
    from flowstorm_channel.codecs import JsonCodec
    from tests.bench.peers.pydantic_models import EVENT

    return _pairs(JsonCodec().decode, EVENT.validate_json, [("f", JSON["f"], JSON["f"])])


def _binary_beside_base64() -> list[Case]:
    from flowstorm_channel.codecs import JsonCodec

    return _pairs(JsonCodec().decode, a2b_base64, [("f", JSON["f"], PLAIN["f"]["data"])])


def _packed(name: str) -> bytes:
    import msgpack

    tree = PLAIN[name]
    packed: bytes = msgpack.packb({**tree, "data": AUDIO} if name == "f" else tree)
    return packed


def _unpack_beside_pydantic() -> list[Case]:
    import msgpack

    from flowstorm_channel.codecs import MsgpackCodec
    from tests.bench.peers.pydantic_models import PACKED_EVENT

    def peer(data: bytes, unpack: Any = msgpack.unpackb, check: Any = PACKED_EVENT.validate_python) -> Any:
        return check(unpack(data))

    return _pairs(MsgpackCodec().decode, peer, [(name, _packed(name), _packed(name)) for name in PLAIN])


def _unpack_beside_msgspec() -> list[Case]:
    from flowstorm_channel.codecs import MsgpackCodec
    from tests.bench.peers.msgspec_structs import FROM_MSGPACK

    return _pairs(
        MsgpackCodec().decode, FROM_MSGPACK.decode, [(name, _packed(name), _packed(name)) for name in PLAIN]
    )


def _stream_beside_events() -> list[Case]:
    from flowstorm_channel.codecs import JsonCodec, StreamDecoder

    parts = [JSON[name].encode() for name in TEXTS] * 90
    body = b"\n".join(parts)

    def whole() -> None:
        decoder = StreamDecoder(JsonCodec())
        decoder.feed(body)
        for _ in decoder:
            pass

    def singly() -> None:
        decode = JsonCodec().decode
        for part in parts:
            decode(part)

    return [Case("whole", Work("f()", f=whole), Work("f()", f=singly))]


def _stream_in_cuts() -> list[Case]:
    """A body of ten times the length takes ten times as long, whatever the cuts."""
    from flowstorm_channel.codecs import JsonCodec, StreamDecoder

    def fed(body: bytes, cut: int) -> None:
        decoder = StreamDecoder(JsonCodec())
        for start in range(0, len(body), cut):
            decoder.feed(body[start : start + cut])
            for _ in decoder:
                pass

    short = b"\n".join([JSON[name].encode() for name in TEXTS] * 9)
    bodies = short, b"\n".join([short] * 10)
    return [
        Case(
            f"{cut} bytes",
            Work("fed(body, cut)", fed=fed, body=bodies[1], cut=cut),
            Work("for _ in range(10): fed(body, cut)", fed=fed, body=bodies[0], cut=cut),
        )
        for cut in (1, 1460)
    ]


_PYDANTIC = "pydantic"
_MSGSPEC = "msgspec"

ROWS = [
    Row(
        "decode-json",
        "decode JSON",
        _PYDANTIC,
        (Goal(1.25),),
        of_cases(_decode_beside_pydantic),
    ),
    Row(
        "decode-json-orjson",
        "decode JSON, with orjson",
        _PYDANTIC,
        (Goal(0.80), Goal(0.86, each=True)),
        of_cases(_decode_beside_pydantic),
        Tier.ORJSON,
    ),
    Row(
        "decode-json-msgspec",
        "decode JSON, with the extra `speed`",
        _PYDANTIC,
        (Goal(0.45),),
        of_cases(_decode_beside_pydantic),
        Tier.MSGSPEC,
    ),
    Row(
        "decode-json-beside-msgspec",
        "decode JSON, with the extra `speed`",
        _MSGSPEC,
        (Goal(2.5, each=True),),
        of_cases(_decode_beside_msgspec),
        Tier.MSGSPEC,
    ),
    Row("encode-json", "encode JSON", _PYDANTIC, (Goal(0.48),), of_cases(_encode_beside_pydantic)),
    Row(
        "encode-json-orjson",
        "encode JSON, with orjson",
        _PYDANTIC,
        (Goal(0.35),),
        of_cases(_encode_beside_pydantic),
        Tier.ORJSON,
    ),
    Row(
        "encode-json-msgspec",
        "encode JSON, with the extra `speed`",
        _PYDANTIC,
        (Goal(0.28),),
        of_cases(_encode_beside_pydantic),
        Tier.MSGSPEC,
    ),
    Row(
        "binary-json",
        "decode Binary as JSON",
        "pydantic, `Base64Bytes`",
        (Goal(0.95),),
        of_cases(_binary_beside_pydantic),
    ),
    Row(
        "binary-json-pybase64",
        "decode Binary as JSON, with the extra `speed`",
        "`a2b_base64` alone",
        (Goal(0.15),),
        of_cases(_binary_beside_base64),
        Tier.MSGSPEC,
    ),
    Row(
        "decode-msgpack",
        "decode msgpack",
        "pydantic over msgpack",
        (Goal(0.70),),
        of_cases(_unpack_beside_pydantic),
    ),
    Row(
        "decode-msgpack-msgspec",
        "decode msgpack, with the extra `speed`",
        _MSGSPEC,
        (Goal(2.6, each=True),),
        of_cases(_unpack_beside_msgspec),
        Tier.MSGSPEC,
    ),
    Row(
        "stream-whole",
        "decode a body of 190 kB, fed whole",
        "its events one by one",
        (Goal(1.3),),
        of_cases(_stream_beside_events),
    ),
    Row(
        "stream-cuts",
        "decode a body of 190 kB in single bytes, in cuts of 1460",
        "ten of a tenth",
        (Goal(1.2, each=True),),
        of_cases(_stream_in_cuts),
    ),
]
