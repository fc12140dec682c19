"""What servers send back, read for what it means: an answer in whatever wrapping, the tokens it took, or words of why
not. Nothing is made up: what cannot be read is an error that quotes it.
"""

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from milr_core.critics.base import plain_text

SHOWN = 300  # characters of what a server says
MOST_TOKENS = 10**9  # of an answer: more is no count
MOST_STARTS = 200  # places in an answer at which JSON may begin
_WORDS = (
    "message", "msg", "detail", "error", "errors", "error_description", "error_msg", "error_message", "description",
    "reason", "title", "status_msg", "fault", "faultstring", "base_resp", "innererror", "inner_error",
)  # fmt: skip
_INPUTS = ("prompt_tokens", "input_tokens", "prompt_eval_count", "promptTokens", "inputTokens")
_OUTPUTS = ("completion_tokens", "output_tokens", "eval_count", "completionTokens", "outputTokens")


class Answer(BaseModel):
    """What a judge fills in. The schema that it is given allows no other field; one that comes anyway is ignored."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"additionalProperties": False})


Filled = TypeVar("Filled", bound=Answer)


class Unreadable(ValueError):
    """A reply without the answer; the message is what it said, shortened."""


class Failed(Exception):
    """A reply that is an error, with whatever status it came. code: the provider's own word for it."""

    def __init__(self, status: int, words: str, code: str = "", pause: float | None = None):
        super().__init__(words)
        self.status, self.words, self.code, self.pause = status, words, code, pause


@dataclass(frozen=True)
class Reply:
    """texts: where the answer may be, likeliest first. finish: why it ended. tokens: in and out, 0 where unknown."""

    texts: tuple[str, ...]
    finish: str
    refusal: str
    tokens: tuple[int, int]

    def answer(self, schema: type[Filled]) -> Filled:
        """Raises Unreadable."""
        for text in self.texts:
            records = [inner for record in _objects(_spoken(text)) for inner in _within(record)]
            found = [filled for record in records if (filled := _filled(record, schema)) is not None]
            if found:
                return found[-1]  # what comes before may be thought aloud
        raise Unreadable(shortened(next((text for text in self.texts if text.strip()), "")))


def read_reply(body: bytes) -> Reply:
    """A reply of status 200.

    Raises:
        Failed: it carries an error. Unreadable: it is no chat completion.
    """
    text = body.decode("utf-8", errors="replace").lstrip("\ufeff \t\r\n")
    record = _json(text)
    record = _streamed(text) if record is None else record
    if not isinstance(record, dict):
        raise Unreadable(shortened(words_of_page(text)))
    choices = record.get("choices")
    alone = record if isinstance(record.get("message"), dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else alone
    error = record.get("error") or (isinstance(choice, dict) and choice.get("error"))
    if error or not isinstance(choice, dict):
        if words := words_of(error or record) or (error and (words_of(record) or text)):
            raise Failed(_status(error), words, _code(error))
        raise Unreadable(shortened(text))
    message = choice.get("message") or choice.get("delta")
    message = message if isinstance(message, dict) else {}
    texts = [_text(message.get(name)) for name in ("content", "parsed", "reasoning_content", "reasoning")]
    texts[1:1] = [_text(choice.get("text")), *_called(message)]
    return Reply(
        tuple(text for text in texts if text),
        str(choice.get("finish_reason") or record.get("done_reason") or ""),
        _text(message.get("refusal")),
        tokens_of(record.get("usage") or record),
    )


def _code(error: Any) -> str:
    """The provider's own word for an error; empty where it has none."""
    return str(error.get("code") or "") if isinstance(error, dict) else ""


def _status(error: Any) -> int:
    """What an error under status 200 says that its status is; 200 where it does not."""
    said = (str(error.get(name)) for name in ("code", "status")) if isinstance(error, dict) else ()
    return next((int(one) for one in said if re.fullmatch("[45][0-9][0-9]", one)), 200)


def tokens_of(usage: Any) -> tuple[int, int]:
    """Tokens in and out by whichever name a server has for them; what is no count is 0. Where there is only a sum, what
    is not known to have come in has gone out.
    """

    def first(names: tuple[str, ...]) -> int:
        for name in names:
            count = usage.get(name) if isinstance(usage, dict) else None
            if isinstance(count, (int, float)) and not isinstance(count, bool) and 0 <= count <= MOST_TOKENS:
                return int(count)
        return 0

    inputs = first(_INPUTS)
    return inputs, first(_OUTPUTS) or max(0, first(("total_tokens",)) - inputs)


def words_of(body: Any, depth: int = 4) -> str:
    """The words of an error, in whatever record they come."""
    if isinstance(body, str):
        return words_of_page(body)
    if isinstance(body, list) and depth:
        return "; ".join(filter(None, (words_of(one, depth - 1) for one in body[:3])))
    if not isinstance(body, dict) or not depth:
        return ""
    body = {name.lower(): value for name, value in body.items()}
    words = next(filter(None, (words_of(body.get(name), depth - 1) for name in _WORDS)), "")
    place = body.get("loc") or body.get("param")
    if isinstance(place, list):
        words = f"{'.'.join(map(str, place[:6]))}: {words}"
    elif isinstance(place, str) and place not in words:
        words = f"{words} ({place})"
    behind = body.get("metadata")  # a router's record of what the provider behind it said
    raw = words_of(behind.get("raw"), depth - 1) if isinstance(behind, dict) else ""
    return f"{words}: {raw}" if raw and raw not in words else words


def words_of_error(body: bytes) -> tuple[str, str]:
    """The words, and the provider's code, of a reply whose status says that it failed."""
    text = body.decode("utf-8", errors="replace")
    record = _json(text)
    if record is None:
        return words_of_page(text), ""
    error = record.get("error", record) if isinstance(record, dict) else record
    return words_of(record) or text.strip(), _code(error)


def words_of_page(text: str) -> str:
    """A page's words without its markup; other text as it is."""
    if not re.match(r"\s*<(!|\?|(html|head|body|title|center|div|p|h[1-6]|error)\b)", text, re.IGNORECASE):
        return text.strip()
    bare = re.sub(r"<(script|style)\b.*?(</\1>|$)|<[^>]*>", " ", text[:20_000], flags=re.IGNORECASE | re.DOTALL)
    return "a web page: " + " ".join(html.unescape(bare).split())


def shortened(text: str) -> str:
    """One line of at most SHOWN characters, without control characters."""
    line = " ".join(plain_text(text[: 4 * SHOWN]).split())
    return line if len(line) <= SHOWN else line[: SHOWN - 2] + " …"


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _streamed(text: str) -> dict[str, Any] | None:
    """A stream of events, or of lines of JSON, sent unasked, as the one completion that it adds up to."""
    content, whole = [], None
    for line in re.split(r"[\r\n]+", text):
        record = _json(line.removeprefix("data:"))
        if not isinstance(record, dict) or not (
            record.keys() & {"choices", "error"} or isinstance(record.get("message"), dict)
        ):
            continue
        choices = record.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
        part = choice.get("delta") or choice.get("message") or record.get("message")
        content.append(_text(part.get("content")) if isinstance(part, dict) else "")
        kept = {name: value for name, value in record.items() if value is not None}
        whole = (whole or {}) | kept
        finish = choice.get("finish_reason") or (whole.get("done_reason") or "")
        whole["done_reason"] = finish
    if whole is None or "error" in whole:
        return whole
    message = {"message": {"content": "".join(content)}, "finish_reason": whole["done_reason"]}
    return whole | {"choices": [message]}


def _text(content: Any) -> str:
    """Join the text of a message's content: text, a list of parts, or the answer itself as an object."""
    if isinstance(content, list):
        return "".join(map(_text, content))
    if isinstance(content, dict):
        if not content or content.get("type") in ("thinking", "reasoning"):
            return ""
        return _text(content.get("text") or content.get("content") or content.get("value")) or json.dumps(content)
    return content if isinstance(content, str) else ""


def _called(message: dict[str, Any]) -> list[str]:
    """What a message gives to functions: some servers fill in a form so."""
    calls = message.get("tool_calls")
    calls = [message, *calls] if isinstance(calls, list) else [message]
    functions = [call.get("function") or call.get("function_call") for call in calls if isinstance(call, dict)]
    said = [function.get("arguments") for function in functions if isinstance(function, dict)]
    return [json.dumps(one) if isinstance(one, dict) else _text(one) for one in said]


def _spoken(text: str) -> str:
    """An answer without what was thought aloud before it, and out of the quotes of a JSON text."""
    after = re.split(r"</think(?:ing)?>", text)[-1]
    spoken = after if after.strip() else text
    quoted = _json(spoken) if spoken.lstrip().startswith('"') else None
    return quoted if isinstance(quoted, str) else spoken


def _within(record: Any, depth: int = 2) -> Iterator[Any]:
    """The objects in an object, from the inside to itself: a form may lie in another, or in a list or a text there
    (`{"answer": {…}}`).
    """
    for value in record.values() if depth else ():
        value = _json(value) if isinstance(value, str) and value.lstrip().startswith("{") else value
        for inner in value if isinstance(value, list) else (value,):
            if isinstance(inner, dict):
                yield from _within(inner, depth - 1)
    yield record


def _objects(text: str) -> Iterator[Any]:
    """Every JSON object in a text, outermost first and in order. Line breaks within its texts may be as typed."""
    decoder, start = json.JSONDecoder(strict=False), 0
    for _ in range(MOST_STARTS):
        start = text.find("{", start)
        if start < 0:
            return
        try:
            record, start = decoder.raw_decode(text, start)
            yield record
        except (ValueError, RecursionError):
            start += 1


def number(value: Any) -> Any:
    """A mark that is true or false is none, though Python counts with both."""
    if isinstance(value, bool):
        raise ValueError("true and false are no marks")
    return value


def _filled(record: Any, schema: type[Filled]) -> Filled | None:
    try:
        return schema.model_validate(_plain(record))
    except (ValidationError, OverflowError):
        return None


def _plain(record: Any) -> Any:
    """A judge's record without control characters in its texts; they are shown, some of them in a terminal."""
    if isinstance(record, str):
        return plain_text(record)
    if isinstance(record, list):
        return [_plain(one) for one in record]
    return {plain_text(k): _plain(v) for k, v in record.items()} if isinstance(record, dict) else record
