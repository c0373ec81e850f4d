"""Alexa: what its requests say, what is answered, and what Amazon's own library makes of both."""

import json
from datetime import datetime, timezone

import ask_sdk_model
import attrs
import pytest
from ask_sdk_core.serialize import DefaultSerializer
from ask_sdk_model import ui
from ask_sdk_model.canfulfill import CanFulfillIntentRequest
from ask_sdk_model.interfaces import display, geolocation, system, videoapp
from ask_sdk_model.interfaces.alexa.presentation import apl
from ask_sdk_model.slu import entityresolution
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowstorm_channel.alexa import messages
from flowstorm_channel.alexa.answers import AlexaLimits, answer, can_fulfill, nothing
from flowstorm_channel.alexa.inputs import INTENTS, Answering, Intents, answering, input_of
from flowstorm_channel.alexa.messages import (
    AlexaRequest,
    AlexaResponse,
    AskForPermissionsConsentCard,
    BodyTemplate7,
    CanFulfillIntent,
    DisplayImage,
    LaunchVideo,
    LinkAccountCard,
    PlainTextSpeech,
    PlayBehavior,
    RenderDocument,
    RenderTemplate,
    Reprompt,
    ResponseBody,
    SimpleCard,
    Slot,
    SsmlSpeech,
    StandardCard,
)
from flowstorm_channel.codecs import JsonCodec
from flowstorm_channel.codecs.trees import text_of
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.schema import Value, members
from flowstorm_channel.ssml import escape, plain
from flowstorm_channel.testing.alexa import ECHO, ECHO_SHOW, FIRST_ECHO_SHOW, AlexaPeer
from flowstorm_channel.testing.strategies import json_maps, texts, values
from flowstorm_channel.values import (
    Gender,
    InputClass,
    InputClassType,
    Location,
    Response,
    ResponseItem,
    Transcript,
    TtsConfig,
    Word,
)
from tests.depth import examples

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
CODEC = JsonCodec()
AMAZON = DefaultSerializer()
DEVICES = {"echo": ECHO, "show": ECHO_SHOW, "first show": FIRST_ECHO_SHOW, "nothing": {}}


def read(tree):
    return CODEC.value_of(AlexaRequest, CODEC.decode_tree(json.dumps(tree).encode()))


def of_amazon(envelope):
    """What a library of Amazon's says, on its way through our reader."""
    return read(AMAZON.serialize(envelope))


def through_amazon(message, kind):
    """A message as that library understands it, and what it would send for it."""
    tree = message if isinstance(message, dict) else message.to_json()
    found = AMAZON.deserialize(json.dumps(tree), kind)
    return found, AMAZON.serialize(found)


def a_peer(device="echo", **kw):
    return AlexaPeer(lambda: NOW, interfaces=DEVICES[device], **kw)


def asked(sent):
    """The request that a peer has made."""
    head, body = sent
    assert head.method == "POST"
    return CODEC.value_of(AlexaRequest, CODEC.decode_tree(body))


def heard(*items, peer=None, sent=None, attributes=None, kw=None, **members):
    """What the user hears and sees of a response, and what was not sent."""
    peer = peer or a_peer()
    request = asked(sent or peer.launch())
    said, unsent = answer(
        Response(items=items, **members), request, session_attributes=attributes or {}, **kw or {}
    )
    body = text_of(said.to_json()).encode()
    assert through_amazon(said, ask_sdk_model.ResponseEnvelope)[1] == json.loads(body)
    return peer.take(200, body), unsent


# ------------------------------------------------------------ requests


def test_every_member_is_documented():
    classes = [each for each in vars(messages).values() if isinstance(each, type) and issubclass(each, Value)]
    documented = [each for each in classes if attrs.has(each) and each is not Location]
    assert len(documented) > 30
    assert all(each.doc for cls in documented for each in members(cls))


TEXTS = st.none() | texts
NUMBERS = st.none() | st.floats(-1000, 1000)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(timezone.utc))
RESOLUTIONS = st.builds(
    entityresolution.Resolutions,
    resolutions_per_authority=st.lists(
        st.builds(
            entityresolution.Resolution,
            authority=texts,
            status=st.builds(
                entityresolution.Status, code=st.sampled_from(list(entityresolution.StatusCode))
            ),
            values=st.lists(
                st.builds(
                    entityresolution.ValueWrapper,
                    value=st.builds(entityresolution.Value, name=texts, id=texts),
                ),
                max_size=2,
            ),
        ),
        max_size=2,
    ),
)
SLOTS = st.dictionaries(
    texts,
    st.builds(
        ask_sdk_model.Slot,
        name=texts,
        value=TEXTS,
        confirmation_status=st.sampled_from(list(ask_sdk_model.SlotConfirmationStatus)),
        resolutions=st.none() | RESOLUTIONS,
    ),
    max_size=3,
)
INTENT = st.builds(
    ask_sdk_model.Intent,
    name=texts,
    slots=st.none() | SLOTS,
    confirmation_status=st.sampled_from(list(ask_sdk_model.IntentConfirmationStatus)),
)
COMMON = {"request_id": texts, "timestamp": TIMES, "locale": st.sampled_from(["en-US", "de-DE", "ja-JP"])}
REQUEST = st.one_of(
    st.builds(ask_sdk_model.LaunchRequest, **COMMON),
    st.builds(ask_sdk_model.IntentRequest, **COMMON, intent=INTENT),
    st.builds(CanFulfillIntentRequest, **COMMON, intent=INTENT),
    st.builds(
        ask_sdk_model.SessionEndedRequest,
        **COMMON,
        reason=st.sampled_from(list(ask_sdk_model.SessionEndedReason)),
        error=st.none()
        | st.builds(
            ask_sdk_model.SessionEndedError,
            object_type=st.sampled_from(list(ask_sdk_model.SessionEndedErrorType)),
            message=TEXTS,
        ),
    ),
    st.builds(display.ElementSelectedRequest, **COMMON, token=texts),
    st.builds(
        apl.UserEvent, **COMMON, token=texts, arguments=st.lists(texts | st.integers(0, 9), max_size=3)
    ),
    st.builds(system.ExceptionEncounteredRequest, **COMMON),
)
USER = st.builds(ask_sdk_model.User, user_id=TEXTS, access_token=TEXTS)
APPLICATION = st.builds(ask_sdk_model.Application, application_id=TEXTS)
DEVICE = st.builds(
    ask_sdk_model.Device,
    device_id=TEXTS,
    supported_interfaces=st.builds(
        ask_sdk_model.SupportedInterfaces,
        alexa_presentation_apl=st.none()
        | st.builds(
            apl.AlexaPresentationAplInterface,
            runtime=st.none() | st.builds(apl.Runtime, max_version=st.sampled_from(["1.0", "2024.1"])),
        ),
        display=st.none() | st.builds(display.DisplayInterface),
        video_app=st.none() | st.builds(videoapp.VideoAppInterface),
    ),
)
CONTEXT = st.builds(
    ask_sdk_model.Context,
    system=st.none()
    | st.builds(
        system.SystemState,
        application=APPLICATION,
        user=st.none() | USER,
        device=st.none() | DEVICE,
        person=st.none() | st.builds(ask_sdk_model.Person, person_id=texts, access_token=TEXTS),
        api_endpoint=TEXTS,
        api_access_token=TEXTS,
    ),
    geolocation=st.none()
    | st.builds(
        geolocation.GeolocationState,
        timestamp=TEXTS,
        coordinate=st.none()
        | st.builds(
            geolocation.Coordinate,
            latitude_in_degrees=NUMBERS,
            longitude_in_degrees=NUMBERS,
            accuracy_in_meters=NUMBERS,
        ),
        altitude=st.none()
        | st.builds(geolocation.Altitude, altitude_in_meters=NUMBERS, accuracy_in_meters=NUMBERS),
        heading=st.none()
        | st.builds(geolocation.Heading, direction_in_degrees=NUMBERS, accuracy_in_degrees=NUMBERS),
        speed=st.none()
        | st.builds(
            geolocation.Speed, speed_in_meters_per_second=NUMBERS, accuracy_in_meters_per_second=NUMBERS
        ),
    ),
)
SESSION = st.builds(
    ask_sdk_model.Session,
    new=st.booleans(),
    session_id=texts,
    user=USER,
    application=APPLICATION,
    attributes=st.none() | json_maps(),
)
ENVELOPE = st.builds(
    ask_sdk_model.RequestEnvelope,
    version=st.just("1.0"),
    session=st.none() | SESSION,
    context=st.none() | CONTEXT,
    request=REQUEST,
)


def part(tree, *names):
    for name in names:
        tree = getattr(tree, name, None)
    return tree


@given(ENVELOPE)
@settings(max_examples=examples(60))
def test_a_request_of_amazons_library_says_the_same_here(theirs):
    ours = of_amazon(theirs)
    assert ours.kind == theirs.request.object_type
    assert ours.request_id == theirs.request.request_id
    assert ours.timestamp == theirs.request.timestamp.replace(tzinfo=None)
    assert ours.locale == theirs.request.locale
    state = part(theirs, "context", "system")
    users = [part(state, "user", "user_id"), part(theirs, "session", "user", "user_id"), ""]
    assert ours.user_id == next(filter(None, users), "")
    skills = [part(state, "application", "application_id")]
    skills += [part(theirs, "session", "application", "application_id"), ""]
    assert ours.application_id == next(filter(None, skills), "")
    assert ours.device_id == (part(state, "device", "device_id") or "")
    assert ours.access_token == part(state, "api_access_token")
    assert (ours.session is None) == (theirs.session is None)
    if theirs.session is not None:
        assert ours.session.new == theirs.session.new
        assert ours.session.session_id == theirs.session.session_id
        assert ours.session.attributes == (theirs.session.attributes or {})
        assert ours.session.user.access_token == theirs.session.user.access_token


@given(CONTEXT)
@settings(max_examples=examples(50))
def test_a_device_of_amazons_library_is_the_same_here(theirs):
    ours = read({"context": AMAZON.serialize(theirs), "request": {}})
    supported = part(theirs, "system", "device", "supported_interfaces")
    screen = part(supported, "alexa_presentation_apl")
    assert ours.supports("VideoApp") == (part(supported, "video_app") is not None)
    assert ours.has_screen == (screen is not None or part(supported, "display") is not None)
    version = part(screen, "runtime", "max_version") or "1.0"
    assert ours.apl_version == (None if screen is None else version)
    where = part(theirs, "geolocation")
    found = part(where, "coordinate")
    place = part(found, "latitude_in_degrees"), part(found, "longitude_in_degrees")
    if None in place:
        assert ours.location is None
    else:
        assert ours.location == Location(
            lat=place[0],
            lng=place[1],
            acc=where.coordinate.accuracy_in_meters,
            alt=part(where, "altitude", "altitude_in_meters"),
            alt_acc=part(where, "altitude", "accuracy_in_meters"),
            spd=part(where, "speed", "speed_in_meters_per_second"),
            spd_acc=part(where, "speed", "accuracy_in_meters_per_second"),
            hdg=part(where, "heading", "direction_in_degrees"),
            hdg_acc=part(where, "heading", "accuracy_in_degrees"),
        )


@given(INTENT)
@settings(max_examples=examples(50))
def test_an_intent_of_amazons_library_is_the_same_here(theirs):
    ours = read({"request": {"type": "IntentRequest", "intent": AMAZON.serialize(theirs)}})
    assert ours.intent == theirs.name
    assert ours.slots.keys() == (theirs.slots or {}).keys()
    for name, slot in (theirs.slots or {}).items():
        assert ours.slots[name].value == ((slot.value or "").strip() or None)
        assert ours.slots[name].confirmation_status == slot.confirmation_status.value


def resolved(name, code="ER_SUCCESS_MATCH"):
    known = {"status": {"code": code}, "values": [{"value": {"name": name, "id": "1"}}]}
    return {"resolutions": {"resolutionsPerAuthority": [{"status": {"code": "ER_SUCCESS_NO_MATCH"}}, known]}}


@pytest.mark.parametrize(
    ("tree", "slot"),
    [
        ({"value": "NYC", **resolved("New York")}, Slot(name="s", value="NYC", resolved="New York")),
        ({"value": "NYC", **resolved("x", "ER_SUCCESS_NO_MATCH")}, Slot(name="s", value="NYC")),
        (
            {
                "value": "NYC",
                "resolutions": {
                    "resolutionsPerAuthority": [{"status": {"code": "ER_SUCCESS_MATCH"}, "values": []}]
                },
            },
            Slot(name="s", value="NYC"),
        ),
        (
            {
                "slotValue": {
                    "type": "List",
                    "values": [{"value": "a", **resolved("A")}, {"value": "b ", **resolved("B")}],
                }
            },
            Slot(name="s", value="a b", resolved="A B"),
        ),
        (
            {"slotValue": {"type": "List", "values": [{"value": "a", **resolved("A")}, {"value": "b"}]}},
            Slot(name="s", value="a b"),
        ),
        (
            {"value": "a", "slotValue": {"type": "Simple", "value": "a"}, "confirmationStatus": "DENIED"},
            Slot(name="s", value="a", confirmation_status="DENIED"),
        ),
        ({"value": " \n"}, Slot(name="s")),
        ({"value": 5, "resolutions": [], "slotValue": {"values": 1}}, Slot(name="s")),
        (None, Slot(name="s")),
        ("x", Slot(name="s")),
    ],
)  # fmt: skip
def test_a_slot_is_what_was_said_and_what_the_model_calls_it(tree, slot):
    assert Slot.read("s", tree) == slot


@given(json_maps())
@example({"kind": "IntentRequest", "intent": {"name": 5, "slots": [1]}, "timestamp": {}, "locale": 1})
@example(
    {"kind": "IntentRequest", "intent": {"slots": {"a": None, "text": {"value": []}}}, "timestamp": 1e300}
)
@example({"kind": "Alexa.Presentation.APL.UserEvent", "arguments": {"0": "a"}, "token": []})
def test_whatever_a_request_is_about_it_can_be_asked(tree):
    request = read({"session": {}, "request": tree})
    assert request.request == tree
    for name in ("kind", "request_id", "timestamp", "locale", "intent", "slots", "touched", "reason"):
        assert isinstance(getattr(request, name), str | dict | None | datetime)
    assert request.error is None or request.error
    input_of(request)
    answer(Response(), request, session_attributes={})
    can_fulfill(request, Intents())


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"{}", "request"),
        (b"[]", ""),
        (b'{"request":5}', "request"),
        (b'{"request":{},"session":"x"}', "session"),
        (b'{"request":{},"context":{"System":{"device":[]}}}', "context.System.device"),
    ],
)
def test_what_is_no_request_is_refused(body, path):
    with pytest.raises(RemoteProtocolError) as refusal:
        CODEC.value_of(AlexaRequest, CODEC.decode_tree(body))
    assert refusal.value.path == path


def test_a_request_may_lack_nearly_everything():
    request = read({"request": {"type": "LaunchRequest"}})
    assert (request.version, request.session, request.locale, request.location) == ("1.0", None, None, None)
    assert (request.application_id, request.user_id, request.device_id) == ("", "", "")
    assert (request.access_token, request.apl_version, request.timestamp) == (None, None, None)
    assert not request.has_screen
    assert (request.reason, request.error) == (None, None)


def test_what_ended_a_session_can_be_read():
    peer = a_peer()
    peer.launch()
    request = asked(peer.end("ERROR", {"type": "INVALID_RESPONSE", "message": "no speech"}))
    assert (request.reason, request.error) == ("ERROR", "INVALID_RESPONSE: no speech")


def test_a_malformed_locale_is_told_but_not_held_against_alexa():
    assert read({"request": {"locale": "??"}}).locale.original == "??"


# ------------------------------------------------------------ inputs


def words(name, *said):
    return tuple(
        Word(text=text, classes=(InputClass(type=InputClassType.ENTITY, name=f"{'BI'[bool(index)]}-{name}"),))
        for index, text in enumerate(said)
    )


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (lambda peer: peer.launch(), "#intro"),
        (lambda peer: peer.say("what time is it"), "what time is it"),
        (lambda peer: peer.say(None), "#silence"),
        (lambda peer: peer.say(""), "#silence"),
        (lambda peer: peer.intent("MessageIntent"), "#silence"),
        (lambda peer: peer.intent("MessageIntent", city="Brno"), "Brno"),
        (lambda peer: peer.intent(""), "#silence"),
        (lambda peer: peer.stop(), "stop"),
        (lambda peer: peer.help(), "help"),
        (lambda peer: peer.intent("AMAZON.FallbackIntent"), "help"),
        (lambda peer: peer.intent("AMAZON.CancelIntent"), "stop"),
        (lambda peer: peer.intent("AMAZON.NavigateHomeIntent"), "stop"),
        (lambda peer: peer.intent("AMAZON.YesIntent", text="yep"), "yes"),
        (lambda peer: peer.intent("BookTable"), "#BookTable"),
        (lambda peer: peer.intent("AMAZON.SelectIntent"), "#AMAZON-SelectIntent"),
        (lambda peer: peer.intent("čaj?"), "#čaj-"),
        (lambda peer: peer.intent("BookTable", time="noon", people=None, day="on Sunday"), "noon on Sunday"),
        (lambda peer: peer.intent("BookTable", time="noon", text="a table at noon"), "a table at noon"),
        (lambda peer: peer.touch(3, " ", "buy", "x"), "buy"),
        (lambda peer: peer.touch(), "test"),
        (lambda peer: peer.request("Alexa.Presentation.APL.UserEvent"), "#touch"),
        (lambda peer: peer.request("Display.ElementSelected", token="item-1"), "item-1"),
        (lambda peer: peer.request("SessionEndedRequest"), "stop"),
    ],
    ids=[
        *("launch", "message", "missing", "empty", "no-slot", "other-slot", "no-name", "stop", "help"),
        *("fallback", "cancel", "home", "yes", "custom", "select", "odd-name", "slots", "text-slot"),
        *("touch", "touch-token", "touch-nothing", "element", "ended"),
    ],
)
def test_what_the_dialogue_hears(sent, text):
    request = asked(sent(a_peer("show")))
    assert input_of(request).text == text
    assert input_of(request).is_action == text.startswith("#")


@pytest.mark.parametrize(
    ("kind", "in_session", "how"),
    [
        ("LaunchRequest", True, Answering.ANSWER),
        ("LaunchRequest", False, Answering.NONE),
        ("IntentRequest", True, Answering.ANSWER),
        ("SessionEndedRequest", True, Answering.SILENT),
        ("CanFulfillIntentRequest", True, Answering.CAN_FULFILL),
        ("CanFulfillIntentRequest", False, Answering.CAN_FULFILL),
        ("AudioPlayer.PlaybackStarted", False, Answering.NONE),
        ("System.ExceptionEncountered", False, Answering.NONE),
        ("AlexaSkillEvent.SkillEnabled", False, Answering.NONE),
        ("Connections.Response", True, Answering.NONE),
        ("Later", True, Answering.NONE),
    ],
)
def test_how_a_request_is_answered(kind, in_session, how):
    request = asked(a_peer().request(kind, in_session=in_session))
    assert answering(request) is how
    assert (input_of(request) is None) == (how in (Answering.NONE, Answering.CAN_FULFILL))


def test_an_input_has_the_language_the_intent_and_the_client():
    peer = a_peer("show", locale="de_DE", location=Location(lat=50.1, lng=14.4, acc=8.0))
    said = input_of(asked(peer.say("hallo")))
    assert (said.locale, said.zone_id) == ("de-DE", "Europe/Paris")
    assert said.classes == (InputClass(type=InputClassType.INTENT, name="MessageIntent"),)
    assert (said.tokens, said.alternatives) == ((), ())
    assert said.attributes == {
        "clientType": "amazon-alexa:1.0",
        "clientScreen": True,
        "clientLocation": "lat=50.1,lng=14.4,acc=8.0",
    }


def test_an_input_may_come_without_language_intent_and_screen():
    said = input_of(read({"session": {}, "request": {"type": "LaunchRequest"}}), zone_id="Europe/Prague")
    assert (said.locale, said.zone_id, said.classes) == ("en-US", "Europe/Prague", ())
    assert said.attributes == {"clientType": "amazon-alexa:1.0"}


def test_slots_are_entities_with_what_the_model_calls_them():
    city = {"value": "the big apple", **resolved("New York")}
    said = input_of(asked(a_peer().intent("Fly", city=city, day="today")))
    assert said.text == "the big apple today"
    assert said.tokens == (*words("city", "the", "big", "apple"), *words("day", "today"))
    assert said.alternatives == (Transcript(text="New York today"),)


def test_a_skill_says_what_its_intents_say():
    intents = Intents(
        message="SayIntent", slot="words", texts={**INTENTS, "AMAZON.YesIntent": "ano", "Order": "I order"}
    )
    peer = a_peer(message="SayIntent", slot="words")
    assert input_of(asked(peer.say("hi")), intents).text == "hi"
    assert input_of(asked(peer.say(None)), intents).text == "#silence"
    assert input_of(asked(peer.intent("AMAZON.YesIntent")), intents).text == "ano"
    order = input_of(asked(peer.intent("Order", what="tea")), intents)
    assert (order.text, order.tokens) == ("I order", ())
    assert intents == Intents(message="SayIntent", slot="words", texts=dict(intents.texts))
    assert hash(intents)


def test_texts_of_intents_are_texts():
    with pytest.raises(TypeError, match="texts must name the texts of intents"):
        Intents(texts={"AMAZON.YesIntent": None})
    with pytest.raises(ValueError, match="not a known time zone"):
        input_of(asked(a_peer().launch()), zone_id="Nowhere")


# ------------------------------------------------------------ without a dialogue


def test_an_intent_is_promised_only_by_the_skill():
    peer = a_peer()
    for intents, verdict in ((Intents(), "NO"), (Intents(fulfils={"Order"}), "YES")):
        found = can_fulfill(asked(peer.can_fulfill("Order", what="tea")), intents)
        assert through_amazon(found, ask_sdk_model.ResponseEnvelope)[1] == found.to_json()
        assert peer.take(200, text_of(found.to_json()).encode()).body["response"] == {
            "canFulfillIntent": {
                "canFulfill": verdict,
                "slots": {"what": {"canUnderstand": verdict, "canFulfill": verdict}},
            }
        }


def test_nothing_is_an_answer_too():
    empty = {"version": "1.0", "sessionAttributes": {}, "response": {}}
    assert nothing().to_json() == empty
    peer = a_peer()
    request = asked(peer.request("AudioPlayer.PlaybackStarted", in_session=False))
    assert nothing(request).to_json() == empty
    assert not peer.take(200, json.dumps(empty).encode()).ended
    peer.attributes = {}
    again = read({"session": {"attributes": {"a": 1}}, "request": {"type": "Later"}})
    assert nothing(again).session_attributes == {"a": 1}


# ------------------------------------------------------------ responses

SPEECH = values(SsmlSpeech) | values(PlainTextSpeech)
DIRECTIVE = st.one_of(
    values(LaunchVideo).map(LaunchVideo.to_json),
    values(RenderDocument).map(RenderDocument.to_json),
    values(RenderTemplate).map(RenderTemplate.to_json),
    st.just({"type": "Dialog.Delegate"}),
    st.just({"type": "AudioPlayer.ClearQueue", "clearBehavior": "CLEAR_ALL"}),
)
FULFILMENT = st.builds(
    CanFulfillIntent,
    can_fulfill=st.sampled_from(["YES", "NO", "MAYBE"]),
    slots=st.none()
    | st.dictionaries(texts, st.just({"canUnderstand": "MAYBE", "canFulfill": "NO"}), max_size=2),
)
BODY = st.builds(
    ResponseBody,
    output_speech=st.none() | SPEECH,
    card=st.one_of(
        st.none(),
        *map(values, (SimpleCard, StandardCard, LinkAccountCard, AskForPermissionsConsentCard)),
    ),
    reprompt=st.none()
    | st.builds(Reprompt, output_speech=st.none() | SPEECH, directives=st.lists(DIRECTIVE, max_size=1)),
    directives=st.lists(DIRECTIVE, max_size=2),
    should_end_session=st.none() | st.booleans(),
    can_fulfill_intent=st.none() | FULFILMENT,
)


@given(st.builds(AlexaResponse, session_attributes=json_maps(), response=BODY))
@settings(max_examples=examples(60))
def test_a_response_goes_through_amazons_library_unchanged(ours):
    tree = ours.to_json()
    assert json.loads(text_of(tree)) == tree
    theirs, back = through_amazon(ours, ask_sdk_model.ResponseEnvelope)
    assert back == tree
    speech = ours.response.output_speech
    kinds = {SsmlSpeech: ui.SsmlOutputSpeech, PlainTextSpeech: ui.PlainTextOutputSpeech}
    assert type(theirs.response.output_speech) is kinds.get(type(speech), type(None))
    assert theirs.response.should_end_session is ours.response.should_end_session


def test_what_says_nothing_is_left_out():
    speech = PlainTextSpeech(text="a", play_behavior=PlayBehavior.REPLACE_ALL)
    body = ResponseBody(output_speech=speech, reprompt=Reprompt(), should_end_session=False)
    assert AlexaResponse(response=body).to_json() == {
        "version": "1.0",
        "sessionAttributes": {},
        "response": {
            "outputSpeech": {"type": "PlainText", "text": "a", "playBehavior": "REPLACE_ALL"},
            "reprompt": {},
            "shouldEndSession": False,
        },
    }
    assert RenderTemplate(template=BodyTemplate7(image=DisplayImage(sources=()))).to_json() == {
        "type": "Display.RenderTemplate",
        "template": {"type": "BodyTemplate7", "image": {}},
    }


def test_a_map_that_was_spoiled_is_refused():
    response = AlexaResponse()
    response.session_attributes["a"] = {1}
    with pytest.raises(TypeError, match="set is not a JSON value"):
        response.to_json()


# ------------------------------------------------------------ answers: speech


def voice(**kw):
    return TtsConfig(**{"provider": "Google", "locale": "en", "gender": Gender.FEMALE, "name": "A", **kw})


@pytest.mark.parametrize(
    ("items", "ssml"),
    [
        ([ResponseItem(text="Hi <b> & you.")], "Hi &lt;b&gt; &amp; you."),
        ([ResponseItem(text="One."), ResponseItem(text="Two.")], "One. Two."),
        ([ResponseItem(text="x", ssml="<speak>One<break/></speak>")], "One<break/>"),
        ([ResponseItem(text="a", ssml="<p>b")], "a"),
        ([ResponseItem(text="a", ssml=" \n"), ResponseItem(text="b", ssml="<speak/>")], "a"),
        ([ResponseItem(text="a"), ResponseItem(text="#volume", code="up"), ResponseItem(text=" ")], "a"),
        ([ResponseItem(text="#card", ssml="said <b>all the same</b>")], "said <b>all the same</b>"),
        (
            [ResponseItem(text="a", audio="https://h/a.mp3?x=1&y=2")],
            'a <audio src="https://h/a.mp3?x=1&amp;y=2"/>',
        ),
        ([ResponseItem(audio="soundbank://soundlibrary/a")], '<audio src="soundbank://soundlibrary/a"/>'),
        ([ResponseItem(audio="/a.mp3")], '<audio src="https://base/x/a.mp3"/>'),
        ([ResponseItem(text="a", tts_config=voice())], "a"),
        ([ResponseItem(text="a", tts_config=voice(amazon_alexa="Ivy"))], '<voice name="Ivy">a</voice>'),
        ([ResponseItem(text="a", tts_config=voice(provider="amazon"))], '<voice name="A">a</voice>'),
        ([ResponseItem(text="a", tts_config=voice(provider="Amazon", name=""))], "a"),
        (
            [ResponseItem(text="a", tts_config=voice(provider="Amazon", amazon_alexa='I"'))],
            '<voice name="I&quot;">a</voice>',
        ),
        (
            [ResponseItem(ssml='<voice name="B">a</voice>', tts_config=voice(amazon_alexa="Ivy"))],
            '<voice name="B">a</voice>',
        ),
    ],
    ids=range(16),
)
def test_what_alexa_says(items, ssml):
    found, _ = heard(*items, kw={"base_url": "https://base/x/", "reprompt": ""})
    assert found.ssml == f"<speak>{ssml}</speak>"
    assert not found.reprompt


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("What is your name?", "What is your name?"),
        ("Hello there. What is your name?", "What is your name?"),
        ("He said: “I do.” Do you think so?", "Do you think so?"),
        ("Do you want to see Dr. Smith?", "Do you want to see Dr. Smith?"),
        ("Fine. Go on?", "Fine. Go on?"),
        ("there is no end", "there is no end"),
        ("ようこそ。今日はどのようなご用件でしょうか、お聞かせくださいませんか。", None),
    ],
)
def test_the_last_sentence_is_said_again(text, again):
    found, _ = heard(ResponseItem(text="One. Two three four."), ResponseItem(text=text))
    assert found.reprompt == (text.partition("。")[2] if again is None else again)


def test_what_is_said_again_can_be_set_and_keeps_its_voice():
    item = ResponseItem(text="Well?", tts_config=voice(amazon_alexa="Ivy"))
    found, _ = heard(item, kw={"reprompt": "Still <there>?"})
    assert found.reprompt == "Still <there>?"
    reprompt = found.body["response"]["reprompt"]["outputSpeech"]["ssml"]
    assert reprompt == '<speak><voice name="Ivy">Still &lt;there&gt;?</voice></speak>'
    assert heard(ResponseItem(audio="https://h/a"))[0].reprompt == ""


@pytest.mark.parametrize(
    ("members", "ended"),
    [
        ({}, False),
        ({"session_ended": True}, True),
        ({"session_ended": True, "sleep_timeout": 60}, False),
        ({"sleep_timeout": 60}, False),
    ],
    ids=["goes-on", "ended", "sleeps", "timeout"],
)
def test_the_session_ends_when_the_dialogue_says_so(members, ended):
    peer = a_peer()
    found, unsent = heard(ResponseItem(text="Bye now, my dear."), peer=peer, attributes={"a": 1}, **members)
    assert (found.ended, found.listening, unsent) == (ended, not ended, ())
    assert found.reprompt == ("" if ended else "Bye now, my dear.")
    request = asked(peer.say("hi"))
    assert request.session.new is ended
    assert request.session.attributes == ({} if ended else {"a": 1})


def test_an_answer_with_nothing_in_it_ends_the_session():
    found, unsent = heard(ResponseItem(text="#volume"), kw={"reprompt": "Well?"})
    assert found.body["response"] == {"shouldEndSession": True}
    assert unsent == (("volume", "Alexa has no such command"),)


def test_nothing_is_answered_to_the_end_of_a_session():
    peer = a_peer()
    peer.launch()
    found, unsent = heard(ResponseItem(text="Bye"), peer=peer, sent=peer.end(), session_ended=True)
    assert found.body["response"] == {}
    assert found.ended
    assert unsent == (("response", "nothing may be answered to SessionEndedRequest"),)
    peer.launch()
    assert heard(ResponseItem(text="#x"), peer=peer, sent=peer.end())[1] == ()


@pytest.mark.parametrize(
    ("item", "unsent"),
    [
        (ResponseItem(text="a", ssml="<p>"), ("ssml", "it is not well-formed")),
        (ResponseItem(audio="http://h/a"), ("audio", "no address of HTTPS: http://h/a")),
        (ResponseItem(audio="/a"), ("audio", "a relative address without base_url")),
        (ResponseItem(image="data:image/png,A"), ("image", "no address of HTTPS: data:image/png,A")),
        (ResponseItem(image="https:///x"), ("image", "no address of HTTPS: https:///x")),
        (ResponseItem(image="https://h/a b"), ("image", "no address of HTTPS: https://h/a b")),
        (ResponseItem(image="https://h/" + "x" * 1991), ("image", "2001 characters of at most 2000")),
        (ResponseItem(audio="soundbank://x"), ("audio", "no address of HTTPS: soundbank://x")),
        (ResponseItem(video="http://h/v"), ("video", "no address of HTTPS: http://h/v")),
        (ResponseItem(video="https://h/v"), ("video", "the device plays none")),
        (ResponseItem(background="#ff0000"), ("background", "the device shows none")),
        (ResponseItem(background="data:x"), ("background", "no address of HTTPS: data:x")),
        (ResponseItem(text="#suggestions", code="{}"), ("suggestions", "Alexa has no such command")),
        (ResponseItem(text="#card"), ("card", "it has neither title nor text")),
        (ResponseItem(text="#card", code='{"title":5,"text":[]}'), ("card", "it has neither title nor text")),
        (ResponseItem(text="#card", code="[1]"), ("card", "it has neither title nor text")),
    ],
    ids=range(16),
)  # fmt: skip
def test_what_cannot_be_sent_is_told(item, unsent):
    found, told = heard(item, ResponseItem(text="More."))
    assert told == (unsent,)
    assert found.speech.endswith("More.")
    assert (found.card, found.image, found.video) == (None, None, None)


def test_an_answer_has_five_sounds():
    items = [ResponseItem(ssml="<audio src='https://h/0'/>" * 3)]
    items += [ResponseItem(audio=f"https://h/{number}") for number in range(3)]
    items += [ResponseItem(ssml="Else <audio src='https://h/0'>words</audio>.")]
    found, unsent = heard(*items)
    assert found.ssml.count("<audio") == 5
    assert found.speech.endswith("Else words.")
    assert unsent == (("audio", "more than 5 sounds"),) * 2


def test_sounds_of_ssml_are_fetched_by_https_too():
    item = ResponseItem(ssml="A <audio src='/a'/> b <audio src='http://h/a'>c</audio>")
    found, unsent = heard(item, kw={"base_url": "https://base"})
    assert found.ssml == '<speak>A <audio src="https://base/a"/> b c</speak>'
    assert unsent == (("audio", "no address of HTTPS: http://h/a"),)


# ------------------------------------------------------------ answers: cards, pictures, videos

CARD = ResponseItem(text="#card", code='{"title":"T","text":"line 1\\nline 2"}')
IMAGE = ResponseItem(text="Look.", image="/i.png?a=1&b=2")
VIDEO = ResponseItem(text="See.", video="https://h/v.mp4")
SIMPLE = {"type": "Simple", "title": "T", "content": "line 1\nline 2"}
BASE = {"base_url": "https://base"}


def directives(found):
    return [each["type"] for each in found.body["response"].get("directives", [])]


def test_a_card_is_a_simple_card():
    found, unsent = heard(CARD)
    assert found.card == SIMPLE
    assert (found.speech, found.ssml, unsent) == ("", None, ())


@pytest.mark.parametrize(
    ("code", "card"),
    [
        ('{"title":"T"}', {"title": "T"}),
        ('{"text":"x","more":1}', {"title": "Skill", "content": "x"}),
        ("just text", {"title": "Skill", "content": "just text"}),
        ('"a \\ud800"', {"title": "Skill", "content": "a ?"}),
    ],
)
def test_a_card_is_what_its_payload_says(code, card):
    found, _ = heard(ResponseItem(text="#card", code=code), kw={"title": "Skill"})
    assert found.card == {"type": "Simple", **card}


def test_only_the_first_of_each_is_shown():
    items = (CARD, CARD, IMAGE, ResponseItem(image="https://h/2"), VIDEO, ResponseItem(video="https://h/w"))
    found, unsent = heard(*items, peer=a_peer("show"), kw=BASE)
    assert (found.card["title"], found.video) == ("T", "https://h/v.mp4")
    assert unsent == tuple((each, "an answer has only one") for each in ("card", "image", "video"))


def test_the_first_that_can_be_shown_counts():
    items = (ResponseItem(image="data:x"), IMAGE, ResponseItem(text="#card"), CARD)
    found, unsent = heard(*items, peer=a_peer("show"), kw=BASE)
    assert (found.image, found.card) == ("https://base/i.png?a=1&b=2", SIMPLE)
    assert [each.part for each in unsent] == ["image", "card"]


def test_a_picture_is_a_document_where_there_is_apl():
    found, unsent = heard(CARD, IMAGE, peer=a_peer("show"), kw=BASE)
    assert (found.image, found.card, unsent) == ("https://base/i.png?a=1&b=2", SIMPLE, ())
    assert directives(found) == ["Alexa.Presentation.APL.RenderDocument"]
    assert found.listening


def test_a_document_needs_no_more_than_the_first_apl():
    peer = AlexaPeer(lambda: NOW, interfaces={"Alexa.Presentation.APL": {}})
    assert heard(IMAGE, peer=peer, kw=BASE)[0].image == "https://base/i.png?a=1&b=2"


@pytest.mark.parametrize("device", ["show", "first show"])
def test_what_is_behind_a_picture_is_shown(device):
    behind = ResponseItem(background="https://h/b")
    found, unsent = heard(behind, IMAGE, ResponseItem(background="red"), peer=a_peer(device), kw=BASE)
    assert unsent == ()
    assert "https://h/b" in json.dumps(found.body)
    assert found.image == "https://base/i.png?a=1&b=2"
    found, unsent = heard(ResponseItem(background="#123"), IMAGE, peer=a_peer(device), kw=BASE)
    assert unsent == ()
    assert ("#123" in json.dumps(found.body)) == (device == "show")


def test_a_background_may_stand_alone_where_there_is_apl():
    found, unsent = heard(ResponseItem(background="https://h/b"), peer=a_peer("show"))
    assert (found.image, unsent) == ("https://h/b", ())
    found, unsent = heard(ResponseItem(background="https://h/b"), peer=a_peer("first show"))
    assert (found.image, unsent) == (None, (("background", "the device shows none"),))


def test_a_picture_is_a_template_on_older_devices():
    found, _ = heard(IMAGE, peer=a_peer("first show"), kw={**BASE, "title": "Skill"})
    assert found.body["response"]["directives"] == [
        {
            "type": "Display.RenderTemplate",
            "template": {
                "type": "BodyTemplate7",
                "token": "flowstorm",
                "title": "Skill",
                "image": {"sources": [{"url": "https://base/i.png?a=1&b=2"}]},
            },
        }
    ]


def test_a_picture_is_on_the_card_where_there_is_no_screen():
    image = {"image": {"largeImageUrl": "https://base/i.png?a=1&b=2"}}
    standard = {"type": "Standard", "title": "T", "text": "line 1\nline 2", **image}
    found, unsent = heard(CARD, IMAGE, kw=BASE)
    assert (found.card, found.image, unsent) == (standard, "https://base/i.png?a=1&b=2", ())
    assert heard(IMAGE, kw=BASE)[0].card == {"type": "Standard", **image}


def test_a_video_leaves_open_whether_the_session_ends():
    found, unsent = heard(VIDEO, peer=a_peer("show"), kw={"title": "Skill"}, session_ended=True)
    assert (found.video, found.ended, found.listening, unsent) == ("https://h/v.mp4", False, False, ())
    assert "shouldEndSession" not in found.body["response"]
    assert "reprompt" not in found.body["response"]
    item = {"source": "https://h/v.mp4", "metadata": {"title": "Skill"}}
    assert found.body["response"]["directives"] == [{"type": "VideoApp.Launch", "videoItem": item}]


@pytest.mark.parametrize("device", ["show", "first show"])
def test_no_picture_is_shown_beside_a_video(device):
    found, unsent = heard(VIDEO, IMAGE, peer=a_peer(device), kw=BASE)
    assert directives(found) == ["VideoApp.Launch"]
    assert (found.card["type"], unsent) == ("Standard", ())


def test_a_host_may_have_the_device_do_more():
    more = {"type": "AudioPlayer.Stop"}, {"type": "GameEngine.StopInputHandler"}
    peer = a_peer("show")
    found, _ = heard(IMAGE, peer=peer, kw={**BASE, "directives": more[1:]})
    assert directives(found) == ["Alexa.Presentation.APL.RenderDocument", "GameEngine.StopInputHandler"]
    kw = {"session_attributes": {}, "directives": more, **BASE}
    found, _ = answer(Response(items=(IMAGE,)), asked(peer.say("a")), **kw)
    assert found.response.directives == more
    assert found.response.card.image.large_image_url == "https://base/i.png?a=1&b=2"
    found, _ = answer(Response(), asked(peer.say("a")), **kw)
    assert found.response.should_end_session is False
    with pytest.raises(TypeError):
        answer(Response(), asked(peer.say("a")), **{**kw, "directives": [{"type": {1}}]})


# ------------------------------------------------------------ answers: limits


def test_a_long_speech_is_cut_at_a_sentence():
    found, unsent = heard(*[ResponseItem(text="This is a sentence.")] * 500)
    assert unsent == (("speech", "10014 characters of at most 8000"),)
    assert 7950 < len(found.ssml) <= 8000
    assert found.speech.endswith("sentence.")


def test_a_long_reprompt_is_cut():
    found, unsent = heard(ResponseItem(text="a"), kw={"reprompt": "word " * 2000})
    assert len(found.body["response"]["reprompt"]["outputSpeech"]["ssml"]) <= 8000
    assert unsent == (("reprompt", "10015 characters of at most 8000"),)


def test_a_long_card_is_cut():
    code = json.dumps({"title": "t" * 10, "text": "word " * 2000})
    found, unsent = heard(ResponseItem(text="#card", code=code, image="https://h/i"))
    assert unsent == (("card", "10020 characters of at most 8000"),)
    assert len(found.card["text"]) == 8000 - 21
    code = json.dumps({"title": "t" * 9000, "text": "x"})
    found, unsent = heard(ResponseItem(text="#card", code=code))
    assert found.card == {"type": "Simple", "title": "t" * 8000}


def test_what_matters_least_goes_first():
    code = json.dumps({"title": "T", "text": "t" * 300})
    items = (
        ResponseItem(text="#card", code=code),
        ResponseItem(text="word " * 60, image=f"https://h/{'i' * 300}"),
        ResponseItem(text=f"Shall {'we ' * 100}go?"),
    )
    request = asked(a_peer("show").launch())
    stages = [[]]
    for total in range(3000, 0, -50):
        limits = AlexaLimits(total=total)
        said, unsent = answer(
            Response(items=items), request, session_attributes={}, limits=limits, base_url="https://h"
        )
        left_out = [each.part for each in unsent]
        assert left_out[-1:] == ["response"] or len(text_of(said.to_json()).encode()) <= total
        assert all("bytes of the whole answer of at most" in each.reason for each in unsent)
        shown = {directive["type"] for directive in said.response.directives}
        assert (said.response.card is None) == ("card" in left_out)
        assert (RenderDocument.TYPE not in shown) == ("image" in left_out)
        assert said.response.reprompt is None or "reprompt" not in left_out
        if left_out != stages[-1]:
            stages.append(left_out)
    order = ["card", "image", "reprompt", "speech", "response"]
    assert stages == [order[:number] for number in range(6)]


def test_a_video_goes_before_the_speech():
    video = ResponseItem(text="word " * 20, video=f"https://h/{'v' * 300}")
    found, unsent = heard(video, peer=a_peer("show"), kw={"limits": AlexaLimits(total=400)})
    assert [each.part for each in unsent] == ["reprompt", "video"]
    assert (found.speech, found.listening) == ("word " * 20, True)


def test_session_attributes_are_never_left_out():
    peer = a_peer(most_bytes=30_000)
    found, unsent = heard(ResponseItem(text="Hi"), peer=peer, attributes={"a": "x" * 25_000})
    assert [each.part for each in unsent] == ["reprompt", "speech", "response"]
    assert len(found.body["sessionAttributes"]["a"]) == 25_000
    with pytest.raises(TypeError, match="session_attributes"):
        heard(attributes={"a": {1}})


ADDRESSES = st.sampled_from(
    ["/a.png", "https://h/x?a=1&b=\"<'>", "https://h/" + "x" * 1995, "http://h/", "data:,", "x", "#fff", ""]
)
SSML = st.sampled_from(
    [
        "<speak>a. <break/>b</speak>",
        "<p>",
        "a & b",
        "<audio src='https://h/a'/>" * 3,
        "<speak/>",
        "<s>c</s>",
        " ",
    ]
)
ITEMS = st.builds(
    ResponseItem,
    text=texts
    | st.sampled_from(["One. Two? ", "#card", "#do", "word " * 1000, "漢字。" * 2000, "\x00<&>\ufffe"]),
    ssml=st.none() | SSML,
    image=st.none() | ADDRESSES,
    video=st.none() | ADDRESSES,
    audio=st.none() | ADDRESSES,
    background=st.none() | ADDRESSES,
    code=st.none() | st.sampled_from([f'{{"text":"{"x" * 9000}"}}', '{"title":"a"}', "x", "[", '"\\udc00"']),
    tts_config=st.none() | values(TtsConfig),
)  # fmt: skip


@given(
    st.lists(ITEMS, max_size=8),
    st.sampled_from(sorted(DEVICES)),
    st.booleans(),
    st.none() | st.sampled_from(["", "Well?"]),
    st.sampled_from(["", "Title"]),
)
@settings(max_examples=examples(60), deadline=None)
def test_every_response_makes_an_answer_that_alexa_takes(items, device, ended, reprompt, title):
    kw = {"reprompt": reprompt, "title": title, "base_url": "https://base"}
    found, unsent = heard(*items, peer=a_peer(device), session_ended=ended, kw=kw, attributes={"a": [1]})
    assert found.ended or found.video or not ended
    assert found.body["sessionAttributes"] == {"a": [1]}
    told = {each.part for each in unsent}
    if "speech" not in told:
        for each in items:
            assert (
                (each.ssml or "").strip() or each.command or plain(escape(each.text)).strip() in found.speech
            )
        assert not any(each.audio for each in items) or "<audio" in (found.ssml or "") or "audio" in told
    assert not any(each.image for each in items) or found.image or "image" in told or found.card
    assert not any(each.video for each in items) or found.video or "video" in told


# ------------------------------------------------------------ the device of the tests


def test_the_device_speaks_as_amazons_library_does():
    peer = a_peer("show", location=Location(lat=1.0, lng=2.0, alt=3.0, hdg=4.0, spd_acc=5.0))
    sent = [
        *(peer.launch(), peer.say("hi"), peer.touch("a"), peer.can_fulfill("I", a="b")),
        *(peer.end("ERROR", {"type": "INTERNAL_SERVICE_ERROR", "message": "m"}), peer.intent("I", a=None)),
        peer.request("AudioPlayer.PlaybackStarted", in_session=False, offsetInMilliseconds=1),
    ]
    for head, body in sent:
        assert head.header("content-type") == "application/json; charset=utf-8"
        tree = json.loads(body)
        theirs, back = through_amazon(tree, ask_sdk_model.RequestEnvelope)
        assert theirs.request.timestamp == NOW
        back["request"]["timestamp"] = tree["request"]["timestamp"]
        assert back == tree


def test_the_device_keeps_the_session():
    peer = a_peer()
    first = asked(peer.launch()).session
    assert (first.new, first.session_id, first.attributes) == (True, "test-session-1", {})
    taken = peer.take(200, b'{"version":"1.0","sessionAttributes":{"a":1},"response":{}}')
    assert (taken.ended, taken.listening, taken.speech) == (False, False, "")
    second = asked(peer.say("hi")).session
    assert (second.new, second.session_id, second.attributes) == (False, "test-session-1", {"a": 1})
    assert peer.take(200, b'{"version":"1.0","response":{"shouldEndSession":true}}').ended
    assert peer.session_id is None
    with pytest.raises(ValueError, match="no session to end"):
        peer.end()
    assert asked(peer.say("hi")).session.session_id == "test-session-2"
    assert asked(peer.request("AudioPlayer.PlaybackStopped", in_session=False)).session is None


def test_the_device_can_be_changed_and_signs():
    class Signer:
        def headers(self, body):
            return (("Signature-256", str(len(body))),)

    peer = AlexaPeer(lambda: NOW, device_id=None, access_token=None, signer=Signer(), url="/skill")
    head, body = peer.launch()
    assert (head.url, head.header("signature-256")) == ("/skill", str(len(body)))
    assert head.header("content-length") == str(len(body))
    request = asked((head, body))
    assert (request.device_id, request.access_token, request.location) == ("", None, None)
    peer.locale, peer.interfaces, peer.location = "cs-CZ", FIRST_ECHO_SHOW, Location(lat=1.0, lng=2.0)
    request = asked(peer.touch("element"))
    assert (request.locale, request.touched, request.location) == ("cs-CZ", "element", peer.location)


GOOD = {"outputSpeech": {"type": "SSML", "ssml": "<speak>hi</speak>"}, "shouldEndSession": False}
IMAGE_OF_APL = {"type": "Image", "source": "https://h/i"}
APL = {
    "type": "Alexa.Presentation.APL.RenderDocument",
    "token": "t",
    "document": {"type": "APL", "version": "1.8", "mainTemplate": {"items": [IMAGE_OF_APL]}},
}
LAUNCH = {"type": "VideoApp.Launch", "videoItem": {"source": "https://h/v"}}
TEMPLATE = {"type": "Display.RenderTemplate", "template": {"image": {"sources": [{"url": "https://h/i"}]}}}


def body_of(response, **envelope):
    return json.dumps({"version": "1.0", "response": response, **envelope}).encode()


def apl(**document):
    return {**GOOD, "directives": [{**APL, "document": {**APL["document"], **document}}]}


def ssml(text):
    return {**GOOD, "outputSpeech": {"type": "SSML", "ssml": text}}


def card(**members):
    return {**GOOD, "card": members}


@pytest.mark.parametrize(
    ("response", "speech", "image"),
    [
        (GOOD, "hi", None),
        ({**GOOD, "outputSpeech": {"type": "PlainText", "text": "a < b"}}, "a < b", None),
        (apl(), "hi", "https://h/i"),
        (apl(mainTemplate={"items": [{"type": "Text", "items": [IMAGE_OF_APL]}]}), "hi", "https://h/i"),
        (card(type="LinkAccount"), "hi", None),
        (card(type="AskForPermissionsConsent", permissions=["a"]), "hi", None),
    ],
    ids=range(6),
)
def test_the_device_takes_what_is_right(response, speech, image):
    peer = a_peer("show")
    peer.launch()
    taken = peer.take(200, body_of(response))
    assert (taken.speech, taken.image) == (speech, image)


REFUSED = [
    (b"[]", "it is an object"),
    (b"{", "it is no JSON"),
    (b"\xff", "it is no JSON"),
    (b'{"response":{}}', "version is a text"),
    (b'{"version":"1.0"}', "response is an object"),
    (body_of({}, sessionAttributes=[]), "sessionAttributes is an object"),
    (body_of({**GOOD, "shouldEndSession": "no"}), "shouldEndSession is true, false or omitted"),
    (body_of({"shouldEndSession": False}), "a session goes on only with something"),
    (body_of({**GOOD, "canFulfillIntent": {}}), "canFulfillIntent answers no other request"),
    (body_of({"outputSpeech": "hi"}), "outputSpeech is an object"),
    (body_of({"outputSpeech": {"type": "ssml"}}), "outputSpeech is PlainText or SSML"),
    (body_of({"outputSpeech": {"type": "PlainText", "ssml": "x"}}), "outputSpeech has its text"),
    (body_of(ssml("<speak>a & b</speak>")), "SSML is well-formed"),
    (body_of(ssml("hi")), "in one <speak>"),
    (body_of(ssml("<speak><speak>a</speak></speak>")), "in one <speak>"),
    (body_of(ssml(f"<speak>{'a' * 7986}</speak>")), "8001 characters of at most 8000"),
    (body_of(ssml(f"<speak>{'<audio src=https://h/a/>' * 6}</speak>".replace("''", "'"))), "SSML"),
    (body_of(ssml("<speak>" + "<audio src='https://h/a'/>" * 6 + "</speak>")), "6 sounds of at most 5"),
    (body_of(ssml("<speak><audio src='http://h/a'/></speak>")), "a sound is fetched by HTTPS"),
    (body_of({**GOOD, "reprompt": ssml("x")}), "SSML is well-formed"),
    (body_of(card(type="Other")), "no such card: Other"),
    (body_of(card(type="Simple", text="x")), "a Simple card has no text"),
    (body_of(card(type="Simple", title="x", content="y" * 8000)), "a card of 8001 characters"),
    (body_of(card(type="Standard", image={"largeImageUrl": "http://h/"})), "HTTPS is needed: http://h/"),
    (body_of(card(type="Standard", image={"largeImageUrl": "https://" + "x" * 2000})), "more than 2000"),
    (body_of({**GOOD, "directives": {}}), "directives are objects"),
    (body_of({**GOOD, "directives": [1]}), "directives are objects"),
    (body_of({**GOOD, "directives": [{}]}), "a directive has a type"),
    (body_of({**GOOD, "directives": [LAUNCH]}), "shouldEndSession is omitted"),
    (body_of({"directives": [{**LAUNCH, "videoItem": {}}]}), "HTTPS is needed: None"),
    (body_of({**GOOD, "directives": [TEMPLATE]}), "the device has no Display"),
    (body_of({"directives": [APL, LAUNCH]}), "a document stands beside no video"),
    (body_of({**GOOD, "directives": [{**APL, "token": ""}]}), "a document has a token"),
    (body_of(apl(type="ACSS")), "a document is of type APL"),
    (body_of(apl(version="2030.1")), "APL 2030.1, but the device knows 2024.3"),
    (body_of(apl(version="new")), "no version: new"),
    (body_of(apl(mainTemplate={})), "a document has a mainTemplate"),
    (
        body_of(apl(mainTemplate={"items": {"type": "Image", "source": "${payload.a.b}"}})),
        "HTTPS is needed: None",
    ),
    (body_of(GOOD, sessionAttributes={"a": "x" * 25000}), "bytes of at most 24576"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "rule"), REFUSED, ids=[rule for _, rule in REFUSED])
def test_the_device_refuses_what_alexa_refuses(body, rule):
    peer = a_peer("show")
    peer.launch()
    with pytest.raises(AssertionError, match="Alexa refuses the answer") as refusal:
        peer.take(200, body)
    assert rule in str(refusal.value)


def test_the_device_refuses_what_its_request_does_not_allow():
    peer = a_peer("first show")
    peer.launch()
    with pytest.raises(AssertionError, match="the status is 200, not 500"):
        peer.take(500, b"")
    with pytest.raises(AssertionError, match="an image has sources"):
        peer.take(200, body_of({"directives": [{**TEMPLATE, "template": {}}]}))
    peer.end()
    with pytest.raises(AssertionError, match="SessionEndedRequest is answered without outputSpeech"):
        peer.take(200, body_of(GOOD))
    peer.can_fulfill("Order")
    with pytest.raises(AssertionError, match="canFulfill is YES, NO or MAYBE"):
        peer.take(200, body_of({}))
    peer.request("AudioPlayer.PlaybackStarted", in_session=False)
    with pytest.raises(AssertionError, match="outside of sessions is answered without outputSpeech"):
        peer.take(200, body_of(GOOD))
    with pytest.raises(AssertionError, match="outside of sessions nothing ends"):
        peer.take(200, body_of({"shouldEndSession": True}))


@pytest.mark.parametrize(
    ("interfaces", "version"),
    [
        ({}, None),
        ({"Alexa.Presentation.APL": {}}, "1.0"),
        ({"Alexa.Presentation.APL": {"runtime": {"maxVersion": "2024.3"}}}, "2024.3"),
    ],
)
def test_the_version_of_apl(interfaces, version):
    device = {"deviceId": "d", "supportedInterfaces": interfaces}
    request = read({"context": {"System": {"device": device}}, "request": {}})
    assert request.apl_version == version
