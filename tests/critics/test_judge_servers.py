"""What servers that call themselves OpenAI-compatible do, each once: answers in every wrapping, refusals, errors."""

import gzip
import json

import pytest
from PIL import Image

from milr_core import CriticError, InputError, load_critic
from milr_core.cli import main
from milr_core.critics.dialect import Dialect
from milr_core.critics.prices import DEFAULT_JUDGE, LISTED, listing
from milr_core.critics.replies import MOST_TOKENS, SHOWN, shortened, tokens_of, words_of
from milr_core.critics.transport import LARGEST_REPLY
from tests.critics.loopback import Endpoint, alignment, completion, failing

RED = Image.new("RGB", (16, 16), "red")
PROMPT = "two red dogs"
GOOD = alignment(8)


@pytest.fixture
def endpoint(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)
    server = Endpoint()
    yield server
    server.close()


def ask(endpoint, name="gpt-4o", **options):
    return load_critic(name, **{"base_url": endpoint.url, "key": "sk-0123456789", "retries": 1, **options})


def saying(message=None, usage=(120, 30), finish="stop", **record):
    whole = completion("") | record
    whole["choices"][0] |= {
        "finish_reason": finish,
        "message": {"role": "assistant", "content": GOOD} | (message or {}),
    }
    whole["usage"] = usage if not isinstance(usage, tuple) else whole["usage"]
    return whole


def raw(status, body, kind="application/json", headers=()):
    return lambda handler: handler.say(status, body, [("Content-Type", kind), *headers])


def events(*contents):
    lines = [json.dumps({"choices": [{"index": 0, "delta": {"content": c}}]}) for c in contents]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()


def lines(*contents):
    said = [json.dumps({"message": {"content": content}, "done": not content}).encode() for content in contents]
    return raw(200, b"\n".join(said), "application/x-ndjson")


def calling(**message):
    return saying({"content": None} | message)


READ = {
    "fence": saying({"content": f"```json\n{GOOD}\n```"}),
    "fence without a name": saying({"content": f"```\n{GOOD}\n```\n"}),
    "think": saying({"content": f"<think>\nHe said {{so}}: {alignment(1)}\n</think>\n\n{GOOD}"}),
    "think without a beginning": saying({"content": f"The image … {alignment(1)}\n</think>{GOOD}"}),
    "prose": saying({"content": f"Sure! Here is the JSON:\n{GOOD}\nHope this helps {{you}}."}),
    "draft first": saying({"content": f"{alignment(2)} no, rather {GOOD}"}),
    "list": saying({"content": [{"type": "text", "text": GOOD[:20]}, {"type": "text", "text": GOOD[20:]}]}),
    "only reasoning": saying({"content": "", "reasoning_content": GOOD}),
    "reasoning beside it": saying({"reasoning": alignment(1)}),
    "extra": saying({"content": json.dumps(json.loads(GOOD) | {"confidence": 0.9})}),
    "numbers as text": saying({"content": GOOD.replace("8", '"8"')}),
    "a number with a point": saying({"content": GOOD.replace("8", "8.0")}),
    "no finish": saying(finish=None),
    "finished by length, whole": saying(finish="length"),
    "no usage": saying(usage=None),
    "some usage": saying(usage={"prompt_tokens": 10, "total_tokens": 10}),
    "usage of nothing": saying(usage={"prompt_tokens": None, "completion_tokens": None}),
    "usage of others": saying(usage={"input_tokens": 7, "output_tokens": 3}),
    "usage in words": saying(usage={"prompt_tokens": "many", "completion_tokens": [1]}),
    "usage of 310 digits": saying(usage={"prompt_tokens": 10**310, "completion_tokens": -1}),
    "ollama": {"model": "m", "message": {"role": "assistant", "content": GOOD}, "done_reason": "stop", "eval_count": 3},
    "an object in it": saying({"content": json.dumps({"result": json.loads(GOOD)})}),
    "a list in it": saying({"content": json.dumps({"answers": [json.loads(GOOD)]})}),
    "a text in it": saying({"content": json.dumps({"name": "Alignment", "arguments": GOOD})}),
    "a line break in a text": saying({"content": GOOD.replace("as asked", "as\n\tasked")}),
    "an object for content": saying({"content": json.loads(GOOD)}),
    "an object among parts": saying({"content": [{"type": "json", "json": json.loads(GOOD)}]}),
    "parsed": saying({"content": None, "parsed": json.loads(GOOD)}),
    "a delta that is whole": {"choices": [{"delta": {"content": GOOD}}]},
    "a list of one": saying({"content": f"[{GOOD}]"}),
    "text of text": saying({"content": json.dumps(GOOD)}),
    "a function": calling(tool_calls=[{"type": "function", "function": {"name": "Alignment", "arguments": GOOD}}]),
    "a function of an object": calling(tool_calls=[{"function": {"arguments": json.loads(GOOD)}}]),
    "a function of old": calling(function_call={"name": "Alignment", "arguments": GOOD}),
    "parts that think": saying({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": alignment(1)}]},
                                            {"type": "text", "text": GOOD}]}),
    "channels": saying({"content": f"<|channel|>analysis{alignment(3)}<|end|><|channel|>final<|message|>{GOOD}"}),
    "lines": lines(GOOD[:9], GOOD[9:], ""),
    "sse": raw(200, events(GOOD[:10], GOOD[10:]), "text/event-stream"),
    "plain text": raw(200, json.dumps(saying()).encode(), "text/plain; charset=utf-8"),
    "bom": raw(200, b"\xef\xbb\xbf" + json.dumps(saying()).encode()),
    "gzip": raw(200, gzip.compress(json.dumps(saying()).encode()), headers=[("Content-Encoding", "gzip")]),
}  # fmt: skip


@pytest.mark.parametrize("wrapping", READ)
def test_an_answer_is_read_in_any_wrapping(endpoint, wrapping):
    endpoint.replies = [READ[wrapping]]
    (score,) = ask(endpoint).score([RED], PROMPT)
    assert score.value == 0.8 and len(endpoint.requests) == 1
    assert 0 <= score.usage.input_tokens <= MOST_TOKENS and score.usage.calls == 1


def test_a_half_is_an_answer_and_an_element_named_twice_is_two(endpoint):
    twice = [{"asked": "dog", "shown": True}, {"asked": "dog", "shown": False}]
    endpoint.replies = [json.dumps({"elements": twice, "reason": "\x1b]0;x\x07y\ud83d", "alignment": 7.5})]
    (score,) = ask(endpoint).score([RED], PROMPT)
    assert score.value == 0.75 and score.parts == {"dog": 1.0, "dog (2)": 0.0}
    assert not any(c in score.reason + str(score.raw) for c in "\x1b\x07\ud83d")


def test_usage_has_other_names():
    assert tokens_of({"input_tokens": 7, "output_tokens": 3}) == (7, 3)
    assert tokens_of({"prompt_tokens": 5.0, "completion_tokens": True}) == (5, 0)
    assert tokens_of({"prompt_tokens": 10, "total_tokens": 15}) == (10, 5) and tokens_of({"total_tokens": 4}) == (0, 4)
    assert tokens_of(None) == tokens_of([]) == tokens_of({"prompt_tokens": float("nan")}) == (0, 0)


SAID = {
    "error of text": (raw(400, {"error": "image input is not supported"}), "after 1 try.*image input is not supp", 1),
    "detail": (raw(400, {"detail": "image input is not supported"}), "after 1 try.*image input is not supported", 1),
    "details": (raw(422, {"detail": [{"loc": ["body", "n"], "msg": "too odd"}]}), "body.n: too odd", 1),
    "a list": (raw(400, [{"error": {"message": "API key not valid"}}]), "API key not valid", 1),
    "router": (raw(502, {"error": {"message": "Provider", "metadata": {"raw": "overloaded"}}}), "Provider: over", 2),
    "page": (raw(502, b"<html><style>x</style><body>Bad gateway</body></html>", "text/html"), "page: Bad gate", 2),
    "login": (raw(200, b"<!DOCTYPE html><html><body>Login</body></html>", "text/html"), "page: Login'", 2),
    "200 with an error": ({"error": {"message": "Rate limit exceeded: free", "code": 429}}, "Rate limit exceeded", 2),
    "200 of text": ({"error": "model is loading"}, "answered with an error after 1 try: model is loading", 1),
    "200 with a message": ({"success": False, "message": "quota used up"}, "error after 1 try: quota used up", 1),
    "200 of vLLM": ({"object": "error", "message": "no such adapter", "code": 400}, "no such adapter", 1),
    "nothing at all": (raw(500, b""), "500.*does not say why", 2),
    "true for a number": (alignment(1).replace("1", "true"), "not the JSON asked for, twice. It said", 2),
    "not a number": (alignment(1).replace("1", "NaN"), "not the JSON asked for, twice. It said", 2),
    "200 without words": ({"error": {"type": "overloaded_error"}}, "error after 1 try.*overloaded_error", 1),
    "200 with a number": ({"error": 500, "message": "busy"}, "error after 1 try: busy", 1),
    "200 with its status as text": ({"error": {"message": "busy", "code": "503"}}, r"after 2 tries \(503\): busy", 2),
    "200 of a cloud": ({"base_resp": {"status_code": 1004, "status_msg": "login"}}, "error after 1 try: login", 1),
    "a gateway's": (raw(401, {"fault": {"faultstring": "Invalid ApiKey"}}), "401.*Invalid ApiKey", 1),
    "a heading": (raw(503, b"<h1>503 Service Unavailable</h1>", "text/html"), "page: 503 Service Una", 2),
    "a commented page": (raw(502, b"<!-- x --><html>Bad gateway</html>", "text/html"), "page: Bad gateway", 2),
    "an event without a choice": (raw(200, b'event: error\ndata: {"message": "full"}', "text/event-stream"), "full", 2),
    "no choices": ({"choices": None, "error": {"message": "upstream", "code": 502}}, r"\(502\): upstream", 2),
    "an error as a choice": ({"choices": [{"error": {"message": "cut off", "code": 500}}]}, "cut off", 2),
    "empty choices": (completion("") | {"choices": []}, "not the JSON asked for, twice. It said: '{", 2),
    "nothing": (saying({"content": None}), "It said: nothing", 2),
    "chatter": (saying({"content": "I see a \x1b[31mdog\x07."}), "It said: 'I see a .31mdog", 2),
    "an hour": (raw(429, {"error": {"message": "slow"}}, headers=[("retry-after", "3600")]), "wait 3600 s", 1),
    "quota": (raw(429, {"error": {"message": "no", "code": "insufficient_quota"}}), r"after 1 try \(429\): no", 1),
    "no credit": (raw(402, {"error": {"message": "Insufficient credits"}}), r"\(402\): Insufficient credits", 1),
    "forbidden": (raw(403, {"error": {"message": "not in your country"}}), "403.*not in your country", 1),
    "ollama's 404": (raw(404, {"error": "model 'm' not found, try pulling"}), "no judge.*try pulling.*OPENAI_MODEL", 1),
    "retired": (raw(400, {"error": {"message": "The model m has been deprecated"}}), "no judge.*OPENAI_MODEL", 1),
    "redirect": (raw(307, b"", headers=[("Location", "/v1/elsewhere")]), "elsewhere.*307.*base_url", 1),
    "moved": (raw(302, b"", headers=[("Location", "http://127.0.0.1:1/secret")]), "elsewhere.*302", 1),
    "damaged": (raw(200, b"\x1f\x8b123456789", headers=[("Content-Encoding", "gzip")]), "damaged", 1),
    "brotli": (raw(200, b"x", headers=[("Content-Encoding", "br")]), "packed as 'br'", 1),
    "bomb": (raw(200, gzip.compress(bytes(LARGEST_REPLY + 1)), headers=[("Content-Encoding", "gzip")]), "1 MiB", 1),
    "flood": (raw(200, b" " * (LARGEST_REPLY + 1)), "larger than 1 MiB", 1),
    "flood of an error": (raw(500, b" " * (LARGEST_REPLY + 1)), "larger than 1 MiB", 1),
}  # fmt: skip


@pytest.mark.parametrize("kind", SAID)
def test_what_a_server_says_is_shown_and_requests_are_counted(endpoint, kind, monkeypatch):
    monkeypatch.setattr("milr_core.critics.judge.FIRST_PAUSE", 0.01)
    reply, says, requests = SAID[kind]
    endpoint.replies = [reply]
    judge = ask(endpoint)
    with pytest.raises(CriticError, match=says) as caught:
        judge.score([RED], PROMPT)
    assert len(endpoint.requests) == requests == judge.judge.budget.spent.calls
    assert str(caught.value).isprintable() and len(str(caught.value)) < SHOWN + 400


def test_words_are_found_in_any_record():
    deep = {"message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "max_completion_tokens"], "msg": "no"}]}}
    assert words_of(deep) == "body.max_completion_tokens: no"
    assert words_of({"error": {"message": "refused", "param": "temperature"}}) == "refused (temperature)"
    assert words_of(None) == words_of({}) == words_of(3) == words_of([[[[[["deep"]]]]]]) == ""
    assert len(shortened("x" * 10**6)) == SHOWN and shortened("a\nb\x00c") == "a b c"


def refusing(named, message, status=400, again=GOOD):
    """A server that does not take a parameter; `named`: of the request's body to whether it is refused."""

    def reply(handler):
        body = handler.server.endpoint.requests[-1][0]
        handler.say(status, {"error": {"message": message}}) if named(body) else handler.say(200, completion(again))

    return reply


REFUSED = {
    "json_schema": (lambda b: b.get("response_format", {}).get("type") == "json_schema",
                    "This response_format type is unavailable now", {"response_format": {"type": "json_object"}}),
    "response_format": (lambda b: "response_format" in b, "Unrecognized request argument: response_format", {}),
    "max_completion_tokens": (lambda b: "max_completion_tokens" in b,
                              "Unsupported parameter: 'max_completion_tokens'", {"max_tokens": 1000}),
    "both lengths": (lambda b: "max_completion_tokens" in b or "max_tokens" in b,
                     "max_completion_tokens, max_tokens: Extra inputs are not permitted", {}),
    "temperature": (lambda b: "temperature" in b, "'temperature' does not support 0 with this model", {}),
    "temperature of who reasons": (lambda b: "temperature" in b and b.get("reasoning_effort") != "none",
                                   "temperature needs reasoning effort none", {"reasoning_effort": "none"}),
    "system": (lambda b: b["messages"][0]["role"] == "system", "System role not supported", {}),
    "two": (lambda b: "temperature" in b or "response_format" in b, "temperature, response_format: unknown", {}),
}  # fmt: skip


@pytest.mark.parametrize("status", [400, 422, 500])
@pytest.mark.parametrize("name", REFUSED)
def test_what_a_server_refuses_is_dropped_and_remembered(endpoint, name, status):
    named, message, wanted = REFUSED[name]
    endpoint.replies = [refusing(named, message, status)]
    judge = ask(endpoint)
    assert judge.score([RED], PROMPT)[0].value == 0.8
    tries = len(endpoint.requests)
    body = endpoint.requests[-1][0]
    assert 2 <= tries <= 4 and not named(body) and all(body[key] == value for key, value in wanted.items())
    if "response_format" not in body or body["response_format"]["type"] != "json_schema":
        assert "JSON schema" in str(body["messages"])
    assert ask(endpoint).score([RED], PROMPT) and len(endpoint.requests) == tries + 1, "remembered by the server"
    ask(endpoint, judge="another").score([RED], PROMPT)
    assert len(endpoint.requests) == 2 * tries + 1, "and by the model"


def test_a_value_that_is_too_large_is_not_taken_for_a_parameter_that_is_unknown():
    assert Dialect().without("max_completion_tokens is too large: at most 512", ()) is None
    assert Dialect().without("something else", ()) is None
    assert Dialect(form="words").without("response_format", ()) is None
    assert Dialect().without("unknown field chat_template_kwargs", ("chat_template_kwargs",)) == Dialect(body=False)


def test_an_effort_that_was_refused_is_not_tried_again():
    dialect, said = Dialect(), "temperature is for a reasoning_effort of none, which this model does not have"
    for effort, temperature in (("none", True), ("", True), ("", False)):
        dialect = dialect.without("no reasoning_effort here" if dialect.effort else said, ())
        assert (dialect.effort, dialect.temperature) == (effort, temperature)
    assert dialect.without(said, ()) is None


def test_a_server_that_ignores_the_form_is_asked_in_words(endpoint):
    endpoint.replies = ["I see dogs.", GOOD]
    assert ask(endpoint).score([RED], PROMPT)[0].value == 0.8
    assert endpoint.requests[1][0]["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize(("name", "options"), [("gpt-4o", {}), ("wise", {"explanation": "y"}),
                                               ("wise", {"explanation": "y", "scale": "verified"})])  # fmt: skip
def test_the_environments_model_is_every_judges(endpoint, monkeypatch, tmp_path, name, options):
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    endpoint.replies = [failing(404, "no such model")]
    for told, expected in (({}, "x"), ({"judge": "mine"}, "mine")):
        monkeypatch.setenv("OPENAI_MODEL", "x")
        with pytest.raises(CriticError):
            load_critic(name, **options, **told).score([RED], PROMPT)
        assert endpoint.requests[-1][0]["model"] == expected
    monkeypatch.delenv("OPENAI_MODEL")
    with pytest.raises(CriticError):
        load_critic(name, **options, judge=None).score([RED], PROMPT)
    scale = options.get("scale")
    assert endpoint.requests[-1][0]["model"] == ("Qwen3.5-35B-A3B" if scale == "verified" else DEFAULT_JUDGE)


def test_prices_have_dates_and_the_default_lives():
    assert listing(DEFAULT_JUDGE).ends is None and listing("gpt-6-luna-2026-09-01") is LISTED["gpt-6-luna"]
    assert listing("gpt-4o-2024-05-13").ends == "2026-10-23" and listing("unheard-of") is None
    assert load_critic("gpt-4o", key="k", max_dollars=1.0).judge.output_price == 0.5
    with pytest.raises(InputError, match="price of 'unheard-of'"):
        load_critic("gpt-4o", key="k", judge="unheard-of", max_dollars=1)
    for name in ("timeout", "max_calls", "input_price", "temperature"):
        with pytest.raises(InputError, match=name):
            load_critic("gpt-4o", key="k", **{name: 10**310})


def test_what_belongs_to_the_operator_goes_to_the_operators_endpoint_alone(endpoint, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-operator")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-operator")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-operator")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer sk-other\nX-Secret: operator")
    load_critic("gpt-4o", base_url=endpoint.url, key="sk-visitor").score([RED], PROMPT)
    headers = endpoint.requests[0][1]
    assert headers["authorization"] == "Bearer sk-visitor" and "operator" not in str(headers) + "sk-other"
    load_critic("gpt-4o", base_url=endpoint.url).score([RED], PROMPT)
    assert "operator" not in str(endpoint.requests[1][1])
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    load_critic("gpt-4o").for_run(lambda: None).score([RED], PROMPT)
    headers = endpoint.requests[2][1]
    assert headers["openai-organization"] == "org-operator" and headers["x-secret"] == "operator"
    load_critic("gpt-4o", key="sk-visitor").score([RED], PROMPT)
    assert endpoint.requests[3][1]["authorization"] == "Bearer sk-visitor", "with a key of its own, a visitor's"
    assert "operator" not in str(endpoint.requests[3][1])


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:7890", "ALL_PROXY.*pip install socksio"),
        ("all_proxy", "socks://user:secret@127.0.0.1:7890", "all_proxy is a socks proxy.*socks5://"),
        ("HTTPS_PROXY", "ftp://127.0.0.1", "HTTPS_PROXY is no proxy"),
        ("SSL_CERT_FILE", "/missing.pem", "SSL_CERT_FILE names a file that is not there"),
    ],
)
def test_the_variable_that_is_to_blame_is_named(endpoint, monkeypatch, tmp_path, capsys, name, value, says):
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=says) as caught:
        ask(endpoint).load()
    assert "secret" not in str(caught.value)
    RED.save(tmp_path / "x.png")
    command = ["score", str(tmp_path / "x.png"), PROMPT, "--critic", "gpt-4o", "--option", f"base_url={endpoint.url}"]
    assert main(command) == 2
    assert name in capsys.readouterr().err and endpoint.requests == []


def test_a_proxy_that_is_not_there_is_named(endpoint, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(CriticError, match="http_proxy is set.*NO_PROXY"):
        ask(endpoint, retries=0).score([RED], PROMPT)


def test_answers_survive_a_restart(endpoint, tmp_path):
    kept = str(tmp_path / "new" / "answers.sqlite")
    assert ask(endpoint, answers=kept).score([RED], PROMPT)[0].usage.calls == 1
    (again,) = ask(endpoint, answers=kept).score([RED], PROMPT)
    assert again.value == 0.7 and again.usage.calls == 0 and len(endpoint.requests) == 1
    ask(endpoint, answers=kept, judge="another").score([RED], PROMPT)
    ask(endpoint, answers=kept).score([Image.new("RGB", (16, 16), "blue")], PROMPT)
    ask(endpoint).score([RED], PROMPT)
    assert len(endpoint.requests) == 4, "another model, another image, and no file: asked again"
    (tmp_path / "text").write_text("no database at all, and long enough to be taken for none")
    with pytest.raises(InputError, match="cannot be kept"):
        ask(endpoint, answers=str(tmp_path / "text"))
