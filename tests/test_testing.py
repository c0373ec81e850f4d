"""What tests are written with: the clock by hand and the link in memory."""

import pytest

from flowstorm_channel import (
    Close,
    ConnectionFailedEvent,
    InitEvent,
    Limits,
    ReadyEvent,
    SocketV1Client,
    SocketV1Server,
    State,
)
from flowstorm_channel.testing import Link, ManualClock


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
