"""V2 servers that misread the head of a request, of the kinds that real ones have been."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar
from urllib.parse import urlsplit

import attrs

from flowstorm_channel.conformance.socket_v2.broken_servers.faults import (
    OTHER,
    Faulty,
    fault,
    having,
    query_of,
    with_query,
    without,
)
from flowstorm_channel.events import Event, InputEvent
from flowstorm_channel.socket_v2 import bodies
from flowstorm_channel.socket_v2.bodies import Form, Writer
from flowstorm_channel.wire import Close, CloseCode, Message, RequestHead, ResponseHead

__all__: list[str] = []


# ------------------------------------------------------------ who asks, and how


@fault("reads-only-the-query")
class _ReadsOnlyTheQuery(Faulty):
    """Looks for key and device id in the query only, as it is convenient for tests in a browser."""

    def _asked(self, head: RequestHead) -> RequestHead:
        return without(head, "X-Key", "X-DeviceId")


@fault("reads-only-headers")
class _ReadsOnlyHeaders(Faulty):
    """Does not look at the query."""

    def _asked(self, head: RequestHead) -> RequestHead:
        return with_query(head, ())


@fault("compares-header-names-letter-by-letter")
class _CaseSensitive(Faulty):
    """Finds a header only in the spelling of the documentation."""

    def _asked(self, head: RequestHead) -> RequestHead:
        strict = {"x-key": "X-Key", "x-deviceid": "X-DeviceId"}
        kept = [(name, value) for name, value in head.headers if strict.get(name.lower(), name) == name]
        return attrs.evolve(head, headers=kept)


@fault("lets-headers-win")
class _HeadersWin(Faulty):
    """Takes a header before the parameter of the query that says otherwise."""

    def _asked(self, head: RequestHead) -> RequestHead:
        there = {name.lower().removeprefix("x-") for name, _ in head.headers}
        return with_query(head, (pair for pair in query_of(head) if pair[0].lower() not in there))


@fault("knows-only-the-word-false")
class _OnlyFalse(Faulty):
    """Takes every flag for true that is not the word false."""

    def _asked(self, head: RequestHead) -> RequestHead:
        given = head.header("X-SendResponseItems")
        return head if given in (None, "false") else having(head, "X-SendResponseItems", "true")


@fault("takes-anonymous-requests")
class _TakesAnonymous(Faulty):
    """Makes up a key and a device id where they are missing."""

    def _asked(self, head: RequestHead) -> RequestHead:
        for name in ("X-Key", "X-DeviceId"):
            if head.header(name) is None:
                head = having(head, name, "anonymous")
        return head


@fault("ignores-the-time-zone")
class _IgnoresZone(Faulty):
    """Believes that all its users live in one time zone."""

    def _asked(self, head: RequestHead) -> RequestHead:
        return without(head, "X-TimeZone")


@fault("refuses-odd-languages")
class _RefusesOddLanguages(Faulty):
    """Refuses an Accept-Language that is no language, such as the star that HTTP libraries send."""

    def _open_request(self, head: RequestHead) -> None:
        if head.header("Accept-Language") == "*":
            self._reject(400, "Accept-Language is malformed")
        else:
            super()._open_request(head)


@fault("knows-no-post")
class _KnowsNoPost(Faulty):
    """Takes PUT only, though older clients say POST."""

    METHODS: ClassVar[tuple[str, ...]] = ("GET", "PUT")


@fault("does-not-say-what-is-allowed")
class _NoAllow(Faulty):
    """Refuses a method without an Allow."""

    def _answered_with(self, head: ResponseHead) -> ResponseHead:
        return without(head, "Allow")


@fault("is-strict-about-the-slash")
class _StrictSlash(Faulty):
    """Has nothing at the address with a slash at its end."""

    def _open_request(self, head: RequestHead) -> None:
        if urlsplit(head.url).path.endswith("/"):
            self._reject(404, "there is nothing here")
        else:
            super()._open_request(head)


# ------------------------------------------------------------ content types


@fault("compares-whole-content-types")
class _WholeTypes(Faulty):
    """Knows a media type only without parameters, in small letters."""

    def _asked(self, head: RequestHead) -> RequestHead:
        given = head.header("Content-Type") or ""
        plain = ";" not in given and given == given.lower()
        return head if plain else having(head, "Content-Type", OTHER)


@fault("knows-no-plain-slash-text")
class _NoPlainText(Faulty):
    """Does not know plain/text, the name that stands in the documentation."""

    def _asked(self, head: RequestHead) -> RequestHead:
        return having(head, "Content-Type", OTHER) if head.header("Content-Type") == "plain/text" else head


class _AnswersInJson(Faulty):
    FORM: ClassVar[Form]

    def _open_request(self, head: RequestHead) -> None:
        super()._open_request(head)
        if self._form is self.FORM:
            self._form = Form.JSON
            self._writer = Writer(Form.JSON)


@fault("answers-text-with-json")
class _TextAsJson(_AnswersInJson):
    """Answers everything with JSON, a line of text, too."""

    FORM = Form.TEXT


@fault("answers-msgpack-with-json")
class _PackedAsJson(_AnswersInJson):
    """Reads msgpack, but writes JSON."""

    FORM = Form.MSGPACK


@fault("takes-anything-for-json")
class _AnythingIsJson(Faulty):
    """Does not look at the Content-Type: what is none of the others is JSON."""

    def _asked(self, head: RequestHead) -> RequestHead:
        found = bodies.media_type_of(head.header("Content-Type"))
        known = bodies.body_form(found) is not None or bodies.is_audio(found)
        return head if known or head.method == "GET" else having(head, "Content-Type", "application/json")


# ------------------------------------------------------------ what is refused


@fault("answers-logs-with-200")
class _LogsAre200(Faulty):
    """Answers a request without an input like a turn, with 200 and nothing in it."""

    def _answered_with(self, head: ResponseHead) -> ResponseHead:
        return attrs.evolve(head, status=200) if head.status == 204 else head


@fault("refuses-with-200")
class _RefusesWith200(Faulty):
    """Tells a client that it refuses with an Error in a response of status 200."""

    def _answered_with(self, head: ResponseHead) -> ResponseHead:
        return attrs.evolve(head, status=200) if head.status == 403 else head


@fault("hangs-up-on-large-requests")
class _HangsUpOnLarge(Faulty):
    """Breaks the connection off when a request is too much for it."""

    def _given(self, message: Message) -> Iterable[Message]:
        too_much = isinstance(message, ResponseHead) and message.status in (413, 431)
        return (Close(CloseCode.ABNORMAL),) if too_much else super()._given(message)


@fault("lets-answers-be-cached")
class _Cached(Faulty):
    """Says nothing to caches."""

    def _answered_with(self, head: ResponseHead) -> ResponseHead:
        return without(head, "Cache-Control")


@fault("takes-a-second-input")
class _TakesSecondInput(Faulty):
    """Drops a second Input in the body of a request, and answers the first."""

    def _take(self, event: Event) -> None:
        if not (isinstance(event, InputEvent) and self._typed):
            super()._take(event)
