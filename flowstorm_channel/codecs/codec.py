"""What the codecs share: fast at first, and once more with care for what is refused."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Generic, TypeVar

import attrs

from flowstorm_channel.codecs.compile import reader
from flowstorm_channel.codecs.dispatch import event_of
from flowstorm_channel.codecs.explain import read_event, read_object
from flowstorm_channel.codecs.faults import Fault
from flowstorm_channel.codecs.roads import FastRoad, leave_room, no_road
from flowstorm_channel.codecs.settings import Settings, within
from flowstorm_channel.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from flowstorm_channel.events import Event
from flowstorm_channel.limits import Limits
from flowstorm_channel.locales import Locale, check_zone
from flowstorm_channel.schema import Value

__all__ = ["Codec", "of_class"]

V = TypeVar("V", bound=Value)
In = TypeVar("In", bound=str | bytes)
Out = TypeVar("Out", bound=str | bytes)


class Codec(ABC, Generic[In, Out]):
    """Events to messages and back (events.md, "Codecs"): liberal in what it reads, strict in what it writes.

    Args:
        limits: what a message may be.
        locale: what an `Input` without one gets.
        zone_id: what an `Input` without one gets: Europe/Paris on V1, on V2 the request's (D-09, D-71).

    Raises:
        ValueError: the zone is unknown.
    """

    BINARY: ClassVar[bool]
    """Whether bytes are bytes in it, not base64."""
    REFUSALS: ClassVar[tuple[type[Exception], ...]] = (
        *(ValueError, TypeError, LookupError, StopIteration, OverflowError, RecursionError),
    )
    """What parsers and compiled functions raise for a message that is refused."""

    def __init__(self, limits: Limits, *, locale: str, zone_id: str) -> None:
        self.limits = limits = within(limits)
        self._settings = Settings(limits, Locale(locale), check_zone(zone_id), binary=self.BINARY)
        self._road: FastRoad | None = None
        self._detours: list[FastRoad] = []

    # -------------------------------------------------------- reading

    def decode(self, data: In) -> Event:
        """The event of one whole message.

        Raises:
            LimitExceeded: it is more than the limits allow.
            RemoteProtocolError: it is no event.
        """
        event = (self._road or self._decide())(data)
        return self._decode_otherwise(data) if event is None else event

    def _decode_otherwise(self, data: In) -> Event:
        for road in self._detours:
            if (event := road(data)) is not None:
                return event
        try:
            return event_of(self._parse(data), self._settings)
        except self.REFUSALS as error:
            refusal = self._explain(data, None, error)
        raise refusal

    def decode_value(self, cls: type[V], data: In) -> V:
        """The value of one whole message: a `Response`, a `ClientConfig` …

        Raises:
            LimitExceeded: it is more than the limits allow.
            RemoteProtocolError: it is no such value.
        """
        if issubclass(cls, Event):
            return of_class(cls, self.decode(data))
        read = reader(cls)
        try:
            value: V = read(self._parse(data), self._settings)
        except self.REFUSALS as error:
            refusal = self._explain(data, cls, error)
        else:
            return value
        raise refusal

    def _explain(self, data: In, cls: type | None, error: Exception) -> RemoteProtocolError:
        """Find out what is wrong, and where."""
        try:
            tree = self._parse_with_care(data)
            if cls is None:
                read_event(tree, self._settings)
            else:
                read_object(cls, tree, self._settings)
        except Fault as fault:
            return fault.error()
        except RecursionError:
            # The host itself has gone deep before it called.
            return LimitExceeded("nested too deep for this Python")
        return RemoteProtocolError(str(error) or "not a legal event")

    # -------------------------------------------------------- writing

    def encode(self, event: Event) -> Out:
        """The message for an event.

        Raises:
            LocalProtocolError: it cannot be sent.
        """
        try:
            return self._write_event(event)
        except self.REFUSALS as error:
            raise LocalProtocolError(f"{type(event).__name__} cannot be sent: {error}") from error

    def encode_value(self, value: Value) -> Out:
        """The message for a value.

        Raises:
            LocalProtocolError: the codec has no form for it.
        """
        if isinstance(value, Event):
            return self.encode(value)
        try:
            return self._write_value(value)
        except self.REFUSALS as error:
            raise LocalProtocolError(f"{type(value).__name__} cannot be sent: {error}") from error

    # -------------------------------------------------------- for the forms

    def _decide(self) -> FastRoad:
        """Look what is installed. Not before it is needed: it takes time to import."""
        exact = attrs.evolve(self._settings, exact=True)
        self._road, *self._detours = self._fast_roads(exact) if leave_room(self.limits) else (no_road,)
        return self._road

    @abstractmethod
    def _fast_roads(self, settings: Settings) -> Iterator[FastRoad]:
        """What may read an event that is plainly in order, the fastest first."""

    @abstractmethod
    def _parse(self, data: In) -> Any:
        """Dicts, lists and scalars; raises one of `REFUSALS` when it is nothing or too much."""

    @abstractmethod
    def _parse_with_care(self, data: In) -> Any:
        """The same, slower; raises `Fault` with the place."""

    @abstractmethod
    def _write_event(self, event: Event) -> Out:
        """The message for an event; raises one of `REFUSALS` when there is none."""

    @abstractmethod
    def _write_value(self, value: Value) -> Out:
        """The message for a value; raises one of `REFUSALS` when there is none."""


def of_class(cls: type[V], event: Event) -> V:
    """The event, when it is of that class.

    Raises:
        RemoteProtocolError: it is of another one.
    """
    if not isinstance(event, cls):
        raise RemoteProtocolError(f"{type(event).__name__} where {cls.__name__} was expected", path="type")
    return event
