"""The frames of a Media Streams WebSocket: JSON text both ways, told apart by `event` (external.md, 3).

The same classes serve both ends. What only one of them writes, such as sequence numbers, is optional; null
and unknown members are nothing. Twilio writes most numbers as texts: where a peer writes the other kind,
it is read as what is meant.
"""

from typing import Any

from flowstorm_channel.codecs import JsonCodec
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.events import UnknownEvent
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.schema import JsonMap, Value, member, wire_class

__all__ = [
    "ClearFrame",
    "ConnectedFrame",
    "Dtmf",
    "DtmfFrame",
    "Frame",
    "Frames",
    "FromTwilio",
    "Mark",
    "MarkFrame",
    "Media",
    "MediaFormat",
    "MediaFrame",
    "Start",
    "StartFrame",
    "Stop",
    "StopFrame",
]


# ------------------------------------------------------------ what is in them


@wire_class
class MediaFormat(Value):
    """How the audio of a call is encoded; there is only one way."""

    encoding: str = member(default="audio/x-mulaw", doc="G.711 μ-law")
    sample_rate: int = member(default=8000, doc="samples in a second")
    channels: int = member(default=1, doc="mono")


@wire_class
class Start(Value):
    """What Twilio says of a call when its stream begins."""

    stream_sid: str | None = member(default=None, doc="of the stream; every later frame names it")
    account_sid: str | None = member(default=None, doc="of the account that the call belongs to")
    call_sid: str | None = member(default=None, doc="of the call: by this the REST API knows it")
    custom_parameters: JsonMap = member(
        factory=dict, secret=True, doc="what the TwiML said with `<Parameter>`: texts"
    )
    media_format: MediaFormat = member(default=MediaFormat(), doc="of the audio in both directions")

    def parameter(self, *names: str) -> str | None:
        """The first custom parameter of those names that is given and not empty."""
        for name in names:
            value = self.custom_parameters.get(name)
            if value and type(value) in (str, int):
                return str(value)
        return None


@wire_class
class Media(Value):
    """A piece of audio."""

    track: str | None = member(default=None, doc="`inbound` is the caller's; Twilio's frames only")
    chunk: str | None = member(
        default=None, doc="counts the pieces of the track from 1; Twilio's frames only"
    )
    timestamp: str | None = member(
        default=None, doc="milliseconds since the stream began; Twilio's frames only"
    )
    payload: bytes = member(doc="raw μ-law: a byte for each sample")


@wire_class
class Dtmf(Value):
    """A key that was pressed."""

    track: str | None = member(default=None, doc="`inbound_track`")
    digit: str = member(doc="`0` to `9`, `*`, `#`")


@wire_class
class Mark(Value):
    """A place in the audio that is sent: Twilio sends it back when all before it has been played."""

    name: str = member(doc="chosen by who sends the audio")


@wire_class
class Stop(Value):
    """What Twilio says of a call when its stream ends."""

    account_sid: str | None = member(default=None, doc="of the account that the call belongs to")
    call_sid: str | None = member(default=None, doc="of the call")


# ------------------------------------------------------------ frames


@wire_class
class ConnectedFrame(Value):
    """Twilio's first."""

    event: str = member(default="connected", choices=("connected",), doc="of the frame")
    protocol: str | None = member(default=None, doc="`Call`")
    version: str | None = member(default=None, doc="of the protocol, such as `1.0.0`")


@wire_class
class StartFrame(Value):
    """Twilio's second: the stream begins."""

    event: str = member(default="start", choices=("start",), doc="of the frame")
    sequence_number: str | None = member(default=None, doc="counts Twilio's frames from here, this one is 1")
    stream_sid: str | None = member(default=None, doc="of the stream")
    start: Start = member(doc="who calls")


@wire_class
class MediaFrame(Value):
    """Audio: the caller's from Twilio, what the caller is to hear from the server."""

    event: str = member(default="media", choices=("media",), doc="of the frame")
    sequence_number: str | None = member(default=None, doc="Twilio's frames only")
    stream_sid: str | None = member(default=None, doc="of the stream")
    media: Media = member(doc="the audio")


@wire_class
class DtmfFrame(Value):
    """The caller has pressed a key."""

    event: str = member(default="dtmf", choices=("dtmf",), doc="of the frame")
    sequence_number: str | None = member(default=None, doc="Twilio's frames only")
    stream_sid: str | None = member(default=None, doc="of the stream")
    dtmf: Dtmf = member(doc="the key")


@wire_class
class MarkFrame(Value):
    """A mark: the server sets it, Twilio sends it back."""

    event: str = member(default="mark", choices=("mark",), doc="of the frame")
    sequence_number: str | None = member(default=None, doc="Twilio's frames only")
    stream_sid: str | None = member(default=None, doc="of the stream")
    mark: Mark = member(doc="the mark")


@wire_class
class StopFrame(Value):
    """Twilio's last: the stream has ended."""

    event: str = member(default="stop", choices=("stop",), doc="of the frame")
    sequence_number: str | None = member(default=None, doc="Twilio's frames only")
    stream_sid: str | None = member(default=None, doc="of the stream")
    stop: Stop = member(default=Stop(), doc="who called")


@wire_class
class ClearFrame(Value):
    """The server's: what has not been played is to be forgotten."""

    event: str = member(default="clear", choices=("clear",), doc="of the frame")
    stream_sid: str | None = member(default=None, doc="of the stream")


Frame = ConnectedFrame | StartFrame | MediaFrame | DtmfFrame | MarkFrame | StopFrame | ClearFrame
"""Any frame of either end."""
FromTwilio = ConnectedFrame | StartFrame | MediaFrame | DtmfFrame | MarkFrame | StopFrame
"""Any frame that Twilio sends."""

_CLASSES: dict[str, type[FromTwilio]] = {
    "connected": ConnectedFrame,
    "start": StartFrame,
    "media": MediaFrame,
    "dtmf": DtmfFrame,
    "mark": MarkFrame,
    "stop": StopFrame,
}


class Frames:
    """The frames of Twilio out of text messages, those of the server as such.

    Args:
        limits: for what Twilio sends.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._codec = JsonCodec(limits)

    def read(self, text: str) -> FromTwilio | UnknownEvent:
        """The frame in a message; one of an `event` that is not known, as an `UnknownEvent`.

        Raises:
            LimitExceeded: it is more than the limits allow.
            RemoteProtocolError: there is none.
        """
        tree = self._codec.decode_tree(text)
        if type(tree) is not dict:
            raise RemoteProtocolError("a frame must be an object")
        event = tree.get("event")
        if type(event) is not str:
            raise RemoteProtocolError("is missing" if event is None else "must be a string", path="event")
        cls = _CLASSES.get(event)
        if cls is None:
            return _unknown(event, tree)
        _mend(tree, tree.get(event))
        return self._codec.value_of(cls, tree)

    def write(self, frame: Frame) -> str:
        """The message for a frame."""
        return self._codec.encode_value(frame)


def _unknown(event: str, frame: dict[str, Any]) -> UnknownEvent:
    """The frame as it came, with the `type` that every event has. One of its own is kept beside it."""
    name = f"twilio:{event}"
    own = {"twilio:type": frame["type"]} if "type" in frame else {}
    return UnknownEvent(data={**own, **frame, "type": name})


_WRITTEN_AS_TEXT = ("sequenceNumber", "chunk", "timestamp", "digit")
_WRITTEN_AS_NUMBER = ("sampleRate", "channels")
_LONGEST = 9


def _mend(frame: dict[str, Any], inside: Any) -> None:
    """Read texts as numbers and numbers as texts, where one kind is meant."""
    parts = [frame, inside, inside.get("mediaFormat")] if type(inside) is dict else [frame]
    for part in parts:
        if type(part) is dict:
            for name in _WRITTEN_AS_TEXT:
                if type(part.get(name)) is int:
                    part[name] = str(part[name])
            for name in _WRITTEN_AS_NUMBER:
                text = part.get(name)
                if type(text) is str and len(text) <= _LONGEST and text.isascii() and text.isdigit():
                    part[name] = int(text)
