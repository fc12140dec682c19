"""What the page promises beside what it does: contrast and names, motion, keys, weight on the wire, secrets."""

import re
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.visits import NOTICE, NOW, STATUS, TILES, Visit, Wire, button, fill_number, prepared, reach, run
from tests.critics.loopback import Endpoint, alignment, failing

pytestmark = pytest.mark.browser
KEY = "sk-loopback-0123456789abcdef"
MOVING = """[...document.querySelectorAll('*')].filter(node => {
  const style = getComputedStyle(node);
  return style.animationName !== 'none' || Math.max(...style.transitionDuration.split(',').map(parseFloat)) > 0;
}).length"""


def violations(page: Page, *only: str) -> list[str]:
    """What axe-core finds in what can be seen, against WCAG A and AA or against one rule alone."""
    rules = list(only or ("wcag2a", "wcag2aa", "wcag21aa"))
    answer = Axe().run(page, options={"runOnly": rules, "resultTypes": ["violations"]})
    return [
        f"{found['id']}: {node['html'][:160]} {node['any'][0]['message'] if node['any'] else ''}"
        for found in answer.response["violations"]
        for node in found["nodes"]
    ]


@pytest.mark.timeout(900)  # axe goes over a long page twelve times
def test_contrast_names_and_roles_hold_at_both_widths_light_and_dark(visit: Visit):
    page = prepared(visit, 2)
    found = {"empty": violations(page)}
    run(page)
    page.locator("#critics > button").click()
    page.get_by_role("tab", name="Compare").click()
    button(page, "Start the race").click()
    expect(page.locator("#compare-status")).to_contain_text("Your move", timeout=60_000)
    page.locator("#your-runs > button").click()
    for dark in (False, True):
        page.evaluate("dark => document.body.classList.toggle('dark', dark)", dark)
        for tab in ("Compare", "Results", "About", "Inspector"):
            page.get_by_role("tab", name=tab).click()
            for width in (1440, 390):
                page.set_viewport_size({"width": width, "height": 900})
                page.wait_for_timeout(300)
                # Names and roles do not depend on colours.
                found[f"{tab}, {'dark' if dark else 'light'}, {width}"] = violations(page, *["color-contrast"] * dark)
                assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (tab, width)
            page.set_viewport_size({"width": 1440, "height": 900})
    assert {state: each for state, each in found.items() if each} == {}


SMALL = """() => [...document.querySelectorAll('button, input, select, textarea, a[href], summary')].filter((node) => {
  const at = node.matches('[type=radio], [type=checkbox]') ? node.closest('label') || node : node;
  const { width, height } = at.getBoundingClientRect(); // gradio measures its tabs on copies that are 1 px high
  return height > 1 && width > 0 && (height < 24 || width < 24) && getComputedStyle(node).display !== 'inline';
}).map((node) => node.outerHTML.slice(0, 120))"""
"""What is pressed and smaller than 24 by 24 pixels; links within a text may be."""


def test_fingers_find_what_they_press(visit: Visit):
    page = prepared(visit, 9, width=390)
    run(page)
    page.locator("#fork").scroll_into_view_if_needed()
    page.locator(TILES).nth(2).click()
    expect(page.locator("#score")).to_contain_text("at step 2")
    for panel in ("#picture", "#score", "#plot", "#step-settings"):
        box = page.locator(panel).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390, f"{panel} is cut off"
    for name in ("critics", "advanced", "export", "step-settings"):
        page.locator(f"#{name} > button").click()
    page.wait_for_timeout(500)
    assert page.evaluate(SMALL) == []
    fill_number(page, "steps", "1")
    expect(page.locator("#estimate")).to_contain_text("step 0 and 1 step of search")
    page.get_by_role("tab", name="Compare").click()
    button(page, "Start the race").click()
    expect(page.locator("#compare-status")).to_contain_text("Your move", timeout=60_000)
    assert page.evaluate(SMALL) == []


def test_nothing_moves_for_those_who_asked_for_that(visit: Visit):
    page = prepared(visit, 1)
    assert page.evaluate(MOVING) > 0
    page.emulate_media(reduced_motion="reduce")
    run(page)
    assert page.evaluate(MOVING) == 0


def test_a_click_on_the_plot_moves_the_step_slider(visit: Visit):
    page = prepared(visit, 4)
    run(page)
    points = page.locator("#plot .scatterlayer .trace").last.locator(".points path")
    expect(points).to_have_count(5)
    page.locator("#plot").scroll_into_view_if_needed()
    for step in (1, 3):
        box = points.nth(step).bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.up()
        expect(page.locator(NOW)).to_contain_text(f"step {step} of 4")
        expect(page.locator("#score")).to_contain_text(f"at step {step}")
        page.wait_for_timeout(400)  # two clicks within 300 ms are a double click to plotly


def test_a_running_search_leaves_focus_zoom_and_opened_panels_alone(visit: Visit):
    page = prepared(visit, 400)
    button(page, "Run").click()
    reach(page, 4)
    page.locator("#step-settings > button").click()
    page.locator("#plot").scroll_into_view_if_needed()
    area = page.locator("#plot .nsewdrag").bounding_box()
    page.mouse.move(area["x"] + 5, area["y"] + 10)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] / 3, area["y"] + area["height"] - 10, steps=5)
    page.mouse.up()
    ranges = "['xaxis', 'yaxis'].map((name) => document.querySelector('#plot .plot').layout[name].range)"
    zoomed = page.evaluate(ranges)
    assert zoomed[0][1] < 200, "the whole run is 400 steps wide"
    page.get_by_label("Prompt").focus()
    page.keyboard.press("End")
    page.keyboard.type(" and a green cup", delay=60)
    reach(page, page.locator(TILES).count() + 5)
    assert page.evaluate("document.activeElement.closest('#prompt') !== null")
    expect(page.get_by_label("Prompt")).to_have_value("two red dogs left of a blue car and a green cup")
    expect(page.locator("#stage .prompt")).to_have_text("two red dogs left of a blue car")
    expect(page.locator("#settings table")).to_be_visible()
    assert page.evaluate(ranges) == zoomed
    button(page, "Stop").click()
    expect(page.locator(STATUS)).to_contain_text("Stopped: step")


def test_keys_choose_what_a_step_is_compared_with(visit: Visit):
    page = prepared(visit, 3)
    run(page)
    best = int(re.search(r"best (\d)", page.locator(STATUS).inner_text())[1])
    page.locator("#stage .now .frame").focus()
    page.keyboard.press("End")  # a finished run rests on its best step
    page.locator("#against").get_by_role("radio", name="first").focus()
    name = page.locator("#stage .before .where")
    expect(name).to_have_text("step 0")

    def choose_next() -> None:
        """Gradio gives every radio a name of its own, so they are reached by Tab, not by arrows."""
        page.keyboard.press("Tab")
        page.keyboard.press("Space")

    choose_next()
    expect(name).to_have_text("step 2")
    choose_next()
    expect(name).to_have_text(f"step {best}")
    choose_next()
    expect(name).to_have_text("step 3")
    page.locator("#stage .now .frame").focus()
    page.keyboard.press("Home")
    expect(page.locator("#stage .now .where")).to_have_text("step 0")
    expect(name).to_have_text("step 3")


def test_a_step_is_light_on_the_wire_and_the_first_image_is_soon_there(visit: Visit):
    page = prepared(visit, 8)
    wire = Wire(page)
    started = time.monotonic()
    button(page, "Run").click()
    page.wait_for_function(f'document.querySelector("{TILES} img")?.naturalWidth > 0')
    waited = time.monotonic() - started
    expect(page.locator(STATUS)).to_contain_text("Finished", timeout=60_000)
    page.wait_for_timeout(500)  # the last images
    assert 2_000 < wire.bytes / 9 <= 40_000
    assert waited <= 10  # the bar is 3 s on two free cores; measure.py measures it


def test_the_first_load_is_light(visit: Visit):
    page = visit(strict=False)  # a page that goes away breaks its requests off, and says so
    page.emulate_media(reduced_motion="reduce")  # what plays asks for more, but later
    expect(page.locator("#plot .main-svg").first).to_be_visible(timeout=60_000)
    page.context.new_cdp_session(page).send("Network.clearBrowserCache")
    wire = Wire(page)
    page.reload()
    expect(page.locator("#plot .main-svg").first).to_be_visible(timeout=60_000)
    expect(page.locator("#strip img").first).to_be_visible()
    page.wait_for_timeout(2000)
    assert 500_000 < wire.bytes <= 2_200_000
    assert 20 < wire.requests <= 100


def test_a_change_while_paused_acts_at_the_very_next_step(visit: Visit):
    page = prepared(visit, 400)
    button(page, "Step").click()
    expect(page.locator(STATUS)).to_contain_text("Paused: step 0")
    for value, step in (("0.21", 1), ("0.42", 2)):
        field = page.locator("#knob-lr input[type=number]")
        field.fill(value)
        field.blur()
        expect(page.locator("#in-force-lr")).to_contain_text(f"from the next step: {value}")
        button(page, "Step").click()
        expect(page.locator("#in-force-lr")).to_contain_text(f"in force since step {step}: {value}")


def test_a_value_may_be_typed_digit_by_digit(visit: Visit):
    page = prepared(visit, 4)
    button(page, "Step").click()
    expect(page.locator(STATUS)).to_contain_text("Paused: step 0")
    field, said = page.locator("#knob-lr input[type=number]"), page.locator("#in-force-lr")
    field.select_text()
    for typed, beside, told in (
        ("0", "in force since step 0: 0.01", ""),
        (".", "in force since step 0: 0.01", ""),
        ("25", "from the next step: 0.25", ""),
        ("9", "from the next step: 0.259", ""),
    ):
        page.keyboard.type(typed)
        page.wait_for_timeout(300)  # an answer that should not come
        expect(said).to_contain_text(beside)
        expect(page.locator(NOTICE)).to_have_text(told)
    field.fill("99")
    expect(page.locator(NOTICE)).to_contain_text("lr lies in (0, 10]; got 99")
    field.blur()
    expect(said).to_contain_text("from the next step: 1")
    expect(page.locator(NOTICE)).to_have_text("")


@pytest.fixture
def service() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    yield endpoint
    endpoint.close()


def test_a_remote_critic_costs_what_was_said_and_its_key_stays_here(
    visit: Visit, service: Endpoint, app_log: list[str], tmp_path: Path
):
    page = prepared(visit, 3)
    fill_number(page, "lr", "0.5")  # a step that changes nothing asks the judge nothing
    expect(page.locator("#estimate")).to_contain_text("No call costs money")
    expect(page.locator("#api-key")).to_be_hidden()
    page.locator("#critics > button").click()
    page.locator("#critic input").click()
    page.get_by_role("option", name=re.compile("^gpt-4o")).click()
    expect(page.locator("#estimate")).to_contain_text("Up to 4 calls to a paid service")
    page.locator("#api-key input").fill(KEY)
    page.locator("#api-url :is(input, textarea)").fill(service.url)
    # Two scores, then the service breaks down.
    service.replies = [alignment(4), alignment(7), failing(500, "the judge fell over")]
    button(page, "Run").click()
    expect(page.locator(NOTICE).get_by_role("alert")).to_contain_text("500", timeout=60_000)
    expect(page.locator(STATUS)).to_contain_text("Failed after step 1 of 3, score 0.70")
    expect(page.locator(TILES)).to_have_count(2)
    service.replies = [alignment(8)]
    button(page, "Resume").click()
    expect(page.locator(STATUS)).to_contain_text(
        "Finished, all steps are done: step 3 of 3, score 0.80", timeout=60_000
    )
    expect(page.locator(NOTICE).get_by_role("alert")).to_have_count(0)
    assert all(headers["authorization"] == f"Bearer {KEY}" for _, headers in service.requests)
    page.locator("#export > button").click()
    button(page, "Prepare files, settings and link").click()
    with page.expect_download() as download:
        page.locator("#files").get_by_role("row", name=re.compile(r"\.zip")).get_by_role("link").first.click()
    download.value.save_as(tmp_path / "run.zip")
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        written = b"".join(archive.read(name) for name in archive.namelist())
    shown = page.content() + page.locator("#link textarea").input_value()
    for where in (written.decode("latin-1"), shown, "".join(app_log)):
        assert KEY not in where
