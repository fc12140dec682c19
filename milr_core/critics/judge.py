"""A judge behind any OpenAI-compatible endpoint: a question and an image in, a filled-in form out.

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
from pathlib import Path
from typing import Any

import httpx2
import openai
from PIL import Image

from milr_core.critics import failures
from milr_core.critics.answers import Answers
from milr_core.critics.base import NOTHING, Critic, Usage
from milr_core.critics.budget import Budget
from milr_core.critics.dialect import REFUSING, Dialect, known, remember
from milr_core.critics.endpoint import PUBLIC, Policy, check_endpoint, home
from milr_core.critics.prices import DEFAULT_JUDGE, listing
from milr_core.critics.replies import Answer, Failed, Filled, Reply, Unreadable, read_reply, shortened, words_of_error
from milr_core.critics.transport import JudgeClient
from milr_core.errors import CriticError, InputError

NO_KEY = "none"  # said to endpoints that take none
SECRET = 8  # characters that a key has at least: a server of one's own takes "x", or "ollama"
ASKED_AGAIN = 1  # times, after an answer that is not the JSON asked for
POLL_SECONDS = 0.05
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0  # seconds before the second try; and that an endpoint may ask for at most
LONGEST_NAME = 200  # characters of a model
MOST = 10**9  # of any number in the options
OPTIONS = {
    "key": "of the endpoint; default: OPENAI_API_KEY, which goes to the environment's endpoint alone",
    "base_url": "default: OPENAI_BASE_URL, or OpenAI's own",
    "judge": f"the model that judges; default: OPENAI_MODEL, or {DEFAULT_JUDGE}",
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
    "answers": "a file (SQLite) that keeps answers, which are then not paid for twice; default: memory alone",
    "policy": "which base_url is taken (endpoint.Policy); default: as MILR_JUDGE_URLS and MILR_JUDGE_HOSTS say",
}


@dataclass(frozen=True)
class Question:
    """system, text: what is asked of the image."""

    system: str
    text: str
    image: Image.Image


def _number(name: str, value: Any, kind: type, zero: bool = False) -> None:
    right = (
        isinstance(value, (int, kind)) and not isinstance(value, bool) and (0 < value <= MOST or (zero and not value))
    )
    if value is not None and not right:
        raise InputError(f"{name} is a number above 0; got {shortened(repr(value))}.")


@dataclass
class Judge:
    """See `OPTIONS`. One for each critic; `for_run` gives one with a budget of its own.

    Raises:
        InputError: at construction, without a key for OpenAI's own endpoint, or for options that cannot be.
    """

    judge: str
    key: str = field(default="", repr=False)
    base_url: str = ""
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
    answers: str | Path | None = None
    policy: Policy | None = None
    poll: Callable[[], None] = field(default=lambda: None, repr=False)

    def __post_init__(self) -> None:
        self.base_url = str(self.base_url or home())
        policy = self.policy or Policy.of_environment()
        if not isinstance(policy, Policy):
            raise InputError("policy is an endpoint.Policy; on a command line, set MILR_JUDGE_URLS.")
        check_endpoint(self.base_url, policy)
        self._pinned = policy.pinned(self.base_url)
        self._take_key()
        for name in ("timeout", "max_dollars"):
            _number(name, getattr(self, name), float)
        for name in ("max_calls", "max_tokens", "max_output_tokens"):
            _number(name, getattr(self, name), int)
        for name, kind in (("retries", int), ("input_price", float), ("output_price", float), ("temperature", float)):
            _number(name, getattr(self, name), kind, zero=True)
        if self.timeout is None or self.retries is None or self.max_output_tokens is None:
            raise InputError("timeout, retries and max_output_tokens are numbers.")
        if not isinstance(self.extra_body, (dict, type(None))):
            raise InputError(f"extra_body is an object with further fields; got {shortened(repr(self.extra_body))}.")
        if len(self.judge) > LONGEST_NAME:
            raise InputError(f"The name of a judge has at most {LONGEST_NAME} characters.")
        listed = listing(self.judge) if self.base_url == PUBLIC else None
        if listed:
            self.input_price = listed.input if self.input_price is None else self.input_price
            self.output_price = listed.output if self.output_price is None else self.output_price
        if self.max_dollars is not None and None in (self.input_price, self.output_price):
            raise InputError(f"max_dollars needs the price of '{self.judge}': give input_price and output_price.")
        self._kept = Answers(self.answers)
        self.budget = Budget(self.max_calls, self.max_tokens, self.max_dollars)
        self._plain = Dialect(effort=listed.effort if listed else None)

    def _take_key(self) -> None:
        """The environment's key, and what else it says of its owner, go nowhere but to its own endpoint; a key that
        is given is another owner's.
        """
        self._operators = not self.key and self.base_url == home()
        if self._operators:
            self.key = os.environ.get("OPENAI_API_KEY", "")
        self.key = str(self.key or ("" if self.base_url == PUBLIC else NO_KEY)).strip()
        if not self.key.isascii() or not self.key.isprintable():
            raise InputError("The judge's key has characters that no key has. Copy it again.")
        if not self.key:
            raise InputError(
                "The judge needs a key: set OPENAI_API_KEY, or OPENAI_BASE_URL to an endpoint without one."
            )

    def client(self) -> JudgeClient:
        """Raises InputError where the environment's proxies or certificates do not allow one."""
        theirs = None if self._operators else self.key
        return JudgeClient(self.timeout, self._sent, theirs, self._pinned)

    def _sent(self) -> None:
        self.budget.spent += Usage(calls=1)

    def for_run(self, poll: Callable[[], None], spent: Usage) -> "Judge":
        """The same judge with its budget less what is spent; asks `poll`, which may raise, while it waits."""
        mine = copy.copy(self)
        mine.poll, mine.budget = poll, Budget(self.max_calls, self.max_tokens, self.max_dollars, spent)
        return mine

    def ask(self, questions: Sequence[Question], schema: type[Filled]) -> list[tuple[Filled, Usage]]:
        """An answer and what it took for each question, asked at once; questions answered before take nothing.

        Raises:
            CriticError: no answer, in words that say what to do. Whatever `poll` raises: the requests are dropped.
        """
        pngs = [_png(question.image) for question in questions]
        names = [self._name(q, png, schema) for q, png in zip(questions, pngs, strict=True)]
        there = {name: schema.model_validate_json(kept) for name in names if (kept := self._kept.get(name))}
        new = {n: (q, png) for n, q, png in zip(names, questions, pngs, strict=True) if n not in there}
        paid: dict[str, Usage] = {}
        if new:
            self._wait(self._ask_all(new, schema, there, paid, self.budget.left(len(new))))
        return [(there[name], paid.pop(name, Usage())) for name in names]

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

    async def _ask_all(
        self, new: dict[str, tuple[Question, bytes]], schema: type[Answer], there: dict, paid: dict, allowed: int
    ) -> None:
        async with (
            self.client() as http,
            openai.AsyncOpenAI(api_key=self.key, base_url=self.base_url, max_retries=0, http_client=http) as client,
        ):

            async def one(name: str) -> None:
                there[name], paid[name] = await self._ask(client, *new[name], schema, allowed)
                self._kept.put(name, there[name].model_dump_json())  # at once: another of the batch may yet fail

            asked = [asyncio.ensure_future(one(name)) for name in new]
            try:
                await asyncio.gather(*asked)
            finally:
                for task in asked:
                    task.cancel()

    async def _ask(
        self, client: openai.AsyncOpenAI, question: Question, png: bytes, schema: type[Filled], allowed: int
    ) -> tuple[Filled, Usage]:
        """One question, in `allowed` requests at most."""
        image = "data:image/png;base64," + base64.b64encode(png).decode()
        content = [{"type": "text", "text": question.text}, {"type": "image_url", "image_url": {"url": image}}]
        extra = self.extra_body or {}
        dialect = known(self.base_url, self.judge, self._plain)
        sent = unreadable = failed = 0
        usage = NOTHING
        while True:
            request = dialect.request(
                self.judge, question.system, content, schema, self.max_output_tokens, self.temperature, extra
            )
            sent += 1
            try:
                reply = await self._reply(client, request)
                usage += self._usage(reply)
                answer = self._read(reply, schema)
                remember(self.base_url, self.judge, dialect)
                return answer, replace(usage, calls=sent)
            except Unreadable as error:
                unreadable += 1
                if unreadable > ASKED_AGAIN or sent >= allowed:
                    raise CriticError(self._not_read(error, unreadable)) from None
                dialect = dialect.plainer()  # asked in words as well, whatever the server made of the form
            except Failed as error:
                less = dialect.without(error.words, extra) if error.status in REFUSING else None
                if less and sent < allowed:
                    dialect = less
                    continue
                failed += 1
                pause = error.pause if error.pause is not None else min(FIRST_PAUSE * 2 ** (failed - 1), 8.0)
                if not failures.passing(error) or failed > self.retries or sent >= allowed or pause > LONGEST_PAUSE:
                    raise CriticError(self._said(error, sent)) from None
                await asyncio.sleep(pause)

    async def _reply(self, client: openai.AsyncOpenAI, request: dict[str, Any]) -> Reply:
        """Make one request and read its reply.

        Failed and CriticError have no chain: what an endpoint says may hold the key.
        """
        try:
            # The client's own time-out is between bytes: an endpoint that drips has to end as well.
            raw = await asyncio.wait_for(client.chat.completions.with_raw_response.create(**request), self.timeout)
        except (TimeoutError, openai.APITimeoutError):
            raise Failed(failures.TIMED_OUT, f"did not answer within {self.timeout:g} s") from None
        except openai.APIConnectionError as error:
            raise Failed(failures.NOT_CONNECTED, str(error.__cause__ or error)) from None
        except openai.APIStatusError as error:
            words, code = words_of_error(error.response.content)
            raise Failed(error.status_code, words, code, failures.asked_pause(error.response.headers)) from None
        except (CriticError, InputError):
            raise
        except Exception as error:
            raise CriticError(
                f"The judge {self._who} failed: {type(error).__name__}: {self._clean(str(error))}."
            ) from None
        return read_reply(raw.http_response.content)

    def _read(self, reply: Reply, schema: type[Filled]) -> Filled:
        if reply.refusal:
            raise CriticError(f"The judge {self._who} refused to judge: {self._clean(reply.refusal)}")
        if reply.finish == "content_filter":
            raise CriticError(f"The content filter of the judge {self._who} stopped its answer. Try another prompt.")
        try:
            return reply.answer(schema)
        except Unreadable:
            if reply.finish != "length":
                raise
            raise CriticError(
                f"The answer of the judge {self._who} was cut at {self.max_output_tokens} tokens. "
                "Raise max_output_tokens."
            ) from None

    def _usage(self, reply: Reply) -> Usage:
        """Count what a reply has used; its request is counted when it is sent."""
        inputs, outputs = reply.tokens
        dollars = (inputs * (self.input_price or 0) + outputs * (self.output_price or 0)) / 1e6
        self.budget.add(Usage(0, inputs, outputs, dollars))
        return Usage(0, inputs, outputs, dollars)

    @property
    def _who(self) -> str:
        return f"'{shortened(self.judge)}' at {httpx2.URL(self.base_url).netloc.decode()}"

    def _clean(self, text: str) -> str:
        """One line without the key, whoever put it there; but one that is too short to be secret is in other words."""
        return shortened(text.replace(self.key, "[key]") if len(self.key) >= SECRET else text).rstrip(".")

    def _said(self, error: Failed, sent: int) -> str:
        return failures.said(error, self._who, self._clean(error.words), sent, self.base_url, self.judge)

    def _not_read(self, error: Unreadable, times: int) -> str:
        said = f"'{self._clean(str(error))}'" if str(error) else "nothing"
        return (
            f"The judge {self._who} answered something that is not the JSON asked for{', twice' * (times > 1)}. "
            f"It said: {said}. Check base_url, which usually ends in /v1, or use a model with structured output."
        )


class Judged(Critic):
    """A critic that asks a judge; options are `OPTIONS`."""

    default_judge = DEFAULT_JUDGE

    def __init__(self, judge: str | None = None, **options: Any):
        self.judge = Judge(str(judge or os.environ.get("OPENAI_MODEL") or self.default_judge), **options)

    def load(self) -> None:
        """Raises InputError where the environment does not let a judge be asked; nothing is sent."""
        self.judge.client()

    def for_run(self, poll: Callable[[], None], spent: Usage = NOTHING) -> Critic:
        mine = copy.copy(self)
        mine.judge = self.judge.for_run(poll, spent)
        return mine


def _png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.convert("RGB").save(data, "PNG")
    return data.getvalue()
