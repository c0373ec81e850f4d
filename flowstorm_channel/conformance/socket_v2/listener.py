"""The kit's server end of Socket V2: it takes a client's requests, and answers them in any way."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from flowstorm_channel.conformance.drivers import ClientDriver
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.socket_v2.incoming import Incoming, answer_of, recognized_input
from flowstorm_channel.conformance.stage import ClientStage
from flowstorm_channel.conformance.verdicts import NotDeclared

__all__ = ["BLOCK", "V2Listener"]

T = TypeVar("T")

BLOCK = bytes(range(256)) * 12 + bytes(128)
"""100 ms of audio, in which no byte that came too often, too late or not at all goes unnoticed."""
_UNASKED = 2000.0
"""Milliseconds in which a client that greets by itself is expected to do so."""
_STARTING = 30_000.0
"""Milliseconds that a client may take until it sends its first request: a program that is started, on a
machine that starts many."""
_TRAVEL = 1000.0
"""Milliseconds in which a client has read a response to its end, and closed the connection as it was told."""
_TAKING = 100.0
"""The same in which it has made something of it."""


class V2Listener(ClientStage):
    """What checks of V2 clients are given: a server that can do everything wrong, and the user."""

    def __init__(self, driver: ClientDriver, profile: Profile) -> None:
        super().__init__(driver, profile)
        self.session = "conformance-1"
        """The session id that the client is given."""
        self.requests: list[Incoming] = []
        """All that have come."""
        self._sessions = itertools.count(2)
        self._said: set[str] = set()
        self._arrived: list[Incoming] = []

    def new_session(self) -> str:
        """Another id from now on; the one before it."""
        before, self.session = self.session, f"conformance-{next(self._sessions)}"
        return before

    # -------------------------------------------------------- what comes

    def gather(self) -> None:
        """Take all that has come. Logs are thanked for."""
        while (found := self.accept(0)) is not None:
            self.requests.append(Incoming(*found, session=lambda: self.session))
        for each in self.requests:
            each.poll()
            if each.is_open and each.is_log:
                each.answer(status=204)

    def seen(self, find: Callable[[], T | None], ms: float | None = None) -> T | None:
        """Wait until something can be seen in what has come.

        Args:
            find: called again and again; what is false is not there.
            ms: at most; the profile's patience without it.
        """

        def look() -> T | None:
            self.gather()
            return find() or None

        return self.wait_for(look, ms)

    def let_pass(self, ms: float) -> None:
        """Let so much time pass, whatever comes."""
        self.seen(lambda: None, ms)

    def later(self, request: Incoming, ms: float) -> list[Incoming]:
        """The requests that come behind one, up to so much time from now."""
        self.let_pass(ms)
        return self.requests[self.requests.index(request) + 1 :]

    def running(self, *, put: bool) -> Incoming | None:
        """The last PUT, or GET, that has not been answered."""
        found = (each for each in reversed(self.requests) if each.is_put is put and each.is_open)
        return next(found, None)

    # -------------------------------------------------------- the user

    def act(self, action: str, value: str | bytes = "") -> None:
        """Have the user do something, when all answers have arrived at the client.

        Where they travel, what a user does could overtake them, and interrupt what is over for the kit.

        Raises:
            NotDeclared: the driver has no way to do that.
        """
        travelling = [each for each in self.requests if each.answered and each not in self._arrived]
        if travelling and not self.driver.exact:
            self.seen(lambda: all(each.closed for each in travelling), _TRAVEL)
            self.let_pass(_TAKING)
        self._arrived += travelling
        self.driver.act(action, value)

    # -------------------------------------------------------- typed turns

    def heard(self, text: str) -> Incoming | None:
        """Have the user say something, and wait for the request that brings it, whole.

        What a client says by itself is answered in the meantime.

        Raises:
            NotDeclared: nothing can be typed.
        """
        self.greeted()
        self._said.add(text)
        self.gather()
        before = len(self.requests)
        streaming = self.running(put=True)
        self.act("say", text)
        if not self.requests:
            self.seen(lambda: self.requests, _STARTING)
        return self.seen(lambda: self._holding(text, before, streaming))

    def greeted(self) -> None:
        """Let a client that begins by itself do so, and answer it."""
        if not self._said:
            self._said.add("")
            self.seen(self._greeting, _UNASKED)

    def said(self, text: str) -> Incoming:
        """The same, for what has to work before a check comes to its point.

        Raises:
            Untestable: it does not come.
        """
        return self.arranged(self.heard(text), f"no PUT brought the text {text!r} that was typed")

    def turn(self, text: str, *events: Frame) -> Incoming:
        """A whole turn: its request, answered and played.

        Args:
            text: what is said.
            events: the answer; a Response with one item without them.
        """
        found = self.said(text)
        self.answer(found, *(events or (answer_of("Yes."),)))
        return found

    def answer(self, request: Incoming, *events: Frame | bytes) -> None:
        """Answer a turn, have it played, and end the GET beside it."""
        request.answer(*events)
        for each in self.requests:
            if not each.is_put and each.is_open:
                each.answer()
        self.played()

    def played(self) -> None:
        """All that came has been played, as far as somebody has to say so."""
        with suppress(NotDeclared):
            self.act("finish_playback")

    def _greeting(self) -> bool:
        return any(self._answer_unasked(each) for each in self.requests)

    def _answer_unasked(self, request: Incoming) -> bool:
        """Answer what the client says by itself."""
        unasked = request.is_open and request.ended and request.is_put and not self._said & set(request.texts)
        if unasked:
            self.answer(request, answer_of("Welcome."))
        return unasked

    def _holding(self, text: str, before: int, streaming: Incoming | None) -> Incoming | None:
        candidates = self.requests[before:]
        if streaming is not None:
            candidates.append(streaming)
        for each in candidates:
            if each.is_open and each.ended and text in each.texts:
                return each
        for each in self.requests:
            self._answer_unasked(each)
        return None

    # -------------------------------------------------------- spoken turns

    def listening(self) -> tuple[Incoming, Incoming]:
        """Open the microphone, with a session that goes on: the PUT, and the GET beside it.

        Raises:
            NotDeclared: they do not come, or there is no microphone; or Untestable, when the client claims
                one.
        """
        self.turn("Good morning.")
        put = self.opened()
        self.assume("open_microphone", put is not None, "no PUT came when the microphone was opened")
        get = self.seen(lambda: self.running(put=False))
        assert put is not None
        return put, self.arranged(get, "no GET came beside the PUT of the microphone")

    def opened(self) -> Incoming | None:
        """Open the microphone and speak: the PUT.

        Raises:
            NotDeclared: there is no microphone.
        """
        self.greeted()
        self.act("open_microphone")
        with suppress(NotDeclared):  # who opens a real one need not be told what it hears
            self.act("speak", BLOCK)
        return self.seen(lambda: self.running(put=True))

    def recognise(self, get: Incoming, *interim: str) -> None:
        """End the GET as when something was recognised."""
        get.answer(*(recognized_input(each, final=False) for each in interim))

    # -------------------------------------------------------- what the user gets

    def shows(self) -> None:
        """Go on only when it can be seen what the user gets.

        Raises:
            NotDeclared: it cannot.
        """
        if self.driver.shown() is None:
            raise NotDeclared("it cannot be seen what the client shows")

    def place_of(self, text: str) -> tuple[int, int] | None:
        """Where a text was shown; None: it was not."""
        for index, each in enumerate(self.driver.shown() or ()):
            if isinstance(each, str) and text in each:
                return index, each.index(text)
        return None

    def is_shown(self, text: str) -> bool:
        """Wait until a text has been shown."""
        return self.seen(lambda: self.place_of(text) is not None) is not None
