"""One HTTP request of a V2 client: what goes out, what comes back, and when it is over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from flowstorm_channel.channel import cost_of
from flowstorm_channel.errors import LocalProtocolError, RemoteProtocolError
from flowstorm_channel.events import ErrorEvent, Event, InputEvent
from flowstorm_channel.limits import Limits
from flowstorm_channel.socket_v2 import bodies
from flowstorm_channel.socket_v2.bodies import Form
from flowstorm_channel.wire import Close, CloseCode, End, Message, RequestHead, ResponseHead

__all__ = ["Complaint", "Request"]

_LONGEST_COMPLAINT = 1000


class Request:
    """One request of the client's and its response: an `Exchange`.

    Args:
        head: of the request.
        cookie: the session id that it names.
        logs: it is neither the PUT nor the GET of a turn.
        arrive: takes what the transport brings.
        account: is told by how many bytes that wait to be sent there are more.
    """

    def __init__(
        self,
        head: RequestHead,
        cookie: str | None,
        *,
        logs: bool,
        arrive: Callable[[Request, Message], None],
        account: Callable[[int], None],
    ) -> None:
        self._arrive = arrive
        self._account = account
        self.logs = logs
        self._outbox: deque[Message] = deque()
        self.cookie = cookie
        self.answered = False
        """Response or Error has come."""
        self.input: InputEvent | None = None
        """The text that the user switched to in mid-stream."""
        self.writing = True
        """The end of the body has not been put out."""
        self.over = False
        """Nothing that it brings counts any more."""
        self.status: int | None = None
        self.reader: bodies.Reader = bodies.Nothing()
        self.received = 0
        self._asked = False
        self._headed = False
        self.put(head)

    # -------------------------------------------------------- for the transport

    def receive_data(self, message: Message) -> None:
        """Take what the transport brought: the head of the response, its body piece by piece, `END`.

        Raises:
            LocalProtocolError: the transport cannot have brought it: a mistake of the host.
        """
        if self.over:
            return
        legal = (bytes, End, Close) if self._headed else (ResponseHead, Close)
        if not isinstance(message, legal):
            raise LocalProtocolError(
                f"a response cannot bring {type(message).__name__} now",
                legal=[each.__name__ for each in legal],
            )
        self._headed = True
        self._arrive(self, message)

    def receive_eof(self) -> None:
        """The transport is gone. May be called at any time and more than once."""
        if not self.over:
            self._arrive(self, Close(CloseCode.ABNORMAL, "the connection was lost"))

    def data_to_send(self) -> Iterator[Message]:
        """The head of the request, its body piece by piece, `END`; `Close` when it is given up."""
        while self._outbox:
            message = self._outbox.popleft()
            self._asked = True
            self._account(-cost_of(message))
            yield message

    # -------------------------------------------------------- for the client

    @property
    def pending(self) -> bool:
        """Whether there is something to send."""
        return bool(self._outbox)

    @property
    def waiting_bytes(self) -> int:
        """How much there is to send, in bytes."""
        return sum(map(cost_of, self._outbox))

    @property
    def done(self) -> bool:
        """Whether it needs no transport any more."""
        return self.over and not self._outbox

    @property
    def complaint(self) -> str:
        """What the body of a refusal says."""
        return self.reader.text if isinstance(self.reader, Complaint) else ""

    def put(self, message: Message) -> None:
        """Have it sent, unless it is over."""
        if self.over and not isinstance(message, Close):
            return
        self._outbox.append(message)
        self._account(cost_of(message))
        if isinstance(message, End):
            self.writing = False

    def give_up(self) -> None:
        """Have it broken off, unless it is over."""
        if not self.over:
            self.over = True
            self._drop()
            if self._asked:
                self.put(Close(CloseCode.NORMAL, "given up"))

    def lose(self) -> None:
        """Its transport is gone, and with it what waits."""
        self.over = True
        self._drop()

    def complete(self) -> None:
        """The response has come to its end; what is left of the request has none to be read by."""
        if self.writing or self._outbox:
            self.give_up()
        self.over = True

    def _drop(self) -> None:
        self._account(-self.waiting_bytes)
        self._outbox.clear()


class Complaint:
    """The body of a response that is no answer: the text of its Error, or as much as a person may read."""

    def __init__(self, form: Form | None, limits: Limits) -> None:
        self._data = bytearray()
        self._reader = (
            bodies.decoder(form, limits, locale="en", zone_id="UTC")
            if form in (Form.JSON, Form.MSGPACK)
            else None
        )
        self._found: str | None = None

    @property
    def text(self) -> str:
        """What it says."""
        if self._found is not None:
            return self._found
        lines = self._data.decode(errors="replace").split("\n")
        return " ".join(line.removeprefix("! ").strip() for line in lines if line.strip())

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._reader is not None:
            self._reader.feed(data)
        elif len(self._data) < _LONGEST_COMPLAINT:
            self._data += data[:_LONGEST_COMPLAINT]

    def next_event(self) -> Event | None:
        """Never one: the text is told with the status."""
        try:
            event = None if self._reader is None else self._reader.next_event()
        except RemoteProtocolError:
            return None
        if isinstance(event, ErrorEvent) and self._found is None:
            self._found = event.text
        return None

    def close(self) -> None:
        """The body is at its end."""
