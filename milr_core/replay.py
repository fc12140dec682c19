"""The steps of a run bundle, to look at without a model: every field is checked, nothing in a bundle is trusted."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from milr_core.critics.base import Score
from milr_core.errors import CriticError, InputError
from milr_core.settings import settings_from
from milr_core.steps import Cost, Probabilities, Step
from milr_core.trajectory import Trajectory

MAX_STEPS = 1001
MAX_TEXT = 20_000
MAX_PARTS = 100
"""Of a score; and of the critics that watch."""

Unit = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Token = Annotated[int, Field(ge=0, strict=True)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Name = Annotated[str, Field(max_length=200)]
Parts = Annotated[dict[Name, Unit], Field(max_length=MAX_PARTS)]


class _Observed(BaseModel):
    value: Unit
    parts: Parts
    reason: Text


class _Probabilities(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: list[Unit]
    text_own: list[Unit]
    text_entropy: list[Unit]
    image: list[Unit]
    image_own: list[Unit]
    image_entropy: list[Unit]


class _Record(BaseModel):
    """What a step needs of its record; sizes have to agree."""

    index: Token
    text: Text
    reward: Unit
    parts: Parts
    reason: Text
    best: Token
    settings: dict[str, Any]
    cost: dict[str, Finite]
    text_tokens: list[Token]
    token_strings: list[Text]
    text_prefix: Token
    text_positions: list[Token] | None = None
    image_tokens: Annotated[list[Token], Field(min_length=1)]
    image_positions: list[Token]
    gradient_norm: dict[Text, Finite]
    update_norm: dict[Text, Finite]
    observed: Annotated[dict[Name, _Observed], Field(max_length=MAX_PARTS)] = {}
    probabilities: _Probabilities | None = None

    @model_validator(mode="after")
    def sizes_agree(self) -> "_Record":
        words, cells = len(self.text_tokens), len(self.image_tokens)
        if len(self.token_strings) != words or self.text_prefix > words:
            raise ValueError("the text has another number of tokens than it says")
        if any(at >= cells for at in self.image_positions):
            raise ValueError("an image position lies outside the image")
        if any(at >= words for at in self.text_positions or ()):
            raise ValueError("an optimised token lies beyond the text")
        if set(self.update_norm) != set(self.gradient_norm):
            raise ValueError("gradients and updates are not of the same latents")
        p = self.probabilities
        if p and [len(values) for values in dict(p).values()] != [words] * 3 + [cells] * 3:
            raise ValueError("there is not one probability for each token")
        return self


def _step(run: Trajectory, index: int, cells: int | None) -> Step:
    record = _Record.model_validate(run.records[index])
    if record.best > index or (cells is not None and len(record.image_tokens) != cells):
        raise InputError(f"Step {index} of the run bundle does not fit the steps before it.")
    plain = {name: getattr(record, name) for name in ("text_tokens", "token_strings", "text_prefix", "image_tokens")}
    return Step(
        index=index,
        text=record.text,
        image=run.image(index),
        score=Score(record.reward, record.parts, record.reason),
        best=record.best,
        settings=settings_from(record.settings),
        cost=Cost(**run.records[index]["cost"]),  # as it is: checking made floats of its counts
        text_positions=list(range(record.text_prefix)) if record.text_positions is None else record.text_positions,
        image_positions=record.image_positions,
        gradient_norm=record.gradient_norm,
        update_norm=record.update_norm,
        observed={name: Score(o.value, o.parts, o.reason) for name, o in record.observed.items()},
        state=None,
        probabilities=record.probabilities and Probabilities(**record.probabilities.model_dump()),
        **plain,
    )


def replay(run: Trajectory) -> list[Step]:
    """The steps of a bundle, without the states behind them.

    Raises:
        InputError: no steps or too many, or any field that is not what a run writes.
    """
    if not 0 < len(run) <= MAX_STEPS:
        raise InputError(f"The run bundle has {len(run)} steps; there is something to see in 1 to {MAX_STEPS}.")
    if len(run.prompt) > MAX_TEXT:
        raise InputError("The prompt of the run bundle is longer than any model takes.")
    steps: list[Step] = []
    for index in range(len(run)):
        try:
            steps.append(_step(run, index, len(steps[0].image_tokens) if steps else None))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "record"
            raise InputError(f"Step {index} of the run bundle has no valid {where}: {first['msg']}.") from error
        except (TypeError, CriticError) as error:
            raise InputError(f"Step {index} of the run bundle is damaged: {error}.") from error
    return steps
