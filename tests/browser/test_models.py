"""Another model, chosen by one visitor for all of them."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visits import NOTICE, STATUS, Visit, button, prepared, run

pytestmark = pytest.mark.browser
RECOMMENDED = json.loads((Path(__file__).parents[2] / "assets/janus-icons/milr.json").read_text())["recommended"]
READY = "Model {}: ready, on cpu, float32"


def load(page: Page, name: str, label: str) -> None:
    if not page.locator("#load-model").is_visible():
        page.locator("#models").get_by_role("button").first.click()
    page.locator("#model input").click()
    page.get_by_role("option", name=label).click()
    expect(page.locator("#model-needs")).to_contain_text("It takes")
    button(page, "Load").click()
    expect(page.locator("#header")).to_contain_text(READY.format(name))


def test_a_model_is_loaded_for_everybody_and_runs_of_another_are_not_continued(visit: Visit):
    mine, theirs = prepared(visit, 1), prepared(visit, 400)
    run(mine)
    button(theirs, "Run").click()
    expect(theirs.locator(STATUS)).to_contain_text("Running")
    mine.locator("#models").get_by_role("button").first.click()
    mine.locator("#model input").click()
    mine.get_by_role("option", name="tiny-janus").click()
    button(mine, "Load").click()
    expect(mine.locator("#model-notice")).to_contain_text("Searches are under way")
    button(theirs, "Stop").click()
    expect(theirs.locator(STATUS)).to_contain_text("Stopped")
    try:
        button(mine, "Load").click()
        for page in (mine, theirs):
            expect(page.locator("#header")).to_contain_text(READY.format("tiny-janus"))
        button(theirs, "Resume").click()
        expect(theirs.locator(NOTICE)).to_contain_text("with other weights than tiny-janus has here")
        # Recommended settings of the new model are in the controls, and a search on it works.
        expect(theirs.locator("#knob-text_ratio input[type=number]")).to_have_value("0.2")
        run(mine)
        expect(mine.locator(".runs button")).to_have_count(2)
    finally:
        load(mine, "janus-icons", "Janus-Icons")
    expect(theirs.locator("#knob-text_ratio input[type=number]")).to_have_value(str(RECOMMENDED["text_ratio"]))
