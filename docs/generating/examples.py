"""One example of every event."""

from __future__ import annotations

from datetime import datetime

from flowstorm_channel import events
from flowstorm_channel.events import WireEvent
from flowstorm_channel.values import (
    ClientConfig,
    Input,
    LogEntry,
    LogLevel,
    Request,
    Response,
    ResponseItem,
    Transcript,
    TtsType,
)

HELLO = Input(transcript=Transcript(text="I am Ada", confidence=0.93), attributes={"clientType": "web:1.0"})

EXAMPLES: dict[str, WireEvent] = {
    event.TYPE: event
    for event in (
        events.InputEvent(input=HELLO),
        events.RequestEvent(
            request=Request(app_key="my-app", device_id="kitchen", session_id="3f2a9c", input=HELLO)
        ),
        events.InputAudioStreamOpenEvent(session_id="3f2a9c"),
        events.InputAudioStreamCloseEvent(),
        events.InputAudioStreamCancelEvent(),
        events.InputStreamCloseEvent(),
        events.RecognizedInputEvent(input=HELLO, is_final=True),
        events.RecognizedEvent(text="I am Ada", is_final=True),
        events.ResponseItemEvent(response_item=ResponseItem(text="Nice to meet you.", node_id=12)),
        events.ResponseEvent(response=Response(locale="en", session_ended=True, turn_id="t-7")),
        events.InitEvent(
            key="my-app",
            device_id="kitchen",
            config=ClientConfig(tts=TtsType.REQUIRED_LINKS, send_response_items=True),
        ),
        events.ReadyEvent(),
        events.ErrorEvent(text="input.transcript.text: is required", source="protocol"),
        events.SessionStartEvent(session_id="3f2a9c"),
        events.SessionEndEvent(),
        events.LogEvent(
            entries=(
                LogEntry(
                    time=datetime(2026, 3, 14, 15, 9, 26),
                    relative_time=2.5,
                    level=LogLevel.WARN,
                    text="low battery",
                ),
            )
        ),
        events.BinaryEvent(data=b"\x00\x01\xfe\xff"),
        events.VoteEvent(turn_id="t-7", vote=1),
    )
}
