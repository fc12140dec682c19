"""The real app in its own process, and pages of it in a real Chromium; a page whose console shows an error fails."""

import os
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from bench.start import free_port
from tests.conftest import write_tiny_janus
from ui.guard import web_options
from ui.layout import launch_options
from ui.limits import Limits

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_SECONDS = 300
SHOTS = ROOT / "runs" / "browser"
"""Where a test that fails leaves a picture of each of its pages; with MILR_SHOTS=1 every test does."""


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: object) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep for the fixtures whether the test itself failed."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture(scope="session")
def app_log() -> list[str]:
    """What the app has said, line by line."""
    return []


@contextmanager
def started(command: list[str], temp: Path, log: list[str] | None = None, **more: str) -> Iterator[str]:
    """An app on a free port, from when its model is loaded. log: filled with what it says; more: environment."""
    env = os.environ | {"PORT": str(free_port()), "HOST": "127.0.0.1", "GRADIO_TEMP_DIR": str(temp)}
    env |= {"OMP_NUM_THREADS": "1", **more}
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    log, watchdog = [] if log is None else log, threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    for line in process.stdout:
        log.append(line)
        if "is loaded." in line:
            break
    watchdog.cancel()
    url = next((line.split()[-1] for line in log if "MILR Studio" in line), "")
    assert url, "the app did not start:\n" + "".join(log)
    threading.Thread(target=lambda: log.extend(process.stdout), daemon=True).start()
    assert urllib.request.urlopen(url).status == 200
    yield url
    process.terminate()
    process.wait(20)


@contextmanager
def launched(demo: gr.Blocks) -> Iterator[str]:
    """A page of this process, as app.py serves it, on a free port."""
    _, url, _ = demo.launch(
        server_port=free_port(), quiet=True, prevent_thread_lock=True,
        app_kwargs=web_options(Limits()), **launch_options(),
    )  # fmt: skip
    yield url
    demo.close()


@pytest.fixture(scope="session")
def app_url(tmp_path_factory: pytest.TempPathFactory, app_log: list[str]) -> Iterator[str]:
    """`python app.py`; visitors may load a tiny model as well."""
    tiny = write_tiny_janus(tmp_path_factory.mktemp("models") / "tiny-janus")
    command = [sys.executable, "app.py", "--model", "janus-icons", "--critic", "oracle"]
    temp = tmp_path_factory.mktemp("gradio")
    # Searches of pages that tests have left go on for so long, and those of the next test wait for them.
    with started(command, temp, app_log, MILR_MODELS=f"{tiny},janus-icons", MILR_GRACE="40") as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    # None of them: Playwright's own, and an error that says how to get it where that is missing too.
    executable = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser, app_url: str, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """Open the page as another visitor. No console error may have come up by the end."""
    contexts, errors = [], []

    def open_page(width: int = 1440, query: str = "", strict: bool = True) -> Page:
        """strict: whether an error in the console fails the test; the network's absence is one."""
        context = browser.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        if strict:
            page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{app_url}{query}")
        page.get_by_role("button", name="Run", exact=True).wait_for()
        return page

    yield open_page
    wanted = request.node.stash.get(FAILED, False) or bool(errors) or "MILR_SHOTS" in os.environ
    SHOTS.mkdir(parents=True, exist_ok=True)
    for number, context in enumerate(contexts):
        for page in context.pages if wanted else ():
            page.screenshot(path=SHOTS / f"{request.node.name}-{number}.png", full_page=True)
        context.close()
    assert errors == []
