"""What answers at which path, over transports that break, and at the end of a server."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from flowstorm_channel import RequestHead
from flowstorm_channel.contrib.asgi import ChannelApp
from flowstorm_channel.contrib.platforms import Twilio
from flowstorm_channel.contrib.service import Service
from flowstorm_channel.contrib.stores import MemoryStore
from tests.serving import run

CALL = RequestHead(method="POST", url="http://localhost/call")


async def silent(_: Any) -> None:
    return None


class Transport:
    """Brings what it is given, and breaks then; what is sent breaks it, too, unless it is kept."""

    def __init__(self, *messages: Any) -> None:
        self.messages = list(messages)

    async def receive(self) -> Any:
        if not self.messages:
            raise ConnectionResetError("gone")
        return self.messages.pop(0)

    async def send(self, message: Any) -> None:
        raise ConnectionResetError(f"gone before {message!r}")


@pytest.mark.parametrize("path", ["/client", "/alexa", "/call", "/socket", "/elsewhere"])
@pytest.mark.parametrize("brought", [0, 1, 2])
def test_a_client_that_has_gone_is_no_error(path: str, brought: int) -> None:
    twilio = Twilio(auth_token=None, public_url="https://example.com", allow_unsigned=True)
    messages = (CALL, b"CallSid=CA1")[:brought]

    async def main() -> None:
        service = Service(silent, twilio=twilio)
        await service.serve_request(path, Transport(*messages))
        await service.serve_socket(path, Transport(*messages))

    run(main)


class Store(MemoryStore):
    """Says when it is closed, and fails when it is to."""

    def __init__(self, seen: list[str], error: Exception | None) -> None:
        super().__init__()
        self.seen, self.error = seen, error

    async def close(self) -> None:
        self.seen.append("closed")
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("error", [None, OSError("the network")], ids=["well", "badly"])
def test_the_store_is_closed_before_the_server_may_end(
    error: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []
    kinds = iter(("lifespan.startup", "lifespan.shutdown"))

    async def receive() -> Any:
        return {"type": next(kinds)}

    async def send(message: Any) -> None:
        seen.append(message["type"])

    async def main() -> None:
        await ChannelApp(silent, store=Store(seen, error))({"type": "lifespan"}, receive, send)

    run(main)
    end = "complete" if error is None else "failed"
    assert seen == ["lifespan.startup.complete", "closed", f"lifespan.shutdown.{end}"]
    assert ("the store cannot be closed" in caplog.text) is (error is not None)


@pytest.mark.parametrize("cancelled", [False, True], ids=["an error", "a cancellation"])
def test_a_session_that_could_not_be_stored_is_let_go_of(cancelled: bool) -> None:
    """Else the next turn of the session would wait for it in vain."""
    ends: list[str] = []
    saving = asyncio.Event()

    class Hold:
        snapshot = None

        async def save(self, *_: Any) -> bool:
            saving.set()
            if cancelled:
                await asyncio.Event().wait()
            raise OSError("the network")

        async def release(self) -> None:
            ends.append("released")

    class Kept(MemoryStore):
        async def take(self, *_: Any, **__: Any) -> Any:
            return Hold()

    async def main() -> None:
        app = ChannelApp(silent, store=Kept())
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            asking = asyncio.create_task(
                client.put(
                    "/client?key=K&deviceId=D", headers={"Content-Type": "text/plain"}, content="hello"
                )
            )
            await saving.wait()
            if cancelled:
                asking.cancel()
            await asyncio.wait({asking})
            assert asking.cancelled() or asking.result().status_code == 503

    run(main)
    assert ends == ["released"]


def test_a_server_may_be_closed_twice_and_before_anybody_came() -> None:
    async def main() -> None:
        service = Service(silent)
        await service.aclose()
        waiting, sent = asyncio.Event(), []

        class Patient(Transport):
            async def receive(self) -> Any:
                if not self.messages:
                    waiting.set()
                    await asyncio.Event().wait()
                return await super().receive()

            async def send(self, message: Any) -> None:
                sent.append(message)

        serving = asyncio.create_task(service.serve_socket("/socket", Patient(RequestHead(url="/socket"))))
        await waiting.wait()
        await asyncio.gather(service.aclose(), service.aclose())
        await service.aclose()
        await asyncio.wait_for(serving, 1)
        assert [getattr(each, "code", None) for each in sent] == [None, 1001]

    run(main)


@pytest.mark.parametrize("name", ["observe", "keypad"])
def test_functions_that_are_called_cannot_be_coroutines(name: str) -> None:
    async def function(*_: Any) -> None:
        raise NotImplementedError

    with pytest.raises(TypeError, match=f"{name} is called, not awaited"):
        Service(silent, **{name: function})  # type: ignore[misc]
