"""The channels as a blueprint of Flask: its context, its hooks, and what it is mounted beside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from flask import Blueprint, Flask, current_app, g
from flask.testing import FlaskClient

from flowstorm_channel.contrib.flask import ChannelBlueprint
from flowstorm_channel.contrib.platforms import Alexa, Twilio

SPEAKER = "?key=K&deviceId=D"


async def dialogue(turn: Any) -> Any:
    yield f"{current_app.config['NAME']} heard {turn.text}."


@contextmanager
def site(*blueprints: ChannelBlueprint, prefix: str | None = "/voice") -> Iterator[FlaskClient]:
    app = Flask("site")
    app.config["NAME"] = "Site"
    for blueprint in blueprints:
        app.register_blueprint(blueprint, url_prefix=prefix)
    try:
        yield app.test_client()
    finally:
        for blueprint in blueprints:
            blueprint.wsgi.close()


def say(client: FlaskClient, text: str, path: str = "/voice/client") -> Any:
    return client.put(path + SPEAKER, data=text, content_type="text/plain")


@pytest.mark.parametrize("prefix", ["/voice", "/a/b", None])
@pytest.mark.parametrize("end", ["", "/"])
def test_a_conversation(prefix: str | None, end: str) -> None:
    with site(ChannelBlueprint(dialogue), prefix=prefix) as client:
        for text in ("hello", "again"):
            answer = say(client, text, f"{prefix or ''}/client{end}")
            assert (answer.status_code, answer.text) == (200, f"< Site heard {text}.\n")
            assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert "flowstorm-session-id" in answer.headers["Set-Cookie"]


def test_events_come_as_json() -> None:
    with site(ChannelBlueprint(dialogue)) as client:
        event = {"type": "Input", "input": {"transcript": {"text": "hello"}}}
        answer = client.put(f"/voice/client{SPEAKER}", json=event)
        types = [json.loads(line)["type"] for line in answer.text.splitlines()]
        assert types == ["ResponseItem", "Response"]


def test_each_call_has_a_context_of_its_own_that_is_torn_down() -> None:
    contexts, over = [], []

    async def remembering(_: Any) -> str:
        assert not hasattr(g, "seen")
        g.seen = True
        contexts.append(id(g._get_current_object()))
        return "yes"

    async def authorise(_: Any) -> None:
        assert current_app.config["NAME"] == "Site"

    with site(ChannelBlueprint(remembering, authorise=authorise)) as client:
        client.application.teardown_appcontext(lambda _: over.append(hasattr(g, "seen")))
        assert say(client, "hello").text == "< yes\n"
        assert over.count(True) == 1


def test_hooks_of_the_application_are_called() -> None:
    with site(ChannelBlueprint(dialogue)) as client:
        app = client.application

        @app.before_request
        def before() -> None:
            seen.append("before")

        @app.after_request
        def after(response: Any) -> Any:
            response.headers["X-After"] = "yes"
            return response

        seen: list[str] = []
        answer = say(client, "hello")
        assert answer.headers["X-After"] == "yes"
        assert seen == ["before"]


def test_several_blueprints_have_names() -> None:
    async def other(_: Any) -> str:
        return "other"

    inner = Blueprint("inner", __name__)
    second = ChannelBlueprint(other, name="second")
    inner.register_blueprint(second, url_prefix="/deep")
    with site(ChannelBlueprint(dialogue), prefix="/one") as client:
        client.application.register_blueprint(inner, url_prefix="/two")
        assert say(client, "hello", "/one/client").text == "< Site heard hello.\n"
        assert say(client, "hello", "/two/deep/client").text == "< other\n"
        second.wsgi.close()


def test_platforms_answer_and_what_is_not_served_does_not() -> None:
    twilio = Twilio(
        allow_unsigned=True, public_url="https://here.example", stream_url="wss://here.example/call"
    )
    blueprint = ChannelBlueprint(dialogue, alexa=Alexa(allow_unsigned=True), twilio=twilio)
    with site(blueprint) as client:
        call = client.post(
            "/voice/call", data={"CallSid": "CA1", "AccountSid": "AC1", "From": "+1", "To": "+2"}
        )
        assert "wss://here.example/call" in call.text
        assert client.post("/voice/alexa", data=b"{}").status_code == 400
        assert client.post("/voice/google", data=b"{}").status_code == 503
        assert client.get("/voice/socket").status_code == 404
        assert client.delete(f"/voice/client{SPEAKER}").status_code == 405
        assert client.put("/voice/client", data="hello", content_type="text/plain").status_code == 400


def test_a_dialogue_that_raises_apologises(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(_: Any) -> None:
        raise ValueError("no plan")

    with site(ChannelBlueprint(fails)) as client:
        assert "Something went wrong." in say(client, "hello").text
    assert "no plan" in caplog.text


def test_a_client_that_vanishes_cancels_its_dialogue() -> None:
    ended = []

    async def endless(_: Any) -> Any:
        try:
            while True:
                yield "and on " * 1000
        finally:
            ended.append(current_app.config["NAME"])

    blueprint = ChannelBlueprint(endless)
    with site(blueprint) as client:
        answer = client.put(f"/voice/client{SPEAKER}", data="go", content_type="text/plain", buffered=False)
        assert next(answer.iter_encoded()).startswith(b"< and on")
        answer.close()
    assert ended == ["Site"]


def test_after_the_end_nothing_is_answered() -> None:
    blueprint = ChannelBlueprint(dialogue)
    with site(blueprint) as client:
        blueprint.wsgi.close()
        assert say(client, "hello").status_code == 503


def test_what_is_around_a_call_is_the_context_of_the_application() -> None:
    with pytest.raises(TypeError, match="around is taken"):
        ChannelBlueprint(dialogue, around=nullcontext)
