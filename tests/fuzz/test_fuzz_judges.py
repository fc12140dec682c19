"""Anything at all from a judge: an answer within its form, or an error in words."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from milr_core.critics.gpt4o import Alignment
from milr_core.critics.replies import (
    MOST_TOKENS,
    SHOWN,
    Failed,
    Unreadable,
    read_reply,
    shortened,
    tokens_of,
    words_of,
    words_of_error,
)
from tests.critics.loopback import alignment
from tests.fuzz.examples import fuzzed

SCALARS = some.none() | some.booleans() | some.integers() | some.just(10**310) | some.floats() | some.text(max_size=20)
NAMES = some.sampled_from(
    ("choices", "message", "content", "error", "usage", "delta", "text", "type", "finish_reason", "refusal", "detail",
     "prompt_tokens", "completion_tokens", "reasoning_content", "alignment", "elements", "reason", "asked", "shown")
) | some.text(max_size=5)  # fmt: skip
RECORDS = some.recursive(
    SCALARS, lambda inner: some.lists(inner, max_size=4) | some.dictionaries(NAMES, inner, max_size=5), max_leaves=15
)
ANSWERS = some.text(max_size=60) | RECORDS.map(lambda record: json.dumps(record)) | some.integers(-3, 13).map(alignment)
COMPLETIONS = some.fixed_dictionaries(
    {
        "choices": some.lists(
            some.fixed_dictionaries({"message": some.fixed_dictionaries({"content": ANSWERS | RECORDS})})
        )
    },
    optional={"usage": RECORDS, "error": RECORDS},
)
STREAMS = some.lists(RECORDS.map(lambda r: f"data: {json.dumps(r)}")).map(lambda lines: "\n\n".join(lines))
BODIES = some.one_of(
    some.binary(max_size=200),
    RECORDS.map(lambda record: json.dumps(record).encode()),
    COMPLETIONS.map(lambda record: json.dumps(record).encode()),
    STREAMS.map(lambda text: text.encode()),
)


@fuzzed
@given(BODIES)
def test_a_reply_is_read_or_said_to_be_unreadable(body):
    try:
        reply = read_reply(body)
        assert all(0 <= count <= MOST_TOKENS for count in reply.tokens)
        answer = reply.answer(Alignment)
    except Failed as error:
        assert error.words and isinstance(error.status, int)
    except Unreadable as error:
        assert len(str(error)) <= SHOWN and not any(c in str(error) for c in "\x1b\x07\n\x9b")
    else:
        assert 0 <= answer.alignment <= 10


@fuzzed
@given(
    some.text(max_size=40),
    some.integers(0, 10),
    some.text(max_size=40),
    some.sampled_from(("", "```json\n", "<think>x</think>")),
)
def test_a_good_answer_is_found_in_any_chatter(before, value, after, wrapping):
    content = (
        before.replace("</think", "") + wrapping + alignment(value) + after.replace("{", "").replace("</think", "")
    )
    body = json.dumps({"choices": [{"message": {"content": content}}]}).encode()
    assert read_reply(body).answer(Alignment).alignment == value


@fuzzed
@given(RECORDS, some.binary(max_size=100))
def test_errors_and_counts_are_read_from_anything(record, body):
    assert isinstance(words_of(record), str)
    assert all(0 <= count <= MOST_TOKENS for count in tokens_of(record))
    words, code = words_of_error(json.dumps(record).encode())
    assert isinstance(words, str) and isinstance(code, str) and len(shortened(words)) <= SHOWN
    words_of_error(body)


@pytest.mark.parametrize(
    "text", ["{" * 10**6, '{"a":' * 10**5, "[" * 10**6, "<think>" * 10**5, "<a" * 10**6, '{"' * 10**6]
)
def test_depth_and_length_do_no_harm(text):
    body = json.dumps({"choices": [{"message": {"content": text}}]}).encode()
    with pytest.raises(Unreadable):
        read_reply(body).answer(Alignment)
    for raw in (text.encode(), b"data: " + text.encode()):
        with pytest.raises((Unreadable, Failed)):
            read_reply(raw)
    words_of_error(text.encode())
