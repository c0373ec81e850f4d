"""The kit's end of Socket V2 for servers under test: a client with any number of requests."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.drivers import ServerDriver
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.socket_v2 import bodies
from flowstorm_channel.conformance.socket_v2.bodies import JSON, TEXT
from flowstorm_channel.conformance.socket_v2.exchange import COOKIE, QUIET, Answer, Exchange
from flowstorm_channel.conformance.stage import ServerStage
from flowstorm_channel.values import INTRO, SILENCE
from flowstorm_channel.wire import RequestHead

__all__ = ["INPUT_CLOSE", "LIVE", "PARTS", "SOON", "Device", "Streaming", "V2Caller", "fresh_id"]

LIVE = {"realtime": "1"}
PARTS = ("ResponseItem",)
INPUT_CLOSE: Frame = {"type": "InputStreamClose"}
SOON = 2500.0
"""Milliseconds in which a request ends that has nothing to wait for."""
_ON_THE_WAY = 100.0


def fresh_id() -> str:
    """A session id that nobody has used."""
    return str(uuid.uuid4())


class Device:
    """Who asks: a device, and the session that it is in.

    Args:
        stage: on which it is.
        device_id: its name.
    """

    def __init__(self, stage: V2Caller, device_id: str) -> None:
        self.stage = stage
        self.device_id = device_id
        self.session: str | None = None
        """What the last cookie said."""

    @property
    def names(self) -> dict[str, str]:
        """Key and device id, by their headers."""
        return {"X-Key": self.stage.profile.key, "X-DeviceId": self.device_id}

    def open(
        self,
        method: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        names: Mapping[str, str] | None = None,
        path: str = "/client",
        packed: bool = False,
    ) -> Exchange:
        """Send the head of a request.

        Args:
            method: of it.
            query: parameters of the address.
            headers: beyond the cookie and the names.
            names: headers that say who asks; key and device id without them.
            path: of the address.
            packed: events are written as msgpack.
        """
        found = [*(self.names if names is None else names).items(), *(headers or {}).items()]
        if self.session is not None:
            found.append(("Cookie", f"{COOKIE}={self.session}"))
        url = f"{path}?{urlencode(query, quote_via=quote)}" if query else path
        head = RequestHead(method=method, url=url, headers=tuple(found))
        return Exchange(self.stage.open(head), self.stage, self._remember, packed=packed)

    def _remember(self, session_id: str) -> None:
        self.session = session_id

    def put(
        self,
        *events: Frame,
        content_type: str | None = JSON,
        method: str = "PUT",
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Exchange:
        """Begin a PUT; its body goes on.

        Args:
            events: that the body begins with.
            content_type: of the body; None: it is left out.
            method: of the request.
            headers: beyond the usual ones.
            more: see `open`.
        """
        more["packed"] = bodies.media_type_of(content_type) == bodies.MSGPACK
        said = {} if content_type is None else {"Content-Type": content_type}
        found = self.open(method, headers={**said, **(headers or {})}, **more)
        if events:
            found.write(*events)
        return found

    def whole(self, *events: Frame, body: bytes = b"", **more: Any) -> Exchange:
        """A PUT whose body is complete.

        Args:
            events: in the body.
            body: in the place of events.
            more: see `put`.
        """
        found = self.put(*events, **more)
        if body:
            found.send(body)
        found.end()
        return found

    def get(self, **more: Any) -> Exchange:
        """A GET.

        Args:
            more: see `open`.
        """
        found = self.open("GET", **more)
        found.end()
        return found

    def say(self, text: str, **more: Any) -> Exchange:
        """Say something, as an event."""
        return self.whole(frames.said(text), **more)

    def ask(self, text: str, **more: Any) -> Answer:
        """Say something as an event, and take the turn.

        Raises:
            Violation: there is none.
        """
        return self.say(text, **more).turn()

    def type(self, text: str, content_type: str = TEXT, **more: Any) -> Answer:
        """Say something as plain text, and take the answer.

        Raises:
            Violation: there is none.
        """
        return self.whole(body=text.encode(), content_type=content_type, **more).answer(200)


class Streaming:
    """A device that streams its user's voice in a PUT, and reads in a GET.

    Args:
        device: which one.
        put: its body goes on.
        get: of the same session.
    """

    def __init__(self, device: Device, put: Exchange, get: Exchange) -> None:
        self.device = device
        self.put = put
        self.get = get

    def recognise(self) -> None:
        """Speak until there is a result in the PUT, or the GET ends.

        Raises:
            NotDeclared: nothing is recognised; or Untestable, when the server claims to recognise speech.
        """

        def look() -> bool | None:
            self.put.poll()
            self.get.poll()
            there = bool(self.put.frames) or self.put.over or self.get.over
            return there or None

        self.put.speak()
        stage = self.put.stage
        there = stage.wait_for(look) is not None and not self.put.failed
        heard = there and not (self.put.frames and frames.text_of(self.put.frames[0]) == SILENCE)
        stage.assume("speech", heard, "nothing was recognised in the profile's speech")


class V2Caller(ServerStage):
    """What checks of V2 servers are given: a client that can do everything wrong, too."""

    def __init__(self, driver: ServerDriver, profile: Profile) -> None:
        super().__init__(driver, profile)
        self._devices = itertools.count(1)

    def device(self) -> Device:
        """One that the server has not seen, without a session."""
        return Device(self, f"device-{next(self._devices)}")

    def started(self) -> Device:
        """One with a session: its first turn is done.

        Raises:
            Untestable: there was no answer, or no session in it.
        """
        device = self.device()
        self.arrange(lambda: device.ask(INTRO))
        self.arranged(device.session, "the first answer set no cookie")
        return device

    def echo(self, **more: Any) -> Answer:
        """A turn in which the server says something.

        Args:
            more: of the request; see `Device.put`.

        Raises:
            NotDeclared: the dialogue says nothing; or Untestable, when it is declared that it does.
        """
        found = self.device().ask(self.profile.phrase("echo"), **more)
        self.assume("echo", bool(found.items), f"there is nothing in the answer: {found}")
        return found

    def streaming(self, *, get_first: bool = False, **more: Any) -> Streaming:
        """A device with a session that streams: its PUT is open, its GET reads.

        Args:
            get_first: the GET goes out before the PUT.
            more: of the head of the GET; see `Device.open`.

        Raises:
            Untestable: there is no session.
            NotDeclared: the server takes no audio; or Untestable, when it claims to recognise speech.
        """
        device = self.started()
        get = device.get(**more) if get_first else None
        self.settle()
        put = device.put(content_type="audio/basic", query=LIVE)
        put.send(QUIET)
        self.settle()
        put.poll()
        self.assume("speech", not put.over, f"audio was answered with {put}")
        talk = Streaming(device, put, device.get(**more) if get is None else get)
        self.settle()
        return talk

    def hears(self) -> None:
        """Make sure that the server recognises speech in the usual form.

        Raises:
            NotDeclared: it does not; or Untestable, when it claims to.
        """
        talk = self.streaming()
        talk.recognise()
        talk.put.end()
        self.arrange(talk.put.turn)

    def settle(self) -> None:
        """Let what was sent arrive: requests overtake each other on the way."""
        self.pass_time(_ON_THE_WAY)

    def long_answer(self, device: Device, *, end: bool = True) -> Exchange:
        """Make the server talk for a while: the PUT, whose answer has begun.

        Args:
            device: who asks.
            end: of the request's body; without it the body stays open.

        Raises:
            NotDeclared: the answer is over as soon as it begins; or Untestable, when the server claims more.
        """
        put = device.put(frames.said(self.profile.phrase("long")))
        if end:
            put.end()

        def look() -> bool | None:
            put.poll()
            return bool(put.frames) or put.over or None

        self.wait_for(look)
        self.settle()
        put.poll()
        going = bool(put.frames) and all(each["type"] in PARTS for each in put.frames) and not put.over
        self.assume("long", going, f"the answer to the long phrase does not go on for a while: {put}")
        return put
