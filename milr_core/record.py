"""The record of a run: a `Header`, and a `StepRecord` for each step.

One form, in which a run is written, gone on with, replayed, exported and answered with; what is read is checked here
and nowhere else. Tensors lie beside it (`milr_core.tensors`).
"""

import json
from dataclasses import asdict
from typing import Annotated, Any, Literal

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from milr_core.critics.base import Box, Score
from milr_core.errors import InputError
from milr_core.settings import settings_from
from milr_core.state import BEST_OF_N, SEARCH, Cost, Probabilities, State, Step

SCHEMA = 2
"""Schema 1 was one `trajectory.json` with all steps in it; it is read (`from_schema_1`) and no longer written."""

MAX_TEXT, MAX_PARTS = 20_000, 100
MAX_TOKENS = 1 << 16
MAX_ID = 2**31
"""Characters of a text, named figures of a score, tokens of a step, the largest id: beyond those of any model."""

Unit = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=MAX_ID, strict=True)]
Tokens = Annotated[list[Count], Field(max_length=MAX_TOKENS)]
Shares = Annotated[list[Unit], Field(max_length=MAX_TOKENS)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Name = Annotated[str, Field(max_length=2000)]
Parts = Annotated[dict[Name, Unit], Field(max_length=MAX_PARTS)]
Norms = Annotated[dict[Literal["text", "image"], Finite], Field(max_length=2)]
Method = Literal["search", "best-of-n", "plain", "by hand"]


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)


class MadeBy(_Checked):
    """The model that made a run."""

    id: Name
    weights_hash: Name


class Header(_Checked):
    """All that a run was asked for: with it alone the same search begins again.

    critic, observers: names or mixtures. options: of the critic, as `load_critic` takes them, without keys. settings:
    that it began with; None in bundles from before they were kept.
    """

    schema_: Literal[1, 2] = Field(SCHEMA, alias="schema")
    prompt: Text
    model: MadeBy
    critic: Name
    observers: Annotated[list[Name], Field(max_length=MAX_PARTS)] = []
    options: dict[Name, Any] = {}
    method: Method = SEARCH
    settings: dict[str, Any] | None = None

    @field_validator("options")
    @classmethod
    def no_secrets(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Keys are for the environment, and never written."""
        plain = {k: cls.no_secrets(v) if isinstance(v, dict) else v for k, v in options.items()}
        return {k: v for k, v in plain.items() if not any(word in k.lower() for word in ("key", "token", "secret"))}

    @field_validator("settings")
    @classmethod
    def allowed(cls, settings: dict[str, Any] | None) -> dict[str, Any] | None:
        return settings and settings_from(settings).as_dict()


class ObservedRecord(_Checked):
    value: Unit
    parts: Parts
    reason: Text


class ProbabilitiesRecord(_Checked):
    model_config = ConfigDict(extra="forbid")
    text: Shares
    text_own: Shares
    text_entropy: Shares
    image: Shares
    image_own: Shares
    image_entropy: Shares


class BoxRecord(_Checked):
    """A `Box` of a score. Shares that lie a little outside the image, as detectors give them, end at its border."""

    label: Name
    x0: Unit
    y0: Unit
    x1: Unit
    y1: Unit
    state: Literal["found", "missed", "ignored"]
    words: Name = ""

    @classmethod
    def of(cls, box: Box) -> dict[str, Any]:
        corners = {name: min(max(getattr(box, name), 0.0), 1.0) for name in ("x0", "y0", "x1", "y1")}
        return corners | {name: whole_characters(getattr(box, name))[:2000] for name in ("label", "state", "words")}


class LatentsRecord(_Checked):
    ratio: Annotated[float, Field(gt=0, le=1)]
    rule: Literal["prefix", "random", "entropy", "coordinate"]


class CostRecord(_Checked):
    model_config = ConfigDict(extra="forbid")
    image_rollouts: Count = 0
    text_tokens: Count = 0
    image_tokens: Count = 0
    critic_calls: Count = 0
    judge_calls: Count = 0
    judge_input_tokens: Count = 0
    judge_output_tokens: Count = 0
    judge_dollars: Finite = 0.0
    text_seconds: Finite = 0.0
    image_seconds: Finite = 0.0
    pixels_seconds: Finite = 0.0
    critic_seconds: Finite = 0.0
    observer_seconds: Finite = 0.0
    update_seconds: Finite = 0.0


class StepRecord(_Checked):
    """A step, as it stands in a line of `trajectory.jsonl`. Names are those of `Step`, `State` and `Score`.

    latents: by kind, what its tensors were sized for. memory, kept: of the strategy; kept is the index of a step.
    image, state: names of the files beside it.
    """

    index: Count
    method: Method = SEARCH
    text: Text
    reward: Unit
    parts: Parts
    reason: Text
    raw: dict[str, Any] = {}
    boxes: Annotated[list[BoxRecord], Field(max_length=MAX_PARTS)] = []
    best: Count
    settings: dict[str, Any]
    cost: CostRecord
    text_tokens: Tokens
    token_strings: Annotated[list[Text], Field(max_length=MAX_TOKENS)]
    text_prefix: Count
    text_positions: Tokens
    image_tokens: Annotated[list[Count], Field(min_length=1, max_length=MAX_TOKENS)]
    image_positions: Tokens
    gradient_norm: Norms
    update_norm: Norms
    latents: Annotated[dict[Literal["text", "image"], LatentsRecord], Field(max_length=2)] = {}
    memory: dict[Name, Any] = {}
    kept: Count | None = None
    image: str
    state: str
    observed: Annotated[dict[Name, ObservedRecord], Field(max_length=MAX_PARTS)] = {}
    probabilities: ProbabilitiesRecord | None = None

    @field_validator("settings")
    @classmethod
    def allowed(cls, settings: dict[str, Any]) -> dict[str, Any]:
        return settings_from(settings).as_dict()

    @model_validator(mode="after")
    def fits_together(self) -> "StepRecord":
        words, cells = len(self.text_tokens), len(self.image_tokens)
        if (self.image, self.state) != (image_name(self.index), state_name(self.index)):
            raise ValueError("it names files that a run bundle does not hold")
        if self.best > self.index or (self.kept is not None and self.kept >= self.index):
            raise ValueError("it does not fit the steps before it")
        if len(self.token_strings) != words or self.text_prefix > words:
            raise ValueError("the text has another number of tokens than it says")
        if any(at >= cells for at in self.image_positions):
            raise ValueError("an image position lies outside the image")
        if any(at >= words for at in self.text_positions):
            raise ValueError("an optimised token lies beyond the text")
        if set(self.update_norm) != set(self.gradient_norm):
            raise ValueError("gradients and updates are not of the same latents")
        p = self.probabilities
        if p and [len(values) for values in dict(p).values()] != [words] * 3 + [cells] * 3:
            raise ValueError("there is not one probability for each token")
        return self

    @classmethod
    def of(cls, state: State) -> "StepRecord":
        """Raises InputError for a state that could not be read again."""
        step, score = state.step, state.drawn.score
        return checked(
            cls,
            {
                **{name: getattr(step, name) for name in cls.model_fields.keys() & vars(step).keys() - _REWRITTEN},
                "reward": step.reward,
                "parts": step.parts,
                "reason": whole_characters(step.reason),
                "raw": _plain_data(score.raw),
                "boxes": [BoxRecord.of(box) for box in score.boxes[:MAX_PARTS]],
                "settings": step.settings.as_dict(),
                "cost": asdict(step.cost),
                "latents": {kind: {"ratio": z.ratio, "rule": z.rule} for kind, z in state.latents.items()},
                "memory": dict(state.memory),
                "kept": state.kept and state.kept.index,
                "image": image_name(state.index),
                "state": state_name(state.index),
                "observed": {
                    name: {"value": seen.value, "parts": seen.parts, "reason": whole_characters(seen.reason)}
                    for name, seen in step.observed.items()
                },
                "probabilities": step.probabilities and asdict(step.probabilities),
            },
            f"Step {state.index}",
        )

    def step(self, image: Image.Image) -> Step:
        """What callers see of it, without the state behind it and without what critics measured."""
        mine = {name: getattr(self, name) for name in StepRecord.model_fields.keys() & _STEP_FIELDS - _REWRITTEN}
        return Step(
            **mine,
            image=image,
            score=Score(self.reward, self.parts, self.reason, boxes=tuple(Box(**dict(box)) for box in self.boxes)),
            settings=settings_from(self.settings),
            cost=Cost(**dict(self.cost)),
            observed={name: Score(**dict(seen)) for name, seen in self.observed.items()},
            state=None,
            probabilities=self.probabilities and Probabilities(**dict(self.probabilities)),
        )


_STEP_FIELDS = set(Step.__dataclass_fields__)
_REWRITTEN = {"image", "score", "settings", "cost", "observed", "state", "probabilities"}
"""Fields that a step and its record have in another form each."""


def image_name(index: int) -> str:
    return f"step-{index:03d}.png"


def state_name(index: int) -> str:
    return f"state-{index:03d}.safetensors"


def checked(kind: type, data: Any, where: str) -> Any:
    """A `Header` or a `StepRecord` of plain data.

    Raises:
        InputError: a field that is not what a run writes; says which.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])[:100]
        problem = f"has no valid {field}: {first['msg']}" if field else f"is damaged: {first['msg']}"
        raise InputError(f"{where} of the run {problem}.".replace("Value error, ", "")) from error
    except (OverflowError, RecursionError) as error:
        raise InputError(f"{where} of the run is damaged: {error}.") from error


def whole_characters(text: str) -> str:
    """The text without halves of characters (lone surrogates), which no file can hold."""
    return text.encode("utf-8", "replace").decode()


def _plain_data(raw: Any) -> Any:
    """Turn whatever a critic has measured into what JSON holds."""
    return json.loads(whole_characters(json.dumps(raw, ensure_ascii=False, default=str)), parse_constant=str)


def from_schema_1(step: Any, index: int) -> Any:
    """A step as it is written now, of one from a `trajectory.json`; what is no such step stays for the check."""
    if not isinstance(step, dict):
        return step
    settings, memory = step.get("settings"), step.get("tried")
    after_first = isinstance(index, int) and index > 0
    alone = not step.get("text_positions") and not step.get("text_prefix") and not step.get("image_positions")
    prefix = step.get("text_prefix")
    made: dict[str, Any] = {"text_positions": list(range(min(prefix, MAX_TOKENS))) if isinstance(prefix, int) else []}
    made |= {"method": BEST_OF_N if after_first and alone else SEARCH}  # that was how it could be told
    made |= {"memory": {"tried": memory}} if memory else {}
    if isinstance(settings, dict) and settings.get("text_update") == "coordinate" and step.get("best") != index:
        made["kept"] = step.get("best")
    return made | {k: v for k, v in step.items() if k not in ("tried", "pending")}
