"""The ASGI application under a real server, spoken to by a real WebSocket library that knows no channels."""

import asyncio
import json

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from flowstorm_channel import Limits, ResponseItem, Timeouts, TooLateError
from flowstorm_channel.cli import example
from flowstorm_channel.codecs import MsgpackCodec
from flowstorm_channel.contrib.asgi import ChannelApp
from flowstorm_channel.events import InitEvent, InputEvent, ReadyEvent, ResponseEvent
from flowstorm_channel.values import Input, Transcript
from tests.serving import run, serving

# What a Node client of 2022 sends first, to the letter (events.md).
INIT = (
    '{"type":"Init","key":"K","appKey":"K","deviceId":"sender","sender":"sender","config":{'
    '"tts":"RequiredLinks","sttSampleRate":44100,\n "ttsFileType":"mp3","locale":"en","zoneId":"UTC",'
    '"sendResponseItems":true,"sttInterimResults":true}}'
)
INTRO = (
    '{"type":"Input","input":{"zoneId":"UTC","locale":"en","attributes":{},"transcript":{"text":"#intro"}}}'
)


def said(text):
    return json.dumps({"type": "Input", "input": {"transcript": {"text": text}}})


async def until(socket, kind):
    """The frames up to the first of that type."""
    frames = []
    while not frames or frames[-1]["type"] != kind:
        frames.append(json.loads(await socket.recv()))
    return frames


def types(frames):
    return [frame["type"] for frame in frames]


def test_a_node_client_has_a_conversation_and_goes_on_after_its_end():
    async def main():
        async with (
            serving(ChannelApp(example.dialogue)) as address,
            connect(f"ws://{address}/socket") as socket,
        ):
            await socket.send(INIT)
            await socket.send(INTRO)
            first = await until(socket, "Response")
            assert types(first) == ["Ready", "SessionStarted", "ResponseItem", "ResponseItem", "Response"]
            await socket.send(said("stop"))
            last = await until(socket, "SessionEnded")
            assert types(last) == ["ResponseItem", "Response", "SessionEnded"]
            assert last[1]["response"]["sessionEnded"] is True
            await socket.send(said("here I am again"))
            again = await until(socket, "Response")
            assert types(again) == ["SessionStarted", "ResponseItem", "Response"]
            assert again[0]["sessionId"] != first[1]["sessionId"]

    run(main)


def test_empty_binary_frames_disturb_nothing():
    async def main():
        async with (
            serving(ChannelApp(example.dialogue)) as address,
            connect(f"ws://{address}/socket/") as socket,
        ):
            for message in (b"", INIT, b"", b"", INTRO, b""):
                await socket.send(message)
            first = await until(socket, "Response")
            assert types(first) == ["Ready", "SessionStarted", "ResponseItem", "ResponseItem", "Response"]
            for _ in range(50):
                await socket.send(b"")
            await socket.send(said("hello"))
            assert types(await until(socket, "Response")) == ["ResponseItem", "Response"]

    run(main)


def test_a_kotlin_client_gets_only_what_it_knows():
    known = {
        "Ready",
        "SessionStarted",
        "Response",
        "SessionEnded",
        "Recognized",
        "InputAudioStreamOpen",
        "Error",
    }
    request = {
        "type": "Request",
        "request": {
            "appKey": "K",
            "deviceId": "D",
            "sessionId": "5f0c3c1e-0b7b-4d7e-8a35-0c5b1f4e7d11",
            "input": {"transcript": {"text": "image"}},
            "attributes": {},
        },
    }

    async def main():
        async with (
            serving(ChannelApp(example.dialogue)) as address,
            connect(f"ws://{address}/socket") as socket,
        ):
            await socket.send('{"type":"Init","key":"K","deviceId":"D","config":{}}')
            await socket.send(json.dumps(request))
            frames = await until(socket, "Response")
            assert set(types(frames)) <= known
            assert frames[1] == {"type": "SessionStarted", "sessionId": request["request"]["sessionId"]}
            response = frames[-1]["response"]
            for member in ("items", "logs", "attributes", "locale", "sessionEnded", "sleepTimeout"):
                assert response[member] is not None
            assert [item["text"] for item in response["items"]] == ["A wave."]
            assert response["items"][0]["image"].startswith("data:image/svg+xml")

    run(main)


def test_msgpack_is_spoken_when_both_ends_ask_for_it():
    codec = MsgpackCodec()

    async def main():
        async with (
            serving(ChannelApp(example.dialogue)) as address,
            connect(f"ws://{address}/socket", subprotocols=["chat", "flowstorm.v1+msgpack"]) as socket,
        ):
            assert socket.subprotocol == "flowstorm.v1+msgpack"
            await socket.send(codec.encode(InitEvent(key="K", device_id="D")))
            assert codec.decode(await socket.recv()) == ReadyEvent()
            await socket.send(codec.encode(InputEvent(input=Input(transcript=Transcript(text="hi")))))
            await socket.recv()
            answer = codec.decode(await socket.recv())
            assert isinstance(answer, ResponseEvent)
            assert answer.response.items[0].text == "You said: hi"

    run(main)


def test_speech_is_recognised_answered_and_voiced():
    async def recogniser(sound):
        heard = 0
        async for block in sound:
            heard += len(block)
            yield f"{heard} bytes", heard >= 6400

    async def voice(item, config):
        return f"{config.tts_file_type.value}:{item.text}".encode()

    async def dialogue(turn):
        yield f"You said {turn.text}"
        yield "#volume"

    init = {
        "tts": "RequiredStreaming",
        "ttsFileType": "wav",
        "sendResponseItems": True,
        "sttInterimResults": True,
    }

    async def main():
        app = ChannelApp(dialogue, recogniser=recogniser, voice=voice)
        async with serving(app) as address, connect(f"ws://{address}/socket") as socket:
            await socket.send(json.dumps({"type": "Init", "key": "K", "deviceId": "D", "config": init}))
            await socket.send('{"type":"InputAudioStreamOpen"}')
            assert types(await until(socket, "InputAudioStreamOpen")) == ["Ready", "InputAudioStreamOpen"]
            await socket.send(bytes(3200))
            assert json.loads(await socket.recv()) == {
                "type": "Recognized",
                "text": "3200 bytes",
                "isFinal": False,
            }
            await socket.send(bytes(3200))
            heard = await until(socket, "Recognized")
            assert types(heard) == ["SessionStarted", "Recognized"]
            assert heard[1] == {"type": "Recognized", "text": "6400 bytes", "isFinal": True}
            await socket.send('{"type":"InputAudioStreamClose"}')
            assert json.loads(await socket.recv())["responseItem"]["text"] == "You said 6400 bytes"
            assert await socket.recv() == b"wav:You said 6400 bytes"
            assert types(await until(socket, "Response")) == ["ResponseItem", "Response"]

    run(main)


def test_a_barge_in_cancels_the_dialogue():
    cancelled = []

    async def dialogue(turn):
        yield f"{turn.number} begins"
        if turn.text == "wait":
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.append(turn.number)
                with pytest.raises(TooLateError):
                    turn.say("too late")

    async def main():
        async with serving(ChannelApp(dialogue)) as address, connect(f"ws://{address}/socket") as socket:
            await socket.send(INIT)
            await socket.send(said("wait"))
            assert types(await until(socket, "ResponseItem")) == ["Ready", "SessionStarted", "ResponseItem"]
            await socket.send(said("go on"))
            frames = [json.loads(await socket.recv()) for _ in range(3)]
            assert types(frames) == ["Response", "ResponseItem", "Response"]
            assert frames[1]["responseItem"]["text"] == "2 begins"
        assert cancelled == [1]

    run(main)


def test_a_dialogue_may_be_a_coroutine():
    async def dialogue(turn):
        match turn.text:
            case "one":
                return "one"
            case "some":
                return ["two", ResponseItem(text="three")]
        turn.say("four")
        return None

    async def main():
        async with serving(ChannelApp(dialogue)) as address, connect(f"ws://{address}/socket") as socket:
            await socket.send(INIT)
            for text in ("one", "some", "none"):
                await socket.send(said(text))
                await until(socket, "Response")

    run(main)


def test_a_dialogue_that_fails_says_so_and_ends_the_session(caplog):
    async def dialogue(_):
        yield "So far so good."
        raise RuntimeError("out of ideas")

    async def main():
        app = ChannelApp(dialogue, apology="Sorry.")
        async with serving(app) as address, connect(f"ws://{address}/socket") as socket:
            await socket.send(INIT)
            await socket.send(said("hello"))
            frames = await until(socket, "SessionEnded")
            items = [frame["responseItem"]["text"] for frame in frames if frame["type"] == "ResponseItem"]
            assert items == ["So far so good.", "Sorry."]

    run(main)
    assert "out of ideas" in caplog.text


def test_the_host_decides_who_may_speak():
    async def authorise(init):
        return None if init.token == "secret" else "Who are you?"

    async def main():
        app = ChannelApp(example.dialogue, authorise=authorise)
        async with serving(app) as address, connect(f"ws://{address}/socket") as socket:
            await socket.send('{"type":"Init","key":"K","deviceId":"D"}')
            assert json.loads(await socket.recv())["text"] == "Who are you?"
            await socket.send('{"type":"Init","key":"K","deviceId":"D","token":"secret"}')
            assert json.loads(await socket.recv()) == {"type": "Ready"}

    run(main)


def test_a_client_without_init_is_sent_away():
    async def main():
        app = ChannelApp(example.dialogue, timeouts=Timeouts(init=0.05))
        async with serving(app) as address, connect(f"ws://{address}/socket") as socket:
            assert json.loads(await socket.recv())["type"] == "Error"
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd.code == 1008

    run(main)


def test_bad_frames_are_answered_and_the_connection_stays():
    async def main():
        app = ChannelApp(example.dialogue, limits=Limits(message_bytes=2000))
        async with serving(app) as address, connect(f"ws://{address}/socket") as socket:
            await socket.send(INIT)
            assert json.loads(await socket.recv()) == {"type": "Ready"}
            for bad in ("{", "[]", '{"type":null}', '{"type":"Input"}', '{"type":"Ready"}', "x" * 3000):
                await socket.send(bad)
                assert json.loads(await socket.recv())["type"] == "Error"
            await socket.send(said("still there?"))
            assert types(await until(socket, "Response")) == ["SessionStarted", "ResponseItem", "Response"]

    run(main)


def test_a_text_that_is_not_utf_8_closes_the_connection():
    async def main():
        async with (
            serving(ChannelApp(example.dialogue)) as address,
            connect(f"ws://{address}/socket") as socket,
        ):
            await socket.send(b"\xff", text=True)
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd.code == 1007

    run(main)


def test_other_paths_and_plain_http_are_refused():
    async def main():
        async with serving(ChannelApp(example.dialogue)) as address:
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://{address}/elsewhere")
            assert refused.value.response.status_code == 403
            assert (await get(address, "/socket")).startswith(b"HTTP/1.1 426 ")
            assert (await get(address, "/elsewhere")).startswith(b"HTTP/1.1 404 ")

    run(main)


async def get(address, path):
    reader, writer = await asyncio.open_connection(*address.split(":"))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def test_it_can_be_mounted_in_starlette():
    async def main():
        app = Starlette(routes=[Mount("/voice", app=ChannelApp(example.dialogue))])
        async with serving(app) as address, connect(f"ws://{address}/voice/socket") as socket:
            await socket.send(INIT)
            assert json.loads(await socket.recv()) == {"type": "Ready"}

    run(main)


def test_a_client_that_vanishes_in_mid_turn_leaves_nothing_behind():
    ended = []

    async def dialogue(turn):
        yield "begin"
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(turn.number)

    async def main():
        async with serving(ChannelApp(dialogue)) as address:
            socket = await connect(f"ws://{address}/socket")
            await socket.send(INIT)
            await socket.send(said("hello"))
            await until(socket, "ResponseItem")
            socket.transport.abort()
            others = asyncio.all_tasks()
            while not ended:
                await asyncio.wait(others, timeout=0.01)
            await socket.wait_closed()

    run(main)
    assert ended == [1]


def test_what_the_slow_recogniser_misses_is_counted():
    sounds = []

    async def main():
        go_on = asyncio.Event()

        async def recogniser(sound):
            sounds.append(sound)
            await go_on.wait()
            total = 0
            async for block in sound:
                total += len(block)
            if total:
                yield f"{total}", True

        app = ChannelApp(
            example.dialogue,
            recogniser=recogniser,
            limits=Limits(queued_bytes=10_000),
            timeouts=Timeouts(init=None),
        )
        async with serving(app) as address, connect(f"ws://{address}/socket") as socket:
            await socket.send(INIT)
            await socket.send('{"type":"InputAudioStreamOpen"}')
            await until(socket, "InputAudioStreamOpen")
            for _ in range(6):
                await socket.send(bytes(4000))
            await socket.send('{"type":"Log","entries":[]}')
            await socket.send(said("enough"))
            await until(socket, "Response")
            assert sounds[0].dropped == 4 * 4000
            go_on.set()

    run(main)


@pytest.mark.parametrize(
    ("path", "root", "known"),
    [("/socket", "", True), ("/a/socket/", "/a", True), ("/socket", "/s", True), ("/a/socket", "/b", False)],
)
def test_the_path_below_the_mount_point_counts(path, root, known):
    async def main():
        sent = []

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "path": path, "root_path": root}
        await ChannelApp(example.dialogue)(scope, None, send)
        assert sent[0]["status"] == (426 if known else 404)

    run(main)


def test_what_is_no_scope_of_ours_is_refused_aloud():
    async def main():
        with pytest.raises(ValueError, match="smoke-signal is not served here"):
            await ChannelApp(example.dialogue)({"type": "smoke-signal"}, None, None)

    run(main)
