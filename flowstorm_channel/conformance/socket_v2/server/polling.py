"""What a V2 server is checked for: the GET that reads what is recognised."""

from __future__ import annotations

from flowstorm_channel.conformance import frames
from flowstorm_channel.conformance.socket_v2 import bodies
from flowstorm_channel.conformance.socket_v2.exchange import QUIET, name
from flowstorm_channel.conformance.socket_v2.peer import INPUT_CLOSE, SOON, Streaming, V2Caller, fresh_id
from flowstorm_channel.conformance.socket_v2.server.suite import check
from flowstorm_channel.conformance.verdicts import Violation

__all__: list[str] = []


@check()
def a_get_needs_a_cookie(server: V2Caller) -> None:
    """Opens a GET without a cookie: that is refused with 400."""
    server.device().get().refused(400)


@check(timing=True, seconds=31)
def a_get_without_a_put_ends_with_204(server: V2Caller) -> None:
    """Opens a GET, and no PUT: after thirty seconds it ends with 204."""
    device = server.started()
    opened = server.now
    get = device.get()
    get.answer(204, 33_000)
    if server.now - opened < 28_000:
        raise Violation(f"it ended after {server.now - opened:.0f} ms")


@check()
def a_text_ends_the_get(server: V2Caller) -> None:
    """Opens a GET, and says something as text: the GET ends with 200, empty."""
    device = server.started()
    get = device.get()
    server.settle()
    device.ask(server.profile.phrase("echo"))
    if get.answer(200, SOON).frames:
        raise Violation(f"the GET brought {name(get.frames[0])}")


@check(needs=("long",))
def a_late_get_ends_soon(server: V2Caller) -> None:
    """Opens a GET while the answer comes: it ends with 200, empty, and the answer goes on."""
    device = server.started()
    put = server.long_answer(device)
    if device.get().answer(200, SOON).frames:
        raise Violation("the GET brought something, though nothing is recognised")
    put.turn()


@check(needs=("speech",))
def a_second_get_ends_the_first(server: V2Caller) -> None:
    """Opens another GET while it streams: the first ends, the second reads what is recognised."""
    talk = server.streaming()
    second = talk.device.get()
    if not talk.get.ended(SOON):
        raise Violation("there is another GET, and the first goes on")
    Streaming(talk.device, talk.put, second).recognise()
    talk.put.end()
    talk.put.turn()
    second.answer(200)


@check(needs=("speech",))
def a_stranger_reads_no_results(server: V2Caller) -> None:
    """Opens a GET from another device with the cookie of one that speaks: nothing comes on it."""
    talk = server.streaming()
    stranger = server.device()
    stranger.session = talk.device.session
    spy = stranger.get()
    server.settle()
    talk.recognise()
    talk.put.end()
    talk.put.turn()
    spy.poll()
    if spy.frames or (spy.over and not spy.failed):
        raise Violation(f"the GET of another device was answered with {spy}")
    talk.get.answer(200)


@check(needs=("speech",))
def a_lost_get_does_no_harm(server: V2Caller) -> None:
    """Breaks the GET off while it speaks: the PUT is recognised and answered."""
    server.hears()
    talk = server.streaming()
    talk.get.lose()
    server.settle()
    talk.put.speak()
    talk.put.end()
    talk.put.turn()


@check()
def a_lost_put_ends_its_get(server: V2Caller) -> None:
    """Breaks the PUT off that it streams in: the GET ends, and a new PUT is answered."""
    talk = server.streaming()
    talk.put.lose()
    if not talk.get.ended(SOON):
        raise Violation("the PUT is gone, and its GET goes on")
    talk.device.ask(server.profile.phrase("echo"))


@check()
def a_first_pair_meets_by_a_proposed_id(server: V2Caller) -> None:
    """Opens the first PUT and GET of a session with one proposed id: they belong together."""
    device = server.device()
    device.session = fresh_id()
    get = device.get()
    server.settle()
    put = device.put(bodies.binary(QUIET))
    put.write(INPUT_CLOSE)
    if not get.ended(SOON):
        raise Violation("the stream of the PUT is closed, and the GET goes on")
    get.answer(200)
    put.write(frames.said(server.profile.phrase("echo")))
    put.end()
    put.turn()
