"""A small server of Flowstorm Socket V1 that owes nothing to the library.

It was written from the protocol's description alone (README, events, socket-v1 and the decisions they cite),
so that a client can be tested against a second reading of that text. Its dialogue understands a few words and
repeats the rest; its recogniser only tells loud from quiet.

All handling of events is synchronous and puts its frames into one queue, so their order is that of the code.
The specification's states follow from four attributes: Open = no ``config``; Processing and Responding = a
``turn``; Listening = a ``session`` without a "sleep" timer; Sleeping = the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import itertools
import json
import logging
import re
import signal
import sys
import uuid
import wave
from array import array
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

MAX_MESSAGE, MAX_QUEUED = 2**20, 4 * 2**20  # bytes
MAX_DEPTH, MAX_MEMBERS, MAX_STRING = 64, 1000, 256 * 1024
INIT_DEADLINE = 30.0
LOUD = 1000  # the smallest amplitude, of 32767, that counts as speech
COMMAND = re.compile(r"#[\w-]+")
SESSION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
LOCALE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
OFFSET = re.compile(r"[+-]\d\d:\d\d")
log = logging.getLogger("independent_server")

# What a client may send: member:kind, "!" marks a required one, "[]" a list, "|" separates the legal names.
EVENTS = {
    "Init": "key:str! deviceId:str! token:str config:ClientConfig",
    "Input": "input:Input!",
    "Request": "request:Request!",
    "InputAudioStreamOpen": "sessionId:str message:Message",
    "InputAudioStreamClose": "",
    "InputAudioStreamCancel": "",
    "SessionEnded": "",
    "Log": "entries:LogEntry[]",
    "Vote": "turnId:str nodeId:int vote:int!",
    "Binary": "data:bytes!",
}
VALUES = {
    "Input": "locale:locale zoneId:zone transcript:Transcript alternatives:Transcript[] classes:InputClass[]"
    " tokens:Token[] action:str attributes:map",
    "Transcript": "text:str! confidence:float",
    "InputClass": "type:Intent|Entity|Sentiment! name:str! score:float model_id:str",
    "Token": "type:Word|Punctuation! text:str! classes:InputClass[] startTime:float endTime:float",
    "Request": "appKey:str! deviceId:str! token:str sessionId:str! initiationId:str input:Input!"
    " attributes:map",
    "Message": "sessionId:str",
    "LogEntry": "time:time level:ERROR|WARN|INFO|DEBUG|TRACE text:str",
    "TtsConfig": "provider:str! locale:locale! gender:Male|Female! name:str! engine:str",
    "ClientConfig": "locale:locale zoneId:zone stt:bool sttMode:Default|SingleUtterance|Duplex"
    " sttSampleRate:int tts:None|RequiredStreaming|RequiredLinks ttsConfig:TtsConfig"
    " ttsFileType:mp3|wav|mulaw voice:str returnSsml:bool silenceTimeout:int test:bool"
    " sendResponseItems:bool sttInterimResults:bool",
}
ALIASES = {
    "Init": {"appKey": "key", "sender": "deviceId"},
    "Request": {"key": "appKey", "sender": "deviceId"},
}
TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,), "bool": (bool,), "map": (dict,), "list": (list,),
    "int": (int, float), "float": (int, float), "time": (str, int, float, list), "bytes": (str, list),
    "locale": (str,), "zone": (str,),
}  # fmt: skip
DEFAULTS = {
    "locale": "en", "sttMode": "SingleUtterance", "sttSampleRate": 16_000, "silenceTimeout": 5000,
    "tts": "None", "ttsFileType": "mp3", "sendResponseItems": False, "sttInterimResults": False,
}  # fmt: skip
# Events of the server, and those of V2 only.
NOT_FROM_CLIENTS = {"Ready", "Error", "Recognized", "ResponseItem", "Response", "SessionStarted"}
NOT_FROM_CLIENTS |= {"RecognizedInput", "InputStreamClose"}
OTHER_SPELLINGS = {"SessionStart": "SessionStarted", "SessionEnd": "SessionEnded"}
OTHER_SPELLINGS |= {"InputStream": "InputStreamClose", "OutputStreamClose": "InputStreamClose"}

# --- Reading events ----------------------------------------------------------------------------------


class Fault(Exception):
    """The client has sent something that the protocol does not allow; the text goes into the Error event."""


def read_object(members: str, aliases: dict[str, str], value: Any, where: str) -> dict[str, Any]:
    """The known members of an object. Null counts as absent, of two aliases the last one counts."""
    result: dict[str, Any] = {}
    kinds = dict(member.split(":") for member in members.split())
    for member, content in read("map", value, where).items():
        name = aliases.get(member, member)
        if content is not None and name in kinds:
            result[name] = read(kinds[name].rstrip("!"), content, f"{where}.{name}")
    for name, kind in kinds.items():
        if kind.endswith("!") and name not in result:
            raise Fault(f"{where}.{name}: missing")
    return result


def read(kind: str, value: Any, where: str) -> Any:
    """Check one value, and bring it into the form in which the server uses it."""
    if kind.endswith("[]"):
        items = enumerate(read("list", value, where))
        return [read(kind[:-2], item, f"{where}[{index}]") for index, item in items]
    if kind in VALUES:
        return read_object(VALUES[kind], ALIASES.get(kind, {}), value, where)
    if "|" in kind:
        if value not in kind.split("|"):
            raise Fault(f"{where}: one of {kind.replace('|', ', ')} expected")
        return value
    if not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "bool"):
        raise Fault(f"{where}: {kind} expected")
    if isinstance(value, float) and abs(value) == float("inf"):
        raise Fault(f"{where}: a finite number expected")
    if isinstance(value, (int, float)) and kind == "int" and (value != int(value) or abs(value) >= 2**31):
        raise Fault(f"{where}: a whole number of at most 31 bits expected")
    special: dict[str, Callable[[Any, str], Any]] = {"locale": locale, "zone": zone, "bytes": binary}
    return special[kind](value, where) if kind in special else value


def locale(value: str, _where: str) -> str:
    """The underscore form that events carry. A malformed locale counts as the default (D-81)."""
    if not LOCALE.fullmatch(value):
        return "en"
    language, *rest = re.split("[-_]", value)
    return "_".join([language.lower(), *(part.title() if len(part) == 4 else part.upper() for part in rest)])


def zone(value: str, where: str) -> str:
    try:
        return value if OFFSET.fullmatch(value) else ZoneInfo(value).key
    except (KeyError, ValueError, OSError):
        raise Fault(f"{where}: unknown time zone") from None


def binary(value: str | list[Any], where: str) -> bytes:
    """Base64, standard or URL-safe, or an array of signed or unsigned bytes."""
    try:
        if isinstance(value, list):
            if any(read("int", item, where) < -128 for item in value):
                raise ValueError
            return bytes(int(item) + 256 if item < 0 else int(item) for item in value)
        text = value.translate(str.maketrans("-_", "+/")).rstrip("=")
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise Fault(f"{where}: base64 or bytes expected") from None


def no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def last_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of duplicate members and of aliases the last one counts, so a repeated member also moves to the end."""
    result: dict[str, Any] = {}
    for name, value in pairs:
        result.pop(name, None)
        result[name] = value
    return result


def check_limits(value: Any) -> None:
    """Refuse what is nested too deep or too large, level by level."""
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for parent in level:
            members = list(itertools.chain(parent, parent.values())) if isinstance(parent, dict) else parent
            if len(parent) > MAX_MEMBERS:
                raise Fault(f"more than {MAX_MEMBERS} members or items")
            if any(isinstance(member, str) and len(member) > MAX_STRING for member in members):
                raise Fault(f"a string of more than {MAX_STRING} characters")
            below += [member for member in members if isinstance(member, (dict, list))]
        if not below:
            return
        level = below
    raise Fault(f"nested deeper than {MAX_DEPTH}")


def decode(message: str) -> tuple[str, dict[str, Any]]:
    """The event's type in its short spelling, and its members; an unknown event keeps all of them."""
    try:
        value = json.loads(message, parse_constant=no_constant, object_pairs_hook=last_wins)
    except (ValueError, RecursionError):
        raise Fault("not JSON") from None
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise Fault("not an object with a type")
    check_limits(value)
    kind = value["type"].removesuffix("Event")
    kind = OTHER_SPELLINGS.get(kind, kind)
    if kind in NOT_FROM_CLIENTS:
        raise Fault(f"{kind}: not an event that a client of V1 sends")
    if kind not in EVENTS:
        return kind, value
    event = read_object(EVENTS[kind], ALIASES.get(kind, {}) if kind == "Init" else {}, value, kind)
    if kind == "Vote" and event["vote"] not in (1, -1):
        raise Fault("Vote.vote: 1 or -1 expected")
    return kind, event


# --- Speech ------------------------------------------------------------------------------------------


class Recogniser:
    """Takes any loud audio for speech, and half a second of quiet after it for the end of the utterance."""

    def __init__(self, rate: int) -> None:
        self.window = rate // 100 * 2  # bytes of 10 ms
        self.rest = b""
        self.loud = self.quiet = 0  # windows of speech in this utterance; windows of quiet since

    def hear(self, audio: bytes) -> Iterator[tuple[str, bool]]:
        """Yield each result, text and whether it is final, as soon as the audio tells it."""
        audio = self.rest + audio
        end = len(audio) - len(audio) % self.window
        self.rest = audio[end:]
        for start in range(0, end, self.window):
            samples = array("h", audio[start : start + self.window])
            if sys.byteorder == "big":
                samples.byteswap()
            if max(samples) >= LOUD or min(samples) <= -LOUD:
                self.quiet = 0
                self.loud += 1
                if self.loud % 100 == 1:  # at the start, and then once a second
                    yield "…", False
            elif self.loud:
                self.quiet += 1
                if self.quiet == 50:
                    self.loud = self.quiet = 0
                    yield "spoken words", True


def wav_file() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes((b"\x00\x20" * 10 + b"\x00\xe0" * 10) * 80)  # 400 Hz, 0.2 s
    return file.getvalue()


SPEECH = {  # all that this server can say aloud, in each file type
    "mp3": (b"\xff\xfb\x90\xc4" + bytes(413)) * 8,  # frames of 128 kbit/s, 44100 Hz, mono, silent
    "wav": wav_file(),
    "mulaw": (b"\x9f" * 10 + b"\x1f" * 10) * 80,
}
FILES = {
    "/speech.mp3": ("audio/mpeg", SPEECH["mp3"]),
    "/speech.wav": ("audio/wav", SPEECH["wav"]),
    "/speech.mulaw": ("audio/basic", SPEECH["mulaw"]),
    "/picture.svg": ("image/svg+xml", b'<svg xmlns="http://www.w3.org/2000/svg"><circle r="9"/></svg>'),
}

# --- The connection ----------------------------------------------------------------------------------


def text_of(user_input: dict[str, Any]) -> str:
    return str(user_input.get("transcript", {"text": ""})["text"])


class Ending(NamedTuple):
    """How a turn ends: the members of its Response besides the items."""

    session_ended: bool = False
    sleep_timeout: int = 0
    locale: str | None = None


class Connection:
    """One client: its settings, its session, its audio stream and the turn that runs."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.config: dict[str, Any] = {}  # from the last Init that was accepted
        self.locale = "en"
        self.session: str | None = None
        self.proposed: str | None = None  # the session id of an InputAudioStreamOpen, for the next session
        self.malformed: tuple[str, str] | None = None  # a malformed session id and the one made for it (D-80)
        self.recogniser: Recogniser | None = None  # there while the stream is open
        self.duplex = False  # the mode in which the stream was opened
        self.turn: asyncio.Task[None] | None = None
        self.held: list[dict[str, Any]] = []  # items that wait for the Response
        self.timers: dict[str, asyncio.TimerHandle] = {}
        self.outgoing: asyncio.Queue[tuple[bytes, bool] | None] = asyncio.Queue()  # frame, is it text
        self.queued = 0  # bytes in the queue
        self.room = asyncio.Event()
        self.dropped = 0  # audio frames outside an open stream

    async def run(self) -> None:
        """Serve the client until its socket is closed."""
        writer = asyncio.create_task(self.write())
        self.start_timer("init", INIT_DEADLINE, self.give_up)
        try:
            async for message in self.socket:
                self.receive(message)
                while self.queued > MAX_QUEUED and not writer.done():
                    self.room.clear()
                    await self.room.wait()
        except ConnectionClosed:
            pass
        finally:
            self.drop_turn()
            for name in list(self.timers):
                self.stop_timer(name)
            writer.cancel()
            if self.dropped:
                log.info("%d audio frames came while no stream was open", self.dropped)

    async def write(self) -> None:
        """Send what is in the queue; None closes the socket."""
        try:
            while (frame := await self.outgoing.get()) is not None:
                data, is_text = frame
                await self.socket.send(data, text=is_text)
                self.queued -= len(data)
                self.room.set()
            await self.socket.close(1008, "no Init")
        except ConnectionClosed:
            pass
        finally:
            self.room.set()

    def put(self, kind: str, **members: Any) -> None:
        text = json.dumps({"type": kind, **members}, ensure_ascii=False)
        self.put_frame(text.encode("utf-8", "replace"), is_text=True)  # a lone surrogate becomes "?"

    def put_frame(self, data: bytes, is_text: bool = False) -> None:
        self.queued += len(data)
        self.outgoing.put_nowait((data, is_text))

    def start_timer(self, name: str, seconds: float, callback: Callable[..., None], *args: Any) -> None:
        self.stop_timer(name)
        self.timers[name] = asyncio.get_running_loop().call_later(seconds, callback, *args)

    def stop_timer(self, name: str) -> None:
        if timer := self.timers.pop(name, None):
            timer.cancel()

    # What the client sends

    def receive(self, message: str | bytes) -> None:
        try:
            if isinstance(message, bytes):
                self.hear(message)
            else:
                self.handle(*decode(message))
        except Fault as fault:
            self.fail(str(fault))

    def handle(self, kind: str, event: dict[str, Any]) -> None:
        if not self.config and kind not in ("Init", "Binary"):
            raise Fault("Init expected")
        match kind:
            case "Init":
                self.init(event["key"], DEFAULTS | event.get("config", {}))
            case "Input":
                self.take(text_of(event["input"]))
            case "Request":
                request = event["request"]
                self.take(text_of(request["input"]), self.legal_id(request["sessionId"]))
            case "InputAudioStreamOpen":
                self.open_stream(event.get("sessionId") or event.get("message", {}).get("sessionId"))
            case "InputAudioStreamClose" | "InputAudioStreamCancel":
                self.close_stream()
            case "Binary":
                self.hear(event["data"])
            case "SessionEnded" if self.turn:
                self.cut(session_ended=True)
            case "SessionEnded":
                self.end_session()
                self.put("SessionEnded")
            case "Log":
                for entry in event.get("entries", []):
                    log.info("session %s: %s", self.session, entry)
            case "Vote":
                log.info("session %s: %s", self.session, event)
            case _:
                log.info("unknown event %s", kind)

    def init(self, key: str, config: dict[str, Any]) -> None:
        """Accept or refuse the client. A later Init replaces the settings; what runs goes on."""
        if key == "refused":
            raise Fault("The key is refused.")
        if not 1000 <= config["sttSampleRate"] <= 192_000 or config["silenceTimeout"] < 0:
            raise Fault("Init.config: sttSampleRate or silenceTimeout out of range")
        self.stop_timer("init")
        self.config, self.locale = config, config["locale"]
        self.put("Ready")

    def give_up(self) -> None:
        self.put("Error", text=f"No Init within {INIT_DEADLINE:.0f} seconds.")
        self.outgoing.put_nowait(None)

    def fail(self, text: str) -> None:
        """Answer a fault: the session and its turn are over, the socket stays."""
        self.drop_turn()
        self.end_session()
        self.put("Error", text=text)

    # Session and turns

    def legal_id(self, session_id: str) -> str:
        """The client's session id, or the one that stands for it when it is malformed."""
        if SESSION_ID.fullmatch(session_id):
            return session_id
        if not self.malformed or self.malformed[0] != session_id:
            self.malformed = session_id, str(uuid.uuid4())
        return self.malformed[1]

    def begin_session(self, wanted: str | None = None) -> None:
        name = wanted or self.session or self.proposed or str(uuid.uuid4())
        if name != self.session:
            self.forget_session()
            self.session = name
            self.put("SessionStarted", sessionId=name)

    def forget_session(self) -> None:
        self.session = self.proposed = None
        self.locale = self.config.get("locale", "en")
        self.stop_timer("sleep")
        self.stop_timer("later")

    def end_session(self) -> None:
        self.forget_session()
        self.close_stream()

    def take(self, text: str, session_id: str | None = None, recognised: bool = False) -> None:
        """Let an input begin a turn. A turn that still runs is closed first (D-37)."""
        if self.turn:
            self.cut()
        self.begin_session(session_id)
        if recognised:
            self.put("Recognized", text=text, isFinal=True)
        if not self.duplex:
            self.close_stream()
        self.stop_timer("sleep")
        self.stop_timer("silence")
        self.turn = asyncio.create_task(self.answer(text))

    def drop_turn(self) -> None:
        if self.turn:
            self.turn.cancel()
        self.turn = None
        self.held = []

    def cut(self, session_ended: bool = False) -> None:
        """Close the running turn with an empty Response."""
        self.drop_turn()
        self.respond(Ending(session_ended))

    async def answer(self, text: str) -> None:
        """One turn. A failure of the dialogue is told as a Response that ends the session, not as Error."""
        try:
            ending = await self.converse(text.strip())
        except Exception as error:
            log.info("the dialogue failed: %s", error)
            self.say(f"I am sorry, something has failed: {error}")
            ending = Ending(session_ended=True)
        self.respond(ending)

    def say(self, text: str, **more: str) -> None:
        """Send or hold one item; its audio follows it."""
        item = {"text": text, **more}
        spoken = bool(text) and not COMMAND.fullmatch(text)
        file_type = self.config["ttsFileType"]
        if spoken and self.config["tts"] == "RequiredLinks":
            item["audio"] = f"/speech.{file_type}"
        if self.config["sendResponseItems"]:
            self.put("ResponseItem", responseItem=item)
        else:
            self.held.append(item)
        if spoken and self.config["tts"] == "RequiredStreaming":
            self.put_frame(SPEECH[file_type])

    def respond(self, ending: Ending) -> None:
        """Send the Response: the turn is over."""
        self.locale = ending.locale or self.locale
        items, self.held, self.turn = self.held, [], None
        self.put(
            "Response",
            response={
                "locale": self.locale,
                "items": items,
                "logs": [],
                "attributes": {},
                "sessionEnded": ending.session_ended,
                "sleepTimeout": ending.sleep_timeout,
                "turnId": str(uuid.uuid4()),
            },
        )
        self.stop_timer("sleep")
        if ending.session_ended:
            self.end_session()
            self.put("SessionEnded")
        elif ending.sleep_timeout:
            self.close_stream()
            self.start_timer("sleep", ending.sleep_timeout, self.forget_session)
        self.restart_silence()

    # The audio stream

    def open_stream(self, session_id: str | None) -> None:
        if session_id:
            self.proposed = self.legal_id(session_id)
        if not self.recogniser:
            self.recogniser = Recogniser(self.config["sttSampleRate"])
            self.duplex = self.config["sttMode"] == "Duplex"
            self.put("InputAudioStreamOpen")
        self.restart_silence()

    def close_stream(self) -> None:
        self.recogniser, self.duplex = None, False
        self.stop_timer("silence")

    def restart_silence(self) -> None:
        """The silence clock runs with the stream open and no turn running, never in Duplex (D-19, D-47)."""
        self.stop_timer("silence")
        timeout = self.config["silenceTimeout"]
        if self.recogniser and not self.turn and not self.duplex and timeout:
            self.start_timer("silence", timeout / 1000, self.take, "#silence", None, True)

    def hear(self, audio: bytes) -> None:
        """A block of audio; an empty one is a keep-alive."""
        if not audio:
            return
        if not self.recogniser:
            self.dropped += 1
            return
        recogniser = self.recogniser
        for text, final in recogniser.hear(audio):
            if final:
                self.take(text, recognised=True)
                if self.recogniser is not recogniser:
                    break  # the final result has closed the stream
            else:
                if self.config["sttInterimResults"]:
                    self.put("Recognized", text=text, isFinal=False)
                self.restart_silence()

    # The dialogue

    async def converse(self, text: str) -> Ending:
        match text.lower():
            case "#intro":
                self.say("Hello, I am a small server. What shall we talk about?")
            case "#silence":
                self.say("I have heard nothing.")
            case "stop":
                self.say("Goodbye.")
                return Ending(session_ended=True)
            case "sleep":
                self.say("I will wait for a minute.")
                return Ending(sleep_timeout=60)
            case "long":
                for count in range(1, 13):
                    self.say(f"This is sentence {count} of twelve.")
                    await asyncio.sleep(0.3)
            case "nothing":
                pass
            case "fail":
                raise RuntimeError("the dialogue was asked to fail.")
            case "later":
                self.say("I will come back to you.")
                self.start_timer("later", 1.0, self.come_back)
            case "image":
                self.say("This is a picture.", image="/picture.svg")
            case "video":
                self.say("This is a film.", video="/film.mp4")
            case "command":
                self.say("#volume", code="up")
            case "czech":
                self.say("Dobrý den, teď mluvíme česky.")
                return Ending(locale="cs")
            case _:
                self.say(f"You said: {text[:1000]}")
        return Ending()

    def come_back(self) -> None:
        """Begin a turn without an input; while another one runs, wait for its end."""
        if self.turn:
            self.start_timer("later", 1.0, self.come_back)
            return
        self.begin_session()
        self.say("Here I am again.")
        self.respond(Ending())


# --- The server --------------------------------------------------------------------------------------


def route(connection: ServerConnection, request: Request) -> Response | None:
    """Let /socket through, and give out the few files that items refer to."""
    path = urlsplit(request.path).path
    if path in ("/socket", "/socket/"):
        return None
    if path not in FILES:
        return connection.respond(404, "The WebSocket is at /socket.\n")
    response = connection.respond(200, "")
    content_type, response.body = FILES[path]
    for name, value in (("Content-Type", content_type), ("Content-Length", str(len(response.body)))):
        del response.headers[name]
        response.headers[name] = value
    return response


async def serve_client(socket: ServerConnection) -> None:
    await Connection(socket).run()


async def serve_forever(port: int) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    # Pings keep the way open; a client is never dropped for its silence (D-67).
    options: dict[str, Any] = {"process_request": route, "max_size": MAX_MESSAGE, "ping_timeout": None}
    async with serve(serve_client, "127.0.0.1", port, **options) as server:
        print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/socket", flush=True)
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="A small independent server of Flowstorm Socket V1.")
    parser.add_argument("--port", type=int, default=0, help="the port on 127.0.0.1; 0 lets the system choose")
    asyncio.run(serve_forever(parser.parse_args().port))


if __name__ == "__main__":
    main()
