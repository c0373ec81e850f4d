"""``flowstorm-channel demo``: a whole conversation of two machines in memory, drawn as it goes.

There is no network, no key and no microphone; the clock is moved by hand, so that ten seconds of silence take
no time.
"""

from __future__ import annotations

import argparse
import shutil
from typing import Any

from flowstorm_channel.cli.terminal import BLUE, BOLD, DIM, GREEN, YELLOW, name_of, paint
from flowstorm_channel.codecs import JsonCodec
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.events import (
    BinaryEvent,
    Event,
    InitEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    LocalEvent,
    RecognizedEvent,
    ResponseEvent,
    ResponseItemEvent,
    SessionStartEvent,
)
from flowstorm_channel.socket_v1 import SocketV1Client, SocketV1Server
from flowstorm_channel.states import State
from flowstorm_channel.testing import Link, ManualClock
from flowstorm_channel.wire import Message

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
    _Demo(whole=chosen.bytes).run()
    return 0


class _Demo:
    """The two ends, their hosts, and the pen."""

    def __init__(self, *, whole: bool) -> None:
        self.whole = whole
        self.width = max(72, min(shutil.get_terminal_size().columns, 110))
        self.clock = ManualClock()
        self.server = SocketV1Server(clock=self.clock, make_id=lambda: "session-1")
        self.client = SocketV1Client(
            "ws://in.memory/socket",
            key="demo",
            device_id="terminal",
            auto_start=True,
            auto_microphone=True,
            clock=self.clock,
        )
        self.link = Link(self.client, lambda: self.server, self.clock)
        self.link.on_event["server"] = self.serve
        self.plays = True
        self.codec = JsonCodec()

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

    # -------------------------------------------------------- the story

    def run(self) -> None:
        """Have the conversation."""
        print(paint(f"  time  {'client':11} {'':{self.width - 33}}  server", BOLD))
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
        sent = sum(1 for step in self.link.steps if not isinstance(step.what, Event))
        print()
        print(f"{sent} messages, no network, {self.clock.now:.1f} seconds on a clock that was moved by hand.")

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

    def exchange(self) -> None:
        """Carry messages, one by one and drawn, until nobody has anything to say."""
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
        self.arrow(message, end)
        self.tell(end, told)

    def tell(self, end: str, events: list[Event]) -> None:
        """Draw what only this end's host is told: what no message says."""
        for event in events:
            if isinstance(event, LocalEvent):
                self.told(end, repr(event))
            elif isinstance(event, InputEvent) and event.input.text == "#silence":
                self.told(end, "5 s of silence: the host is told of an input")

    def arrow(self, message: Message, towards: str) -> None:
        """Draw a message between the states of both ends."""
        name, detail = self.describe(message)
        room = self.width - 34
        label = f" {name} " + (f"{detail} " if detail else "")
        if len(label) > room - 4:
            label = label[: room - 6] + "… "
        dashes = "─" * (room - len(label) - 2)
        if towards == "server":
            drawn = paint(f"──{label}{dashes}▶"[: room + 1], GREEN)
        else:
            drawn = paint(f"◀{dashes}{label}──"[: room + 1], BLUE)
        client, server = self.client.state.value, self.server.state.value
        print(f"{self.clock.now:6.1f}  {client:11} {drawn}  {server}")
        if self.whole and isinstance(message, str):
            print(paint(" " * 8 + message, DIM))

    def told(self, end: str, text: str) -> None:
        """Draw what happens at one end alone."""
        text = f"{end}: {text}"
        shown = text if end == "client" else text.rjust(self.width - 33)
        print(paint(f"{self.clock.now:6.1f}  {'':11} {shown}", YELLOW))

    def note(self, text: str) -> None:
        """Say what the next scene is about."""
        print()
        print(paint(text, BOLD))

    def describe(self, message: Message) -> tuple[str, str]:
        """A message in a few words: its name, and what matters in it."""
        if isinstance(message, str):
            try:
                event = self.codec.decode(message)
            except RemoteProtocolError as error:  # pragma: no cover - both ends are ours
                return "?", str(error)
            size = f"({len(message.encode())} bytes)"
            return name_of(event), f"{_gist(event)} {size}".strip()
        if isinstance(message, bytes):
            return name_of(BinaryEvent(data=message)), f"({len(message)} bytes)"
        return name_of(message), ""


def _gist(event: Event) -> str:
    match event:
        case InitEvent():
            return f"key={event.key}"
        case InputEvent():
            return f"“{event.input.text}”"
        case RecognizedEvent():
            return f"“{event.text}” {'final' if event.is_final else 'interim'}"
        case ResponseItemEvent():
            return f"“{event.response_item.text}”"
        case ResponseEvent():
            return "session ended" if event.response.session_ended else ""
        case SessionStartEvent():
            return event.session_id
    return ""
