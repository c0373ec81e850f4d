"""Every program of `docs/examples` is started as its first lines say, and has a whole conversation."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flowstorm_channel import ResponseEvent, ResponseItemEvent, SocketV1Client, SocketV2Client
from flowstorm_channel.cli import main
from flowstorm_channel.contrib import httpx, websockets

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
MODULE = (sys.executable, "-m")
UVICORN = (*MODULE, "uvicorn", "--ws", "websockets-sansio", "--port", "0")
HYPERCORN = (*MODULE, "hypercorn", "--worker-class", "trio", "--bind", "127.0.0.1:0")
GUNICORN = (*MODULE, "gunicorn", "--threads", "8", "--bind", "127.0.0.1:0")
FLASK = (*MODULE, "flask", "--app")
ECHO = ["Hello!", "You said tea.", "You said soup."]

SERVERS = {
    "hello": ((*UVICORN, "hello:app"), "", ["Hello! What is your name?", "Nice to meet you, tea."]),
    "starlette_server": ((*UVICORN, "starlette_server:app"), "/voice", ECHO),
    "fastapi_server": (
        (*UVICORN, "fastapi_server:app"),
        "/voice",
        ["Hello! What would you like?", "One tea. Anything else?", "One soup. Anything else?"],
    ),
    "aiohttp_server": ((sys.executable, "aiohttp_server.py", "0"), "/voice", ECHO),
    "trio_server": (
        (*HYPERCORN, "trio_server:app"),
        "",
        [
            "Hello! I need a moment for everything.",
            *("Let me think.", "You said tea.", "Let me think.", "You said soup."),
        ],
    ),
    "django_server": ((*UVICORN, "django_server:application"), "/voice", ECHO),
    "websockets_server": ((sys.executable, "websockets_server.py", "0"), "", ECHO),
    "sockets_server": (
        (sys.executable, "sockets_server.py", "0"),
        "",
        ["You said #intro.", "You said tea.", "You said soup."],
    ),
    "django_server under WSGI": ((*GUNICORN, "django_server:wsgi"), "/voice", ECHO),
    "flask_server": (
        (*FLASK, "flask_server", "run", "--port", "0"),
        "/voice",
        ["Hello, I am Flask.", "Flask heard tea.", "Flask heard soup."],
    ),
    "flask_server under gunicorn": (
        (*GUNICORN, "flask_server:app"),
        "/voice",
        ["Hello, I am Flask.", "Flask heard tea.", "Flask heard soup."],
    ),
}
BESIDE = {
    "starlette_server": ("/", b"Talk to me"),
    "fastapi_server": ("/orders", b'["tea","soup","tea","soup"]'),
    "aiohttp_server": ("/", b"Talk to me"),
    "django_server": ("/", b"Talk to me"),
    "django_server under WSGI": ("/", b"Talk to me"),
    "flask_server": ("/", b"Talk to me"),
}
"""What the application does besides, and goes on doing."""
WITHOUT_HTTP = ("websockets_server", "sockets_server")
WITHOUT_SOCKETS = ("django_server under WSGI", "flask_server", "flask_server under gunicorn")

CONVERSATIONS = [
    (name, channel)
    for name in SERVERS
    for channel in ("V1", "V2")
    if name not in (WITHOUT_SOCKETS if channel == "V1" else WITHOUT_HTTP)
]


@contextmanager
def running(command: tuple[str, ...]) -> Iterator[str]:
    """A server as a process; gives its host and port, which it prints."""
    with subprocess.Popen(
        command,
        cwd=EXAMPLES,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        said, found = "", None
        while found is None:
            line = process.stdout.readline()
            assert line, said
            said += line
            found = re.search(r"(?:ws|http)://(127\.0\.0\.1:[1-9]\d*)", line)
        # What else it says is read away, so that it never has to wait.
        rest = threading.Thread(target=process.stdout.read, daemon=True)
        rest.start()
        try:
            yield found.group(1)
        finally:
            # With all its workers, and without the patience of a server that has finished.
            os.killpg(process.pid, signal.SIGKILL)
            rest.join()


def converse(client: SocketV1Client | SocketV2Client, *words: str) -> list[str]:
    """Say one thing after the other; what was answered until the session, or the words, came to an end."""
    heard, left = [], list(words)
    if isinstance(client, SocketV1Client):
        told = websockets.events(client, proxy=None)
    else:
        told = httpx.events(client, verify=False, trust_env=False)
    for event in told:
        if isinstance(event, ResponseItemEvent):
            heard.append(event.response_item.text)
        elif isinstance(event, ResponseEvent):
            client.finish_playback()
            if left and not event.response.session_ended:
                client.say(left.pop(0))
            else:
                client.close()
    return heard


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_has_a_conversation_on_every_channel_that_it_serves(name: str) -> None:
    command, prefix, expected = SERVERS[name]
    with running(command) as address:
        for server, channel in CONVERSATIONS:
            if server == name:
                url = (
                    f"ws://{address}{prefix}/socket"
                    if channel == "V1"
                    else f"http://{address}{prefix}/client"
                )
                kind = SocketV1Client if channel == "V1" else SocketV2Client
                client = kind(url, key="my-app", device_id="my-device", auto_start=True)
                assert converse(client, "tea", "soup") == expected, channel
        if name in BESIDE:
            path, text = BESIDE[name]
            with urllib.request.urlopen(f"http://{address}{path}") as answer:
                assert text in answer.read()


@pytest.mark.long
@pytest.mark.parametrize("name", ["aiohttp_server", "trio_server", "django_server"])
def test_a_server_has_sessions_as_the_conformance_kit_wants_them(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, prefix, _ = SERVERS[name]
    report = tmp_path / "report.json"
    with running(command) as address:
        urls = [f"ws://{address}{prefix}/socket", f"http://{address}{prefix}/client"]
        for url in urls:
            judging = ["conformance", "server", url, "--only", "FSC-*-SESS-00*", "--json", str(report)]
            assert main(judging) == 0, capsys.readouterr().out
            (suite,) = json.loads(report.read_text("utf-8"))["suites"]
            assert [row for row in suite["requirements"] if row["verdict"] == "PASS"]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Somebody to talk to."""
    with running(SERVERS["starlette_server"][0]) as address:
        yield address


CLIENTS = [
    ("aiohttp_client", "ws", "socket"),
    ("aiohttp_client", "http", "client"),
    ("httpx_client", "http", "client"),
    ("blocking_client", "ws", "socket"),
    ("trio_client", "http", "client"),
    # The websockets library has no trio for older Pythons.
    *([("trio_client", "ws", "socket")] if sys.version_info >= (3, 11) else []),
]


@pytest.mark.parametrize(("name", "scheme", "path"), CLIENTS, ids=[" ".join(each[:2]) for each in CLIENTS])
def test_a_client_says_its_lines(server: str, name: str, scheme: str, path: str) -> None:
    done = subprocess.run(
        [sys.executable, f"{name}.py", f"{scheme}://{server}/voice/{path}"],
        cwd=EXAMPLES,
        input="tea\nsoup\n",
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.stdout.splitlines(), done.stderr) == (ECHO, "")


def test_a_skill_is_answered_from_lambda() -> None:
    skill = "amzn1.ask.skill.00000000-0000-0000-0000-000000000000"
    request = {
        "version": "1.0",
        "session": {
            "new": True,
            "sessionId": "amzn1.echo-api.session.1",
            "application": {"applicationId": skill},
            "user": {"userId": "amzn1.ask.account.1"},
        },
        "context": {
            "System": {
                "application": {"applicationId": skill},
                "user": {"userId": "amzn1.ask.account.1"},
                "device": {"deviceId": "amzn1.ask.device.1", "supportedInterfaces": {}},
            }
        },
        "request": {
            "type": "LaunchRequest",
            "requestId": "amzn1.echo-api.request.1",
            "timestamp": "2030-01-01T00:00:00Z",
            "locale": "en-US",
        },
    }
    done = subprocess.run(
        [sys.executable, "lambda_handler.py"],
        cwd=EXAMPLES,
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.stderr == ""
    assert "Hello!" in json.dumps(json.loads(done.stdout)["response"])


def test_every_example_is_tried() -> None:
    tried = {
        *(name.partition(" ")[0] for name in SERVERS),
        *(name for name, _, _ in CLIENTS),
        "lambda_handler",
    }
    assert {path.stem for path in EXAMPLES.glob("*.py")} == tried


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_tells_how_it_is_run(path: Path) -> None:
    first = path.read_text("utf-8").split('"""')[1]
    assert "pip install" in first
    assert path.stem in first
