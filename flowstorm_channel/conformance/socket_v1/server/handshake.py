"""How a conversation with a V1 server begins: the WebSocket, Init and Ready."""

from __future__ import annotations

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.frames import Frame
from flowstorm_channel.conformance.socket_v1.peer import BLOCK, Conversation, V1Caller, name
from flowstorm_channel.conformance.socket_v1.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation
from flowstorm_channel.values import INTRO
from flowstorm_channel.wire import ResponseHead

__all__: list[str] = []


def node(key: str, device_id: str) -> Frame:
    """The Init of the Node client of 2022: it names everything twice."""
    config = {
        "tts": "None",
        "sttSampleRate": 44100,
        "ttsFileType": "mp3",
        "locale": "en",
        "zoneId": "UTC",
        "sendResponseItems": True,
        "sttInterimResults": True,
    }
    names = {"key": key, "appKey": key, "deviceId": device_id, "sender": device_id}
    return {"type": "Init", **names, "config": config}


def kotlin(key: str, device_id: str) -> Frame:
    """An Init in the manner of the Kotlin client: every setting is there."""
    config = {
        "locale": "en_US",
        "zoneId": "Europe/Prague",
        "stt": True,
        "sttMode": "SingleUtterance",
        "sttSampleRate": 16000,
        "tts": "None",
        "ttsFileType": "mp3",
        "returnSsml": False,
        "silenceTimeout": 5000,
        "test": False,
        "sendResponseItems": False,
        "sttInterimResults": False,
    }
    return frames.init(key=key, device_id=device_id, **config)


def refused(server: V1Caller, talk: Conversation) -> Frame:
    """Send an Init that the server must refuse."""
    key = server.profile.refused_key
    server.assume("refuse", key is not None, "the profile names no key that is refused")
    talk.send(frames.init(key=str(key), device_id=talk.device_id))
    return talk.expect("Error")


def accepted(talk: Conversation, init: Frame, what: str) -> None:
    """Send an Init that has to be accepted."""
    talk.send(init)
    found = talk.receive()
    if found is None or found["type"] != "Ready":
        raise Violation(f"{what} was answered with {name(found)}, not with Ready")


# ------------------------------------------------------------ the WebSocket


@check()
def the_path_may_end_with_a_slash(server: V1Caller) -> None:
    """Opens a WebSocket at the path of the server, then at the same path with a slash behind it."""
    server.connect()
    _, head = server.handshake(path="/socket/")
    if not isinstance(head, ResponseHead) or head.status != 101:
        raise Violation(f"the path with a slash behind it was answered with {head!r:.120}")


@check()
def no_subprotocol_is_chosen_that_was_not_offered(server: V1Caller) -> None:
    """Opens a WebSocket without offering a subprotocol: the answer has to name none."""
    _, head = server.handshake()
    server.arranged(head, "the handshake was not answered")
    chosen = head.header("Sec-WebSocket-Protocol") if isinstance(head, ResponseHead) else None
    if chosen is not None:
        raise Violation(f"the server chose the subprotocol {chosen!r}; a browser gives the connection up")


# ------------------------------------------------------------ Init


@check()
def init_is_answered_with_ready(server: V1Caller) -> None:
    """Sends Init, and waits for Ready."""
    talk = server.connect()
    talk.introduce()
    talk.expect("Ready")


@check()
def the_inits_of_real_clients_are_accepted(server: V1Caller) -> None:
    """Sends Init as the Node client of 2022 does, and one in the manner of the Kotlin client."""
    for make in (node, kotlin):
        talk = server.connect()
        accepted(talk, make(server.profile.key, talk.device_id), f"the Init of a client ({make.__name__})")


@check()
def other_names_of_key_and_device_are_understood(server: V1Caller) -> None:
    """Sends Init with `appKey` and `sender` in the place of `key` and `deviceId`."""
    talk = server.connect()
    init = {"type": "Init", "appKey": server.profile.key, "sender": talk.device_id, "config": {}}
    accepted(talk, init, "an Init with appKey and sender")


@check()
def what_init_does_not_say_has_a_default(server: V1Caller) -> None:
    """Sends Init without `config`, with an empty one, and with members that are null."""
    nothing = dict.fromkeys(("locale", "zoneId", "ttsConfig", "voice", "sttMode"))
    forms: tuple[Frame, ...] = ({}, {"config": {}}, {"config": None, "token": None}, {"config": nothing})
    for more in forms:
        talk = server.connect()
        init = {"type": "Init", "key": server.profile.key, "deviceId": talk.device_id, **more}
        accepted(talk, init, f"an Init with {more or 'no config'}")


@check()
def both_spellings_of_a_locale_are_understood(server: V1Caller) -> None:
    """Sends Init with `en_US` and with `en-US`, and then Inputs with the same."""
    for locale in ("en_US", "en-US"):
        talk = server.connect()
        init = frames.init(key=server.profile.key, device_id=talk.device_id, locale=locale)
        accepted(talk, init, f"an Init with the locale {locale}")
        talk.send(frames.said(INTRO, locale=locale))
        talk.answered(f"an Input with the locale {locale}")


@check()
def zones_are_names_or_offsets(server: V1Caller) -> None:
    """Sends Init with the zones `UTC`, `America/New_York` and `+02:00`."""
    for zone in ("UTC", "America/New_York", "+02:00"):
        talk = server.connect()
        init = frames.init(key=server.profile.key, device_id=talk.device_id, zoneId=zone)
        accepted(talk, init, f"an Init with the zone {zone}")


@check()
def an_init_that_names_no_key_is_an_error(server: V1Caller) -> None:
    """Sends Init without a key, and waits for Error."""
    talk = server.connect()
    talk.send({"type": "Init", "deviceId": talk.device_id, "config": {}})
    talk.expect("Error")


@check(needs=("refuse",))
def a_refused_init_is_answered_with_error(server: V1Caller) -> None:
    """Sends Init with the profile's refused key, and waits for Error."""
    refused(server, server.connect())


@check(needs=("refuse",))
def after_a_refusal_another_init_is_accepted(server: V1Caller) -> None:
    """Sends Init with the profile's refused key, and then with the right one on the same connection."""
    talk = server.connect()
    server.arrange(lambda: refused(server, talk))
    talk.introduce()
    talk.expect("Ready")


@check(timing=True, seconds=30)
def init_has_to_come_in_time(server: V1Caller) -> None:
    """Opens a WebSocket and says nothing: within thirty seconds comes Error, and a close with 1008."""
    talk = server.connect()
    talk.expect("Error", ms=31_000)
    closed = talk.expect("(closed)")
    if closed["code"] != 1008:
        raise Violation(f"closed with {closed['code']}, not 1008")


# ------------------------------------------------------------ what comes early


@check()
def an_input_before_init_is_an_error(server: V1Caller) -> None:
    """Sends an Input before Init: it is answered with Error, and Init is accepted all the same."""
    talk = server.connect()
    talk.say(INTRO)
    talk.expect("Error")
    talk.introduce()
    talk.expect("Ready")


@check()
def audio_before_init_is_dropped(server: V1Caller) -> None:
    """Sends a block of audio before Init: what comes next is Ready."""
    talk = server.connect()
    talk.send(b"\0" * BLOCK)
    talk.introduce()
    talk.expect("Ready")


@check()
def what_comes_before_ready_is_kept(server: V1Caller) -> None:
    """Sends an Input right behind Init: Ready comes, and then the answer."""
    talk = server.connect()
    talk.introduce()
    talk.say(INTRO)
    talk.expect("Ready")
    talk.answered("an Input that came before Ready")


@check()
def empty_frames_keep_the_connection_alive(server: V1Caller) -> None:
    """Sends empty binary frames before Init, before the first Input, and after the answer."""
    talk = server.connect()
    talk.send(b"")
    talk.introduce()
    talk.expect("Ready")
    talk.send(b"")
    talk.stays_quiet("an empty frame")
    server.arrange(lambda: talk.ask(INTRO))
    talk.send(b"")
    talk.stays_quiet("an empty frame")
    talk.goes_on("an empty frame")


# ------------------------------------------------------------ Init again


@check()
def init_again_is_answered_with_ready(server: V1Caller) -> None:
    """Sends Init again in mid-conversation, and waits for Ready."""
    talk = server.started()
    talk.introduce()
    talk.expect("Ready")


@check()
def init_again_replaces_the_settings(server: V1Caller) -> None:
    """Sends Init again, without `sendResponseItems`: the next answer has no single items."""
    talk = server.started(sendResponseItems=True)
    talk.introduce(sendResponseItems=False)
    server.arrange(lambda: talk.expect("Ready"))
    answer = server.arrange(lambda: talk.ask(server.profile.phrase("echo")))
    if "ResponseItem" in answer.kinds:
        raise Violation("single items came after an Init that does not ask for them any more")


@check(needs=("refuse",))
def a_refused_second_init_ends_the_session(server: V1Caller) -> None:
    """Sends the refused key in a second Init: Error comes, and the next Input begins another session."""
    talk = server.started()
    server.arrange(lambda: refused(server, talk))
    answer = talk.goes_on("a refused second Init")
    if answer.kinds[0] != "SessionStarted":
        raise Violation(f"the answer began with {answer.kinds[0]}, not with SessionStarted")
