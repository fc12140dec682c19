"""A page that is loaded anew, in a real browser: its runs are there, and nobody else's."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visits import NOTICE, STATUS, TILES, Visit, button, prepared, reach, run

pytestmark = pytest.mark.browser


def scores(page: Page) -> list[str]:
    return [tile.split(",")[1] for tile in page.locator(TILES).evaluate_all("all => all.map(t => t.ariaLabel)")]


def test_reload_and_back_give_a_finished_run_back_and_another_browser_nothing(visit: Visit):
    page = prepared(visit, 3, strict=False)  # a page that goes away breaks its requests off, and says so
    run(page)
    before = scores(page)
    page.reload()
    expect(page.locator(TILES)).to_have_count(4)
    expect(page.locator(STATUS)).to_contain_text("Finished, all steps are done: step 3 of 3")
    assert scores(page) == before
    page.goto("about:blank")
    page.go_back()
    expect(page.locator(TILES)).to_have_count(4)
    other = visit()
    expect(other.locator(STATUS)).to_contain_text("A recorded run, nothing is computed")
    expect(other.locator(".runs button")).to_have_count(0)


def test_a_running_search_survives_three_drops_and_a_reload(visit: Visit):
    undisturbed = prepared(visit, 8)
    run(undisturbed)
    page = prepared(visit, 40, strict=False)
    button(page, "Run").click()
    for drop in range(3):
        reach(page, 2 * drop)
        page.context.set_offline(True)
        page.wait_for_timeout(300)
        page.context.set_offline(False)
        expect(page.locator(TILES).nth(2 * drop)).to_be_visible()
    expect(page.locator(STATUS)).to_contain_text("Running")
    page.reload()
    expect(page.locator(STATUS)).to_contain_text("Finished, all steps are done: step 40 of 40", timeout=90_000)
    expect(page.locator(TILES)).to_have_count(41)
    assert scores(page)[:9] == scores(undisturbed)


def test_a_drop_of_the_network_keeps_a_finished_run_and_the_prompt(visit: Visit):
    page = visit(query="?steps=2&threshold=1", strict=False)
    expect(page.locator("#estimate")).to_contain_text("step 0 and 2 steps of search")
    page.get_by_label("Prompt").fill("two red dogs")
    run(page)
    page.context.set_offline(True)
    page.wait_for_timeout(300)
    page.context.set_offline(False)
    page.wait_for_timeout(4000)
    expect(page.locator(TILES)).to_have_count(3)
    page.reload()
    expect(page.get_by_label("Prompt")).to_have_value("two red dogs")
    expect(page.locator(NOTICE).get_by_role("alert")).to_have_count(0)


def test_an_exact_name_chooses_the_critic_of_that_name(visit: Visit):
    page = visit()
    page.locator("#critics > button").click()
    field = page.locator("#critic input")
    field.click()
    field.fill("geneval")
    field.press("Enter")
    expect(field).to_have_value("geneval")
    expect(page.locator("#about-critics")).to_contain_text(re.compile("geneval: "))
