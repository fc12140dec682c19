"""The parts of `serve` in one process: the engine over a handle, the page with its cookie, the router."""

import asyncio
import os
import pickle
import threading
from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import pytest

pytest.importorskip("grpc", reason='Ray Serve is an extra: pip install ".[serve]"')
pytest.importorskip("ray.serve", reason='Ray Serve is an extra: pip install ".[serve]"')

from ray import serve as ray_serve
from ray.exceptions import RayActorError
from ray.serve._private.common import StreamingHTTPRequest
from starlette.testclient import TestClient

from milr_core import InputError, SearchControl
from milr_core.critics.endpoint import URLS
from milr_core.engine import Job, run
from serve.app import BAD_INPUT, main, replicas
from serve.model_replica import ModelReplica
from serve.page_replica import page_app
from serve.remote import RemoteEngine
from serve.sticky import COOKIE, StickyRouter
from tests.serve.conftest import LONG, PROMPT, identical
from tests.ui_helpers import Studio
from ui.api import build_api
from ui.engines.base import EngineError
from ui.limits import Limits
from ui.session import Session


@pytest.fixture(scope="module")
def handle():
    return ray_serve.run(ray_serve.deployment(ModelReplica).bind("janus-icons", "cpu"), _local_testing_mode=True)


@pytest.fixture(scope="module")
def engine(handle):
    return RemoteEngine(handle)


def test_sliders_and_stop_act_on_replicas(engine, alone):
    job, control = engine.check(Job(f"  {PROMPT} ", LONG, "oracle")), SearchControl()
    assert job.prompt == PROMPT and job.settings.lr is not None
    steps = run(engine, job, control)
    made = [next(steps), next(steps)]
    control.change(lr=0.3)
    made.append(next(steps))
    assert [s.settings.lr for s in made] == [job.settings.lr] * 2 + [0.3]
    identical(made[:2], alone[:2])
    threading.Timer(0.05, control.stop).start()
    assert len(list(steps)) <= 2, "a stop acts within a token"
    best = list(
        run(engine, engine.check(Job(PROMPT, replace(LONG, steps=2), "oracle", method="best-of-n")), SearchControl())
    )
    assert [s.index for s in best] == [0, 1, 2] and best[0].image_tokens == alone[0].image_tokens
    with pytest.raises(InputError, match="zeppelin"):
        engine.check(Job("a red zeppelin", LONG, "oracle"))
    with pytest.raises(InputError, match="There is no critic 'nobody'"):
        list(run(engine, Job(PROMPT, LONG, "nobody"), SearchControl()))


def test_a_replica_that_goes_away_is_told_and_the_search_goes_on_exactly(handle, engine, alone):
    class Dying:
        """A handle whose replica is gone when the third step is asked for, once."""

        def __init__(self):
            self.facts, self.check, self.asked = handle.facts, handle.check, 0
            self.step = self

        def remote(self, *given):
            self.asked += 1
            return handle.step.remote(*given) if self.asked != 3 else self

        def result(self, timeout_s=None):
            raise RayActorError

    lossy, made = RemoteEngine(Dying()), []
    job = lossy.check(Job(PROMPT, LONG, "oracle"))
    with pytest.raises(EngineError, match="went away. The steps so far are kept"):
        for step in run(lossy, job, SearchControl()):
            made.append(step)
    assert len(made) == 2
    answers = []

    shared = Studio(RemoteEngine(Dying())).shared
    shared.line.start = shared.line._in_thread  # as on the page

    async def ask() -> None:
        async for answer in build_api(shared)(None, PROMPT, steps=10, threshold=1.0, seed=5):
            answers.append(answer)

    with pytest.raises(gr.Error, match="went away"):
        asyncio.run(ask())
    assert [len(answer["steps"]) for answer in answers] == [1, 2]
    made += run(lossy, job, SearchControl(), made[-1].state)
    identical(made, alone)


def test_no_replica_that_answers_is_told_wherever_a_search_begins(handle, engine):
    class Nobody:
        """A handle whose replicas are all gone from the second question on."""

        def __init__(self, error):
            self.facts, self.check, self.error = handle.facts, self, error

        def remote(self, *given):
            return self

        def result(self, timeout_s=None):
            raise self.error

        def cancel(self):
            pass

    for error in (RayActorError(), TimeoutError()):
        studio, session = Studio(RemoteEngine(Nobody(error))), Session()
        shown = studio.press("press_run", session, critic="oracle")
        assert "No replica of the model answers" in shown["notice"] and not session.busy and not session.runs
        compared = studio.compared(session, ["joint"], critic="oracle")
        assert "No replica of the model answers" in compared["compare_notice"] and not session.busy
        with pytest.raises(gr.Error, match="No replica of the model answers"):
            asyncio.run(anext(build_api(studio.shared)(None, PROMPT)))


def test_a_page_says_once_which_replica_it_is(engine):
    with TestClient(page_app(engine, "oracle", Limits(), "page-1")) as browser:
        first = browser.get("/")
        assert first.status_code == 200 and first.headers["set-cookie"].startswith(f"{COOKIE}=page-1;")
        assert "janus-icons" in browser.get("/config").text and "set-cookie" not in browser.get("/config").headers
        browser.cookies = {COOKIE: "page-2"}
        assert f"{COOKIE}=page-1" in browser.get("/config").headers["set-cookie"]


def test_the_router_reads_the_cookie():
    async def chosen(cookie, ids=("a", "b", "c")):
        scope = {"type": "http", "headers": [(b"cookie", cookie.encode())] if cookie else []}
        arg = pickle.dumps(StreamingHTTPRequest(scope, proxy_actor_name="p"))
        asked = SimpleNamespace(args=[arg], routing_context=SimpleNamespace(should_backoff=False))
        there = [SimpleNamespace(replica_id=SimpleNamespace(unique_id=name)) for name in ids]
        (rank,) = await StickyRouter.choose_replicas(None, there, asked)
        return [replica.replica_id.unique_id for replica in rank]

    def choose(*given):
        return asyncio.run(chosen(*given))

    assert choose(f"other=1; {COOKIE}=b") == ["b"]
    gone = choose(f"{COOKIE}=z")
    assert len(gone) == 1 and all(choose(f"{COOKIE}=z") == gone for _ in range(5)), "always the same other one"
    assert len(set(choose(""))) == 2, "of which Ray Serve takes the less busy one"
    assert choose("", ("a",)) == ["a"] and choose("broken; =;", ("a",)) == ["a"]


def test_numbers_of_replicas_and_bad_input(capsys):
    assert replicas("2") == (2, 2) and replicas("1-4") == (1, 4)
    for bad in ("0", "4-1", "many"):
        assert main(["--pages", bad]) == BAD_INPUT
        assert "a range as 1-4" in capsys.readouterr().err


def test_replicas_ask_strangers_judges_on_the_public_internet_alone(monkeypatch):
    joined = []

    def refuse(*address, **options):
        joined.append(options.get("runtime_env", {}).get("env_vars"))
        raise RuntimeError("no cluster")

    monkeypatch.setattr("serve.app.ray.init", refuse)
    monkeypatch.setenv(URLS, "")  # so that it is as it was afterwards
    for argv, said, policy in (
        ([], "", ""),
        (["--host", "0.0.0.0"], "", "public"),
        (["--address", "auto"], "", "public"),
        (["--address", "auto"], "off", "off"),
    ):
        os.environ[URLS] = said
        assert main(argv) == BAD_INPUT and os.environ[URLS] == policy
    assert joined == [None, None, {URLS: "public"}, {URLS: "off"}]
    monkeypatch.setenv(URLS, "everyone")
    assert main([]) == BAD_INPUT and len(joined) == 4
