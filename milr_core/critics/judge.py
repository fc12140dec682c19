"""A judge behind any OpenAI-compatible endpoint: a question and an image in, a structured answer out.

The key is held in memory only: it is in no message, log, bundle or representation. Each run has a budget that no
request goes beyond. Waiting can be interrupted. A question asked before is answered from memory: equal inputs give
equal values.
"""

import asyncio
import base64
import copy
import hashlib
import io
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import openai
from openai.types.chat import ChatCompletion
from PIL import Image
from pydantic import BaseModel, ConfigDict

from milr_core.critics.base import NOTHING, Critic, Usage
from milr_core.critics.budget import Budget
from milr_core.errors import CriticError, InputError

PUBLIC = "https://api.openai.com/v1"
NO_KEY = "none"  # said to endpoints that take none
PRICES = {  # dollars a million tokens, in and out, as listed; set input_price and output_price where yours differ
    "gpt-4o": (2.5, 10.0),
    "gpt-4o-2024-05-13": (5.0, 15.0),
    "gpt-4o-mini": (0.15, 0.6),
}
ASKED_AGAIN = 1  # times, after an answer that is not the JSON asked for
POLL_SECONDS = 0.05
LONGEST_PAUSE = 60  # seconds between two tries that the client waits at most when an endpoint asks it to
OPTIONS = {
    "key": "of the endpoint; default: OPENAI_API_KEY, which goes to the environment's endpoint alone",
    "base_url": "default: OPENAI_BASE_URL, or OpenAI's own",
    "judge": "the model that judges; default: OPENAI_MODEL, or the critic's own",
    "timeout": "seconds a try may take (60)",
    "retries": "further tries after 429, 5xx, a time-out or a lost connection, with growing pauses (3)",
    "max_calls": "requests a run, tries included (200)",
    "max_tokens": "tokens a run, in and out (no limit)",
    "max_dollars": "a run (no limit)",
    "max_output_tokens": "of one answer (1000)",
    "input_price": "dollars a million tokens",
    "output_price": "dollars a million tokens",
    "temperature": "0; None for models that take none",
    "extra_body": "further fields of the request, for servers that have them",
}


class Answer(BaseModel):
    """What a judge fills in. Every field is required and no other is taken, as structured output wants it."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Question:
    """system, text: what is asked of the image."""

    system: str
    text: str
    image: Image.Image


def _positive(name: str, value: Any, kind: type, zero: bool = False) -> None:
    right = isinstance(value, (int, kind)) and not isinstance(value, bool) and (value > 0 or (zero and value == 0))
    if value is not None and not right:
        raise InputError(f"{name} is a number above 0; got {value!r}.")


@dataclass
class Judge:
    """See `OPTIONS`. One for each critic; `for_run` gives one with a budget of its own.

    Raises:
        InputError: at construction, without a key for OpenAI's own endpoint, or for options that cannot be.
    """

    judge: str
    key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    timeout: float = 60.0
    retries: int = 3
    max_calls: int | None = 200
    max_tokens: int | None = None
    max_dollars: float | None = None
    max_output_tokens: int = 1000
    input_price: float | None = None
    output_price: float | None = None
    temperature: float | None = 0.0
    extra_body: dict[str, Any] | None = None
    poll: Callable[[], None] = field(default=lambda: None, repr=False)
    known: dict[str, Answer] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        home = os.environ.get("OPENAI_BASE_URL") or PUBLIC
        self.base_url = self.base_url or home
        address = urlsplit(self.base_url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise InputError("The judge's base URL begins with http:// or https:// and names a host.")
        if address.username or address.password:
            raise InputError("The judge's base URL holds a password: give it as the key instead.")
        if not self.key and self.base_url == home:  # the environment's key goes nowhere but to its own endpoint
            self.key = os.environ.get("OPENAI_API_KEY")
        self.key = str(self.key or ("" if self.base_url == PUBLIC else NO_KEY)).strip()
        if not self.key.isascii() or not self.key.isprintable():
            raise InputError("The judge's key has characters that no key has. Copy it again.")
        if not self.key:
            raise InputError(
                "The judge needs a key: set OPENAI_API_KEY, or OPENAI_BASE_URL to an endpoint without one."
            )
        for name in ("timeout", "max_dollars"):
            _positive(name, getattr(self, name), float)
        for name in ("max_calls", "max_tokens", "max_output_tokens"):
            _positive(name, getattr(self, name), int)
        _positive("retries", self.retries, int, zero=True)
        prices = PRICES.get(self.judge, (None, None)) if self.base_url == PUBLIC else (None, None)
        self.input_price = prices[0] if self.input_price is None else self.input_price
        self.output_price = prices[1] if self.output_price is None else self.output_price
        if self.max_dollars is not None and None in (self.input_price, self.output_price):
            raise InputError(f"max_dollars needs the price of '{self.judge}': give input_price and output_price.")
        self.budget = Budget(self.max_calls, self.max_tokens, self.max_dollars)

    def for_run(self, poll: Callable[[], None], spent: Usage) -> "Judge":
        """The same judge with its budget less what is spent; asks `poll`, which may raise, while it waits."""
        mine = replace(self, poll=poll)
        mine.budget.spent = spent
        return mine

    def ask(self, questions: Sequence[Question], schema: type[Answer]) -> list[tuple[Answer, Usage]]:
        """An answer and what it took for each question, asked at once; questions answered before take nothing.

        Raises:
            CriticError: no answer, in words that say what to do. Whatever `poll` raises: the requests are dropped.
        """
        pngs = [_png(question.image) for question in questions]
        keys = [self._name(q, png, schema) for q, png in zip(questions, pngs, strict=True)]
        new = {k: (q, png) for k, q, png in zip(keys, questions, pngs, strict=True) if k not in self.known}
        paid: dict[str, Usage] = {}
        if new:
            self._wait(self._ask_all(new, schema, paid, self.budget.left(len(new))))
        return [(self.known[k], paid.pop(k, Usage())) for k in keys]

    def _name(self, question: Question, png: bytes, schema: type[Answer]) -> str:
        asked = (
            self.base_url,
            self.judge,
            self.temperature,
            self.extra_body,
            schema.__name__,
            question.system,
            question.text,
        )
        return hashlib.sha256(repr(asked).encode() + png).hexdigest()

    def _wait(self, work: Any) -> None:
        """Run a coroutine in a thread of its own, as this one may have an event loop; drop it if `poll` raises."""
        handle: dict[str, Any] = {}

        async def main() -> None:
            handle["loop"], handle["task"] = asyncio.get_running_loop(), asyncio.current_task()
            await work

        with ThreadPoolExecutor(1, "judge") as pool:
            future = pool.submit(asyncio.run, main())
            try:
                while not future.done():
                    wait([future], POLL_SECONDS)
                    self.poll()
            except BaseException:
                while "task" not in handle and not future.done():
                    time.sleep(POLL_SECONDS / 10)
                if not future.done():
                    handle["loop"].call_soon_threadsafe(handle["task"].cancel)
                raise
            future.result()

    async def _ask_all(self, new: dict, schema: type[Answer], paid: dict[str, Usage], allowed: int) -> None:
        async def sent(_: Any) -> None:
            self.budget.spent += Usage(calls=1)

        http = openai.DefaultAsyncHttpxClient(event_hooks={"request": [sent]}, timeout=self.timeout)
        async with openai.AsyncOpenAI(
            api_key=self.key, base_url=self.base_url, timeout=self.timeout, http_client=http
        ) as client:
            asked = [
                asyncio.ensure_future(self._ask(client, name, question, png, schema, paid, allowed))
                for name, (question, png) in new.items()
            ]
            try:
                await asyncio.gather(*asked)
            finally:
                for one in asked:
                    one.cancel()

    async def _ask(
        self, client: Any, name: str, question: Question, png: bytes, schema: type[Answer], paid: dict, allowed: int
    ) -> None:
        """One question, in `allowed` tries at most."""
        request = self._request(question, png, schema)
        asked = 0
        while name not in self.known:
            tries = min(self.retries + 1, allowed)
            asked += 1
            try:
                # The time-out of a try is between bytes: an endpoint that drips has to end as well.
                raw = await asyncio.wait_for(
                    client.with_options(max_retries=tries - 1).chat.completions.with_raw_response.create(**request),
                    tries * self.timeout + (tries - 1) * LONGEST_PAUSE + 10,
                )
                allowed -= 1 + raw.retries_taken
                answer = raw.parse()
                if not isinstance(answer, ChatCompletion):
                    raise ValueError("no chat completion")
                usage = self._usage(answer)
                paid[name] = paid.get(name, Usage()) + usage
                self.known[name] = self._read(answer, schema)
            except CriticError:
                raise
            except ValueError:  # of pydantic, of json: not what was asked for
                if asked > ASKED_AGAIN or allowed < 1:
                    raise CriticError(
                        f"The judge {self._who} answered something that is not the JSON asked for"
                        f"{', twice' * (asked > 1)}. Use a model with structured output."
                    ) from None
            except Exception as error:  # without its chain: what an endpoint says may hold the key
                raise CriticError(self._said(error, tries)) from None

    def _request(self, question: Question, png: bytes, schema: type[Answer]) -> dict[str, Any]:
        image = "data:image/png;base64," + base64.b64encode(png).decode()
        content = [{"type": "text", "text": question.text}, {"type": "image_url", "image_url": {"url": image}}]
        form = {"name": schema.__name__, "strict": True, "schema": schema.model_json_schema()}
        return {
            "model": self.judge,
            "max_completion_tokens": self.max_output_tokens,
            "messages": [{"role": "system", "content": question.system}, {"role": "user", "content": content}],
            "response_format": {"type": "json_schema", "json_schema": form},
            "extra_body": self.extra_body,
        } | ({} if self.temperature is None else {"temperature": self.temperature})

    def _read(self, answer: Any, schema: type[Answer]) -> Answer:
        if not answer.choices:
            raise ValueError("no choices")
        choice = answer.choices[0]
        if choice.message.refusal:
            raise CriticError(f"The judge {self._who} refused to judge: {self._clean(choice.message.refusal)}")
        if choice.finish_reason == "length":
            raise CriticError(
                f"The answer of the judge {self._who} was cut at {self.max_output_tokens} tokens. "
                "Raise max_output_tokens."
            )
        if choice.finish_reason == "content_filter":
            raise CriticError(f"The content filter of the judge {self._who} stopped its answer. Try another prompt.")
        return schema.model_validate_json(choice.message.content or "")

    def _usage(self, answer: Any) -> Usage:
        """Of an answer; its request is counted when it is sent."""
        given = answer.usage
        inputs, outputs = (given.prompt_tokens, given.completion_tokens) if given else (0, 0)
        dollars = (inputs * (self.input_price or 0) + outputs * (self.output_price or 0)) / 1e6
        self.budget.add(Usage(0, inputs, outputs, dollars))
        return Usage(1, inputs, outputs, dollars)

    @property
    def _who(self) -> str:
        return f"'{self.judge}' at {urlsplit(self.base_url).netloc}"

    def _clean(self, text: str) -> str:
        """One line without the key, whoever put it there."""
        line = " ".join(str(text).split())[:300]
        return line if self.key == NO_KEY else line.replace(self.key, "[key]")

    def _said(self, error: Exception, tries: int) -> str:
        who, after = self._who, f"after {tries} tr{'y' if tries == 1 else 'ies'}"
        match error:
            case openai.APITimeoutError() | asyncio.TimeoutError():
                return (
                    f"The judge {who} did not answer within {self.timeout:g} s, {after}. Try later, or raise timeout."
                )
            case openai.APIConnectionError():
                said = self._clean(error.__cause__ or error)
                return f"The connection to the judge {who} failed {after}: {said}. Check base_url and the network."
            case openai.RateLimitError():
                return (
                    f"The judge {who} turns requests away {after} (429): {self._detail(error)}. Wait, or raise retries."
                )
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                return f"The judge {who} does not take the key ({error.status_code}). Check OPENAI_API_KEY."
            case openai.NotFoundError():
                return f"There is no judge {who} (404): {self._detail(error)}. Check judge and base_url."
            case openai.APIStatusError():
                return f"The judge {who} failed {after} ({error.status_code}): {self._detail(error)}."
            case _:
                return f"The judge {who} failed: {type(error).__name__}: {self._clean(error)}."

    def _detail(self, error: openai.APIStatusError) -> str:
        body = error.body if isinstance(error.body, dict) else {}
        return self._clean(body.get("message") or error.message).rstrip(".")


class Judged(Critic):
    """A critic that asks a judge; options are `OPTIONS`."""

    default_judge = "gpt-4o"

    def __init__(self, judge: str | None = None, **options: Any):
        self.judge = Judge(judge or os.environ.get("OPENAI_MODEL") or self.default_judge, **options)

    def for_run(self, poll: Callable[[], None], spent: Usage = NOTHING) -> Critic:
        mine = copy.copy(self)
        mine.judge = self.judge.for_run(poll, spent)
        return mine


def _png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.convert("RGB").save(data, "PNG")
    return data.getvalue()
