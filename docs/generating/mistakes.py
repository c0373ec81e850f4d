"""What goes wrong with each event in practice, as far as no table or class can tell it.

`MISTAKES` is written by hand: one sentence for what is done wrong, one for what holds instead. `FAULTS` adds
implementations of the conformance kit's proof to those whose name or text names the event itself.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Mistake:
    """One that was seen, or that the protocol invites.

    Args:
        by: ``client`` or ``server``: who makes it.
        wrong: what is done.
        right: what holds instead, with its source.
    """

    by: str
    wrong: str
    right: str


def client(wrong: str, right: str) -> Mistake:
    return Mistake("client", wrong, right)


def server(wrong: str, right: str) -> Mistake:
    return Mistake("server", wrong, right)


MISTAKES: dict[str, tuple[Mistake, ...]] = {
    "Input": (
        client(
            "Sends the words as `transcript`.",
            "`transcript` is an object; its member `text` has the words.",
        ),
        client(
            "Takes whatever comes after the second of two inputs for its answer.",
            "Count: each input gets exactly one Response or Error, in order (D-35).",
        ),
        client(
            "Sends it first after a reconnect, and so loses its session.",
            "Input names no session. While an id is held, the first input goes out as Request (D-56).",
        ),
        server(
            "Drops an input that was interrupted by the next one.",
            "It is closed by an empty Response; a client that waits for it would drop later answers (D-37).",
        ),
    ),
    "Request": (
        client(
            "Leaves out `attributes` when there are none.",
            "Older servers refuse that; send an empty object (D-65).",
        ),
        server(
            "Trusts the `appKey`, `deviceId` and `token` in it, since Init was accepted.",
            "Nobody compares them with Init; who goes by them has to check them (D-61).",
        ),
        server(
            "Hands out what is remembered of a session to whoever names its id.",
            "A proposed id is taken as a name and gives no right to a stored session (D-58).",
        ),
    ),
    "InputAudioStreamOpen": (
        client(
            "Sends audio right behind it.",
            "Audio counts from the server's acknowledgement on; what comes earlier is dropped (D-43).",
        ),
        client(
            "Sends it while it sleeps.",
            "The microphone opens in Listening; in Duplex in Processing, Responding and Paused, too.",
        ),
        server(
            "Acknowledges before its recogniser can take audio.",
            "It promises that no audio is lost from here on, and starts the silence clock (D-47).",
        ),
    ),
    "InputAudioStreamClose": (
        client(
            "Waits for an answer to it.",
            "There is none, and nothing is recognised any more: what was said so far is given up (D-44).",
        ),
        client(
            "Sends it to say that the user has finished a sentence.",
            "The recogniser hears the end by itself; go on sending audio until the final Recognized comes.",
        ),
        server(
            "Relies on it.",
            "Some clients never send it: a final result and an input close the stream as well (D-14).",
        ),
    ),
    "InputAudioStreamCancel": (
        server(
            "Sends what it has recognised so far.",
            "Nothing goes out on Cancel, as on Close; they differ only in what the host is told (D-44).",
        ),
        client(
            "Uses it to interrupt an answer that plays.",
            "It stops listening. An answer is interrupted by stopping its playback, and by the next input.",
        ),
    ),
    "InputStreamClose": (
        client(
            "Sends it on Socket V1, where the stream ends.",
            "There it is InputAudioStreamClose; this one is a fault (D-59).",
        ),
        client(
            "Ends the body behind it and waits for an answer.",
            "Recognition is over without a result. Send an Input behind it, or take the 204.",
        ),
    ),
    "RecognizedInput": (
        client(
            "Looks for `text`, as in Recognized of V1.",
            "The words are in `input.transcript.text`.",
        ),
        client(
            "Says the recognised text again, in a PUT of its own.",
            "The PUT that streamed brings the answer, behind the final result.",
        ),
        server(
            "Leaves out `isFinal` where it is true.",
            "Its default is false here, and true for Recognized: always send it (D-07).",
        ),
    ),
    "Recognized": (
        client(
            "Takes one without `isFinal` for an interim result.",
            "The default is true.",
        ),
        client(
            "Sends the final text back as an Input.",
            "The server has it: the answer to what was recognised follows by itself.",
        ),
        client(
            "Shows `#silence` as what the user said.",
            "It says that nothing was heard; an answer follows, which may ask again.",
        ),
        server(
            "Leaves out `isFinal` where it is true.",
            "Browser clients then leave their microphone open (D-07).",
        ),
        server(
            "Sends it behind the first part of the answer.",
            "The final result comes before everything that answers it.",
        ),
    ),
    "ResponseItem": (
        client(
            "Shows items of an interrupted turn.",
            "They belong to the oldest open turn; drop them until its Response has come (D-35).",
        ),
        client(
            "Reads a text such as `#volume` aloud.",
            "A text that is exactly `#name` is a command, `code` its argument (D-26).",
        ),
        client(
            "Waits for the end of a playback that never began.",
            "A command, or an item without text, sound or picture, leaves nothing to play (D-40).",
        ),
        server(
            "Sends it to a client that did not set `sendResponseItems`.",
            "Then all items go into the Response: older clients fail at events they do not know (D-06).",
        ),
        server(
            "Leaves out `text`, or sends null, where only an image is shown.",
            "The text is always there, if need be empty (D-07).",
        ),
    ),
    "Response": (
        client(
            "Takes it for the end of the turn.",
            "It says that nothing more will come. The turn ends when everything has been played.",
        ),
        client(
            "Drops the Response of an interrupted turn whole.",
            "It is not played, but `sessionEnded`, `sleepTimeout` and `locale` in it count.",
        ),
        client(
            "Takes `sessionEnded` with a `sleepTimeout` for the end.",
            "The session sleeps, and the id is kept for that many seconds (D-51).",
        ),
        server(
            "Says nothing when the dialogue has nothing to say.",
            "An empty Response; without one the client waits, and then counts wrong (D-25, D-35).",
        ),
        server(
            "Repeats in `items` what it has sent singly.",
            "Clients play both (D-60).",
        ),
        server(
            "Leaves out what is empty.",
            "Items, logs, attributes, locale, sessionEnded and sleepTimeout are always there (D-07).",
        ),
    ),
    "Init": (
        client(
            "Sends anything but keep-alives behind it before Ready has come.",
            "Wait for Ready; servers may keep what came early, or answer it with Error (D-55).",
        ),
        client(
            "Leaves out `config` because everything in it is to be the default.",
            "Send an empty object: the older server refuses an Init without it (D-65).",
        ),
        server(
            "Closes the connection of a client that it refuses.",
            "Answer with Error, and leave it open: the client may send another Init (D-28).",
        ),
    ),
    "Ready": (
        client(
            "Says `#intro` after every Ready.",
            "Not while a session id is held: after a reconnect the conversation goes on (D-56).",
        ),
        client(
            "Takes it for the beginning of a session.",
            "The session begins with the first input, and SessionStarted names it.",
        ),
        server(
            "Sends it when the WebSocket is open.",
            "It answers an Init, each one exactly once.",
        ),
    ),
    "Error": (
        client(
            "Keeps its session id.",
            "The session is over; the connection is not. Say something, and another one begins (D-11).",
        ),
        client(
            "Still waits for the Responses of inputs that were open.",
            "Error closes every open turn: none will come (D-54).",
        ),
        server(
            "Sends it when the dialogue fails.",
            "Better is a Response with an item for the user and `sessionEnded`; Error is for the protocol.",
        ),
        server(
            "Sends the Response of the turn, or SessionEnded, behind it.",
            "Nothing of the turn or the session follows an Error (D-54).",
        ),
    ),
    "SessionStarted": (
        client(
            "Keeps the id that it proposed.",
            "The id in SessionStarted is the one in force, always (D-04, D-58).",
        ),
        server(
            "Sends it with every turn.",
            "Once for each session, before anything of it: the older client goes to sleep at it (D-16a).",
        ),
    ),
    "SessionEnded": (
        client(
            "Relies on it alone, or on `sessionEnded` alone.",
            "Either of them, or both, are one and the same end (D-12).",
        ),
        client(
            "Stops playing at once.",
            "What came before it is still played; then the client sleeps.",
        ),
        server(
            "Sends it before the last Response.",
            "Right behind it; the other way round the last words are lost (D-12).",
        ),
        server(
            "Closes the connection with the session.",
            "The next input on it begins another one (D-05).",
        ),
    ),
    "Log": (
        server(
            "Answers it with Error when the session is over.",
            "Log may come in every state from Ready on, also without a session (D-66).",
        ),
        server(
            "Refuses a `relativeTime` that is as large as a date.",
            "Real clients send such; it is a number and nothing more.",
        ),
        server(
            "Counts it as a sign of life of the user.",
            "It moves no state and restarts no clock (D-66).",
        ),
    ),
    "Binary": (
        client(
            "Sends it as JSON with base64 on Socket V1.",
            "There it is a binary WebSocket message that holds the bytes and nothing else.",
        ),
        client(
            "Sends the header of a WAV file with the samples.",
            "Blocks are bare samples, 16 bit, little-endian, mono, at `sttSampleRate`.",
        ),
        client(
            "Takes an empty one for the end of the audio.",
            "It is a keep-alive, and says nothing else (D-15).",
        ),
        server(
            "Cuts a file of audio into several.",
            "On V1 each one is a whole file of `ttsFileType`, and belongs to the item before it.",
        ),
        server(
            "Answers audio with Error when no stream is open.",
            "Some is always on its way when a final result is: drop it (D-43).",
        ),
    ),
    "Vote": (
        client(
            "Sends a scale from 0 to 5.",
            "1 or −1, nothing else.",
        ),
        server(
            "Answers it.",
            "There is no reply; a Response would be counted as the answer to an input.",
        ),
    ),
    "Unknown": (
        client(
            "Closes the connection at a `type` that it does not know.",
            "Pass over it: newer servers send more. The older client failed here (D-06).",
        ),
        server(
            "Answers with Error.",
            "Pass over it; it is not a fault.",
        ),
    ),
}
"""By the `type` on the wire; ``Unknown`` for all others."""

FAULTS: dict[str, dict[str, tuple[str, ...]]] = {
    "Input": {
        "socket-v1/server": ("drops-interrupted-turns", "tells-typed-words"),
        "socket-v1/client": ("says-everything-twice", "sends-words-without-a-transcript"),
        "socket-v2/client": ("sends-the-history", "never-ends-the-body"),
    },
    "Request": {"socket-v1/server": ("knows-no-requests", "remembers-for-whoever-knows-the-id")},
    "InputAudioStreamOpen": {
        "socket-v1/server": ("never-acknowledges", "acknowledges-every-time", "opens-once"),
        "socket-v1/client": ("streams-at-once", "takes-any-acknowledgement", "never-streams"),
    },
    "InputAudioStreamClose": {
        "socket-v1/server": ("tells-what-it-has-when-it-is-cancelled", "listens-on"),
        "socket-v1/client": ("never-closes-its-stream", "streams-for-ever"),
    },
    "InputAudioStreamCancel": {"socket-v1/server": ("tells-what-it-has-when-it-is-cancelled",)},
    "RecognizedInput": {
        "socket-v2/server": ("forgets-the-final-result", "sends-interim-results-in-the-put"),
        "socket-v2/client": ("takes-the-result-for-the-answer",),
    },
    "Recognized": {
        "socket-v1/server": ("forgets-spoken-words", "tells-results-late", "leaves-out-is-final"),
        "socket-v1/client": ("takes-every-result-for-final", "takes-a-bare-result-for-interim"),
    },
    "ResponseItem": {
        "socket-v1/server": (
            "leaks-interrupted-turns",
            "sends-all-items-singly",
            "sends-images-without-text",
        ),
        "socket-v1/client": ("waits-for-the-response", "plays-everything"),
        "socket-v2/server": ("sends-items-twice", "sends-items-without-a-text"),
        "socket-v2/client": ("ignores-single-items", "plays-single-items-only"),
    },
    "Response": {
        "socket-v1/server": ("answers-twice", "leaves-out-what-is-empty", "says-both-when-it-sleeps"),
        "socket-v1/client": ("drops-one-answer-too-many", "takes-the-end-for-the-end"),
    },
    "SessionStarted": {
        "socket-v1/server": ("announces-a-session-too-late", "announces-every-turn", "takes-any-id"),
    },
    "SessionEnded": {"socket-v1/client": ("relies-on-session-ended", "hears-no-end")},
    "Log": {"socket-v2/server": ("lets-logs-interrupt",), "socket-v2/client": ("breaks-the-turn-for-logs",)},
    "Binary": {
        "socket-v1/server": (
            "takes-empty-frames-for-faults",
            "cuts-audio-into-blocks",
            "writes-audio-in-json",
        ),
        "socket-v1/client": ("sends-audio-in-json", "takes-an-empty-frame-for-the-end"),
        "socket-v2/client": ("streams-behind-the-text", "swaps-bytes"),
    },
    "Vote": {"socket-v1/client": ("keeps-votes",)},
    "Unknown": {
        "socket-v1/server": ("fails-on-unknown-events",),
        "socket-v1/client": ("fails-on-unknown-events",),
        "socket-v2/server": ("refuses-unknown-events",),
        "socket-v2/client": ("fails-at-unknown-events",),
    },
}
"""The proof's implementations with a fault in it, by suite."""
