"""Requests: all that is asked gets an answer, what is new too."""

from __future__ import annotations

import json
from functools import partial

from flowstorm_channel.conformance.google.peer import GoogleCaller
from flowstorm_channel.conformance.google.server.suite import check
from flowstorm_channel.conformance.verdicts import NotDeclared, Violation
from flowstorm_channel.conformance.webhook import Tree, at, loaded

# ------------------------------------------------------------ requests


@check()
def a_launch_is_answered(google: GoogleCaller) -> None:
    """Begins a conversation in each version that the webhook takes."""
    google.able()
    refused = {}
    for version in google.tried():
        assistant = google.assistant(version)
        reply = assistant.post(assistant.says.launch())
        if reply.status != 200:
            refused[version] = reply.says
    for version, says in refused.items():
        if f"google_v{version}" in google.profile.declared or len(refused) == len(google.tried()):
            raise Violation(f"a launch of version {version} has to be answered with status 200, got {says}")


@check(needs=("end",))
def words_reach_the_dialogue(google: GoogleCaller) -> None:
    """Says two things: the ending phrase ends the conversation, the other one does not."""
    for assistant in google.launched():
        if assistant.say(google.phrase("echo")).ends:
            raise Violation("the conversation ended at words that are not the ending phrase")
        answer = assistant.say(google.phrase("end"))
        google.claimed("end", answer.ends, "the conversation did not end at the ending phrase")


@check()
def cancel_ends_the_conversation(google: GoogleCaller) -> None:
    """Says goodbye: whatever is answered is the last."""
    for assistant in google.launched():
        sent = assistant.says.cancel()
        if not assistant.ask(sent).ends:
            raise Violation(f"the conversation goes on after {assistant.what(sent)}")


@check()
def silence_is_answered(google: GoogleCaller) -> None:
    """Says nothing, three times in a row; the third time is the last."""
    for assistant in google.launched():
        for _ in range(3):
            if assistant.ask(assistant.says.silence()).ends:
                break


@check()
def health_checks_are_answered(google: GoogleCaller) -> None:
    """Asks whether anybody is there, as Google does of itself."""
    for assistant in google.assistants():
        assistant.ask(assistant.says.health_check())


@check()
def other_intents_are_answered(google: GoogleCaller) -> None:
    """Chooses an option, gives a permission, and means something that the webhook does not know."""
    for assistant in google.launched():
        for intent in ("actions.intent.OPTION", "actions.intent.PERMISSION", "conformance.tomorrow"):
            assistant.ask(assistant.says.intent(intent, "yes"))


@check(needs=("echo",))
def words_are_read_as_utf8(google: GoogleCaller) -> None:
    """Says words beyond ASCII to a dialogue that repeats what it hears."""
    for assistant in google.launched():
        said = assistant.say("wave vlna vlnička příliš wave").speech.text
        if "vlna" not in said:
            raise NotDeclared("the dialogue does not repeat what it is told")
        if "vlnička příliš" not in said:
            raise Violation(f"'vlnička příliš' came back as {said!r:.200}")


# ------------------------------------------------------------ what is new, or not there


@check()
def unknown_members_are_ignored(google: GoogleCaller) -> None:
    """Puts members and capabilities that nobody knows into every part of a launch."""

    def grown(tree: Tree) -> None:
        for name in ("user", "conversation", "session", "surface", "device", "intent", "handler", "home"):
            if name in tree:
                tree[name]["conformance"] = {"tomorrow": [1, None, {"a": True}]}
        if "surface" in tree:
            tree["surface"]["capabilities"].append({"name": "actions.capability.TOMORROW"})
        else:
            tree["device"]["capabilities"].append("TOMORROW")
        tree["conformance"] = None

    for assistant in google.assistants():
        assistant.ask(assistant.says.launch(), grown)


@check()
def absent_members_are_missed_by_nobody(google: GoogleCaller) -> None:
    """Makes requests with only what has to be there: no scene, no home, no surface, nothing of the device."""

    def bare(tree: Tree) -> None:
        for name in ("surface", "availableSurfaces", "isInSandbox", "scene", "home"):
            tree.pop(name, None)
        tree["user"] = {"locale": "en-US"}
        tree["device"] = {}
        for each in tree.get("inputs", ()):
            each.pop("rawInputs")

    for assistant in google.launched():
        assistant.ask(assistant.says.say(google.phrase("echo")), bare)


@check()
def any_storage_is_taken(google: GoogleCaller) -> None:
    """Brings what somebody else has stored with the user: of another form, in version 2 no JSON at all."""

    def strange(tree: Tree) -> None:
        if "inputs" in tree:
            tree["user"]["userStorage"] = "{no JSON"
        else:
            tree["user"]["params"] = {"list": [1, None], "deep": {"a": {"b": False}}}

    for assistant in google.assistants():
        assistant.ask(assistant.says.launch(), strange)


@check()
def what_others_have_stored_is_kept(google: GoogleCaller) -> None:
    """Brings what somebody else has stored with the user: an answer that stores something keeps it."""
    for assistant in google.assistants():
        assistant.says.storage = json.dumps({"conformance": "kept"})
        assistant.says.user_params = {"conformance": "kept"}
        tree = google.arrange(partial(assistant.ask, assistant.says.launch())).tree
        stored = [] if "userStorage" not in tree else [loaded(str(tree["userStorage"]).encode())]
        params = at(tree, "user", "params")
        stored += [] if params is None else [params]
        for each in stored:
            if at(each, "conformance") != "kept":
                raise Violation(f"of {{'conformance': 'kept'}} there is left {each!r:.200}")
