"""What a newcomer sees and tries, in a real browser: the run that plays itself, an example, the pace, what travels."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visits import NOW, STATUS, TILES, Visit, button, exported, fill_number, prepared, reach, run
from ui.panels.chips import chosen

pytestmark = pytest.mark.browser

SHIFTS = """window.shifts = 0; new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
}).observe({type: 'layout-shift', buffered: true});"""


def top(page: Page, selector: str) -> float:
    return page.locator(selector).bounding_box()["y"]


def test_the_page_opens_on_a_run_that_plays_itself_and_run_takes_its_place(visit: Visit):
    page = visit()
    expect(page.locator(STATUS)).to_contain_text("A recorded run, nothing is computed")
    expect(page.locator("#stepper .play")).to_have_attribute("aria-pressed", "true", timeout=30_000)
    expect(page.locator(NOW)).to_contain_text("best", timeout=60_000)
    expect(page.locator("#stage .verdict")).to_have_text(re.compile(r"Step 0: 0\.\d\d → step \d+: 1\.00 · \d+ words?"))
    expect(page.locator("#stage .before .points")).to_have_text(re.compile(r"0\.\d\d"))
    expect(page.locator("#stage .now .box.found").first).to_be_visible()
    expect(page.locator("#reasoning .inserted").first).to_be_visible()
    for selector in ("#stage .now .frame", "#stage .verdict", "#strip"):
        box = page.locator(selector).bounding_box()
        assert box["y"] + box["height"] <= 900, f"{selector} is in sight without scrolling"
    for name in ("paper", "authors’ code", "this project", "docs"):
        expect(page.locator("#header").get_by_role("link", name=name)).to_be_visible()
    button(page, "Run").click()
    expect(page.locator(TILES).first).to_be_visible()
    expect(page.locator(STATUS)).not_to_contain_text("A recorded run")


def test_nothing_plays_for_those_who_asked_for_that_and_a_telephone_shows_it_early(visit: Visit):
    page = visit(width=390, strict=False)  # a page that is loaded again breaks its requests off, and says so
    page.emulate_media(reduced_motion="reduce")
    page.reload()
    expect(page.locator(NOW)).to_contain_text("best")
    page.wait_for_timeout(3000)
    expect(page.locator(NOW)).to_contain_text("best")
    expect(page.locator("#stepper .play")).to_have_attribute("aria-pressed", "false")
    for selector in ("#stage .pair", "#strip"):
        assert top(page, selector) < 1.5 * 844, selector
    for name in ("Inspector", "Compare", "Results", "About"):
        expect(page.get_by_role("tab", name=name)).to_be_in_viewport()
    tray = page.locator("#live").bounding_box()
    assert tray["y"] + tray["height"] <= 901 and tray["height"] < 260, "the sliders stay in sight"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_tables_of_the_results_come_when_they_are_opened(visit: Visit):
    page = visit()
    page.get_by_role("tab", name="Results").click()
    expect(page.locator("#findings img")).to_be_visible()
    expect(page.locator("#all-results table")).to_have_count(0)
    page.get_by_text("Every table, chart and interval").click()
    expect(page.locator("#all-results table").first).to_be_visible()
    expect(page.locator("#all-results")).to_contain_text("not edited by hand")


@pytest.mark.parametrize("width", [1440, 390])
def test_one_press_on_an_example_runs_it_at_a_step_a_second_and_nothing_jumps(visit: Visit, width: int):
    page = visit(width=width)
    page.evaluate(SHIFTS)
    chip = chosen()[1]
    page.locator("#examples").get_by_role("button", name=chip.prompt).click()
    expect(page.locator("#knob-seed input")).to_have_value(str(chip.seed))
    expect(page.locator("#pace input")).to_have_value("one step a second")
    expect(page.locator(STATUS)).to_contain_text("Finished", timeout=120_000)
    expect(page.locator(NOW)).to_contain_text("score 1.00, best")
    expect(page.locator("#stage .verdict")).to_contain_text("1.00")
    expect(page.locator("#score .reason")).to_contain_text("Right.")
    page.locator("#dice").click()
    expect(page.locator(".runs button")).to_have_count(2)
    expect(page.locator("#knob-seed input")).not_to_have_value(str(chip.seed))
    expect(page.locator(STATUS)).to_contain_text(re.compile("Finished"), timeout=120_000)
    assert page.evaluate("window.shifts") < 0.1


def test_a_word_and_what_it_became_light_up_together(visit: Visit):
    page = visit()
    page.locator("#stepper .last").click()
    expect(page.locator(NOW)).to_contain_text("best")
    word = page.locator("#reasoning [data-box]").first
    at = word.get_attribute("data-box")
    word.hover()
    expect(page.locator(f"#stage .now .box[data-at='{at}']")).to_have_class(re.compile(r"\blit\b"))
    expect(page.locator("#stage .now .grid rect.linked").first).to_be_attached()
    page.locator("#score").hover()
    expect(page.locator("#stage .now .box.lit")).to_have_count(0)
    page.locator(f"#stage .now .box[data-at='{at}']").click(force=True)
    expect(page.locator(f"#reasoning [data-box='{at}']").first).to_have_class(re.compile(r"\blit\b"))


def test_it_waits_for_a_person_at_every_step_and_one_drag_is_one_change(visit: Visit):
    page = prepared(visit, 400)
    page.locator("#pace input").click()
    page.get_by_role("option", name="wait for me at every step").click()
    button(page, "Run").click()
    expect(page.locator(STATUS)).to_contain_text("Paused: step 0")
    page.locator("#knob-lr input[type=range]").focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#in-force-lr")).to_contain_text("from the next step: 0.09")
    button(page, "Resume").click()
    expect(page.locator(STATUS)).to_contain_text("Paused: step 1")
    expect(page.locator("#plot .changes")).to_have_text("Changed from step 1: Learning rate: 0.01 → 0.09.")
    expect(page.locator("#in-force-text_ratio")).to_contain_text(re.compile(r"first \d+ of \d+ words"))
    page.locator("#pace input").click()
    page.get_by_role("option", name="as fast as it goes").click()
    button(page, "Resume").click()
    reach(page, 5)
    button(page, "Stop").click()


def test_a_run_travels_as_a_page_a_link_and_a_picture(visit: Visit, tmp_path: Path):
    page = prepared(visit, 3)
    fill_number(page, "lr", "0.07")
    run(page)
    exported(page, tmp_path / "run.html")
    link = page.locator("#link textarea").input_value()
    with page.expect_download() as picture:
        page.locator("#stage .save").click()
    picture.value.save_as(tmp_path / "step.png")
    offline = page.context.browser.new_context(offline=True).new_page()
    offline.goto((tmp_path / "run.html").as_uri())
    expect(offline.get_by_role("slider").first).to_be_visible()
    offline.context.close()
    other = visit(query="?" + link.partition("?")[2])
    expect(other.locator(STATUS)).to_contain_text("A recorded run, nothing is computed: step 3 of 3")
    expect(other.locator(TILES)).to_have_count(4)
    third = visit()
    third.locator("#open input[type=file], input#open, input[type=file]").first.set_input_files(tmp_path / "step.png")
    expect(third.locator("#knob-lr input[type=number]")).to_have_value("0.07")
    expect(third.get_by_label("Prompt")).to_have_value("two red dogs left of a blue car")


def test_a_recorded_run_leaves_the_visitors_own_settings_alone(visit: Visit):
    page = visit()
    page.get_by_label("Prompt").fill("a red dog")
    page.locator("#recorded button").first.click()
    expect(page.locator(TILES).first).to_be_visible()
    expect(page.get_by_label("Prompt")).to_have_value("a red dog")
    expect(button(page, "Step")).to_be_disabled()
    shown = page.locator("#stage .prompt").inner_text()
    page.locator("#take").click()
    expect(page.get_by_label("Prompt")).to_have_value(shown)


def test_the_followed_step_is_in_sight_in_the_strip(visit: Visit):
    page = prepared(visit, 14, width=390)
    run(page)
    page.locator("#stepper .last").click()
    expect(page.locator(f"{TILES}[aria-current]")).to_be_in_viewport(ratio=0.9)
    assert page.evaluate("document.querySelector('#strip ol').scrollLeft") > 0
