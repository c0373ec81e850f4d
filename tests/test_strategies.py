"""The strategies that third parties use: what they give is what they say, and shrinks."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from flowstorm_channel import ClientConfig, Event, RemoteProtocolError, SocketV1Client, SocketV1Server
from flowstorm_channel.codecs import JsonCodec, MsgpackCodec
from flowstorm_channel.events import (
    BinaryEvent,
    FaultEvent,
    InitEvent,
    InputAudioStreamCloseEvent,
    InputAudioStreamOpenEvent,
    InputEvent,
    ResponseEvent,
    SessionEndEvent,
)
from flowstorm_channel.sessions import well_formed
from flowstorm_channel.testing import ManualClock, strategies
from flowstorm_channel.testing.strategies import Said
from flowstorm_channel.wire import RequestHead, ResponseHead
from tests.depth import examples

CODEC = JsonCodec()


@pytest.mark.parametrize("codec", [JsonCodec(), MsgpackCodec()], ids=["json", "msgpack"])
@given(st.data())
@settings(max_examples=examples(50))
def test_a_frame_is_an_event(codec: JsonCodec | MsgpackCodec, data: st.DataObject) -> None:
    frame = data.draw(strategies.frames(codec))
    assert isinstance(codec.decode(frame), Event)


@given(strategies.session_ids())
def test_a_session_id_is_well_formed(session_id: str) -> None:
    assert well_formed(session_id)


@given(strategies.session_ids(well_formed=False))
def test_a_session_id_is_malformed(session_id: str) -> None:
    assert not well_formed(session_id)


@given(strategies.audio(milliseconds=20, rate=8000))
@settings(max_examples=examples(50))
def test_audio_is_whole_samples_of_a_bounded_time(block: bytes) -> None:
    assert len(block) % 2 == 0
    assert 2 <= len(block) <= 2 * 160


def server_end(session: list[Said]) -> list[Event]:
    """What a server's machine finds wrong with what the client sends."""
    server = SocketV1Server(clock=ManualClock())
    server.receive_data(RequestHead(url="/socket"))
    found: list[Event] = []
    for by, event in session:
        if by == "client":
            server.receive_data(event.data if isinstance(event, BinaryEvent) else CODEC.encode(event))
        for told in server.events():
            if isinstance(told, InitEvent):
                server.ready()
            elif isinstance(told, InputAudioStreamOpenEvent):
                server.stream.ready()
            elif isinstance(told, FaultEvent):
                found.append(told)
    return found


def client_end(session: list[Said]) -> list[Event]:
    """What a client's machine finds wrong with what the server sends."""
    config = ClientConfig(send_response_items=True, stt_interim_results=True)
    client = SocketV1Client("ws://test/socket", key="k", device_id="d", config=config, clock=ManualClock())
    client.open()
    client.receive_data(ResponseHead(status=101))
    found: list[Event] = []
    for by, event in session:
        if by == "server":
            client.receive_data(CODEC.encode(event))
        elif isinstance(event, InputEvent):
            client.say(event.input.transcript.text or "#silence")
        elif isinstance(event, InputAudioStreamOpenEvent):
            client.finish_playback()
            client.open_microphone()
        elif not isinstance(event, (BinaryEvent, InputAudioStreamCloseEvent, InitEvent)):
            raise AssertionError(event)
        found += [told for told in client.events() if isinstance(told, FaultEvent)]
    return found


@given(strategies.sessions())
@settings(max_examples=examples(50))
def test_a_session_is_legal_at_both_ends(session: list[Said]) -> None:
    assert server_end(session) == []
    assert client_end(session) == []
    assert isinstance(session[-1][1], SessionEndEvent)
    (last,) = [
        event for _, event in session if isinstance(event, ResponseEvent) and event.response.session_ended
    ]
    assert session[-2] == ("server", last)


def test_a_session_shrinks_to_one_short_turn() -> None:
    shortest = find(strategies.sessions(), lambda _: True)
    assert [type(event).__name__ for _, event in shortest] == [
        *("InitEvent", "ReadyEvent", "InputEvent", "SessionStartEvent", "ResponseEvent", "SessionEndEvent")
    ]


@given(strategies.hostile_messages())
def test_a_hostile_message_is_an_event_or_refused(message: str | bytes) -> None:
    for codec in (CODEC, MsgpackCodec()):
        if isinstance(message, bytes) or isinstance(codec, JsonCodec):
            with suppress(RemoteProtocolError):
                assert isinstance(codec.decode(message), Event)


def test_a_hostile_object_shrinks_to_one_fault_in_a_plain_event() -> None:
    bad = find(strategies.hostile_objects(), lambda tree: refused(tree))
    assert len(json.dumps(bad)) < 200  # the plainest Input, with a null in it, or less


def refused(tree: dict[str, object]) -> bool:
    try:
        CODEC.decode(json.dumps(tree))
    except RemoteProtocolError:
        return True
    return False
