"""A model that counts as slow, in an app of this process: its picture forms row by row, and ends as without that."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from milr_core import Janus, forming
from tests.browser.conftest import launched
from tests.browser.visits import NOW, STATUS, TILES, button, reach
from ui.engines.local import LocalEngine
from ui.layout import build_demo
from ui.storage import claim_folder

pytestmark = pytest.mark.browser

SEEN = """window.seen = new Set(); new MutationObserver(() => {
  const points = document.querySelector('#stage .now .points').textContent;
  if (points.startsWith('row')) window.seen.add(points);
}).observe(document.querySelector('#stage'), {childList: true, subtree: true, characterData: true});"""


@pytest.fixture
def url(embedded: Janus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Any step is slow, and no decoding takes too much of it."""
    monkeypatch.setattr(forming, "SLOW", 0.0)
    monkeypatch.setattr(forming, "SHARE", math.inf)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    claim_folder({})
    with launched(build_demo(LocalEngine(embedded), "oracle")) as opened:
        yield opened


def test_the_picture_of_a_slow_step_is_seen_to_form(browser: Browser, url: str):
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
    reach(page, page.locator(TILES).count())  # what was on its way has come
    page.evaluate("window.seen.clear()")
    reach(page, page.locator(TILES).count() + 1)
    assert page.evaluate("window.seen.size") == 0
    button(page, "Stop").click()
    expect(page.locator(STATUS)).to_contain_text("Stopped: step")
    expect(page.locator(NOW)).to_contain_text("step 0 of 60")
    page.close()
