"""What a visitor does, in a real browser against the real app."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser
Visit = Callable[..., Page]
expect.set_options(timeout=20_000)

STATUS, NOTICE, TILES, STEP = "#status", "#notice", "#gallery button.thumbnail-item", "#step-slider input[type=number]"


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def fill_number(page: Page, knob: str, value: str) -> None:
    field = page.locator(f"#knob-{knob} input[type=number]")
    field.fill(value)
    field.blur()


def prepare(page: Page, steps: int, prompt: str = "two red circles left of a blue square") -> None:
    """Ask for a run of exactly that many steps: no score passes a threshold of 1."""
    page.get_by_label("Prompt").fill(prompt)
    page.locator("#advanced > button").click()
    fill_number(page, "steps", str(steps))
    fill_number(page, "threshold", "1")


def reach(page: Page, step: int) -> None:
    expect(page.locator(TILES).nth(step)).to_be_visible()


def step_in(text: str) -> int:
    return int(re.search(r"step (\d+)", text)[1])


def test_live_setting_takes_effect_at_a_later_step_of_a_running_search(visit: Visit):
    page = visit()
    prepare(page, 12)
    button(page, "Run").click()
    reach(page, 2)
    expect(page.locator("#in-force-lr")).to_contain_text("since step 0")
    fill_number(page, "lr", "0.37")
    expect(page.locator("#in-force-lr")).to_contain_text(re.compile(r"in force since step ([3-9]|1\d): 0\.37(?!;)"))
    first = step_in(page.locator("#in-force-lr").inner_text())
    expect(page.locator(STATUS)).to_contain_text("Finished, all steps are done: step 12 of 12")
    assert page.locator(TILES).count() == 13
    expect(page.get_by_label(re.compile("Step 12 for"))).to_have_count(0)
    expect(page.locator("#image img")).to_have_attribute("alt", re.compile("Step 12 for 'two red circles"))
    # The record of each step says what it was made with.
    page.locator("#step-settings > button").click()
    rows = page.locator("#settings tr").filter(has_text="Learning rate")
    expect(rows).to_contain_text(re.compile(rf"0\.37\s*since step {first}"))
    page.locator(TILES).nth(first - 1).click()
    expect(rows).not_to_contain_text("0.37")


def test_one_choice_of_step_drives_every_panel(visit: Visit):
    page = visit()
    prepare(page, 4)
    button(page, "Run").click()
    expect(page.locator(STATUS)).to_contain_text("Finished")
    expect(page.locator(STEP)).to_have_value("4")
    page.locator(TILES).nth(1).click()
    expect(page.locator("#score")).to_contain_text("at step 1")
    expect(page.locator(STEP)).to_have_value("1")
    expect(page.locator("#image img")).to_have_attribute("src", re.compile("step-0001.png"))
    expect(page.locator("#reasoning mark.prefix")).to_be_visible()
    page.locator("#step-slider input[type=range]").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#score")).to_contain_text("at step 0")
    expect(page.locator("#reasoning")).to_contain_text("none optimised")
    expect(page.locator("#plot .plot")).to_have_attribute("aria-label", re.compile("from step 0: [01]"))
    expect(page.locator("#plot .plot svg").first).to_be_visible()


def test_pause_resume_and_stop(visit: Visit):
    page = visit()
    prepare(page, 40)
    button(page, "Run").click()
    reach(page, 1)
    button(page, "Pause").click()
    expect(page.locator(STATUS)).to_contain_text("Paused: step")
    held = page.locator(TILES).count()
    page.wait_for_timeout(1500)
    assert page.locator(TILES).count() == held
    button(page, "Step").click()
    expect(page.locator(TILES)).to_have_count(held + 1)
    expect(page.locator(STATUS)).to_contain_text(f"Paused: step {held} of 40")
    button(page, "Resume").click()
    reach(page, held + 2)
    button(page, "Stop").click()
    expect(page.locator(STATUS)).to_contain_text("Stopped: step")
    expect(button(page, "Run")).to_be_enabled()
    expect(button(page, "Pause")).to_be_disabled()


def test_an_unknown_word_is_explained(visit: Visit):
    page = visit()
    page.get_by_label("Prompt").fill("two red elephants")
    button(page, "Run").click()
    expect(page.get_by_role("alert")).to_contain_text("elephants")
    expect(page.get_by_role("alert")).to_contain_text("It draws one to four")
    button(page, "three green triangles").click()
    expect(page.get_by_label("Prompt")).to_have_value("three green triangles")
    button(page, "Step").click()
    expect(page.locator(STATUS)).to_contain_text("step 0 of 16")  # paused, or right at once
    expect(page.get_by_role("alert")).to_have_count(0)


def test_two_visitors_take_turns_and_see_only_their_own(visit: Visit):
    first, second = visit(), visit(width=390)
    prepare(first, 40, "a red circle")
    prepare(second, 2, "a blue square")
    button(first, "Run").click()
    reach(first, 0)
    button(second, "Run").click()
    expect(second.locator(STATUS)).to_contain_text("Another visitor's search is ahead of yours")
    button(first, "Pause").click()
    expect(second.locator(STATUS)).to_contain_text("Finished, all steps are done: step 2 of 2")
    expect(second.locator(TILES)).to_have_count(3)
    expect(second.locator("#image img")).to_have_attribute("alt", re.compile("'a blue square'"))
    expect(first.locator("#image img")).to_have_attribute("alt", re.compile("'a red circle'"))
    assert second.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_leaving_the_line_and_closing_the_tab(visit: Visit):
    first, second = visit(), visit()
    prepare(first, 60)
    prepare(second, 1)
    button(first, "Run").click()
    reach(first, 0)
    button(second, "Run").click()
    button(second, "Leave").click()
    expect(second.locator(STATUS)).to_contain_text("Stopped")
    button(second, "Run").click()
    expect(second.locator(STATUS)).to_contain_text("ahead of yours")
    first.close()
    expect(second.locator(STATUS)).to_contain_text("Finished")
