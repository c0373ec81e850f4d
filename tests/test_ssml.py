"""Speech as SSML: escaped, taken apart, cut."""

import re
import time
from xml.parsers.expat import ExpatError, ParserCreate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowstorm_channel.answers import Unsent
from flowstorm_channel.ssml import escape, inner, plain, shorten, shorten_text, speak, with_sounds

ANY_TEXT = st.text(max_size=30)
TEXT = st.text(st.sampled_from("abcé <>&\"'.!?。\n\r\t❤\ufe0f\u0301\u200d👩🏽"), max_size=30)
NAMES = st.sampled_from(["p", "s", "break", "audio", "amazon:effect", "voice", "say-as"])


def element(name, value, content):
    start = f'{name} x="{escape(value)}"' if value else name
    return f"<{start}>{content}</{name}>" if content or len(value) % 2 else f"<{start} />"


PIECES = st.one_of(
    TEXT.map(escape),
    st.sampled_from(
        ["&#65;", "&#x1F469;", "&apos;", "<!--p-->", "<?break x?>", "<![CDATA[<a>. b]]>", "\r\n"]
    ),
)
BODIES = st.recursive(
    st.lists(PIECES, max_size=4).map("".join),
    lambda inside: st.lists(st.builds(element, NAMES, TEXT, inside) | PIECES, max_size=4).map("".join),
    max_leaves=6,
)


def well_formed(body):
    try:
        ParserCreate("utf-8").Parse(f"<x>{body}</x>".encode(), True)
    except ExpatError:
        return False
    return True


# ------------------------------------------------------------ putting together


@given(st.text())
@example("a\x00b\x1f\ud800\ufffe\uffff\x85\x7f")
@example("\r\n\r ]]> <&>\"'")
def test_escaped_text_comes_back_without_what_xml_cannot_hold(text):
    kept = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", "", text)
    assert plain(escape(text)) == kept
    assert well_formed(f'<a b="{escape(text)}"/>')


def test_apostrophes_need_no_escape():
    assert escape('it\'s <b> & "c"') == "it's &lt;b&gt; &amp; &quot;c&quot;"


def test_a_document_is_the_body_in_speak():
    assert speak("a<break/>") == "<speak>a<break/></speak>"


@given(BODIES)
def test_a_body_made_a_document_comes_back(body):
    assert inner(speak(body)) == body == inner(body)


def test_what_is_too_long_is_told_with_the_figures():
    assert Unsent.too_long("speech", 9200, 8000) == ("speech", "9200 characters of at most 8000")
    assert Unsent.too_long("card", 3, 2, "bytes").reason == "3 bytes of at most 2"


# ------------------------------------------------------------ taking apart


@pytest.mark.parametrize(
    ("ssml", "body"),
    [
        ("", ""),
        ("hi", "hi"),
        ("<speak>hi</speak>", "hi"),
        ("<speak/>", ""),
        ("<speak\n version='1.0' xml:lang=\"en\" >hi</speak >", "hi"),
        (" \n<!-- a --><speak>hi</speak>\n", "hi"),
        ('\n<?xml version="1.0" encoding="UTF-16"?>\n<speak>é</speak>', "é"),
        ("<amazon:effect name='a'>hi</amazon:effect>", "<amazon:effect name='a'>hi</amazon:effect>"),
        ("a &amp; &lt;b&gt; &#65;", "a &amp; &lt;b&gt; &#65;"),
        ("<![CDATA[<speak>]]>", "<![CDATA[<speak>]]>"),
        ("<!--speak-->speak", "<!--speak-->speak"),
    ],
)  # fmt: skip
def test_the_body_is_found(ssml, body):
    assert inner(ssml) == body


@pytest.mark.parametrize(
    "ssml",
    [
        "a & b",
        "a < b",
        "<p>a",
        "a</p>",
        "<p>a</s>",
        "<a b=c/>",
        "<a b='1' b='2'/>",
        "&nbsp;",
        "&speak;",
        "a\x01",
        "a\ud800",
        "]]>",
        "<speak>a</speak>b",
        "a<speak>b</speak>",
        "<speak>a</speak><speak>b</speak>",
        "<speak><speak>a</speak></speak>",
        "<p><speak>a</speak></p>",
        "</_><_>",
        "</speak><speak>",
        "<!DOCTYPE a><speak>a</speak>",
        '<!DOCTYPE a [<!ENTITY b "c">]><speak>&b;</speak>',
        'a<?xml version="1.0"?>',
        '<?xml version="1.0"?><?xml version="1.0"?>a',
    ],
)
def test_what_is_not_well_formed_has_no_body(ssml):
    assert inner(ssml) is None


@pytest.mark.parametrize(
    "call",
    [plain, lambda ssml: shorten(ssml, 100), lambda ssml: with_sounds(ssml, str)],
    ids=["plain", "shorten", "sounds"],
)
def test_what_is_not_well_formed_is_refused(call):
    with pytest.raises(ValueError, match="not well-formed: '<p>a'"):
        call("<p>a")


@pytest.mark.parametrize(
    ("ssml", "text"),
    [
        ("<speak>Hi &amp; <b>bye</b>&#33;</speak>", "Hi & bye!"),
        ("<p>One.</p><p>Two.</p>", "One. Two."),
        ("<p>One.</p> <p>Two.</p>", "One. Two."),
        ("<s> One.</s><break/>", " One."),
        ("One<break time='1s'/>two<audio src='https://h/a.mp3'/>three", "One two three"),
        ("One <break/>two<break/> three", "One two three"),
        ("w<emphasis>o</emphasis>rd<!--p--><?break?>s", "words"),
        ("<![CDATA[<p>]]>&lt;", "<p><"),
    ],
)
def test_the_plain_text_is_what_is_heard(ssml, text):
    assert plain(ssml) == text


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        ("a <audio src='/a'/> b", "a <audio{}/> b"),
        ("<audio\n x=\" src='/a'&amp;\" src = '/a' ></audio >", "<audio x=\" src='/a'&amp;\"{}></audio >"),
        ("<audio src='no'>else</audio><audio src='/a'/>", "else<audio{}/>"),
        ("<audio src='no'><audio src='/a'>x</audio></audio>", "<audio{}>x</audio>"),
        ("<audio src='no&amp;'/><audio/>x", "x"),
        ("<b src='/a'>audio<!--<audio src='/a'/>--></b>", "<b src='/a'>audio<!--<audio src='/a'/>--></b>"),
    ],
    ids=["one", "spelled oddly", "left out", "inside", "empty", "others"],
)
def test_sounds_get_other_addresses_or_are_left_out(body, changed):
    asked = []

    def fetch(address):
        asked.append(address)
        return f"https://h{address}?&" if address.startswith("/") else None

    assert with_sounds(body, fetch) == changed.format(' src="https://h/a?&amp;"')
    assert all(each in ("/a", "no", "no&", "") for each in asked)


# ------------------------------------------------------------ cutting


@given(BODIES, st.integers(-1, 80))
def test_a_body_cut_is_short_well_formed_and_a_beginning(body, most):
    cut = shorten(body, most)
    assert cut == body or len(cut) <= max(most, 0) < len(body)
    assert well_formed(cut)
    assert plain(body).startswith(plain(cut))
    assert shorten(cut, most) == cut


@given(ANY_TEXT | TEXT, st.integers(-1, 30))
def test_a_text_cut_is_short_and_a_beginning(text, most):
    cut = shorten_text(text, most)
    assert text.startswith(cut)
    assert cut == text or len(cut) <= max(most, 0) < len(text)
    assert shorten_text(cut, most) == cut


@given(TEXT.filter(lambda text: not set(text) & set('<>&"\r')), st.integers(1, 30))
def test_a_body_without_tags_is_cut_like_text(text, most):
    assert shorten(text, most) == shorten_text(text, most)


@pytest.mark.parametrize(
    ("text", "most", "cut"),
    [
        ("One two. Three four.", 20, "One two. Three four."),
        ("One two. Three four.", 19, "One two. Three"),
        ("One two. Three four.", 15, "One two."),
        ("One two. Three four.", 8, "One two."),
        ("One two. Three four.", 7, "One"),
        ("One two. Three four.", 2, "On"),
        ("One two. Three four.", 0, ""),
        ("One two. Three four.", -1, ""),
        ("One. Two three four five", 20, "One. Two three four"),
        ('He said: "No!" Then he left.', 20, 'He said: "No!"'),
        ("It costs 3.14 and more", 15, "It costs 3.14"),
        ("What?! Oh", 8, "What?!"),
        ("こんにちは。元気ですか？はい", 10, "こんにちは。"),
        ("こんにちは元気ですか", 6, "こんにちは元"),
        ("नमस्ते। आप कैसे", 9, "नमस्ते।"),
        ("a" * 30, 10, "a" * 10),
        ("a" * 9 + "👩\u200d👩\u200d👧", 12, "a" * 9),
        ("a" * 9 + "👍🏽", 10, "a" * 9),
        ("a" * 9 + "e\u0301", 10, "a" * 9),
        ("a" + "\u0301" * 20, 10, "a" + "\u0301" * 9),
        ("a\n\n   b", 4, "a"),
    ],
)
def test_a_text_is_cut_where_it_hurts_least(text, most, cut):
    assert shorten_text(text, most) == cut


@pytest.mark.parametrize(
    ("body", "most", "cut"),
    [
        ("<p>One two. Three four.</p>", 27, "<p>One two. Three four.</p>"),
        ("<p>One two. Three four.</p>", 26, "<p>One two.</p>"),
        ("<p>One two. Three four.</p>", 18, "<p>One two.</p>"),
        ("<p>One two.</p><p>Three four.</p>", 25, "<p>One two.</p>"),
        ("<p>One two.</p><p>Three four.</p>", 28, "<p>One two.</p>"),
        ("<p>One.</p><p>Two three four.</p>", 31, "<p>One.</p><p>Two three</p>"),
        ("<s>One</s><s>two three</s>", 19, "<s>One</s>"),
        ("<s>One</s><s>two three</s>", 22, "<s>One</s>"),
        ("<p>One</p >", 10, "<p>One</p>"),
        ("<p>One</p>", 6, ""),
        ("Fish &amp; chips", 8, "Fish"),
        ("Fish &amp; chips", 10, "Fish &amp;"),
        ("Fish&amp;chips", 8, "Fish"),
        ("one <break time='5s'/> two", 23, "one <break time='5s'/>"),
        ("one <break time='5s'/> two", 21, "one"),
        ("<audio src='https://h/a'/><audio src='https://h/b'/>", 40, "<audio src='https://h/a'/>"),
        ("<voice name='A'><s>one two three</s></voice>", 43, "<voice name='A'><s>one two</s></voice>"),
        ("<b n='A'><audio src='a'>one</audio></b>", 37, "<b n='A'><audio src='a'></audio></b>"),
        ("<a><b><c>deep</c></b></a>", 22, "<a><b><c>d</c></b></a>"),
        ("<![CDATA[one < two]]> three", 20, "<![CDATA[one <]]>"),
        ("one <emphasis>two</emphasis>", 27, "one"),
        ("Hello.<break/><mark name='a'/>", 29, "Hello.<break/>"),
    ],
)  # fmt: skip
def test_a_body_is_cut_where_it_hurts_least(body, most, cut):
    assert shorten(body, most) == cut
    assert well_formed(cut)


@pytest.mark.parametrize(
    "hostile",
    [
        "<a>" * 4_000 + "</a>" * 4_000,
        "<a/>" * 6_000,
        "<" * 60_000,
        "&" * 60_000,
        "&amp;" * 6_000,
        "." * 60_000,
        '."' * 30_000,
        "a" + '."' + '"' * 60_000,
        "<!--" * 15_000,
        "<![CDATA[" * 6_000,
        "a" + "\u0301" * 40_000,
        " " * 60_000,
        "<a b='" + "x" * 60_000 + "'/>",
    ],
    ids=lambda hostile: hostile[:12],
)
def test_what_is_hostile_takes_linear_time(hostile):
    began = time.perf_counter()
    if inner(hostile) is not None:
        plain(hostile)
        for most in (10, 8000, len(hostile) - 1):
            assert len(shorten(hostile, most)) <= most
            shorten_text(hostile, most)
    assert time.perf_counter() - began < 5
