"""What a V2 server is checked for: who asks, and how."""

from __future__ import annotations

from flowstorm_channel.conformance.socket_v2 import bodies
from flowstorm_channel.conformance.socket_v2.exchange import Answer
from flowstorm_channel.conformance.socket_v2.peer import V2Caller
from flowstorm_channel.conformance.socket_v2.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation
from flowstorm_channel.values import INTRO

__all__: list[str] = []


@check()
def who_asks_may_stand_in_headers(server: V2Caller) -> None:
    """Sends key and device id as X-Key and X-DeviceId, and says something."""
    server.device().ask(INTRO)


@check()
def who_asks_may_stand_in_the_query(server: V2Caller) -> None:
    """Sends key and device id as parameters of the address, and says something."""
    device = server.device()
    device.ask(INTRO, names={}, query={"key": server.profile.key, "deviceId": device.device_id})


@check()
def header_names_are_taken_in_any_case(server: V2Caller) -> None:
    """Sends key and device id as x-key and X-DEVICEID, and says something."""
    device = server.device()
    device.ask(INTRO, names={"x-key": server.profile.key, "X-DEVICEID": device.device_id})


@check(needs=("echo",))
def the_query_wins_over_headers(server: V2Caller) -> None:
    """Asks for single items in a header, and for none in the query."""
    answer = server.echo(headers={"X-SendResponseItems": "true"}, query={"sendResponseItems": "false"})
    if answer.single_items:
        raise Violation("items came one by one, as the header says and not the query")


@check(needs=("echo",))
def flags_have_three_spellings(server: V2Caller) -> None:
    """Wants no single items, with each of the words false, 0 and no."""
    for word in ("false", "0", "no"):
        if server.echo(headers={"X-SendResponseItems": word}).single_items:
            raise Violation(f"items came one by one, though X-SendResponseItems says {word}")


@check()
def who_asks_has_to_be_named(server: V2Caller) -> None:
    """Leaves out the key, then the device id: each is refused with 400."""
    device = server.device()
    for missing in device.names:
        names = {each: value for each, value in device.names.items() if each != missing}
        device.say(INTRO, names=names).refused(400)


@check()
def an_unknown_zone_is_refused(server: V2Caller) -> None:
    """Comes from a time zone that there is not: that is refused with 400."""
    server.device().say(INTRO, headers={"X-TimeZone": "Mars/Base"}).refused(400)


@check()
def a_malformed_language_is_no_fault(server: V2Caller) -> None:
    """Says in Accept-Language what many HTTP libraries say there: a star."""
    server.device().ask(INTRO, headers={"Accept-Language": "*"})


@check()
def post_is_taken_as_put(server: V2Caller) -> None:
    """Says something in a POST."""
    server.device().ask(INTRO, method="POST")


@check()
def other_methods_are_refused(server: V2Caller) -> None:
    """Sends a DELETE: that is refused with 405 and an Allow that names GET and PUT."""
    found = server.device().say(INTRO, method="DELETE").refused(405)
    allowed = {each.strip().upper() for each in (found.head.header("Allow") or "").split(",")}
    if not {"GET", "PUT"} <= allowed:
        raise Violation(f"Allow is {found.head.header('Allow')!r}")


@check()
def a_slash_at_the_end_does_not_matter(server: V2Caller) -> None:
    """Says something at the address with a slash at its end, then without."""
    device = server.device()
    device.ask(INTRO, path="/client/")
    device.ask(server.profile.phrase("echo"), path="/client")


# ------------------------------------------------------------ content types


@check()
def content_types_may_have_parameters(server: V2Caller) -> None:
    """Names a charset in the Content-Type, in any case, of JSON and of text."""
    device = server.device()
    device.ask(INTRO, content_type="application/json; charset=utf-8")
    device.type(server.profile.phrase("echo"), content_type="Text/Plain;charset=UTF-8")


@check()
def plain_text_has_two_names(server: V2Caller) -> None:
    """Says something as plain/text."""
    server.device().type(INTRO, content_type="plain/text")


@check()
def the_answer_has_the_form_of_the_request(server: V2Caller) -> None:
    """Says something as JSON, then as plain text, and looks at the Content-Type of the answers."""
    device = server.device()
    _has_type(device.ask(INTRO), "application/json")
    found = device.type(server.profile.phrase("echo"))
    _has_type(found, "text/plain")
    parameter = (found.head.header("Content-Type") or "").partition(";")[2]
    if parameter.strip().lower().replace('"', "") != "charset=utf-8":
        raise Violation(f"the Content-Type is {found.head.header('Content-Type')!r}, with no charset=utf-8")


@check(needs=("msgpack",))
def msgpack_is_answered_with_msgpack(server: V2Caller) -> None:
    """Says something as msgpack: the answer is msgpack, too."""
    put = server.device().say(INTRO, content_type=bodies.MSGPACK)
    put.ended()
    server.assume("msgpack", not put.failed, f"application/msgpack was answered with {put}")
    _has_type(put.turn(), bodies.MSGPACK)


@check()
def an_unknown_content_type_is_refused(server: V2Caller) -> None:
    """Sends a form of HTML: that is refused with 415."""
    kind = "application/x-www-form-urlencoded"
    server.device().whole(body=b"text=hello", content_type=kind).refused(415)


def _has_type(found: Answer, media_type: str) -> None:
    given = bodies.media_type_of(found.head.header("Content-Type"))
    if given != media_type:
        raise Violation(f"the answer is {given or 'of no type'}, not {media_type}: {found}")
