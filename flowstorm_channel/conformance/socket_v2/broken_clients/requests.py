"""Broken in the heads and bodies of their requests."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

from flowstorm_channel.conformance.socket_v2.broken_clients.base import fault
from flowstorm_channel.events import BinaryEvent, Event, InitEvent, InputEvent
from flowstorm_channel.socket_v2 import SocketV2Client
from flowstorm_channel.socket_v2.requests import Request
from flowstorm_channel.wire import END, End, Message, RequestHead

__all__: list[str] = []


class _OtherHead(SocketV2Client):
    def _begin(
        self,
        method: str,
        content: str | None,
        cookie: str | None,
        body: Iterable[bytes | End] = (),
        *,
        logs: bool = False,
    ) -> Request:
        request = super()._begin(method, content, cookie, body, logs=logs)
        head, *rest = request.data_to_send()
        assert isinstance(head, RequestHead)
        for each in (self._head(head, logs=logs), *rest):
            request.put(each)
        return request

    @abstractmethod
    def _head(self, head: RequestHead, *, logs: bool) -> RequestHead:
        """The head as this client sends it."""


def _changed(head: RequestHead, name: str, value: str | None) -> RequestHead:
    """The head with another value of a header, or without it."""
    headers = [pair for pair in head.headers if pair[0] != name]
    if value is not None:
        headers.append((name, value))
    return RequestHead(method=head.method, url=head.url, headers=tuple(headers))


@fault("adds-logs-with-patch")
class _AddsLogsWithPatch(_OtherHead):
    """Sends logs with PATCH."""

    def _head(self, head: RequestHead, *, logs: bool) -> RequestHead:
        return RequestHead(method="PATCH", url=head.url, headers=head.headers) if logs else head


@fault("introduces-itself-on-puts-only")
class _IntroducesItselfOnPutsOnly(_OtherHead):
    """Sends its key with PUTs only, since it takes the cookie to be enough for a GET."""

    def _head(self, head: RequestHead, *, logs: bool) -> RequestHead:  # noqa: ARG002
        return head if head.method == "PUT" else _changed(head, "X-Key", None)


@fault("asks-for-duplex")
class _AsksForDuplex(_OtherHead):
    """Asks for a mode that V2 does not have."""

    def _head(self, head: RequestHead, *, logs: bool) -> RequestHead:  # noqa: ARG002
        return _changed(head, "X-SttMode", "Duplex")


@fault("sends-forms")
class _SendsForms(_OtherHead):
    """Leaves the Content-Type to its HTTP library, for which every body is that of a form."""

    def _head(self, head: RequestHead, *, logs: bool) -> RequestHead:  # noqa: ARG002
        form = "application/x-www-form-urlencoded"
        return head if head.method == "GET" else _changed(head, "Content-Type", form)


class _OtherWords(SocketV2Client):
    def _encode(self, event: Event) -> bytes:
        data = super()._encode(event)
        return self._words(data.decode()).encode() if isinstance(event, InputEvent) else data

    @abstractmethod
    def _words(self, text: str) -> str:
        """An Input as this client writes it."""


@fault("names-zones-as-windows-does")
class _NamesZonesAsWindowsDoes(_OtherWords):
    """Takes the name of its time zone from Windows."""

    def _words(self, text: str) -> str:
        return text.replace(f'"{self.init.config.zone_id}"', '"Central European Standard Time"')


@fault("writes-long-names")
class _WritesLongNames(_OtherWords):
    """Calls an event by the name of its class."""

    def _words(self, text: str) -> str:
        return text.replace('"Input"', '"InputEvent"')


@fault("writes-locales-with-a-hyphen")
class _WritesLocalesWithAHyphen(_OtherWords):
    """Writes the language of an Input as in HTTP headers."""

    def _words(self, text: str) -> str:
        return text.replace('"locale":"en"', '"locale":"en-US"')


@fault("says-init-first")
class _SaysInitFirst(SocketV2Client):
    """Begins every body with Init, as a V1 client begins a connection."""

    def _encode(self, event: Event) -> bytes:
        data = super()._encode(event)
        first = InitEvent(key=self.init.key, device_id=self.init.device_id)
        return self._writer.encode(first) + data if isinstance(event, InputEvent) else data


@fault("streams-behind-the-text")
class _StreamsBehindTheText(SocketV2Client):
    """Sends the audio that it still holds behind the text that was typed meanwhile."""

    def _transmit(self, event: Event, message: Message) -> None:
        put = self._put_request
        if isinstance(event, InputEvent) and put is not None and put.writing:
            put.put(self._encode(event))
            put.put(self._encode(BinaryEvent(data=bytes(320))))
            put.put(END)
        else:
            super()._transmit(event, message)
