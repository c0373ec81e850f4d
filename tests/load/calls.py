"""Phone calls as Twilio makes them: the webhook, then the audio. Written by hand."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import h11
from websockets.asyncio.client import ClientConnection, connect

from tests.load.application import AUTH_TOKEN, PUBLIC_URL
from tests.load.talkers import BROKEN, KEY, Refused, Talker, reset, sound

__all__ = ["Call", "signature"]

_QUERY = f"/call?key={KEY}"


def signature(url: str, form: Mapping[str, str]) -> str:
    """Of a request of Twilio's."""
    signed = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.digest(AUTH_TOKEN.encode(), signed.encode(), hashlib.sha1)).decode()


class Call(Talker):
    """Spoken turns of a caller; the sound is the text, in both directions."""

    kind = "Twilio"

    def __init__(self, port: int, device: str) -> None:
        super().__init__(port, device)
        self.socket: ClientConnection | None = None
        self._sid = ""
        self._sequence = 0

    async def open(self) -> None:
        parameters = await self._webhook()
        address = PUBLIC_URL.replace("https://", "wss://") + "/call"
        self.socket = await connect(
            f"ws://127.0.0.1:{self.port}/call",
            additional_headers={"X-Twilio-Signature": signature(address, {})},
            compression=None,
            open_timeout=20,
            proxy=None,
        )
        self._sid, self._sequence = f"MZ{self.device}", 0
        await self.socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        start = {
            "streamSid": self._sid,
            "accountSid": "AC1",
            "callSid": f"CA{self.device}",
            "tracks": ["inbound"],
            "customParameters": parameters,
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        }
        await self.send("start", start)
        await self._hear()  # the greeting, which is empty

    async def _webhook(self) -> dict[str, str]:
        """Ring, and be told the parameters of the stream."""
        form = {
            "CallSid": f"CA{self.device}",
            "AccountSid": "AC1",
            "From": self.device,
            "To": "+420",
            "Direction": "inbound",
        }
        status, text = await post(self.port, _QUERY, form)
        if status != 200:
            raise Refused(status)
        return dict(re.findall(r'<Parameter name="([^"]*)" value="([^"]*)"', text))

    async def send(self, event: str, told: dict[str, Any]) -> None:
        """A frame of Twilio's."""
        assert self.socket is not None
        self._sequence += 1
        frame = {"event": event, "sequenceNumber": str(self._sequence), "streamSid": self._sid, event: told}
        await self.socket.send(json.dumps(frame))

    async def speak(self, block: bytes) -> None:
        """Some of the caller's audio."""
        payload = base64.b64encode(block).decode()
        chunk = str(self._sequence)
        await self.send("media", {"track": "inbound", "chunk": chunk, "timestamp": "5", "payload": payload})

    async def _hear(self) -> str:
        """What is said until the mark behind it, which is sent back as if all had been played."""
        assert self.socket is not None
        heard = b""
        while True:
            match json.loads(await self.socket.recv()):
                case {"event": "media", "media": {"payload": payload}}:
                    heard += base64.b64decode(payload)
                case {"event": "mark", "mark": mark}:
                    await self.send("mark", mark)
                    return heard.decode("latin-1")

    async def ask(self, text: str) -> str:
        for block in sound(text, 160, 5):
            await self.speak(block)
        answer = await self._hear()
        if text.endswith("bye"):
            await self._hear()  # the end of all, behind the answer
            self.over = True
        return answer

    async def close(self) -> None:
        if self.socket is not None:
            with suppress(*BROKEN):
                await self.socket.close()
            self.socket.transport.abort()
            self.socket = None

    def vanish(self) -> None:
        """Go without a word: the connection is reset."""
        if self.socket is not None:
            reset(self.socket.transport.get_extra_info("socket"))
            self.socket.transport.abort()


async def post(port: int, target: str, form: Mapping[str, str], body: bytes | None = None) -> tuple[int, str]:
    """The webhook of a call, signed; with another body than the form's, if one is given."""
    content = urlencode(form).encode() if body is None else body
    headers = {
        "Host": "voice.example.com",
        "Content-Type": "application/x-www-form-urlencoded",
        "Content-Length": str(len(content)),
        "X-Twilio-Signature": signature(PUBLIC_URL + target, form),
        "Connection": "close",
    }
    http = h11.Connection(h11.CLIENT)
    request = h11.Request(method="POST", target=target, headers=list(headers.items()))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in (request, h11.Data(data=content), h11.EndOfMessage()):
            writer.write(http.send(part) or b"")
        http.receive_data(await reader.read())
        http.receive_data(b"")
        status, text = 0, b""
        while not isinstance(event := http.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                text += bytes(event.data)
            elif not isinstance(event, h11.InformationalResponse):
                raise EOFError("the webhook is not answered")
        return status, text.decode()
    finally:
        writer.transport.abort()
