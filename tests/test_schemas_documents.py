"""AsyncAPI, OpenAPI and the tables of states: valid, complete, and true to what peers and machines say."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from flowstorm_channel import diagrams
from flowstorm_channel.cli import main
from flowstorm_channel.events import EVENTS, BinaryEvent, Side, Version
from flowstorm_channel.limits import Limits
from flowstorm_channel.schemas import (
    ASYNCAPI_CHANNELS,
    OPENAPI_CHANNELS,
    STATES_CHANNELS,
    asyncapi_document,
    openapi_document,
    states_document,
    states_schema,
)
from flowstorm_channel.socket_v1.frames import SUBPROTOCOL
from flowstorm_channel.socket_v2.settings import PARAMETERS
from flowstorm_channel.states import Audio, State
from tests.programs import program

OFFICIAL = json.loads((Path(__file__).parent / "official/asyncapi-3.0.0.json").read_text(encoding="utf-8"))
EVERY_ASYNCAPI = pytest.mark.parametrize(
    ("channel", "side"),
    [(channel, side) for channel in ASYNCAPI_CHANNELS for side in Side],
    ids=lambda value: getattr(value, "value", value),
)


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Callable[[Any], bool]:
    """Whether something is valid by a schema of a document."""
    check = jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})
    return check.is_valid


# ------------------------------------------------------------ AsyncAPI


@EVERY_ASYNCAPI
def test_an_asyncapi_document_is_valid(channel: Any, side: Side) -> None:
    document = asyncapi_document(channel, side=side)
    assert list(Draft7Validator(OFFICIAL).iter_errors(document)) == []
    assert references(document) <= pointers(document)
    for schema in document["components"]["schemas"].values():
        Draft7Validator.check_schema(schema)


@pytest.mark.long
def test_asyncapi_s_own_parser_has_nothing_against_it(tmp_path: Path) -> None:
    npm, node = program("npm"), program("node")
    for channel in ASYNCAPI_CHANNELS:
        for side in Side:
            text = json.dumps(asyncapi_document(channel, side=side))
            (tmp_path / f"{channel}.{side.value}.json").write_text(text, encoding="utf-8")
    (tmp_path / "check.mjs").write_text(CHECK, encoding="utf-8")
    subprocess.run(
        [npm, "install", "--silent", "--no-audit", "--no-fund", "@asyncapi/parser@3"],
        cwd=tmp_path,
        check=True,
        timeout=300,
        stdout=subprocess.DEVNULL,
    )
    files = sorted(path.name for path in tmp_path.glob("*.*.json"))
    done = subprocess.run(
        [node, "check.mjs", *files], cwd=tmp_path, check=True, timeout=120, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    assert found.keys() == set(files)
    assert set().union(*found.values()) <= {"asyncapi-latest-version"}  # 3.1 adds nothing that is of use here


CHECK = """\
import { readFileSync } from 'node:fs'
import parser from '@asyncapi/parser'
const found = {}
for (const file of process.argv.slice(2)) {
  const { document, diagnostics } = await new parser.Parser().parse(readFileSync(file, 'utf8'))
  found[file] = [...(document ? [] : ['no document']), ...diagnostics.map(each => each.code)]
}
console.log(JSON.stringify(found))
"""


def references(tree: Any) -> set[str]:
    if isinstance(tree, list):
        return set().union(*map(references, tree))
    if not isinstance(tree, dict):
        return set()
    own = {tree["$ref"]} if isinstance(tree.get("$ref"), str) else set()
    return own.union(*map(references, tree.values()))


def pointers(tree: Any, place: str = "#") -> set[str]:
    if not isinstance(tree, dict):
        return {place}
    return {place}.union(*(pointers(each, f"{place}/{name}") for name, each in tree.items()))


def test_every_event_of_socket_v1_is_a_message_of_who_sends_it() -> None:
    document = asyncapi_document("socket-v1")
    raw = {"Audio", "KeepAlive", "Unknown"}
    for side in Side:
        names = {
            name
            for name, cls in EVENTS.items()
            if side in cls.SENT_BY and Version.V1 in cls.VERSIONS and cls is not BinaryEvent
        }
        spelled = {"Binary"} if side is Side.CLIENT else set()  # as JSON it is only understood (D-59)
        keys = {f"{side.value}{name}" for name in names | raw | spelled}
        assert {key for key in document["channels"]["json"]["messages"] if key.startswith(side.value)} == keys
        packed = {f"{side.value}Msgpack{name}" for name in names | {"KeepAlive", "Unknown", "Binary"}}
        found = document["channels"]["msgpack"]["messages"]
        assert {key for key in found if key.startswith(side.value)} == packed
    assert SUBPROTOCOL in json.dumps(document["channels"]["msgpack"]["bindings"]["ws"]["headers"])


@EVERY_ASYNCAPI
def test_every_message_has_an_operation_of_its_end(channel: Any, side: Side) -> None:
    document = asyncapi_document(channel, side=side)
    used = set()
    for name, operation in document["operations"].items():
        (message,) = operation["messages"]
        key = message["$ref"].rpartition("/")[2]
        used.add(key)
        assert operation["action"] == ("send" if key.startswith(side.value) else "receive")
        assert name.startswith(operation["action"])
        for reply in operation.get("reply", {}).get("messages", []):
            assert not reply["$ref"].rpartition("/")[2].startswith(key[:6])
    assert used == document["components"]["messages"].keys()


def test_what_an_end_receives_is_wider_than_what_it_sends() -> None:
    server, client = (asyncapi_document("socket-v1", side=side) for side in (Side.SERVER, Side.CLIENT))
    loose = {"type": "InputEvent", "input": {"locale": None}}
    payload = server["components"]["messages"]["clientInput"]["payload"]
    assert validator(server, payload)(loose)
    payload = client["components"]["messages"]["clientInput"]["payload"]
    assert not validator(client, payload)(loose)


def test_a_place_can_be_named() -> None:
    server = asyncapi_document("socket-v1", url="wss://voice.example.com")["servers"]["server"]
    assert (server["host"], server["protocol"]) == ("voice.example.com", "wss")
    assert asyncapi_document("socket-v1", url="wss://h/talk")["channels"]["json"]["address"] == "/talk"
    assert asyncapi_document("socket-v1", url="wss://h")["channels"]["json"]["address"] == "/"
    assert openapi_document("socket-v2", url="https://h/base/")["servers"] == [{"url": "https://h/base"}]


def test_no_document_tells_a_password() -> None:
    server = asyncapi_document("socket-v1", url="wss://me:secret@h:8443/talk?token=secret#x")
    assert server["servers"]["server"]["host"] == "h:8443"
    assert "secret" not in json.dumps(server)
    openapi = openapi_document("socket-v2", url="https://me:secret@h/base/?token=secret#x")
    assert openapi["servers"] == [{"url": "https://h/base"}]


@pytest.mark.parametrize(
    ("make", "arguments", "text"),
    [
        (asyncapi_document, {"channel": "socket-v2"}, "no AsyncAPI document; socket-v1, twilio have"),
        (asyncapi_document, {"channel": "twilio", "url": "https://h/call"}, "no address of a WebSocket"),
        (openapi_document, {"channel": "twilio"}, "no OpenAPI document; socket-v2, alexa, google have"),
        (openapi_document, {"channel": "alexa", "url": "wss://h"}, "no address of HTTP"),
        (states_document, {"channel": "telegraph"}, "'telegraph' is no channel; socket-v1, .*, twilio are"),
    ],
    ids=["asyncapi channel", "asyncapi url", "openapi channel", "openapi url", "states channel"],
)
def test_what_there_is_no_document_of_is_refused(make: Any, arguments: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make(**arguments)


# ------------------------------------------------------------ OpenAPI


@pytest.mark.parametrize("channel", OPENAPI_CHANNELS)
def test_an_openapi_document_is_valid(channel: Any) -> None:
    document = openapi_document(channel)
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    assert references(document) <= pointers(document)
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_setting_of_socket_v2_is_in_its_document() -> None:
    document = openapi_document("socket-v2")
    named = {(each["in"], each["name"]) for each in document["paths"]["/client"]["parameters"]}
    named |= {
        (each["in"], each["name"])
        for each in document["components"]["securitySchemes"].values()
        if each["type"] == "apiKey"
    }
    headers = {("header", each.header) for each in PARAMETERS if each.header}
    queries = {("query", each.query) for each in PARAMETERS if each.query}
    assert named == headers | queries | {("cookie", "flowstorm-session-id")}
    described = [each.get("description", "") for each in document["paths"]["/client"]["parameters"]]
    assert all(described)


@pytest.mark.parametrize(
    ("body", "valid"),
    [
        ({"type": "Input", "input": {}}, True),
        (
            [
                {"type": "Binary", "data": "AAA="},
                {"type": "InputStreamClose"},
                {"type": "Input", "input": {}},
            ],
            True,
        ),
        ([{"type": "Log"}, {"type": "Weather"}], True),
        ([], True),
        ([{"type": "Input", "input": {}}, {"type": "Input", "input": {}}], False),
        ({"type": "Init", "key": "K", "deviceId": "D"}, False),
        ({"type": "Response", "response": {}}, False),
        ("Hello", False),
    ],
    ids=["input", "audio, then text", "logs", "nothing", "two inputs", "of V1", "of the server", "text"],
)
def test_what_a_put_may_hold(body: Any, valid: bool) -> None:
    document = openapi_document("socket-v2")
    content = document["components"]["requestBodies"]["Said"]["content"]
    assert validator(document, content["application/json"]["schema"])(body) is valid


def test_a_response_of_socket_v2_says_its_timeout_under_both_names() -> None:
    response = openapi_document("socket-v2")["components"]["schemas"]["Response"]
    assert {"sleepTimeout", "sessionTimeout"} <= set(response["required"])


@pytest.mark.parametrize("channel", OPENAPI_CHANNELS)
def test_limits_are_those_of_the_server(channel: Any) -> None:
    assert '"maxLength": 77' in json.dumps(openapi_document(channel, limits=Limits(string_bytes=77)))


# ------------------------------------------------------------ states


@pytest.mark.parametrize("channel", [None, *STATES_CHANNELS])
def test_the_tables_of_states_are_valid_and_complete(channel: Any) -> None:
    Draft202012Validator.check_schema(states_schema())
    document = states_document(channel)
    Draft202012Validator(states_schema()).validate(document)
    for machine in document["machines"].values():
        assert machine["table"] in document["tables"]
        assert machine["audio"] in {None, *document["audio_tables"]}
        assert machine["deadlines"] in document["deadlines"]
    assert {each["table"] for each in document["machines"].values()} == document["tables"].keys()
    if channel is None:
        assert document["tables"].keys() | document["audio_tables"].keys() == set(diagrams.WHICH) - {"all"}


@pytest.mark.parametrize("name", [name for name in diagrams.WHICH if name != "all"])
@pytest.mark.parametrize("draw", [diagrams.mermaid, diagrams.dot], ids=["mermaid", "dot"])
def test_diagrams_can_be_drawn_from_the_document(name: str, draw: Any) -> None:
    document = states_document()
    states: Any = Audio if name in document["audio_tables"] else State
    table = (document["audio_tables"] if states is Audio else document["tables"])[name]
    restored = {
        states(state): {trigger: states(after) for trigger, after in row.items()}
        for state, row in table.items()
    }
    drawn = diagrams.render(name, draw.__name__, stays=True)  # type: ignore[arg-type]
    (title,) = re.findall(r'^title: (.*)$|^digraph "(.*)" \{$', drawn, re.MULTILINE)
    assert draw(restored, title="".join(title), stays=True) == drawn


# ------------------------------------------------------------ the command line


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["events"], '"title": "Channel events, as they are sent"'),
        (["events", "--accepted"], '"title": "Channel events, as they are accepted"'),
        (["events", "ReadyEvent"], '"const": "Ready"'),
        (["asyncapi"], '"title": "Flowstorm Socket V1"'),
        (["asyncapi", "--channel", "twilio", "--side", "client"], '"sendConnected"'),
        (["openapi"], '"title": "Flowstorm Socket V2"'),
        (["asyncapi", "--channel", "twilio"], "Audio is raw \\u03bc-law"),
        (["openapi", "--channel", "google", "--url", "https://h"], '"url": "https://h"'),
        (["states", "--channel", "alexa"], '"webhook"'),
        (["states", "--schema"], '"Transition tables of the channels\' machines"'),
    ],
    ids=" ".join,
)
def test_the_command_prints_json(
    arguments: list[str], found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schema", *arguments]) == 0
    printed = capsys.readouterr().out
    assert printed.isascii(), "a terminal may know nothing else"
    assert json.loads(printed)
    assert found in printed


def test_the_command_writes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ready.json"
    assert main(["schema", "events", "Ready", "--output", str(file)]) == 0
    assert capsys.readouterr().out == ""
    assert main(["schema", "events", "Ready"]) == 0
    assert file.read_text(encoding="utf-8") == capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["events", "Dance"], ["asyncapi", "--url", "https://h"]], ids=["event", "url"]
)
def test_a_wrong_call_is_told_in_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", *arguments]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("flowstorm-channel: ")
    assert complaint.count("\n") == 1
