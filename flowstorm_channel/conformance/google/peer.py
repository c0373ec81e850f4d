"""The kit as Google Assistant, in the versions of the Actions SDK (2) and of the Actions Builder (3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import attrs

from flowstorm_channel.conformance.drivers import ServerDriver
from flowstorm_channel.conformance.profile import Profile
from flowstorm_channel.conformance.verdicts import NotDeclared, Untestable, Violation
from flowstorm_channel.conformance.webhook import (
    Headers,
    Reply,
    Speech,
    Tree,
    WebhookCaller,
    at,
    dumped,
    loaded,
    members,
    objects,
)
from flowstorm_channel.testing.google import GooglePeer
from flowstorm_channel.testing.signing import GoogleSigner
from flowstorm_channel.wire import RequestHead

__all__ = ["END", "HEADERS", "VERSIONS", "Answer", "Assistant", "Bubble", "GoogleCaller", "version_of"]

PATH = "/google"
END = "actions.scene.END_CONVERSATION"
HEADERS = {"2": "authorization", "3": "google-assistant-signature"}
"""Where the token is, by version."""
VERSIONS: tuple[Literal["2", "3"], ...] = ("2", "3")

Change = Callable[[Tree], None]
Sent = tuple[RequestHead, bytes]


def version_of(request: Tree) -> str | None:
    """The version that a request is written in; None: it is none of Google's."""
    if "handler" in request and "session" in request:
        return "3"
    return "2" if "inputs" in request and "conversation" in request else None


@attrs.frozen(kw_only=True)
class Bubble:
    """One utterance of the assistant.

    Args:
        speech: what is said.
        text: what is shown.
        problem: what is wrong with its form; empty when nothing is.
    """

    speech: Speech
    text: str
    problem: str = ""

    @classmethod
    def read(cls, version: str, simple: Tree) -> Bubble:
        """Read a simpleResponse, or a firstSimple or lastSimple."""
        if version == "3":
            said, is_ssml, problem = simple.get("speech"), str(simple.get("speech")).startswith("<speak"), ""
        else:
            given = [name for name in ("ssml", "textToSpeech") if simple.get(name) is not None]
            said = simple.get(given[0]) if given else None
            is_ssml = given[:1] == ["ssml"]
            problem = "both ssml and textToSpeech stand in it" if len(given) > 1 else ""
        text = simple.get("displayText" if version == "2" else "text")
        if not isinstance(said, str) or not said.strip():
            problem, said = "nothing is said in it", ""
        speech = Speech.read(said) if is_ssml and said else Speech(text=said)
        return cls(speech=speech, text=text if isinstance(text, str) else "", problem=problem)


@attrs.frozen(kw_only=True)
class Answer:
    """What a webhook answered, with status 200.

    Args:
        version: of the request.
        reply: as it came.
    """

    version: str
    reply: Reply

    @property
    def tree(self) -> Tree:
        """All of it."""
        return self.reply.tree

    @property
    def ends(self) -> bool:
        """Whether the conversation is over."""
        if self.version == "3":
            return bool(at(self.tree, "scene", "next", "name") == END)
        return not self.tree.get("expectUserResponse", False)

    @property
    def rich(self) -> Tree:
        """What is said and shown, in version 2."""
        prompt = at(self.tree, "expectedInputs", 0, "inputPrompt", "richInitialPrompt")
        return members(prompt or at(self.tree, "finalResponse", "richResponse"))

    @property
    def prompt(self) -> Tree:
        """The same in version 3."""
        return members(self.tree, "prompt")

    @property
    def bubbles(self) -> list[Bubble]:
        """What is said."""
        if self.version == "3":
            found = [self.prompt.get(each) for each in ("firstSimple", "lastSimple")]
        else:
            found = [each.get("simpleResponse") for each in objects(self.rich, "items")]
        return [Bubble.read(self.version, each) for each in found if isinstance(each, dict)]

    @property
    def speech(self) -> Speech:
        """All that is said."""
        said = [each.speech for each in self.bubbles]
        problem = next((each.problem for each in said if each.problem), "")
        return Speech(text=" ".join(each.text for each in said), problem=problem)

    @property
    def text(self) -> str:
        """All that is shown in bubbles."""
        return " ".join(each.text for each in self.bubbles)

    @property
    def cards(self) -> list[tuple[str, Any]]:
        """What is shown beside them: kind and content of each."""
        if self.version == "3":
            return list(members(self.prompt, "content").items())
        items = objects(self.rich, "items")
        return [each for item in items for each in item.items() if each[0] != "simpleResponse"]

    @property
    def suggestions(self) -> list[str]:
        """The titles of the chips."""
        found = objects(self.prompt if self.version == "3" else self.rich, "suggestions")
        return [str(each.get("title")) for each in found]


class Assistant:
    """A user's assistant, and the user.

    Args:
        google: the service.
        version: of the protocol.
        screen: whether the device has one.
        key: of the application, in the address.
    """

    def __init__(self, google: GoogleCaller, version: Literal["2", "3"], *, screen: bool, key: str) -> None:
        self.google = google
        self.version: Literal["2", "3"] = version
        self.says = GooglePeer(version, url=PATH, key=key, screen=screen)
        """Makes the requests."""

    def post(self, sent: Sent, change: Change | None = None, *, ms: float | None = None) -> Reply:
        """Make a request, signed when the kit can.

        Args:
            sent: by `says`.
            change: what is otherwise in it.
            ms: how long the answer may take.
        """
        return self.send(sent, self.google.signed(self.version), change, ms=ms)

    def send(
        self, sent: Sent, headers: Headers, change: Change | None = None, *, ms: float | None = None
    ) -> Reply:
        """The same, with these headers."""
        tree = loaded(sent[1])
        if self.version == "3":
            tree["scene"] = {"name": "Talk", "slotFillingStatus": "UNSPECIFIED", "slots": {}}
        if change is not None:
            change(tree)
        reply = self.google.post(sent[0].url, dumped(tree), headers, ms=ms)
        if reply.status == 200:
            self._remember(reply.tree)
        return reply

    def _remember(self, tree: Tree) -> None:
        """Keep what the answer stores."""
        if self.version == "2":
            token, storage = tree.get("conversationToken"), tree.get("userStorage")
            self.says.token = token if isinstance(token, str) else None
            self.says.storage = storage if isinstance(storage, str) and storage else self.says.storage
        else:
            self.says.session_params.update(members(tree, "session", "params"))
            self.says.user_params.update(members(tree, "user", "params"))

    def ask(self, sent: Sent, change: Change | None = None, *, ms: float | None = None) -> Answer:
        """The same, for what has to be answered with 200.

        Raises:
            Violation: it is not.
        """
        reply = self.post(sent, change, ms=ms)
        if reply.status != 200:
            raise Violation(f"{self.what(sent)} has to be answered with status 200, got {reply.says}")
        return Answer(version=self.version, reply=reply)

    def what(self, sent: Sent) -> str:
        """What a request is, in few words."""
        tree = loaded(sent[1])
        intent = at(tree, "intent", "name") or at(tree, "inputs", 0, "intent")
        return f"{intent} of version {self.version}"

    def say(self, text: str, *, ms: float | None = None) -> Answer:
        """Say something.

        Raises:
            Violation: the answer has not status 200.
        """
        return self.ask(self.says.say(text), ms=ms)

    def launched(self) -> Assistant:
        """The same, with a conversation begun.

        Raises:
            Untestable: that did not work.
        """
        launch = self.google.arrange(lambda: self.ask(self.says.launch()))
        self.google.arranged(None if launch.ends else launch, "the first answer ended the conversation")
        return self


class GoogleCaller(WebhookCaller):
    """What checks of webhooks are given: Google Assistant."""

    def __init__(self, driver: ServerDriver, profile: Profile) -> None:
        super().__init__(driver, profile)
        self.signer = None if profile.google_signer is None else profile.google_signer()
        self._signed: dict[tuple[str, int], Headers] = {}
        self._works: tuple[Literal["2", "3"], ...] | None = None

    def assistants(self, *, screen: bool = True) -> Iterator[Assistant]:
        """A new one in each version that the webhook takes.

        Raises:
            NotDeclared: it takes signed requests only, and the kit cannot sign.
            Untestable: it takes none; or not the one that it claims to take.
        """
        self.able()
        if self._works is None:
            self._works = tuple(each for each in self.tried() if self._answers(each))
            if not self._works:
                raise Untestable("nothing is answered with status 200 in any version")
        for version in self._works:
            yield self.assistant(version, screen=screen)

    def launched(self, *, screen: bool = True) -> Iterator[Assistant]:
        """The same, with conversations begun."""
        return (each.launched() for each in self.assistants(screen=screen))

    def assistant(
        self, version: Literal["2", "3"], *, screen: bool = True, key: str | None = None
    ) -> Assistant:
        """A new one, for any request."""
        return Assistant(self, version, screen=screen, key=self.profile.key if key is None else key)

    def tried(self) -> list[Literal["2", "3"]]:
        """The versions that the webhook may take."""
        return [each for each in VERSIONS if f"google_v{each}" not in self.profile.denied]

    def able(self) -> None:
        """Go on only when the kit can make requests that the webhook takes.

        Raises:
            NotDeclared: it would have to sign them.
        """
        if self.signer is None and "signatures" in self.profile.declared:
            raise NotDeclared(
                "requests have to be signed by Google: let the webhook take unsigned ones to check this"
            )

    def _answers(self, version: Literal["2", "3"]) -> bool:
        assistant = self.assistant(version)
        reply = self.arrange(lambda: assistant.post(assistant.says.launch()))
        if reply.status != 200 and f"google_v{version}" in self.profile.declared:
            raise Untestable(f"version {version} is declared, and a launch is answered with {reply.says}")
        return reply.status == 200

    def signed(self, version: Literal["2", "3"]) -> Headers:
        """The headers by which the webhook takes a request for Google's."""
        if self.signer is None:
            return ()
        now = self.time()
        asked = version, int(now.timestamp())  # a token is good for a while
        if asked not in self._signed:
            self._signed[asked] = self.signer.headers(2 if version == "2" else 3, now)
        return self._signed[asked]

    def post(self, url: str, body: bytes, headers: Headers = (), *, ms: float | None = None) -> Reply:
        """Make a request.

        Args:
            url: with the key of the application.
            body: of it.
            headers: beside those that say what the body is.
            ms: how long the answer may take.
        """
        usual = (("Content-Type", "application/json;charset=UTF-8"), ("Content-Length", str(len(body))))
        return self.exchange(RequestHead(method="POST", url=url, headers=(*usual, *headers)), body, ms=ms)

    # -------------------------------------------------------- signatures

    def verifying(self) -> None:
        """Go on only when the webhook takes no request that is not signed.

        Raises:
            NotDeclared: it takes one; or Untestable, when it claims not to.
        """
        self.assume("signatures", self.first_taken(lambda _: ()) is None, "an unsigned request is taken")

    def first_taken(self, headers: Callable[[str], Headers]) -> str | None:
        """The first version in which a launch is answered like one of Google's; None: there is none.

        Args:
            headers: that say who asks, by version.
        """
        for version in self.tried():
            assistant = self.assistant(version)
            if assistant.send(assistant.says.launch(), headers(version)).status == 200:
                return version
        return None

    def with_token(self, token: str) -> str | None:
        """The same with a token at its place."""
        return self.first_taken(lambda version: ((HEADERS[version], token),))

    def signing(self) -> GoogleSigner:
        """What signs for Google.

        Raises:
            NotDeclared: the kit has nothing that the webhook would trust.
        """
        if self.signer is None:
            raise NotDeclared("the kit has no key that the webhook trusts")
        return self.signer

    def stranger(self) -> str:
        """A token that somebody else has signed, in the name of the kit's key when there is one.

        Raises:
            NotDeclared: the kit cannot sign at all.
        """
        project, kid = (
            ("conformance", "conformance") if self.signer is None else (self.signer.project, self.signer.kid)
        )
        try:
            other = GoogleSigner(project, kid="stranger")
        except ImportError as error:
            raise NotDeclared(str(error)) from None
        issued = int(self.time().timestamp())
        claims = {"iss": "https://accounts.google.com", "aud": project, "nbf": issued, "iat": issued}
        return other.sign({**claims, "exp": issued + 3600, "jti": "stranger"}, kid=kid)
