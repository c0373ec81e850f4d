"""The client end of Socket V1, row by row of the specification's table, then rule by rule.

What is expected is written down here by hand; nothing is derived from the machine's own tables.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from flowstorm_channel.channel import Control, Timeouts
from flowstorm_channel.codecs import MsgpackCodec
from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, TooLateError
from flowstorm_channel.events import (
    BinaryEvent,
    ClosedEvent,
    ConnectionFailedEvent,
    ErrorEvent,
    Event,
    FaultEvent,
    InitEvent,
    InputAudioStreamCancelEvent,
    InputAudioStreamCloseEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    LogEvent,
    ReadyEvent,
    RecognizedEvent,
    RequestEvent,
    ResponseEvent,
    SessionEndEvent,
    TurnInterruptedEvent,
    UnknownEvent,
    VoteEvent,
)
from flowstorm_channel.limits import Limits
from flowstorm_channel.states import Audio, State
from flowstorm_channel.values import (
    ClientConfig,
    ExpectedPhrase,
    Input,
    LogEntry,
    Request,
    Response,
    SttMode,
    Transcript,
)
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
    ClientHost,
    Frame,
    client_in,
    decoded,
    init,
    item,
    lines,
    recognized,
    refused,
    request,
    response,
    said,
    started,
)

CLOSED, OPENED, FAILED = State.CLOSED, State.OPEN, State.FAILED
SLEEPING, LISTENING = State.SLEEPING, State.LISTENING
PROCESSING, RESPONDING, PAUSED = State.PROCESSING, State.RESPONDING, State.PAUSED
CONVERSING = (SLEEPING, LISTENING, PROCESSING, RESPONDING, PAUSED)
IN_A_TURN = (PROCESSING, RESPONDING, PAUSED)
PLAYING = (RESPONDING, PAUSED)
DUPLEX = ClientConfig(send_response_items=True, stt_interim_results=True, stt_mode=SttMode.DUPLEX)
INTERIM, FINAL = recognized(final=False), recognized(final=True)


def ignored(host: ClientHost, call: Callable[[], object]) -> None:
    """The call does nothing, and says nothing."""
    before = host.everything()
    call()
    assert host.everything() == before
    assert (host.told(), host.sent()) == ([], [])


def complete(state: State, **kw: Any) -> ClientHost:
    """A client in Responding or Paused whose Response has come, with something still playing."""
    host = client_in(state, **kw)
    host.receive(response())
    host.forget()
    assert host.state is state
    return host


def with_stream(state: State, audio: Audio = Audio.OPEN, **kw: Any) -> ClientHost:
    """A client with a stream, in Listening or, in Duplex, anywhere from there on."""
    host = client_in(state, **kw)
    host.client.open_microphone()
    if audio is Audio.OPEN:
        host.ack()
    host.forget()
    assert (host.state, host.audio) == (state, audio)
    return host


def playing(host: ClientHost) -> ClientHost:
    """From Listening on: the server begins a turn, and a part of it comes."""
    host.receive(item())
    host.forget()
    assert host.state is RESPONDING
    return host


# ------------------------------------------------------------ Closed and Failed


def test_a_client_asks_for_a_transport_and_introduces_itself() -> None:
    host = ClientHost(headers=[("Origin", "here")], token="T", config=ClientConfig(locale="cs"))
    assert host.state is CLOSED
    host.client.open()
    assert host.sent_messages() == [RequestHead(url="ws://host/socket", headers=(("Origin", "here"),))]
    assert host.state is CLOSED
    host.receive(ResponseHead(status=101))
    (frame,) = host.sent_frames()
    assert (frame["type"], frame["key"], frame["deviceId"], frame["token"]) == ("Init", "K", "D", "T")
    assert frame["config"]["locale"] == "cs"
    assert (host.state, host.told()) == (OPENED, [])


def test_opening_twice_asks_once() -> None:
    host = ClientHost()
    host.client.open()
    host.client.open()
    assert host.sent() == ["connect"]
    host.receive(ResponseHead(status=101))
    host.forget()
    ignored(host, host.client.open)


@pytest.mark.parametrize("before", [CLOSED, FAILED])
@pytest.mark.parametrize(
    ("answer", "code"),
    [(ResponseHead(status=503), 503), (Close(1001, "no"), 1001), (None, 1006)],
    ids=["status", "close", "eof"],
)
def test_connecting_fails(before: State, answer: Message | None, code: int) -> None:
    host = client_in(before)
    host.client.open()
    host.step()
    host.receive(answer) if answer is not None else host.lost()
    assert host.state is FAILED
    assert host.told() == [f"ConnectionFailed {code}"]
    assert host.due_in() == 10


@pytest.mark.parametrize("state", [CLOSED, FAILED])
def test_without_a_transport_only_open_and_close_are_legal(state: State) -> None:
    host = client_in(state)
    for call in (
        host.client.start,
        lambda: host.client.say("x"),
        host.client.open_microphone,
        host.client.log,
        lambda: host.client.send(LogEvent()),
        lambda: host.client.send(SessionEndEvent()),
        lambda: host.client.send(UnknownEvent(data=NEW)),
        lambda: host.client.send(BinaryEvent(data=b"")),
        lambda: host.client.send(host.client.init),
    ):
        refused(host, call)
    for word in (host.client.pause, host.client.resume, host.client.close_microphone):
        ignored(host, word)
    assert host.client.send_audio(b"1") is False


@pytest.mark.parametrize("state", [CLOSED, FAILED])
def test_without_a_transport_nothing_can_come(state: State) -> None:
    host = client_in(state)
    host.receive(item(), b"1", Close())
    host.lost()
    assert (host.state, host.told()) == (state, [])


@pytest.mark.parametrize("message", ["text", b"data", RequestHead(url="/")])
def test_before_the_handshake_nothing_else_can_come(message: Message) -> None:
    host = ClientHost()
    host.client.open()
    host.forget()
    refused(host, lambda: host.client.receive_data(message))


@pytest.mark.parametrize("message", [RequestHead(url="/"), ResponseHead(status=101)])
def test_after_the_handshake_no_other_can_come(message: Message) -> None:
    host = client_in(SLEEPING)
    refused(host, lambda: host.client.receive_data(message))


def test_what_cannot_come_is_told_with_what_can() -> None:
    host = ClientHost()
    host.client.open()
    with pytest.raises(LocalProtocolError, match="bring str to a client in Closed") as caught:
        host.client.receive_data("text")
    assert caught.value.legal == ("ResponseHead", "Close")
    host.receive(ResponseHead(status=101))
    with pytest.raises(LocalProtocolError, match="bring ResponseHead to a client in Open") as caught:
        host.client.receive_data(ResponseHead(status=101))
    assert caught.value.legal == ("str", "bytes", "Close")


def test_a_client_knows_where_it_connects_to() -> None:
    host = ClientHost()
    host.client.open()
    (head,) = host.sent_messages()
    assert isinstance(head, RequestHead)
    assert (host.client.url, head.url) == ("ws://host/socket", "ws://host/socket")


def test_what_follows_the_handshake_may_come_with_it() -> None:
    host = ClientHost()
    host.client.open()
    host.feed(ResponseHead(status=101), READY)
    assert (host.sent(), host.told(), host.state) == (["connect", "Init"], ["Ready"], SLEEPING)


# ------------------------------------------------------------ close and loss, from everywhere


@pytest.mark.parametrize("state", list(State))
def test_the_host_closes(state: State) -> None:
    host = client_in(state)
    turn = host.client._turn
    host.client.close()
    connected = state not in (CLOSED, FAILED)
    told = ["TurnInterrupted 2 closed"] if state in IN_A_TURN else []
    assert not host.client.closed
    assert host.told() == [*told, "Closed 1000"]
    assert host.client.closed
    assert host.sent_messages() == ([Close(1000, "CLIENT_CLOSE")] if connected else [])
    assert (host.state, host.client.session_id, host.due_in()) == (CLOSED, None, None)
    host.client.close()
    host.feed(item(), Close())
    host.lost()
    host.advance(1000)
    assert (host.told(), host.sent()) == ([], [])
    for call in (
        host.client.open,
        host.client.start,
        host.client.open_microphone,
        lambda: host.client.send(LogEvent()),
    ):
        refused(host, call, TooLateError)
    for word in (host.client.pause, host.client.resume, host.client.close_microphone):
        ignored(host, word)
    assert host.client.send_audio(b"1") is False
    if turn is not None:
        ignored(host, turn.finish_playback)
        ignored(host, turn.interrupt)


def test_closing_while_connecting() -> None:
    host = ClientHost()
    host.client.open()
    host.step()
    host.client.close()
    assert host.told() == ["Closed 1000"]
    assert host.sent()[-1] == "Close 1000"


def test_what_was_said_before_the_close_goes_out() -> None:
    host = client_in(SLEEPING)
    host.client.log()
    host.client.close()
    assert host.sent() == ["Log", "Close 1000"]


@pytest.mark.parametrize("state", [OPENED, *CONVERSING])
@pytest.mark.parametrize("close", [None, Close(1000, "done"), Close(1011)])
def test_the_transport_goes(state: State, close: Close | None) -> None:
    """D-57: whatever the code, the client tries again."""
    host = client_in(state)
    held = host.client.session_id
    host.receive(close) if close is not None else host.lost()
    told = ["TurnInterrupted 2 lost"] if state is PROCESSING else []  # what plays may finish (D-56)
    assert host.told() == [*told, f"ConnectionFailed {1006 if close is None else close.code}"]
    assert (host.state, host.sent(), host.client.session_id) == (FAILED, [], held)
    assert host.due_in() == 10


@pytest.mark.parametrize("audio", [Audio.ASKED, Audio.OPEN])
def test_the_stream_goes_with_the_transport(audio: Audio) -> None:
    host = with_stream(LISTENING, audio)
    host.lost()
    assert host.audio is Audio.CLOSED


def test_what_is_queued_goes_nowhere_when_the_transport_is_gone() -> None:
    host = client_in(LISTENING)
    host.client.say("late")
    host.client.receive_eof()
    assert host.sent() == []


def test_what_came_before_the_end_is_told_before_it() -> None:
    host = client_in(PROCESSING)
    host.feed(item(), response(), Close(1001))
    assert host.told() == ["ResponseItem 'part'", "Response", "ConnectionFailed 1001"]


def test_what_plays_may_finish_after_a_loss() -> None:
    host = client_in(RESPONDING)
    turn = host.client.turn
    assert turn is not None
    host.lost()
    assert not turn.over
    turn.finish_playback()
    assert turn.over
    assert (host.state, host.told()) == (FAILED, ["ConnectionFailed 1006"])


# ------------------------------------------------------------ Open


def test_ready() -> None:
    host = client_in(OPENED)
    host.receive(READY)
    assert (host.state, host.told(), host.sent()) == (SLEEPING, ["Ready"], [])


def test_ready_starts_by_itself() -> None:
    host = client_in(OPENED, auto_start=True)
    host.receive(READY)
    assert (host.state, host.told(), host.sent()) == (PROCESSING, ["Ready"], ["Input #intro"])


def test_ready_does_not_start_while_a_session_goes_on() -> None:
    host = client_in(OPENED, auto_start=True, session_id="S")
    host.receive(READY)
    assert (host.state, host.sent()) == (SLEEPING, [])


def test_ready_again_does_not_start_again() -> None:
    host = client_in(SLEEPING)
    host.client.auto_start = True
    host.receive(READY)
    assert host.sent() == []


def test_an_error_before_ready() -> None:
    host = client_in(OPENED, session_id="S")
    host.receive(ERROR)
    assert host.state is FAILED
    assert host.told()[0] == "Error"
    assert host.sent() == ["Close 1000"]
    assert host.client.session_id == "S"
    assert host.due_in() == 10


def test_a_connection_that_is_given_up_neither_sends_nor_hears_anything_more() -> None:
    host = ClientHost()
    host.client.open()
    host.forget()
    host.feed(ResponseHead(status=101), {"type": "Error", "text": "no"}, READY, item())
    events = [type(each).__name__ for each in host.client.events()]
    assert events == ["ErrorEvent", "ConnectionFailedEvent"]
    assert list(host.client.data_to_send()) == [Close(1000, "refused")]


def test_before_ready_audio_is_dropped() -> None:
    host = client_in(OPENED)
    host.receive(b"12", b"", {"type": "Binary", "data": "AAAA"})
    assert (host.state, host.told(), host.client.dropped) == (OPENED, [], 2)


def test_before_ready_an_unknown_event_is_delivered() -> None:
    host = client_in(OPENED)
    host.receive(NEW)
    assert (host.state, host.told()) == (OPENED, ["Novelty"])


@pytest.mark.parametrize(
    "frame", [started(), OPEN, INTERIM, FINAL, item(), response(), ENDED, said(), LOG, "{"], ids=str
)
def test_before_ready_anything_else_is_a_fault(frame: Frame | str) -> None:
    host = client_in(OPENED)
    host.receive(frame)
    assert (host.state, host.told(), host.sent()) == (OPENED, ["Fault"], [])
    host.receive(READY)
    assert host.state is SLEEPING


def test_before_ready_nothing_may_be_said() -> None:
    host = client_in(OPENED)
    for call in (
        host.client.start,
        host.client.log,
        host.client.open_microphone,
        lambda: host.client.send(host.client.init),
        lambda: host.client.send(UnknownEvent(data=NEW)),
        lambda: host.client.send(SessionEndEvent()),
    ):
        refused(host, call)


# ------------------------------------------------------------ what is received, cell by cell

Cell = tuple[State, "Frame | bytes | str", State, list[str], list[str]]


def _received() -> list[Cell]:
    cells: list[Cell] = []
    for state in CONVERSING:
        interrupted = ["TurnInterrupted 2 error"] if state in IN_A_TURN else []
        cells += [
            (state, READY, state, [], ["Ready"]),
            (state, started(), state, [], ["SessionStarted S"]),
            (state, started("T"), state, [], ["SessionStarted T"]),
            (state, ERROR, SLEEPING, [], [*interrupted, "Error"]),
            (state, NEW, state, [], ["Novelty"]),
            (state, b"", state, [], []),
            (state, {"type": "Binary", "data": ""}, state, [], []),
            (state, OPEN, state, [], []),
            (state, INTERIM, state, [], ["Recognized interim yes"]),
        ]
        for fault in (
            *("{", "[]", "{}", {"type": "Response"}, {"type": "Recognized", "text": 3}),
            *(said(), request(), init(), LOG, VOTE, CLOSE, CANCEL),
            *({"type": "InputStreamClose"}, {"type": "RecognizedInput", "input": said()["input"]}),
        ):
            cells.append((state, fault, state, [], ["Fault"]))
    for state in (SLEEPING, LISTENING, PROCESSING):
        cells += [
            (state, item(), RESPONDING, [], ["ResponseItem 'part'"]),
            (state, item("#card"), RESPONDING, [], ["ResponseItem '#card'"]),
            (state, b"12", RESPONDING, [], ["audio 2"]),
            (state, {"type": "Binary", "data": "AAAA"}, RESPONDING, [], ["audio 3"]),
            (state, response("a"), RESPONDING, [], ["Response 'a'"]),
            (state, response("a", sessionEnded=True), RESPONDING, [], ["Response 'a' ended"]),
            # nothing to play: it must not be stranded (D-25, D-40)
            (state, response(), LISTENING, [], ["Response"]),
            (state, response("", "#card"), LISTENING, [], ["Response '' '#card'"]),
            (state, response(sessionEnded=True), SLEEPING, [], ["Response ended"]),
            (state, response(sleepTimeout=60), SLEEPING, [], ["Response sleeps 60"]),
            (
                *(state, response(sleepTimeout=60, sessionEnded=True), SLEEPING, []),
                ["Response ended sleeps 60"],
            ),
        ]
    for state in PLAYING:
        cells += [
            (state, item(), state, [], ["ResponseItem 'part'"]),
            (state, b"12", state, [], ["audio 2"]),
            (state, response("a"), state, [], ["Response 'a'"]),
            (state, response(), state, [], ["Response"]),
            (state, response(sessionEnded=True), state, [], ["Response ended"]),
            (state, ENDED, state, [], ["SessionEnded"]),
        ]
    cells += [
        (SLEEPING, FINAL, PROCESSING, [], ["Recognized final yes"]),
        (LISTENING, FINAL, PROCESSING, [], ["Recognized final yes"]),
        (SLEEPING, ENDED, SLEEPING, [], ["SessionEnded"]),
        (LISTENING, ENDED, SLEEPING, [], ["SessionEnded"]),
        (PROCESSING, ENDED, SLEEPING, [], ["TurnInterrupted 2 session ended", "SessionEnded"]),
        # an Input of ours is unanswered, and our stream is not open: it is older (D-35)
        (PROCESSING, FINAL, PROCESSING, [], ["Recognized final yes"]),
        (RESPONDING, FINAL, RESPONDING, [], ["Recognized final yes"]),
        (PAUSED, FINAL, PAUSED, [], ["Recognized final yes"]),
    ]
    return cells


@pytest.mark.parametrize("cell", _received(), ids=lambda cell: f"{cell[0].value} < {str(cell[1])[:60]}")
def test_received(cell: Cell) -> None:
    before, frame, after, sent, told = cell
    host = client_in(before)
    host.receive(frame)
    assert host.state is after
    assert host.sent() == sent
    assert host.told() == told


@pytest.mark.parametrize("state", PLAYING)
def test_a_final_result_stops_what_plays(state: State) -> None:
    host = complete(state)
    turn = host.client.turn
    host.receive(FINAL)
    assert host.state is PROCESSING
    assert host.told() == ["TurnInterrupted 2 recognized", "Recognized final yes"]
    assert turn is not None
    assert turn.over


@pytest.mark.parametrize("state", CONVERSING)
def test_an_error_drops_the_session(state: State) -> None:
    host = client_in(state)
    host.receive(started("T"), ERROR)
    assert (host.state, host.client.session_id) == (SLEEPING, None)
    host.client.say("again")
    assert host.sent() == ["Input again"]


@pytest.mark.parametrize("audio", [Audio.ASKED, Audio.OPEN])
@pytest.mark.parametrize("config", [ClientConfig(), DUPLEX], ids=["", "Duplex"])
def test_an_error_closes_the_stream_without_a_word(audio: Audio, config: ClientConfig) -> None:
    host = with_stream(LISTENING, audio, config=config)
    host.receive(ERROR)
    assert (host.audio, host.sent()) == (Audio.CLOSED, [])


def test_an_error_while_a_sleeping_session_plays_closes_the_stream_without_a_word() -> None:
    host = with_stream(RESPONDING, config=DUPLEX)
    host.receive(response(sleepTimeout=60))
    host.forget()
    host.receive(ERROR)
    assert (host.state, host.audio, host.sent()) == (SLEEPING, Audio.CLOSED, [])


@pytest.mark.parametrize("audio", [Audio.ASKED, Audio.OPEN])
@pytest.mark.parametrize("frame", [item(), b"12", response("a"), FINAL], ids=str)
def test_what_begins_a_turn_closes_the_stream(audio: Audio, frame: Frame | bytes) -> None:
    """[Close] of the table, before anything else."""
    host = with_stream(LISTENING, audio)
    host.receive(frame)
    assert (host.audio, host.sent()) == (Audio.CLOSED, ["InputAudioStreamClose"])
    host = with_stream(LISTENING, audio, config=DUPLEX)
    host.receive(frame)
    assert (host.audio, host.sent()) == (audio, [])


@pytest.mark.parametrize("audio", [Audio.ASKED, Audio.OPEN])
def test_a_response_with_nothing_to_play_leaves_the_stream(audio: Audio) -> None:
    host = with_stream(LISTENING, audio)
    host.receive(response())
    assert (host.state, host.audio, host.sent()) == (LISTENING, audio, [])


@pytest.mark.parametrize("audio", [Audio.ASKED, Audio.OPEN])
@pytest.mark.parametrize(
    ("frame", "sent_in_duplex"),
    [
        (response(sessionEnded=True), []),
        (response(sleepTimeout=60), ["InputAudioStreamClose"]),
        (ENDED, []),
    ],
    ids=str,
)
def test_sleeping_closes_the_stream(audio: Audio, frame: Frame, sent_in_duplex: list[str]) -> None:
    for config, sent in ((ClientConfig(), []), (DUPLEX, sent_in_duplex)):
        host = with_stream(LISTENING, audio, config=config)
        host.receive(frame)
        assert (host.state, host.audio, host.sent()) == (SLEEPING, Audio.CLOSED, sent)


def test_interim_results_are_only_shown() -> None:
    host = with_stream(LISTENING)
    host.receive(INTERIM)
    assert (host.state, host.audio, host.sent()) == (LISTENING, Audio.OPEN, [])


def test_the_stream_is_open_when_it_is_acknowledged() -> None:
    host = client_in(LISTENING)
    host.client.open_microphone()
    assert (host.audio, host.sent()) == (Audio.ASKED, ["InputAudioStreamOpen"])
    host.receive(OPEN)
    assert (host.audio, host.told()) == (Audio.OPEN, ["InputAudioStreamOpen"])
    host.receive(OPEN)
    assert (host.audio, host.told()) == (Audio.OPEN, [])


def test_an_acknowledgement_that_comes_late_is_ignored() -> None:
    host = client_in(LISTENING)
    host.client.open_microphone()
    host.client.close_microphone()
    host.forget()
    host.receive(OPEN)
    assert (host.audio, host.told(), host.sent()) == (Audio.CLOSED, [], [])


@pytest.mark.parametrize("end", [ENDED, ERROR, response(sessionEnded=True)], ids=str)
def test_an_acknowledgement_that_crosses_the_end_of_the_session_is_taken_back(end: Frame) -> None:
    """Nothing was sent when our stream was closed, so the server would listen on."""
    host = with_stream(LISTENING, Audio.ASKED)
    host.receive(end)
    host.forget()
    host.receive(OPEN)
    assert (host.audio, host.told(), host.sent()) == (Audio.CLOSED, [], ["InputAudioStreamClose"])


def test_an_acknowledgement_on_a_new_connection_is_ignored() -> None:
    host = with_stream(LISTENING)
    host.lost()
    host.advance(10)
    host.receive(ResponseHead(status=101), READY)
    host.forget()
    host.receive(OPEN)
    assert (host.audio, host.told(), host.sent()) == (Audio.CLOSED, [], [])


@pytest.mark.parametrize("state", IN_A_TURN)
def test_in_duplex_an_acknowledgement_counts_while_a_turn_runs(state: State) -> None:
    host = client_in(state, config=DUPLEX)
    host.client.open_microphone()
    host.forget()
    host.receive(OPEN)
    assert (host.state, host.audio, host.told()) == (state, Audio.OPEN, ["InputAudioStreamOpen"])


# ------------------------------------------------------------ what the host does, cell by cell


@pytest.mark.parametrize("state", CONVERSING)
@pytest.mark.parametrize("kind", ["Input", "Request"])
def test_saying_something(state: State, kind: str) -> None:
    host = client_in(state)
    spoken = Input(transcript=Transcript(text="x"))
    if kind == "Input":
        host.client.send(InputEvent(input=spoken))
    else:
        inside = Request(app_key="K", device_id="D", session_id="R", input=spoken)
        host.client.send(RequestEvent(request=inside))
    assert host.state is PROCESSING
    assert host.sent() == ["Input x" if kind == "Input" else "Request x of R"]
    assert host.told() == (["TurnInterrupted 2 input"] if state in IN_A_TURN else [])


@pytest.mark.parametrize("audio", [Audio.ASKED, Audio.OPEN])
def test_saying_something_closes_the_stream(audio: Audio) -> None:
    host = with_stream(LISTENING, audio)
    host.client.say("x")
    assert (host.audio, host.sent()) == (Audio.CLOSED, ["InputAudioStreamClose", "Input x"])
    host = with_stream(LISTENING, audio, config=DUPLEX)
    host.client.say("x")
    assert (host.audio, host.sent()) == (audio, ["Input x"])


def test_what_is_said_carries_who_and_where() -> None:
    config = ClientConfig(locale="cs_CZ", zone_id="Europe/Prague")
    host = client_in(SLEEPING, config=config, attributes={"clientType": "web:1.0", "a": 1})
    turn = host.client.say("x", attributes={"a": 2})
    assert turn is host.client.turn
    assert turn.number == 1
    (frame,) = host.sent_frames()
    assert frame["input"]["locale"] == "cs_CZ"
    assert frame["input"]["zoneId"] == "Europe/Prague"
    assert frame["input"]["attributes"] == {"clientType": "web:1.0", "a": 2}
    assert repr(turn) == "<ClientTurn 1>"


@pytest.mark.parametrize("state", CONVERSING)
def test_logs_votes_and_the_like_change_nothing(state: State) -> None:
    host = client_in(state)
    before = host.everything()
    host.client.log(LogEntry(text="a"))
    host.client.send(VoteEvent(vote=-1))
    host.client.send(SessionEndEvent())
    host.client.send(UnknownEvent(data=NEW))
    host.client.send(BinaryEvent(data=b""))
    host.client.send(host.client.init)
    assert host.sent() == ["Log", "Vote", "SessionEnded", "Novelty", "keep-alive", "Init"]
    assert (host.everything(), host.told()) == (before, [])


def test_a_vote_names_the_turn() -> None:
    host = client_in(PROCESSING)
    host.receive(response(turnId="T7"))
    turn = host.client.turn
    assert turn is not None
    host.client.vote(turn, 1)
    assert host.sent_frames() == [{"type": "Vote", "turnId": "T7", "vote": 1}]


@pytest.mark.parametrize("state", CONVERSING)
def test_what_is_not_the_clients_to_send(state: State) -> None:
    host = client_in(state)
    events: list[Event] = [
        ReadyEvent(),
        ErrorEvent(text="x"),
        ResponseEvent(response=Response()),
        RecognizedEvent(text="x"),
        ClosedEvent(),
    ]
    if state is not LISTENING:
        events += [InputAudioStreamOpenEvent(), InputAudioStreamCloseEvent(), InputAudioStreamCancelEvent()]
    for event in events:
        refused(host, lambda event=event: host.client.send(event))
    if state is not LISTENING:
        refused(host, host.client.open_microphone)
        ignored(host, host.client.close_microphone)


def test_the_microphone() -> None:
    host = client_in(LISTENING)
    ignored(host, host.client.close_microphone)
    host.client.open_microphone()
    host.client.open_microphone()
    assert (host.audio, host.sent()) == (Audio.ASKED, ["InputAudioStreamOpen"])
    refused(host, lambda: host.client.send(InputAudioStreamOpenEvent()))
    host.ack()
    host.forget()
    ignored(host, host.client.open_microphone)
    host.client.close_microphone()
    assert (host.audio, host.sent(), host.state) == (Audio.CLOSED, ["InputAudioStreamClose"], LISTENING)
    host.client.open_microphone()
    host.client.send(InputAudioStreamCancelEvent())
    assert (host.audio, host.sent()) == (Audio.CLOSED, ["InputAudioStreamOpen", "InputAudioStreamCancel"])


@pytest.mark.parametrize("state", IN_A_TURN)
def test_in_duplex_the_microphone_may_be_opened_and_closed_while_a_turn_runs(state: State) -> None:
    host = client_in(state, config=DUPLEX)
    host.client.open_microphone()
    assert (host.state, host.audio, host.sent()) == (state, Audio.ASKED, ["InputAudioStreamOpen"])
    host.ack()
    assert host.client.send_audio(b"12") is True
    host.client.close_microphone()
    assert (host.state, host.audio) == (state, Audio.CLOSED)
    assert host.sent() == ["audio 2", "InputAudioStreamClose"]
    host.client.open_microphone()
    host.client.send(InputAudioStreamCancelEvent())
    assert (host.state, host.audio) == (state, Audio.CLOSED)


@pytest.mark.parametrize("state", list(State))
def test_audio_that_nobody_waits_for_is_dropped_and_counted(state: State) -> None:
    host = client_in(state)
    assert host.client.send_audio(b"12") is False
    assert host.client.send_audio(b"") is False
    assert (host.client.dropped, host.sent(), host.state) == (1, [], state)


def test_audio_flows_only_while_the_stream_is_open() -> None:
    host = client_in(LISTENING)
    host.client.open_microphone()
    assert host.client.send_audio(b"1") is False
    host.ack()
    assert host.client.send_audio(b"22") is True
    assert host.client.send_audio(b"") is False
    host.client.send(BinaryEvent(data=b"333"))
    host.client.close_microphone()
    assert host.client.send_audio(b"4444") is False
    assert host.sent()[1:] == ["audio 2", "audio 3", "InputAudioStreamClose"]
    assert host.client.dropped == 2


def test_audio_does_not_pile_up_without_bound() -> None:
    host = with_stream(LISTENING, limits=Limits(queued_bytes=1000))
    assert [host.client.send_audio(b"x" * 400) for _ in range(5)] == [True, True, True, False, False]
    assert host.client.dropped == 2
    assert host.sent() == ["audio 400"] * 3
    assert host.client.send_audio(b"x") is True


# ------------------------------------------------------------ playback


def test_playback_that_is_finished_is_left_once_the_response_has_come() -> None:
    host = client_in(RESPONDING)
    turn = host.client.turn
    assert turn is not None
    turn.finish_playback()
    assert (host.state, turn.over) == (RESPONDING, False)
    host.receive(item())
    host.receive(response())
    assert host.state is RESPONDING
    turn.finish_playback()
    assert (host.state, turn.over) == (LISTENING, True)
    assert repr(turn) == "<ClientTurn 2 over>"


@pytest.mark.parametrize("frame", [response(), response("#card"), response("")], ids=str)
def test_a_response_after_all_was_played_leaves_at_once(frame: Frame) -> None:
    """D-40."""
    host = client_in(RESPONDING)
    assert host.client.turn is not None
    host.client.turn.finish_playback()
    host.receive(item("#volume", code="up"))
    host.receive(frame)
    assert host.state is LISTENING


@pytest.mark.parametrize(
    "playable",
    [
        *[{"text": "a"}, {"text": "# a"}, {"text": "", "audio": "/a"}, {"text": "#x", "image": "/i"}],
        *[{"text": "", "video": "/v"}, {"text": "#x", "ssml": "<speak/>"}],
    ],
    ids=str,
)
def test_what_can_be_played_keeps_the_client_in_responding(playable: Frame) -> None:
    for frames in (
        [{"type": "ResponseItem", "responseItem": playable}, response()],
        [{"type": "Response", "response": {"items": [playable]}}],
    ):
        host = client_in(PROCESSING)
        host.receive(*frames)
        assert host.state is RESPONDING


@pytest.mark.parametrize(
    ("members", "after"),
    [({}, LISTENING), ({"sessionEnded": True}, SLEEPING), ({"sleepTimeout": 60}, SLEEPING)],
)
@pytest.mark.parametrize("way", ["played", "interrupted", "resumed", "interrupted while paused"])
def test_leaving(members: Frame, after: State, way: str) -> None:
    host = client_in(RESPONDING)
    host.receive(response(**members))
    host.forget()
    turn = host.client.turn
    assert turn is not None
    match way:
        case "played":
            turn.finish_playback()
        case "interrupted":
            turn.interrupt()
        case "resumed":
            host.client.pause()
            turn.finish_playback()
            assert host.state is PAUSED
            host.client.resume()
        case _:
            host.client.pause()
            turn.interrupt()
    assert (host.state, host.sent()) == (after, [])
    assert host.told() == (["TurnInterrupted 2 host"] if "interrupted" in way else [])


def test_interrupting_the_wait() -> None:
    """D-41."""
    host = client_in(PROCESSING)
    turn = host.client.turn
    assert turn is not None
    turn.interrupt()
    assert (host.state, host.sent(), host.told()) == (LISTENING, [], ["TurnInterrupted 2 host"])
    assert turn.over
    ignored(host, turn.interrupt)


@pytest.mark.parametrize("state", PLAYING)
def test_interrupting_what_is_not_complete(state: State) -> None:
    host = client_in(state)
    turn = host.client.turn
    assert turn is not None
    turn.interrupt()
    assert (host.state, host.told()) == (LISTENING, ["TurnInterrupted 2 host"])
    host.receive(item(), b"12")
    assert (host.state, host.told(), host.client.dropped) == (LISTENING, [], 2)
    host.receive(response("late"))
    assert (host.state, host.told()) == (LISTENING, ["Response"])


def test_interrupting_may_pause() -> None:
    host = client_in(RESPONDING, pause_on_interrupt=True)
    turn = host.client.turn
    assert turn is not None
    turn.interrupt()
    assert (host.state, host.told(), turn.over) == (PAUSED, [], False)
    turn.interrupt()
    assert (host.state, host.told()) == (LISTENING, ["TurnInterrupted 2 host"])
    host = client_in(PROCESSING, pause_on_interrupt=True)
    assert host.client.turn is not None
    host.client.turn.interrupt()
    assert host.state is LISTENING


def test_pause_and_resume() -> None:
    host = client_in(RESPONDING)
    host.client.pause()
    assert host.state is PAUSED
    ignored(host, host.client.pause)
    host.client.resume()
    assert host.state is RESPONDING
    ignored(host, host.client.resume)
    assert (host.told(), host.sent()) == ([], [])


@pytest.mark.parametrize("state", list(State))
def test_words_that_race_with_the_server_never_raise(state: State) -> None:
    host = client_in(state)
    turn = host.client._turn
    for _ in range(2):
        for word in (host.client.pause, host.client.resume):
            word()
        host.client.finish_playback()
        host.client.interrupt()
        if turn is not None:
            turn.finish_playback()
            turn.interrupt()
        host.client.send_audio(b"1")
    ended = {PROCESSING: LISTENING, RESPONDING: LISTENING, PAUSED: LISTENING}
    assert host.state is ended.get(state, state)


def test_before_the_first_turn_there_is_none_to_look_at() -> None:
    with pytest.raises(LocalProtocolError, match="no turn yet"):
        _ = client_in(SLEEPING).client.turn


def test_words_of_an_older_turn_do_nothing_to_the_newer() -> None:
    host = client_in(RESPONDING)
    old = host.client.turn
    assert old is not None
    host.client.say("next")
    host.receive(response(), item("next"))
    host.forget()
    assert host.state is RESPONDING
    ignored(host, old.interrupt)
    ignored(host, old.finish_playback)
    host.receive(response())
    assert host.state is RESPONDING
    old.finish_playback()
    assert host.state is RESPONDING


def test_finished_playback_is_all_that_came_so_far() -> None:
    """D-40: a server may begin a turn while the one before still plays."""
    host = complete(RESPONDING)
    first = host.client.turn
    host.receive(item("more"), response())
    assert host.state is RESPONDING
    second = host.client.turn
    assert first is not None
    assert second is not None
    assert first is not second
    second.finish_playback()
    assert (host.state, first.over, second.over) == (LISTENING, True, True)


def test_what_played_through_a_loss_does_not_strand_the_client() -> None:
    host = client_in(RESPONDING)
    host.lost()
    host.advance(10)
    host.receive(ResponseHead(status=101), READY, item("again"), response())
    assert host.client.turn is not None
    host.client.turn.finish_playback()
    assert host.state is LISTENING


# ------------------------------------------------------------ the end of a session


def test_the_end_of_a_session_drops_its_id() -> None:
    for frames in ([response(sessionEnded=True)], [ENDED], [response(sessionEnded=True), ENDED]):
        host = client_in(PROCESSING)
        host.receive(*frames)
        assert (host.state, host.client.session_id) == (SLEEPING, None)


def test_session_ended_after_an_ending_response_is_no_news() -> None:
    """D-12, D-52."""
    host = client_in(RESPONDING)
    host.receive(response(sessionEnded=True), ENDED)
    assert host.state is RESPONDING
    assert host.client.turn is not None
    host.client.turn.finish_playback()
    assert host.state is SLEEPING


@pytest.mark.parametrize("later", [PROCESSING, LISTENING])
def test_session_ended_is_no_news_even_when_new_input_has_gone_out(later: State) -> None:
    host = client_in(PROCESSING)
    host.receive(response(sessionEnded=True))
    turn = host.client.say("next")
    if later is LISTENING:
        turn.interrupt()
    host.forget()
    host.receive(ENDED)
    assert (host.state, host.told()) == (later, ["SessionEnded"])
    host.receive(started("T"))
    assert host.client.session_id == "T"
    host.receive(ENDED)
    assert (host.state, host.client.session_id) == (SLEEPING, None)


def test_session_ended_that_is_news_awaits_no_response() -> None:
    host = client_in(PROCESSING)
    host.receive(ENDED)
    host.client.say("next")
    host.forget()
    host.receive(started("T"), item("for next"))
    assert host.told() == ["SessionStarted T", "ResponseItem 'for next'"]


@pytest.mark.parametrize("state", PLAYING)
def test_session_ended_while_playing_lets_it_play(state: State) -> None:
    host = client_in(state)
    host.receive(ENDED)
    assert (host.state, host.client.session_id) == (state, None)
    host.client.resume()
    assert host.client.turn is not None
    host.client.turn.finish_playback()
    assert host.state is SLEEPING


def test_session_ended_with_all_played_leaves_at_once() -> None:
    host = client_in(RESPONDING)
    assert host.client.turn is not None
    host.client.turn.finish_playback()
    host.receive(ENDED)
    assert (host.state, host.told()) == (SLEEPING, ["SessionEnded"])


def test_session_ended_with_all_played_leaves_when_resumed() -> None:
    host = client_in(PAUSED)
    assert host.client.turn is not None
    host.client.turn.finish_playback()
    host.receive(ENDED)
    assert host.state is PAUSED
    host.client.resume()
    assert host.state is SLEEPING


def test_session_ended_of_a_sleeping_session_drops_its_id() -> None:
    host = client_in(PROCESSING)
    host.receive(response(sleepTimeout=60))
    assert host.client.session_id == "S"
    host.receive(ENDED)
    assert (host.state, host.client.session_id, host.due_in()) == (SLEEPING, None, None)


def test_the_echo_of_our_own_end_is_the_end() -> None:
    host = client_in(LISTENING)
    host.client.send(SessionEndEvent())
    assert host.client.session_id == "S"
    host.receive(ENDED)
    assert (host.state, host.client.session_id) == (SLEEPING, None)


def test_the_echo_of_our_own_end_does_not_end_what_was_said_after_it() -> None:
    host = client_in(LISTENING)
    host.client.send(SessionEndEvent())
    host.client.say("more")
    host.forget()
    host.receive(ENDED)
    assert (host.state, host.told(), host.client.session_id) == (PROCESSING, ["SessionEnded"], None)
    host.receive(started("T"), item("for more"))
    assert host.told() == ["SessionStarted T", "ResponseItem 'for more'"]


# ------------------------------------------------------------ counting turns (D-35 … D-37)


def test_late_parts_of_an_interrupted_turn_are_dropped() -> None:
    host = client_in(RESPONDING)
    host.client.say("next")
    host.forget()
    host.receive(item("late"), b"12")
    assert (host.told(), host.state, host.client.dropped) == ([], PROCESSING, 2)
    host.receive(response("late too"))
    assert (host.told(), host.state) == (["Response"], PROCESSING)
    host.receive(item("for next"))
    assert (host.told(), host.state) == (["ResponseItem 'for next'"], RESPONDING)


def test_each_input_awaits_its_own_response() -> None:
    host = client_in(SLEEPING)
    turns = [host.client.say(text) for text in "abc"]
    assert host.told() == ["TurnInterrupted 1 input", "TurnInterrupted 2 input"]
    host.receive(response("a"), item("b"), response(), item("c"), response())
    assert host.told() == ["Response", "Response", "ResponseItem 'c'", "Response"]
    assert host.client.turn is turns[2]
    assert [turn.over for turn in turns] == [True, True, False]


def test_a_stale_response_still_counts_for_session_language_and_logs() -> None:
    host = client_in(PROCESSING)
    host.client.say("next")
    host.forget()
    host.receive(response("x", locale="cs", sessionEnded=True, logs=[{"text": "log"}]))
    (event,) = host.events
    assert isinstance(event, ResponseEvent)
    assert [entry.text for entry in event.response.logs] == ["log"]
    assert event.response.items == ()
    assert (host.state, host.client.session_id) == (PROCESSING, None)


def test_the_language_of_a_stale_response_is_that_of_the_next_input() -> None:
    host = client_in(PROCESSING)
    host.client.say("next")
    host.receive(response(locale="cs_CZ"))
    host.forget()
    host.client.say("then")
    assert host.sent_frames()[0]["input"]["locale"] == "cs_CZ"


@pytest.mark.parametrize("members", [{"sessionEnded": True}, {"sleepTimeout": 60}])
def test_a_stale_response_may_put_a_listening_client_to_sleep(members: Frame) -> None:
    host = client_in(PROCESSING)
    assert host.client.turn is not None
    host.client.turn.interrupt()
    host.client.open_microphone()
    host.ack()
    host.forget()
    host.receive(response(**members))
    assert (host.state, host.audio, host.sent()) == (SLEEPING, Audio.CLOSED, [])


@pytest.mark.parametrize("state", [SLEEPING, LISTENING, PROCESSING])
def test_stale_parts_move_nothing(state: State) -> None:
    host = client_in(PROCESSING)
    host.client.say("next")
    assert host.client.turn is not None
    if state is not PROCESSING:
        host.client.turn.interrupt()
    if state is SLEEPING:
        host.receive(response(sessionEnded=True))
        host.client.session_id = None
    else:
        assert len(host.told()) >= 1
    host.forget()
    host.receive(item("late"), b"12")
    assert (host.state, host.told()) == (state, [])
    host.receive(response("late"))
    assert (host.state, host.told()) == (state, ["Response"])


def test_stale_parts_while_a_newer_turn_plays() -> None:
    """Server-begun parts that cross an Input are taken for its answer; so is what plays then."""
    host = client_in(LISTENING)
    host.client.say("crossing")
    host.receive(item("begun by the server"))
    assert host.state is RESPONDING
    host.receive(response(), item("answer"), response())
    assert host.told() == [
        *("ResponseItem 'begun by the server'", "Response", "ResponseItem 'answer'", "Response"),
    ]


def test_a_final_result_that_crosses_our_input_is_older() -> None:
    host = with_stream(LISTENING)
    host.client.say("typed")
    host.forget()
    host.receive(FINAL)
    assert (host.state, host.told()) == (PROCESSING, ["Recognized final yes"])
    host.receive(item("for the voice"), response())  # the server closes the turn that our input cut
    assert (host.state, host.told()) == (PROCESSING, ["Response"])
    host.receive(item("for the text"))
    assert (host.state, host.told()) == (RESPONDING, ["ResponseItem 'for the text'"])


def test_a_final_result_on_our_open_stream_is_news() -> None:
    """An interrupted input is unanswered still, but the stream was opened after it."""
    host = client_in(PROCESSING)
    assert host.client.turn is not None
    host.client.turn.interrupt()
    host.client.open_microphone()
    host.ack()
    host.forget()
    host.receive(response(), FINAL)
    assert (host.state, host.sent()) == (PROCESSING, ["InputAudioStreamClose"])
    host.receive(item())
    assert host.state is RESPONDING


def test_a_final_result_on_our_open_stream_leaves_the_older_turn_stale() -> None:
    host = client_in(PROCESSING)
    assert host.client.turn is not None
    host.client.turn.interrupt()
    host.client.open_microphone()
    host.ack()
    host.receive(FINAL)
    host.forget()
    host.receive(item("late"), response("late"), item("for the voice"))
    assert host.told() == ["Response", "ResponseItem 'for the voice'"]


@pytest.mark.parametrize("state", IN_A_TURN)
def test_what_a_duplex_stream_recognises_is_always_news(state: State) -> None:
    host = client_in(state, config=DUPLEX)
    host.client.open_microphone()
    host.ack()
    host.forget()
    host.receive(INTERIM)
    assert (host.state, host.told()) == (state, ["Recognized interim yes"])
    host.receive(FINAL)
    assert (host.state, host.audio, host.sent()) == (PROCESSING, Audio.OPEN, [])
    assert host.told() == ["TurnInterrupted 2 recognized", "Recognized final yes"]
    host.receive(item("late"), response(), item("news"))
    assert host.told() == ["Response", "ResponseItem 'news'"]


def test_the_turn_belongs_to_the_event_told_last() -> None:
    host = client_in(PROCESSING)
    asked = host.client.turn
    host.receive(item())
    assert host.client.turn is asked
    host.receive(response(), item("begun"))
    assert host.client.turn is not asked
    assert host.client.turn is not None
    assert host.client.turn.number == 3


def test_an_error_forgets_all_turns() -> None:
    host = client_in(RESPONDING)
    host.client.say("next")
    host.forget()
    host.receive(ERROR, item("begun"))
    assert host.told() == ["TurnInterrupted 3 error", "Error", "ResponseItem 'begun'"]


def test_a_loss_forgets_all_turns() -> None:
    host = client_in(PROCESSING)
    host.client.say("next")
    host.lost()
    host.advance(10)
    host.receive(ResponseHead(status=101), READY)
    host.forget()
    host.receive(item("begun"))
    assert host.told() == ["ResponseItem 'begun'"]


def test_a_host_may_speak_while_it_is_told_of_an_interruption() -> None:
    host = with_stream(LISTENING)
    host.receive(item(), response())
    host.forget()

    def react(event: Event) -> None:
        if isinstance(event, TurnInterruptedEvent) and event.reason == "recognized":
            host.client.say("no, this")

    host.on_event = react
    host.receive(FINAL)
    turn = host.client.turn
    assert host.told()[:2] == ["TurnInterrupted 2 recognized", "Recognized final yes"]
    assert turn is host.client.turn
    assert turn is not None
    assert not turn.over
    assert host.sent() == ["Input no, this"]


# ------------------------------------------------------------ the answer that does not come (D-36)


def test_a_server_that_does_not_answer() -> None:
    host = client_in(PROCESSING)
    assert host.due_in() == 15
    host.advance(15)
    assert (host.state, host.told(), host.sent()) == (PROCESSING, ["TurnInterrupted 2 unanswered"], [])
    assert host.due_in() is None
    host.receive(item("after all"))
    assert (host.state, host.told()) == (RESPONDING, ["ResponseItem 'after all'"])


def test_turns_that_are_not_answered_are_forgotten() -> None:
    host = client_in(PROCESSING)
    host.client.say("next")
    host.advance(15)
    host.forget()
    host.receive(item("played"))
    assert (host.state, host.told()) == (RESPONDING, ["ResponseItem 'played'"])


@pytest.mark.parametrize("frame", [item("late"), b"12", response()], ids=str)
def test_late_parts_are_a_sign_of_life(frame: Frame | bytes) -> None:
    host = client_in(PROCESSING)
    host.client.say("next")
    host.advance(14)
    host.receive(frame)
    assert (host.state, host.due_in()) == (PROCESSING, 15)


@pytest.mark.parametrize("frame", [READY, started(), INTERIM, NEW, b"", "{"], ids=str)
def test_other_events_are_no_answer(frame: Frame | bytes | str) -> None:
    host = client_in(PROCESSING)
    host.advance(14)
    host.receive(frame)
    assert host.due_in() == 1


def test_the_wait_begins_anew_with_each_input() -> None:
    host = client_in(PROCESSING)
    host.advance(14)
    host.client.say("next")
    assert host.due_in() == 15
    host = client_in(LISTENING)
    host.receive(FINAL)
    assert host.due_in() == 15


@pytest.mark.parametrize("state", [SLEEPING, LISTENING, RESPONDING, PAUSED])
def test_nothing_is_waited_for_elsewhere(state: State) -> None:
    assert client_in(state).due_in() is None


# ------------------------------------------------------------ the automatic microphone


def test_the_microphone_opens_on_the_way_into_listening() -> None:
    host = client_in(RESPONDING, auto_microphone=True)
    host.receive(response())
    assert host.client.turn is not None
    host.client.turn.finish_playback()
    assert (host.state, host.audio, host.sent()) == (LISTENING, Audio.ASKED, ["InputAudioStreamOpen"])


@pytest.mark.parametrize(
    "way",
    [
        lambda host: host.client.turn.interrupt(),
        lambda host: host.receive(response()),
    ],
)
def test_the_microphone_opens_when_the_wait_is_over(way: Callable[[ClientHost], None]) -> None:
    host = client_in(PROCESSING, auto_microphone=True)
    way(host)
    assert (host.state, host.sent()) == (LISTENING, ["InputAudioStreamOpen"])


@pytest.mark.parametrize("state", PLAYING)
def test_the_microphone_opens_after_an_interruption(state: State) -> None:
    host = client_in(state, auto_microphone=True)
    assert host.client.turn is not None
    host.client.turn.interrupt()
    assert (host.state, host.sent()) == (LISTENING, ["InputAudioStreamOpen"])


def test_the_microphone_stays_closed_in_sleeping_and_outside_duplex_in_responding() -> None:
    host = client_in(PROCESSING, auto_microphone=True)
    host.receive(item())
    assert (host.state, host.sent()) == (RESPONDING, [])
    host.receive(response(sessionEnded=True))
    assert host.client.turn is not None
    host.client.turn.finish_playback()
    assert (host.state, host.sent()) == (SLEEPING, [])


def test_in_duplex_the_microphone_opens_on_the_way_into_responding() -> None:
    """D-45: so that the voice can barge in."""
    host = client_in(SLEEPING, auto_microphone=True, config=DUPLEX)
    host.client.say("x")
    host.forget()
    host.receive(item())
    assert (host.state, host.audio, host.sent()) == (RESPONDING, Audio.ASKED, ["InputAudioStreamOpen"])
    host.ack()
    host.receive(response())
    assert host.client.turn is not None
    host.client.turn.finish_playback()
    assert (host.state, host.audio, host.sent()) == (LISTENING, Audio.OPEN, [])


def test_the_microphone_follows_the_mode_that_a_response_sets() -> None:
    host = client_in(SLEEPING, auto_microphone=True, config=DUPLEX)
    host.client.say("x")
    host.forget()
    host.receive(response("a", sttMode="SingleUtterance"))
    assert (host.state, host.audio, host.sent()) == (RESPONDING, Audio.CLOSED, [])
    assert host.client.turn is not None
    host.client.turn.finish_playback()
    host.ack()
    host.forget()
    host.receive(FINAL)
    assert (host.state, host.audio, host.sent()) == (PROCESSING, Audio.CLOSED, ["InputAudioStreamClose"])


def test_a_microphone_that_is_asked_for_or_open_is_not_asked_for_again() -> None:
    host = with_stream(RESPONDING, Audio.ASKED, config=DUPLEX)
    host.client.auto_microphone = True
    host.receive(response())
    assert host.client.turn is not None
    host.client.turn.finish_playback()
    assert (host.state, host.sent()) == (LISTENING, [])


# ------------------------------------------------------------ Duplex and the mode of a stream (D-62)


def test_the_mode_that_a_response_sets_holds_from_the_next_opening_on() -> None:
    host = with_stream(LISTENING)
    host.receive(response(sttMode="Duplex"))
    host.receive(FINAL)
    assert (host.audio, host.sent()) == (Audio.CLOSED, ["InputAudioStreamClose"])
    host.receive(response())
    host.client.open_microphone()
    host.ack()
    host.forget()
    host.receive(FINAL)
    assert (host.audio, host.sent()) == (Audio.OPEN, [])


def test_a_stream_that_was_asked_for_in_another_mode_is_asked_for_anew() -> None:
    """The ends cannot agree on the mode of an opening that crosses its change."""
    host = with_stream(LISTENING, Audio.ASKED)
    host.receive(response(sttMode="Duplex"))
    assert (host.audio, host.sent()) == (Audio.ASKED, ["InputAudioStreamClose", "InputAudioStreamOpen"])
    host = with_stream(RESPONDING, Audio.ASKED, config=DUPLEX)
    host.receive(response(sttMode="SingleUtterance"))
    assert (host.audio, host.sent()) == (Audio.CLOSED, ["InputAudioStreamClose"])


def test_a_duplex_stream_that_was_closed_is_not_opened_again_in_responding_when_the_mode_changed() -> None:
    host = with_stream(RESPONDING, config=DUPLEX)
    host.receive(response(sttMode="SingleUtterance"))
    assert host.client.send_audio(b"12")
    host.client.close_microphone()
    host.forget()
    refused(host, host.client.open_microphone)


def test_an_accepted_init_changes_the_mode_of_the_next_stream() -> None:
    host = client_in(LISTENING)
    changed = InitEvent(key="K", device_id="D", config=DUPLEX.replace(locale="cs"))
    host.client.send(changed)
    host.receive(READY)
    assert host.client.init == changed
    host.client.open_microphone()
    host.ack()
    host.forget()
    host.receive(FINAL)
    assert (host.audio, host.sent()) == (Audio.OPEN, [])
    host.client.say("x")
    assert host.sent_frames()[0]["input"]["locale"] == "cs"


def test_a_refused_init_leaves_the_old_settings() -> None:
    host = client_in(LISTENING)
    old = host.client.init
    host.client.send(InitEvent(key="K", device_id="D", config=DUPLEX.replace(locale="cs")))
    host.receive(ERROR)
    assert host.client.init == old
    host.forget()
    host.client.say("x")
    assert host.sent_frames()[0]["input"]["locale"] == "en"


def test_the_language_of_a_response_is_that_of_the_next_input() -> None:
    host = client_in(PROCESSING)
    host.receive(response(locale="cs_CZ", expectedPhrases=[{"text": "ano"}]))
    assert host.client.expected_phrases == (ExpectedPhrase(text="ano"),)
    host.receive(response(locale="??"))
    host.client.say("ano")
    assert host.sent_frames()[0]["input"]["locale"] == "cs_CZ"


def test_a_ready_that_answers_nothing_changes_nothing() -> None:
    """D-55: only the answer to an Init of ours brings new settings."""
    host = client_in(PROCESSING)
    host.receive(response(locale="cs"), READY)
    host.forget()
    host.client.say("x")
    assert host.sent_frames()[0]["input"]["locale"] == "cs"


@pytest.mark.parametrize(
    "end",
    [response(sessionEnded=True, sttMode="Duplex", locale="cs"), ENDED, ERROR, started("T"), started("S")],
    ids=str,
)
def test_what_responses_set_ends_with_their_session(end: Frame) -> None:
    """A session begins as Init said, even when its id is the one held; both ends must agree (D-62)."""
    host = client_in(PROCESSING)
    host.receive(response(locale="cs", sttMode="Duplex"), end)
    host.forget()
    host.client.say("x")
    assert host.sent_frames()[0]["input"]["locale"] == "en"
    host.receive(started("T"), response())
    host.client.open_microphone()
    host.ack()
    host.forget()
    host.receive(FINAL)
    assert (host.audio, host.sent()) == (Audio.CLOSED, ["InputAudioStreamClose"])


# ------------------------------------------------------------ reconnecting (D-16, D-56)


def test_a_client_tries_again_every_ten_seconds() -> None:
    host = client_in(LISTENING)
    host.lost()
    host.forget()
    for _ in range(3):
        host.advance(9.999)
        assert host.sent() == []
        host.advance(0.001)
        assert (host.sent(), host.state) == (["connect"], FAILED)
        host.lost()
        assert "ConnectionFailed 1006" in host.told()


def test_who_connects_before_the_time_has_come_does_not_try_again_then() -> None:
    host = client_in(LISTENING)
    host.lost()
    host.advance(4)
    host.client.open()
    assert host.client.timeout() == 16  # the outage is announced then
    host.forget()
    host.advance(6)
    assert host.sent() == []


def test_an_outage_is_told_with_its_reason() -> None:
    host = client_in(LISTENING)
    host.receive(Close(1012, "restarting"))
    host.advance(10)
    host.receive(ResponseHead(status=503))
    assert host.events == [
        ConnectionFailedEvent(code=1012, reason="restarting"),
        ConnectionFailedEvent(code=503, reason="HTTP 503"),
    ]


def test_a_client_whose_handshake_was_refused_tries_again() -> None:
    host = client_in(LISTENING)
    host.lost()
    host.advance(10)
    host.receive(ResponseHead(status=503))
    host.forget()
    host.advance(10)
    assert host.sent() == ["connect"]


def test_an_outage_is_announced_once() -> None:
    host = client_in(LISTENING)
    host.lost()
    host.forget()
    told = []
    for _ in range(5):
        host.advance(10)
        host.receive(ResponseHead(status=503))
        told += host.told()
    assert told.count("ConnectionLost") == 1
    assert told.index("ConnectionLost") == told.index("ConnectionFailed 503") + 1


def test_an_outage_is_timed_from_the_first_failure() -> None:
    host = client_in(LISTENING)
    host.lost()
    host.advance(10)
    host.lost()
    host.advance(9.999)
    assert "ConnectionLost" not in host.told()
    host.advance(0.001)
    assert host.told() == ["ConnectionLost"]


def test_an_outage_lasts_until_ready() -> None:
    host = client_in(LISTENING)
    host.lost()
    host.advance(10)
    host.receive(ResponseHead(status=101))
    host.forget()
    assert (host.state, host.due_in()) == (OPENED, 10)
    host.advance(10)
    assert (host.told(), host.state) == (["ConnectionLost"], OPENED)
    host.receive(READY)
    assert host.due_in() is None
    host.lost()
    host.forget()
    for _ in range(2):
        host.advance(10)
        host.lost()
    assert "ConnectionLost" in host.told()


def test_refusals_are_one_outage_too() -> None:
    host = client_in(OPENED)
    host.receive(ERROR)
    host.forget()
    host.advance(10)
    host.receive(ResponseHead(status=101), ERROR)
    host.advance(10)
    assert host.told().count("ConnectionLost") == 1


def test_the_host_may_connect_earlier() -> None:
    host = client_in(FAILED)
    host.client.open()
    assert host.sent() == ["connect"]
    host.advance(15)
    assert host.sent() == []


def test_reconnecting_may_be_left_to_the_host() -> None:
    host = client_in(LISTENING, timeouts=Timeouts(reconnect=None, lost=None))
    host.lost()
    assert host.due_in() is None


def reconnected(**kw: Any) -> ClientHost:
    """In Sleeping, with the session of before."""
    host = client_in(LISTENING, **kw)
    host.client.auto_start = True
    host.forget()
    host.lost()
    host.advance(10)
    host.receive(ResponseHead(status=101), READY)
    assert (host.state, host.client.session_id) == (SLEEPING, "S")
    return host


def test_after_a_reconnect_the_session_goes_on() -> None:
    host = reconnected()
    assert host.sent() == ["connect", "Init"]
    host.client.say("one")
    host.client.say("two")
    assert host.sent() == ["Request one of S", "Request two of S"]
    host.receive(started("S"))
    host.client.say("three")
    assert host.sent() == ["Input three"]


def test_a_request_says_who_speaks() -> None:
    host = reconnected(token="T", attributes={"a": 1})
    host.forget()
    host.client.say("x")
    (frame,) = host.sent_frames()
    inside = frame["request"]
    assert (inside["appKey"], inside["deviceId"], inside["token"]) == ("K", "D", "T")
    assert (inside["sessionId"], inside["attributes"]) == ("S", {})
    assert inside["input"]["attributes"] == {"a": 1}


def test_the_server_may_answer_another_session() -> None:
    host = reconnected()
    host.client.say("x")
    host.forget()
    host.receive(started("T"))
    assert host.client.session_id == "T"
    host.client.say("y")
    assert host.sent() == ["Input y"]


def test_the_stream_proposes_a_session_that_is_not_confirmed() -> None:
    host = reconnected()
    host.receive(response())
    host.forget()
    host.client.open_microphone()
    assert host.sent() == ["InputAudioStreamOpen of S"]


def test_a_session_may_be_brought_along() -> None:
    host = client_in(SLEEPING, session_id="kept")
    host.client.say("x")
    assert host.sent() == ["Request x of kept"]


def test_a_session_keeps_its_language_over_a_reconnect() -> None:
    host = client_in(PROCESSING)
    host.receive(response(locale="cs"))
    host.lost()
    host.advance(10)
    host.receive(ResponseHead(status=101), READY)
    host.client.say("x")
    assert host.sent_frames()[-1]["request"]["input"]["locale"] == "cs"


# ------------------------------------------------------------ sleep (D-50)


def asleep(seconds: int = 60, **kw: Any) -> ClientHost:
    host = client_in(PROCESSING, **kw)
    host.receive(response(sleepTimeout=seconds))
    host.forget()
    assert (host.state, host.client.session_id, host.due_in()) == (SLEEPING, "S", seconds)
    return host


def test_a_session_that_slept_too_long_is_dropped_silently() -> None:
    host = asleep()
    host.advance(59.999)
    assert host.client.session_id == "S"
    host.advance(0.001)
    assert (host.state, host.told(), host.sent()) == (SLEEPING, ["SessionExpired S"], [])
    assert host.client.session_id is None


def test_input_wakes_the_session() -> None:
    host = asleep()
    host.client.say("x")
    assert host.sent() == ["Input x"]
    host.receive(response())
    assert (host.state, host.client.session_id, host.due_in()) == (LISTENING, "S", None)


@pytest.mark.parametrize("frame", [response(), response("a"), ERROR, ENDED, started("T")], ids=str)
def test_what_ends_the_sleep(frame: Frame) -> None:
    host = asleep()
    host.receive(frame)
    assert host.due_in() is None


@pytest.mark.parametrize("frame", [item(), b"12", READY, INTERIM, NEW, b""], ids=str)
def test_what_does_not_end_the_sleep(frame: Frame | bytes) -> None:
    host = asleep()
    host.advance(10)
    host.receive(frame)
    assert host.due_in() == 50


def test_another_response_begins_the_sleep_anew() -> None:
    host = asleep()
    host.advance(10)
    host.receive(response(sleepTimeout=20))
    assert host.due_in() == 20


@pytest.mark.parametrize("state", [RESPONDING, PAUSED, LISTENING, FAILED, OPENED, SLEEPING])
def test_the_sleep_passes_in_every_state(state: State) -> None:
    """Playback included, and an outage."""
    host = client_in(PROCESSING, timeouts=Timeouts(reconnect=5, lost=None))
    host.receive(item(), response(sleepTimeout=60))
    if state in (PAUSED, LISTENING):
        host.client.pause()
    if state is LISTENING:
        host.client.say("next")
        assert host.client.turn is not None
        host.client.turn.interrupt()
        host.receive(response(sleepTimeout=60))
    if state in (FAILED, OPENED):
        host.lost()
    if state is OPENED:
        host.advance(5)
        host.receive(ResponseHead(status=101))
        host.advance(50)
    if state is SLEEPING:
        assert host.client.turn is not None
        host.client.turn.finish_playback()
    assert host.client.session_id == "S"
    host.forget()
    host.advance(60)
    assert "SessionExpired S" in host.told()
    assert host.client.session_id is None


def test_the_state_stays_when_the_sleep_is_over() -> None:
    host = client_in(RESPONDING)
    host.receive(response(sleepTimeout=5))
    host.advance(5)
    assert host.state is RESPONDING
    assert host.client.turn is not None
    host.client.turn.finish_playback()
    assert host.state is SLEEPING


def test_a_sleep_without_a_session_ends_without_a_word() -> None:
    host = client_in(SLEEPING)
    host.receive(response(sleepTimeout=60))
    host.forget()
    host.advance(60)
    assert (host.told(), host.due_in()) == ([], None)


# ------------------------------------------------------------ keep-alive and idle


def test_keep_alives_are_sent_when_the_host_wants_them() -> None:
    host = client_in(OPENED, timeouts=Timeouts(keep_alive=10))
    host.advance(10)
    assert host.sent() == ["keep-alive"]
    host.receive(READY)
    host.advance(10)
    host.advance(10)
    assert host.sent() == ["keep-alive", "keep-alive"]
    host.lost()
    host.forget()
    host.advance(9)
    assert host.sent() == []


def test_keep_alives_are_off_by_default() -> None:
    assert client_in(SLEEPING).due_in() is None


def test_a_server_that_is_not_heard_is_given_up() -> None:
    host = client_in(PROCESSING, timeouts=Timeouts(idle=20, answer=None))
    host.advance(15)
    host.receive(b"")
    assert host.due_in() == 20
    host.advance(20)
    assert host.state is FAILED
    assert host.sent() == ["Close 1001"]
    assert host.told() == ["TurnInterrupted 2 lost", "ConnectionFailed 1006"]
    assert host.due_in() == 10


# ------------------------------------------------------------ old servers, msgpack


def test_for_old_servers_all_is_said_as_requests() -> None:
    host = client_in(SLEEPING, requests=True)
    host.client.say("one")
    assert (host.sent(), host.client.session_id) == (["Request one of c1"], "c1")
    host.receive(started("S"), response())
    host.client.say("two")
    assert host.sent() == ["Request two of S"]
    host.receive(response(sessionEnded=True), ENDED)
    host.client.say("three")
    assert host.sent() == ["Request three of c2"]


def test_an_old_server_may_start_by_itself() -> None:
    host = ClientHost(requests=True, auto_start=True).ready()
    assert host.sent() == ["connect", "Init", "Request #intro of c1"]


def test_msgpack_is_spoken_when_the_server_consents() -> None:
    host = ClientHost(msgpack=True)
    host.client.open()
    (head,) = host.sent_messages()
    assert isinstance(head, RequestHead)
    assert head.header("Sec-WebSocket-Protocol") == "flowstorm.v1+msgpack"
    host.receive(ResponseHead(status=101, headers=(("sec-websocket-protocol", "flowstorm.v1+msgpack"),)))
    codec = MsgpackCodec()
    (sent,) = decoded(host.sent_messages())
    assert sent == host.client.init
    host.receive(codec.encode(ReadyEvent()))
    host.client.say("x")
    host.receive(codec.encode(CODEC.decode(json.dumps(response()))))
    host.client.open_microphone()
    host.receive(codec.encode(InputAudioStreamOpenEvent()))
    host.client.send_audio(b"12")
    host.client.send(BinaryEvent(data=b""))
    sent = host.sent_messages()
    assert {type(each) for each in sent} == {bytes}
    assert lines(list(decoded(sent))) == ["Input x", "InputAudioStreamOpen", "audio 2"]
    assert sent[-1] == b""
    host.receive(codec.encode(BinaryEvent(data=b"123")))
    assert host.told() == ["Ready", "Response", "InputAudioStreamOpen", "audio 3"]


def test_json_is_spoken_when_the_server_does_not_consent() -> None:
    host = ClientHost(msgpack=True).ready()
    assert host.sent() == ["connect", "Init"]
    host.receive(b"123")
    assert host.told() == ["Ready", "audio 3"]


# ------------------------------------------------------------ faults and limits


@pytest.mark.parametrize("state", CONVERSING)
def test_a_fault_says_what_is_wrong(state: State) -> None:
    host = client_in(state)
    host.receive(said())
    (fault,) = host.events
    assert isinstance(fault, FaultEvent)
    assert f"Input is not legal in {state.value}" in str(fault.error)


def test_a_message_that_is_too_big_is_a_fault() -> None:
    host = client_in(PROCESSING)
    for big in ("x" * (2**20 + 1), b"x" * (2**20 + 1)):
        host.receive(big)
        (fault,) = host.events
        assert isinstance(fault, FaultEvent)
        assert isinstance(fault.error, LimitExceeded)
        assert (host.state, host.sent()) == (PROCESSING, [])
        host.forget()


def test_a_server_that_floods_is_cut_off() -> None:
    host = client_in(PROCESSING, limits=Limits(message_bytes=500, audio_bytes=500, queued_bytes=1000))
    for _ in range(10):
        host.feed(b"x" * 400)
    host.step()
    assert host.told()[-2:] == ["Fault", "ConnectionFailed 1009"]
    assert (host.state, host.sent(), host.due_in()) == (FAILED, ["Close 1009"], 10)


def test_a_host_that_sends_on_and_on_is_stopped() -> None:
    host = client_in(LISTENING, limits=Limits(queued_bytes=1000))
    host.client.log(LogEntry(text="x" * 2000))
    turn = host.client.turn
    for call in (lambda: host.client.say("x"), host.client.log):
        with pytest.raises(LocalProtocolError) as caught:
            call()
        assert caught.value.legal
    assert (host.client.turn, host.state) == (turn, LISTENING)
    assert host.sent() == ["Log"]


def test_starting_by_itself_is_not_stopped_by_what_waits_to_be_sent() -> None:
    host = ClientHost(auto_start=True, limits=Limits(queued_bytes=10))
    host.client.open()
    host.flush()
    host.feed(ResponseHead(status=101), READY)
    host.tell()
    assert (host.state, host.sent()) == (PROCESSING, ["connect", "Init", "Input #intro"])


# ------------------------------------------------------------ waking


def test_the_host_is_woken_once_for_what_it_did() -> None:
    woken: list[int] = []
    host = ClientHost(wake=lambda: woken.append(1))
    host.client.open()
    assert woken == [1]
    host.step()
    host.receive(ResponseHead(status=101), READY)
    woken.clear()
    host.client.say("a")
    host.client.log()
    assert woken == [1]
    host.step()
    host.client.close()
    assert woken == [1, 1]
    host.step()
    assert host.events[-1] == ClosedEvent(code=1000, reason="CLIENT_CLOSE")


def test_nothing_is_told_twice() -> None:
    host = client_in(SLEEPING)
    assert host.client.next_event() is Control.NEED_DATA


def test_an_input_that_cannot_be_encoded_changes_nothing() -> None:
    host = client_in(RESPONDING)
    attributes: dict[str, list[object]] = {"a": []}
    event = InputEvent(input=Input(attributes=attributes))
    event.input.attributes["a"].append(object())
    before = host.everything()
    with pytest.raises(LocalProtocolError, match="cannot be sent"):
        host.client.send(event)
    assert host.everything() == before
    assert not host.client.turn.over


def test_one_transport_carries_everything() -> None:
    host = ClientHost()
    assert host.client.exchanges == (host.client,)
