"""One conversation over every channel: what the dialogue hears, and what the user gets, has to be the same.

A script is a list of lines; a line is what the user does and what the dialogue answers. Each `Party` speaks
its channel's protocol, with the fakes of `flowstorm_channel.testing`, on a clock moved by hand.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Literal

import attrs

from flowstorm_channel import (
    ClientConfig,
    ClosedEvent,
    ErrorEvent,
    Event,
    FaultEvent,
    InitEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    ResponseEvent,
    ResponseItem,
    ResponseItemEvent,
    ServerChannel,
    Sessions,
    SocketV1Client,
    SocketV1Server,
    SocketV2Client,
    SocketV2Server,
    UnsentEvent,
)
from flowstorm_channel.alexa import AlexaServer
from flowstorm_channel.client import ClientChannel
from flowstorm_channel.google import GoogleAssistantServer
from flowstorm_channel.testing import HttpLink, Link, ManualClock
from flowstorm_channel.testing.alexa import ECHO_SHOW, AlexaPeer
from flowstorm_channel.testing.google import GooglePeer
from flowstorm_channel.testing.twilio import PhoneCall, TwilioPeer
from flowstorm_channel.twilio import TwilioServer
from flowstorm_channel.wire import END, RequestHead, ResponseHead

Act = Literal["start", "say", "silence", "help", "stop"]

HEARD = {"start": "#intro", "silence": "#silence", "help": "help", "stop": "stop"}
"""What the dialogue hears of an act that has no text of its own."""
NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)


@attrs.frozen(kw_only=True)
class Line:
    """What the user does, and what the dialogue answers."""

    act: Act = "say"
    text: str = ""
    answer: tuple[ResponseItem, ...] = attrs.field(converter=tuple)

    @property
    def ends(self) -> bool:
        return self.act == "stop"

    @property
    def heard(self) -> str:
        return HEARD.get(self.act, self.text)


@attrs.frozen(kw_only=True)
class Got:
    """What the user gets of one answer; None: the channel cannot carry it."""

    speech: str
    image: str | None = None
    video: str | None = None
    commands: tuple[str, ...] | None = None
    ended: bool


@attrs.define(kw_only=True)
class Trace:
    """A conversation as its two ends saw it."""

    inputs: list[str] = attrs.Factory(list)
    sessions: list[str] = attrs.Factory(list)
    numbers: list[int] = attrs.Factory(list)
    remembered: list[int] = attrs.Factory(list)
    got: list[Got] = attrs.Factory(list)
    unsent: list[str] = attrs.Factory(list)


def spoken(items: Iterable[ResponseItem]) -> str:
    """What a person hears of items."""
    return " ".join(" ".join(each.text for each in items if each.command is None).split())


def first(values: Iterable[str | None]) -> str | None:
    return next((each for each in values if each), None)


def whole(items: Sequence[ResponseItem], *, ended: bool) -> Got:
    """What the user gets of items on a channel that carries all of them."""
    return Got(
        speech=spoken(items),
        image=first(each.image for each in items),
        video=first(each.video for each in items),
        commands=tuple(each.command.name for each in items if each.command is not None),
        ended=ended,
    )


class Party(ABC):
    """A user on a channel, and the dialogue at its other end."""

    IMAGES: bool = True
    VIDEOS: bool = True
    COMMANDS: bool = False
    """Whether the channel carries them."""
    AUDIO: bool = False
    """Whether the dialogue has to speak for itself: it is a phone, and of one nobody expects pictures."""

    def __init__(self, script: Sequence[Line]) -> None:
        self.script = script
        self.clock = ManualClock()
        self.trace = Trace()

    def run(self) -> Trace:
        for line in self.script:
            self.act(line)
        return self.trace

    def expected(self, line: Line) -> Got:
        """What the user should get of a line on this channel."""
        got = whole(line.answer, ended=line.ends)
        return attrs.evolve(
            got,
            image=got.image if self.IMAGES else None,
            video=got.video if self.VIDEOS else None,
            commands=got.commands if self.COMMANDS else None,
        )

    @abstractmethod
    def act(self, line: Line) -> None:
        """Do what the user does, and note what he gets."""

    def host(self, channel: ServerChannel, event: Event) -> None:
        """The same for all channels: it answers what it hears by the script."""
        match event:
            case InitEvent():
                channel.ready()
            case InputAudioStreamOpenEvent():
                channel.stream.ready()
            case InputEvent():
                turn = channel.turn
                line = self.script[turn.session.data.setdefault("lines", 0)]
                turn.session.data["lines"] += 1
                self.trace.inputs.append(turn.text)
                self.trace.sessions.append(turn.session_id)
                self.trace.numbers.append(turn.number)
                self.trace.remembered.append(turn.session.data["lines"])
                for item in line.answer:
                    turn.say(item)
                    if self.AUDIO and item.text and item.command is None:
                        turn.say(voiced(item.text))
                turn.finish(session_ended=line.ends)
            case UnsentEvent():
                self.trace.unsent.append(event.part)
            case ErrorEvent() | FaultEvent():
                raise AssertionError(event)


# ------------------------------------------------------------ Flowstorm's own channels


class _Socket(Party):
    COMMANDS = True

    client: ClientChannel
    link: Link | HttpLink

    def __init__(self, script: Sequence[Line]) -> None:
        super().__init__(script)
        self._items: list[ResponseItem] = []
        self._ended = False

    def user(self, event: Event) -> None:
        match event:
            case ResponseItemEvent():
                self._items.append(event.response_item)
            case ResponseEvent():
                self._items += event.response.items
                self._ended = event.response.session_ended

    def server(self, event: Event) -> None:
        channel = self.link.server
        assert isinstance(channel, ServerChannel)
        self.host(channel, event)

    def act(self, line: Line) -> None:
        match line.act:
            case "start":
                self.client.start()
            case "silence":
                self.client.open_microphone()
                self.link.settle()
                self.client.send_audio(b"\0" * 320)
                self.link.advance(10)
            case _:
                self.client.say(line.heard)
        self.link.settle()
        self.client.finish_playback()
        self.link.settle()
        self.trace.got.append(whole(self._items, ended=self._ended))
        self._items.clear()
        self._ended = False


CONFIG = ClientConfig(send_response_items=True)


class SocketV1(_Socket):
    def __init__(self, script: Sequence[Line]) -> None:
        super().__init__(script)
        self.client = SocketV1Client(
            "ws://localhost/socket", key="k", device_id="d", config=CONFIG, clock=self.clock
        )
        self.link = Link(self.client, lambda: SocketV1Server(clock=self.clock), self.clock)
        self.link.on_event = {"client": self.user, "server": self.server}
        self.client.open()
        self.link.settle()


class SocketV2(_Socket):
    def __init__(self, script: Sequence[Line]) -> None:
        super().__init__(script)
        self.client = SocketV2Client(
            "http://localhost/client", key="k", device_id="d", config=CONFIG, clock=self.clock
        )
        sessions = Sessions(clock=self.clock)
        self.link = HttpLink(self.client, lambda: SocketV2Server(sessions, clock=self.clock), self.clock)
        self.link.on_event = {"client": self.user, "server": self.server}
        self.client.open()
        self.link.settle()


# ------------------------------------------------------------ platforms


def exchange(
    channel: ServerChannel, sent: tuple[RequestHead, bytes], host: Callable[[ServerChannel, Event], None]
) -> tuple[int, bytes]:
    """Hand a request over, and get status and body of the response."""
    head, body = sent
    for message in (head, body, END):
        channel.receive_data(message)
    told = []
    for event in channel.events():
        told.append(event)
        host(channel, event)
    assert isinstance(told[-1], ClosedEvent)
    answer, *pieces, end = channel.data_to_send()
    assert isinstance(answer, ResponseHead)
    assert end is END
    return answer.status, b"".join(each for each in pieces if isinstance(each, bytes))


class Alexa(Party):
    def __init__(self, script: Sequence[Line]) -> None:
        super().__init__(script)
        self.sessions = Sessions(clock=self.clock)
        self.peer = AlexaPeer(self.now, interfaces=ECHO_SHOW)

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.clock())

    def act(self, line: Line) -> None:
        sent = {
            "start": self.peer.launch,
            "say": lambda: self.peer.say(line.text),
            "silence": lambda: self.peer.say(None),
            "help": self.peer.help,
            "stop": self.peer.stop,
        }[line.act]()
        heard = self.peer.take(*exchange(self.channel(), sent, self.host))
        self.trace.got.append(
            Got(
                speech=" ".join(heard.speech.split()),
                image=heard.image,
                video=heard.video,
                ended=heard.ended,
            )
        )

    def channel(self) -> AlexaServer:
        return AlexaServer(
            self.sessions,
            skill_ids={self.peer.application_id},
            certificates=None,
            now=self.now,
            clock=self.clock,
        )


class AlexaTravelling(Alexa):
    """The same with the session in Alexa's attributes: nothing is remembered between two requests."""

    def channel(self) -> AlexaServer:
        return AlexaServer(None, skill_ids=None, certificates=None, now=self.now, clock=self.clock)


class _Google(Party):
    VIDEOS = False
    VERSION: Literal["2", "3"]

    def __init__(self, script: Sequence[Line]) -> None:
        super().__init__(script)
        self.sessions = Sessions(clock=self.clock)
        self.peer = GooglePeer(self.VERSION)

    def act(self, line: Line) -> None:
        sent = {
            "start": self.peer.launch,
            "silence": self.peer.silence,
            "stop": self.peer.cancel,
        }.get(line.act, lambda: self.peer.say(line.heard))()
        channel = GoogleAssistantServer(
            self.sessions, project_ids=(), keys=None, now=lambda: NOW, clock=self.clock
        )
        heard = self.peer.take(*exchange(channel, sent, self.host))
        self.trace.got.append(
            Got(speech=" ".join(heard.speech.split()), image=heard.image, ended=heard.ended)
        )


class GoogleV2(_Google):
    VERSION = "2"


class GoogleV3(_Google):
    VERSION = "3"


_PAUSE = b"\xff\xfe"


def voiced(text: str) -> bytes:
    """Audio by which a test can tell what was said."""
    return _PAUSE + text.encode()


class Twilio(Party):
    IMAGES = VIDEOS = False
    AUDIO = True

    def __init__(self, script: Sequence[Line]) -> None:
        super().__init__(script)
        self.peer = TwilioPeer(self.clock, parameters={"deviceId": "d"})
        self.call = PhoneCall(
            TwilioServer(auth_token=None, public_url=None, clock=self.clock),
            self.peer,
            self.clock,
            lambda event: self.host(self.server, event),
        )
        self._heard = 0

    @property
    def server(self) -> ServerChannel:
        assert isinstance(self.call.server, ServerChannel)
        return self.call.server

    def act(self, line: Line) -> None:
        if line.act == "silence":
            self.call.advance(5.1)
        elif line.act != "start":
            self.server.stream.recognized(line.heard, final=True)
        self.call.settle()
        while self.peer.playing:
            self.call.advance(0.1)
        heard = self.peer.heard
        said = heard[self._heard :].replace(_PAUSE, b" ").decode()
        self._heard = len(heard)
        ended = self.peer.closed is not None
        self.trace.got.append(Got(speech=" ".join(said.split()), ended=ended))


PARTIES: tuple[type[Party], ...] = (
    SocketV1,
    SocketV2,
    Alexa,
    AlexaTravelling,
    GoogleV2,
    GoogleV3,
    Twilio,
)
