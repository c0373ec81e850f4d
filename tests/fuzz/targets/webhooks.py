"""Alexa and Google Assistant: requests that are none of theirs, and answers that they would refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

from flowstorm_channel.alexa import AlexaServer
from flowstorm_channel.google import GoogleAssistantServer
from flowstorm_channel.limits import DEFAULT_LIMITS
from flowstorm_channel.sessions import Sessions
from flowstorm_channel.testing.alexa import ECHO, ECHO_SHOW, FIRST_ECHO_SHOW, AlexaPeer
from flowstorm_channel.testing.google import GooglePeer
from flowstorm_channel.values import Location
from flowstorm_channel.wire import RequestHead
from tests.fuzz.limits import chosen_limits
from tests.fuzz.messages import mutated, text_message
from tests.fuzz.program import Program
from tests.fuzz.requests import MOST, Exchanged, Requests

__all__ = ["alexa", "google_v2", "google_v3"]

_BEGAN = datetime(2026, 1, 1, tzinfo=timezone.utc)
_PLACE = Location(lat=50.0, lng=14.0)

Ask = Callable[[Program], tuple[RequestHead, bytes]]


class _Asked:
    """Requests of a platform to a world of servers; answers to its own ones are looked at by the platform.

    Args:
        world: of the run.
        ask: makes the next request of the platform.
        take: has the platform look at an answer.
    """

    def __init__(self, world: Requests, ask: Ask, take: Callable[[int, bytes], object]) -> None:
        self.world = world
        self.ask = ask
        self.take = take

    def step(self) -> None:
        """The next thing that happens."""
        program = self.world.program
        match program.below(8):
            case 0 | 1:
                self._request()
            case 2 if len(self.world.open) < MOST:
                self._broken_request()
            case _:
                self.world.step(_bring)

    def _request(self) -> None:
        """A request as the platform makes it, and its answer."""
        world = self.world
        head, body = self.ask(world.program)
        driven = world.new(head)
        driven.piece(body)
        driven.finish()
        world.settle()
        for _ in range(world.program.below(6)):
            if not driven.closed:
                driven.say()
                world.settle()
        if not driven.closed:
            driven.let_time_pass(None)  # the platform's patience ends, if nothing else does
            world.settle()
        self._look_at(driven)

    def _look_at(self, driven: Exchanged) -> None:
        response = driven.response
        if response is None or not driven.over or driven.broken:
            return
        json.loads(bytes(driven.body))
        if response.status == 200 and self.world.limits is DEFAULT_LIMITS:
            self.take(200, bytes(driven.body))

    def _broken_request(self) -> None:
        """A request with something changed, in pieces."""
        world, program = self.world, self.world.program
        head, body = self.ask(program)
        if program.below(4) != 3:
            body = text_message(mutated(json.loads(body), program)).encode("utf-8", "surrogatepass")
        if program.below(8) == 7:
            head = RequestHead(method=program.choose(("POST", "GET", "PUT")), url=head.url + program.text(30))
        driven = world.new(RequestHead(method=head.method, url=head.url, headers=()))
        if program.flag():
            for piece in program.cuts(body):
                driven.piece(piece)
        else:
            driven.piece(body)
        if program.below(8) != 7:
            driven.finish()
        world.settle()


def _bring(driven: Exchanged) -> None:
    driven.piece(driven.program.taken(80))
    driven.finish()


# ------------------------------------------------------------ Alexa


def alexa(data: bytes) -> None:
    """Requests of a skill."""
    program = Program(data)
    limits = chosen_limits(program)
    travels = program.flag()
    skill_ids = (None, ["amzn1.ask.skill.test"], ["another"])[program.below(3)]

    def make(sessions: Sessions, **kw: Any) -> AlexaServer:
        return AlexaServer(
            None if travels else sessions,
            skill_ids=skill_ids,
            certificates=None,
            now=now,
            base_url="https://x/base" if travels else None,
            title="Title",
            **kw,
        )

    world = Requests(make, program, limits, stored=not travels and program.flag())

    def now() -> datetime:
        return _BEGAN + timedelta(seconds=world.clock.now)

    peer = AlexaPeer(
        now,
        interfaces=program.choose((ECHO, ECHO_SHOW, FIRST_ECHO_SHOW)),
        location=_PLACE if program.flag() else None,
        most_bytes=24 * 1024,
    )
    asked = _Asked(world, lambda program: _ask_alexa(peer, program), peer.take)
    asked._request()
    while not program.done:
        asked.step()
    world.end()


def _ask_alexa(peer: AlexaPeer, program: Program) -> tuple[RequestHead, bytes]:
    match program.below(12):
        case 0 | 1:
            return peer.launch()
        case 2:
            return peer.intent(
                "OrderIntent", size="big", what={"name": "what", "value": program.clean_text(10)}
            )
        case 3:
            return peer.stop()
        case 4:
            return peer.help()
        case 5:
            return peer.touch("x", 1)
        case 6:
            return peer.end() if peer.session_id is not None else peer.launch()
        case 7:
            return peer.can_fulfill("OrderIntent", size="big")
        case 8:
            return peer.request("System.ExceptionEncountered", in_session=False)
        case 9:
            problem = {"type": "INVALID_RESPONSE", "message": "m"}
            return peer.end("ERROR", problem) if peer.session_id is not None else peer.launch()
        case _:
            return peer.say(program.clean_text(20) or "hello")


# ------------------------------------------------------------ Google Assistant


def google_v2(data: bytes) -> None:
    """Requests of the Actions SDK."""
    _google(data, "2")


def google_v3(data: bytes) -> None:
    """Requests of the Actions Builder."""
    _google(data, "3")


def _google(data: bytes, version: Literal["2", "3"]) -> None:
    program = Program(data)
    limits = chosen_limits(program)
    base_url = "https://x/base" if program.flag() else None

    def make(sessions: Sessions, **kw: Any) -> GoogleAssistantServer:
        return GoogleAssistantServer(
            sessions, project_ids=(), keys=None, now=lambda: _BEGAN, base_url=base_url, **kw
        )

    world = Requests(make, program, limits, stored=program.flag())
    peer = GooglePeer(
        version,
        key="K" if program.flag() else None,
        screen=program.flag(),
        verified=program.flag(),
        location=_PLACE if program.flag() else None,
        make_id=world.make_id,
    )
    asked = _Asked(world, lambda program: _ask_google(peer, program), peer.take)
    asked._request()
    while not program.done:
        asked.step()
    world.end()


def _ask_google(peer: GooglePeer, program: Program) -> tuple[RequestHead, bytes]:
    word = program.below(10)
    if peer.conversation_id is None or word == 0:
        return peer.launch()
    match word:
        case 1:
            return peer.cancel()
        case 2:
            return peer.silence()
        case 3:
            return peer.health_check()
        case 4:
            return peer.intent(
                program.choose(("order", "actions.intent.OPTION", "x y")), program.clean_text(10)
            )
        case _:
            return peer.say(program.clean_text(20) or "hello")
