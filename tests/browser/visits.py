"""What the browser tests do over and over."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

Visit = Callable[..., Page]
expect.set_options(timeout=20_000)

STATUS, NOTICE, TILES, NOW = "#status", "#notice", "#strip ol:not([data-run='0']) li button", "#stepper output"
STEP = "#stepper input[type=range]"
IMAGE = "#stage .now img"
PROMPT = "two+red+dogs+left+of+a+blue+car"


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def fill_number(page: Page, knob: str, value: str) -> None:
    field = page.locator(f"#knob-{knob} input[type=number]")
    field.fill(value)
    field.blur()


def prepared(visit: Visit, steps: int, prompt: str = PROMPT, width: int = 1440, strict: bool = True) -> Page:
    """A page that a link has set up for a run of exactly that many steps: no score passes a threshold of 1."""
    page = visit(width=width, query=f"?prompt={prompt}&steps={steps}&threshold=1&seed=1&pace=fast", strict=strict)
    expect(page.get_by_label("Prompt")).to_have_value(prompt.replace("+", " "))
    expect(page.locator("#estimate")).to_contain_text(re.compile(rf"step 0 and {steps} steps? of search"))
    return page


def run(page: Page) -> None:
    button(page, "Run").click()
    expect(page.locator(STATUS)).to_contain_text("Finished", timeout=60_000)


def reach(page: Page, step: int) -> None:
    expect(page.locator(TILES).nth(step)).to_be_visible()


def step_in(text: str) -> int:
    return int(re.search(r"step (\d+)", text)[1])


class Wire:
    """What comes to the browser from now on: bytes as they are on the wire, images and headers included, and how many
    requests ask for them."""

    def __init__(self, page: Page):
        self._received: dict[str, float] = {}
        self._whole: dict[str, float] = {}
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        self.requests = 0
        session.on("Network.requestWillBeSent", self._asked)
        session.on("Network.dataReceived", self._data)
        session.on("Network.loadingFinished", lambda e: self._whole.update({e["requestId"]: e["encodedDataLength"]}))

    def _asked(self, event: dict) -> None:
        self.requests += event["request"]["url"].startswith("http")

    def _data(self, event: dict) -> None:
        name = event["requestId"]
        self._received[name] = self._received.get(name, 0) + (event["encodedDataLength"] or event["dataLength"])

    @property
    def bytes(self) -> float:
        """A request that has not finished counts with what has come of it."""
        return sum((self._received | self._whole).values())


def exported(page: Page, file: Path) -> None:
    """Save the run that is shown as the file of that ending which the page offers."""
    page.locator("#export > button").click()
    button(page, "Prepare files, settings and link").click()
    with page.expect_download() as download:
        row = page.locator("#files").get_by_role("row", name=re.compile(re.escape(file.suffix)))
        row.get_by_role("link").first.click()
    download.value.save_as(file)
