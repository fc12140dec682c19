"""The page while its engine is still to come, in a real Chromium: what is pressed then, and what is said."""

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from milr_core import InputError
from milr_core.janus import Progress
from tests.browser.conftest import launched
from tests.browser.visits import NOTICE, STATUS, TILES, button
from ui.engines.local import LocalEngine, make_local
from ui.engines.models import Models
from ui.engines.unloaded import Unloaded, announced
from ui.layout import build_demo
from ui.storage import claim_folder

pytestmark = pytest.mark.browser
NAME = "janus-icons"


class Coming:
    """A model that is loaded once `go_on` is set, or fails then."""

    def __init__(self) -> None:
        self.go_on, self.fails = threading.Event(), False

    def __call__(self, name: str, progress: Progress) -> LocalEngine:
        assert self.go_on.wait(120)
        if self.fails:
            raise InputError("A file is damaged: download it again.")
        return make_local(name, progress, "cpu")


@pytest.fixture
def coming() -> Coming:
    return Coming()


@pytest.fixture
def early(coming: Coming, browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable]:
    """Opens a page whose model is on its way."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    claim_folder({})
    models = Models("", [NAME], coming)
    pages: list[Page] = []
    with launched(build_demo(Unloaded(announced(NAME)), "oracle", models=models)) as url:
        models.load(NAME)

        def opened() -> Page:
            pages.append(browser.new_page(viewport={"width": 1440, "height": 900}))
            pages[-1].goto(f"{url}?prompt=two+red+dogs&steps=1&threshold=1&seed=1&pace=fast")
            expect(pages[-1].get_by_label("Prompt")).to_have_value("two red dogs", timeout=60_000)
            return pages[-1]

        yield opened
        coming.go_on.set()
        models.wait()
        for page in pages:
            page.close()


def test_run_pressed_before_the_engine_is_there_waits_says_so_and_runs(early: Callable[[], Page], coming: Coming):
    page = early()
    expect(page.locator(STATUS)).to_contain_text("A recorded run, nothing is computed")
    expect(page.locator("#header")).to_contain_text(f"Model {NAME}: Loading")
    button(page, "Run").click()
    expect(page.locator(STATUS)).to_contain_text("Loading the engine")
    expect(button(page, "Leave")).to_be_visible()
    expect(page.locator(TILES)).to_have_count(0)
    page.reload()
    expect(page.locator(STATUS)).to_contain_text("Loading the engine", timeout=60_000)
    coming.go_on.set()
    expect(page.locator(STATUS)).to_contain_text("Finished", timeout=180_000)
    expect(page.locator(TILES)).to_have_count(2)
    expect(page.locator("#header")).to_contain_text(f"Model {NAME}: ready, on cpu")
    expect(page.locator("#header")).not_to_contain_text("Loading")


def test_a_model_that_cannot_be_loaded_is_told_and_the_page_stays(early: Callable[[], Page], coming: Coming):
    coming.fails = True
    page = early()
    button(page, "Run").click()
    expect(page.locator(STATUS)).to_contain_text("Loading the engine")
    coming.go_on.set()
    said = re.compile(f"{NAME} was not loaded. A file is damaged: download it again.")
    expect(page.locator("#header [role=alert]")).to_contain_text(said, timeout=60_000)
    expect(page.locator(STATUS)).to_contain_text("Failed at step 0")
    expect(page.locator(NOTICE)).to_contain_text(said)
    coming.fails = False
    page.locator("#models").get_by_role("button").first.click()
    button(page, "Load").click()
    expect(page.locator("#header")).to_contain_text(f"Model {NAME}: ready", timeout=180_000)
    button(page, "Resume").click()
    expect(page.locator(STATUS)).to_contain_text("Finished", timeout=60_000)
