"""The asyncio driver over a transport in memory: what hosts do, and what goes wrong with them."""

import asyncio
import json
from contextlib import suppress

import pytest

from flowstorm_channel import (
    Close,
    Input,
    Limits,
    RequestHead,
    ResponseItem,
    SocketV1Server,
    Timeouts,
    Transcript,
)
from flowstorm_channel.contrib.asyncio import Driver, Host
from tests.serving import run

INIT = {
    "type": "Init",
    "key": "K",
    "deviceId": "D",
    "config": {"sendResponseItems": True, "sttInterimResults": True},
}
OPEN = {"type": "InputAudioStreamOpen"}


def said(text):
    return {"type": "Input", "input": {"transcript": {"text": text}}}


class Memory:
    """A transport whose other end is the test."""

    def __init__(self):
        self.to_server = asyncio.Queue()
        self.to_client = asyncio.Queue()
        self.slow = None

    async def receive(self):
        message = await self.to_server.get()
        if isinstance(message, Exception):
            raise message
        return message

    async def send(self, message):
        if self.slow is not None:
            await self.slow.wait()
        self.to_client.put_nowait(message)

    def put(self, *messages):
        for message in messages:
            self.to_server.put_nowait(json.dumps(message) if isinstance(message, dict) else message)

    async def get(self):
        message = await self.to_client.get()
        return json.loads(message) if isinstance(message, str) else message

    async def until(self, kind):
        found = []
        while not found or found[-1]["type"] != kind:
            found.append(await self.get())
        return found


async def silent(_):
    return None


class Conversation:
    """A driver at work, Ready."""

    def __init__(self, dialogue=silent, *, init=INIT, settings=None, **functions):
        self.events = []
        self.host = Host(dialogue=dialogue, observe=self.events.append, **functions)
        self.settings = settings or {}
        self.init = init

    async def __aenter__(self):
        self.wire = Memory()
        self.server = SocketV1Server(**self.settings)
        self.driver = Driver(self.server, self.wire, self.host)
        self.running = asyncio.create_task(self.driver.run())
        self.wire.put(RequestHead(url="/socket"))
        await self.wire.get()
        if self.init is not None:
            self.wire.put(self.init)
            assert (await self.wire.get())["type"] == "Ready"
        return self

    async def __aexit__(self, *_):
        self.wire.put(None)
        await self.running
        assert self.server.closed

    def kinds(self):
        return [type(event).__name__ for event in self.events]


def test_a_cancelled_stream_cancels_its_recogniser():
    ended = []

    async def recogniser(sound):
        try:
            async for _ in sound:
                yield "…", False
            await asyncio.Event().wait()
        finally:
            ended.append(sound)

    async def main():
        async with Conversation(recogniser=recogniser) as talk:
            talk.wire.put(OPEN)
            await talk.wire.until("InputAudioStreamOpen")
            talk.wire.put(bytes(10))
            await talk.wire.until("Recognized")
            talk.wire.put({"type": "InputAudioStreamCancel"}, said("text"))
            await talk.wire.until("Response")
            assert len(ended) == 1

    run(main)


def test_a_recogniser_that_hears_too_late_is_ignored():
    async def main():
        closed = asyncio.Event()

        async def recogniser(sound):
            async for _ in sound:
                pass
            sound.end_of_utterance()
            closed.set()
            yield Input(transcript=Transcript(text="too late")), True

        async with Conversation(recogniser=recogniser) as talk:
            talk.wire.put(OPEN)
            await talk.wire.until("InputAudioStreamOpen")
            talk.wire.put({"type": "InputAudioStreamClose"})
            await closed.wait()
            talk.wire.put(said("text"))
            assert [each["type"] for each in await talk.wire.until("Response")] == [
                "SessionStarted",
                "Response",
            ]

    run(main)


def test_the_end_of_speech_is_followed_by_a_result_or_silence():
    async def recogniser(sound):
        async for _ in sound:
            sound.end_of_utterance()
        yield "", False  # pragma: no cover

    async def main():
        settings = {"timeouts": Timeouts(end_of_utterance=0.01)}
        init = {**INIT, "config": {**INIT["config"], "silenceTimeout": 0}}
        async with Conversation(recogniser=recogniser, init=init, settings=settings) as talk:
            talk.wire.put(OPEN)
            await talk.wire.until("InputAudioStreamOpen")
            talk.wire.put(bytes(10))
            heard = (await talk.wire.until("Recognized"))[-1]
            assert heard["text"] == "#silence"

    run(main)


def test_a_recogniser_that_fails_is_logged_and_the_conversation_goes_on(caplog):
    async def recogniser(_):
        raise RuntimeError("no model")
        yield "", True  # pragma: no cover

    async def main():
        async with Conversation(recogniser=recogniser) as talk:
            talk.wire.put(OPEN)
            frames = await talk.wire.until("Recognized")
            assert frames[-1]["text"] == "#silence"
            await talk.wire.until("Response")

    run(main)
    assert "no model" in caplog.text


def test_without_a_recogniser_nothing_is_acknowledged():
    async def main():
        async with Conversation() as talk:
            talk.wire.put(OPEN, bytes(10), said("text"))
            kinds = [each["type"] for each in await talk.wire.until("Response")]
            assert kinds == ["SessionStarted", "Response"]

    run(main)


def test_authorisation_that_fails_refuses(caplog):
    async def authorise(_):
        raise RuntimeError("no database")

    async def main():
        async with Conversation(authorise=authorise, init=None) as talk:
            talk.wire.put(INIT)
            assert (await talk.wire.get())["text"] == "Something went wrong."

    run(main)
    assert "no database" in caplog.text


def test_a_client_that_leaves_before_it_is_authorised():
    async def main():
        asked, answer = asyncio.Event(), asyncio.Event()

        async def authorise(_):
            asked.set()
            try:
                await answer.wait()
            except asyncio.CancelledError:
                return  # stubborn: answers all the same
            return

        async with Conversation(authorise=authorise, init=None) as talk:
            talk.wire.put(INIT)
            await asked.wait()
            talk.wire.put(Close(1001, "bye"))
            await talk.running
        assert talk.kinds() == ["InitEvent", "ClosedEvent"]

    run(main)


def test_the_host_closes():
    async def main():
        async with Conversation() as talk:
            talk.driver.close(1001, "restart")
            assert await talk.wire.get() == Close(1001, "restart")
            await talk.running
        assert talk.kinds()[-1] == "ClosedEvent"

    run(main)


@pytest.mark.parametrize("error", [ConnectionResetError(), RuntimeError("disconnected")])
def test_a_transport_that_breaks_is_an_end(error):
    async def main():
        async with Conversation() as talk:
            talk.wire.put(error)
            await talk.running
        assert talk.kinds()[-1] == "ClosedEvent"

    run(main)


def test_a_driver_that_is_cancelled_takes_the_transport_for_lost():
    ended = []

    async def dialogue(_):
        try:
            yield "begin"
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def main():
        async with Conversation(dialogue) as talk:
            talk.wire.put(said("text"))
            await talk.wire.until("ResponseItem")
            talk.running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await talk.running
            talk.running = asyncio.sleep(0)
        assert ended == [True]

    run(main)


def test_a_dialogue_that_ignores_its_cancellation_cannot_disturb_the_next_turn():
    async def dialogue(turn):
        yield f"{turn.number}"
        if turn.number == 1:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                yield "I will not be silenced."

    async def main():
        async with Conversation(dialogue) as talk:
            talk.wire.put(said("one"))
            await talk.wire.until("ResponseItem")
            talk.wire.put(said("two"))
            cut, item, done = [await talk.wire.get() for _ in range(3)]
            assert [cut["type"], item["responseItem"]["text"], done["type"]] == ["Response", "2", "Response"]

    run(main)


def test_a_dialogue_that_fails_after_its_turn_is_over_is_only_logged(caplog):
    async def dialogue(turn):
        yield "all"
        turn.finish()
        raise RuntimeError("after the end")

    async def main():
        async with Conversation(dialogue) as talk:
            talk.wire.put(said("text"))
            kinds = [each["type"] for each in await talk.wire.until("Response")]
            assert kinds == ["SessionStarted", "ResponseItem", "Response"]

    run(main)
    assert "after the end" in caplog.text


def test_a_slow_client_slows_the_dialogue_down():
    progress = []

    async def dialogue(_):
        for number in range(3):
            progress.append(number)
            yield str(number)

    async def main():
        async with Conversation(dialogue) as talk:
            talk.wire.slow = asyncio.Event()
            talk.wire.put(said("text"))
            for _ in range(50):
                await asyncio.sleep(0)
            assert progress == [0]
            talk.wire.slow.set()
            await talk.wire.until("Response")
        assert progress == [0, 1, 2]

    run(main)


def test_voice_is_for_what_can_be_spoken():
    spoken = []

    async def voice(item, _):
        spoken.append(item.text or item.ssml)
        return b"audio"

    async def dialogue(_):
        yield "text"
        yield "#command"
        yield ResponseItem(ssml="<speak>ssml</speak>")
        yield ResponseItem(text="recorded", audio="/a.mp3")
        yield ResponseItem(image="/i.png")
        yield b"host's own"

    async def main():
        init = {**INIT, "config": {**INIT["config"], "tts": "RequiredStreaming"}}
        async with Conversation(dialogue, init=init, voice=voice) as talk:
            talk.wire.put(said("speak"))
            got = []
            while not got or not (isinstance(got[-1], dict) and got[-1]["type"] == "Response"):
                got.append(await talk.wire.get())
            assert [each for each in got if isinstance(each, bytes)] == [b"audio", b"audio", b"host's own"]
        assert spoken == ["text", "<speak>ssml</speak>"]

    run(main)


def test_reading_stops_while_too_much_waits_for_the_host():
    async def main():
        answer = asyncio.Event()

        async def authorise(_):
            await answer.wait()

        limits = Limits(queued_bytes=2000, message_bytes=1000, audio_bytes=1000)
        talk = Conversation(authorise=authorise, init=None, settings={"limits": limits})
        async with talk:
            talk.wire.put(INIT, *[said(f"{number} " + "x" * 200) for number in range(20)])
            for _ in range(100):
                await asyncio.sleep(0)
            assert talk.server.full
            assert not talk.wire.to_server.empty()
            answer.set()
            while talk.kinds().count("InputEvent") < 20:
                await talk.wire.get()

    run(main)


@pytest.mark.parametrize(
    "ending", [{"type": "SessionEnded"}, {"type": "Ready"}, said("text")], ids=["its end", "a fault", "input"]
)
def test_a_recogniser_is_not_left_waiting_when_its_stream_is_over(ending):
    async def main():
        ended = asyncio.Event()

        async def recogniser(sound):
            async for _ in sound:
                yield "…", False
            ended.set()

        async with Conversation(recogniser=recogniser) as talk:
            talk.wire.put(OPEN)
            await talk.wire.until("InputAudioStreamOpen")
            talk.wire.put(bytes(10))
            await talk.wire.until("Recognized")
            talk.wire.put(ending)
            await ended.wait()

    run(main)


def test_an_observer_that_fails_disturbs_nothing(caplog):
    def observe(_):
        raise RuntimeError("no disk")

    async def main():
        talk = Conversation()
        talk.host.observe = observe
        async with talk:
            talk.wire.put(said("text"))
            await talk.wire.until("Response")

    run(main)
    assert "no disk" in caplog.text


def test_functions_that_fail_when_they_are_called(caplog):
    def authorise(_):
        raise RuntimeError("authorise is broken")

    def recogniser(_):
        raise RuntimeError("recogniser is broken")

    async def main():
        async with Conversation(authorise=authorise, init=None) as talk:
            talk.wire.put(INIT)
            assert (await talk.wire.get())["text"] == "Something went wrong."
        async with Conversation(recogniser=recogniser) as talk:
            talk.wire.put(OPEN, said("text"))
            await talk.wire.until("Response")

    run(main)
    assert "authorise is broken" in caplog.text
    assert "recogniser is broken" in caplog.text


def test_a_race_of_another_turn_does_not_leave_this_one_open(caplog):
    turns = []

    async def dialogue(turn):
        turns.append(turn)
        if len(turns) == 2:
            turns[0].say("to the wrong turn")
        yield "well"

    async def main():
        async with Conversation(dialogue) as talk:
            talk.wire.put(said("one"))
            await talk.wire.until("Response")
            talk.wire.put(said("two"))
            frames = await talk.wire.until("SessionEnded")
            assert frames[0]["responseItem"]["text"] == "Something went wrong."

    run(main)
    assert "turn 1 is over" in caplog.text


@pytest.mark.parametrize("error", [ConnectionResetError(), RuntimeError("disconnected")])
def test_a_transport_that_breaks_while_sending_is_an_end(error):
    async def main():
        async with Conversation() as talk:

            async def send(_):
                raise error

            talk.wire.send = send
            talk.wire.put(said("text"))
            await talk.running
        assert talk.kinds()[-1] == "ClosedEvent"

    run(main)


def test_an_error_of_the_transport_itself_is_raised():
    async def main():
        async with Conversation() as talk:
            talk.wire.put(KeyError("a bug in the transport"))
            with pytest.raises(KeyError):
                await talk.running
            talk.running = asyncio.sleep(0)

    run(main)


# ------------------------------------------------------------ cancellations


async def waits_for_what_is_cancelled():
    other = asyncio.create_task(asyncio.Event().wait())
    other.cancel()
    await other


def test_a_dialogue_whose_own_task_was_cancelled_has_failed(caplog):
    async def dialogue(_):
        await waits_for_what_is_cancelled()
        yield "never"

    async def main():
        async with Conversation(dialogue) as talk:
            talk.wire.put(said("text"))
            _, item, done = await talk.wire.until("Response")
            assert item["responseItem"]["text"] == "Something went wrong."
            assert done["response"]["sessionEnded"] is True

    run(main)
    assert "the dialogue failed in turn 1" in caplog.text


def test_a_recogniser_whose_own_task_was_cancelled_has_failed(caplog):
    async def recogniser(sound):
        async for _ in sound:
            await waits_for_what_is_cancelled()
        yield "never", True

    async def main():
        async with Conversation(recogniser=recogniser) as talk:
            talk.wire.put(OPEN)
            await talk.wire.until("InputAudioStreamOpen")
            talk.wire.put(bytes(10))
            await talk.wire.until("Response")

    run(main)
    assert "the recogniser failed" in caplog.text


async def runs_out_of_time(_):
    raise TimeoutError("the database")


async def is_cancelled(_):
    await waits_for_what_is_cancelled()


async def says_yes(_):
    return True


@pytest.mark.parametrize(
    ("authorise", "complaint"),
    [
        (runs_out_of_time, "TimeoutError: the database"),
        (is_cancelled, "something that it waited for was cancelled"),
        (says_yes, "authorise returns None or the text of a refusal, not True"),
    ],
)
def test_authorisation_that_goes_wrong_in_other_ways_refuses_and_says_why(caplog, authorise, complaint):
    async def main():
        async with Conversation(authorise=authorise, init=None) as talk:
            talk.wire.put(INIT)
            assert (await talk.wire.get())["text"] == "Something went wrong."

    run(main)
    assert "authorisation failed" in caplog.text
    assert complaint in caplog.text


@pytest.mark.parametrize("end", ["vanishes", "is cancelled", "barges in and vanishes"])
def test_a_dialogue_may_tidy_up_after_its_cancellation(end):
    tidied = []

    async def main():
        tidying, may_end = asyncio.Event(), asyncio.Event()

        async def dialogue(turn):
            yield "begin"
            if turn.number == 1:
                try:
                    await asyncio.Event().wait()
                finally:
                    tidying.set()
                    await may_end.wait()
                    tidied.append(turn.number)

        async with Conversation(dialogue) as talk:
            talk.wire.put(said("one"))
            await talk.wire.until("ResponseItem")
            if end == "is cancelled":
                talk.running.cancel()
            elif end == "vanishes":
                talk.wire.put(None)
            else:
                talk.wire.put(said("two"))
                await talk.wire.until("Response")
                await tidying.wait()
                talk.wire.put(None)
            await tidying.wait()
            done, _ = await asyncio.wait({talk.running}, timeout=0.05)
            assert not done
            may_end.set()
            await asyncio.wait({talk.running})
            talk.running = asyncio.sleep(0)
        assert tidied == [1]
        assert talk.driver.over.is_set()

    run(main)


@pytest.mark.parametrize("end", ["time", "a second cancellation"])
def test_a_dialogue_that_does_not_end_is_cancelled_again(monkeypatch, end):
    monkeypatch.setattr("flowstorm_channel.contrib.asyncio._TIDYING", 0.01 if end == "time" else 60)
    cancelled = []

    async def main():
        tidying = asyncio.Event()

        async def dialogue(turn):
            yield "begin"
            for _ in range(2 if turn.number == 1 else 0):
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
                cancelled.append(turn.number)
                tidying.set()

        async with Conversation(dialogue) as talk:
            talk.wire.put(said("one"))
            await talk.wire.until("ResponseItem")
            talk.wire.put(said("two"))
            await tidying.wait()
            talk.wire.put(None)
            if end != "time":
                while not talk.server.closed:
                    await asyncio.sleep(0)
                talk.running.cancel()
            await asyncio.wait({talk.running})
            talk.running = asyncio.sleep(0)
        assert cancelled == [1, 1]
        assert talk.driver.over.is_set()

    run(main)


def test_what_fails_while_all_ends_is_logged(caplog):
    async def main():
        async with Conversation() as talk:

            async def receive():
                try:
                    await asyncio.Event().wait()
                finally:
                    raise KeyError("a bug in the transport")

            talk.wire.receive = receive
            talk.wire.put({"type": "Input", "input": {"transcript": {"text": "one"}}})
            await talk.wire.until("Response")
            talk.driver.close()
            await talk.running

    run(main)
    assert "a bug in the transport" in caplog.text
