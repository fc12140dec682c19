"""What an OpenAI-compatible server takes of a request: learned from its refusals, and remembered by server and model.

answer form   json_schema, then json_object, then a request in words
length        max_completion_tokens, then max_tokens, then none
temperature   with a reasoning effort of none where that is what it depends on, then not at all
the rest      fields of the critic's own (`extra_body`), a system message of its own
"""

import json
import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

logger = logging.getLogger(__name__)

REFUSING = (200, 400, 405, 406, 415, 422, 500, 501)
"""Statuses of servers that do not take a parameter, errors under 200 among them; a refusal also names it."""

FORMS = ("json_schema", "json_object", "words")
_OF_FORMS = ("response_format", "json_schema", "json schema", "json_object", "json mode", "structured output", "schema")
_OF_SYSTEM = ("system role", "system message", "role 'system'", 'role "system"', "role: system", "role system")
_TOO_MUCH = re.compile(r"too (large|long|many|high)|at most|maximum context|context length|exceed")
KEPT = 500  # servers and models: strangers may name them


@dataclass(frozen=True)
class Dialect:
    """length: the parameter that limits an answer. effort: reasoning_effort, where it is sent; empty once refused.
    body: `extra_body`.
    """

    form: str = FORMS[0]
    length: str | None = "max_completion_tokens"
    temperature: bool = True
    effort: str | None = None
    body: bool = True
    system: bool = True

    def without(self, words: str, extra: Collection[str]) -> "Dialect | None":
        """What is left once a server has refused, by what its error says; None where it names nothing that was sent.

        extra: the names in `extra_body`.
        """
        said, changed = words.lower(), self
        if self.length and re.search(rf"\b{self.length}\b", said) and not _TOO_MUCH.search(said):
            changed = replace(changed, length="max_tokens" if self.length == "max_completion_tokens" else None)
        if self.temperature and "temperature" in said:
            # A model that reasons may take a temperature once it does not.
            helped = "reasoning" in said and self.effort is None
            changed = replace(changed, effort="none") if helped else replace(changed, temperature=False)
        elif self.effort and re.search(r"reasoning[_ .]?effort", said):
            changed = replace(changed, effort="")
        if self.form != FORMS[-1] and any(name in said for name in _OF_FORMS):
            changed = changed.plainer()
        if self.body and any(name.lower() in said for name in extra):
            changed = replace(changed, body=False)
        if self.system and any(name in said for name in _OF_SYSTEM):
            changed = replace(changed, system=False)
        return changed if changed != self else None

    def plainer(self) -> "Dialect":
        """Go to the next form of answer, which asks less of the server."""
        return replace(self, form=FORMS[min(FORMS.index(self.form) + 1, len(FORMS) - 1)])

    def request(
        self, judge: str, system: str, content: list[dict[str, Any]], schema: type[BaseModel], length: int,
        temperature: float | None, extra_body: dict[str, Any] | None,
    ) -> dict[str, Any]:  # fmt: skip
        """Return the arguments of the client's `chat.completions.create`. content: of the user's message."""
        form = schema.model_json_schema()
        if self.form != "json_schema":
            system += f" Answer with one JSON object and nothing else. Its JSON schema: {json.dumps(form)}"
        if self.system:
            messages = [{"role": "system", "content": system}, {"role": "user", "content": content}]
        else:
            messages = [{"role": "user", "content": [{"type": "text", "text": system}, *content]}]
        request: dict[str, Any] = {"model": judge, "messages": messages}
        if self.form == "json_schema":
            named = {"name": schema.__name__, "strict": True, "schema": form}
            request["response_format"] = {"type": "json_schema", "json_schema": named}
        elif self.form == "json_object":
            request["response_format"] = {"type": "json_object"}
        if self.length:
            request[self.length] = length
        if self.temperature and temperature is not None:
            request["temperature"] = temperature
        if self.effort:
            request["reasoning_effort"] = self.effort
        if self.body and extra_body:
            request["extra_body"] = extra_body
        return request


_known: OrderedDict[tuple[str, str], Dialect] = OrderedDict()
_lock = threading.Lock()


def known(base_url: str, judge: str, otherwise: Dialect) -> Dialect:
    """What is remembered of a server and a model."""
    with _lock:
        return _known.get((base_url, judge), otherwise)


def remember(base_url: str, judge: str, dialect: Dialect) -> None:
    with _lock:
        if _known.get((base_url, judge)) != dialect:
            logger.info("The judge '%s' is asked with %s from now on.", judge, dialect)
        _known[base_url, judge] = dialect
        while len(_known) > KEPT:
            _known.popitem(last=False)
