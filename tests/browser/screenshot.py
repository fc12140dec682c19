"""Takes the README's screenshot: python tests/browser/screenshot.py URL FILE [WIDTH] [light|dark]."""

import os
import shutil
import sys

from playwright.sync_api import expect, sync_playwright


def main(url: str, file: str, width: str = "1440", theme: str = "light") -> None:
    with sync_playwright() as playwright:
        executable = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": int(width), "height": 1000})
        page.goto(f"{url}?__theme={theme}")
        page.get_by_label("Prompt").fill("a red circle and two blue squares")
        page.locator("#advanced > button").click()
        field = page.locator("#knob-seed input[type=number]")
        field.fill("1")
        field.blur()
        page.locator("#advanced > button").click()
        page.get_by_role("button", name="Run", exact=True).click()
        expect(page.locator("#status")).to_contain_text("Finished", timeout=90_000)
        page.wait_for_timeout(500)
        page.screenshot(path=file, full_page=True)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
