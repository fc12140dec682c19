"""A run's HTML file, opened from disk with networking off: it moves, it is heard, and it asks nothing of anybody."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from milr_core import Score
from milr_core.critics.base import MISSED, Box
from milr_core.export import to_html
from milr_core.export.run import Run, opened
from tests.browser.test_quality import violations

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)
IMPROVES = Path(__file__).resolve().parents[1] / "old" / "janus-shapes.zip"
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded run, with a box on the picture of each step."""
    with opened(IMPROVES) as bundle:
        run = Run.of(bundle)
    steps = [
        replace(s, score=Score(s.reward, s.parts, s.reason, boxes=(Box("a dog", 0.1, 0.1, 0.4, 0.4, MISSED),)))
        for s in run.steps
    ]
    made = tmp_path_factory.mktemp("sent") / "run.html"
    about = {"model": run.model, "weights_hash": run.weights_hash, "critic": run.critic}
    made.write_text(to_html(steps, prompt=run.prompt, **about), encoding="utf-8")
    return made


@pytest.fixture
def open_file(browser: Browser, file: Path) -> Iterator[Open]:
    """Open it as somebody else does. Nothing may have been asked of a network, nor an error come up, by the end."""
    contexts, wrong = [], []

    def opened_page(width: int = 1440, fragment: str = "", **given: object) -> Page:
        size = {"width": width, "height": 900 if width > 500 else 844}
        context = browser.new_context(viewport=size, offline=True, **given)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(("file:", "data:")) else wrong.append(asked.url))
        page.goto(f"{file.as_uri()}{fragment}")
        return page

    yield opened_page
    for context in contexts:
        context.close()
    assert wrong == []


def picture(page: Page, side: str) -> str:
    return page.locator(f".stage .{side} img").get_attribute("src")


def test_slider_keys_strip_and_curve_show_the_step(open_file: Open):
    page = open_file()
    slider, score = page.get_by_label("Step", exact=True), page.locator(".why strong")
    plan = page.locator(".words .text")
    expect(score).to_have_text("1.00")
    expect(page.locator(".after .caption")).to_contain_text("best")
    best, first, words = picture(page, "after"), picture(page, "before"), plan.inner_text()
    assert best != first and page.locator(".words ins").count() and page.locator(".words del").count()

    slider.focus()
    page.keyboard.press("ArrowLeft")
    expect(score).to_have_text("0.69")
    assert picture(page, "after") not in (best, first) and plan.inner_text() != words
    assert slider.get_attribute("aria-valuetext") == "Step 4, score 0.69; best: step 5"
    slider.fill("1")
    expect(score).to_have_text("0.40")

    page.locator("h1").click()
    page.keyboard.press("End")
    expect(score).to_have_text("1.00")
    page.keyboard.press("Home")
    expect(page.locator(".where .step-now")).to_contain_text("Step 0")
    assert picture(page, "after") == first

    page.locator(".strip a").nth(2).click()
    expect(page.locator(".strip [aria-current]")).to_contain_text("Step 2")
    expect(page.get_by_role("status")).to_contain_text("Step 2, score 0.56")

    point = page.locator(".point").nth(1)
    point.hover(force=True)
    expect(page.locator(".peek")).to_have_text("Step 1: 0.40")
    point.click(force=True)
    expect(score).to_have_text("0.40")


def test_any_step_stands_against_the_first_the_one_before_or_the_best(open_file: Open):
    page = open_file(fragment="#step-4")
    expect(page.locator(".before .caption")).to_contain_text("Step 0")
    page.get_by_label("the one before").check()
    expect(page.locator(".before .caption")).to_contain_text("Step 3")
    page.get_by_label("the best").check()
    expect(page.locator(".before .caption")).to_contain_text("Step 5")
    page.get_by_label("Step", exact=True).fill("5")
    expect(page.locator(".words .quiet")).to_contain_text("the step to compare with")


def test_play_goes_through_all_steps_and_rests_on_the_best(open_file: Open):
    page = open_file(390, reduced_motion="reduce")
    play = page.locator(".play")
    play.click()
    expect(play).to_have_text("❚❚Pause")
    expect(page.locator(".where .step-now")).to_contain_text("Step 0")
    expect(page.locator(".where .step-now")).to_contain_text("Step 2", timeout=20_000)
    expect(play).to_have_text("▶Play", timeout=30_000)
    expect(page.locator(".where .step-now")).to_contain_text("Step 5")
    moving = "[...document.getAnimations()].length"
    assert page.evaluate(moving) == 0, "reduced motion: nothing fades"


def test_outlines_can_be_put_away_and_nothing_is_wider_than_the_screen(open_file: Open):
    page = open_file(390)
    outlines = page.locator(".stage .boxes")
    expect(outlines.first).to_be_visible()
    page.get_by_label("What the critic saw").uncheck()
    expect(outlines.first).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    bar = page.get_by_label("Step", exact=True).bounding_box()
    assert bar and bar["y"] + bar["height"] < 844, "the slider is on the first screen"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_file: Open, scheme: str):
    for width in (1440, 390):
        page = open_file(width, color_scheme=scheme)
        page.get_by_text("All settings", exact=True).first.click()
        assert violations(page) == [], f"{width} {scheme}"


def test_without_a_script_every_step_is_there(open_file: Open):
    page = open_file(java_script_enabled=False)
    expect(page.locator("article.step")).to_have_count(6)
    for step in page.locator("article.step").all():
        expect(step.locator("img")).to_be_visible()
        expect(step.locator(".plan").first).to_be_visible()
    expect(page.get_by_text("Step 0: 0.69 → step 5: 1.00.")).to_be_visible()
    expect(page.locator(".bar")).to_be_hidden()
