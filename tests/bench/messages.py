"""The six messages that codecs are timed with: as JSON, as msgpack, and as plain Python."""

from __future__ import annotations

import base64
import json
from typing import Any

__all__ = ["AUDIO", "JSON", "NAMES", "PLAIN"]

AUDIO = bytes(range(256)) * 12 + bytes(128)
"""A tenth of a second of sound: 3200 bytes."""

PLAIN: dict[str, dict[str, Any]] = {
    "a": {
        "type": "Init",
        "key": "demo",
        "deviceId": "device-0001",
        "config": {
            "locale": "en-US",
            "zoneId": "Europe/Prague",
            "sttMode": "SingleUtterance",
            "sttSampleRate": 16000,
            "tts": "RequiredStreaming",
            "ttsFileType": "mp3",
            "silenceTimeout": 5000,
            "sendResponseItems": True,
            "sttInterimResults": True,
        },
    },
    "b": {
        "type": "Input",
        "input": {
            "locale": "en-US",
            "zoneId": "Europe/Prague",
            "transcript": {"text": "I would like to know the weather for tomorrow", "confidence": 0.93},
            "attributes": {"clientType": "web:1.0", "clientScreen": True},
        },
    },
    "c": {"type": "Recognized", "text": "I would like to know", "isFinal": False},
    "d": {
        "type": "ResponseItem",
        "responseItem": {
            "text": "Tomorrow it will be sunny, with 24 degrees in the afternoon.",
            "ssml": "<speak>Tomorrow it will be sunny, with 24 degrees in the afternoon.</speak>",
            "confidence": 1.0,
            "image": "https://example.com/images/sunny.png",
            "audio": "/files/tts/4f0c3a1de0b14a0c9a6d.mp3",
            "ttsConfig": {
                "provider": "Google",
                "locale": "en-US",
                "gender": "Female",
                "name": "en-US-Neural2-F",
            },
            "repeatable": True,
            "nodeId": 42,
        },
    },
    "e": {
        "type": "Response",
        "response": {
            "locale": "en-US",
            "items": [
                {
                    "text": text,
                    "ssml": f"<speak>{text}</speak>",
                    "confidence": 1.0,
                    "image": f"https://example.com/images/{number}.png",
                    "audio": f"/files/tts/4f0c3a1de0b14a0c9a6d-{number}.mp3",
                    "repeatable": True,
                    "nodeId": number,
                }
                for number, text in enumerate(
                    (
                        "Tomorrow it will be sunny, with 24 degrees in the afternoon.",
                        "Take a hat with you.",
                        "Do you want to hear about the weekend, too?",
                    )
                )
            ],
            "logs": [
                {
                    "time": "2026-01-02T03:04:05.678Z",
                    "relativeTime": 0.125,
                    "level": "INFO",
                    "text": "intent weather.tomorrow chosen with 0.93",
                },
                {
                    "time": "2026-01-02T03:04:05.912Z",
                    "relativeTime": 0.359,
                    "level": "DEBUG",
                    "text": "forecast found in the cache, 310 s old",
                },
            ],
            "attributes": {"speakingRate": 1.1, "topic": "weather"},
            "sttMode": "SingleUtterance",
            "expectedPhrases": [
                {"text": "yes, please", "boost": 2.0},
                {"text": "no, thank you", "boost": 1.0},
            ],
            "sessionEnded": False,
            "sleepTimeout": 0,
            "turnId": "a2f4c6e8",
        },
    },
    "f": {"type": "Binary", "data": base64.b64encode(AUDIO).decode()},
}
"""What a JSON parser makes of them."""

NAMES = {
    "a": "Init",
    "b": "Input",
    "c": "Recognized",
    "d": "ResponseItem",
    "e": "Response",
    "f": "Binary",
}

JSON: dict[str, str] = {
    name: json.dumps(tree, separators=(",", ":"), ensure_ascii=False) for name, tree in PLAIN.items()
}
"""As they come over a WebSocket."""
