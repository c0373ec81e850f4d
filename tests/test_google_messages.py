"""The two webhook protocols of Google Assistant: requests, answers, and the peer that judges them."""

import copy
import json
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowstorm_channel.answers import Unsent
from flowstorm_channel.codecs import JsonCodec
from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from flowstorm_channel.google.inputs import MOST_STORED, STORED_ID, id_of
from flowstorm_channel.google.requests import GoogleRequest, read_request
from flowstorm_channel.google.v2 import V2Request
from flowstorm_channel.google.v3 import V3Request
from flowstorm_channel.limits import Limits
from flowstorm_channel.testing.google import GooglePeer, Heard
from flowstorm_channel.testing.signing import GoogleSigner
from flowstorm_channel.testing.strategies import json_values, values
from flowstorm_channel.values import (
    Card,
    ExpectedPhrase,
    Gender,
    InputClass,
    InputClassType,
    Location,
    Response,
    ResponseItem,
    TtsConfig,
)
from tests.depth import examples

JSON = JsonCodec()
VERSIONS = "2", "3"
SAID = {"2": "actions.intent.TEXT", "3": "anything"}


def v2_tree():
    return {
        "user": {"locale": "en-GB", "userStorage": "{}", "userVerificationStatus": "VERIFIED"},
        "conversation": {"conversationId": "c", "type": "NEW", "conversationToken": "opt"},
        "inputs": [
            {
                "intent": "actions.intent.TEXT",
                "rawInputs": [{"inputType": "VOICE", "query": "yo"}],
                "arguments": [{"name": "text", "rawText": "yo", "textValue": "yo"}],
            }
        ],
        "surface": {"capabilities": [{"name": "actions.capability.SCREEN_OUTPUT"}]},
        "device": {},
        "availableSurfaces": [],
        "isInSandbox": True,
    }


def v3_tree():
    return {
        "handler": {"name": "main"},
        "intent": {
            "name": "actions.intent.MAIN",
            "params": {"p": {"original": "o", "resolved": "r"}},
            "query": "talk to x",
        },
        "scene": {
            "name": "S",
            "slotFillingStatus": "UNSPECIFIED",
            "slots": {"size": {"mode": "REQUIRED"}},
            "next": {"name": "N"},
        },
        "session": {"id": "s", "params": {"k": 1}, "typeOverrides": [], "languageCode": ""},
        "user": {
            "locale": "en-GB",
            "params": {},
            "verificationStatus": "VERIFIED",
            "accountLinkingStatus": "NOT_LINKED",
        },
        "home": {"params": {}},
        "device": {
            "capabilities": ["SPEECH", "RICH_RESPONSE", "LONG_FORM_AUDIO", "INTERACTIVE_CANVAS", "WEB_LINK"],
            "currentLocation": {},
            "timeZone": {"id": "Europe/Prague"},
        },
    }


TREES = {"2": v2_tree, "3": v3_tree}


def read(tree) -> GoogleRequest:
    return read_request(JSON.decode_tree(json.dumps(tree)), JSON)


def request_of(version, **changes) -> GoogleRequest:
    """A request of that version, with members changed: paths, with double underscores, to values."""
    tree = TREES[version]()
    for path, value in changes.items():
        *way, last = path.split("__")
        place = tree
        for name in way:
            place = place[int(name) if name.isdigit() else name]
        place[last] = value
    return read(tree)


def asked_of(asked) -> GoogleRequest:
    return read_request(JSON.decode_tree(asked[1]), JSON)


def body_of(answer):
    return json.dumps(answer.to_json()).encode()


def hear(peer, asked, response, **options):
    """What the user of a peer hears of a response to what was asked, and what is left out of it."""
    answer, unsent = asked_of(asked).answer(response, **options)
    return peer.take(200, body_of(answer)), unsent


def response_of(*items, **members):
    return Response(
        items=[ResponseItem(**each) if isinstance(each, dict) else each for each in items], **members
    )


def command(name, payload):
    return ResponseItem(text=f"#{name}", code=payload if isinstance(payload, str) else json.dumps(payload))


@pytest.fixture(params=VERSIONS)
def peer(request):
    return GooglePeer(request.param, make_id=iter(f"conversation-{n}" for n in range(100)).__next__)


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


def answered(peer, *items, base_url=None, reprompt=None, **members):
    """The same for the first turn of a conversation."""
    return hear(peer, peer.launch(), response_of(*items, **members), base_url=base_url, reprompt=reprompt)


# ------------------------------------------------------------ requests


def test_the_two_versions_are_told_apart_by_their_shape():
    assert isinstance(read(v2_tree()), V2Request)
    assert isinstance(read(v3_tree()), V3Request)
    assert [read(TREES[each]()).version for each in VERSIONS] == ["2", "3"]


def test_a_request_tells_the_same_in_both_versions(version):
    request = request_of(version)
    assert request.session_id == {"2": "c", "3": "s"}[version]
    assert request.locale == "en-GB"
    assert request.has_screen
    assert request.location is None
    assert request.begins
    assert not request.ends
    assert not request.health_check


def test_only_version_3_tells_the_time_zone():
    assert request_of("2").zone_id is None
    assert request_of("3").zone_id == "Europe/Prague"


@pytest.mark.parametrize("zone", [{"id": "Mars/Olympus"}, {"id": ""}, {}, None], ids=str)
def test_a_time_zone_that_nobody_knows_is_none(zone):
    request = request_of("3", device__timeZone=zone)
    assert request.zone_id is None
    assert request.input().zone_id == "Europe/Paris"


def test_the_language_of_the_session_comes_before_that_of_the_user():
    assert request_of("3", session__languageCode="cs-CZ").locale == "cs-CZ"


@pytest.mark.parametrize("tag", ["", "no such tag!"])
def test_a_malformed_locale_is_no_fault(version, tag):
    request = request_of(version, user__locale=tag)
    assert request.locale == "en"
    assert request.locale.original == tag


def test_a_device_without_a_screen(version):
    changes = {"2": {"surface": {}}, "3": {"device__capabilities": ["SPEECH"]}}[version]
    request = request_of(version, **changes)
    assert not request.has_screen
    assert "clientScreen" not in request.input().attributes


WHERE = {"2": "device__location", "3": "device__currentLocation"}


def test_the_location_is_told_when_the_user_has_permitted_it(version):
    place = {"coordinates": {"latitude": 50.1, "longitude": 14.4}}
    request = request_of(version, **{WHERE[version]: place})
    assert request.location == Location(lat=50.1, lng=14.4)
    assert request.input().attributes["clientLocation"] == "lat=50.1,lng=14.4"


def test_a_coordinate_that_is_absent_is_zero(version):
    request = request_of(version, **{WHERE[version]: {"coordinates": {"longitude": 14.4}}})
    assert request.location == Location(lat=0.0, lng=14.4)


def test_an_address_alone_is_no_location(version):
    assert request_of(version, **{WHERE[version]: {"postalAddress": {"locality": "Brno"}}}).location is None


@pytest.mark.parametrize(
    "device",
    [
        {"capabilities": {"RICH_RESPONSE": True}, "currentLocation": [], "timeZone": "UTC"},
        {
            "capabilities": [["RICH_RESPONSE"], 1],
            "currentLocation": {"coordinates": 1},
            "timeZone": {"id": []},
        },
        {"capabilities": None, "currentLocation": {"coordinates": {"latitude": "50"}}, "timeZone": {"id": 1}},
        {"currentLocation": {"coordinates": {"longitude": None}}, "timeZone": {"id": None}},
    ],
    ids=["other forms", "deeper", "numbers", "null"],
)
def test_what_version_3_tells_oddly_of_a_device_is_not_known(device):
    request = request_of("3", device=device)
    assert (request.has_screen, request.location, request.zone_id) == (False, None, None)


def test_what_a_device_can_do_is_told():
    assert request_of("3").capabilities[:2] == ("SPEECH", "RICH_RESPONSE")


def test_a_conversation_begins_with_its_first_request():
    assert not request_of("2", conversation__type="ACTIVE").begins
    assert not request_of("3", intent__name="anything").begins


def test_what_is_not_known_is_ignored(version):
    tree = TREES[version]()
    tree["novelty"] = [1, {"a": None}]
    tree["user"]["novelty"] = True
    assert read(tree) == request_of(version)


def test_in_version_2_almost_everything_may_be_absent():
    request = read({"conversation": {"conversationId": "c"}, "inputs": [{}]})
    assert (request.locale, request.has_screen, request.begins) == ("en", False, False)
    assert request.device_id == id_of("c")
    assert request.input().text == "#silence"


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ([], ""),
        (None, ""),
        ({}, "inputs"),
        ({"type": "Input"}, "inputs"),
        ({"inputs": [{}]}, "conversation"),
        ({"conversation": {"conversationId": "c"}}, "inputs"),
        ({"conversation": {"conversationId": "c"}, "inputs": []}, "inputs"),
        ({"conversation": {"conversationId": ""}, "inputs": [{}]}, "conversation.conversationId"),
        ({"conversation": {"conversationId": 5}, "inputs": [{}]}, "conversation.conversationId"),
        ({"conversation": {"conversationId": "c"}, "inputs": [{"intent": 5}]}, "inputs[0].intent"),
        ({"handler": {}}, "intent"),
        ({"session": {"id": "s"}, "handler": {}, "intent": {}, "user": {}}, "device"),
        ({"session": {"id": ""}, "handler": {}, "intent": {}, "user": {}, "device": {}}, "session.id"),
        ({"session": {"id": "s"}, "handler": {}, "intent": {}, "user": {}, "device": []}, "device"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_no_request_is_refused_with_its_place(tree, path):
    with pytest.raises(RemoteProtocolError) as caught:
        read(tree)
    assert caught.value.path == path


def test_the_limits_hold():
    codec = JsonCodec(Limits(items=10))
    with pytest.raises(LimitExceeded):
        read_request(codec.decode_tree(json.dumps({**v3_tree(), "context": {"a": [0] * 11}})), codec)


# ------------------------------------------------------------ what is said


def words(version, intent, said):
    """What a request with that intent and those words says."""
    if version == "3":
        return request_of("3", intent={"name": intent, "query": said, "params": {}}).input()
    arguments = {"actions.intent.TEXT": "text", "actions.intent.OPTION": "OPTION"}
    argument = {"name": arguments.get(intent, "other"), "textValue": said}
    return request_of("2", inputs=[{"intent": intent, "arguments": [argument]}]).input()


@pytest.mark.parametrize(
    ("intent", "said", "text"),
    [
        ("actions.intent.MAIN", "talk to x", "#intro"),
        ("actions.intent.CANCEL", "stop it", "stop"),
        ("actions.intent.NO_INPUT", "", "#silence"),
        ("actions.intent.NO_INPUT_1", "", "#silence"),
        ("actions.intent.NO_INPUT_2", "", "#silence"),
        ("actions.intent.NO_INPUT_FINAL", "", "#silence"),
        ("actions.intent.TEXT", "hi there", "hi there"),
        ("actions.intent.TEXT", " ", "#silence"),
        ("actions.intent.OPTION", "key-1", "key-1"),
    ],
)
def test_what_an_intent_of_google_says(version, intent, said, text):
    found = words(version, intent, said)
    assert found.text == text
    assert found.classes == ()
    assert found.attributes == {"clientType": f"google-assistant:{version}", "clientScreen": True}
    assert found.locale == "en-GB"


@pytest.mark.parametrize(
    ("intent", "text"),
    [
        ("actions.intent.PERMISSION", "#PERMISSION"),
        ("order_pizza", "#order_pizza"),
        ("com.example.ORDER", "#com-example-ORDER"),
        ("actions.intent.", "#silence"),
    ],
)
def test_an_intent_without_words_is_an_action(version, intent, text):
    found = words(version, intent, "")
    assert found.text == text
    assert found.is_action
    assert found.classes == (InputClass(type=InputClassType.INTENT, name=intent),)


def test_an_intent_with_words_is_the_words_and_a_class():
    found = words("3", "order_pizza", "two of them")
    assert found.text == "two of them"
    assert found.classes == (InputClass(type=InputClassType.INTENT, name="order_pizza"),)


@pytest.mark.parametrize("query", ["", " "])
@pytest.mark.parametrize(("handler", "text"), [("look_around", "#look_around"), ("", "#silence")])
def test_a_handler_that_is_called_without_an_intent_is_an_action(handler, text, query):
    request = request_of("3", intent={"name": "", "query": query, "params": {}}, handler={"name": handler})
    assert request.input().text == text
    assert request.input().classes == ()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"arguments": [{"name": "text", "rawText": "raw", "textValue": "value"}]}, "value"),
        ({"arguments": [{"name": "text", "rawText": "raw"}], "rawInputs": [{"query": "query"}]}, "raw"),
        ({"arguments": [{"name": "else", "textValue": "x"}], "rawInputs": [{"query": "query"}]}, "query"),
        ({"rawInputs": [{}, {"query": "second"}]}, "second"),
        ({}, "#silence"),
    ],
    ids=["value", "raw text", "query", "second query", "nothing"],
)
def test_where_version_2_has_the_words(given, text):
    assert request_of("2", inputs=[{"intent": "actions.intent.TEXT", **given}]).input().text == text


def test_whoever_says_goodbye_ends_the_conversation(version):
    changes = {
        "2": {"inputs__0__intent": "actions.intent.CANCEL"},
        "3": {"intent__name": "actions.intent.CANCEL"},
    }
    assert request_of(version, **changes[version]).ends


# ------------------------------------------------------------ health checks


def test_a_health_check_is_no_conversation(peer):
    request = asked_of(peer.health_check())
    assert request.health_check
    heard = peer.take(200, body_of(request.healthy()))
    assert heard.speech == "ok"
    assert peer.conversation_id is None


def test_a_health_check_is_known_by_its_handler_or_its_intent():
    assert request_of("3", handler__name="actions.handler.HEALTH_CHECK").health_check
    assert request_of("3", intent__name="actions.intent.HEALTH_CHECK").health_check


def test_a_health_check_stores_nothing(version):
    changes = {
        "2": {"inputs__0__arguments": [{"name": "is_health_check", "boolValue": True}]},
        "3": {"intent__name": "actions.intent.HEALTH_CHECK"},
    }
    assert STORED_ID.encode() not in body_of(request_of(version, **changes[version]).healthy())


# ------------------------------------------------------------ the device id

STORAGE = {"2": "user__userStorage", "3": "user__params"}
STATUS = {"2": "user__userVerificationStatus", "3": "user__verificationStatus"}


def stored(version, storage):
    return json.dumps(storage) if version == "2" else storage


def new_storage(version, **changes):
    """What the answer to a request stores with the user; None when it leaves it as it is."""
    answer, _ = request_of(version, **changes).answer(Response())
    if version == "2":
        return answer.user_storage
    return None if answer.user is None else answer.user.params


def test_a_user_is_known_again_by_the_id_that_is_stored(version):
    changes = {STORAGE[version]: stored(version, {STORED_ID: "mine", "a": 1})}
    assert request_of(version, **changes).device_id == "mine"
    assert new_storage(version, **changes) is None


def test_an_id_is_stored_with_a_verified_user(version):
    request = request_of(version)
    found = new_storage(version)
    assert (json.loads(found) if version == "2" else found) == {STORED_ID: request.device_id}


def test_whoever_is_not_verified_is_somebody_new_in_each_conversation(version):
    changes = {STATUS[version]: "GUEST", STORAGE[version]: stored(version, {STORED_ID: "mine"})}
    first = request_of(version, **changes)
    other = {"2": {"conversation__conversationId": "other"}, "3": {"session__id": "other"}}[version]
    assert first.device_id == request_of(version, **changes).device_id != "mine"
    assert first.device_id != request_of(version, **changes, **other).device_id
    assert new_storage(version, **changes) is None


@pytest.mark.parametrize("wrong", [5, None, "", "a b", "x" * 65], ids=repr)
def test_an_id_that_is_not_ours_counts_for_nothing_and_stays(version, wrong):
    changes = {STORAGE[version]: stored(version, {STORED_ID: wrong})}
    request = request_of(version, **changes)
    assert request.device_id == id_of(request.session_id)
    assert new_storage(version, **changes) is None


@pytest.mark.parametrize("text", ["not JSON", "[1]", '"text"', "{", '{"a":1} 2', "[" * 100, "\ufeff{}"])
def test_a_storage_that_is_no_object_stays_as_it_is(text):
    request = request_of("2", user__userStorage=text)
    assert request.device_id == id_of("c")
    assert new_storage("2", user__userStorage=text) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '{"flowstormDeviceId":"ID"}'),
        (" \n", '{"flowstormDeviceId":"ID"}'),
        ("{ }", '{"flowstormDeviceId":"ID" }'),
        ('\n{ "a" : 1e400x }', None),
        (
            '\n{ "a" : 1.50, "a": 2, "b":{"c":{}} }',
            '\n{"flowstormDeviceId":"ID", "a" : 1.50, "a": 2, "b":{"c":{}} }',
        ),
    ],
    ids=["empty", "blank", "nothing in it", "not JSON", "more in it"],
)
def test_nothing_that_is_stored_is_lost_or_spelled_anew(before, after):
    expected = None if after is None else after.replace("ID", id_of("c"))
    assert new_storage("2", user__userStorage=before) == expected


def test_what_is_stored_in_version_3_goes_back_with_the_id():
    assert new_storage("3", user__params={"a": {"b": [1, None]}}) == {
        "a": {"b": [1, None]},
        STORED_ID: id_of("s"),
    }


@pytest.mark.parametrize(("room", "is_stored"), [(0, True), (-1, False)])
def test_no_more_is_stored_than_google_keeps(version, room, is_stored):
    empty = len(json.dumps({"a": "", STORED_ID: id_of("c")}, separators=(",", ":")))
    storage = {"a": "é" * ((MOST_STORED - empty - room) // 2) + "x" * ((MOST_STORED - empty - room) % 2)}
    text = json.dumps(storage, separators=(",", ":"), ensure_ascii=False)
    changes = {STORAGE[version]: text if version == "2" else storage}
    assert (new_storage(version, **changes) is not None) is is_stored


def test_a_verified_user_is_the_same_in_the_next_conversation(peer):
    asked = peer.launch()
    first = asked_of(asked).device_id
    hear(peer, asked, response_of({"text": "Hi"}))
    asked = peer.say("stop")
    assert asked_of(asked).device_id == first
    hear(peer, asked, response_of({"text": "Bye"}, session_ended=True))
    assert asked_of(peer.launch()).device_id == first


def test_when_nothing_can_be_stored_a_conversation_still_has_one_id(peer):
    asked = peer.launch()
    first = asked_of(asked).device_id
    hear(peer, asked, response_of({"text": "Hi"}))
    peer.storage, peer.user_params = "", {}
    assert asked_of(peer.say("hello")).device_id == first


# ------------------------------------------------------------ what is said in answer


def test_items_are_spoken_and_shown_one_after_the_other(peer):
    heard, unsent = answered(
        peer, {"text": "Tom & <Jerry>"}, {"ssml": "<speak>play <emphasis>now</emphasis></speak>"}
    )
    assert heard.speech == "Tom & <Jerry> play now"
    assert heard.text == "Tom & <Jerry> play now"
    assert heard.ssml == ("<speak>Tom &amp; &lt;Jerry&gt; play <emphasis>now</emphasis></speak>",)
    assert not heard.ended
    assert unsent == ()


def test_the_ssml_is_spoken_and_the_text_shown(peer):
    heard, _ = answered(peer, {"text": "12:30", "ssml": "half past twelve"})
    assert (heard.speech, heard.text) == ("half past twelve", "12:30")


def voice(**members):
    return TtsConfig(provider="Google", locale="en", gender=Gender.FEMALE, name="x", **members)


@pytest.mark.parametrize(
    ("config", "tag", "unsent"),
    [
        (voice(), '<voice gender="female">', ()),
        (voice(google_assistant="2"), '<voice gender="female" variant="2">', ()),
        (voice(google_assistant="2").replace(gender=Gender.MALE), '<voice gender="male" variant="2">', ()),
        (
            voice(google_assistant='"><x/>'),
            '<voice gender="female">',
            (Unsent("voice", "'\"><x/>' is no variant: a whole number from 1"),),
        ),
    ],
    ids=["gender", "variant", "male", "no variant"],
)
def test_an_item_is_spoken_by_its_voice(peer, config, tag, unsent):
    heard, told = answered(peer, {"text": "Hi", "tts_config": config}, {"text": "there"})
    assert heard.ssml == (f"<speak>{tag}Hi</voice> there</speak>",)
    assert told == unsent


def test_ssml_that_names_its_voices_is_left_alone(peer):
    ssml = '<voice gender="male">Hi</voice>'
    heard, _ = answered(peer, {"ssml": ssml, "tts_config": voice()})
    assert heard.ssml == (f"<speak>{ssml}</speak>",)


def test_ssml_that_is_not_well_formed_gives_way_to_the_text(peer):
    heard, unsent = answered(peer, {"text": "Hi", "ssml": "<speak>Hi<speak>"})
    assert heard.speech == "Hi"
    assert unsent == (Unsent("ssml", "it is not well-formed"),)


def test_blank_ssml_gives_way_to_the_text(peer):
    assert answered(peer, {"text": "Hi", "ssml": "<speak> </speak>"})[0].speech == "Hi"


def test_characters_that_xml_has_no_place_for_are_not_spoken(peer):
    heard, _ = answered(peer, {"text": "a\x00b\x0bc"})
    assert heard.speech == "abc"


def test_audio_is_played_after_the_words(peer):
    heard, unsent = answered(
        peer,
        {"text": "Listen", "audio": "https://h/a.mp3?x=1&y=2"},
        {"audio": "/b.mp3"},
        {"audio": "http://h/c.mp3"},
        base_url="https://h/base/",
    )
    assert heard.ssml == (
        '<speak>Listen <audio src="https://h/a.mp3?x=1&amp;y=2"/> <audio src="https://h/base/b.mp3"/></speak>',
    )
    assert unsent == (Unsent("audio", "no address of HTTPS: http://h/c.mp3"),)


@pytest.mark.parametrize(
    "items",
    [
        [],
        [{}],
        [{"text": " "}],
        [{"ssml": "<speak/>"}],
        [{"ssml": "<p> </p>"}],
        [{"text": "\x00"}],
        [command("x", "")],
    ],
    ids=["no items", "empty", "blank", "empty ssml", "blank ssml", "control characters", "command"],
)
def test_when_there_is_nothing_to_say_there_is_a_pause(peer, items):
    heard, _ = answered(peer, *items)
    assert heard.ssml == ('<speak><break time="200ms"/></speak>',)
    assert heard.text == "…"


def test_a_sound_alone_is_something_to_say(peer):
    heard, _ = answered(peer, {"audio": "https://h/a.mp3"})
    assert heard.ssml == ('<speak><audio src="https://h/a.mp3"/></speak>',)
    assert heard.text == "…"


def test_words_that_are_only_shown_are_shown_in_a_pause(peer):
    heard, _ = answered(peer, {"text": "Hi", "ssml": "<p/>"})
    assert heard.ssml == ('<speak><break time="200ms"/></speak>',)
    assert heard.text == "Hi"


# ------------------------------------------------------------ long texts

SENTENCE = "The quick brown fox jumps over the lazy dog. "


def test_a_long_text_is_shown_in_two_bubbles(peer):
    text = (SENTENCE * 22).strip()
    assert 640 < len(text) < 1280
    heard, unsent = answered(peer, {"text": text})
    first, second = heard.text.split("\n")
    assert f"{first} {second}" == heard.speech == text
    assert len(heard.ssml) == 2
    assert first.endswith("dog.")
    assert unsent == ()


def test_a_text_that_just_fits_is_one_bubble(peer):
    heard, unsent = answered(peer, {"text": "a" * 319}, {"text": "b" * 320})
    assert heard.text == f"{'a' * 319} {'b' * 320}"
    assert len(heard.ssml) == 1
    assert unsent == ()


def test_items_are_not_divided_when_the_second_bubble_has_room(peer):
    heard, unsent = answered(peer, {"text": "a" * 400}, {"text": "b" * 400}, {"text": "c" * 200})
    assert heard.text == f"{'a' * 400}\n{'b' * 400} {'c' * 200}"
    assert unsent == ()


def test_items_are_divided_when_nothing_would_be_lost_by_it(peer):
    text = (SENTENCE * 10).strip()
    heard, unsent = answered(peer, {"text": "a" * 300}, {"text": text}, {"text": "c" * 400})
    first, second = heard.text.split("\n")
    assert f"{first} {second}" == f"{'a' * 300} {text} {'c' * 400}"
    assert first.endswith("dog.")
    assert unsent == ()


def test_no_item_is_begun_at_the_very_end_of_a_bubble(peer):
    heard, unsent = answered(peer, {"text": "a" * 620}, {"text": (SENTENCE * 20).strip()})
    first, second = heard.text.split("\n")
    assert first == "a" * 620
    assert second.endswith("dog.")
    assert unsent == (Unsent("text", "899 characters of at most 640"),)
    assert heard.speech.endswith((SENTENCE * 20).strip())


def test_what_two_bubbles_cannot_show_is_spoken_all_the_same(peer):
    text = (SENTENCE * 50).strip()
    heard, unsent = answered(peer, {"text": text, "tts_config": voice(), "audio": "https://h/a.mp3"})
    assert heard.speech == text
    assert all(len(each) <= 640 for each in heard.text.split("\n"))
    assert text.startswith(heard.text.replace("\n", " "))
    [(part, reason)] = unsent
    assert (part, reason.endswith("characters of at most 640")) == ("text", True)
    assert [each.startswith('<speak><voice gender="female">') for each in heard.ssml] == [True, True]
    assert ["<audio" in each for each in heard.ssml] == [False, True]


def test_ssml_is_never_divided(peer):
    ssml = f"<p>{SENTENCE * 20}</p>"
    heard, unsent = answered(peer, {"ssml": ssml}, {"text": "Well?"})
    assert heard.ssml == (f"<speak>{ssml}</speak>", "<speak>Well?</speak>")
    assert heard.text.endswith("dog.\nWell?")
    assert unsent == (Unsent("text", "899 characters of at most 640"),)


def test_a_word_that_does_not_end_is_cut(peer):
    heard, unsent = answered(peer, {"text": "x" * 1280})
    assert heard.text == f"{'x' * 640}\n{'x' * 640}"
    assert unsent == ()


def test_sounds_without_words_fit_into_a_full_bubble_no_more(peer):
    heard, _ = answered(peer, {"text": "a" * 640}, {"audio": "https://h/a.mp3"}, {"text": "b"})
    assert heard.text == f"{'a' * 640}\nb"
    assert heard.ssml[1] == '<speak><audio src="https://h/a.mp3"/> b</speak>'


# ------------------------------------------------------------ cards, images, chips


def test_a_card_is_shown_and_not_spoken(peer):
    heard, unsent = answered(peer, {"text": "Look"}, command("card", {"title": "Menu", "text": "Soup"}))
    assert heard.card == Card(title="Menu", text="Soup")
    assert heard.speech == heard.text == "Look"
    assert unsent == ()


def test_a_card_and_an_image_are_one(peer):
    heard, _ = answered(
        peer, {"text": "Look", "image": "https://h/i.png"}, command("card", {"title": "Menu"})
    )
    assert heard.card == Card(title="Menu")
    assert heard.image == "https://h/i.png"


def test_a_title_without_anything_is_the_text_of_its_card(peer):
    heard, _ = answered(peer, {"text": "Look"}, command("card", {"title": "Menu"}))
    assert heard.card == Card(text="Menu")


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"title": "Menu", "text": "Soup"}, "Menu"),
        ({"text": "Soup & bread"}, "Soup & bread"),
        ("Soup", "Soup"),
    ],
    ids=["title", "text", "no JSON"],
)
def test_a_card_is_read_out_when_nothing_else_is_said(peer, payload, said):
    heard, _ = answered(peer, command("card", payload))
    assert heard.speech == said


def test_a_card_is_not_read_out_over_a_sound(peer):
    heard, _ = answered(peer, {"audio": "https://h/a.mp3"}, command("card", {"title": "Menu"}))
    assert heard.ssml == ('<speak><audio src="https://h/a.mp3"/></speak>',)


def test_a_card_is_not_read_out_beside_words_that_are_only_shown(peer):
    heard, _ = answered(peer, {"text": "Hi", "ssml": "<p/>"}, command("card", {"title": "Menu"}))
    assert (heard.speech, heard.text) == ("", "Hi")


def test_an_image_alone_is_shown_in_a_pause(peer):
    heard, _ = answered(peer, {"image": "https://h/i.png"})
    assert heard.image == "https://h/i.png"
    assert heard.card is None
    assert heard.ssml == ('<speak><break time="200ms"/></speak>',)


@pytest.mark.parametrize("payload", [{}, {"title": " ", "text": 5}, [], None, ""], ids=repr)
def test_a_card_without_anything_is_none(peer, payload):
    heard, unsent = answered(peer, {"text": "Look"}, command("card", payload))
    assert heard.card is None
    assert unsent == (Unsent("card", "it has neither title nor text"),)


def test_there_is_one_card_and_one_image(peer):
    heard, unsent = answered(
        peer,
        {"text": "a", "image": "http://h/0.png"},
        {"text": "b", "image": "https://h/1.png"},
        {"text": "c", "image": "https://h/2.png"},
        command("card", {"text": "first"}),
        command("card", {"text": "second"}),
    )
    assert heard.image == "https://h/1.png"
    assert heard.card == Card(text="first")
    assert unsent == (
        Unsent("image", "no address of HTTPS: http://h/0.png"),
        Unsent("image", "an answer has only one"),
        Unsent("card", "an answer has only one"),
    )


@pytest.mark.parametrize(
    ("items", "description"),
    [
        ([{"text": "Look", "image": "https://h/i.png"}, command("card", {"title": "Menu"})], "Menu"),
        ([{"text": "Look", "image": "https://h/i.png"}], "Look"),
        ([{"ssml": "<p>Look</p>", "image": "https://h/i.png"}], "Look"),
        ([{"text": "Look"}, {"image": "https://h/i.png"}], "Image"),
    ],
    ids=["title", "text", "speech", "neither"],
)
def test_an_image_is_described_for_those_who_cannot_see_it(version, items, description):
    tree = request_of(version).answer(response_of(*items))[0].to_json()
    if version == "2":
        card = tree["expectedInputs"][0]["inputPrompt"]["richInitialPrompt"]["items"][1]["basicCard"]
        assert card["image"]["accessibilityText"] == description
    else:
        assert tree["prompt"]["content"]["card"]["image"]["alt"] == description


@pytest.mark.parametrize(
    ("address", "base_url", "shown"),
    [
        ("/i.png", "https://h", "https://h/i.png"),
        ("/i.png", "https://h/a/", "https://h/a/i.png"),
        ("HTTPS://h/i.png", None, "HTTPS://h/i.png"),
        ("/i.png", None, None),
        ("/i.png", "http://h", None),
        ("https://", None, None),
        ("https:///i.png", None, None),
        ("https://h/a b.png", None, None),
        ("javascript:alert(1)", None, None),
        ("i.png", "https://h", None),
    ],
)
def test_only_images_of_https_are_shown(peer, address, base_url, shown):
    heard, unsent = answered(peer, {"text": "Look", "image": address}, base_url=base_url)
    assert heard.image == shown
    assert [each.part for each in unsent] == ([] if shown else ["image"])


def test_a_relative_address_needs_a_base(peer):
    assert answered(peer, {"image": "/i.png"})[1] == (Unsent("image", "a relative address without base_url"),)


def test_video_background_and_other_commands_are_told_and_left_out(peer):
    items = {"text": "Hi", "video": "https://h/v.mp4", "background": "#fff"}, command("volume", "up")
    heard, unsent = answered(peer, *items)
    assert heard.speech == heard.text == "Hi"
    assert unsent == (
        Unsent("video", "Google Assistant shows none"),
        Unsent("background", "Google Assistant shows none"),
        Unsent("volume", "Google Assistant has no such command"),
    )


def test_a_command_may_bring_speech_and_an_image(peer):
    heard, _ = answered(peer, {"text": "#wave", "ssml": "Hello", "image": "https://h/i.png"})
    assert (heard.speech, heard.text, heard.image) == ("Hello", "Hello", "https://h/i.png")


def test_what_is_left_out_twice_is_told_once(peer):
    _, unsent = answered(peer, *[{"text": "Hi", "video": "https://h/v.mp4"}] * 3)
    assert len(unsent) == 1


def test_suggestions_are_chips(peer):
    heard, unsent = answered(
        peer,
        {"text": "Well?"},
        command("suggestions", {"suggestions": ["yes", " no ", "yes"]}),
        command("suggestions", ["maybe"]),
    )
    assert heard.suggestions == ("yes", "no", "maybe")
    assert unsent == ()


@pytest.mark.parametrize(
    ("payload", "shown", "reason"),
    [
        ({"suggestions": ["x" * 26, "y" * 25]}, ("y" * 25,), "26 characters of at most 25"),
        ({"suggestions": list("abcdefghi")}, tuple("abcdefgh"), "9 of at most 8"),
        ({"suggestions": ["a", 5]}, ("a",), "5 is no text"),
        ({"suggestions": ["a", " "]}, ("a",), "' ' is no text"),
        ({"suggestions": "yes"}, (), "not a list of them"),
        ({}, (), "not a list of them"),
        ("yes, no", (), "not a list of them"),
    ],
    ids=["long", "many", "a number", "blank", "a text", "none", "no JSON"],
)
def test_suggestions_that_google_does_not_take_are_told(peer, payload, shown, reason):
    heard, unsent = answered(peer, {"text": "Well?"}, command("suggestions", payload))
    assert heard.suggestions == shown
    assert unsent == (Unsent("suggestions", reason),)


def test_what_json_can_spell_and_nobody_can_send_is_replaced(peer):
    payload = '{"suggestions": ["a\\ud800b"]}'
    heard, _ = answered(peer, {"text": "Well?"}, command("suggestions", payload))
    assert heard.suggestions == ("a?b",)


def test_at_the_end_there_is_nothing_to_suggest(peer):
    heard, unsent = answered(
        peer, {"text": "Bye"}, command("suggestions", {"suggestions": ["again"]}), session_ended=True
    )
    assert heard.suggestions == ()
    assert unsent == (Unsent("suggestions", "the conversation ends"),)


def test_a_device_without_a_screen_gets_speech_alone(version):
    peer = GooglePeer(version, screen=False)
    heard, unsent = answered(
        peer,
        {"text": "Look", "image": "https://h/i.png"},
        command("card", {"title": "Menu"}),
        command("suggestions", {"suggestions": ["yes"]}),
    )
    assert (heard.speech, heard.card, heard.image, heard.suggestions) == ("Look", None, None, ())
    assert unsent == tuple(
        Unsent(each, "the device has no screen") for each in ("card", "image", "suggestions")
    )


# ------------------------------------------------------------ how it goes on


@pytest.mark.parametrize(
    ("members", "ended"),
    [
        ({}, False),
        ({"session_ended": True}, True),
        ({"session_ended": True, "sleep_timeout": 60}, False),
        ({"sleep_timeout": 60}, False),
    ],
    ids=["goes on", "ends", "sleeps", "sleeps, said otherwise"],
)
def test_the_conversation_ends_with_the_session(peer, members, ended):
    heard, _ = answered(peer, {"text": "Hi"}, **members)
    assert heard.ended is ended
    assert (peer.conversation_id is None) is ended


def test_a_goodbye_ends_the_conversation_whatever_is_answered(peer):
    answered(peer, {"text": "Hi"})
    heard, unsent = hear(peer, peer.cancel(), response_of({"text": "Bye"}, session_ended=False))
    assert heard.ended
    assert heard.speech == heard.text == "Bye"
    assert unsent == ()


def goodbye(*items):
    peer = GooglePeer("2")
    answered(peer, {"text": "Hi"})
    return hear(peer, peer.cancel(), response_of(*items))


def test_in_version_2_a_goodbye_is_answered_briefly_and_plainly():
    text = (SENTENCE * 3).strip()
    heard, unsent = goodbye({"ssml": f"<p>{text}</p>", "image": "https://h/i.png"}, {"text": text})
    assert heard.speech == heard.text == SENTENCE.strip()
    assert heard.card is heard.image is None
    assert unsent == (
        Unsent("card", "a goodbye is answered with speech alone"),
        Unsent("speech", "a goodbye is answered in plain text"),
        Unsent("speech", "269 characters of at most 60"),
        Unsent("text", "269 characters of at most 60"),
    )


def test_in_version_2_a_goodbye_may_be_answered_with_a_sound():
    heard, unsent = goodbye({"audio": "https://h/bye.mp3"})
    assert heard.ssml == ('<speak><audio src="https://h/bye.mp3"/></speak>',)
    assert unsent == ()


def test_in_version_2_a_goodbye_may_be_answered_with_words_that_are_only_shown():
    heard, unsent = goodbye({"text": SENTENCE * 3, "ssml": "<p/>"})
    assert heard.ssml == ('<speak><break time="200ms"/></speak>',)
    assert heard.text == SENTENCE.strip()
    assert unsent == (Unsent("text", "134 characters of at most 60"),)


def test_a_goodbye_that_just_fits_is_said_whole():
    heard, unsent = goodbye({"text": "x" * 60})
    assert heard.speech == heard.text == "x" * 60
    assert unsent == ()


def test_a_goodbye_that_looks_like_ssml_is_text():
    heard, _ = goodbye({"text": "<speak>"})
    assert heard.speech == "<speak>"


def test_version_2_can_be_told_what_to_say_to_silence():
    heard, _ = answered(GooglePeer("2"), {"text": "Well?"}, reprompt="Are you <there>?")
    assert heard.reprompt == "Are you <there>?"


def test_without_a_word_about_it_silence_comes_to_the_dialogue(peer):
    heard, _ = answered(peer, {"text": "Well?"})
    assert heard.reprompt is None


def test_version_3_asks_what_to_say_to_silence():
    heard, unsent = answered(GooglePeer("3"), {"text": "Well?"}, reprompt="Are you there?")
    assert heard.reprompt is None
    assert unsent == ()


def test_silence_is_an_input_of_its_own(peer):
    answered(peer, {"text": "Well?"})
    for _ in range(4):
        asked = peer.silence()
        assert asked_of(asked).input().text == "#silence"
        hear(peer, asked, response_of({"text": "Well?"}))


def test_expected_phrases_are_listened_for(peer):
    phrases = [ExpectedPhrase(text=each) for each in ("yes", " no ", "", "yes")]
    heard, unsent = answered(peer, {"text": "Well?"}, expected_phrases=phrases)
    assert heard.hints == ("yes", "no")
    assert unsent == ()


def test_no_more_phrases_are_listened_for_than_google_takes(peer):
    phrases = [ExpectedPhrase(text=str(each)) for each in range(1001)]
    heard, unsent = answered(peer, {"text": "Well?"}, expected_phrases=phrases)
    assert len(heard.hints) == 1000
    assert unsent == (Unsent("hints", "1001 of at most 1000"),)


def test_after_the_end_nothing_is_listened_for(peer):
    heard, unsent = answered(
        peer, {"text": "Bye"}, expected_phrases=[ExpectedPhrase(text="yes")], session_ended=True
    )
    assert heard.hints == ()
    assert unsent == ()


@pytest.mark.parametrize(
    ("locale", "expected"), [("cs-CZ", {"languageCode": "cs-CZ"}), ("en-GB", None), (None, None)]
)
def test_version_3_is_told_when_the_language_changes(locale, expected):
    answer, _ = request_of("3").answer(Response(locale=locale))
    assert answer.to_json().get("expected") == expected


def test_version_2_gets_its_token_back():
    assert request_of("2").answer(Response())[0].conversation_token == "opt"
    assert (
        request_of("2", conversation__conversationToken=None).answer(Response())[0].conversation_token is None
    )


def test_version_3_gets_its_session_back():
    params = {"k": {"a": [1, None]}, "n": None}
    answer, _ = request_of("3", session__params=params).answer(Response())
    assert (answer.session.id, answer.session.params) == ("s", params)


def test_version_3_stays_in_its_scene_until_the_end():
    request = request_of("3")
    assert "scene" not in request.answer(Response())[0].to_json()
    assert request.answer(Response(session_ended=True))[0].to_json()["scene"] == {
        "name": "S",
        "slots": {},
        "next": {"name": "actions.scene.END_CONVERSATION"},
    }


def test_version_3_ends_outside_of_scenes_too():
    answer, _ = request_of("3", scene=None).answer(Response(session_ended=True))
    assert answer.to_json()["scene"] == {"slots": {}, "next": {"name": "actions.scene.END_CONVERSATION"}}


def test_the_answer_of_version_2_as_it_goes_out():
    response = response_of(
        {"text": "hi", "image": "https://h/i.png"},
        command("card", {"title": "t"}),
        command("suggestions", {"suggestions": ["yes"]}),
        expected_phrases=[ExpectedPhrase(text="yes")],
    )
    answer, _ = request_of("2", user__userVerificationStatus="GUEST").answer(response, reprompt="?")
    assert answer.to_json() == {
        "expectUserResponse": True,
        "conversationToken": "opt",
        "expectedInputs": [
            {
                "inputPrompt": {
                    "richInitialPrompt": {
                        "items": [
                            {"simpleResponse": {"ssml": "<speak>hi</speak>", "displayText": "hi"}},
                            {
                                "basicCard": {
                                    "title": "t",
                                    "image": {"url": "https://h/i.png", "accessibilityText": "t"},
                                }
                            },
                        ],
                        "suggestions": [{"title": "yes"}],
                    },
                    "noInputPrompts": [{"textToSpeech": "?"}],
                },
                "possibleIntents": [{"intent": "actions.intent.TEXT"}],
                "speechBiasingHints": ["yes"],
            }
        ],
    }
    answer, _ = request_of("2", user__userVerificationStatus="GUEST").answer(Response(session_ended=True))
    assert answer.to_json() == {
        "expectUserResponse": False,
        "conversationToken": "opt",
        "finalResponse": {
            "richResponse": {
                "items": [
                    {"simpleResponse": {"ssml": '<speak><break time="200ms"/></speak>', "displayText": "…"}}
                ]
            }
        },
    }


def test_the_answer_of_version_3_as_it_goes_out():
    response = response_of(
        {"text": "hi", "image": "https://h/i.png"},
        command("card", {"title": "t", "text": "x"}),
        command("suggestions", {"suggestions": ["yes"]}),
        expected_phrases=[ExpectedPhrase(text="yes")],
    )
    answer, _ = request_of("3", user__verificationStatus="GUEST").answer(response)
    assert answer.to_json() == {
        "session": {"id": "s", "params": {"k": 1}},
        "prompt": {
            "override": False,
            "firstSimple": {"speech": "<speak>hi</speak>", "text": "hi"},
            "content": {"card": {"title": "t", "text": "x", "image": {"url": "https://h/i.png", "alt": "t"}}},
            "suggestions": [{"title": "yes"}],
        },
        "expected": {"speech": ["yes"]},
    }


# ------------------------------------------------------------ whatever comes


def test_requests_are_written_as_they_were_read(version):
    request = request_of(version)
    assert JSON.decode_value(type(request), JSON.encode_value(request)) == request


@settings(max_examples=examples(30), deadline=None)
@given(values(V2Request) | values(V3Request))
def test_every_request_is_read_as_it_was_written(request):
    written = JSON.decode_tree(JSON.encode_value(request))
    if request.session_id and getattr(request, "inputs", True):
        assert read_request(written, JSON) == request
    else:
        with pytest.raises(RemoteProtocolError, match="is empty"):
            read_request(written, JSON)


TRANSPLANTS = st.sampled_from(
    ["user", "conversation", "inputs", "surface", "device", "handler", "intent", "scene", "session", "home"]
)


@settings(max_examples=examples(60), deadline=None)
@given(st.sampled_from(VERSIONS), st.dictionaries(TRANSPLANTS, json_values(), max_size=3), st.data())
def test_junk_raises_nothing_but_protocol_errors(version, changes, data):
    tree = {**TREES[version](), **changes}
    place, junk = copy.deepcopy(tree), data.draw(json_values())
    inner = place.get(data.draw(TRANSPLANTS))
    if isinstance(inner, dict) and inner:
        inner[data.draw(st.sampled_from(sorted(inner)))] = junk
    for each in (tree, place, junk):
        try:
            request = read(each)
        except RemoteProtocolError:
            continue
        request.input()
        answer, _ = request.answer(Response(session_ended=True))
        assert body_of(answer)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.builds(
    lambda word, times: f"{word} " * times,
    st.sampled_from(["well", "<b>", "&", "ano.", "…"]),
    st.integers(0, 700),
)
SSML = st.sampled_from(
    [
        *("<speak>Hi</speak>", "<speak/>", "<p>a</p><p>b</p>", "not < SSML", "<p> </p>", "<speak>a</speak>b"),
        *(
            '<break time="1s"/>',
            '<audio src="https://h/a.mp3">a cat</audio>',
            "<![CDATA[<audio]]>",
            "<!-- a -->",
        ),
        *(
            '<voice gender="male">Hi</voice>',
            "<speak><speak/></speak>",
            f"<p>{'word ' * 200}</p>",
            "&#65;&amp;",
        ),
    ]
)
ADDRESSES = st.sampled_from(["https://h/i.png", "/i.png", "http://h/i.png", "i.png", ""]) | TEXTS
COMMANDS = st.builds(
    lambda name, payload: {"text": f"#{name}", "code": payload},
    st.sampled_from(["card", "suggestions", "wave"]),
    st.none()
    | TEXTS
    | json_values().map(json.dumps)
    | st.fixed_dictionaries({}, optional={"title": TEXTS, "text": TEXTS}).map(json.dumps)
    | st.lists(TEXTS, max_size=10).map(lambda found: json.dumps({"suggestions": found})),
)
VOICES = st.builds(voice, google_assistant=st.none() | st.sampled_from(["1", "12", "x", ""]) | TEXTS)
ITEMS = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "text": TEXTS,
            "ssml": SSML | TEXTS,
            "image": ADDRESSES,
            "audio": ADDRESSES,
            "video": ADDRESSES,
            "background": ADDRESSES,
            "tts_config": VOICES,
        },
    ),
    COMMANDS,
)


@settings(max_examples=examples(80), deadline=None)
@given(
    st.sampled_from(VERSIONS),
    st.lists(ITEMS, max_size=6),
    st.fixed_dictionaries(
        {},
        optional={
            "session_ended": st.booleans(),
            "sleep_timeout": st.sampled_from([0, 5]),
            "expected_phrases": st.lists(st.builds(ExpectedPhrase, text=TEXTS), max_size=4),
            "locale": st.sampled_from(["cs", "en-US", None]),
        },
    ),
    st.booleans(),
    st.sampled_from([None, "https://h", "http://h"]),
    st.sampled_from(["launch", "silence", "cancel"]),
)
def test_google_accepts_the_answer_to_any_response(version, items, members, screen, base_url, says):
    peer = GooglePeer(version, screen=screen)
    asked = peer.launch()
    if says != "launch":
        hear(peer, asked, response_of({"text": "Hi"}))
        asked = getattr(peer, says)()
    response = response_of(*items, **members)
    heard, unsent = hear(peer, asked, response, base_url=base_url)
    assert heard.ended is (says == "cancel" or (response.session_ended and not response.sleep_timeout))
    assert heard.text
    assert all(each.part and each.reason for each in unsent)


# ------------------------------------------------------------ the peer


def test_a_conversation_with_the_peer(peer):
    heard, _ = answered(peer, {"text": "What is your name?"})
    assert heard == Heard(
        speech="What is your name?", text="What is your name?", ssml=("<speak>What is your name?</speak>",)
    )
    asked = peer.say("Tom")
    assert asked_of(asked).session_id == "conversation-0"
    assert asked_of(asked).input().text == "Tom"
    heard, _ = hear(peer, asked, response_of({"text": "Nice to meet you, Tom."}, session_ended=True))
    assert heard.ended
    assert asked_of(peer.launch()).session_id == "conversation-1"


def test_the_peer_says_who_it_is(version):
    peer = GooglePeer(
        version, key="a b", locale="cs-CZ", location=Location(lat=1.0, lng=2.0), zone_id="Europe/Rome"
    )
    head, body = peer.launch()
    request = read_request(JSON.decode_tree(body), JSON)
    assert (head.method, head.url, head.header("Content-Length")) == (
        "POST",
        "/google?key=a+b",
        str(len(body)),
    )
    assert request.locale == "cs-CZ"
    assert request.location == Location(lat=1.0, lng=2.0)
    assert request.zone_id == (None if version == "2" else "Europe/Rome")
    assert request.begins


def test_the_peer_may_not_know_its_zone():
    peer = GooglePeer("3", zone_id=None)
    assert asked_of(peer.launch()).zone_id is None


def test_the_peer_means_any_intent(peer):
    answered(peer, {"text": "Well?"})
    asked = peer.intent("actions.intent.OPTION", "key-1")
    assert asked_of(asked).input().text == "key-1"
    assert asked_of(peer.intent("actions.intent.PERMISSION")).input().text == "#PERMISSION"


def test_a_peer_with_a_signer_signs(version):
    time = datetime(2026, 1, 1, tzinfo=timezone.utc)
    head, _ = GooglePeer(version, signer=GoogleSigner(), now=lambda: time).launch()
    name = {"2": "authorization", "3": "google-assistant-signature"}[version]
    assert head.header(name) == GoogleSigner().token(time)
    with pytest.raises(ValueError, match="a signer needs to know the time"):
        GooglePeer(version, signer=GoogleSigner())


def test_the_peer_says_nothing_outside_of_a_conversation(peer):
    for ask in (lambda: peer.say("hi"), peer.cancel, peer.silence, lambda: peer.intent("x")):
        with pytest.raises(LocalProtocolError, match="no conversation goes on"):
            ask()
    with pytest.raises(LocalProtocolError, match="nothing has been asked"):
        peer.take(200, b"{}")


def test_a_guest_forgets_with_the_conversation(version):
    peer = GooglePeer(version, verified=False)
    peer.storage, peer.user_params = '{"a":1}', {"a": 1}
    answered(peer, {"text": "Bye"}, session_ended=True)
    assert (peer.storage, peer.user_params) == ("", {})


def test_the_peer_counts_silences():
    peer = GooglePeer("2")
    answered(peer, {"text": "Well?"})
    asked = [json.loads(peer.silence()[1])["inputs"][0]["arguments"] for _ in range(3)]
    assert [each[0]["intValue"] for each in asked] == ["0", "1", "2"]
    assert [each[1].get("boolValue", False) for each in asked] == [False, False, True]
    peer = GooglePeer("3")
    answered(peer, {"text": "Well?"})
    names = [json.loads(peer.silence()[1])["intent"]["name"] for _ in range(3)]
    assert names == [f"actions.intent.NO_INPUT_{each}" for each in ("1", "2", "FINAL")]


def test_the_peer_keeps_what_answers_store():
    peer = GooglePeer("2")
    peer.launch()
    peer.take(200, json.dumps({**v2_answer(), "conversationToken": "t", "userStorage": '{"a":1}'}).encode())
    request = asked_of(peer.say("hi"))
    assert request.conversation.conversation_token == "t"
    assert request.user.user_storage == '{"a":1}'
    peer = GooglePeer("3")
    peer.launch()
    peer.session_params = {"gone": 1, "stays": 2}
    answer = v3_answer(peer.conversation_id)
    answer["session"]["params"] = {"gone": None, "new": 3}
    answer["scene"] = {"next": {"name": "Next"}}
    peer.slots = {"size": {}}
    peer.take(200, json.dumps(answer).encode())
    request = asked_of(peer.say("hi"))
    assert request.session.params == {"stays": 2, "new": 3}
    assert (request.scene.name, request.scene.slots) == ("Next", {"size": {}})


def v2_answer(**members):
    """An answer that Google accepts."""
    simple = {"simpleResponse": {"textToSpeech": "hi"}}
    prompt = {"inputPrompt": {"richInitialPrompt": {"items": [simple]}}}
    expected = [{**prompt, "possibleIntents": [{"intent": "actions.intent.TEXT"}]}]
    return {"expectUserResponse": True, "expectedInputs": expected, **members}


def v3_answer(session_id="s", **members):
    return {
        "session": {"id": session_id, "params": {}},
        "prompt": {"firstSimple": {"speech": "hi"}},
        **members,
    }


def v2_items(*items, **members):
    answer = v2_answer()
    answer["expectedInputs"][0]["inputPrompt"]["richInitialPrompt"] = {"items": list(items), **members}
    return answer


def v2_simple(**members):
    return {"simpleResponse": members or {"textToSpeech": "hi"}}


def v2_card(**members):
    return v2_items(v2_simple(), {"basicCard": members})


def v2_ssml(body):
    return v2_items(v2_simple(ssml=body))


def v2_expected(**members):
    answer = v2_answer()
    answer["expectedInputs"][0].update(members)
    return answer


def v2_prompts(*prompts):
    answer = v2_answer()
    answer["expectedInputs"][0]["inputPrompt"]["noInputPrompts"] = list(prompts)
    return answer


FINAL = {"richResponse": {"items": [v2_simple()]}}
IMAGE = {"url": "https://h/i.png", "accessibilityText": "an image"}

REFUSED_2 = {
    "there is no member whatever": v2_answer(whatever=1),
    "expectUserResponse must be bool": v2_answer(expectUserResponse=1),
    "expectedInputs must be an array": v2_answer(expectedInputs={}),
    "expectedInputs[0] must be an object": v2_answer(expectedInputs=[1]),
    "expectedInputs must be one": v2_answer(expectedInputs=[]),
    "expectedInputs where no response": v2_answer(expectUserResponse=False, finalResponse=FINAL),
    "a finalResponse where": v2_answer(finalResponse=FINAL),
    "there is no richResponse": {"expectUserResponse": False},
    "suggestions in a finalResponse": {
        "finalResponse": {"richResponse": {"items": [v2_simple()], "suggestions": [{"title": "a"}]}}
    },
    "possibleIntents must not be empty": v2_expected(possibleIntents=[]),
    "an item must be exactly one thing": v2_items({}),
    "the first item must be": v2_items({"basicCard": {"formattedText": "x"}}),
    "more than 2 simpleResponses": v2_items(v2_simple(), v2_simple(), v2_simple()),
    "more than 1 rich item": v2_items(v2_simple(), *[{"basicCard": {"formattedText": "x"}}] * 2),
    "either ssml or textToSpeech": v2_items(v2_simple(displayText="x")),
    "nothing is said": v2_items(v2_simple(textToSpeech=" ")),
    "nothing is said: '<speak><p/>": v2_ssml("<speak><p/></speak>"),
    "SSML: ": v2_ssml("<speak>"),
    "SSML must be in <speak>": v2_ssml("<p>hi</p>"),
    "<speak> inside <speak>": v2_ssml("<speak><speak>hi</speak></speak>"),
    "the src of <audio>": v2_ssml('<speak><audio src="http://h/a.mp3"/></speak>'),
    "<voice> of gender": v2_ssml('<speak><voice gender="Male">hi</voice></speak>'),
    "<voice> of variant": v2_ssml('<speak><voice variant="x">hi</voice></speak>'),
    "a bubble of more than 640": v2_items(v2_simple(textToSpeech="hi", displayText="x" * 641)),
    "a card must have": v2_card(title="x"),
    "an image must be https": v2_card(image={**IMAGE, "url": "http://h/i.png"}),
    "an image must have accessibilityText": v2_card(image={"url": "https://h/i.png"}),
    "more than 8 suggestions": v2_items(v2_simple(), suggestions=[{"title": each} for each in "abcdefghi"]),
    "a suggestion without": v2_items(v2_simple(), suggestions=[{}]),
    "a suggestion of more than 25": v2_items(v2_simple(), suggestions=[{"title": "x" * 26}]),
    "suggestions must be unique": v2_items(v2_simple(), suggestions=[{"title": "x"}] * 2),
    "more than 3 noInputPrompts": v2_prompts(*[{"textToSpeech": "?"}] * 4),
    "more than 1000 phrases": v2_expected(speechBiasingHints=["x"] * 1001),
    "an empty phrase": v2_expected(speechBiasingHints=[""]),
    "userStorage of more than 10 KB": v2_answer(userStorage="é" * 5001),
}

CARD = {"title": "t", "text": "x"}


def v3_prompt(**members):
    return v3_answer(prompt={"firstSimple": {"speech": "hi"}, **members})


REFUSED_3 = {
    "there is no member prompt.whatever": v3_prompt(whatever=1),
    "session.id must be": v3_answer("other"),
    "there is no prompt.firstSimple": v3_answer(prompt={}),
    "nothing is said": v3_answer(prompt={"firstSimple": {"text": "x"}}),
    "nothing is said: '<speak": v3_answer(prompt={"firstSimple": {"speech": "<speak></speak>"}}),
    "a bubble of more than 640": v3_prompt(lastSimple={"speech": "x", "text": "x" * 641}),
    "content must be exactly one": v3_prompt(
        content={"card": CARD, "image": {"url": "https://h", "alt": "x"}}
    ),
    "a card must have": v3_prompt(content={"card": {"title": "x"}}),
    "an image must have alt": v3_prompt(content={"image": {"url": "https://h/i.png"}}),
    "more than 8 suggestions": v3_prompt(suggestions=[{"title": each} for each in "abcdefghi"]),
    "scene.name must be 'Talk', not 'Other'": v3_answer(scene={"name": "Other"}),
    "slots that the request did not have: ['b']": v3_answer(
        scene={"name": "Talk", "slots": {"a": {}, "b": {}}}
    ),
    "scene.next without a name": v3_answer(scene={"next": {}}),
    "user.params of more than 10 KB": v3_answer(user={"params": {"a": "x" * 10_000}}),
    "more than 1000 phrases": v3_answer(expected={"speech": ["x"] * 1001}),
}


@pytest.mark.parametrize("rule", REFUSED_2)
def test_the_peer_refuses_in_version_2(rule):
    peer = GooglePeer("2")
    peer.launch()
    with pytest.raises(AssertionError) as caught:
        peer.take(200, json.dumps(REFUSED_2[rule]).encode())
    assert rule in str(caught.value)


@pytest.mark.parametrize("rule", REFUSED_3)
def test_the_peer_refuses_in_version_3(rule):
    peer = GooglePeer("3", make_id=lambda: "s")
    peer.slots = {"a": {}}
    peer.launch()
    peer.take(200, json.dumps(v3_answer()).encode())
    peer.say("hi")
    with pytest.raises(AssertionError) as caught:
        peer.take(200, json.dumps(REFUSED_3[rule]).encode())
    assert rule in str(caught.value)


def test_the_peer_accepts_what_google_does():
    peer = GooglePeer("2")
    peer.launch()
    assert peer.take(200, json.dumps(v2_answer()).encode()).speech == "hi"
    peer.say("hi")
    heard = peer.take(200, json.dumps(v2_card(formattedText="x", image=IMAGE)).encode())
    assert (heard.card, heard.image) == (Card(text="x"), "https://h/i.png")
    peer = GooglePeer("3", make_id=lambda: "s")
    peer.launch()
    assert peer.take(200, json.dumps(v3_answer()).encode()).speech == "hi"
    peer.say("hi")
    heard = peer.take(
        200, json.dumps(v3_prompt(content={"image": {"url": "https://h/i", "alt": "x"}})).encode()
    )
    assert (heard.card, heard.image) == (None, "https://h/i")


@pytest.mark.parametrize(
    ("status", "body", "rule"),
    [
        (403, b'{"error":"no"}', "the status must be 200, not 403"),
        (200, b"", "it is not JSON"),
        (200, b"\xff", "it is not JSON"),
        (200, b'{"a":NaN}', "NaN is no number"),
        (200, b"[]", "it must be an object"),
    ],
    ids=["status", "empty", "not UTF-8", "NaN", "an array"],
)
def test_the_peer_refuses_what_is_no_answer(peer, status, body, rule):
    peer.launch()
    with pytest.raises(AssertionError, match=rule):
        peer.take(status, body)


def test_the_peer_refuses_cards_and_chips_where_nobody_can_see_them():
    for version, answers in {
        "2": [v2_card(formattedText="x"), v2_items(v2_simple(), suggestions=[{"title": "x"}])],
        "3": [v3_prompt(content={"card": CARD}), v3_prompt(suggestions=[{"title": "x"}])],
    }.items():
        peer = GooglePeer(version, screen=False, make_id=lambda: "s")
        for answer in answers:
            peer.launch()
            with pytest.raises(AssertionError, match="the device has no screen"):
                peer.take(200, json.dumps(answer).encode())


def test_the_peer_refuses_to_go_on_after_a_goodbye(peer):
    answered(peer, {"text": "Hi"})
    peer.cancel()
    answer = v2_answer() if peer.version == "2" else v3_answer(peer.conversation_id)
    with pytest.raises(AssertionError, match="after CANCEL the conversation must end"):
        peer.take(200, json.dumps(answer).encode())


@pytest.mark.parametrize(
    ("items", "rule"),
    [
        ([v2_simple(), v2_simple()], "a single simpleResponse"),
        ([v2_simple(textToSpeech="x" * 61)], "at most 60 characters"),
        ([v2_simple(textToSpeech="x", displayText="x" * 61)], "at most 60 characters"),
    ],
    ids=["two", "long speech", "long text"],
)
def test_the_peer_refuses_long_goodbyes_in_version_2(items, rule):
    peer = GooglePeer("2")
    answered(peer, {"text": "Hi"})
    peer.cancel()
    with pytest.raises(AssertionError, match=rule):
        peer.take(200, json.dumps({"finalResponse": {"richResponse": {"items": items}}}).encode())


def test_slots_need_a_scene():
    peer = GooglePeer("3", make_id=lambda: "s")
    peer.launch()
    with pytest.raises(AssertionError, match="slots without a scene"):
        peer.take(200, json.dumps(v3_answer(scene={"slots": {"a": {}}})).encode())
