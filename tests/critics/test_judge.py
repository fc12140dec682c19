"""The judge against a real server: answers, faults, budgets, cancellation, and a key that goes nowhere."""

import base64
import io
import json
import logging
import pickle
import threading
import time

import pytest
from PIL import Image

from milr_core import CriticError, InputError, SearchControl, SearchSettings, Trajectory, load_critic, reason
from milr_core.cli import main
from milr_core.critics.base import Usage
from milr_core.errors import Stopped
from tests.critics.loopback import Endpoint, alignment, completion, dropping, failing, slow

KEY = "sk-very-secret-0123456789"
PROMPT = "two red dogs"
RED, BLUE = (Image.new("RGB", (16, 16), color) for color in ("red", "blue"))


@pytest.fixture
def endpoint(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)
    server = Endpoint()
    yield server
    server.close()


def critic(endpoint, **options):
    return load_critic("gpt-4o", **{"base_url": endpoint.url, "key": KEY, "retries": 1, "timeout": 60, **options})


def test_an_answer_becomes_a_score_and_what_it_took(endpoint):
    judge = critic(endpoint, input_price=2.0, output_price=10.0)
    (score,) = judge.score([RED], PROMPT)
    assert score.value == 0.7 and score.parts == {"two red dogs": 1.0} and score.reason == "as asked"
    assert score.usage == Usage(1, 120, 30, (120 * 2 + 30 * 10) / 1e6)
    body, headers = endpoint.requests[0]
    assert headers["authorization"] == f"Bearer {KEY}" and body["model"] == "gpt-6-luna" and body["temperature"] == 0
    assert "max_completion_tokens" in body and "max_tokens" not in body
    form = body["response_format"]["json_schema"]
    assert form["strict"] and form["schema"]["additionalProperties"] is False
    assert set(form["schema"]["required"]) == {"elements", "reason", "alignment"}
    text, image = body["messages"][1]["content"]
    assert PROMPT in text["text"]
    head, data = image["image_url"]["url"].split(",")
    assert head == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).tobytes() == RED.tobytes()


def test_equal_inputs_give_equal_values_and_cost_nothing_again(endpoint):
    endpoint.replies = [alignment(3), alignment(9)]
    judge = critic(endpoint)
    first = judge.score([RED], PROMPT)[0]
    again = judge.for_run(lambda: None).score([RED], PROMPT)[0]
    assert first.value == again.value == 0.3 and again.usage == Usage() and len(endpoint.requests) == 1
    assert judge.score([RED], "another prompt")[0].value == 0.9


def test_a_batch_is_asked_at_once(endpoint):
    together = threading.Barrier(8, timeout=60)

    def waiting_for_the_others(handler):
        together.wait()
        handler.say(200, completion(alignment(5)))

    endpoint.replies = [waiting_for_the_others]
    scores = critic(endpoint).score([Image.new("RGB", (8, 8), (i, 0, 0)) for i in range(8)], PROMPT)
    assert len(scores) == len(endpoint.requests) == 8
    assert all(s.usage.calls == 1 for s in scores)


FAULTS = {
    "429": (failing(429, "slow down"), "429.*slow down.*(Wait|raise)", 2),
    "500": (failing(500, "boom"), r"after 2 tries \(500\): boom", 2),
    "401": (failing(401, f"Incorrect key {KEY}"), "does not take the key", 1),
    "404": (failing(404, "no such model"), "There is no judge.*no such model", 1),
    "400": (failing(400, f"bad request with {KEY}"), r"\(400\): bad request with \[key\]", 1),
    "malformed": ("{not json", "not the JSON asked for, twice", 2),
    "out of range": (alignment(11), "not the JSON asked for, twice", 2),
    "no json at all": (lambda h: h.say(200, b"<html>"), "not the JSON asked for", 2),
    "no choices": ({**completion(""), "choices": []}, "not the JSON asked for", 2),
    "refusal": (completion(None, refusal="I cannot help with that"), "refused to judge: I cannot help", 1),
    "cut": (completion('{"elements": [', "length"), "cut at 1000 tokens. Raise max_output_tokens", 1),
    "filter": (completion(None, "content_filter"), "content filter", 1),
    "drop": (dropping, "connection to the judge.*failed after 2 tries", 2),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_a_clear_error_and_no_score(endpoint, fault, caplog):
    reply, says, requests = FAULTS[fault]
    endpoint.replies = [reply]
    with caplog.at_level(logging.DEBUG), pytest.raises(CriticError, match=says) as caught:
        critic(endpoint).score([RED], PROMPT)
    assert len(endpoint.requests) == requests
    said = str(caught.value) + repr(caught.value.__cause__) + caplog.text
    assert KEY not in said and caught.value.__cause__ is None and "127.0.0.1" in str(caught.value)


def test_a_slow_endpoint_and_none_at_all(endpoint):
    endpoint.replies = [slow(endpoint)]
    with pytest.raises(CriticError, match=r"did not answer within 0.3 s, after 1 try\. Try later, or raise timeout"):
        critic(endpoint, timeout=0.3, retries=0).score([RED], PROMPT)
    with pytest.raises(CriticError, match="connection to the judge"):
        load_critic("gpt-4o", base_url="http://127.0.0.1:9/v1", retries=0).score([RED], PROMPT)


def test_what_fails_once_is_tried_again(endpoint):
    endpoint.replies = [failing(429), alignment(4)]
    assert critic(endpoint).score([RED], PROMPT)[0].value == 0.4
    endpoint.replies = [failing(500), dropping, "nonsense", alignment(6)]
    judge = critic(endpoint, retries=2)
    (score,) = judge.score([BLUE], PROMPT)
    assert score.value == 0.6 and score.usage.input_tokens == 240, "the malformed answer was paid for as well"


def test_the_budget_is_a_hard_limit(endpoint):
    judge = critic(endpoint, max_calls=2, retries=9)
    endpoint.replies = [failing(500)]
    with pytest.raises(CriticError, match="after 2 tries"):
        judge.score([RED], PROMPT)
    with pytest.raises(CriticError, match=r"budget is used up: 2 of 2 requests.*Raise max_calls"):
        judge.score([BLUE], PROMPT)
    assert len(endpoint.requests) == 2
    endpoint.replies = [alignment(5)]
    assert judge.for_run(lambda: None).score([BLUE], PROMPT), "another run has a budget of its own"
    with pytest.raises(CriticError, match="budget"):
        critic(endpoint, max_calls=2).score([Image.new("RGB", (8, 8), (i, 0, 0)) for i in range(3)], PROMPT)


@pytest.mark.parametrize(
    ("limit", "says"),
    [
        ({"max_tokens": 310}, "300 of 310 tokens"),
        ({"max_dollars": 0.0011, "input_price": 2.0, "output_price": 9.0}, "of 0.0011 dollars"),
    ],
)
def test_tokens_and_dollars_are_limited(endpoint, limit, says):
    judge = critic(endpoint, **limit)
    judge.score([RED], PROMPT), judge.score([BLUE], PROMPT)
    with pytest.raises(CriticError, match=says):
        judge.score([RED], "a third")
    assert len(endpoint.requests) == 2


def test_a_stop_drops_the_request(endpoint):
    endpoint.replies = [slow(endpoint)]
    control = SearchControl()
    judge = critic(endpoint, timeout=60).for_run(control.poll)
    threading.Timer(0.3, control.stop).start()
    started = time.monotonic()
    with pytest.raises(Stopped):
        judge.score([RED], PROMPT)
    assert time.monotonic() - started < 25, "the endpoint would have answered after 30 s"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "OPENAI_API_KEY"),
        ({"base_url": "ftp://x"}, "http"),
        ({"base_url": "http://user:secret@host/v1"}, "password"),
        ({"key": KEY, "timeout": 0}, "timeout"),
        ({"key": KEY, "max_calls": 0}, "max_calls"),
        ({"key": KEY, "retries": -1}, "retries"),
        ({"key": KEY, "judge": "unheard-of", "max_dollars": 1}, "price"),
        ({"key": KEY, "kye": KEY}, "no option 'kye'"),
        ({"key": KEY + "é"}, "characters that no key has"),
        ({"key": KEY[:5] + "\n" + KEY[5:]}, "characters that no key has"),
    ],
)
def test_options_that_cannot_be(endpoint, options, says):
    with pytest.raises(InputError, match=says) as caught:
        load_critic("gpt-4o", **options)
    assert KEY not in str(caught.value) and "secret" not in str(caught.value)


def test_the_environment_is_read(endpoint, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_MODEL", "local-judge")
    load_critic("gpt-4o").score([RED], PROMPT)
    body, headers = endpoint.requests[0]
    assert body["model"] == "local-judge" and KEY in headers["authorization"]


def test_the_environments_key_goes_to_no_other_endpoint(endpoint, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    load_critic("gpt-4o", base_url=endpoint.url).score([RED], PROMPT)
    assert KEY not in str(endpoint.requests)
    load_critic("gpt-4o", base_url=endpoint.url, key=f" {KEY}\n").score([RED], PROMPT)
    assert endpoint.requests[1][1]["authorization"] == f"Bearer {KEY}"


SETTINGS = SearchSettings(steps=2, seed=1, threshold=1.0, lr=1.0, image_ratio=0.5)  # every step draws something new


def test_it_drives_a_whole_search_on_the_embedded_model(endpoint, embedded, tmp_path):
    endpoint.replies = [alignment(3), alignment(6), alignment(5)]
    judge = critic(endpoint, input_price=1.0, output_price=1.0)
    run = Trajectory.create(tmp_path / "run", embedded, judge.name, PROMPT)
    for step in reason(embedded, judge, PROMPT, SETTINGS):
        run.append(step.state)
        assert step.cost.judge_calls == 1 and step.cost.judge_input_tokens == 120 and step.cost.judge_dollars > 0
        assert KEY.encode() not in pickle.dumps(step.state)
    assert run.values == [0.3, 0.6, 0.5] and run.record(2).best == 1
    saved = Trajectory.open(run.folder).state(1)
    assert saved.step.cost.judge_output_tokens == 30 and saved.spent.calls == 2 and saved.spent.input_tokens == 240
    with pytest.raises(CriticError, match="2 of 2 requests"):
        next(
            reason(embedded, critic(endpoint, max_calls=2), "", state=saved)
        )  # the budget is the run's, not the call's
    for path in run.folder.iterdir():
        assert KEY.encode() not in path.read_bytes()
    assert KEY not in repr(judge) + repr(judge.judge) + str(vars(judge))


@pytest.mark.parametrize("fault", ["429", "500", "malformed", "refusal", "drop", "slow"])
def test_a_fault_in_mid_run_keeps_the_steps_so_far(endpoint, tiny_folder, tmp_path, fault, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    bad = slow(endpoint) if fault == "slow" else FAULTS[fault][0]
    endpoint.replies = [alignment(3), alignment(4), bad]
    out = tmp_path / "run"
    command = ["reason", PROMPT, "--model", str(tiny_folder), "--critic", "gpt-4o", "--steps", "4", "--json"]
    command += ["--lr", "0.5", "--text-ratio", "0.3", "--image-ratio", "0.25", "--guidance", "2"]
    assert (
        main(
            [
                *command,
                "--out",
                str(out),
                "--option",
                "retries=0",
                "--option",
                f"timeout={2 if fault == 'slow' else 60}",
            ]
        )
        == 1
    )
    captured = capsys.readouterr()
    assert [json.loads(line)["reward"] for line in captured.out.splitlines()] == [0.3, 0.4]
    assert "The judge 'gpt-6-luna'" in captured.err or "The connection to the judge 'gpt-6-luna'" in captured.err
    assert "steps so far are kept" in captured.err and "Traceback" not in captured.err and KEY not in captured.err
    assert len(Trajectory.open(out)) == 2
    endpoint.replies = [alignment(8)]
    assert main(["reason", "--resume", str(out), "--model", str(tiny_folder), "--steps", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reward"] == 0.8
