"""Takes the screenshots of docs/ui.md from a running app: python tests/browser/screenshot.py URL [FOLDER]."""

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

PATIENCE = 200_000
PROMPT = "prompt=two+red+apples%2C+a+blue+cup+and+three+bananas&pace=fast"
SHORT = f"{PROMPT}&steps=5&threshold=1"
ROOT = Path(__file__).resolve().parents[2]
PANELS = {
    "stepper": "#stepper",
    "stage": "#picture",
    "score": "#score",
    "reasoning": "#reasoning",
    "plot": "#plot",
    "gallery": "#strip",
    "controls": "#ask",
    "export": "#export",
}


def open_page(browser: Browser, url: str, width: int, theme: str, query: str = SHORT) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 1000})
    page.set_default_timeout(PATIENCE)
    page.goto(f"{url}?__theme={theme}&{query}")
    expect(page.locator("#estimate")).to_contain_text("5 steps" if query == SHORT else "16 steps")
    return page


def searched(page: Page) -> None:
    """A run, and a fork of it with another learning rate."""
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#status")).to_contain_text("Finished")
    page.locator("#strip ol:not([data-run='0']) li button").nth(2).click()
    expect(page.locator("#score")).to_contain_text("at step 2")
    field = page.locator("#knob-lr input[type=number]")
    field.fill("0.3")
    field.blur()
    page.locator("#fork").click()
    expect(page.locator("#runs button")).to_have_count(2)
    expect(page.locator("#status")).to_contain_text("Finished")
    page.wait_for_timeout(1000)


def main(url: str, folder: str = str(ROOT / "docs" / "screenshots")) -> None:
    to = Path(folder)
    to.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        executable = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        page = open_page(browser, url, 1440, "light")
        page.wait_for_timeout(1000)
        page.screenshot(path=to / "empty.png")
        searched(page)
        page.screenshot(path=to / "inspector.png", full_page=True)
        page.locator("#overlays input[value=changed]").check()
        page.locator("#export > button").click()
        page.get_by_role("button", name="Prepare files, settings and link").click()
        expect(page.locator("#files")).to_contain_text("trajectory")
        for name, selector in PANELS.items():
            page.locator(selector).screenshot(path=to / f"{name}.png")
        page.close()
        page = open_page(browser, url, 1440, "light", PROMPT)
        page.get_by_role("tab", name="Compare").click()
        page.get_by_role("button", name="Start the race", exact=True).click()
        expect(page.locator("#compare-status")).to_contain_text("Your move")
        for what in ("words", "both"):
            raced = page.locator("#lanes section").last.locator("li")
            count = raced.count()
            page.locator("#hand").get_by_role("radio", name=what, exact=True).check()
            page.locator("#hand").get_by_role("button", name="Draw", exact=True).click()
            expect(raced).to_have_count(count + 1)
        page.locator("#hand .plan button").nth(2).click()
        page.wait_for_timeout(1000)
        page.screenshot(path=to / "compare.png", full_page=True)
        page.get_by_role("tab", name="Results").click()
        page.wait_for_timeout(500)
        page.screenshot(path=to / "results.png")
        page.close()
        small = open_page(browser, url, 390, "dark")
        searched(small)
        small.screenshot(path=to / "narrow-dark.png", full_page=True)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
