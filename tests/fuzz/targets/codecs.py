"""The codecs: single messages, bodies of events, plain text, heads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from flowstorm_channel.codecs import JsonCodec, MsgpackCodec, StreamDecoder, StreamEncoder
from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from flowstorm_channel.events import (
    ErrorEvent,
    Event,
    InputEvent,
    RecognizedInputEvent,
    ResponseEvent,
    ResponseItemEvent,
)
from flowstorm_channel.limits import DEFAULT_LIMITS
from flowstorm_channel.socket_v2 import bodies
from flowstorm_channel.socket_v2.settings import PARAMETERS, Settings, cookie_of, given_cookie, token_of
from flowstorm_channel.values import Gender, Input, Response, ResponseItem, Transcript, TtsConfig
from flowstorm_channel.wire import RequestHead, ResponseHead
from tests.fuzz.limits import chosen_limits
from tests.fuzz.messages import FROM_CLIENT, FROM_SERVER, binary_message, mutated, text_message
from tests.fuzz.program import Failure, Program

__all__ = ["heads", "json", "msgpack", "plain_text", "stream"]

_ANY = (*FROM_CLIENT, *FROM_SERVER)
_UNLIMITED_JSON, _UNLIMITED_MSGPACK = JsonCodec(), MsgpackCodec()

Codec = JsonCodec | MsgpackCodec


def json(data: bytes) -> None:
    """One JSON message, as text or bytes; or a frame of a peer with something changed."""
    program = Program(data)
    codec = JsonCodec(chosen_limits(program))
    form = program.below(4)
    if form == 0:
        _check_message(codec, program.rest())
    elif form == 1:
        _check_message(codec, program.rest().decode("utf-8", "surrogateescape"))
    else:
        text = text_message(mutated(program.choose(_ANY), program))
        if form == 3:  # and something wrong with the text itself
            at = program.byte()
            text = text[:at] + program.text(12) * program.times() + text[at + program.below(4) :]
        _check_message(codec, text)


def msgpack(data: bytes) -> None:
    """One msgpack message; or a frame of a peer with something changed."""
    program = Program(data)
    codec = MsgpackCodec(chosen_limits(program))
    form = program.below(4)
    if form < 2:
        _check_message(codec, program.rest())
        return
    packed = _packed(mutated(program.choose(_ANY), program))
    if form == 3:
        at = program.byte()
        packed = packed[:at] + program.taken(12) * program.times() + packed[at + program.below(4) :]
    _check_message(codec, packed)


def _packed(tree: Any) -> bytes:
    try:
        return binary_message(tree)
    except (OverflowError, ValueError):  # an integer of more than 64 bits
        return b"\x81\xa1x\xcf" + b"\xff" * 8


def _check_message(codec: Codec, message: Any) -> Event | None:
    """Decode, and what is taken says the same when it is sent on and read again."""
    try:
        event = codec.decode(message)
    except RemoteProtocolError as error:
        _check_refusal(codec, message, error)
        return None
    if len(message) > codec.limits.message_bytes:
        raise Failure("more than message_bytes were taken")
    unlimited: Codec = _UNLIMITED_MSGPACK if codec.BINARY else _UNLIMITED_JSON
    try:
        sent: Any = unlimited.encode(event)
    except LocalProtocolError as error:
        raise AssertionError(f"what was taken cannot be sent: {event!r}: {error}") from error
    again = unlimited.decode(sent)
    if again != event:
        raise Failure(f"{event!r} comes back as {again!r}")
    if repr(again) != repr(event):
        raise Failure(f"{event!r} comes back looking like {again!r}")
    if unlimited.encode(again) != sent:
        raise Failure(f"{event!r} is written in two ways")
    if not (hash(event) is not None if not _has_map(event) else True):
        raise Failure("no hash")
    return event


def _has_map(event: Event) -> bool:
    return "{" in repr(event)


def _check_refusal(codec: Codec, message: Any, error: RemoteProtocolError) -> None:
    """A refusal is always the same, is short, and more room makes no other fault of it than a limit."""
    text = str(error)
    if len(text) > 4 * len(message) + 1500:
        raise Failure(f"{len(text)} characters of complaint")
    text.encode()  # it is sent to the peer
    second = _refusal(lambda: codec.decode(message))
    if second != (type(error), text):
        raise Failure(f"{text!r}, then {second}")
    roomy = codec.limits is DEFAULT_LIMITS and not codec.BINARY  # msgpack only says how long things are
    short = len(message) <= DEFAULT_LIMITS.nesting
    if isinstance(error, LimitExceeded) and roomy and short:
        raise Failure(f"a short message exceeds: {text}")


def _refusal(act: Callable[[], object]) -> tuple[type, str] | None:
    """How it is refused; None when it is taken."""
    try:
        act()
    except RemoteProtocolError as error:
        return type(error), str(error)
    return None


# ------------------------------------------------------------ bodies


def stream(data: bytes) -> None:
    """A body of events, whole and in pieces: the same events, and then the same error."""
    program = Program(data)
    limits = chosen_limits(program)
    binary = program.flag()
    body = _body(program, binary=binary)
    codec: Codec = MsgpackCodec(limits) if binary else JsonCodec(limits)
    whole = _events_of(codec, [body])
    pieces = list(program.cuts(body))
    cut = _events_of(codec, pieces)
    if whole != cut:
        raise Failure(f"the cuts count: {whole!r} and {cut!r}")
    if len(body) < 80:
        bytewise = _events_of(codec, [body[at : at + 1] for at in range(len(body))])
        if whole != bytewise:
            raise Failure(f"single bytes count: {whole!r} and {bytewise!r}")
    _check_encoding(codec, whole[0])


def _body(program: Program, *, binary: bool) -> bytes:
    found = bytearray()
    if program.flag():
        found += program.taken() * program.times()
    for _ in range(program.below(4)):
        form = program.below(4)
        if form == 0:
            found += program.taken(40) * program.times()
            continue
        tree = mutated(program.choose(_ANY), program)
        one = _packed(tree) if binary else text_message(tree).encode("utf-8", "surrogatepass")
        found += one * (program.times() if form == 1 else 1)
        found += (b"", b"\n", b" ", b",")[program.below(4)]
    return bytes(found)


def _events_of(codec: Codec, pieces: list[bytes]) -> tuple[list[Event], str]:
    decoder = StreamDecoder(codec)
    events: list[Event] = []
    fed = 0
    most = codec.limits.message_bytes
    try:
        for piece in pieces:
            decoder.feed(piece)
            fed += len(piece)
            events += decoder
            if decoder.buffered > most + len(piece):
                raise Failure(f"{decoder.buffered} bytes are held")
        decoder.close()
    except RemoteProtocolError as error:
        _check_broken(decoder, error)
        problem = f"{type(error).__name__} {error}"
    else:
        problem = ""
    if decoder.scanned > 2 * fed + 16:
        raise Failure(f"{decoder.scanned} looked at, of {fed} bytes")
    if len(events) > fed:
        raise Failure("more events than bytes")
    return events, problem


def _check_broken(decoder: StreamDecoder, error: RemoteProtocolError) -> None:
    """It stays broken, and holds nothing."""
    decoder.feed(b'{"type":"Ready"}')
    if decoder.buffered != 0:
        raise Failure("bytes are held after an error")
    for again in (decoder.next_event, decoder.close):
        second = _refusal(again)
        if second != (type(error), str(error)):
            raise Failure(f"{error}, and then {second}")


def _check_encoding(codec: Codec, events: list[Event]) -> None:
    unlimited: Codec = _UNLIMITED_MSGPACK if codec.BINARY else _UNLIMITED_JSON
    encoder = StreamEncoder(unlimited)
    body = b"".join(map(encoder.encode, events[:50]))
    decoder = StreamDecoder(unlimited)
    decoder.feed(body)
    if list(decoder) != events[:50]:
        raise Failure("a body comes back as another one")


# ------------------------------------------------------------ plain text

_MARKS = ("< ", "# (", "~ ", "! ", ".")


def plain_text(data: bytes) -> None:
    """A body that is one text, and the lines that answer it."""
    program = Program(data)
    limits = chosen_limits(program)
    body = program.taken() * program.times()
    whole = _text_of([body], limits)
    if whole != _text_of(list(program.cuts(body)), limits):
        raise Failure("the cuts count")
    if isinstance(whole, InputEvent) and len(whole.input.transcript.text) > len(body):
        raise Failure("a text out of nothing")
    writer = bodies.Writer(bodies.Form.TEXT)
    while not program.done:
        event = _said(program)
        lines = writer.encode(event).decode()
        if not (lines == "" or lines.endswith("\n")):
            raise Failure(f"no end of line: {lines!r}")
        for line in lines.removesuffix("\n").split("\n") if lines else ():
            if not line.startswith(_MARKS):
                raise Failure(f"a line of no kind: {line!r}")
            if len((line + "|").splitlines()) != 1:
                raise Failure(f"a line in a line: {line!r}")
            _check_mark(event, line)


def _check_mark(event: Event, line: str) -> None:
    """A text cannot pass for another kind of line."""
    allowed = {
        ResponseItemEvent: ("< ", "# ("),
        ResponseEvent: ("< ", "# (", "."),
        RecognizedInputEvent: ("~ ",),
        ErrorEvent: ("! ",),
    }[type(event)]
    if not line.startswith(allowed):
        raise Failure(f"{type(event).__name__} says {line!r}")
    if not (line != "." or isinstance(event, ResponseEvent)):
        raise Failure("an end that nobody has said")


def _text_of(pieces: list[bytes], limits: Any) -> object:
    reader = bodies.Text(limits, locale="en-US", zone_id="Europe/Prague")
    try:
        for piece in pieces:
            reader.feed(piece)
            if reader.next_event() is not None:
                raise Failure("a text before its end")
        reader.close()
    except RemoteProtocolError as error:
        return f"{type(error).__name__} {error}"
    event = reader.next_event()
    if reader.next_event() is not None:
        raise Failure("two texts")
    return event


def _said(program: Program) -> Event:
    match program.below(4):
        case 0:
            return ResponseItemEvent(response_item=_item(program))
        case 1:
            items = tuple(_item(program) for _ in range(program.below(3)))
            return ResponseEvent(response=Response(items=items, session_ended=program.flag()))
        case 2:
            said = Input(transcript=Transcript(text=program.clean_text(40)))
            return RecognizedInputEvent(input=said, is_final=program.flag())
        case _:
            return ErrorEvent(text=program.clean_text(40), source=program.clean_text(8) or None)


def _item(program: Program) -> ResponseItem:
    voice = program.clean_text(10)
    return ResponseItem(
        text=program.clean_text(40),
        image=program.clean_text(20) or None,
        audio=program.clean_text(20) or None,
        code=program.clean_text(20) or None,
        tts_config=TtsConfig(provider="p", locale="en", gender=Gender.MALE, name=voice) if voice else None,
    )


# ------------------------------------------------------------ heads


def heads(data: bytes) -> None:
    """What a head says of its client: headers, the query, cookies, tokens; and it is said again alike."""
    program = Program(data)
    url = program.text() if program.flag() else f"/client?{program.text()}"
    names = ("X-Key", "X-DeviceId", "Cookie", "Authorization", "Set-Cookie", "Accept", "Content-Type")
    more = [each.header for each in PARAMETERS if each.header]
    headers = []
    while not program.done:
        name = program.text(20) if program.below(8) == 0 else program.choose((*names, *more))
        headers.append((name, program.text()))
    head = RequestHead(method="PUT", url=url, headers=tuple(headers))
    repr(head)
    cookie_of(head)
    token = token_of(head)
    if not (token is None or token):
        raise Failure("an empty token")
    given_cookie(ResponseHead(status=200, headers=tuple(headers)))
    form = bodies.accepted(head.header("Accept"))
    media_type = bodies.media_type_of(head.header("Content-Type"))
    if form not in bodies.Form:
        raise Failure("no form")
    if not (bodies.body_form(media_type) is None or not bodies.is_audio(media_type)):
        raise Failure("two things at once")
    try:
        settings = Settings.read(head)
    except RemoteProtocolError as error:
        str(error).encode(errors="strict")
        return
    if settings.init.key != settings.key:
        raise Failure("another key")
    said = tuple((header, text) for header, _, text in settings.parameters())
    again = Settings.read(RequestHead(method="PUT", url="/", headers=said))
    if again != attrs.evolve(settings, realtime=False):  # that is of the body, not of the client
        raise Failure(f"{settings!r} says {again!r}")
