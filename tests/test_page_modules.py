"""The page's JavaScript without a browser: its client walks as Python's does, its parts do what they say."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from flowstorm_channel.channel import Timeouts
from flowstorm_channel.contrib import page
from flowstorm_channel.errors import LocalProtocolError
from flowstorm_channel.values import ClientConfig, SttMode
from flowstorm_channel.wire import ResponseHead
from tests.conversation import ENDED as SESSION_ENDED
from tests.conversation import (
    ERROR,
    OPEN,
    READY,
    ClientHost,
    Frame,
    item,
    line,
    recognized,
    response,
    started,
)
from tests.programs import program

PROGRAMS = Path(__file__).parent / "page"
TIMEOUTS = Timeouts(lost=21, keep_alive=9)
"""No two deadlines are ever due at the same time: a browser knows no order among them."""

Step = tuple[str, Any]


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder from which Node takes the page's modules, and the programs of these tests."""
    folder = tmp_path_factory.mktemp("modules")
    for each in (*Path(page.__file__).parent.glob("*.js"), *PROGRAMS.glob("*.js")):
        shutil.copy(each, folder)
    (folder / "rules.json").write_bytes(page.rules(TIMEOUTS))
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


@pytest.mark.parametrize("name", ["parts", "socket-v2", "hearing"])
def test_the_modules_do_what_they_say(modules: Path, name: str) -> None:
    command = [program("node"), "--test", "--test-reporter=tap", str(modules / f"{name}.test.js")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=modules)
    assert done.returncode == 0, done.stdout
    assert "# fail 0" in done.stdout
    assert "# pass 0" not in done.stdout


# ------------------------------------------------------------ the client of V1, walked at random

WORDS: tuple[Step, ...] = (
    *[("say", "hello"), ("interrupt", None), ("pause", None), ("resume", None), ("played", None)],
    *[("open_microphone", None), ("close_microphone", None), ("block", 320)],
)
FRAMES: tuple[Step, ...] = (
    *[("frame", started("S")), ("frame", started("T")), ("frame", OPEN), ("frame", OPEN)],
    *[
        ("frame", item("part")),
        ("frame", item("#snow")),
        ("frame", item("part")),
        ("audio", 100),
        ("audio", 0),
    ],
    *[("frame", response()), ("frame", response()), ("frame", response("whole"))],
    *[("frame", response("#snow")), ("frame", response(locale="cs_CZ"))],
    *[("frame", response(sttMode="Duplex")), ("frame", response(sttMode="SingleUtterance"))],
    *[("frame", response(sessionEnded=True)), ("frame", response("end", sessionEnded=True))],
    *[("frame", response(sleepTimeout=30)), ("frame", response("sleep", sessionEnded=True, sleepTimeout=30))],
    *[("frame", recognized("so", final=False)), ("frame", recognized("so far", final=True))],
    *[("frame", SESSION_ENDED), ("frame", ERROR), ("frame", {"type": "Novelty"}), ("frame", READY)],
    ("frame", {"type": "Input", "input": {"transcript": {"text": "of the other direction"}}}),
)
TIME: tuple[Step, ...] = tuple(("advance", seconds) for seconds in (4.0, 7.0, 16.0, 31.0))
BACK: tuple[Step, ...] = (("advance", 11.0), ("opened", None), ("frame", READY))
OUTAGE: tuple[Step, ...] = (("lost", None), ("advance", 11.0), ("lost", None), *BACK)
SLEEP: Step = ("frame", response(sleepTimeout=30))
DETOURS: tuple[tuple[Step, ...], ...] = (
    (("lost", None), *BACK),
    OUTAGE,
    (("frame", started("S")), ("lost", None), *BACK, ("say", "again")),
    (("say", "one"), ("say", "two"), SLEEP, *TIME),
)
"""What chance alone would hardly come upon."""


def walks(seed: int, count: int) -> list[list[Step]]:
    chance = random.Random(seed)
    return [[("connect", None), ("opened", None), ("frame", READY), *_steps(chance)] for _ in range(count)]


def _steps(chance: random.Random) -> list[Step]:
    found: list[Step] = []
    for _ in range(40):
        if chance.random() < 0.05:
            found += chance.choice(DETOURS)
        else:
            found.append(chance.choice(chance.choices((WORDS, FRAMES, TIME), (10, 12, 1))[0]))
    return found


class Reference:
    """The Python client, told the same."""

    def __init__(self, config: ClientConfig, *, auto_start: bool) -> None:
        self.host = ClientHost(config=config, auto_start=auto_start, timeouts=TIMEOUTS)
        self.connecting = self.connected = False

    def step(self, name: str, argument: Any) -> dict[str, Any]:
        with suppress(LocalProtocolError):  # not legal now: the page does nothing either
            getattr(self, f"_{name}", self._word)(name, argument)
        self.host.step()
        sent, told = self.host.sent(), self.host.told()
        self._look(sent)
        client = self.host.client
        return {
            "state": client.state.value,
            "audio": client.audio.value,
            "session": client.session_id,
            "sent": sent,
            "told": [each.replace(" 1006", "") for each in told],
        }

    def _look(self, sent: list[str]) -> None:
        for each in sent:
            if each == "connect":
                self.connecting, self.connected = True, False
            elif each.startswith("Close "):
                self.connecting = self.connected = False

    def _word(self, name: str, _: Any) -> None:
        getattr(self.host.client, name)()

    def _connect(self, *_: Any) -> None:
        self.host.client.open()

    def _opened(self, *_: Any) -> None:
        if self.connecting:
            self.connecting, self.connected = False, True
            self.host.receive(ResponseHead(status=101))

    def _lost(self, *_: Any) -> None:
        if self.connecting or self.connected:
            self.connecting = self.connected = False
            self.host.lost()

    def _frame(self, _: str, frame: Frame) -> None:
        if self.connected:
            self.host.receive(frame)

    def _audio(self, _: str, size: int) -> None:
        if self.connected:
            self.host.receive(bytes(size))

    def _say(self, _: str, text: str) -> None:
        self.host.client.say(text)

    def _block(self, _: str, size: int) -> None:
        self.host.client.send_audio(bytes(size))

    def _played(self, *_: Any) -> None:
        self.host.client.finish_playback()

    def _advance(self, _: str, seconds: float) -> None:
        self.host.advance(seconds)


def line_of(event: str | Frame) -> str:
    """What the page's client sent or told, as `tests.conversation` writes it."""
    match event:
        case str():
            return event
        case {"type": "Close", "code": code}:
            return f"Close {code}"
        case {"type": "Binary", "size": size}:
            return f"audio {size}" if size else "keep-alive"
        case {"type": "TurnInterrupted", "number": number, "reason": reason}:
            return f"TurnInterrupted {number} {reason}"
        case {"type": "SessionExpired", "sessionId": session_id}:
            return f"SessionExpired {session_id}"
    return line(event)


@pytest.mark.parametrize("mode", [SttMode.SINGLE_UTTERANCE, SttMode.DUPLEX], ids=lambda mode: mode.value)
@pytest.mark.parametrize("auto_start", [False, True], ids=["typed first", "#intro first"])
def test_the_client_of_the_page_walks_as_the_python_client_does(
    modules: Path, mode: SttMode, auto_start: bool
) -> None:
    config = ClientConfig(send_response_items=True, stt_interim_results=True, stt_mode=mode)
    settings = {
        "url": "ws://host/socket",
        "key": "K",
        "deviceId": "D",
        "token": "",
        "attributes": {},
        "locale": "en",
        "zoneId": "Europe/Paris",
        "config": {"sttMode": mode.value},
        "autoStart": auto_start,
    }
    rules = json.loads(page.rules(TIMEOUTS))
    found = walks(7 + auto_start, 150)
    typed = "".join(
        json.dumps({"rules": rules, "settings": settings, "steps": steps}) + "\n" for steps in found
    )
    command = [program("node"), str(modules / "walk.js")]
    done = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    states = set()
    for steps, seen in zip(found, map(json.loads, done.stdout.splitlines()), strict=True):
        reference = Reference(config, auto_start=auto_start)
        for number, (step, each) in enumerate(zip(steps, seen, strict=True)):
            for way in ("sent", "told"):
                each[way] = [line_of(event) for event in each[way]]
            expected = reference.step(*step)
            assert each == expected, f"after {steps[: number + 1]}"
            states.add((each["state"], each["audio"]))
    assert {state for state, _ in states} == set(rules["states"])
    assert {audio for _, audio in states} == {"closed", "asked", "open"}
