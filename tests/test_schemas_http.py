"""Schemathesis makes requests out of the OpenAPI documents, valid and invalid ones, and a real server answers
as they say.

It is run as a program: its plugin for pytest is switched off in `pyproject.toml`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flowstorm_channel.channel import Timeouts
from flowstorm_channel.contrib.asgi import ChannelApp
from flowstorm_channel.contrib.asyncio import Sound
from flowstorm_channel.contrib.platforms import Alexa, GoogleAssistant
from flowstorm_channel.limits import DEFAULT_LIMITS, Limits
from flowstorm_channel.schemas import OPENAPI_CHANNELS, openapi_document
from flowstorm_channel.server import Turn
from tests.serving import serving

Document = dict[str, Any]

ROOT = Path(__file__).parent.parent
LIMITS = Limits(items=40, string_bytes=400, log_entries=20, audio_bytes=300)
"""Small ones, so that what is over them is small, too."""
TIMEOUTS = Timeouts(get=0.05, second_put=0.05)

SETTINGS = """\
[checks]
negative_data_rejection.expected-statuses = ["4xx"]
missing_required_header.expected-statuses = ["4xx"]

# A body of V2 is a sequence; a check of our own takes it apart.
[[operations]]
include-path = "/client"
checks.response_schema_conformance.enabled = false

# No schema can say that a skill is named twice, and that both times it is the same.
[[operations]]
include-path = "/alexa"
checks.positive_data_acceptance.enabled = false
"""


async def dialogue(turn: Turn) -> AsyncIterator[str]:
    yield f"You said: {turn.text}"


async def recogniser(sound: Sound) -> AsyncIterator[tuple[str, bool]]:
    async for _ in sound:
        pass
    yield "something", True


def test_schemathesis_is_no_part_of_these_tests(pytestconfig: pytest.Config) -> None:
    assert not pytestconfig.pluginmanager.hasplugin("schemathesis")


def test_a_server_keeps_to_its_documents(tmp_path: Path) -> None:
    found = run_on_application(tmp_path, documents(LIMITS), "--phases", "fuzzing", "--max-examples", "3")
    assert_clean(found)


def test_a_server_that_does_not_keep_to_them_is_found(tmp_path: Path) -> None:
    document = documents(LIMITS)
    schemas = document["components"]["schemas"]
    schemas["Response"]["required"].append("mood")
    hello = {"type": "Input", "input": {"transcript": {"text": "hello"}}}
    put = document["paths"]["/client"]["put"]
    put["requestBody"] = {"required": True, "content": {"application/json": {"schema": {"const": hello}}}}
    document["paths"] = {"/client": {"put": put}}
    code, said = run_on_application(tmp_path, document, "--phases", "fuzzing", "--mode", "positive")
    assert code == 1
    assert "is not valid under any of the given schemas" in said


@pytest.mark.long
def test_a_server_keeps_to_its_documents_for_long(tmp_path: Path) -> None:
    many = "--phases", "coverage,fuzzing", "--max-examples", "150"
    assert_clean(run_on_application(tmp_path, documents(LIMITS), *many))


@pytest.mark.long
def test_the_command_serves_what_the_documents_say(tmp_path: Path) -> None:
    document = documents(DEFAULT_LIMITS)
    del document["paths"]["/client"]["get"]  # it would wait for half a minute each time
    prepare(document, tmp_path)
    with served() as place:
        done = subprocess.run(
            [*command(place), "--phases", "fuzzing", "--max-examples", "10"],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=600,
            check=False,
        )
    assert_clean((done.returncode, done.stdout))


def assert_clean(found: tuple[int | None, str]) -> None:
    code, said = found
    assert code == 0, "\n".join(line[:400] for line in said.splitlines()[-80:])
    assert "Tested: " in said


# ------------------------------------------------------------ servers


def run_on_application(folder: Path, document: Document, *arguments: str) -> tuple[int | None, str]:
    """Have Schemathesis try an application; its exit code, and what it says."""
    prepare(document, folder)

    async def main() -> tuple[int | None, str]:
        app = ChannelApp(
            dialogue,
            recogniser=recogniser,
            limits=LIMITS,
            timeouts=TIMEOUTS,
            alexa=Alexa(allow_unsigned=True),
            google=GoogleAssistant(allow_unsigned=True),
        )
        async with serving(app) as place:
            schemathesis = await asyncio.create_subprocess_exec(
                *(*command(place), *arguments),
                cwd=folder,
                env=environment(folder),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            said, _ = await schemathesis.communicate()
        await app.aclose()
        return schemathesis.returncode, said.decode()

    return asyncio.run(main())


@contextmanager
def served() -> Iterator[str]:
    """Run ``flowstorm-channel serve``; gives ``127.0.0.1:port``."""
    arguments = "serve", "--port", "0", "--allow-unsigned", "alexa,google"
    with subprocess.Popen(
        [sys.executable, "-m", "flowstorm_channel", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        assert server.stdout is not None
        found = re.search(r"http://([\d.:]+)/client", server.stdout.readline())
        try:
            assert found is not None
            yield found[1]
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(20)


# ------------------------------------------------------------ Schemathesis


def documents(limits: Limits) -> Document:
    """All documents as one; what is secret or signed is left out, since nobody is asked for it here."""
    whole: Document = {"paths": {}, "components": {"schemas": {}, "requestBodies": {}}}
    for channel in OPENAPI_CHANNELS:
        made = openapi_document(channel, limits=limits)
        schemas = whole["components"]["schemas"]
        for name, schema in made["components"]["schemas"].items():
            assert schemas.setdefault(name, schema) == schema, name
        whole = {
            **{name: made[name] for name in ("openapi", "info", "jsonSchemaDialect")},
            "paths": {**whole["paths"], **made["paths"]},
            "components": {
                "schemas": schemas,
                "requestBodies": {
                    **whole["components"]["requestBodies"],
                    **made["components"].get("requestBodies", {}),
                },
            },
        }
    client = whole["paths"]["/client"]
    settings = client.pop("parameters")
    for method, place in (("put", "header"), ("post", "query"), ("get", "header")):
        # In one place at a time: who gives both is not told that the one that does not count is wrong (D-32).
        own = client[method].get("parameters", [])
        named = {each["name"] for each in own}
        given = (each for each in settings if each["in"] in (place, "cookie") and each["name"] not in named)
        client[method]["parameters"] = [*own, *given]
    return whole


def prepare(document: Document, folder: Path) -> None:
    """Write down what Schemathesis reads."""
    (folder / "document.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "settings.toml").write_text(SETTINGS, encoding="utf-8")


def command(place: str) -> list[str]:
    program = Path(sys.executable).with_name("schemathesis")
    return [
        *(str(program), "--config-file", "settings.toml", "run", "document.json"),
        *("--url", f"http://{place}", "--header", "X-Key: key", "--header", "X-DeviceId: device"),
        *(
            "--seed",
            "1",
            "--no-shrink",
            "--warnings",
            "off",
            "--generation-database",
            "none",
            "--suppress-health-check",
            "all",
        ),
    ]


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.schemas_hooks",
        "FLOWSTORM_DOCUMENT": str(folder / "document.json"),
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "1",
        "NO_COLOR": "1",
    }
