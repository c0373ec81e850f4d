"""What runs in the child processes of `test_wsgi`: an application for gunicorn, and a server that forks."""

from __future__ import annotations

import asyncio
import io
import json
import os
import threading
import time
from wsgiref.util import setup_testing_defaults

from flowstorm_channel import Limits, Timeouts
from flowstorm_channel.contrib.wsgi import WsgiApp

go_on = asyncio.Event()
cancelled = []


async def dialogue(turn):
    """Does what it is told: some of that takes until somebody says ``go on``."""
    count = turn.session.data["count"] = turn.session.data.get("count", 0) + 1
    try:
        if turn.text == "go on":
            go_on.set()
        elif turn.text.startswith("wait"):
            yield "I wait."
            await go_on.wait()
            go_on.clear()
        while turn.text.startswith("chatter"):
            yield "and on"
            await asyncio.sleep(0.005)
        yield f"{count}: {turn.text}"
    except (asyncio.CancelledError, GeneratorExit):
        cancelled.append(turn.text)
        raise


async def recogniser(sound):
    """Hears the words between zero bytes; "over" is the last one."""
    heard = b""
    try:
        async for block in sound:
            heard += block
            *words, _ = (word for word in heard.replace(b"\0", b" ").split(b" "))
            text = " ".join(word.decode() for word in words if word)
            if text:
                yield text, text.endswith("over")
            if text.endswith("over"):
                return
    except (asyncio.CancelledError, GeneratorExit):
        cancelled.append("recogniser")
        raise


app = WsgiApp(
    dialogue,
    recogniser=recogniser,
    limits=Limits(body_bytes=256 * 1024),
    timeouts=Timeouts(drain=0.2, body=5.0),
)
LOADED_BY = os.getpid()


def application(environ, start_response):
    """The application, and at ``/state`` what goes on in it."""
    if environ["PATH_INFO"] != "/state":
        return app(environ, start_response)
    state = {
        "under_way": len(app.sessions._under_way),
        "waiting": app.sessions.waiting,
        "cancelled": cancelled,
        "forked": os.getpid() != LOADED_BY,
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(state).encode()]


def ask(text, session):
    """One turn, without a server."""
    body = text.encode()
    environ = {
        "REQUEST_METHOD": "PUT",
        "PATH_INFO": "/client",
        "QUERY_STRING": "key=K&deviceId=D",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_COOKIE": f"flowstorm-session-id={session}",
        "wsgi.input": io.BytesIO(body),
    }
    setup_testing_defaults(environ)
    return b"".join(app(environ, lambda *_: None)).decode().split("\n")


def main():
    """Serve, fork while a request is under way, serve in both processes, and end without a word."""
    answers = []
    waits = threading.Thread(target=lambda: answers.append(ask("wait", "first")))
    waits.start()
    while not app.sessions._under_way:
        time.sleep(0.001)
    child = os.fork()
    if child == 0:
        print("child:", len(app.sessions._under_way), ask("hello", "first"), flush=True)
        app.close()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    print("parent:", os.waitstatus_to_exitcode(status), ask("go on", "second"), flush=True)
    waits.join()
    print(*answers)


if __name__ == "__main__":
    main()
