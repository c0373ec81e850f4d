"""What Schemathesis has to be told: how msgpack is written, that a body of Socket V2 is a sequence, and that
codecs take 1.0 for no integer."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgpack
import schemathesis
from jsonschema import Draft202012Validator

DOCUMENT = json.loads(Path(os.environ["FLOWSTORM_DOCUMENT"]).read_text(encoding="utf-8"))


@schemathesis.serializer("application/msgpack")
def packed(ctx: Any, value: Any) -> bytes:  # noqa: ARG001
    """A body of one event; what stands for bytes are bytes."""
    if isinstance(value, dict) and value.get("type") == "Binary" and isinstance(value.get("data"), str):
        value = {**value, "data": value["data"].encode(errors="replace")}
    return bytes(msgpack.packb(value, default=str) or b"")


@schemathesis.hook
def map_body(ctx: Any, body: Any) -> Any:  # noqa: ARG001
    """The same with 1 for 1.0, which no schema can tell apart."""
    if isinstance(body, dict):
        return {name: map_body(None, value) for name, value in body.items()}
    if isinstance(body, list):
        return [map_body(None, each) for each in body]
    return int(body) if isinstance(body, float) and body.is_integer() and abs(body) < 2**63 else body


@schemathesis.check
def every_event_is_as_documented(ctx: Any, response: Any, case: Any) -> None:  # noqa: ARG001
    """Each event of an answer of Socket V2 is valid by the schema of that answer."""
    told = DOCUMENT["paths"][case.operation.path][case.operation.method.lower()]["responses"]
    kind = response.headers.get("content-type", [""])[0]
    content = told.get(str(response.status_code), {}).get("content", {}).get(kind)
    if content is None or case.operation.path != "/client":
        return
    validator = Draft202012Validator({**content["schema"], "components": DOCUMENT["components"]})
    for event in events(kind, response.content):
        found = next(validator.iter_errors(event), None)
        assert found is None, f"{event}: {found.message if found else ''}"


def events(kind: str, body: bytes) -> list[Any]:
    """Of JSON each line, of msgpack each map; an answer in plain text has none."""
    if kind == "application/msgpack":
        unpacker = msgpack.Unpacker()
        unpacker.feed(body)
        return list(unpacker)
    return [json.loads(line) for line in body.decode().splitlines()] if kind == "application/json" else []
