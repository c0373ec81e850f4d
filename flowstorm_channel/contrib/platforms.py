"""What an application has to be told to answer Alexa, Google Assistant and phone calls of Twilio.

::

    app = ChannelApp(
        dialogue,
        alexa=Alexa(skill_ids=["amzn1.ask.skill.…"]),
        google=GoogleAssistant(project_ids=["my-project"]),
        twilio=Twilio(auth_token=os.environ["TWILIO_AUTH_TOKEN"], public_url="https://voice.example.com"),
    )

Requests are verified. To try things out without the platforms' keys, ``allow_unsigned=True`` says so by name;
then everybody who can reach the server can be anybody.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from flowstorm_channel.alexa import AlexaCertificates, AlexaServer
from flowstorm_channel.errors import RemoteProtocolError
from flowstorm_channel.google import GoogleAssistantServer, GoogleKeys
from flowstorm_channel.limits import Limits
from flowstorm_channel.sessions import Sessions
from flowstorm_channel.twilio import TwilioServer
from flowstorm_channel.twilio.signature import public_address
from flowstorm_channel.twilio.twiml import connect_stream
from flowstorm_channel.twilio.webhook import CallWebhook, answer_call
from flowstorm_channel.wire import RequestHead, ResponseHead

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from flowstorm_channel.alexa import AlexaOptions
    from flowstorm_channel.google import GoogleAssistantOptions

__all__ = ["Alexa", "GoogleAssistant", "Twilio"]

log = logging.getLogger("flowstorm_channel")


def _now() -> datetime:
    return datetime.now(timezone.utc)


class Alexa:
    """Answers skills of Amazon Alexa.

    Args:
        skill_ids: the application ids of the skills, all that are answered.
        allow_unsigned: requests are not verified, and without `skill_ids` any skill is answered: to try out.
        roots: certificates that are trusted, PEM; those of `certifi` by default.
        now: gives the time; requests must be of these minutes.
        options: see `AlexaServer`.

    Raises:
        ValueError: no skill is named.
        ImportError: the extra ``verify`` is not installed.
    """

    def __init__(
        self,
        *,
        skill_ids: Collection[str] = (),
        allow_unsigned: bool = False,
        roots: bytes | None = None,
        now: Callable[[], datetime] = _now,
        **options: Unpack[AlexaOptions],
    ) -> None:
        if isinstance(skill_ids, str) or not (_named(skill_ids) and (skill_ids or allow_unsigned)):
            raise ValueError("skill_ids must list the application ids of your skills")
        self._options = options
        self._skill_ids = frozenset(skill_ids) if skill_ids else None
        self._now = now
        self._certificates = (
            None if allow_unsigned else AlexaCertificates(_trusted() if roots is None else roots)
        )

    def channel(self, sessions: Sessions | None, **settings: Any) -> AlexaServer:
        """The machine of one request."""
        return AlexaServer(
            sessions,
            skill_ids=self._skill_ids,
            certificates=self._certificates,
            now=self._now,
            **self._options,
            **settings,
        )


class GoogleAssistant:
    """Answers actions of Google Assistant.

    Args:
        project_ids: the projects whose actions are answered.
        allow_unsigned: requests are not verified: to try out.
        now: gives the time; tokens expire.
        options: see `GoogleAssistantServer`.

    Raises:
        ValueError: no project is named.
        ImportError: the extra ``verify`` is not installed.
    """

    def __init__(
        self,
        *,
        project_ids: Collection[str] = (),
        allow_unsigned: bool = False,
        now: Callable[[], datetime] = _now,
        **options: Unpack[GoogleAssistantOptions],
    ) -> None:
        if isinstance(project_ids, str) or not (_named(project_ids) and (project_ids or allow_unsigned)):
            raise ValueError("project_ids must list your projects")
        self._options = options
        self._project_ids = frozenset(project_ids)
        self._now = now
        self._keys = None if allow_unsigned else GoogleKeys()

    def channel(self, sessions: Sessions, **settings: Any) -> GoogleAssistantServer:
        """The machine of one request."""
        return GoogleAssistantServer(
            sessions,
            project_ids=self._project_ids,
            keys=self._keys,
            now=self._now,
            **self._options,
            **settings,
        )


class Twilio:
    """Answers phone calls of Twilio: the webhook that asks what to do, and the call's audio.

    Args:
        auth_token: of the account; it signs what Twilio sends.
        public_url: where Twilio finds this server, such as ``https://voice.example.com``: what is signed is
            this and the path of the request. Proxies change what a server sees of its own address.
        allow_unsigned: nothing is verified, no `auth_token` is needed: to try out.
        error_audio: what a caller hears when an error ends the call, as for `Turn.say`.
        silence_timeout: milliseconds after the last word until the input is ``#silence``; 0: never.
        stream_url: of a call's audio, ``wss://…``, when another server takes it than the webhook.
        shared_keys: the secrets of shared keys by their ids, for accounts that sign with these.
        greet: is shown the webhook of each call that comes in, and returns the parameters of its stream, or
            None to reject the call; see `answer_call`.

    Raises:
        ValueError: something is missing, or is no such thing.
        TypeError: `greet` is a coroutine function.
        LocalProtocolError: the audio is nothing that can be played.
    """

    def __init__(
        self,
        *,
        auth_token: str | None = None,
        public_url: str | None = None,
        allow_unsigned: bool = False,
        error_audio: bytes | None = None,
        silence_timeout: int = 5000,
        stream_url: str | None = None,
        shared_keys: Mapping[str, str] | None = None,
        greet: Callable[[CallWebhook], Mapping[str, str] | None] | None = None,
    ) -> None:
        if public_url is None:
            raise ValueError("public_url must be the address at which Twilio finds this server")
        if auth_token is None and not allow_unsigned:
            raise ValueError("auth_token must be that of your Twilio account")
        if inspect.iscoroutinefunction(greet):
            raise TypeError("greet is called, not awaited: write it as `def`, not `async def`")
        self._public_url = public_url
        self._auth_token = None if allow_unsigned else auth_token
        if not all((shared_keys or {}).values()):
            raise ValueError("a shared key is empty: anybody could sign with it")
        self._error_audio = error_audio
        self._silence_timeout = silence_timeout
        self._stream_url = stream_url
        self._shared_keys = shared_keys
        self._greet = greet
        # What is wrong with these is told now, and not when the telephone rings.
        if stream_url is None and not public_url.lower().startswith(("https://", "wss://")):
            raise ValueError(f"public_url must begin with https://, not be {public_url!r}")
        self.channel()
        connect_stream(stream_url or public_address(public_url, RequestHead(url="/"), "wss"))

    def channel(self, **settings: Any) -> TwilioServer:
        """The machine of one call."""
        return TwilioServer(
            auth_token=self._auth_token,
            public_url=None if self._auth_token is None else self._public_url,
            shared_keys=self._shared_keys,
            error_audio=self._error_audio,
            silence_timeout=self._silence_timeout,
            **settings,
        )

    def answer(self, head: RequestHead, body: bytes, limits: Limits) -> tuple[ResponseHead, bytes]:
        """What Twilio is told about a call that comes in."""
        try:
            return answer_call(
                head,
                body,
                auth_token=self._auth_token,
                public_url=self._public_url,
                stream_url=self._stream_url,
                shared_keys=self._shared_keys,
                greet=self._greet,
                observe=_log_refusal,
                limits=limits,
            )
        except Exception:
            log.exception("a call cannot be answered")
            return ResponseHead(status=503), b""


def _named(ids: Collection[str]) -> bool:
    return all(each.strip() for each in ids)


def _log_refusal(error: RemoteProtocolError) -> None:
    log.warning("the webhook of a call is refused: %s", error)


def _trusted() -> bytes:
    try:
        import certifi
    except ImportError as error:
        raise ImportError("Alexa needs certifi: pip install 'flowstorm-channel[verify]'") from error
    return certifi.contents().encode()
