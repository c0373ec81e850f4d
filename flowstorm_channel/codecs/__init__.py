"""Events to bytes and back: JSON and msgpack, whole messages and streams.

Codecs are strict in what they write and liberal in what they read, within `Limits`. Whatever a peer sends is
an event or a `RemoteProtocolError`.
"""

from flowstorm_channel.codecs.convert import converter
from flowstorm_channel.codecs.json import JsonCodec, from_json, to_json
from flowstorm_channel.codecs.msgpack import MsgpackCodec
from flowstorm_channel.codecs.stream import StreamDecoder, StreamEncoder

__all__ = [
    "JsonCodec",
    "MsgpackCodec",
    "StreamDecoder",
    "StreamEncoder",
    "converter",
    "from_json",
    "to_json",
]
