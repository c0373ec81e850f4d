"""Rows about what a machine adds to the transport and the codec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.bench.messages import AUDIO, JSON
from tests.bench.rows import Goal, Ratios, Row, of_cases
from tests.bench.timing import Case, Effort, Work

__all__ = ["ROWS", "listening_server", "streaming_client"]


def listening_server() -> Any:
    """A V1 server to which audio is streamed."""
    from flowstorm_channel import RequestHead, SocketV1Server
    from flowstorm_channel.events import InputAudioStreamOpenEvent

    server = SocketV1Server()
    server.receive_data(RequestHead(method="GET", url="/socket", headers=()))
    server.receive_data(JSON["a"])
    for _ in server.events():
        server.ready()
    server.receive_data('{"type":"InputAudioStreamOpen"}')
    for event in server.events():
        assert isinstance(event, InputAudioStreamOpenEvent)
        server.stream.ready()
    for _ in server.data_to_send():
        pass
    return server


def streaming_client() -> Any:
    """A V1 client that streams audio."""
    from flowstorm_channel import ResponseHead, SocketV1Client

    client = SocketV1Client("ws://127.0.0.1/socket", key="demo", device_id="device")
    client.open()
    list(client.data_to_send())
    client.receive_data(ResponseHead(status=101, headers=()))
    client.receive_data('{"type":"Ready"}')
    list(client.events())
    client.start()
    client.receive_data('{"type":"SessionStarted","sessionId":"session"}')
    client.receive_data('{"type":"Response","response":{}}')
    list(client.events())
    client.open_microphone()
    client.receive_data('{"type":"InputAudioStreamOpen"}')
    list(client.events())
    list(client.data_to_send())
    assert client.send_audio(AUDIO)
    assert list(client.data_to_send()) == [AUDIO]
    return client


def _masked(data: bytes) -> bytes:
    """A binary frame as a browser sends it."""
    from websockets.frames import Frame, Opcode

    return Frame(Opcode.BINARY, data).serialize(mask=True)


def _websockets_receiver() -> Callable[[bytes], Any]:
    from websockets.protocol import OPEN
    from websockets.server import ServerProtocol

    protocol = ServerProtocol(state=OPEN, max_size=None)

    def receive(data: bytes) -> Any:
        protocol.receive_data(data)
        return protocol.events_received()

    return receive


def _wsproto_receiver() -> Callable[[bytes], Any]:
    from wsproto.connection import Connection, ConnectionType

    connection = Connection(ConnectionType.SERVER)

    def receive(data: bytes) -> Any:
        connection.receive_data(data)
        return list(connection.events())

    return receive


def _frame_in(peer: Callable[[], Callable[[bytes], Any]]) -> list[Case]:
    server = listening_server()
    receive = peer()
    frame = _masked(AUDIO)
    assert receive(frame)
    ours = Work("receive(x); event()", receive=server.receive_data, event=server.next_event, x=AUDIO)
    return [Case("3200 bytes", ours, Work("receive(x)", receive=receive, x=frame))]


def _frame_out() -> list[Case]:
    client = streaming_client()
    return [
        Case(
            "3200 bytes",
            Work(
                "send(x)\nfor data in out(): pass", send=client.send_audio, out=client.data_to_send, x=AUDIO
            ),
            Work("receive(x)", receive=_wsproto_receiver(), x=_masked(AUDIO)),
        )
    ]


def _added_to_a_text(effort: Effort) -> Ratios:
    """What a V1 client adds to the decoding of a Recognized, in pydantic's decodings of it."""
    from flowstorm_channel.codecs import JsonCodec
    from tests.bench.peers.pydantic_models import EVENT

    client = streaming_client()
    text = JSON["c"]
    machine = Work(
        "receive(x)\nfor event in events(): pass", receive=client.receive_data, events=client.events, x=text
    )
    decoding = Work("decode(x)", decode=JsonCodec().decode, x=text)
    peer = Work("decode(x)", decode=EVENT.validate_json, x=text)
    rounds = [
        [work.seconds(effort.seconds) for work in (machine, decoding, peer)] for _ in range(effort.rounds)
    ]
    return {"c": [(ours - decoded) / peers for ours, decoded, peers in rounds]}


ROWS = [
    Row(
        "audio-in",
        "one audio frame of 3200 bytes in, to its event",
        "websockets' receiving it",
        (Goal(0.07),),
        of_cases(lambda: _frame_in(_websockets_receiver)),
    ),
    Row(
        "audio-in-beside-wsproto",
        "one audio frame of 3200 bytes in, to its event",
        "wsproto's receiving it",
        (Goal(0.02),),
        of_cases(lambda: _frame_in(_wsproto_receiver)),
    ),
    Row(
        "audio-out",
        "one audio frame of 3200 bytes out",
        "wsproto's receiving it",
        (Goal(0.01),),
        of_cases(_frame_out),
    ),
    Row(
        "text-in",
        "what the machine adds to the decoding of a Recognized",
        "pydantic's decoding it",
        (Goal(0.2),),
        _added_to_a_text,
    ),
]
