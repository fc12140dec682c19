"""Measures the page's bars against a running app, and writes them: python -m tests.browser.measure URL [--write].

The engine's own time is what it counts itself in the page's search; beside it stands that of the same search in this
process, in turns with the page's.
"""

import argparse
import os
import platform
import re
import shutil
import statistics
import sys
import time
from datetime import date
from typing import NamedTuple

import torch
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bench.performance import write_section
from bench.speed import machine
from milr_core import Critic, Janus, SearchSettings, load_critic, load_model, reason
from tests.browser.visits import STATUS, TILES, Wire, button, fill_number

PROMPT, STEPS, SEED = "two red dogs left of a blue car", 48, 1
PATIENCE_MS = 60_000
WATCH = """() => {
  window.updates = [];
  const watch = () => {
    const count = document.querySelectorAll("#strip ol:not([data-run='0']) li").length;
    while (window.updates.length < count) window.updates.push(performance.now() / 1000);
  };
  new MutationObserver(watch).observe(document.querySelector('#strip ol'), {childList: true});
}"""
ABOUT = f"""\
Written by `python -m tests.browser.measure URL --write`, a headless Chromium against the app on the same machine. The
time of a step is that from the first tile of the gallery to the last, over a search of {STEPS} steps. What the page
adds is what the engine's own seconds, as it counts them in that same search, leave of it. Chromium draws on the
engine's machine here, and on the visitor's elsewhere; what that costs is in the last comparison, with the same search
in a process without a page, in turns with the page's and with one thread as there. Bytes are those on the wire, from
Run to the last answer, headers and images included.
"""


def engine(model: Janus, critic: Critic) -> float:
    """Seconds a step of the search itself, from step 0 to the last."""
    times = []
    for _ in reason(model, critic, PROMPT, SearchSettings(steps=STEPS, threshold=1.0, seed=SEED)):
        times.append(time.perf_counter())
    return (times[-1] - times[0]) / STEPS


def opened(browser: Browser, url: str, steps: int) -> Page:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{url}?prompt={PROMPT.replace(' ', '+')}&steps={steps}&threshold=1&seed={SEED}&pace=fast")
    expect(page.locator("#estimate")).to_contain_text(f"{steps} steps of search")
    page.wait_for_timeout(1500)  # what a new page still fetches
    return page


class Searched(NamedTuple):
    """seconds: a step, on the screen. own: of them the engine's, as it says. bytes: a step. first: seconds from Run to
    the first image. updates: of the page, a second."""

    seconds: float
    own: float
    bytes: float
    first: float
    updates: float


def searched(browser: Browser, url: str) -> Searched:
    page = opened(browser, url, STEPS)
    wire = Wire(page)
    page.evaluate(WATCH)
    started = time.perf_counter()
    button(page, "Run").click()
    page.wait_for_function(f'document.querySelector("{TILES} img")?.naturalWidth > 0', polling=20)
    first = time.perf_counter() - started
    expect(page.locator(STATUS)).to_contain_text("Finished")
    page.wait_for_timeout(1500)  # what a new page still fetches
    tiles = page.evaluate("window.updates")
    page.get_by_text("All settings, norms and cost of this step").click()
    cost = page.locator("#step-settings tr", has_text="Cost so far").text_content()
    own = float(re.search(r"([\d.]+) s,", cost)[1]) / (STEPS + 1)
    page.close()
    took = tiles[-1] - tiles[0]
    return Searched(took / STEPS, own, wire.bytes / (STEPS + 1), first, (len(set(tiles)) - 1) / took)


def lags(browser: Browser, url: str, count: int) -> list[float]:
    """Seconds from a moved slider to a step on the screen that was made with the new value."""
    page, found = opened(browser, url, 64), []
    button(page, "Run").click()
    for at in range(count):
        expect(page.locator("#strip ol:not([data-run='0']) li").nth(3 * at + 2)).to_be_attached()
        value = f"{0.01 * (at + 5):.2f}"
        fill_number(page, "lr", value)
        moved = time.perf_counter()
        page.wait_for_function(
            "v => document.querySelector('#in-force-lr').innerText.trim().endsWith(v) && "
            "!document.querySelector('#in-force-lr').innerText.includes('next')", arg=f": {value.rstrip('0')}",
        )  # fmt: skip
        found.append(time.perf_counter() - moved)
    button(page, "Stop").click()
    expect(page.locator(STATUS)).to_contain_text("Stopped")
    page.close()
    return found


def spread(ratios: list[float]) -> str:
    return f"{100 * statistics.median(ratios):+.0f}% ({100 * min(ratios):+.0f}% to {100 * max(ratios):+.0f}%)"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write the table to docs/performance.md")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    expect.set_options(timeout=PATIENCE_MS)
    model, critic = load_model("janus-icons", "cpu"), load_critic("oracle")
    with sync_playwright() as playwright:
        executable = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        engine(model, critic), searched(browser, args.url)  # both warm up
        rounds = [
            (engine(model, critic), searched(browser, args.url), engine(model, critic)) for _ in range(args.rounds)
        ]
        acted = lags(browser, args.url, 8)
        browser.close()
    ours = [(before + after) / 2 for before, _, after in rounds]
    pages = [measured for _, measured, _ in rounds]
    added = [p.seconds / p.own - 1 for p in pages]
    beside = [p.seconds / alone - 1 for p, alone in zip(pages, ours, strict=True)]
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else platform.system()
    rows = [
        ("page, ms a step", f"{1e3 * statistics.median(p.seconds for p in pages):.0f}", ""),
        ("of it the engine's own", f"{1e3 * statistics.median(p.own for p in pages):.0f}", ""),
        ("what the page adds to a step", spread(added), "10%"),
        ("updates of the page a second", f"{statistics.median(p.updates for p in pages):.1f}", ""),
        ("on the wire, kB a step", f"{max(p.bytes for p in pages) / 1e3:.1f}", "40"),
        ("from Run to the first image, s", f"{statistics.median(p.first for p in pages):.2f}", "3"),
        ("from a moved slider to a step made with it on the screen, s (median)", f"{statistics.median(acted):.2f}", ""),
        ("engine without a page, ms a step", f"{1e3 * statistics.median(ours):.0f}", ""),
        ("what page and Chromium on the same cores add to that", spread(beside), ""),
    ]  # fmt: skip
    lines = [f"{date.today().isoformat()}, {machine('cpu')}, {os.cpu_count()} cores, {load}; {args.rounds} rounds.", ""]
    lines += [f"    python -m tests.browser.measure {' '.join(argv)}", "", "| | measured | bar |", "|---|---|---|"]
    lines += [f"| {name} | {value} | {bar} |" for name, value, bar in rows]
    table = "\n".join(lines) + "\n"
    sys.stdout.write(table)
    if args.write:
        write_section("The page", f"{ABOUT}\n{table}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
