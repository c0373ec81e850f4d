"""The kit's end of Socket V1 for clients under test: a server, and the user."""

from __future__ import annotations

from typing import Any

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.drivers import ClientDriver
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.socket_v1.peer import Connection, name
from flowstorm_channel.conformance.stage import ClientStage, Line
from flowstorm_channel.conformance.verdicts import NotDeclared, Untestable, Violation
from flowstorm_channel.values import INTRO
from flowstorm_channel.wire import Close, ResponseHead

__all__ = ["AGAIN", "QUIET", "SESSION", "Accepted", "Listener", "input_in"]

SESSION = "conformance-session"
AGAIN = 13_000.0
"""Milliseconds after which a client has tried to connect again, every ten seconds."""
QUIET = 500.0
"""Milliseconds in which what should not happen would have happened."""
_STARTING = 30_000.0
"""For the first contact: a command may have to start, and others beside it."""
_GREETING = 1_500.0
"""For what a client says by itself, where time is real."""
INPUTS = ("Input", "Request")


def input_in(frame: Frame | None) -> str | None:
    """What is said in an event; None when nothing is."""
    return None if frame is None or frame["type"] not in INPUTS else frames.text_of(frame)


class Accepted(Connection):
    """A WebSocket that the client under test has opened.

    Older clients fail on events that they did not ask for (D-06): when a client wants no items one by one,
    they wait for the Response.

    Args:
        line: the wire.
    """

    def __init__(self, line: Line) -> None:
        super().__init__(line)
        self.session: str | None = None
        """The id that was announced on it last."""
        self._config: Frame = {}
        self._held: list[Any] = []

    @property
    def takes_items(self) -> bool:
        """Whether the client has asked for items one by one."""
        return self._config.get("sendResponseItems") is True

    def poll(self) -> Frame | None:
        frame = super().poll()
        if frame is not None and frame["type"] == "Init" and isinstance(frame.get("config"), dict):
            self._config = frame["config"]
        return frame

    def send(self, frame: Frame | str | bytes) -> None:
        if isinstance(frame, dict):
            found = self._asked_for(frame)
            if found is None:
                return
            frame = found
        super().send(frame)

    def _asked_for(self, frame: Frame) -> Frame | None:
        """An event as this client can read it; None: it waits."""
        match frame:
            case {"type": "ResponseItem" | "ResponseItemEvent", "responseItem": item} if not self.takes_items:
                self._held.append(item)
                return None
            case {"type": "Recognized", "isFinal": False}:
                if self._config.get("sttInterimResults") is not True:
                    raise NotDeclared("the client asks for no interim results")
            case {"type": "Response" | "ResponseEvent", "response": dict() as held} if self._held:
                items = [*self._held, *(held.get("items") or ())]
                self._held.clear()
                return {**frame, "response": {**held, "items": items}}
        return frame

    def say(self, *events: Frame | str | bytes) -> None:
        """Send events one after the other."""
        for each in events:
            self.send(each)

    def announce(self, session_id: str = SESSION) -> None:
        """Tell which session it is."""
        self.session = session_id
        self.send(frames.started(session_id))

    def heard(self, ms: float | None = None) -> Frame | None:
        """The next Input or Request; other events are passed over. None: there is none.

        Args:
            ms: to wait for it; the profile's patience without it.
        """
        return self.line.stage.wait_for(self._look, ms)

    def _look(self) -> Frame | None:
        while (frame := self.poll()) is not None:
            if frame["type"] in (*INPUTS, "(closed)"):
                return frame
        return None

    def audio_during(self, ms: float) -> list[bytes]:
        """The blocks of audio that come in so much time."""
        return [frame["data"] for frame in self.during(ms) if frame["type"] == "Binary"]

    def comes(self, kind: str, ms: float | None = None) -> Frame | None:
        """The next event of a type; others are passed over. None: there is none."""

        def look() -> Frame | None:
            while (frame := self.poll()) is not None:
                if frame["type"] == kind:
                    return frame
            return None

        return self.line.stage.wait_for(look, ms)


class Listener(ClientStage):
    """What checks of V1 clients are given: a server that can do everything wrong, and the user."""

    def __init__(self, driver: ClientDriver, profile: Profile) -> None:
        super().__init__(driver, profile)
        self._contacts = 0

    # -------------------------------------------------------- connections

    def opened(self, ms: float | None = None) -> Line | None:
        """A WebSocket that the client wants to open; None: there is none.

        Args:
            ms: to wait for it; the profile's patience without it.
        """
        if self._contacts == 0 and not self.driver.exact:
            ms = _STARTING
        found = self.accept(ms)
        self._contacts += found is not None
        return None if found is None else found[1]

    def connected(self, ms: float | None = None) -> Accepted:
        """The same, with the handshake answered.

        Raises:
            Untestable: the client opens none.
        """
        line = self.arranged(self.opened(ms), "the client opened no WebSocket")
        line.send(ResponseHead(status=101))
        return Accepted(line)

    def introduced(self, ms: float | None = None) -> Accepted:
        """The same, with the client's Init answered by Ready.

        Raises:
            Untestable: the client opens no WebSocket, or sends no Init.
        """
        talk = self.connected(ms)
        found = talk.receive()
        if found is None or found["type"] != "Init":
            raise Untestable(f"the client did not begin with Init, but with {name(found)}")
        talk.send(frames.READY)
        return talk

    def begun(self) -> Accepted:
        """The same, with a session and a first turn done: one that the client begins by itself, or another.

        Raises:
            Untestable: there was none.
            NotDeclared: nobody can say anything at the client.
        """
        talk = self.introduced()
        greeting = talk.heard(0 if self.driver.exact else _GREETING)
        if input_in(greeting) != INTRO:
            said = self.said(talk, "hello")
            self.arranged(said, "what the user said was not sent")
        talk.announce()
        self.answer(talk, "Welcome.")
        return talk

    def again(self, talk: Accepted) -> Accepted:
        """A new connection after the loss of one; with Init answered.

        Raises:
            Untestable: the client opens none.
        """
        self._let_it_be_read()  # libraries may drop what comes right before the end of a connection
        talk.lose()
        found = self.introduced(AGAIN)
        self._let_it_be_read()
        return found

    def _let_it_be_read(self) -> None:
        """Give the client the time to read what was sent last."""
        self.pass_time(0 if self.driver.exact else 200)

    # -------------------------------------------------------- the user

    def said(self, talk: Accepted, text: str, ms: float | None = None) -> Frame | None:
        """Have the user say something: the event in which it comes; None: it does not come.

        Raises:
            NotDeclared: nobody can say anything at the client.
        """
        self.driver.act("say", text)

        def look() -> Frame | None:
            while (frame := talk._look()) is not None:
                if input_in(frame) in (text, None):
                    return frame
            return None

        found = self.wait_for(look, ms)
        return found if input_in(found) == text else None

    def asked(self, talk: Accepted, text: str) -> Frame:
        """The same, where it has to come.

        Raises:
            Violation: it does not.
        """
        found = self.said(talk, text)
        if found is None:
            raise Violation(f"the user said {text!r}, and it was not sent")
        return found

    def answer(self, talk: Accepted, *texts: str, **members: Any) -> None:
        """Answer in a Response, and let it be played."""
        talk.send(frames.response(*texts, **members))
        self.played()

    def played(self) -> None:
        """All that came so far has been played."""
        try:
            self.driver.act("finish_playback")
        except NotDeclared:
            self.pass_time(100)  # it plays by itself

    def turn(self, talk: Accepted, text: str, *texts: str, **members: Any) -> None:
        """A turn that is not what the check is about.

        Raises:
            Untestable: it did not work.
        """
        self.arrange(lambda: self.asked(talk, text))
        self.answer(talk, *texts, **members)

    def shows(self, text: str, ms: float | None = None) -> bool:
        """Whether the user is shown a text.

        Args:
            text: that occurs nowhere else.
            ms: to wait for it; the profile's patience without it.

        Raises:
            NotDeclared: what the user is shown cannot be seen.
        """
        return self.wait_for(lambda: self._shown(text) or None, ms) is True

    def _shown(self, text: str) -> bool:
        shown = self.driver.shown()
        if shown is None:
            raise NotDeclared("what the user is shown cannot be seen")
        return any(
            text in (each if isinstance(each, str) else each.decode(errors="replace")) for each in shown
        )

    def showing(self) -> None:
        """Go on only when it can be seen what the user is shown.

        Raises:
            NotDeclared: it cannot.
        """
        self._shown("")

    # -------------------------------------------------------- the microphone

    def listening(self) -> Accepted:
        """A conversation in which the user has opened the microphone, and it is acknowledged.

        Raises:
            NotDeclared: there is no microphone; or Untestable, when it is declared.
        """
        talk = self.begun()
        self.wants_to_speak(talk)
        talk.send(frames.OPEN)
        self.pass_time(0 if self.driver.exact else 100)
        return talk

    def wants_to_speak(self, talk: Accepted) -> None:
        """Open the microphone, if it has not opened by itself; up to InputAudioStreamOpen.

        Raises:
            NotDeclared: there is no microphone; or Untestable, when it is declared.
        """
        self.driver.act("open_microphone")
        found = talk.comes("InputAudioStreamOpen")
        self.assume(
            "open_microphone", found is not None, "the microphone was opened, and nothing asked for it"
        )

    def closes(self, talk: Accepted, ms: float | None = None) -> Close | None:
        """How the client closes a connection; None: it does not."""
        found = talk.comes("(closed)", ms)
        return None if found is None else Close(found["code"], found["reason"])
