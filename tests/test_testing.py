"""What tests are written with: the clock by hand and the link in memory."""

import pytest

from flowstorm_channel import (
    END,
    BinaryEvent,
    Close,
    ClosedEvent,
    ConnectionFailedEvent,
    InitEvent,
    InputEvent,
    Limits,
    ReadyEvent,
    RequestHead,
    ResponseEvent,
    ResponseHead,
    Sessions,
    SocketV1Client,
    SocketV1Server,
    SocketV2Client,
    SocketV2Server,
    State,
)
from flowstorm_channel.testing import HttpLink, Link, ManualClock


@pytest.fixture
def clock():
    return ManualClock(now=5.0)


def joined(clock, make_server, **settings):
    client = SocketV1Client("ws://x/socket", key="K", device_id="D", clock=clock, **settings)
    link = Link(client, make_server, clock)
    link.on_event["server"] = lambda event: isinstance(event, InitEvent) and link.server.ready()
    return link


def test_the_clock_goes_forward_only(clock):
    clock.advance(1.5)
    assert clock() == 6.5
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


def test_messages_stay_in_flight_until_they_are_delivered(clock):
    link = joined(clock, lambda: SocketV1Server(clock=clock))
    link.client.open()
    link.flush("client")
    assert len(link.to_server) == 1
    assert link.take_events("server") == []
    link.deliver("server")
    link.take_events("server")
    link.flush("server")
    assert (len(link.to_server), len(link.to_client)) == (0, 1)
    link.settle()
    assert list(link.events("client")) == [ReadyEvent()]


def test_without_a_server_nothing_can_be_told_or_sent(clock):
    link = joined(clock, lambda: None)
    assert link.take_events("server") == []
    link.flush("server")
    assert link.next_deadline() is None
    link.client.open()
    link.settle()
    assert [type(event) for event in link.events("client")] == [ConnectionFailedEvent]
    link.to_server.append("nobody gets it")
    link.deliver("server")
    assert not link.to_server


def test_a_refused_connection_is_tried_again_as_time_passes(clock):
    servers = [None, SocketV1Server(clock=clock)]
    link = joined(clock, lambda: servers.pop(0))
    link.client.open()
    link.advance(9)
    assert link.client.state is State.FAILED
    link.advance(2)
    assert link.client.state is State.SLEEPING
    assert clock() == 16.0


def test_a_new_connection_ends_the_one_before_it(clock):
    link = joined(clock, lambda: SocketV1Server(clock=clock, limits=Limits(queued_bytes=10_000)))
    link.client.open()
    link.settle()
    first = link.server
    link.client.receive_eof()
    link.advance(10)
    assert first.closed
    assert link.server is not first
    assert link.client.state is State.SLEEPING


def test_a_close_ends_both_ends(clock):
    link = joined(clock, lambda: SocketV1Server(clock=clock))
    link.client.open()
    link.settle()
    link.server.close(1001, "restart")
    link.settle()
    assert link.server.closed
    assert link.client.state is State.FAILED


def test_a_cut_without_a_server(clock):
    link = joined(clock, lambda: None)
    link.client.open()
    link.cut()
    link.settle()
    assert link.client.state is State.FAILED


def test_a_close_from_nobody(clock):
    link = joined(clock, lambda: SocketV1Server(clock=clock))
    link.client.open()
    link.settle()
    link.server = None
    link.to_client.append(Close(1001))
    link.deliver("client")
    link.take_events("client")
    assert link.client.state is State.FAILED


# ------------------------------------------------------------ requests


def http(clock, make_server=None, **settings):
    """A client and servers that accept it, and answer no text but ``hold``."""
    sessions = Sessions(clock=clock)
    client = SocketV2Client("http://x/client", key="K", device_id="D", clock=clock, **settings)
    link = HttpLink(client, make_server or (lambda: SocketV2Server(sessions, clock=clock)), clock)

    def serve(event):
        match event:
            case InitEvent():
                link.server.ready()
            case InputEvent() if link.server.turn.text != "hold":
                link.server.turn.say(link.server.turn.text)
                link.server.turn.finish()
            case BinaryEvent():
                link.server.stream.recognized(event.data.decode(), final=False)

    link.on_event["server"] = serve
    client.open()
    return link


def names(messages):
    return [message if isinstance(message, bytes) else type(message).__name__ for message in messages]


def test_a_request_is_delivered_message_by_message(clock):
    link = http(clock)
    link.client.say("hello")
    assert link.servers == ()
    link.flush("client")
    (server,) = link.servers
    assert (link.take_events("server"), server.state) == ([], State.CLOSED)
    head, message = link.deliver("server")
    assert message is head
    assert (head.method, head.url) == ("PUT", "http://x/client")
    assert [type(event) for event in link.take_events("server")] == [InitEvent]
    assert link.server is server
    head, message = link.deliver("server")
    assert isinstance(message, bytes)
    assert link.deliver("server") == (head, END)
    assert link.deliver("server") is None
    assert [type(event) for event in link.take_events("server")] == [InputEvent, ClosedEvent]
    assert link.deliver("client") is None
    link.flush("server")
    brought = []
    while (delivered := link.deliver("client")) is not None:
        assert delivered[0] is head
        brought.append(delivered[1])
    assert isinstance(brought[0], ResponseHead)
    assert brought[-1] is END
    assert link.servers == ()
    assert isinstance(link.take_events("client")[-1], ResponseEvent)
    assert link.client.state is State.RESPONDING


def test_what_happened_is_kept_in_order(clock):
    link = http(clock)
    link.client.say("hello")
    clock.advance(1)
    link.settle()
    assert [(step.at, step.by) for step in link.steps] == [(6.0, step.by) for step in link.steps]
    assert [step.by for step in link.steps[:4]] == ["client"] * 4  # Ready, head, body, end
    assert isinstance(link.steps[1].what, RequestHead)
    assert next(link.events("client")) == ReadyEvent()


def test_each_request_has_a_server_of_its_own(clock):
    link = http(clock)
    link.client.open_microphone()
    link.settle()
    put, get = link.servers
    assert put is not get
    link.client.send_audio(b"so")
    link.settle()
    assert [event.text for event in link.events("client") if hasattr(event, "text")] == ["so"]
    assert link.servers == (put, get)


def test_a_request_that_is_given_up_is_lost_at_the_server(clock):
    link = http(clock)
    link.client.say("hold")
    link.settle()
    (server,) = link.servers
    link.client.interrupt()
    assert not server.closed
    link.flush("client")
    assert (server.closed, link.servers) == (True, ())
    assert isinstance(list(link.events("server"))[-1], ClosedEvent)


def test_what_was_in_flight_is_lost_with_its_request(clock):
    link = http(clock)
    link.client.say("hello")
    link.flush("client")
    link.client.interrupt()
    link.settle()
    assert InputEvent not in [type(event) for event in link.events("server")]
    assert link.client.state is State.LISTENING


def test_a_refused_request(clock):
    link = http(clock, lambda: None)
    link.client.say("hello")
    link.settle()
    assert [type(event) for event in link.events("client")][-1] is ConnectionFailedEvent
    assert (link.client.state, link.servers) == (State.FAILED, ())


def test_all_requests_are_lost_at_once(clock):
    link = http(clock)
    link.client.open_microphone()
    link.settle()
    servers = link.servers
    link.cut()
    assert (link.servers, [server.closed for server in servers]) == ((), [True, True])
    link.settle()
    assert link.client.state is State.FAILED
    link.client.say("again")
    link.settle()
    assert link.client.state is State.RESPONDING


def test_a_server_may_break_a_request_off(clock):
    link = http(clock)
    link.client.say("hold")
    link.settle()
    (server,) = link.servers
    server.turn.say("so")
    link.settle()
    server.close(1001)
    link.settle()
    assert any(isinstance(step.what, Close) for step in link.steps if step.by == "server")
    assert [type(event) for event in link.events("client")][-1] is ConnectionFailedEvent
    assert (server.closed, link.servers, link.client.state) == (True, (), State.FAILED)


def test_time_stops_at_the_deadlines_of_all_ends(clock):
    link = http(clock)
    assert link.next_deadline() is None
    link.client.open_microphone()
    link.client.send_audio(b"so")
    link.settle()
    assert link.next_deadline() == 10.0  # five seconds of silence
    link.advance(60)
    assert clock() == 65.0
    assert [step.at for step in link.steps if isinstance(step.what, ResponseEvent)] == [10.0]


def test_a_server_that_does_not_want_the_rest_of_a_body(clock):
    link = http(clock)
    link.client.open_microphone()
    link.flush("client")
    put = link.servers[0]
    link.deliver("server")
    link.take_events("server")
    put.close(1001)
    link.advance(5)
    assert put.closed
    assert names(step.what for step in link.steps if step.by == "server").count("Close") == 0
    assert link.client.state is State.FAILED
