"""SelfReward: the model that drew the image judges it, with its own eyes and the same weights."""

import json
import re
from collections.abc import Sequence

import torch
from PIL import Image

from milr_core.critics.base import About, Critic, Score
from milr_core.errors import CriticError, InputError
from milr_core.janus import Janus

PROTOCOLS = ("soft", "json")
MAX_NEW_TOKENS = 128
QUESTION = (
    "List the objects in this picture with their color, place and number. Compare them with this prompt: {prompt}. "
    'Then answer with one JSON object and nothing after it: {{"Score": 0}} if everything is right, {{"Score": -1}} if '
    "anything is not."
)


def verdict(answer: str) -> int | None:
    """0 or -1: the `Score` of the last JSON object in an answer; None if it has none that is one of them."""
    for said in reversed(re.findall(r"\{[^{}]*\}", answer)):
        try:
            score = json.loads(said).get("Score")
        except ValueError:
            continue
        if score in (0, -1) and not isinstance(score, bool):
            return int(score)
    return None


class SelfReward(Critic):
    """`soft`: P(yes) / (P(yes) + P(no)) at the first answer token. `json`: a hard verdict, 1 or 0, written out.

    An answer that is cut or holds no verdict is an error, where the authors' code takes it for a bad image.
    """

    name = "self"
    about = About(
        needs="the loaded Janus, whose weights it shares",
        options={"protocol": "soft (default), or json: the verdict written out as the paper's code asks for it"},
    )

    def __init__(self, model: Janus, protocol: str = "soft"):
        if protocol not in PROTOCOLS:
            raise InputError(f"The protocols of 'self' are {', '.join(PROTOCOLS)}; got {protocol!r}.")
        self.model, self.protocol = model, protocol

    def score(self, images: Sequence[Image.Image], prompt: str) -> list[Score]:
        if self.protocol == "json":
            return [self._read(answer) for answer in self._answers(images, QUESTION.format(prompt=prompt))]
        question = self.model.question(prompt)
        values = self.model.yes_probability(images, question).tolist()
        return [Score(v, {"yes": v}, f"Asked '{question}', it says yes with probability {v:.2f}.") for v in values]

    def _read(self, answer: str) -> Score:
        said = verdict(answer)
        if said is None:
            raise CriticError(
                f"{self.model.name} gave no verdict in {MAX_NEW_TOKENS} tokens; it said: {answer[:120]!r}. "
                "Use the protocol 'soft', or a larger model."
            )
        return Score(float(said + 1), {"verdict": float(said + 1)}, answer, {"Score": said})

    @torch.no_grad()
    def _answers(self, images: Sequence[Image.Image], question: str) -> list[str]:
        model, inputs = self.model, self.model.question_inputs(images, question)
        room = model.stack.max_positions - inputs["input_ids"].shape[1]
        if room < MAX_NEW_TOKENS:
            raise CriticError(
                f"{model.name} has room for {room} tokens after the question; the protocol 'json' needs more."
            )
        output = model.hf.generate(
            **inputs,
            generation_mode="text",
            max_new_tokens=MAX_NEW_TOKENS,
            do_sample=False,
            pad_token_id=model.pad_token,
        )
        return [model.text_of(row) for row in output[:, inputs["input_ids"].shape[1] :]]
