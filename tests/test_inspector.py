"""The page of a recording in a real browser: found by Chromium, read by a person."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from flowstorm_channel.trace import Act, Cut, Head, Lost, Opened, Record, Recording, Setting, Told
from flowstorm_channel.trace.drawing import Note, picture_of, to_html
from flowstorm_channel.wire import RequestHead, ResponseHead
from tests.pictured import HOSTILE, conversation, many
from tests.programs import chromium

WIDE, PHONE = (1280, 800), (360, 740)
BOUND = 5.0
"""Seconds, for what takes well under one on a machine that does nothing else."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


Open = Callable[..., Page]


@pytest.fixture(scope="module")
def context(browser: Browser) -> BrowserContext:
    found = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    found.set_default_timeout(1000 * BOUND)
    return found


@pytest.fixture
def opened(context: BrowserContext, tmp_path: Path) -> Iterator[Open]:
    """Opens the page of a recording; at the end nothing has been asked of the network or complained about."""
    asked: list[str] = []
    complaints: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))

    def open_page(
        recording: Recording,
        notes: dict[int, list[Note]] | None = None,
        *,
        size: tuple[int, int] = WIDE,
        scheme: Literal["light", "dark"] = "light",
        link: str = "",
    ) -> Page:
        file = tmp_path / "page.html"
        file.write_text(to_html(picture_of(recording, notes)), encoding="utf-8")
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.goto(f"{file.as_uri()}{link}")
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_page
    page.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "blob:"))] == []


RECORDING = conversation()
NOTES = {3: [Note("FSC-V1-HAND-001", "MUST", "it is wrong")]}


def labels(page: Page) -> list[str]:
    """What the rows say that are on the page."""
    found: list[str] = page.eval_on_selector_all(
        ".row",
        "rows => rows.sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)"
        ".map(row => row.querySelector('.label').textContent)",
    )
    return found


def text_of(page: Page, selector: str) -> str:
    return page.locator(selector).first.text_content() or ""


def attribute_of(page: Page, name: str) -> str:
    """One of the rows' frame."""
    return page.get_attribute("#rows", name) or ""


def box_of(page: Page, selector: str) -> dict[str, float]:
    """Where something is on the screen."""
    found = page.locator(selector).bounding_box()
    assert found is not None
    return dict(found)  # type: ignore[arg-type]


def focused(page: Page) -> str:
    """The row that the keyboard is at."""
    found: str = page.evaluate(
        "document.querySelector('.row[aria-selected=true] .label')?.textContent ?? 'none'"
    )
    return found


# ------------------------------------------------------------ rows and details


def test_it_shows_what_happened(opened: Open) -> None:
    page = opened(RECORDING)
    said = labels(page)
    assert "recorded from here: SocketV1Server" in said
    assert "client to server: GET /socket" in said
    assert "server to client: Ready" in said
    assert "told Init key" in said
    assert "ready()" in said
    assert page.locator(".lane i[data-state=Listening]").count()
    page.keyboard.press("End")
    assert page.locator(".pause").first.text_content() == "2.00 s"
    assert page.title() == "SocketV1Server: a recording"


def test_a_row_opens_to_its_members_and_bytes(opened: Open) -> None:
    page = opened(RECORDING)
    page.locator(".row", has_text="You said #intro").first.click()
    details = page.locator("#details")
    assert details.is_visible()
    page.locator(".row", has_text="client to server: Init").click()
    assert "deviceId" in text_of(page, "#details .tree")
    assert '"sttSampleRate":16000' in text_of(page, "#details pre")
    details.get_by_role("button", name="hex").click()
    assert text_of(page, "#details pre").startswith("000000  7b 22 74 79 70 65 22 3a")
    details.locator("section", has_text="bytes").get_by_role("button", name="copy").click()
    expect(page.get_by_role("button", name="copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").startswith("7b2274797065223a")
    details.get_by_role("button", name="Close").click()
    assert details.is_hidden()


def test_members_are_copied_as_json(opened: Open) -> None:
    page = opened(RECORDING)
    page.locator(".row", has_text="client to server: Init").click()
    page.locator("#details section", has_text="Members").get_by_role("button", name="copy").click()
    expect(page.get_by_role("button", name="copied")).to_be_visible()
    assert '"type": "Init"' in page.evaluate("navigator.clipboard.readText()")


def test_audio_has_a_level_and_can_be_listened_to(opened: Open) -> None:
    page = opened(RECORDING)
    page.locator(".row", has=page.locator(".curve")).click()
    details = page.locator("#details")
    assert details.locator("svg.big path").count() == 1
    assert details.locator("tbody tr").count() == 5
    ready = """new Promise(resolve => {
        const audio = document.querySelector("audio"), tell = () => resolve(audio.duration);
        if (audio.readyState) tell(); else audio.addEventListener("loadedmetadata", tell);
    })"""
    assert page.evaluate(ready) == pytest.approx(0.5)


# ------------------------------------------------------------ search and filter


def test_search_leaves_the_rows_in_which_it_stands_and_marks_it(opened: Open) -> None:
    page = opened(RECORDING)
    page.keyboard.press("/")
    page.keyboard.type("TO PRAG")
    page.wait_for_selector("mark")
    assert {each.casefold() for each in page.locator("mark").all_text_contents()} == {"to prag"}
    assert all("to Prague" in each for each in labels(page))
    page.keyboard.press("Enter")
    assert "to Prague" in focused(page)
    page.keyboard.press("Escape")
    assert any("GET /socket" in each for each in labels(page)) or page.input_value("#search") == ""
    assert page.input_value("#search") == ""


def test_search_finds_what_only_the_bytes_say(opened: Open) -> None:
    page = opened(RECORDING)
    page.fill("#search", "sttsamplerate")
    expect(page.locator("#status")).to_have_text(re.compile("^2 of "))
    assert labels(page) == ["client to server: Init key", "told Init key"]
    page.fill("#search", "stands nowhere")
    page.wait_for_selector("#empty:not([hidden])")


def test_rows_are_filtered_by_direction_and_event(opened: Open) -> None:
    page = opened(RECORDING)
    page.click("#filter")
    for way in ("told", "act", "server"):
        page.uncheck(f"#filters [data-kind=way] input[value={way}]")
    assert not any(each.startswith(("told", "server to client")) for each in labels(page))
    page.uncheck("#filters [data-kind=name] input[value=Init]")
    assert not any("Init" in each for each in labels(page))
    page.get_by_role("button", name="show all").click()
    assert any(each.startswith("told Init") for each in labels(page))


def test_rows_are_filtered_by_machine_and_transport(opened: Open) -> None:
    other = [
        Record(at=each.at, wire=1, by=each.by, message=each.message, channel=1) for each in RECORDING.records
    ]
    page = opened(Recording(RECORDING.head, (*RECORDING.entries, *other)))
    whole = int(attribute_of(page, "aria-rowcount"))
    page.click("#filter")
    page.uncheck("#filters [data-kind=channel] input[value='0']")
    assert int(attribute_of(page, "aria-rowcount")) < whole
    page.uncheck("#filters [data-kind=wire] input[value='1']")
    assert attribute_of(page, "aria-rowcount") == "1", "the columns alone"


def test_findings_stand_beside_the_row_and_in_a_list_that_leads_there(opened: Open) -> None:
    page = opened(RECORDING, NOTES)
    assert page.locator(".row .badge").first.text_content() == "FSC-V1-HAND-001"
    page.keyboard.press("End")
    page.click("#found")
    page.locator("#findings a", has_text="FSC-V1-HAND-001").click()
    expect(page.locator("#details")).to_be_visible()
    assert focused(page) == "server to client: 101"
    assert "MUST: it is wrong" in text_of(page, "#details")
    page.click("#filter")
    page.check("#noted")
    assert labels(page) == ["server to client: 101"]


# ------------------------------------------------------------ keys, links, time


def test_it_can_be_used_with_the_keyboard_alone(opened: Open) -> None:
    page = opened(RECORDING, NOTES)
    page.locator("#rows").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert focused(page) == "client to server: GET /socket"
    page.keyboard.press("Enter")
    assert page.locator("#details").is_visible()
    page.keyboard.press("ArrowDown")
    assert "101" in text_of(page, "#details h2")
    page.keyboard.press("ArrowUp")
    assert "GET /socket" in text_of(page, "#details h2")
    page.keyboard.press("Escape")
    assert page.locator("#details").is_hidden()
    page.keyboard.press("End")
    assert focused(page).startswith("told Closed")
    page.keyboard.press("Home")
    assert focused(page).startswith("recorded from here")
    page.keyboard.press("n")
    assert focused(page) == "server to client: 101"
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#keys").is_hidden()


def test_a_link_leads_to_an_entry_and_every_row_has_one(opened: Open) -> None:
    band = next(row for row in picture_of(RECORDING).rows if row.kind == "audio")
    page = opened(RECORDING, link=f"#entry-{band.more[1]}")
    assert "Binary ×5" in focused(page), "the row that the entry is in"
    assert text_of(page, "tr.chosen td") == str(band.more[1])
    box = box_of(page, ".row[aria-selected=true]")
    assert 200 < box["y"] < 700
    page.keyboard.press("Home")
    assert page.evaluate("location.hash") == "#entry-0"
    page.fill("#search", "stands nowhere")
    page.wait_for_selector("#empty:not([hidden])")
    page.evaluate("location.hash = '#entry-3'")
    page.wait_for_selector(".row[aria-selected=true]")
    assert focused(page) == "server to client: 101", "though it was filtered out"


def test_the_time_axis_leads_to_a_time(opened: Open) -> None:
    page = opened(many(500))
    box = box_of(page, "#time")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 10)
    expect(page.locator(".row", has_text="needle")).to_be_in_viewport()
    page.locator("#time").focus()
    page.keyboard.press("Home")
    expect(page.locator("#time")).to_have_attribute("aria-valuetext", re.compile("^0.000 to "))
    page.keyboard.press("ArrowRight")
    expect(page.locator("#time")).not_to_have_attribute("aria-valuetext", re.compile("^0.000 to "))


def test_what_it_is_can_be_heard(opened: Open) -> None:
    page = opened(RECORDING)
    whole = len(picture_of(RECORDING).rows)
    assert page.get_by_role("grid", name="What happened").count() == 1
    assert attribute_of(page, "aria-rowcount") == str(whole + 1)
    assert page.get_by_role("columnheader").count() == 3
    assert page.get_by_role("searchbox", name="Search in all that was said").count() == 1
    page.locator("#rows").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    active = attribute_of(page, "aria-activedescendant")
    row = page.locator(f"#{active}")
    assert row.get_attribute("aria-selected") == row.get_attribute("aria-expanded") == "true"
    page.fill("#search", "Prague")
    expect(page.get_by_role("status")).to_have_text(re.compile(f"[0-9]+ of {whole} rows"))


# ------------------------------------------------------------ hostile recordings


def hostile() -> Recording:
    """What a peer says, in every place."""
    entries: list[Any] = []
    for number, text in enumerate(HOSTILE):
        state: dict[str, Any] = {"at": float(number), "channel": number, "state": text, "audio": text}
        entries += [
            Opened(at=float(number), channel=number, kind=text, settings={text: text}),
            Record(
                at=number,
                wire=number,
                by="client",
                message=RequestHead(url=f"/{text}", headers=((text, text),)),
                channel=number,
            ),
            Record(at=number, wire=number, by="server", message=ResponseHead(status=101), channel=number),
            Record(at=number, wire=number, by="server", message=text, channel=number),
            Told(event={"type": text, text: [text, {text: text}]}, **state),
            Act(name=text, arguments={text: text, "text": text}, raised=text, **state),
            Setting(at=float(number), channel=number, name=text, value={text: text}),
            Lost(at=float(number), channel=number),
            Cut(at=float(number), channel=number, reason=text),
        ]
    return Recording(Head(channel=HOSTILE[0], seen_by="server", redacted=HOSTILE), tuple(entries))


def test_nothing_that_a_peer_says_becomes_markup(opened: Open) -> None:
    recording = hostile()
    notes = {number: [Note(text, text, text)] for number, text in enumerate(HOSTILE)}
    page = opened(recording, notes)
    for sheet in ("#filter", "#found", "#help"):
        page.click(sheet)
    page.keyboard.press("Escape")
    page.locator("#rows").focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    count = len(picture_of(recording).rows)
    markup = "main img, main script, main iframe, [onerror]"
    found = page.evaluate(
        f"""[...Array({count})].map(() => {{
            dispatchEvent(new KeyboardEvent("keydown", {{ key: "ArrowDown" }}));
            return [document.getElementById("details").hidden, document.querySelectorAll("{markup}").length];
        }})"""
    )
    assert found == [[False, 0]] * count, "the details of every row"
    assert focused(page).startswith("cut")
    page.fill("#search", "<img")
    page.wait_for_selector("mark")
    assert page.evaluate("window.harmed") is None
    assert page.evaluate("document.scripts.length") == 2


def test_what_cannot_be_seen_or_turns_a_text_around_is_an_escape(opened: Open) -> None:
    said = '{"type":"Log","\u202ekey":"a\u202eb\u2028c\U000e0041","n":"\\u0000"}'
    page = opened(
        Recording(Head(channel="socket-v1", seen_by="server"), (_said(0, said), _said(1, "\u2066x")))
    )
    page.locator("#rows").focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    assert text_of(page, "#details .tree") == (
        r'type: "Log"\u202ekey: "a\u202eb\u2028c\udb40\udc41"n: "\u0000"'
    )
    assert text_of(page, "#details pre") == (
        r'{"type":"Log","\u202ekey":"a\u202eb\u2028c\udb40\udc41","n":"\u0000"}'
    )
    page.keyboard.press("End")
    assert text_of(page, "#details pre") == r"\u2066x"


def _said(at: float, text: str) -> Record:
    return Record(at=at, wire=0, by="client", message=text)


def test_a_recording_of_nothing_says_so(opened: Open) -> None:
    page = opened(Recording(Head(channel="socket-v1", seen_by="server"), ()))
    expect(page.locator("#empty")).to_have_text("Nothing is in this recording.")
    for key in ("ArrowDown", "Enter", "End", "n", "Escape"):
        page.keyboard.press(key)


def test_times_that_go_back_have_one_sign(opened: Open) -> None:
    page = opened(Recording(Head(channel="socket-v1", seen_by="server"), (_said(9, "{}"), _said(8.5, "{}"))))
    assert text_of(page, ".row:nth-child(2) .clock small") == "-500 ms"


def test_the_policy_lets_no_other_script_run(tmp_path: Path, browser: Browser) -> None:
    page = browser.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    whole = to_html(picture_of(RECORDING))
    file = tmp_path / "attacked.html"
    attack = "<img src='data:,' onerror='window.harmed = 1'><script>window.harmed = 1</script>"
    file.write_text(whole.replace("<body>", f"<body>{attack}"), encoding="utf-8")
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]")
    assert page.evaluate("window.harmed") is None
    assert any("Content Security Policy" in each for each in refused)
    page.close()


# ------------------------------------------------------------ size


def test_ten_thousand_events_are_nothing_special(opened: Open) -> None:
    recording = many(10_000)
    before = time.perf_counter()
    page = opened(recording)
    assert time.perf_counter() - before < 3 * BOUND, "drawn and opened"
    assert page.locator(".row").count() < 100
    before = time.perf_counter()
    page.fill("#search", "needle")
    expect(page.locator(".row")).to_have_count(1)
    page.fill("#search", "")
    expect(page.locator("#rows")).to_have_attribute("aria-rowcount", "10003")
    page.locator("#rows").focus()
    page.keyboard.press("End")
    assert time.perf_counter() - before < BOUND
    assert "word 9999" in focused(page)


# ------------------------------------------------------------ looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_it_fits_and_follows_the_colours_that_are_wanted(
    opened: Open, size: tuple[int, int], scheme: str, tmp_path: Path
) -> None:
    page = opened(RECORDING, NOTES, size=size, scheme=scheme)
    name = f"inspector-{scheme}-{'wide' if size == WIDE else 'phone'}"
    shots = Path(os.environ.get("FLOWSTORM_SCREENSHOTS") or tmp_path)
    page.screenshot(path=shots / f"{name}.png")
    for wide in ("document.documentElement", "document.getElementById('rows')"):
        assert page.evaluate(f"{wide}.scrollWidth <= innerWidth")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(each) for each in ground[4:-1].split(",")[:3])
    assert brightness > 600 if scheme == "light" else brightness < 200
    page.locator(".row", has_text="client to server: Init").click()
    page.screenshot(path=shots / f"{name}-details.png")
    row = box_of(page, ".row[aria-selected=true]")
    details = box_of(page, "#details")
    beside = row["x"] + row["width"] <= details["x"] + 1
    assert beside or row["y"] + row["height"] <= details["y"] + 1, "the row is seen beside its details"
    assert details["x"] + details["width"] <= size[0] + 1
