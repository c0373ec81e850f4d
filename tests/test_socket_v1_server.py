"""The server end of Socket V1, row by row of the specification's table, then rule by rule.

What is expected is written down here by hand; nothing is derived from the machine's own tables.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from flowstorm_channel.channel import Control, Timeouts
from flowstorm_channel.codecs import MsgpackCodec
from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, TooLateError
from flowstorm_channel.events import (
    BinaryEvent,
    ClosedEvent,
    ErrorEvent,
    FaultEvent,
    InitEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    LogEvent,
    ReadyEvent,
    RecognizedEvent,
    RecognizedInputEvent,
    ResponseEvent,
    ResponseItemEvent,
    SessionEndEvent,
    SessionStartEvent,
    UnknownEvent,
)
from flowstorm_channel.limits import Limits
from flowstorm_channel.server import AudioStream, Turn
from flowstorm_channel.socket_v1 import SocketV1Server
from flowstorm_channel.socket_v1.frames import Frames
from flowstorm_channel.states import Audio, State
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.values import ExpectedPhrase, Input, Response, ResponseItem, SttMode, Transcript
from flowstorm_channel.wire import Close, Message, RequestHead, ResponseHead
from tests.conversation import (
    CANCEL,
    CLOSE,
    CODEC,
    ENDED,
    ERROR,
    LOG,
    NEW,
    OPEN,
    READY,
    VOTE,
    Frame,
    ServerHost,
    decoded,
    init,
    item,
    lines,
    recognized,
    refused,
    request,
    response,
    said,
    server_in,
    sleeping_session,
    started,
)

CLOSED, OPENED = State.CLOSED, State.OPEN
SLEEPING, LISTENING = State.SLEEPING, State.LISTENING
PROCESSING, RESPONDING = State.PROCESSING, State.RESPONDING
CONVERSING = (SLEEPING, LISTENING, PROCESSING, RESPONDING)
IN_A_TURN = (PROCESSING, RESPONDING)
DUPLEX = {"sttMode": "Duplex"}


def speak(host: ServerHost) -> Turn:
    """The turn that runs, else one that the server begins."""
    return host.turn if host.state in IN_A_TURN else host.server.begin()


# ------------------------------------------------------------ handshake


def test_the_handshake_is_answered_with_101() -> None:
    host = ServerHost()
    assert host.sent_messages() == [ResponseHead(status=101)]
    assert host.told() == []
    assert host.state is OPENED


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        ((), ()),
        ((("Sec-WebSocket-Protocol", "other"),), ()),
        (
            (("sec-websocket-protocol", "other, flowstorm.v1+msgpack"),),
            (("Sec-WebSocket-Protocol", "flowstorm.v1+msgpack"),),
        ),
        (
            (("Sec-WebSocket-Protocol", "flowstorm.v1+msgpack,other"),),
            (("Sec-WebSocket-Protocol", "flowstorm.v1+msgpack"),),
        ),
    ],
)
def test_the_subprotocol_is_answered_only_when_it_was_offered(
    offered: tuple[tuple[str, str], ...], answered: tuple[tuple[str, str], ...]
) -> None:
    host = ServerHost(opened=False)
    host.receive(RequestHead(url="/socket", headers=offered))
    assert host.sent_messages() == [ResponseHead(status=101, headers=answered)]


def msgpack_host() -> ServerHost:
    host = ServerHost(opened=False)
    host.receive(RequestHead(url="/socket", headers=(("Sec-WebSocket-Protocol", "flowstorm.v1+msgpack"),)))
    host.forget()
    return host


def test_with_msgpack_every_event_is_a_binary_message() -> None:
    host, codec = msgpack_host(), MsgpackCodec()
    host.receive(codec.encode(CODEC.decode(json.dumps(init()))))
    host.receive(b"")
    host.receive(codec.encode(CODEC.decode(json.dumps(OPEN))))
    host.stream.ready()
    host.receive(codec.encode(BinaryEvent(data=b"1234")))
    host.stream.recognized("yes", final=True)
    host.step()
    host.turn.say(b"tune")
    host.turn.finish()
    messages = host.sent_messages()
    assert {type(each) for each in messages} == {bytes}
    assert lines(list(decoded(messages))) == [
        *("Ready", "InputAudioStreamOpen", "SessionStarted s1", "Recognized final yes"),
        *("audio 4", "Response"),
    ]
    assert host.told() == ["Init", "InputAudioStreamOpen", "audio 4", "Input yes"]


def test_frames_are_json_unless_both_ends_asked_for_msgpack() -> None:
    frames = Frames(Limits())
    assert frames.write(ReadyEvent()) == '{"type":"Ready"}'
    assert frames.write(BinaryEvent(data=b"1234")) == frames.write(frames.read(b"1234")) == b"1234"


def test_with_msgpack_garbage_is_a_fault() -> None:
    host = msgpack_host()
    host.receive(b"\xc1")
    assert host.told() == ["Fault"]
    assert lines(list(decoded(host.sent_messages()))) == ["Error"]


@pytest.mark.parametrize("message", ["text", b"data", ResponseHead(status=101)])
def test_before_the_handshake_nothing_else_can_come(message: Message) -> None:
    host = ServerHost(opened=False)
    refused(host, lambda: host.server.receive_data(message))


@pytest.mark.parametrize("message", [RequestHead(url="/"), ResponseHead(status=101)])
def test_after_the_handshake_no_other_can_come(message: Message) -> None:
    host = ServerHost()
    host.forget()
    refused(host, lambda: host.server.receive_data(message))


def test_what_follows_the_handshake_may_come_with_it() -> None:
    host = ServerHost(opened=False)
    host.feed(RequestHead(url="/socket"), init())
    assert host.sent() == ["101", "Ready"]


@pytest.mark.parametrize("end", [Close(1001, "gone"), None])
def test_a_transport_that_goes_before_the_handshake(end: Close | None) -> None:
    host = ServerHost(opened=False)
    host.receive(end) if end is not None else host.lost()
    assert host.told() == [f"Closed {end.code if end else 1006}"]
    assert host.server.closed


# ------------------------------------------------------------ Init


def test_init_is_told_and_answered() -> None:
    host = ServerHost(accept=False)
    host.forget()
    host.receive(init(locale="cs_CZ"))
    assert host.server.init is None
    assert host.told() == ["Init"]
    assert host.server.next_event() is Control.NEED_ANSWER
    assert (host.state, host.sent()) == (OPENED, [])
    host.server.ready()
    assert (host.state, host.sent()) == (SLEEPING, ["Ready"])
    assert host.server.init is not None
    assert host.server.init.config.locale == "cs-CZ"


def test_a_refused_init_may_be_followed_by_another() -> None:
    host = ServerHost(accept=False)
    host.forget()
    host.receive(init())
    host.server.fail("not you", source="door")
    assert host.sent_frames() == [{"type": "Error", "text": "not you", "source": "door"}]
    assert (host.state, host.server.init) == (OPENED, None)
    host.receive(init())
    host.server.ready()
    assert (host.state, host.sent(), host.told()) == (SLEEPING, ["Ready"], ["Init", "Init"])


def test_ready_and_error_may_be_sent_as_events() -> None:
    host = ServerHost(accept=False)
    host.forget()
    host.receive(init())
    host.server.send(ErrorEvent(text="no"))
    host.receive(init())
    host.server.send(ReadyEvent())
    assert host.sent() == ["Error", "Ready"]


def test_nothing_is_read_until_init_is_answered() -> None:
    host = ServerHost(accept=False)
    host.forget()
    host.receive(init())
    host.receive(said("one"), LOG)
    host.receive(OPEN)
    assert host.told() == ["Init"]
    host.server.ready()
    assert host.told() == ["Input one", "Log", "InputAudioStreamOpen"]


def test_no_deadline_passes_while_init_is_unanswered() -> None:
    host = ServerHost(accept=False)
    host.forget()
    host.receive(init())
    assert host.due_in() is None
    host.advance(1000)
    assert (host.told(), host.sent()) == (["Init"], [])


@pytest.mark.parametrize("repeated", [False, True])
def test_the_end_of_the_transport_passes_the_gate(repeated: bool) -> None:
    host = server_in(LISTENING) if repeated else ServerHost()
    host.accept = False
    host.forget()
    host.receive(init())
    host.receive(said("never read"))
    host.lost()
    assert host.told() == ["Init", "Closed 1006"]
    for answer in (host.server.ready, lambda: host.server.fail("no")):
        with pytest.raises(TooLateError):
            answer()


def test_a_close_of_the_peer_passes_the_gate() -> None:
    host = ServerHost(accept=False)
    host.receive(init())
    host.receive(Close(1001, "bye"))
    assert host.told() == ["Init", "Closed 1001"]


def test_the_server_may_close_instead_of_answering_init() -> None:
    host = ServerHost(accept=False)
    host.forget()
    host.receive(init())
    host.server.close()
    assert (host.told(), host.sent()) == (["Init", "Closed 1000"], ["Close 1000"])


@pytest.mark.parametrize(
    "frame",
    [said(), request(), OPEN, CLOSE, CANCEL, LOG, VOTE, ENDED, NEW, READY, response(), "{", "[]", "{}"],
    ids=str,
)
def test_before_init_anything_else_is_a_fault(frame: Frame | str) -> None:
    host = ServerHost()
    host.forget()
    host.receive(frame)
    assert (host.state, host.told(), host.sent()) == (OPENED, ["Fault"], ["Error"])
    host.receive(init())
    assert (host.state, host.sent()) == (SLEEPING, ["Ready"])


def test_before_init_audio_is_dropped() -> None:
    host = ServerHost()
    host.forget()
    host.receive(b"1234", b"", {"type": "Binary", "data": "AAAA"})
    assert (host.state, host.told(), host.sent(), host.server.dropped) == (OPENED, [], [], 2)


def test_before_init_the_host_has_nothing_to_say() -> None:
    host = ServerHost()
    host.forget()
    for event in (
        ReadyEvent(),
        ErrorEvent(text="no"),
        SessionEndEvent(),
        UnknownEvent(data=NEW),
        ResponseEvent(response=Response()),
    ):
        refused(host, lambda event=event: host.server.send(event))
    refused(host, host.server.begin)


# ------------------------------------------------------------ what is received, cell by cell

Cell = tuple[State, "Frame | bytes | str", State, list[str], list[str]]


def _received() -> list[Cell]:
    cut = {PROCESSING: ["Response"], RESPONDING: ["Response"]}
    begin = {SLEEPING: ["SessionStarted s1"]}
    cells: list[Cell] = []
    for state in CONVERSING:

        def interrupted(reason: str, state: State = state) -> list[str]:
            return [f"TurnInterrupted 1 {reason}"] if state in IN_A_TURN else []

        cells += [
            (state, LOG, state, [], ["Log"]),
            (state, VOTE, state, [], ["Vote"]),
            (state, NEW, state, [], ["Novelty"]),
            (state, init(), state, ["Ready"], ["Init"]),
            (state, OPEN, state, [], ["InputAudioStreamOpen"]),
            (state, CLOSE, state, [], ["InputAudioStreamClose"]),
            (state, CANCEL, state, [], ["InputAudioStreamCancel"]),
            (state, b"", state, [], []),
            (state, b"1234", state, [], []),
            (state, {"type": "Binary", "data": "AAAA"}, state, [], []),
            (state, {"type": "Binary", "data": ""}, state, [], []),
            (
                *(state, said(), PROCESSING),
                cut.get(state, []) + begin.get(state, []),
                [*interrupted("input"), "Input hello"],
            ),
            (
                *(state, request(session_id="R"), PROCESSING),
                [*cut.get(state, []), "SessionStarted R"],
                [*interrupted("input"), "Input hello"],
            ),
            (
                *(state, ENDED, SLEEPING),
                [*(["Response ended"] if state in IN_A_TURN else []), "SessionEnded"],
                [*interrupted("session ended"), "SessionEnded"],
            ),
        ]
        for fault in (
            *("{", "[]", "{}", '"text"', '{"type":1}'),
            *({"type": "Input"}, {"type": "Input", "input": {"transcript": {"text": 3}}}),
            *({"type": "Vote", "vote": 7}, {"type": "Init", "key": "K"}),
            # of the other direction or version (D-59)
            *(READY, ERROR, started(), item(), response(), recognized(final=True), recognized(final=False)),
            *({"type": "InputStreamClose"}, {"type": "RecognizedInput", "input": said()["input"]}),
        ):
            cells.append((state, fault, SLEEPING, ["Error"], [*interrupted("error"), "Fault"]))
    return cells


@pytest.mark.parametrize("cell", _received(), ids=lambda cell: f"{cell[0].value} < {str(cell[1])[:60]}")
def test_received(cell: Cell) -> None:
    before, frame, after, sent, told = cell
    host = server_in(before)
    turn = host.server._turn
    host.receive(frame)
    assert host.state is after
    assert host.sent() == sent
    assert host.told() == told
    if turn is not None and told and told[0].startswith("TurnInterrupted"):
        assert turn.over
    if after is SLEEPING and before is not SLEEPING:
        assert host.server.session_id is None


@pytest.mark.parametrize("state", CONVERSING)
@pytest.mark.parametrize("audio", [Audio.ASKED, Audio.OPEN])
@pytest.mark.parametrize(
    ("frame", "stays"),
    [
        *[(LOG, True), (VOTE, True), (NEW, True), (OPEN, True), (b"", True), (b"1234", True), (init(), True)],
        *[(CLOSE, False), (CANCEL, False), (said(), False), (request(), False), (ENDED, False)],
        *[(READY, False), ("{", False)],
    ],
    ids=str,
)
@pytest.mark.parametrize("config", [{}, DUPLEX], ids=["", "Duplex"])
def test_received_and_the_stream(
    state: State, audio: Audio, frame: Frame | bytes | str, stays: bool, config: Frame
) -> None:
    host = server_in(state, config=config)
    host.receive(OPEN)
    stream = host.stream
    if audio is Audio.OPEN:
        stream.ready()
    host.receive(frame)
    if config and frame in (said(), request()):
        stays = True  # D-45: input does not close a Duplex stream
    assert host.audio is (audio if stays else Audio.CLOSED)
    assert stream.over is not stays


@pytest.mark.parametrize("state", [OPENED, *CONVERSING])
@pytest.mark.parametrize("how", ["eof", "close", "both"])
def test_the_transport_goes(state: State, how: str) -> None:
    host = server_in(state)
    if state is not OPENED:
        host.receive(OPEN)
        host.forget()
    turn, stream = host.server._turn, host.server._stream
    if how in ("close", "both"):
        host.receive(Close(1001, "bye"))
    if how in ("eof", "both"):
        host.lost()
    code = 1006 if how == "eof" else 1001
    told = ["TurnInterrupted 1 lost"] if state in IN_A_TURN else []
    assert host.told() == [*told, f"Closed {code}"]
    assert (host.state, host.sent(), host.server.closed) == (CLOSED, [], True)
    assert turn is None or turn.over
    assert stream is None or stream.over
    assert host.due_in() is None


def test_what_came_before_the_end_is_told_before_it() -> None:
    host = server_in(LISTENING)
    host.feed(LOG, said("last"))
    host.server.receive_eof()
    assert host.told() == ["Log", "Input last", "TurnInterrupted 2 lost", "Closed 1006"]


def test_what_is_queued_goes_nowhere_when_the_transport_is_gone() -> None:
    host = server_in(PROCESSING)
    host.turn.say("late")
    host.server.receive_eof()
    assert host.sent() == []


@pytest.mark.parametrize("state", [OPENED, *CONVERSING])
def test_the_host_closes(state: State) -> None:
    host = server_in(state)
    turn = host.server._turn
    if state in IN_A_TURN:
        host.turn.say("withdrawn")
    host.server.close()
    told = ["TurnInterrupted 1 closed"] if state in IN_A_TURN else []
    assert not host.server.closed
    assert host.told() == [*told, "Closed 1000"]
    assert host.server.closed
    assert (host.state, host.sent()) == (CLOSED, ["Close 1000"])
    assert turn is None or turn.over
    host.server.close()
    host.feed(said(), Close())
    host.lost()
    assert (host.told(), host.sent()) == ([], [])


def test_what_was_queued_goes_out_before_the_close() -> None:
    host = server_in(PROCESSING)
    host.turn.say("a")
    host.turn.finish()
    host.server.close(1001, "restarting")
    assert host.sent_messages()[-1] == Close(1001, "restarting")
    host = server_in(PROCESSING)
    host.turn.say("a")
    host.turn.finish()
    host.server.close()
    assert host.sent() == ["ResponseItem 'a'", "Response", "Close 1000"]


def test_a_close_is_not_lost_before_the_handshake_was_read() -> None:
    host = ServerHost(opened=False)
    host.feed(RequestHead(url="/socket"))
    host.server.close()
    assert host.told() == ["Closed 1000"]
    assert host.state is CLOSED


def test_nothing_can_be_done_after_the_end() -> None:
    host = server_in(LISTENING)
    host.receive(OPEN)
    stream = host.stream
    host.server.close()
    host.forget()
    server = host.server
    for call in (
        server.ready,
        lambda: server.fail("no"),
        server.begin,
        lambda: server.send(SessionEndEvent()),
        lambda: server.send(UnknownEvent(data=NEW)),
        lambda: server.rename_session("x"),
        stream.ready,
        stream.end_of_utterance,
        lambda: stream.recognized("x", final=True),
        lambda: host.turn.say("x"),
        host.turn.finish,
    ):
        refused(host, call, TooLateError)
    host.turn.interrupt()
    assert host.told() == []


# ------------------------------------------------------------ what the host sends, cell by cell


def test_response_item_and_binary_begin_to_respond() -> None:
    for state in CONVERSING:
        for part, sent in (
            ("x", "ResponseItem 'x'"),
            (ResponseItem(text="y"), "ResponseItem 'y'"),
            (b"12", "audio 2"),
        ):
            host = server_in(state)
            speak(host).say(part)
            begin = ["SessionStarted s1"] if state is SLEEPING else []
            assert (host.state, host.sent(), host.told()) == (RESPONDING, [*begin, sent], [])


@pytest.mark.parametrize("state", CONVERSING)
@pytest.mark.parametrize(
    ("members", "after", "sent"),
    [
        ({}, LISTENING, ["Response"]),
        ({"session_ended": True}, SLEEPING, ["Response ended", "SessionEnded"]),
        ({"sleep_timeout": 60}, SLEEPING, ["Response sleeps 60"]),
        # D-51: it sleeps, and ending is not said
        ({"sleep_timeout": 60, "session_ended": True}, SLEEPING, ["Response sleeps 60"]),
    ],
)
def test_response_rests(state: State, members: Frame, after: State, sent: list[str]) -> None:
    host = server_in(state)
    turn = speak(host)
    turn.finish(**members)
    begin = ["SessionStarted s1"] if state is SLEEPING else []
    assert (host.state, host.sent(), host.told()) == (after, [*begin, *sent], [])
    assert turn.over
    assert host.server.session_id == (None if "SessionEnded" in sent else "s1")


@pytest.mark.parametrize("state", CONVERSING)
@pytest.mark.parametrize("duplex", [False, True])
@pytest.mark.parametrize("members", [{}, {"session_ended": True}, {"sleep_timeout": 60}])
def test_a_response_closes_the_stream_only_by_going_to_sleep(
    state: State, duplex: bool, members: Frame
) -> None:
    host = server_in(state, config=DUPLEX if duplex else {})
    stream = host.listen()
    speak(host).finish(**members)
    assert host.audio is (Audio.CLOSED if members else Audio.OPEN)
    assert stream.over is bool(members)


@pytest.mark.parametrize("state", CONVERSING)
@pytest.mark.parametrize("duplex", [False, True])
def test_recognized_final(state: State, duplex: bool) -> None:
    host = server_in(state, config=DUPLEX if duplex else {})
    stream = host.listen()
    stream.recognized("yes", final=True)
    before = ["SessionStarted s1"] if state is SLEEPING else []
    cut = ["Response"] if state in IN_A_TURN else []
    interrupted = ["TurnInterrupted 1 recognized"] if state in IN_A_TURN else []
    assert host.sent() == [*cut, *before, "Recognized final yes"]
    assert host.told() == [*interrupted, "Input yes"]
    assert host.state is PROCESSING
    assert host.audio is (Audio.OPEN if duplex else Audio.CLOSED)
    assert stream.over is not duplex
    assert host.turn.text == "yes"


@pytest.mark.parametrize("state", CONVERSING)
@pytest.mark.parametrize("wanted", [False, True])
def test_recognized_interim_goes_out_only_when_it_is_wanted(state: State, wanted: bool) -> None:
    host = server_in(state, config={"sttInterimResults": wanted})
    stream = host.listen()
    stream.recognized("ye", final=False)
    assert host.sent() == (["Recognized interim ye"] if wanted else [])
    assert (host.state, host.told(), host.audio) == (state, [], Audio.OPEN)


@pytest.mark.parametrize("state", CONVERSING)
def test_nothing_is_recognised_before_the_stream_is_open(state: State) -> None:
    host = server_in(state)
    host.receive(OPEN)
    host.forget()
    for final in (False, True):
        refused(host, lambda final=final: host.stream.recognized("x", final=final))


@pytest.mark.parametrize("state", CONVERSING)
def test_an_error_of_the_host(state: State) -> None:
    host = server_in(state)
    stream = host.listen()
    turn = host.server._turn
    if state in IN_A_TURN:
        host.turn.say("withdrawn")
    host.server.fail("broken")
    assert host.sent() == ["Error"]
    assert host.told() == (["TurnInterrupted 1 error"] if state in IN_A_TURN else [])
    assert (host.state, host.audio, host.server.session_id) == (SLEEPING, Audio.CLOSED, None)
    assert stream.over
    assert turn is None or turn.over


def test_session_ended_of_the_host_while_listening() -> None:
    host = server_in(LISTENING)
    stream = host.listen()
    host.server.send(SessionEndEvent())
    assert (host.state, host.sent(), host.told()) == (SLEEPING, ["SessionEnded"], [])
    assert (host.server.session_id, host.audio, stream.over) == (None, Audio.CLOSED, True)


def test_session_ended_of_the_host_while_the_session_sleeps() -> None:
    host = sleeping_session()
    host.server.send(SessionEndEvent())
    assert (host.state, host.sent(), host.due_in()) == (SLEEPING, ["SessionEnded"], None)
    assert host.server.session_id is None
    refused(host, lambda: host.server.send(SessionEndEvent()))


@pytest.mark.parametrize("state", [SLEEPING, *IN_A_TURN])
def test_session_ended_of_the_host_elsewhere_is_a_mistake(state: State) -> None:
    host = server_in(state)
    refused(host, lambda: host.server.send(SessionEndEvent()))


@pytest.mark.parametrize("state", CONVERSING)
def test_what_is_not_the_channels_to_send(state: State) -> None:
    host = server_in(state)
    for event in (
        ReadyEvent(),
        InputAudioStreamOpenEvent(),
        RecognizedEvent(text="x"),
        RecognizedInputEvent(input=Input()),
        ResponseItemEvent(response_item=ResponseItem(text="x")),
        ResponseEvent(response=Response()),
        BinaryEvent(data=b"x"),
        SessionStartEvent(session_id="x"),
        LogEvent(),
        InputEvent(input=Input()),
        ClosedEvent(),
    ):
        refused(host, lambda event=event: host.server.send(event))
    refused(host, host.server.ready)


@pytest.mark.parametrize("state", CONVERSING)
def test_unknown_events_and_keep_alives_may_be_sent(state: State) -> None:
    host = server_in(state)
    host.server.send(UnknownEvent(data=NEW))
    host.server.send(BinaryEvent(data=b""))
    assert (host.state, host.sent(), host.told()) == (state, ["Novelty", "keep-alive"], [])


def test_a_keep_alive_may_be_sent_before_init() -> None:
    host = ServerHost()
    host.forget()
    host.server.send(BinaryEvent(data=b""))
    assert host.sent() == ["keep-alive"]


def test_handles_send_only_what_is_theirs() -> None:
    host = server_in(PROCESSING)
    stream = host.listen()
    refused(host, lambda: host.turn.send(ErrorEvent(text="x")))  # type: ignore[arg-type]
    refused(host, lambda: stream.send(ErrorEvent(text="x")))  # type: ignore[arg-type]


def test_handles_take_events() -> None:
    host = server_in(LISTENING)
    host.receive(OPEN)
    host.stream.send(InputAudioStreamOpenEvent())
    host.stream.send(RecognizedInputEvent(input=Input(transcript=Transcript(text="yes")), is_final=True))
    host.step()
    host.turn.send(ResponseItemEvent(response_item=ResponseItem(text="a")))
    host.turn.send(BinaryEvent(data=b"12"))
    host.turn.send(ResponseEvent(response=Response()))
    assert host.sent() == [
        *("InputAudioStreamOpen", "Recognized final yes", "ResponseItem 'a'", "audio 2", "Response"),
    ]


def test_a_second_turn_cannot_begin_while_one_runs() -> None:
    for state in IN_A_TURN:
        host = server_in(state)
        refused(host, host.server.begin)
    host = server_in(LISTENING)
    host.server.begin()
    refused(host, host.server.begin)


# ------------------------------------------------------------ turns


def test_a_turn_knows_what_it_is_about() -> None:
    host = server_in(SLEEPING)
    host.receive(said("hello"))
    turn = host.turn
    assert (turn.number, turn.text, turn.session_id, turn.over) == (1, "hello", "s1", False)
    assert turn.init is host.server.init
    assert turn.input is not None
    assert turn.request is None
    begun = sleeping_session().server.begin()
    assert (begun.number, begun.text, begun.input, begun.session_id) == (2, "", None, "s1")


def test_the_session_of_a_begun_turn_is_known_with_its_first_part() -> None:
    turn = server_in(SLEEPING).server.begin()
    assert turn.session_id == ""
    turn.say("hello")
    assert turn.session_id == "s1"


def test_the_turn_belongs_to_the_event_told_last() -> None:
    host = server_in(SLEEPING)
    host.feed(said("one"), said("two"))
    seen = []
    host.on_event = lambda event: seen.append(host.turn.text if isinstance(event, InputEvent) else "")
    host.step()
    assert seen == ["one", "", "two"]


def test_turns_and_streams_show_themselves() -> None:
    host = server_in(PROCESSING)
    stream = host.listen()
    assert repr(host.turn) == "<Turn 1 'first'>"
    assert repr(stream) == "<AudioStream SingleUtterance>"
    assert repr(host.server) == "<SocketV1Server Processing, audio open>"
    host.server.close()
    assert repr(host.turn) == "<Turn 1 'first' over>"
    assert repr(stream) == "<AudioStream SingleUtterance over>"


def test_a_cut_turn_is_closed_before_anything_of_the_next() -> None:
    """D-37: the empty Response precedes SessionStarted and all else."""
    host = server_in(PROCESSING)
    host.turn.say("a")
    host.step()
    host.receive(request("other", session_id="R2"))
    host.turn.say("b")
    frames = host.sent_frames()
    assert lines(frames) == ["ResponseItem 'a'", "Response", "SessionStarted R2", "ResponseItem 'b'"]
    cut = frames[1]["response"]
    assert (cut["items"], cut["sessionEnded"], cut["sleepTimeout"], cut["locale"]) == ([], False, 0, "en")


def test_items_that_wait_for_the_response_are_dropped_with_their_turn() -> None:
    host = server_in(PROCESSING, config={"sendResponseItems": False})
    host.turn.say("a")
    host.receive(said("next"))
    host.turn.finish()
    assert host.sent() == ["Response", "Response"]


def test_an_interruption_withdraws_what_was_not_taken_yet() -> None:
    host = server_in(PROCESSING)
    for text in "abc":
        host.turn.say(text)
    host.turn.say(b"12")
    output = host.server.data_to_send()
    assert CODEC.decode(next(output)) == ResponseItemEvent(response_item=ResponseItem(text="a"))  # type: ignore[arg-type]
    host.feed(said("next"))
    host.tell()
    assert lines(list(output)) == ["Response"]


def test_an_interruption_leaves_what_is_not_of_that_turn() -> None:
    host = server_in(LISTENING)
    host.feed(said("one"))
    host.tell()
    host.turn.finish(items=(ResponseItem(text="a"),))
    host.feed(said("two"))
    host.tell()
    host.turn.say("b")
    host.server.send(UnknownEvent(data=NEW))
    host.feed(said("three"))
    host.tell()
    assert host.sent() == ["ResponseItem 'a'", "Response", "Novelty", "Response"]


def _endings() -> dict[str, Callable[[ServerHost], None]]:
    return {
        "finished": lambda host: host.turn.finish(),
        "failed": lambda host: host.turn.fail("no"),
        "interrupted": lambda host: host.turn.interrupt(),
        "input": lambda host: host.receive(said("next")),
        "request": lambda host: host.receive(request("next")),
        "recognized": lambda host: host.listen().recognized("next", final=True),
        "ended by the client": lambda host: host.receive(ENDED),
        "fault": lambda host: host.receive("{"),
        "error": lambda host: host.server.fail("no"),
        "refused init": _refuse_init,
        "lost": lambda host: host.lost(),
        "closed": lambda host: host.server.close(),
    }


def _refuse_init(host: ServerHost) -> None:
    host.accept = False
    host.receive(init())
    host.server.fail("no")


@pytest.mark.parametrize("state", IN_A_TURN)
@pytest.mark.parametrize("ending", _endings())
def test_a_turn_that_is_over_sends_nothing(state: State, ending: str) -> None:
    host = server_in(state)
    turn = host.turn
    _endings()[ending](host)
    assert turn.over
    host.forget()
    for call in (
        lambda: turn.say("x"),
        lambda: turn.say(b"x"),
        turn.finish,
        lambda: turn.fail("x"),
        lambda: turn.send(ResponseEvent(response=Response())),
    ):
        refused(host, call, TooLateError)
    turn.interrupt()
    assert (host.told(), host.sent()) == ([], [])


def test_a_turn_is_over_the_moment_the_host_ends_it() -> None:
    host = server_in(LISTENING)
    stream = host.listen()
    begun = host.server.begin()
    stream.recognized("x", final=True)
    assert begun.over


def test_failing_a_turn_tells_the_user_and_ends_the_session() -> None:
    host = server_in(RESPONDING)
    host.turn.fail("Something went wrong.")
    assert host.sent() == ["ResponseItem 'Something went wrong.'", "Response ended", "SessionEnded"]
    assert host.state is SLEEPING


def test_a_wrong_member_of_a_response_changes_nothing() -> None:
    host = server_in(PROCESSING)
    for members in ({"novelty": 1}, {"sleep_timeout": "long"}):
        with pytest.raises((TypeError, ValueError)):
            host.turn.finish(**members)  # type: ignore[arg-type]
    assert (host.state, host.sent(), host.turn.over) == (PROCESSING, [], False)


def test_a_response_may_be_given_whole() -> None:
    host = server_in(PROCESSING)
    host.turn.finish(Response(turn_id="T1"), sleep_timeout=5)
    assert host.sent_frames()[0]["response"]["turnId"] == "T1"
    assert host.state is SLEEPING


@pytest.mark.parametrize("state", IN_A_TURN)
def test_the_host_interrupts_a_turn(state: State) -> None:
    host = server_in(state)
    host.turn.interrupt("wake word")
    assert (host.state, host.sent()) == (LISTENING, ["Response"])
    assert host.told() == ["TurnInterrupted 1 wake word"]
    assert host.server.session_id == "s1"


def test_a_turn_that_was_only_begun_is_cut_silently() -> None:
    for state in (SLEEPING, LISTENING):
        host = server_in(state)
        turn = host.server.begin()
        turn.interrupt()
        assert (host.state, host.sent(), turn.over) == (state, [], True)
        assert host.told() == [f"TurnInterrupted {turn.number} host"]


@pytest.mark.parametrize(
    "make", [lambda: server_in(SLEEPING), lambda: server_in(LISTENING), sleeping_session]
)
def test_silence_is_timed_again_after_a_turn_that_was_only_begun(make: Callable[[], ServerHost]) -> None:
    host = make()
    host.listen()
    host.advance(3)
    host.server.begin().interrupt()
    assert host.due_in() == 5


def test_a_begun_turn_that_was_taken_back_leaves_the_session_asleep() -> None:
    """The client has heard of nothing, so it believes that its session sleeps on."""
    host = sleeping_session(60)
    turn = host.server.begin()
    turn.say("never taken")
    turn.interrupt()
    assert (host.state, host.sent(), host.due_in()) == (SLEEPING, [], 60)


def test_a_begun_turn_of_which_nothing_went_out_is_cut_silently() -> None:
    host = server_in(LISTENING)
    host.server.begin().say("never taken")
    host.feed(said("next"))
    host.tell()
    assert host.sent() == []
    assert host.told() == ["TurnInterrupted 2 input", "Input next"]
    host = server_in(LISTENING)
    host.server.begin().say("taken")
    host.flush()
    host.receive(said("next"))
    assert host.sent() == ["ResponseItem 'taken'", "Response"]


def test_interrupting_a_begun_turn_stops_the_sleep_of_its_session() -> None:
    """The empty Response goes out with sleepTimeout 0: the client's timer stops too (D-50)."""
    host = sleeping_session(60)
    turn = host.server.begin()
    turn.say("a")
    host.flush()
    turn.interrupt()
    assert (host.state, host.sent(), host.due_in()) == (LISTENING, ["ResponseItem 'a'", "Response"], None)
    host.advance(60)
    assert (host.told(), host.server.session_id) == (["TurnInterrupted 2 host"], "s1")


def test_inputs_may_be_queued_instead() -> None:
    host = server_in(PROCESSING, queue_inputs=True)
    host.receive(said("two"), LOG, request("three", "s1"))
    assert host.told() == []
    host.turn.finish()
    assert host.told() == ["Input two", "Log"]
    host.turn.finish()
    assert host.told() == ["Input three"]
    assert host.sent() == ["Response", "Response"]


def test_a_queued_input_wakes_the_host_when_its_turn_has_come() -> None:
    woken = []
    host = server_in(PROCESSING, queue_inputs=True, wake=lambda: woken.append(1))
    host.receive(said("two"))
    woken.clear()
    host.turn.finish()
    assert woken == [1]


def test_queued_inputs_do_not_outlive_the_transport() -> None:
    host = server_in(PROCESSING, queue_inputs=True)
    host.receive(said("two"))
    host.lost()
    assert host.told()[-1] == "Closed 1006"
    assert host.turn.over


def test_the_peer_is_heard_while_its_input_is_queued() -> None:
    host = server_in(PROCESSING, queue_inputs=True, timeouts=Timeouts(idle=20))
    host.receive(said("two"))
    for _ in range(5):
        host.clock.advance(9)
        host.receive(b"")
    assert (host.state, host.sent()) == (PROCESSING, [])


# ------------------------------------------------------------ sessions


def test_every_kind_of_turn_begins_a_session_when_there_is_none() -> None:
    host = server_in(SLEEPING)
    host.listen().recognized("x", final=True)
    assert host.sent() == ["SessionStarted s1", "Recognized final x"]
    host = server_in(SLEEPING)
    host.server.begin().finish()
    assert host.sent() == ["SessionStarted s1", "Response"]


def test_an_input_stays_in_its_session() -> None:
    host = server_in(LISTENING)
    host.receive(said())
    assert (host.sent(), host.turn.session_id) == ([], "s1")


def test_after_the_end_the_next_input_begins_another_session() -> None:
    """D-05."""
    host = server_in(PROCESSING)
    host.turn.finish(session_ended=True)
    host.forget()
    host.receive(said())
    assert host.sent() == ["SessionStarted s2"]


def test_a_request_names_its_session() -> None:
    host = server_in(SLEEPING)
    host.receive(request(session_id="mine"))
    assert (host.sent(), host.server.session_id) == (["SessionStarted mine"], "mine")
    host.turn.finish()
    host.forget()
    host.receive(request(session_id="mine"))
    assert (host.sent(), host.turn.session_id) == ([], "mine")
    host.turn.finish()
    host.forget()
    host.receive(request(session_id="another"))
    assert host.sent() == ["SessionStarted another"]


def test_an_input_takes_the_session_that_the_stream_proposed() -> None:
    for frame in ({**OPEN, "sessionId": "mine"}, {**OPEN, "message": {"sessionId": "mine", "appKey": "K"}}):
        host = server_in(SLEEPING)
        host.receive(frame)
        host.receive(said())
        assert host.sent() == ["SessionStarted mine"]


def test_a_proposal_of_the_stream_counts_for_the_session_that_begins() -> None:
    host = server_in(LISTENING)
    host.receive({**OPEN, "sessionId": "mine"})
    host.receive(said())
    assert (host.sent(), host.server.session_id) == ([], "s1")
    host.turn.finish(session_ended=True)
    host.forget()
    host.receive(said())
    assert host.sent() == ["SessionStarted s2"]


@pytest.mark.parametrize("bad", ["", "a b", "ä", "x" * 65, "../x", "a\n"])
def test_a_malformed_session_id_is_replaced(bad: str) -> None:
    host = server_in(SLEEPING)
    host.receive(request(session_id=bad))
    assert host.sent() == ["SessionStarted s1"]
    host = server_in(SLEEPING)
    host.receive({**OPEN, "sessionId": bad})
    host.receive(said())
    assert host.sent() == ["SessionStarted s1"]


def test_the_same_malformed_id_is_replaced_once() -> None:
    """D-80."""
    host = server_in(SLEEPING)
    for _ in range(3):
        host.receive(request(session_id="!"))
        host.turn.finish()
    host.receive(request(session_id="?"))
    assert host.sent() == ["SessionStarted s1", *["Response"] * 3, "SessionStarted s2"]


def test_the_host_may_rename_the_session_that_begins() -> None:
    host = server_in(SLEEPING)
    host.feed(request(session_id="guessed"))
    host.tell()
    host.server.rename_session("mine")
    assert (host.server.session_id, host.turn.session_id) == ("mine", "mine")
    assert (host.sent(), host.told()) == (["SessionStarted mine"], ["Input hello"])
    refused(host, lambda: host.server.rename_session("late"), TooLateError)


def test_a_renamed_session_stays_in_force_for_the_same_malformed_id() -> None:
    host = server_in(SLEEPING)
    host.feed(request(session_id="!"))
    host.tell()
    host.server.rename_session("mine")
    host.turn.finish()
    host.forget()
    host.receive(request(session_id="!"))
    assert (host.sent(), host.server.session_id) == ([], "mine")


def test_a_session_is_renamed_when_its_turn_is_over_already() -> None:
    host = server_in(SLEEPING)
    host.feed(said())
    host.tell()
    host.turn.finish()
    host.server.rename_session("mine")
    assert host.sent() == ["SessionStarted mine", "Response"]


def test_a_session_cannot_be_renamed_when_there_is_none_or_to_nonsense() -> None:
    host = server_in(SLEEPING)
    refused(host, lambda: host.server.rename_session("mine"), TooLateError)
    host.feed(said())
    host.tell()
    with pytest.raises(LocalProtocolError) as caught:
        host.server.rename_session("a b")
    assert caught.value.legal
    host.server.fail("no")
    with pytest.raises(TooLateError):
        host.server.rename_session("mine")
    assert host.server.session_id is None


# ------------------------------------------------------------ sleep


@pytest.mark.parametrize(
    ("stop", "session"),
    [
        (lambda host: host.receive(said()), "s1"),
        (lambda host: host.receive(request(session_id="s1")), "s1"),
        (lambda host: host.listen().recognized("x", final=True), "s1"),
        (lambda host: host.server.begin().finish(), "s1"),
        (lambda host: host.receive(ENDED), None),
        (lambda host: host.receive("{"), None),
        (lambda host: host.server.fail("no"), None),
        (lambda host: host.server.send(SessionEndEvent()), None),
    ],
    ids=["Input", "Request", "Recognized", "Response", "SessionEnded", "fault", "Error", "SessionEnded sent"],
)
def test_the_sleep_is_over(stop: Callable[[ServerHost], None], session: str | None) -> None:
    host = sleeping_session(60)
    assert host.due_in() == 60
    host.advance(59)
    stop(host)
    host.forget()
    host.advance(1)
    assert "SessionExpired s1" not in host.told()
    assert host.server.session_id == session


@pytest.mark.parametrize("frame", [LOG, VOTE, NEW, b"", OPEN, CLOSE, init()], ids=str)
def test_the_sleep_goes_on(frame: Frame | bytes) -> None:
    host = sleeping_session(60)
    host.advance(59)
    host.receive(frame)
    host.forget()
    host.advance(1)
    assert host.told()[0] == "SessionExpired s1"


def test_a_session_that_slept_too_long_is_dropped_silently() -> None:
    host = sleeping_session(60)
    host.advance(59.999)
    assert host.told() == []
    host.advance(0.001)
    assert (host.told(), host.sent(), host.state) == (["SessionExpired s1"], [], SLEEPING)
    assert host.server.session_id is None
    host.receive(said())
    assert host.sent() == ["SessionStarted s2"]


def test_an_expired_session_may_be_proposed_again() -> None:
    host = sleeping_session(60)
    host.advance(60)
    host.receive(request(session_id="s1"))
    assert host.sent() == ["SessionStarted s1"]


def test_a_second_response_begins_the_sleep_anew() -> None:
    host = sleeping_session(60)
    host.advance(30)
    host.server.begin().finish(sleep_timeout=60)
    assert host.due_in() == 60


def test_input_wakes_a_sleeping_session() -> None:
    host = sleeping_session()
    host.receive(said())
    assert (host.sent(), host.turn.session_id, host.due_in()) == ([], "s1", None)


# ------------------------------------------------------------ the client ends the session


def test_session_ended_by_the_client_is_echoed() -> None:
    host = server_in(RESPONDING)
    host.receive(ENDED)
    frames = host.sent_frames()
    assert lines(frames) == ["Response ended", "SessionEnded"]
    assert frames[0]["response"]["items"] == []


def test_without_a_session_only_the_echo_goes_out() -> None:
    host = server_in(SLEEPING)
    turn = host.server.begin()
    host.receive(ENDED)
    assert (host.sent(), turn.over) == (["SessionEnded"], True)


# ------------------------------------------------------------ faults


def test_a_fault_says_what_is_wrong() -> None:
    host = server_in(LISTENING)
    host.receive({"type": "Input", "input": {"transcript": {}}})
    (fault,) = host.events
    assert isinstance(fault, FaultEvent)
    assert "input.transcript" in fault.error.path
    (error,) = host.sent_frames()
    assert "transcript" in error["text"]
    host.receive(READY)
    assert "Ready is not legal in Sleeping" in host.sent_frames()[0]["text"]


def test_the_connection_stays_usable_after_a_fault() -> None:
    host = server_in(RESPONDING)
    host.receive("{", said("again"))
    host.turn.finish()
    assert host.sent() == ["Error", "SessionStarted s2", "Response"]


def test_a_fault_withdraws_what_was_not_taken_yet() -> None:
    host = server_in(PROCESSING)
    host.turn.say("a")
    host.feed("{")
    host.tell()
    assert host.sent() == ["Error"]


# ------------------------------------------------------------ the audio stream


def test_who_begins_to_speak_interrupts_what_is_said() -> None:
    host = server_in(RESPONDING, config=DUPLEX)
    host.receive(OPEN)
    host.stream.ready()
    host.sent(), host.told()
    host.stream.interrupt("speech")
    assert (host.state, host.sent(), host.told()) == (LISTENING, ["Response"], ["TurnInterrupted 1 speech"])
    host.stream.interrupt()  # nothing is said any more, and the microphone stays open
    assert (host.state, host.sent(), host.told(), host.audio) == (LISTENING, [], [], Audio.OPEN)
    stream = host.stream
    host.receive(CLOSE)
    stream.interrupt()
    assert stream.over


def test_the_stream_is_acknowledged_once() -> None:
    host = server_in(LISTENING)
    host.receive(OPEN)
    assert (host.audio, host.sent()) == (Audio.ASKED, [])
    host.stream.ready()
    host.stream.ready()
    assert (host.audio, host.sent_frames()) == (Audio.OPEN, [{"type": "InputAudioStreamOpen"}])
    host.forget()
    host.receive(OPEN)
    assert (host.audio, host.sent(), host.told()) == (Audio.OPEN, [], [])


def test_a_repeated_opening_that_was_not_acknowledged_does_nothing() -> None:
    host = server_in(LISTENING)
    host.receive(OPEN)
    stream = host.stream
    host.forget()
    host.receive(OPEN)
    assert (host.audio, host.sent(), host.told()) == (Audio.ASKED, [], [])
    assert host.stream is stream


def test_audio_is_delivered_only_while_the_stream_is_open() -> None:
    host = server_in(LISTENING)
    host.receive(b"1")
    host.receive(OPEN, b"22")
    host.stream.ready()
    host.receive(b"333", b"", {"type": "Binary", "data": "AAAA"}, CLOSE, b"4444")
    assert host.told() == ["InputAudioStreamOpen", "audio 3", "audio 3", "InputAudioStreamClose"]
    assert host.server.dropped == 3


def test_audio_in_flight_after_a_final_result_is_dropped() -> None:
    host = server_in(LISTENING)
    host.listen().recognized("x", final=True)
    host.receive(b"1")
    assert (host.told(), host.server.dropped) == (["Input x"], 1)


def _stream_endings() -> dict[str, Callable[[ServerHost], object]]:
    return {
        "Close": lambda host: host.receive(CLOSE),
        "Cancel": lambda host: host.receive(CANCEL),
        "Input": lambda host: host.receive(said()),
        "Request": lambda host: host.receive(request()),
        "final": lambda host: host.stream.recognized("x", final=True),
        "silence": lambda host: host.advance(5),
        "session end": lambda host: host.server.send(SessionEndEvent()),
        "SessionEnded": lambda host: host.receive(ENDED),
        "Error": lambda host: host.server.fail("no"),
        "fault": lambda host: host.receive("{"),
        "sleep": lambda host: host.server.begin().finish(sleep_timeout=5),
        "lost": lambda host: host.lost(),
        "closed": lambda host: host.server.close(),
    }


@pytest.mark.parametrize("ending", _stream_endings())
def test_a_stream_that_is_over_recognises_nothing(ending: str) -> None:
    host = server_in(LISTENING)
    stream = host.listen()
    _stream_endings()[ending](host)
    host.forget()
    assert stream.over
    for call in (
        stream.ready,
        stream.end_of_utterance,
        lambda: stream.recognized("x", final=True),
        lambda: stream.recognized("x", final=False),
        lambda: stream.send(InputAudioStreamOpenEvent()),
    ):
        refused(host, call, TooLateError)


def test_a_stream_that_was_closed_may_be_opened_again() -> None:
    host = server_in(LISTENING)
    first = host.listen()
    host.receive(CLOSE)
    second = host.listen()
    assert (first.over, second.over, host.audio) == (True, False, Audio.OPEN)


def test_a_turn_of_the_server_leaves_the_stream_open() -> None:
    """D-46."""
    host = server_in(LISTENING)
    stream = host.listen()
    turn = host.server.begin()
    turn.say("a")
    assert (host.audio, stream.over) == (Audio.OPEN, False)
    host.receive(b"12")
    turn.finish()
    assert (host.audio, host.told()) == (Audio.OPEN, ["audio 2"])


def test_a_whole_input_may_be_recognised() -> None:
    host = server_in(LISTENING)
    heard = Input(transcript=Transcript(text="yes", confidence=0.5), alternatives=(Transcript(text="yep"),))
    host.listen().recognized(heard, final=True)
    assert host.sent_frames() == [{"type": "Recognized", "text": "yes", "isFinal": True}]
    assert host.turn.input == heard


def test_what_is_recognised_carries_language_and_zone() -> None:
    host = server_in(LISTENING, config={"locale": "cs_CZ", "zoneId": "Europe/Prague"})
    host.listen().recognized("ano", final=True)
    host.step()
    assert host.turn.input is not None
    assert (host.turn.input.locale, host.turn.input.zone_id) == ("cs-CZ", "Europe/Prague")


def test_what_a_response_sets_holds_from_the_next_opening_on() -> None:
    """D-62."""
    host = server_in(LISTENING)
    stream = host.listen()
    phrases = (ExpectedPhrase(text="yes"),)
    host.server.begin().finish(locale="cs", stt_mode=SttMode.DUPLEX, expected_phrases=phrases)
    assert stream.config.stt_mode is SttMode.SINGLE_UTTERANCE
    stream.recognized("x", final=True)
    assert host.audio is Audio.CLOSED
    host.step()
    host.turn.finish(Response(expected_phrases=phrases))
    stream = host.listen()
    assert (stream.config.locale, stream.config.stt_mode) == ("cs", SttMode.DUPLEX)
    assert stream.expected_phrases == phrases
    stream.recognized("y", final=True)
    assert host.audio is Audio.OPEN


def test_the_language_of_a_response_is_that_of_silence_too() -> None:
    host = server_in(LISTENING)
    host.server.begin().finish(locale="cs")
    host.listen()
    host.advance(5)
    assert host.turn.text == "#silence"
    assert host.turn.input is not None
    assert host.turn.input.locale == "cs"


def test_a_response_without_a_locale_goes_out_with_the_sessions() -> None:
    host = server_in(SLEEPING, config={"locale": "de_AT"})
    host.receive(said())
    host.turn.finish()
    host.receive(said())
    host.turn.finish(locale="cs_CZ")
    host.receive(said())
    host.turn.finish()
    assert [frame["response"]["locale"] for frame in host.sent_frames()[1:]] == ["de_AT", "cs_CZ", "cs_CZ"]


# ------------------------------------------------------------ silence (D-47)


def silence_host(state: State = LISTENING, **config: object) -> tuple[ServerHost, AudioStream]:
    host = server_in(state, config=config)
    return host, host.listen()


def test_silence_is_an_input() -> None:
    host, stream = silence_host()
    assert host.due_in() == 5
    host.advance(4.999)
    assert host.told() == []
    host.advance(0.001)
    assert host.sent() == ["Recognized final #silence"]
    assert (host.told(), host.state, host.audio) == (["Input #silence"], PROCESSING, Audio.CLOSED)
    assert stream.over
    assert host.due_in() is None


def test_silence_begins_a_session() -> None:
    host, _ = silence_host(SLEEPING)
    host.advance(5)
    assert host.sent() == ["SessionStarted s1", "Recognized final #silence"]


def test_silence_is_timed_from_the_acknowledgement() -> None:
    host = server_in(LISTENING)
    host.receive(OPEN)
    host.advance(3)
    assert host.due_in() is None
    host.stream.ready()
    assert host.due_in() == 5


@pytest.mark.parametrize(
    "restart",
    [
        lambda host: host.stream.recognized("x", final=False),
        lambda host: host.receive(OPEN),
        lambda host: host.server.begin().finish(),
        lambda host: host.server.begin().finish(items=(ResponseItem(text="x"),)),
    ],
    ids=["interim result", "repeated opening", "end of a turn", "end of a turn with items"],
)
@pytest.mark.parametrize("state", [SLEEPING, LISTENING])
def test_the_silence_clock_is_restarted(state: State, restart: Callable[[ServerHost], None]) -> None:
    host, _ = silence_host(state)
    host.advance(3)
    restart(host)
    assert host.due_in() == 5


def test_the_silence_clock_is_restarted_by_interim_results_that_are_not_sent() -> None:
    host, stream = silence_host(sttInterimResults=False)
    host.advance(3)
    stream.recognized("x", final=False)
    assert (host.sent(), host.due_in()) == ([], 5)


@pytest.mark.parametrize("frame", [b"1234", b"", LOG, VOTE, NEW, init()], ids=str)
def test_the_silence_clock_goes_on(frame: Frame | bytes) -> None:
    host, _ = silence_host()
    host.advance(3)
    host.receive(frame)
    assert host.due_in() == 2


@pytest.mark.parametrize("state", IN_A_TURN)
def test_silence_is_not_timed_while_a_turn_runs(state: State) -> None:
    host, _ = silence_host(state)
    assert host.due_in() is None
    host.stream.recognized("x", final=False)
    host.receive(OPEN)
    assert host.due_in() is None
    host.advance(3)
    host.turn.finish()
    assert host.due_in() == 5


def test_silence_is_not_timed_while_a_turn_of_the_server_runs() -> None:
    host, _ = silence_host()
    host.advance(3)
    turn = host.server.begin()
    turn.say("a")
    assert host.due_in() is None
    host.advance(60)
    turn.finish()
    assert host.due_in() == 5


def test_silence_does_not_cut_a_turn_that_was_begun() -> None:
    host, _ = silence_host()
    turn = host.server.begin()
    host.advance(60)
    assert (turn.over, host.told()) == (False, [])
    turn.finish()
    assert host.due_in() == 5


def test_silence_is_not_timed_by_interim_results_while_a_turn_was_begun() -> None:
    host, stream = silence_host()
    host.server.begin()
    stream.recognized("x", final=False)
    assert host.due_in() is None


def test_an_interrupted_turn_restarts_the_silence_clock() -> None:
    host, _ = silence_host(RESPONDING)
    host.advance(3)
    host.turn.interrupt()
    assert (host.state, host.due_in()) == (LISTENING, 5)


def test_silence_may_be_timed_otherwise_or_not_at_all() -> None:
    assert silence_host(silenceTimeout=1500)[0].due_in() == 1.5
    assert silence_host(silenceTimeout=0)[0].due_in() is None


def test_silence_is_not_timed_in_duplex_unless_the_host_wants_it() -> None:
    assert silence_host(**DUPLEX)[0].due_in() is None
    host = server_in(LISTENING, config=DUPLEX, timeouts=Timeouts(duplex_silence=7))
    stream = host.listen()
    assert host.due_in() == 7
    host.advance(7)
    assert (host.told(), host.sent()) == (["Input #silence"], ["Recognized final #silence"])
    assert (host.audio, stream.over, host.due_in()) == (Audio.OPEN, False, None)
    host.turn.finish()
    assert host.due_in() == 7


@pytest.mark.parametrize("frame", [CLOSE, CANCEL, said(), ENDED, "{"], ids=str)
def test_silence_is_not_timed_after_the_stream_was_closed(frame: Frame | str) -> None:
    host, _ = silence_host()
    host.receive(frame)
    assert host.due_in() is None


def test_what_came_in_time_is_told_before_a_deadline() -> None:
    """D-49."""
    host, _ = silence_host()
    host.clock.advance(10)
    host.receive(said("in time"))
    assert host.told() == ["Input in time"]


# ------------------------------------------------------------ end of utterance (D-48)


def test_the_end_of_an_utterance_is_as_silence() -> None:
    host, stream = silence_host()
    stream.end_of_utterance()
    assert host.due_in() == 1.5
    host.advance(1.5)
    assert (host.sent(), host.told()) == (["Recognized final #silence"], ["Input #silence"])
    host.advance(60)
    assert (host.sent(), host.told()) == ([], [])


def test_only_one_of_silence_and_the_end_of_an_utterance_happens() -> None:
    host, stream = silence_host()
    host.advance(3.5)
    stream.end_of_utterance()
    host.advance(1.5)  # both are due now
    assert host.told() == ["Input #silence"]
    host, stream = silence_host()
    host.advance(4)
    stream.end_of_utterance()
    host.advance(60)
    assert host.told() == ["Input #silence"]
    assert host.due_in() is None


def test_an_interim_result_does_not_stop_the_end_of_an_utterance() -> None:
    host, stream = silence_host()
    stream.end_of_utterance()
    host.advance(1)
    stream.recognized("x", final=False)
    assert host.due_in() == 0.5


@pytest.mark.parametrize(
    "stop",
    ["final", "Close", "Cancel", "Input", "Request", "Error", "fault", "session end", "SessionEnded"],
)
def test_what_stops_the_end_of_an_utterance(stop: str) -> None:
    host, stream = silence_host()
    stream.end_of_utterance()
    _stream_endings()[stop](host)
    host.forget()
    host.advance(1.5)
    assert (host.told(), host.sent()) == ([], [])


@pytest.mark.parametrize("mode", ["Default", "Duplex"])
def test_the_end_of_an_utterance_counts_in_single_utterance_only(mode: str) -> None:
    host, stream = silence_host(sttMode=mode, silenceTimeout=0)
    stream.end_of_utterance()
    assert host.due_in() is None


def test_the_end_of_an_utterance_needs_an_open_stream() -> None:
    host = server_in(LISTENING)
    host.receive(OPEN)
    host.stream.end_of_utterance()
    assert host.due_in() is None


# ------------------------------------------------------------ other deadlines


def test_of_deadlines_due_at_once_that_of_the_session_comes_first() -> None:
    """D-49: transport, session, turn, audio."""
    host = sleeping_session(5)
    host.listen()
    host.advance(5)
    assert host.told() == ["SessionExpired s1", "Input #silence"]
    assert host.sent() == ["SessionStarted s2", "Recognized final #silence"]


def test_of_deadlines_due_the_earliest_comes_first() -> None:
    host = sleeping_session(6)
    host.listen()
    host.advance(10)
    assert host.told() == ["Input #silence"]
    assert host.server.session_id == "s1"


def test_the_transport_is_given_up_before_anything_else_that_is_due() -> None:
    host = sleeping_session(5, timeouts=Timeouts(idle=5))
    host.advance(5)
    assert host.told() == ["Closed 1001"]


def test_init_must_come_in_time() -> None:
    host = ServerHost()
    host.forget()
    host.receive(b"", "{")
    assert host.due_in() == 30
    host.forget()
    host.advance(30)
    assert (host.sent(), host.told(), host.state) == (["Error", "Close 1008"], ["Closed 1008"], CLOSED)


def test_init_in_time_stops_its_deadline() -> None:
    host = ServerHost()
    host.advance(29)
    host.receive(init())
    assert host.due_in() is None


def test_after_a_refused_init_the_next_must_come_in_time() -> None:
    host = ServerHost(accept=False)
    host.receive(init())
    host.advance(100)
    host.server.fail("no")
    host.forget()
    assert host.due_in() == 30


def test_idle_is_off_unless_the_host_wants_it() -> None:
    host = server_in(LISTENING)
    assert host.due_in() is None
    host = server_in(PROCESSING, timeouts=Timeouts(idle=20))
    assert host.due_in() == 20
    host.advance(15)
    host.receive(b"")
    assert host.due_in() == 20
    host.advance(20)
    assert host.told() == ["TurnInterrupted 1 lost", "Closed 1001"]
    assert (host.sent(), host.state) == (["Close 1001"], CLOSED)


def test_idle_counts_before_init_too() -> None:
    host = ServerHost(timeouts=Timeouts(init=None, idle=5))
    host.forget()
    host.advance(5)
    assert host.sent() == ["Close 1001"]


@pytest.mark.parametrize("name", ["init", "idle", "end_of_utterance", "duplex_silence"])
def test_a_time_must_be_positive(name: str) -> None:
    for value in (0, -1):
        with pytest.raises(ValueError, match=name):
            Timeouts(**{name: value})


def test_the_time_left_is_never_negative() -> None:
    host = ServerHost()
    assert host.server.timeout() == 30
    host.clock.advance(31)
    assert host.server.timeout() == 0
    host.step()
    assert host.server.timeout() is None


# ------------------------------------------------------------ items singly or in the Response (D-60)


def test_items_go_out_singly_to_those_who_understand_them() -> None:
    host = server_in(PROCESSING)
    host.turn.say("a")
    host.turn.say(b"12")
    host.turn.finish(items=(ResponseItem(text="b"), ResponseItem(text="c")))
    assert host.sent() == ["ResponseItem 'a'", "audio 2", "ResponseItem 'b'", "ResponseItem 'c'", "Response"]


def test_items_wait_for_the_response_else_and_binaries_do_not() -> None:
    host = server_in(PROCESSING, config={"sendResponseItems": False})
    host.turn.say("a")
    assert (host.state, host.sent()) == (RESPONDING, [])
    host.turn.say(b"12")
    host.turn.say("b")
    host.turn.finish(items=(ResponseItem(text="c"),))
    assert host.sent() == ["audio 2", "Response 'a' 'b' 'c'"]


def test_empty_audio_is_no_part() -> None:
    host = server_in(PROCESSING)
    host.turn.say(b"")
    assert (host.state, host.sent()) == (PROCESSING, [])


def test_a_held_back_item_begins_the_session_at_once() -> None:
    host = server_in(SLEEPING, config={"sendResponseItems": False})
    host.server.begin().say("a")
    assert (host.state, host.sent()) == (RESPONDING, ["SessionStarted s1"])


def test_real_clients_get_the_members_they_crash_without() -> None:
    """D-07."""
    host = server_in(LISTENING, config={"sttInterimResults": True})
    stream = host.listen()
    stream.recognized("x", final=False)
    stream.recognized("x", final=True)
    host.step()
    host.turn.say(ResponseItem(audio="/a.mp3"))
    host.turn.finish()
    interim, final, part, whole = host.sent_frames()
    assert (interim["isFinal"], final["isFinal"]) == (False, True)
    assert part["responseItem"]["text"] == ""
    needed = {
        "items": [],
        "logs": [],
        "attributes": {},
        "locale": "en",
        "sessionEnded": False,
        "sleepTimeout": 0,
    }
    assert needed.items() <= whole["response"].items()
    assert None not in whole["response"].values()
    assert None not in part["responseItem"].values()


def test_an_old_client_gets_only_what_it_knows() -> None:
    """The Kotlin client: Requests, no single items, no interim results."""
    host = ServerHost()
    host.receive({"type": "Init", "key": "K", "deviceId": "D", "config": {}})
    host.receive(request("#intro", "app-1"))
    host.turn.say("Hello")
    host.turn.say(ResponseItem(audio="/a.mp3"))
    host.turn.finish()
    host.receive(OPEN)
    stream = host.stream
    stream.ready()
    stream.recognized("ye", final=False)
    stream.recognized("yes", final=True)
    host.step()
    host.turn.say("Bye")
    host.turn.finish(session_ended=True)
    host.receive("{")
    frames = host.sent_frames()
    assert lines(frames) == [
        *("Ready", "SessionStarted app-1", "Response 'Hello' ''", "InputAudioStreamOpen"),
        *("Recognized final yes", "Response 'Bye' ended", "SessionEnded", "Error"),
    ]


# ------------------------------------------------------------ Requests (D-61)


def test_a_request_is_told_as_an_input() -> None:
    host = server_in(SLEEPING)
    frame = request("hi", "R", token="secret", initiationId="call-7", attributes={"a": 1, "b": 1})
    frame["request"]["input"]["attributes"] = {"b": 2, "c": 2}
    host.receive(frame)
    assert host.told() == ["Input hi"]
    turn = host.turn
    assert turn.input is not None
    assert turn.input.attributes == {"a": 1, "b": 1, "c": 2, "initiationId": "call-7"}
    assert turn.request is not None
    assert (turn.request.app_key, turn.request.device_id, turn.request.token) == ("K", "D", "secret")


# ------------------------------------------------------------ Init again (D-55)


@pytest.mark.parametrize("state", CONVERSING)
def test_a_repeated_init_that_is_accepted_replaces_the_settings(state: State) -> None:
    host = server_in(state)
    stream = host.listen()
    host.accept = False
    session = host.server.session_id
    host.receive(init(locale="cs", sendResponseItems=False, silenceTimeout=1000), LOG)
    assert host.told() == ["Init"]
    old = host.server.init
    host.server.ready()
    assert host.server.init is not old
    assert (host.state, host.sent(), host.told()) == (state, ["Ready"], ["Log"])
    assert (host.server.session_id, host.audio, stream.over) == (session, Audio.OPEN, False)
    turn = speak(host)
    turn.say("a")
    turn.finish()
    answer = host.sent_frames()[-1]["response"]
    assert (answer["locale"], [each["text"] for each in answer["items"]]) == ("cs", ["a"])
    assert host.due_in() == 1


@pytest.mark.parametrize("state", CONVERSING)
def test_a_repeated_init_that_is_refused_ends_the_session(state: State) -> None:
    host = server_in(state)
    stream = host.listen()
    old = host.server.init
    host.accept = False
    host.receive(init(locale="cs"))
    host.forget()
    host.server.fail("no")
    assert host.server.init is old
    assert (host.state, host.sent()) == (SLEEPING, ["Error"])
    assert host.told() == (["TurnInterrupted 1 error"] if state in IN_A_TURN else [])
    assert (host.server.session_id, stream.over, host.due_in()) == (None, True, None)
    host.receive(said())
    assert host.told() == ["Input hello"]


def test_a_turn_goes_on_while_a_repeated_init_is_unanswered() -> None:
    host = server_in(PROCESSING)
    host.accept = False
    host.receive(init())
    host.turn.say("a")
    host.turn.finish()
    assert (host.state, host.sent()) == (LISTENING, ["ResponseItem 'a'", "Response"])
    assert host.server.next_event() is Control.NEED_ANSWER


# ------------------------------------------------------------ waking


def test_the_host_is_woken_once_for_what_it_did() -> None:
    woken: list[int] = []
    host = server_in(PROCESSING, wake=lambda: woken.append(1))
    woken.clear()
    host.turn.say("a")
    host.turn.say("b")
    assert woken == [1]
    host.step()
    host.turn.finish()
    assert woken == [1, 1]


def test_a_word_that_changes_nothing_wakes_nobody() -> None:
    woken: list[int] = []
    host = server_in(LISTENING, wake=lambda: woken.append(1))
    stream = host.listen()
    host.server.next_deadline()
    woken.clear()
    stream.recognized("x", final=False)
    stream.ready()
    assert woken == []


def test_a_deadline_that_is_due_sooner_than_the_host_was_told_wakes_it() -> None:
    woken: list[int] = []
    host = server_in(LISTENING, wake=lambda: woken.append(1))
    stream = host.listen()
    host.receive(init(silenceTimeout=100))
    host.forget()
    assert host.server.next_deadline() == 5
    woken.clear()
    stream.recognized("x", final=False)  # the silence is counted anew, and less is allowed now
    assert (host.server.next_deadline(), woken) == (0.1, [1])
    host.step()
    stream.recognized("y", final=False)
    assert woken == [1]


def test_a_deadline_that_the_host_starts_wakes_it() -> None:
    woken: list[int] = []
    host = server_in(LISTENING, wake=lambda: woken.append(1))
    stream = host.listen()
    woken.clear()
    stream.end_of_utterance()
    stream.end_of_utterance()
    assert woken == [1]


# ------------------------------------------------------------ limits


def small(**kw: object) -> ServerHost:
    return ServerHost(limits=Limits(message_bytes=500, audio_bytes=500, queued_bytes=1000), **kw)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [501, 1000, 5000, 100_000_000])
@pytest.mark.parametrize("kind", [str, bytes])
def test_a_message_that_is_too_big_is_a_fault(size: int, kind: type) -> None:
    host = small()
    host.receive(init())
    host.forget()
    host.receive("x" * size if kind is str else b"x" * size)
    (fault,) = host.events
    assert isinstance(fault, FaultEvent)
    assert isinstance(fault.error, LimitExceeded)
    assert (host.state, host.sent()) == (SLEEPING, ["Error"])
    host.receive(said())
    assert host.state is PROCESSING


def test_a_message_that_is_too_big_before_init() -> None:
    host = small()
    host.forget()
    host.receive(b"x" * 501)
    assert (host.state, host.told(), host.sent()) == (OPENED, ["Fault"], ["Error"])


def test_text_is_measured_in_bytes_of_utf8() -> None:
    host = small()
    host.receive(init())
    host.forget()
    frame = json.dumps({"type": "Novelty", "x": "ě" * 300}, ensure_ascii=False)
    assert len(frame) < 500 < len(frame.encode())
    host.receive(frame)
    assert host.told() == ["Fault"]


def test_a_server_is_full_when_enough_waits() -> None:
    host = small(accept=False)
    host.receive(init())
    assert not host.server.full
    host.feed(b"x" * 500)
    assert host.server.full
    host.tell()
    assert host.server.full
    host.server.ready()
    host.tell()
    assert not host.server.full


@pytest.mark.parametrize("asked", [False, True])
def test_a_client_that_floods_is_cut_off(asked: bool) -> None:
    host = small(accept=not asked)
    host.receive(init())
    host.forget()
    for _ in range(10):
        host.feed(b"x" * 400)
    assert host.told() == ["Fault", "Closed 1009"]
    assert (host.sent(), host.state) == (["Close 1009"], CLOSED)


def test_a_host_that_sends_on_and_on_is_stopped() -> None:
    host = small()
    host.receive(init())
    host.receive(said())
    turn = host.turn
    host.forget()
    for _ in range(3):
        turn.say(b"x" * 400)
    with pytest.raises(LocalProtocolError, match="data_to_send"):
        turn.say("more")
    with pytest.raises(LocalProtocolError, match="data_to_send"):
        host.server.send(UnknownEvent(data=NEW))
    assert host.sent() == ["audio 400"] * 3
    turn.finish()
    assert host.sent() == ["Response"]


@pytest.mark.parametrize("deadline", ["silence", "end of utterance"])
def test_a_deadline_passes_even_when_much_waits_to_be_sent(deadline: str) -> None:
    host = small()
    host.receive(init(), said())
    stream = host.listen()
    host.turn.say(b"x" * 500)
    host.turn.say(b"x" * 450)
    host.turn.finish()
    host.events.clear()
    if deadline == "end of utterance":
        stream.end_of_utterance()
    host.clock.advance(5)
    host.tell()
    assert lines(host.events) == ["Input #silence"]


def test_a_turn_can_be_finished_however_much_waits_to_be_sent() -> None:
    for end in (Turn.finish, lambda turn: turn.fail("no")):
        host = small()
        host.receive(init(), said())
        for _ in range(3):
            host.turn.say(b"x" * 400)
        end(host.turn)
        assert host.turn.over


def test_sessions_get_ids_that_nobody_can_guess() -> None:
    ids = set()
    for _ in range(2):
        server = SocketV1Server(clock=ManualClock())
        for message in (RequestHead(url="/socket"), json.dumps(init())):
            server.receive_data(message)
        list(server.events())
        server.ready()
        server.begin().finish()
        assert server.session_id is not None
        assert len(server.session_id) == 36
        ids.add(server.session_id)
    assert len(ids) == 2


def test_the_clock_may_start_anywhere() -> None:
    clock = ManualClock(1e9)
    server = SocketV1Server(clock=clock)
    server.receive_data(RequestHead(url="/socket"))
    assert list(server.events()) == []
    assert server.next_deadline() == 1e9 + 30


def test_a_malformed_language_is_no_fault_and_an_unknown_zone_is() -> None:
    """D-81."""
    host = server_in(SLEEPING, config={"locale": "no language at all"})
    host.receive(said())
    host.turn.finish()
    assert host.sent_frames()[-1]["response"]["locale"] == "en"
    host = ServerHost()
    host.forget()
    host.receive(init(zoneId="Mars/Base"))
    assert (host.told(), host.sent()) == (["Fault"], ["Error"])


def test_the_default_mode_listens_as_single_utterance_does() -> None:
    """D-48."""
    host = server_in(LISTENING, config={"sttMode": "Default"})
    host.listen().recognized("x", final=True)
    assert host.audio is Audio.CLOSED
    host.step()
    host.turn.finish()
    host.listen()
    assert host.due_in() == 5


def test_an_init_is_told_as_it_came() -> None:
    host = ServerHost(accept=False)
    host.receive({"type": "InitEvent", "appKey": "A", "sender": "S", "token": None, "config": None})
    assert host.events == [InitEvent(key="A", device_id="S")]


def test_before_the_first_input_and_stream_there_are_none_to_look_at() -> None:
    server = server_in(SLEEPING).server
    with pytest.raises(LocalProtocolError, match="no input yet"):
        _ = server.turn
    with pytest.raises(LocalProtocolError, match="no stream has been asked for"):
        _ = server.stream


def test_renaming_keeps_the_count_of_what_waits() -> None:
    host = server_in(SLEEPING)
    host.feed(said())
    host.tell()
    host.server.rename_session("x" * 60)
    host.forget()
    assert host.server._outbox_bytes == 0


def test_empty_messages_cannot_be_heaped_up_for_nothing() -> None:
    host = ServerHost(accept=False, limits=Limits(queued_bytes=6400, message_bytes=500, audio_bytes=500))
    host.receive(init())
    count = 0
    while not host.server.full:
        host.server.receive_data(b"")
        count += 1
    assert count == 50
    for _ in range(200):
        host.server.receive_data(b"")
    assert host.told()[-1] == "Closed 1009"


@pytest.mark.parametrize("items", [True, False])
def test_what_cannot_be_encoded_changes_nothing(items: bool) -> None:
    host = server_in(PROCESSING, config={"sendResponseItems": items})
    turn = host.turn
    response = Response(attributes={"a": []}, items=(ResponseItem(text="x"),), stt_mode=SttMode.DUPLEX)
    response.attributes["a"].append(object())
    with pytest.raises((LocalProtocolError, TypeError), match="a JSON value"):
        turn.finish(response)
    assert (host.state, turn.over, host.sent()) == (PROCESSING, False, [])
    turn.finish()
    assert host.sent() == ["Response"]


def test_a_turn_that_the_server_begins_has_a_session_with_its_first_part() -> None:
    host = server_in(SLEEPING)
    turn = host.server.begin()
    assert turn.session_id == ""
    refused(host, lambda: turn.session)
    turn.say("Good morning.")
    assert turn.session is host.server.session
    assert turn.session_id == turn.session.session_id == "s1"


def test_a_dialogue_remembers_as_long_as_the_session_lasts() -> None:
    host = server_in(PROCESSING)
    host.turn.session.data["name"] = "Ada"
    host.turn.finish()
    host.receive(said("second"))
    assert (host.turn.session.data, host.turn.session.turns) == ({"name": "Ada"}, 2)
    host.turn.finish(session_ended=True)
    host.receive(said("third"))
    assert (host.turn.session.data, host.turn.session.turns) == ({}, 1)


def test_a_session_that_nobody_has_woken_is_asleep_in_its_snapshot() -> None:
    host = sleeping_session()
    session = host.server.session
    assert session is not None
    assert session.asleep
    turn = host.server.begin()
    assert not session.asleep
    turn.interrupt()
    assert session.asleep
    host.receive(said("hello"))
    assert not session.asleep
