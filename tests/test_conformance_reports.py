"""What the kit says: verdicts, reports in all forms, baselines, replay tokens, pytest tests."""

from __future__ import annotations

import json
from functools import cache
from xml.etree import ElementTree

import attrs
import jsonschema
import pytest

from flowstorm_channel.conformance import (
    SUITES,
    Baseline,
    Case,
    Profile,
    Report,
    Result,
    SuiteReport,
    Token,
    Verdict,
    proof,
    replay,
)
from flowstorm_channel.conformance.reports import SCHEMA, describe, to_html, to_json, to_junit, to_text
from flowstorm_channel.conformance.requirements import Basis, Level, Requirement
from flowstorm_channel.testing import ManualClock
from flowstorm_channel.trace import Record
from flowstorm_channel.wire import END, Close, RequestHead, ResponseHead

SUITE = SUITES["socket-v1/server"]
ROW = Requirement(
    id="FSC-V1-TURN-001",
    channel="socket-v1",
    role="server",
    level=Level.MUST,
    basis=Basis.OBSERVED,
    text="A thing & <another>.",
    source="socket-v1.md",
    checks=("one", "two"),
)
LOG = (
    Record(at=1.0, wire=0, by="client", message=RequestHead(url="/socket")),
    Record(at=1.0, wire=0, by="server", message=ResponseHead(status=101)),
    Record(at=1.5, wire=0, by="client", message='{"type":"Init \x00"}'),
    Record(at=2.0, wire=0, by="server", message=b"\xff\x00"),
    Record(at=2.0, wire=0, by="server", message=Close(1000, "bye")),
)
TOKEN = Token(suite="socket-v1/server", check="one")


def case(verdict: Verdict, check: str = "one") -> Case:
    text = "" if verdict is Verdict.PASS else f"why {verdict.value} \x00 <b>"
    return Case(check=check, verdict=verdict, text=text, log=LOG, index=2, token=TOKEN)


def result(number: int, *verdicts: Verdict) -> Result:
    row = attrs.evolve(ROW, id=f"FSC-V1-TURN-{number:03}")
    return Result(requirement=row, cases=tuple(case(each) for each in verdicts))


def report(*results: Result, strict: bool = False) -> Report:
    one = SuiteReport(suite="socket-v1/server", results=results)
    return Report(target="ws://127.0.0.1/<socket>", suites=(one,), strict=strict)


EVERY = report(*(result(number, verdict) for number, verdict in enumerate(Verdict, 1)))


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        ((Verdict.PASS, Verdict.NOT_DECLARED), Verdict.PASS),
        ((Verdict.PASS, Verdict.WARN), Verdict.WARN),
        ((Verdict.WARN, Verdict.UNTESTABLE), Verdict.UNTESTABLE),
        ((Verdict.UNTESTABLE, Verdict.FAIL), Verdict.FAIL),
        ((), Verdict.INFO),
    ],
)
def test_the_worst_case_decides(verdicts: tuple[Verdict, ...], worst: Verdict) -> None:
    assert result(1, *verdicts).verdict is worst


@pytest.mark.parametrize(
    ("verdict", "plain", "strict"),
    [
        (Verdict.FAIL, False, False),
        (Verdict.UNTESTABLE, False, False),
        (Verdict.WARN, True, False),
        (Verdict.PASS, True, True),
        (Verdict.INFO, True, True),
        (Verdict.NOT_DECLARED, True, True),
    ],
)
def test_what_conforms(verdict: Verdict, plain: bool, strict: bool) -> None:
    assert report(result(1, verdict)).conformant is plain
    assert report(result(1, verdict), strict=True).conformant is strict


def test_a_row_above_should_is_not_decided() -> None:
    with pytest.raises(ValueError, match="never above SHOULD"):
        attrs.evolve(ROW, basis=Basis.DECIDED)


@pytest.mark.parametrize("change", [{"checks": ()}, {"reason": "because"}])
def test_a_row_has_checks_or_a_reason(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="either checks, or the reason"):
        attrs.evolve(ROW, **change)


# ------------------------------------------------------------ forms


def test_json_is_as_its_schema_says() -> None:
    content = json.loads(to_json(EVERY))
    jsonschema.Draft202012Validator(SCHEMA).validate(content)
    rows = content["suites"][0]["requirements"]
    assert [row["verdict"] for row in rows] == [verdict.value for verdict in Verdict]
    assert rows[0]["cases"][0]["token"] == str(TOKEN)
    assert content["suites"][0]["counts"] == {verdict.value: 1 for verdict in Verdict}
    assert not content["conformant"]


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(("strict", "failures"), [(False, 2), (True, 3)])
def test_junit_can_be_read(strict: bool, failures: int) -> None:
    root = ElementTree.fromstring(to_junit(attrs.evolve(EVERY, strict=strict)))
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("6", str(failures), "2")
    assert len(suite.findall("testcase/failure")) == failures
    assert len(suite.findall("testcase/skipped")) == 2
    assert len(suite.findall("testcase/system-out")) == (0 if strict else 1)
    text = suite.findall("testcase/failure")[0].text
    assert text is not None
    assert str(TOKEN) in text


def test_a_page_stands_alone_and_escapes_what_it_shows() -> None:
    page = to_html(EVERY)
    assert "http" not in page.replace("https://example.com", "")
    assert "A thing &amp; &lt;another&gt;." in page
    assert "<b> " not in page
    assert "ws://127.0.0.1/&lt;socket&gt;" in page
    assert page.count("<details") == len(Verdict)
    assert "{{" not in page


def test_text_shows_what_is_wrong_and_how_to_see_it_again() -> None:
    lines = list(to_text(EVERY))
    assert lines[-1] == "not conformant"
    assert any("FSC-V1-TURN-001" in line for line in lines)
    assert not any("FSC-V1-TURN-004" in line for line in lines)
    assert any("FSC-V1-TURN-004" in line for line in to_text(EVERY, verbose=True))
    assert sum(str(TOKEN) in line for line in lines) == 3
    assert any(line.lstrip().startswith("!") for line in lines)
    assert list(to_text(report(result(1, Verdict.PASS))))[-1] == "conformant"


def test_a_case_that_was_not_run_has_no_token() -> None:
    bare = Case(check="one", verdict=Verdict.FAIL, text="why")
    one = report(Result(requirement=ROW, cases=(bare,)))
    assert json.loads(to_json(one))["suites"][0]["requirements"][0]["cases"][0]["token"] is None
    for found in (to_html(one), to_junit(one), "\n".join(to_text(one))):
        assert "again" not in found


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("text", "text"),
        ("x" * 400, "x" * 299 + "…"),
        (b'{"a":1}\n', '{"a":1}'),
        (b"\xff\x00", "2 bytes"),
        (b"a\x00b", "3 bytes"),
        (b"", "0 bytes"),
        (RequestHead(method="PUT", url="/client?key=k"), "PUT /client?key=k"),
        (ResponseHead(status=204), "status 204"),
        (Close(1008, "no Init"), "close 1008 no Init"),
        (Close(1000), "close 1000"),
        (END, "end of the body"),
    ],
)
def test_a_message_in_a_line(message: object, shown: str) -> None:
    assert describe(Record(at=0.0, wire=0, by="client", message=message)) == shown  # type: ignore[arg-type]


# ------------------------------------------------------------ baselines


def test_a_baseline_knows_what_fails() -> None:
    baseline = Baseline.read(
        "# known\nFSC-V1-TURN-001  # we queue inputs\n\nFSC-V1-TURN-004\nFSC-V1-TURN-999\n"
    )
    assert baseline.news(EVERY) == ["FSC-V1-TURN-002"]
    assert baseline.stale(EVERY) == ["FSC-V1-TURN-004"], "it passes; what was not run stays"


# ------------------------------------------------------------ tokens


@pytest.mark.parametrize(
    "token",
    [TOKEN, Token(suite="socket-v2/client", steps=(["< Input", "hello"], ["time", 100]))],
)
def test_a_token_is_read_as_it_was_written(token: Token) -> None:
    assert Token.read(f" {token}\n") == token


@pytest.mark.parametrize("text", ["", "fsc2-abc", "fsc1-", "fsc1-!!!", "fsc1-AAAA", str(TOKEN)[:-4]])
def test_what_is_no_token(text: str) -> None:
    with pytest.raises(ValueError, match="token"):
        Token.read(text)


def test_a_token_with_something_else_in_it() -> None:
    with pytest.raises(ValueError, match="not whole"):
        Token.read(str(Token(suite=3)))  # type: ignore[arg-type]


# ------------------------------------------------------------ a broken server, from end to end


@cache
def broken() -> Report:
    peer = SUITE.broken["forgets-session-started"]
    found = SuiteReport(suite=SUITE.name, results=tuple(proof.judge(SUITE, peer)))
    return Report(target="a broken server", suites=(found,))


def test_the_token_of_a_report_does_it_again() -> None:
    cases = [case for one in broken().failures() for case in one.cases if case.verdict is Verdict.FAIL]
    assert cases
    make, sound = SUITE.broken["forgets-session-started"].make_driver, SUITE.make_reference
    assert sound is not None
    for each in cases:
        token = Token.read(str(each.token))
        again = replay(token, lambda: make(ManualClock()), SUITE.reference_profile)
        assert again.text
        assert replay(token, lambda: sound(ManualClock()), SUITE.reference_profile).text == ""


@pytest.mark.parametrize(
    "token",
    [
        Token(suite="socket-v9/server", check="one"),
        Token(suite="socket-v1/server", check="no such check"),
        Token(suite="socket-v9/server", steps=()),
        Token(suite="socket-v1/server", steps=(["time", None],)),
    ],
)
def test_a_token_that_this_kit_cannot_do(token: Token) -> None:
    with pytest.raises(ValueError, match=r"no check|no walks|no step"):
        replay(token, lambda: pytest.fail("nothing is made"), Profile())
