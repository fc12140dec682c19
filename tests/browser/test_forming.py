"""A model that counts as slow, in its own app: its picture is seen to form, row by row, and ends as without that."""

import sys

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import started
from tests.browser.visits import NOW, STATUS, TILES, button

pytestmark = pytest.mark.browser

SLOW = """import math, sys
import app
from milr_core import forming
forming.SLOW, forming.SHARE = 0.0, math.inf
sys.exit(app.main(["--model", "janus-icons", "--critic", "oracle"]))"""
"""Any step is slow, and no decoding takes too much of it."""

SEEN = """window.seen = new Set(); new MutationObserver(() => {
  const points = document.querySelector('#stage .now .points').textContent;
  if (points.startsWith('row')) window.seen.add(points);
}).observe(document.querySelector('#stage'), {childList: true, subtree: true, characterData: true});"""


@pytest.mark.timeout(900)
def test_the_picture_of_a_slow_step_is_seen_to_form(browser: Browser, tmp_path):
    with started([sys.executable, "-c", SLOW], tmp_path) as url:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(60_000)
        page.goto(f"{url}?prompt=two+red+dogs&steps=60&threshold=1&seed=1&pace=fast")
        expect(page.locator("#estimate")).to_contain_text("60 steps of search", timeout=60_000)
        page.evaluate(SEEN)
        button(page, "Run").click()
        page.wait_for_function("window.seen.size >= 2")
        seen = page.evaluate("[...window.seen]")
        assert all(said in {f"row {row} of 6" for row in range(1, 6)} for said in seen)
        # Whoever looks at another step is left alone.
        expect(page.locator(TILES).nth(3)).to_be_visible()
        page.locator(TILES).first.click()
        expect(page.locator("#score")).to_contain_text("at step 0")
        page.wait_for_timeout(1000)
        page.evaluate("window.seen.clear()")
        page.wait_for_timeout(2000)
        assert page.evaluate("window.seen.size") == 0
        button(page, "Stop").click()
        expect(page.locator(STATUS)).to_contain_text("Stopped: step")
        expect(page.locator(NOW)).to_contain_text("step 0 of 60")
        page.close()
