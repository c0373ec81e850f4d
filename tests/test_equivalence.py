"""The same conversation over every channel is the same conversation."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowstorm_channel import ResponseItem
from tests.depth import examples
from tests.equivalence import PARTIES, Line, Party, Trace

IMAGE = "https://example.com/picture.png"
VIDEO = "https://example.com/film.mp4"

SCRIPT = (
    Line(act="start", answer=[ResponseItem(text="Hello & welcome!"), ResponseItem(text="Who are you?")]),
    Line(text="I am Jan", answer=[ResponseItem(text="Nice to <meet> you.")]),
    Line(text="a picture", answer=[ResponseItem(text="A wave.", image=IMAGE)]),
    Line(text="a film", answer=[ResponseItem(text="Look!", video=VIDEO)]),
    Line(
        text="louder",
        answer=[ResponseItem(text="#volume", code='{"level": 8}'), ResponseItem(text="Is it better?")],
    ),
    Line(act="silence", answer=[ResponseItem(text="Are you there?")]),
    Line(act="help", answer=[ResponseItem(text="Say anything.")]),
    Line(act="stop", answer=[ResponseItem(text="Goodbye.")]),
)


def check(party: type[Party], script: tuple[Line, ...]) -> Trace:
    """What must hold on every channel."""
    one = party(script)
    trace = one.run()
    assert trace.inputs == [line.heard for line in script]
    assert trace.got == [one.expected(line) for line in script]
    assert len(set(trace.sessions)) == 1
    assert trace.remembered == trace.numbers == list(range(1, len(script) + 1))
    return trace


@pytest.mark.parametrize("party", PARTIES)
def test_a_scripted_conversation(party: type[Party]) -> None:
    trace = check(party, SCRIPT)
    # What a channel cannot carry, its host is told.
    parts = {"image": party.IMAGES, "video": party.VIDEOS, "volume": party.COMMANDS}
    missing = {part for part, carried in parts.items() if not carried}
    assert set(trace.unsent) == (set() if party.AUDIO else missing)


WORDS = st.text("abcXYZ 019äß&<>'\"", min_size=1, max_size=40).filter(lambda text: text.strip()[:1].isalnum())
ITEMS = st.builds(ResponseItem, text=WORDS) | st.sampled_from(
    [ResponseItem(text="#volume", code="3"), ResponseItem(text="#blink")]
)
PICTURES = st.sampled_from([{}, {}, {"image": IMAGE}, {"video": VIDEO}])


@st.composite
def answers(draw: st.DrawFn) -> list[ResponseItem]:
    items = draw(st.lists(ITEMS, max_size=4))
    shown = draw(PICTURES)
    return [*items, ResponseItem(text=draw(WORDS), **shown)]


LINES = st.builds(Line, text=WORDS.map(str.strip), answer=answers()) | st.builds(
    Line, act=st.sampled_from(["silence", "help"]), answer=answers()
)


@st.composite
def scripts(draw: st.DrawFn) -> tuple[Line, ...]:
    begin = Line(act="start", answer=draw(answers()))
    # Alexa goes on after a film, whatever the answer says; Google's goodbye is 60 characters without a card.
    end = Line(act="stop", answer=[ResponseItem(text=draw(WORDS))])
    return (begin, *draw(st.lists(LINES, max_size=5)), end)


@settings(max_examples=examples(40), deadline=None)
@given(script=scripts())
def test_any_conversation(script: tuple[Line, ...]) -> None:
    for party in PARTIES:
        check(party, script)
