"""A server of Socket V1 on bare sockets: one thread, `select`, and wsproto for the frames of WebSockets.

It is to be read. To be served to the world it lacks that a client who does not read is not waited for.

pip install flowstorm-channel wsproto
python sockets_server.py [port]
"""

import select
import socket
import sys

from wsproto import ConnectionType, WSConnection, events
from wsproto.connection import ConnectionState
from wsproto.utilities import ProtocolError

from flowstorm_channel import Close, InitEvent, InputEvent, RequestHead, ResponseHead, SocketV1Server


class Line:
    """One client: its socket, the machine of the WebSocket, and the machine of the channel."""

    def __init__(self, connection):
        self.socket, self.frames = connection, WSConnection(ConnectionType.SERVER)
        self.channel, self.pieces = SocketV1Server(), []

    def fileno(self):
        return self.socket.fileno()

    def receive(self):
        data = self.socket.recv(65536)
        self.frames.receive_data(data or None)
        for event in self.frames.events():
            match event:
                case events.Request():
                    self.channel.receive_data(RequestHead(url=event.target))
                case events.Message():
                    self.pieces.append(event.data)
                    if event.message_finished:
                        self.channel.receive_data(self.pieces[0][:0].join(self.pieces))
                        self.pieces.clear()
                case events.Ping():
                    self.socket.sendall(self.frames.send(event.response()))
                case events.CloseConnection():
                    if self.frames.state is ConnectionState.REMOTE_CLOSING:
                        self.socket.sendall(self.frames.send(event.response()))
                    self.channel.receive_data(Close(event.code, event.reason or ""))
        if not data:
            self.channel.receive_eof()

    def step(self):
        """What a host does, whatever has happened: act on the events, then send."""
        for event in self.channel.events():
            if isinstance(event, InitEvent):
                self.channel.ready()
            elif isinstance(event, InputEvent):
                self.channel.turn.say(f"You said {self.channel.turn.text}.")
                self.channel.turn.finish()
        for message in self.channel.data_to_send():
            self.socket.sendall(self.frames.send(self.frame(message)))

    def frame(self, message):
        match message:
            case str():
                return events.TextMessage(message)
            case bytes():
                return events.BytesMessage(message)
            case Close():
                return events.CloseConnection(message.code, message.reason)
            case ResponseHead(status=101):
                return events.AcceptConnection()
        return events.RejectConnection(status_code=message.status)


def serve(port):
    listener, lines = socket.create_server(("127.0.0.1", port)), set()
    print("Listening on ws://{}:{}/socket".format(*listener.getsockname()), flush=True)
    while True:
        times = [seconds for line in lines if (seconds := line.channel.timeout()) is not None]
        readable, _, _ = select.select([listener, *lines], [], [], min(times, default=None))
        for each in readable:
            if each is listener:
                lines.add(Line(listener.accept()[0]))
                continue
            try:
                each.receive()
            except (OSError, ProtocolError):
                each.channel.receive_eof()
        for line in tuple(lines):
            try:
                line.step()
            except (OSError, ProtocolError):
                line.channel.receive_eof()
            if line.channel.closed:
                lines.discard(line)
                line.socket.close()


if __name__ == "__main__":
    serve(int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
