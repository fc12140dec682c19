"""Two replicas of the page over two of the model, on a Ray of their own: five processes that import torch."""

import threading
import time

import pytest

pytest.importorskip("grpc", reason='Ray Serve is an extra: pip install ".[serve]"')
pytest.importorskip("ray.serve", reason='Ray Serve is an extra: pip install ".[serve]"')

import httpx
import psutil
from gradio_client import Client
from ray import serve as ray_serve

from milr_core import Trajectory
from serve.app import NAME, parser, start
from serve.remote import RemoteEngine
from serve.sticky import COOKIE, named
from tests.conftest import EVERY_STEP
from tests.serve.conftest import LONG, PROMPT, identical
from tests.ui_helpers import Studio
from ui.run import FAILED, FINISHED
from ui.session import Session

pytestmark = pytest.mark.timeout(600)
PORT = 7940
URL = f"http://127.0.0.1:{PORT}/"


@pytest.fixture(scope="module")
def service():
    end = start(parser({}).parse_args(["--port", str(PORT), "--page-cpus", "0.1", "--model-cpus", "0.1"]), {})
    yield ray_serve.get_deployment_handle("model", NAME)
    end()


@pytest.fixture(scope="module")
def engine(service):
    return RemoteEngine(service)


def browsers():
    """Two that were given different pages. Until the second page is up, which may take a while, all get the first."""
    first, names = httpx.Client(base_url=URL, timeout=60), set()
    first.get("/").raise_for_status()
    for attempt in range(200):
        time.sleep(0 if attempt < 40 else 0.5)
        second = httpx.Client(base_url=URL, timeout=60)
        second.get("/").raise_for_status()
        names.add(second.cookies[COOKIE])
        if second.cookies[COOKIE] != first.cookies[COOKIE]:
            return first, second
    pytest.fail(f"All were given the page {names}")


def test_a_browser_stays_on_its_page(service):
    for browser in browsers():
        mine = browser.cookies[COOKIE]
        answers = [browser.get(path) for path in ("/config", "/gradio_api/info", "/theme.css") * 10]
        assert {a.status_code for a in answers} == {200}
        assert not any("set-cookie" in a.headers for a in answers), "any other page would have said who it is"
        assert browser.cookies[COOKIE] == mine
        app = {browser.get("/gradio_api/app_id").json()["app_id"] for _ in range(5)}
        assert len(app) == 1
    first, second = browsers()
    apps = [b.get("/gradio_api/app_id").json()["app_id"] for b in (first, second)]
    assert apps[0] != apps[1]
    first.cookies.set(COOKIE, "a-page-that-is-gone")
    moved = [first.get("/config") for _ in range(5)]
    assert {a.status_code for a in moved} == {200} and named(moved[0].headers["set-cookie"]), "it is given another"


def test_two_pages_search_at_once_and_give_the_steps_of_one_process(service, alone, tmp_path):
    clients = []
    for browser in browsers():
        cookies = {COOKIE: browser.cookies[COOKIE]}
        clients.append(Client(URL, httpx_kwargs={"cookies": cookies}, verbose=False, download_files=False))
    asked = {"prompt": PROMPT, "steps": LONG.steps, "threshold": LONG.threshold, "seed": LONG.seed}
    jobs = [client.submit(**asked, api_name="/search_image") for client in clients]
    results = [job.result(timeout=120) for job in jobs]
    rewards = [[step["reward"] for step in result["steps"]] for result in results]
    assert rewards == [[step.reward for step in alone]] * 2
    assert all(len(job.outputs()) == len(alone) + 1 for job in jobs), "steps came one by one"
    for client, result in zip(clients, results, strict=True):
        bundle = tmp_path / f"{client.session_hash}.zip"
        bundle.write_bytes(httpx.get(result["bundle"]["url"], cookies=client.cookies).raise_for_status().content)
        kept = Trajectory.from_zip(bundle, bundle.with_suffix(""))
        identical([kept.state(index).step for index in range(len(alone))], alone)


def models():
    """Processes of the model's replicas."""
    return [process for process in psutil.process_iter() if _title(process) == f"ray::ServeReplica:{NAME}:model"]


def _title(process):
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""


def computed(processes):
    """Seconds of processor time of each."""
    return [sum(process.cpu_times()[:2]) for process in processes]


def kill_who_computes(processes):
    """Kill the one that is the first to have computed for 30 ms from now on: it is in the middle of a step."""
    before, late = computed(processes), time.monotonic() + 10
    while time.monotonic() < late:
        for process, then, now in zip(processes, before, computed(processes), strict=True):
            if now - then >= 0.03:
                process.kill()
                process.wait(60)
                return
        time.sleep(0.005)


def test_a_replica_that_dies_in_mid_search_is_survived(engine, alone, monkeypatch, tmp_path):
    """The page says so, keeps the steps, and goes on with the other one."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    studio, session, victims = Studio(engine, pace=EVERY_STEP), Session(), models()
    killer = threading.Thread(target=kill_who_computes, args=[victims])
    assert len(victims) == 2
    answer = studio.press("press_run", session, alone[0].settings, PROMPT, "oracle")
    for _ in studio.drive(answer, session):
        if session.shown.newest == 2 and killer.ident is None:
            killer.start()
    killer.join()
    assert session.phase == FAILED and "went away. The steps so far are kept" in session.notice
    assert 2 <= session.shown.newest < len(alone) - 1 and sum(process.is_running() for process in victims) == 1
    list(studio.resume(session))
    assert session.phase == FINISHED
    identical([session.shown.state(index).step for index in range(len(alone))], alone)
