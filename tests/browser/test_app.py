"""What a visitor does, in a real browser against the real app."""

import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.visits import (
    NOW,
    STATUS,
    STEP,
    TILES,
    Visit,
    button,
    exported,
    fill_number,
    prepared,
    reach,
    run,
    step_in,
)
from ui.tabs.comparison import METHODS, RACE

pytestmark = pytest.mark.browser


def test_live_setting_takes_effect_at_a_later_step_of_a_running_search(visit: Visit):
    page = prepared(visit, 400)
    button(page, "Run").click()
    reach(page, 2)
    expect(page.locator("#in-force-lr")).to_contain_text("since step 0")
    fill_number(page, "lr", "0.37")
    expect(page.locator("#in-force-lr")).to_contain_text(re.compile(r"in force since step ([3-9]|\d\d+): 0\.37(?!;)"))
    first = step_in(page.locator("#in-force-lr").inner_text())
    reach(page, first)
    button(page, "Stop").click()
    expect(page.locator(STATUS)).to_contain_text("Stopped: step")
    last = step_in(page.locator(STATUS).inner_text())
    expect(page.locator(TILES)).to_have_count(last + 1)
    expect(page.locator("#stage .now img")).to_have_attribute("alt", re.compile(f"Step {last} for 'two red dogs"))
    # The record of each step says what it was made with, and the plot where it was changed.
    page.locator("#step-settings > button").click()
    rows = page.locator("#settings tr").filter(has_text="Learning rate").first
    expect(rows).to_contain_text(re.compile(rf"0\.37\s*since step {first}"))
    page.locator(TILES).nth(first - 1).click()
    expect(rows).not_to_contain_text("0.37")
    expect(page.locator("#plot .changes")).to_contain_text(f"from step {first}: Learning rate: ")


def test_one_choice_of_step_drives_every_panel_and_keys_suffice(visit: Visit):
    page = prepared(visit, 4)
    page.get_by_label("Prompt").focus()
    page.keyboard.press("Enter")
    expect(page.locator(STATUS)).to_contain_text("Finished")
    expect(page.locator(NOW)).to_contain_text("best")  # where a run that has ended rests
    page.locator(STEP).focus()
    for key, step in (("Home", 0), ("ArrowRight", 1), ("End", 4), ("ArrowLeft", 3)):
        page.keyboard.press(key)
        expect(page.locator(NOW)).to_contain_text(f"step {step} of 4")
        expect(page.locator(STEP)).to_have_attribute("aria-valuetext", re.compile(f"^step {step} of 4, score "))
        expect(page.locator("#score")).to_contain_text(f"at step {step}")
        expect(page.locator("#stage .now img")).to_have_attribute("src", re.compile(f"step-00{step}.png"))
        expect(page.locator(f"{TILES}[aria-current]")).to_have_count(1)
        expect(page.locator(TILES).nth(step)).to_have_attribute("aria-current", "step")
    expect(page.locator("#reasoning mark.prefix")).to_be_visible()
    # The same from the image, with the grid and the comparison, without a pointer.
    page.locator("#stage .now .frame").focus()
    page.keyboard.press("Home")
    expect(page.locator("#reasoning")).to_contain_text("as the model wrote them")
    expect(page.locator("#stepper .announced")).to_contain_text("step 0 of 4")
    page.keyboard.press("ArrowRight")
    page.locator("#overlays input[value=none]").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#stage .now .grid rect.prefix").first).to_be_attached()
    expect(page.locator("#stage .before .where")).to_have_text("step 0")
    expect(page.locator("#plot .plot")).to_have_attribute("aria-label", re.compile("from step 0: [01]"))
    page.locator("#stepper .play").press("Enter")
    expect(page.locator(NOW)).to_contain_text("step 4 of 4")
    expect(page.locator("#stepper .play")).to_have_attribute("aria-pressed", "false")


def test_pause_step_resume_and_stop(visit: Visit):
    page = prepared(visit, 400)
    button(page, "Run").click()
    reach(page, 1)
    button(page, "Pause").click()
    expect(page.locator(STATUS)).to_contain_text("Paused: step")
    held = step_in(page.locator(STATUS).inner_text()) + 1
    expect(page.locator(TILES)).to_have_count(held)
    page.wait_for_timeout(1500)
    assert page.locator(TILES).count() == held
    button(page, "Step").click()
    expect(page.locator(TILES)).to_have_count(held + 1)
    expect(page.locator(STATUS)).to_contain_text(f"Paused: step {held} of 400")
    button(page, "Resume").click()
    reach(page, held + 2)
    # Looking back while it runs: the slider stays, the gallery grows.
    page.locator(TILES).nth(1).click()
    count = page.locator(TILES).count()
    reach(page, count + 1)
    expect(page.locator(NOW)).to_contain_text("step 1 of 400")
    button(page, "Stop").click()
    expect(page.locator(STATUS)).to_contain_text("Stopped: step")
    expect(button(page, "Run")).to_be_enabled()


def test_a_fork_is_a_second_run_drawn_over_the_first(visit: Visit):
    page = prepared(visit, 3)
    run(page)
    page.locator(TILES).nth(1).click()
    expect(page.locator("#score")).to_contain_text("at step 1")
    fill_number(page, "lr", "0.5")
    page.locator("#fork").click()
    runs = page.locator("#runs button")
    expect(runs).to_have_count(2)
    expect(runs.nth(1)).to_contain_text("from step 1 of run 1")
    expect(runs.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(TILES)).to_have_count(4)
    expect(page.locator("#plot .legendtext").filter(has_text="run 1")).to_have_count(1)
    runs.nth(0).click()
    expect(runs.nth(0)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#plot .legendtext").filter(has_text="run 2")).to_have_count(1)


def test_compare_fills_its_table_and_opens_a_run(visit: Visit):
    page = prepared(visit, 1)
    page.get_by_role("tab", name="Compare").click()
    for box in page.locator("#methods input").all():
        box.check()
    page.locator("#methods label", has_text="you:").locator("input").uncheck()
    button(page, "Start the race").click()
    count = len(METHODS) - 1
    expect(page.locator("#compare-status")).to_contain_text(f"Finished: {count} of {count} methods", timeout=60_000)
    rows = page.locator("#table tbody tr")
    expect(rows).to_have_count(count)
    expect(rows.filter(has_text="joint").locator("[data-name=Images]").first).to_have_text("2")
    lanes = page.locator("#lanes section")
    expect(lanes).to_have_count(count)
    expect(lanes.filter(has_text="joint").locator("li")).to_have_count(2)
    page.locator("#lanes .scrub input").focus()
    page.keyboard.press("Home")
    expect(page.locator("#lanes .scrub output")).to_have_text("1 of 2")
    expect(lanes.filter(has_text="joint").locator(".points")).to_contain_text("at image 1")
    rows.nth(3).get_by_role("button", name="Inspect").click()
    expect(page.locator("#score")).to_contain_text("at step 1")
    expect(page.locator(TILES)).to_have_count(2)


def test_the_inspector_waits_for_a_comparison_and_says_so(visit: Visit):
    page = prepared(visit, 6)
    page.get_by_role("tab", name="Compare").click()
    expect(page.locator("#compare-estimate")).to_contain_text("“two red dogs left of a blue car”")
    button(page, "Start the race").click()
    page.locator("#table tbody tr").first.get_by_role("button", name="Inspect").click()
    expect(page.locator(STATUS)).to_contain_text("(Your comparison is running.)")
    expect(button(page, "Run")).to_be_disabled()
    expect(button(page, "Pause")).to_be_disabled()
    expect(button(page, "Run")).to_be_enabled(timeout=60_000)
    expect(page.locator(STATUS)).not_to_contain_text("comparison")
    expect(page.locator("#ask .announced")).to_contain_text("Finished")
    page.get_by_role("tab", name="Compare").click()
    expect(page.locator("#compare-status")).to_contain_text("Your move")
    button(page, "Cancel").click()
    expect(page.locator("#compare-status")).to_contain_text(f"Finished: {len(RACE)} of {len(RACE)} methods")


def test_a_race_waits_for_the_visitor_whose_lane_counts_its_images_like_the_others(visit: Visit):
    page = prepared(visit, 2)
    page.get_by_role("tab", name="Compare").click()
    button(page, "Start the race").click()
    said, hand, lanes = page.locator("#compare-status"), page.locator("#hand"), page.locator("#lanes section")
    expect(said).to_contain_text("Your move", timeout=60_000)
    yours = lanes.filter(has=page.get_by_role("heading", name="you"))
    expect(yours.locator("li")).to_have_count(1)
    expect(lanes.filter(has_text="MILR, both").locator("li")).to_have_count(3)
    hand.get_by_role("radio", name="cells").check()
    hand.get_by_role("spinbutton").fill("0.5")
    hand.get_by_role("button", name="Draw", exact=True).click()
    expect(yours.locator("li")).to_have_count(2)
    # A word of the plan; one that there is not is said, and the word is chosen anew.
    word = hand.locator(".plan button").first
    word.click()
    expect(word).to_have_attribute("aria-pressed", "true")
    hand.get_by_role("textbox").fill("dragonfly")
    hand.get_by_role("button", name="Draw", exact=True).click()
    expect(hand).to_contain_text("'dragonfly' is not one word of")
    hand.get_by_role("textbox").fill("")
    hand.get_by_role("button", name="Draw", exact=True).click()
    expect(yours.locator("li")).to_have_count(3)
    expect(said).to_contain_text(f"Finished: {len(RACE)} of {len(RACE)} methods")
    row = page.locator("#table tbody tr").filter(has_text="you say what")
    expect(row.locator("[data-name=Images]")).to_have_text("3")
    page.locator("#lanes .scrub input").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#lanes .scrub output")).to_have_text("2 of 3")
    expect(yours.locator(".points")).to_contain_text("at image")


def test_a_run_is_exported_replayed_and_a_hostile_file_refused(visit: Visit, tmp_path: Path):
    page = prepared(visit, 2)
    run(page)
    exported(page, tmp_path / "run.zip")
    expect(page.locator("#link textarea")).to_have_value(re.compile("prompt=two.red.dogs"))
    other = visit(width=390)
    other.locator("#open input[type=file], input#open, input[type=file]").first.set_input_files(tmp_path / "run.zip")
    expect(other.locator(STATUS)).to_contain_text("A recorded run, nothing is computed: step 2 of 2")
    expect(other.locator(TILES)).to_have_count(3)
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../../evil.txt", "evil")
    other.locator("#open input[type=file], input#open, input[type=file]").first.set_input_files(tmp_path / "evil.zip")
    expect(other.get_by_role("alert")).to_contain_text("which a run bundle does not")
    expect(other.locator(TILES)).to_have_count(3)
    assert other.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_an_unknown_word_is_explained(visit: Visit):
    page = visit()
    page.get_by_label("Prompt").fill("two red dragons")
    button(page, "Run").click()
    expect(page.get_by_role("alert")).to_contain_text("I cannot draw 'dragons'")
    expect(page.locator(STATUS)).to_contain_text("Nothing was started.")
    others = page.locator("#instead button")
    expect(others).to_have_count(3)
    instead = others.first.inner_text()
    others.first.click()
    expect(page.get_by_label("Prompt")).to_have_value(instead)
    expect(page.locator(TILES).first).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(others).to_have_count(0)


def test_two_visitors_take_turns_and_see_only_their_own(visit: Visit):
    first, second = prepared(visit, 400, "a+red+dog"), prepared(visit, 2, "a+blue+car", width=390)
    button(first, "Run").click()
    reach(first, 0)
    button(second, "Run").click()
    expect(second.locator(STATUS)).to_contain_text("Another visitor's search is ahead of yours")
    button(first, "Pause").click()
    expect(second.locator(STATUS)).to_contain_text("Finished, all steps are done: step 2 of 2")
    expect(second.locator(TILES)).to_have_count(3)
    expect(second.locator("#stage .now img")).to_have_attribute("alt", re.compile("'a blue car'"))
    expect(first.locator("#stage .now img")).to_have_attribute("alt", re.compile("'a red dog'"))
    assert second.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_leaving_the_line_and_stopping(visit: Visit):
    first, second = prepared(visit, 400), prepared(visit, 1)
    button(first, "Run").click()
    reach(first, 0)
    button(second, "Run").click()
    button(second, "Leave").click()
    expect(second.locator(STATUS)).to_contain_text("Stopped")
    button(second, "Run").click()
    expect(second.locator(STATUS)).to_contain_text("ahead of yours")
    button(first, "Stop").click()
    expect(second.locator(STATUS)).not_to_contain_text("ahead of yours", timeout=10_000)  # the engine is free again
    expect(second.locator(STATUS)).to_contain_text("Finished")
