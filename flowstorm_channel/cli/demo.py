"""``flowstorm-channel demo``: a whole conversation of two machines in memory, drawn as it goes.

There is no network, no key and no microphone; the clock is moved by hand, so that ten seconds of silence take
no time.
"""

from __future__ import annotations

import argparse
import shutil
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from flowstorm_channel.cli.terminal import BLUE, BOLD, DIM, GREEN, YELLOW, name_of, paint
from flowstorm_channel.client import ClientChannel
from flowstorm_channel.codecs import JsonCodec
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.events import (
    ClosedEvent,
    Event,
    InitEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    LocalEvent,
    RecognizedEvent,
    RecognizedInputEvent,
    ResponseEvent,
    ResponseItemEvent,
    SessionStartEvent,
)
from flowstorm_channel.server import ServerChannel
from flowstorm_channel.sessions import Sessions
from flowstorm_channel.socket_v1 import SocketV1Client, SocketV1Server
from flowstorm_channel.socket_v2 import SocketV2Client, SocketV2Server
from flowstorm_channel.states import Audio, State
from flowstorm_channel.testing import HttpLink, Link, ManualClock
from flowstorm_channel.wire import Message, RequestHead, ResponseHead

__all__ = ["add_to"]


def add_to(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "demo",
        help="draw a conversation of two machines in memory",
        description="Draw a whole conversation of a client and a server in memory: states, events, bytes.",
    )
    parser.add_argument("--bytes", action="store_true", help="show every message whole")
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    clock = ManualClock()
    sent = _WebSocketDemo(clock, whole=chosen.bytes).run()
    sent += _HttpDemo(clock, whole=chosen.bytes).run()
    print()
    print(f"{sent} messages, no network, {clock.now:.1f} seconds on a clock that was moved by hand.")
    return 0


L = TypeVar("L", Link, HttpLink)


class _Demo(ABC, Generic[L]):
    """Two ends, their hosts, and the pen."""

    client: ClientChannel
    link: L

    def __init__(self, clock: ManualClock, *, whole: bool) -> None:
        self.whole = whole
        self.width = max(72, min(shutil.get_terminal_size().columns, 110))
        self.clock = clock
        self.codec = JsonCodec()

    @property
    @abstractmethod
    def server(self) -> ServerChannel:
        """The server that is told something, or was last."""

    @abstractmethod
    def tell_story(self) -> None:
        """Have the conversation."""

    @abstractmethod
    def exchange(self) -> None:
        """Carry messages, one by one and drawn, until nobody has anything to say."""

    def run(self) -> int:
        """Have the conversation; gives how many messages it took."""
        self.link.on_event["server"] = self.serve
        self.tell_story()
        return sum(1 for step in self.link.steps if not isinstance(step.what, Event))

    # -------------------------------------------------------- the two hosts

    def serve(self, event: Event) -> None:
        """The server's host: accepts everybody, recognises at once, answers what it knows."""
        match event:
            case InitEvent():
                self.server.ready()
            case InputAudioStreamOpenEvent():
                self.server.stream.ready()
            case InputEvent():
                turn = self.server.turn
                match turn.text:
                    case "#intro":
                        turn.say("Hello! What would you like to hear?")
                        turn.finish()
                    case "a story":
                        turn.say("Once upon a time there was a channel.")
                        turn.say("It had two ends, and both of them talked a lot.")
                    case "#silence":
                        turn.say("Are you still there?")
                        turn.finish()
                    case "goodbye":
                        turn.say("Goodbye!")
                        turn.finish(session_ended=True)
                    case _:
                        turn.say("As you like.")
                        turn.finish()

    # -------------------------------------------------------- time

    def finish_playback(self) -> None:
        """The player has played all it got; it takes two seconds."""
        if self.client.state is State.RESPONDING:
            self.pass_time(2.0)
            self.client.finish_playback()
            self.told("client", "everything has been played")
            self.exchange()

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and whatever is due happen."""
        until = self.clock.now + seconds
        while (due := self.link.next_deadline()) is not None and due <= until:
            self.clock.advance(max(0.0, due - self.clock.now))
            self.exchange()
        self.clock.advance(until - self.clock.now)

    # -------------------------------------------------------- the pen

    def tell(self, end: str, told: list[Event]) -> None:
        """Draw what only this end's host is told: what no message says."""
        for event in told:
            if isinstance(event, LocalEvent) and not isinstance(event, ClosedEvent):
                self.told(end, repr(event))
            elif isinstance(event, InputEvent) and event.input.text == "#silence":
                self.told(end, "5 s of silence: the host is told of an input")

    def arrow(self, name: str, detail: str, towards: str, server: str) -> None:
        """Draw a message between the states of both ends."""
        room = self.width - 34
        label = f" {name} " + (f"{detail} " if detail else "")
        if len(label) > room - 4:
            label = label[: room - 6] + "… "
        dashes = "─" * (room - len(label) - 2)
        if towards == "server":
            drawn = paint(f"──{label}{dashes}▶"[: room + 1], GREEN)
        else:
            drawn = paint(f"◀{dashes}{label}──"[: room + 1], BLUE)
        print(f"{self.clock.now:6.1f}  {self.client.state.value:11} {drawn}  {server}".rstrip())

    def told(self, end: str, text: str) -> None:
        """Draw what happens at one end alone."""
        text = f"{end}: {text}"
        shown = text if end == "client" else text.rjust(self.width - 33)
        print(paint(f"{self.clock.now:6.1f}  {'':11} {shown}", YELLOW))

    def note(self, text: str) -> None:
        """Say what the next scene is about."""
        print()
        print(paint(text, BOLD))

    def title(self, text: str) -> None:
        """Say what the columns are."""
        print(paint(f"  time  {'client':11} {text:^{self.width - 33}}  server", BOLD))

    def event_in(self, text: str) -> tuple[str, str]:
        """An event on the wire in a few words: its name, and what matters in it."""
        try:
            event = self.codec.decode(text)
        except RemoteProtocolError as error:  # pragma: no cover - both ends are ours
            return "?", str(error)
        return name_of(event), f"{_gist(event)} ({len(text.encode())} bytes)".strip()

    def show_bytes(self, text: str) -> None:
        """Show a message whole, when that is wanted."""
        if self.whole:
            print(paint(" " * 8 + text.rstrip(), DIM))


class _WebSocketDemo(_Demo[Link]):
    """Socket V1."""

    def __init__(self, clock: ManualClock, *, whole: bool) -> None:
        super().__init__(clock, whole=whole)
        self._server = SocketV1Server(clock=clock, make_id=lambda: "session-1")
        self.client = SocketV1Client(
            "ws://in.memory/socket",
            key="demo",
            device_id="terminal",
            auto_start=True,
            auto_microphone=True,
            clock=clock,
        )
        self.link = Link(self.client, lambda: self._server, clock)

    @property
    def server(self) -> ServerChannel:
        return self._server

    def tell_story(self) -> None:
        self.title("Socket V1: a WebSocket")
        self.note("The client connects, introduces itself and starts the conversation.")
        self.client.open()
        self.exchange()
        self.finish_playback()

        self.note("The microphone has opened by itself. The user asks for a story, by voice.")
        for _ in range(3):
            self.pass_time(0.1)
            self.client.send_audio(bytes(3200))
            self.exchange()
        self.server.stream.recognized("a sto", final=False)
        self.exchange()
        self.server.stream.recognized("a story", final=True)
        self.exchange()

        self.note("In the middle of it the user types something else: a barge-in.")
        self.pass_time(1.5)
        self.client.say("something shorter, please")
        self.exchange()
        self.finish_playback()

        self.note("Now the user says nothing. After five seconds of silence the server hears of it.")
        self.pass_time(5.0)
        self.finish_playback()

        self.note("The user says goodbye, and the session ends.")
        self.client.say("goodbye")
        self.exchange()
        self.finish_playback()
        self.client.close()
        self.exchange()

    def exchange(self) -> None:
        link = self.link
        while True:
            for end in ("client", "server"):
                self.tell(end, link.take_events(end))
                link.flush(end)
            if link.to_server:
                self.carry(link.to_server[0], "server")
            elif link.to_client:
                self.carry(link.to_client[0], "client")
            else:
                return

    def carry(self, message: Message, end: str) -> None:
        """Deliver one message and draw it, with the states that it leaves behind."""
        self.link.deliver(end)
        told = self.link.take_events(end)
        if isinstance(message, str):
            name, detail = self.event_in(message)
        else:
            name, detail = name_of(message), f"({len(message)} bytes)" if isinstance(message, bytes) else ""
        self.arrow(name, detail, end, self.server.state.value)
        if isinstance(message, str):
            self.show_bytes(message)
        self.tell(end, told)


class _HttpDemo(_Demo[HttpLink]):
    """Socket V2."""

    def __init__(self, clock: ManualClock, *, whole: bool) -> None:
        super().__init__(clock, whole=whole)
        sessions = Sessions(clock=clock)
        self.client = SocketV2Client(
            "http://in.memory/client",
            key="demo",
            device_id="terminal",
            auto_start=True,
            make_id=lambda: "session-2",
            clock=clock,
        )
        self.link = HttpLink(self.client, lambda: SocketV2Server(sessions, clock=clock), clock)

    @property
    def server(self) -> ServerChannel:
        assert isinstance(self.link.server, ServerChannel)
        return self.link.server

    def tell_story(self) -> None:
        print()
        self.title("Socket V2: HTTP requests")
        self.note("The same without a WebSocket: every input is a PUT, and its response is the answer.")
        self.client.open()
        self.exchange()
        self.finish_playback()

        self.note("Speech is streamed in the body of a PUT; a GET beside it reads what is recognised.")
        self.client.open_microphone()
        self.exchange()
        for _ in range(2):
            self.pass_time(0.1)
            self.client.send_audio(bytes(3200))
            self.exchange()
        (hearing,) = (
            each for each in self.link.servers if isinstance(each, ServerChannel) and each.audio is Audio.OPEN
        )
        hearing.stream.recognized("a shorter", final=False)
        self.exchange()
        hearing.stream.recognized("a shorter one", final=True)
        self.exchange()
        self.finish_playback()

        self.note("The GET's end told the client to stop. Now it says goodbye.")
        self.client.say("goodbye")
        self.exchange()
        self.finish_playback()
        self.client.close()
        self.exchange()

    def exchange(self) -> None:
        while True:
            for end in ("client", "server"):
                self.tell(end, self.link.take_events(end))
                self.link.flush(end)
            for end in ("server", "client"):
                delivered = self.link.deliver(end)
                if delivered is not None:
                    told = self.link.take_events(end)
                    self.draw(*delivered, end)
                    self.tell(end, told)
                    break
            else:
                return

    def draw(self, head: RequestHead, message: Message, end: str) -> None:
        """Draw one message of a request."""
        text = ""
        if isinstance(message, RequestHead):
            name, detail = head.method, urlsplit(head.url).path
        elif isinstance(message, ResponseHead):
            name, detail = f"{head.method}: {message.status}", message.header("Set-Cookie") or ""
        elif isinstance(message, bytes):
            text = message.decode()
            name, detail = self.event_in(text)
            name = f"{head.method}: {name}"
        else:
            name, detail = f"{head.method}: end", ""
        put = self.link.servers[:1]
        self.arrow(name, detail, end, put[0].state.value if put and put[0].state is not State.CLOSED else "")
        if text:
            self.show_bytes(text)


def _gist(event: Event) -> str:
    match event:
        case InitEvent():
            return f"key={event.key}"
        case InputEvent():
            return f"“{event.input.text}”"
        case RecognizedEvent() | RecognizedInputEvent():
            return f"“{event.text}” {'final' if event.is_final else 'interim'}"
        case ResponseItemEvent():
            return f"“{event.response_item.text}”"
        case ResponseEvent():
            return "session ended" if event.response.session_ended else ""
        case SessionStartEvent():
            return event.session_id
    return ""
