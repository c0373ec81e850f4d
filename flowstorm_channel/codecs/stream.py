"""Events one after the other in a body of bytes, cut anywhere by the transport."""

from __future__ import annotations

import re

from flowstorm_channel.codecs.brackets import Brackets
from flowstorm_channel.codecs.faults import Fault, shown
from flowstorm_channel.codecs.headers import Headers
from flowstorm_channel.codecs.json import JsonCodec
from flowstorm_channel.codecs.msgpack import MsgpackCodec
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.events import Event

__all__ = ["StreamDecoder", "StreamEncoder"]

_NO_WHITE = re.compile(rb"[^ \t\n\r]")


class StreamEncoder:
    """Events to a body.

    Args:
        codec: of the single event. JSON objects end with a newline each, msgpack maps end by themselves.
    """

    def __init__(self, codec: JsonCodec | MsgpackCodec) -> None:
        self._codec = codec

    def encode(self, event: Event) -> bytes:
        """The next bytes of the body.

        Raises:
            LocalProtocolError: the event cannot be sent.
        """
        encoded = self._codec.encode(event)
        return encoded if isinstance(encoded, bytes) else encoded.encode() + b"\n"


class StreamDecoder:
    """A body to events: each as soon as its last byte is in, in time linear in the bytes whatever the cuts.

    A body of JSON is any concatenation of objects with white space or nothing between them; one array around
    them all is accepted too. A body of msgpack is a sequence of maps. What is refused, and with which
    words, does not depend on the cuts (D-34)::

        decoder = StreamDecoder(JsonCodec())
        decoder.feed(b'{"type":"Ready"}{"ty')
        for event in decoder:
            ...  # ReadyEvent

    An iteration ends where more bytes are needed; after more have been fed, begin another one.

    Args:
        codec: of the single event, with its limits.
    """

    def __init__(self, codec: JsonCodec | MsgpackCodec) -> None:
        self._codec = codec
        self._buffer = bytearray()
        self._inside = False
        self._tried = 0  # how many bytes belong to a line that was tried, or is not here in full
        self._error: RemoteProtocolError | None = None
        self._scanner: Brackets | Headers
        self._separators: _Separators | None
        if isinstance(codec, JsonCodec):
            self._scanner, self._separators = Brackets(codec.limits), _Separators()
        else:
            self._scanner, self._separators = Headers(codec.limits), None

    @property
    def buffered(self) -> int:
        """How many bytes are held."""
        return len(self._buffer)

    @property
    def scanned(self) -> int:
        """How much was looked at to find the ends of events, in bytes of JSON or headers of msgpack."""
        return self._scanner.scanned

    def feed(self, data: bytes) -> None:
        """Take the next bytes. After an error they are dropped."""
        if self._error is None:
            self._buffer += data

    def __iter__(self) -> StreamDecoder:
        return self

    def __next__(self) -> Event:
        event = self.next_event()
        if event is None:
            raise StopIteration
        return event

    def next_event(self) -> Event | None:
        """The next event; None when more bytes are needed.

        Raises:
            RemoteProtocolError: the body is no sequence of events; the same error from now on.
        """
        if self._error is not None:
            raise self._error
        try:
            return self._next()
        except Fault as fault:
            error = fault.error()
        except RemoteProtocolError as refused:
            error = refused
        raise self._fail(error)

    def close(self) -> None:
        """The body is at its end. To be called when `next_event()` has returned None.

        Raises:
            RemoteProtocolError: it ends inside an event; or the error that there has been.
        """
        if self._error is not None:
            raise self._error
        if self._buffer:
            raise self._fail(RemoteProtocolError("the body ends inside an event"))
        if self._separators is not None and self._separators.in_array:
            raise self._fail(RemoteProtocolError("the body ends inside the array of events"))

    def _fail(self, error: RemoteProtocolError) -> RemoteProtocolError:
        self._error = error
        self._buffer = bytearray()
        return error

    def _next(self) -> Event | None:
        buffer = self._buffer
        if self._separators is not None and not self._inside:
            del buffer[: self._separators.skip(buffer)]
        self._inside = bool(buffer)
        if not buffer:
            return None
        return self._line() or self._scan()

    def _line(self) -> Event | None:
        """The event that fills the line which begins here, as our encoder writes them, without a scan.

        A line that is something else is no fault: the scan decides. No byte is tried twice, so the time
        stays linear whatever the lines are.
        """
        if self._tried or self._separators is None:
            return None
        end = self._buffer.find(b"\n", 0, self._codec.limits.message_bytes)
        if end < 0:
            self._tried = len(self._buffer)
            return None
        self._tried = end
        if self._buffer[end - 1 : end] != b"}":
            return None
        try:
            event = self._codec.decode(bytes(memoryview(self._buffer)[:end]))
        except RemoteProtocolError:
            return None
        self._drop(end + 1)
        return event

    def _scan(self) -> Event | None:
        """Look for the end of the event in the bytes that have not been looked at."""
        most = self._codec.limits.message_bytes
        end = self._scanner.find_end(self._buffer, min(len(self._buffer), most))
        if end is not None:
            data = bytes(memoryview(self._buffer)[:end])
            self._drop(end)
            return self._codec.decode(data)
        if len(self._buffer) > most:
            raise Fault(f"a message of more than {most} bytes", limit=True)
        return None

    def _drop(self, end: int) -> None:
        """Go on to the next event."""
        del self._buffer[:end]
        self._scanner.restart()
        self._inside = False
        self._tried = max(0, self._tried - end)


class _Separators:
    """What may stand between the objects of a body of JSON."""

    __slots__ = ("_expected", "in_array")

    def __init__(self) -> None:
        self.in_array = False
        self._expected = b"{["

    def skip(self, buffer: bytearray) -> int:
        """Where the next object begins, or the end of the buffer when it has not come.

        Raises:
            Fault: something else stands there.
        """
        position = 0
        while (found := _NO_WHITE.search(buffer, position)) is not None:
            byte = found[0]
            if byte not in self._expected:
                raise Fault(self._problem(bytes(byte)))
            if byte == b"{":
                self._expected = b",]" if self.in_array else b"{"
                return found.start()
            if byte == b"[":
                self.in_array = True
                self._expected = b"{]"
            elif byte == b",":
                self._expected = b"{"
            else:
                self.in_array = False
                self._expected = b""
            position = found.end()
        return len(buffer)

    def _problem(self, byte: bytes) -> str:
        expected = " or ".join(chr(each) for each in self._expected) or "nothing"
        found = shown(byte.decode("latin-1"))
        return f"not a sequence of JSON objects: {found} where {expected} was expected"
