"""Every knob of the search, once: default, range, unit, meaning. Sliders, flags and validation all read `KNOBS`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from milr_core.errors import InputError

STRATEGIES = ("joint", "alt", "t2v", "text", "image")
POSITIONS = ("prefix", "random")
BASELINES = ("one", "zero", "running")
LOG_PROBABILITY = ("decoded", "argmax")
TEXT_UPDATES = ("adam", "coordinate", "mixture")


@dataclass(frozen=True)
class Knob:
    """One setting. `live`: may change between the steps of a running search. `low` is excluded if `above_low`."""

    label: str
    help: str
    kind: type
    choices: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    above_low: bool = False
    step: float | None = None
    live: bool = True

    @property
    def range(self) -> str:
        """Write a number's range as an interval: "(0, 10]"."""
        form = "d" if self.kind is int else "g"
        return f"{'(' if self.above_low else '['}{self.low:{form}}, {self.high:{form}}]"


KNOBS: dict[str, Knob] = {
    "strategy": Knob(
        "Strategy",
        "Which latents a step moves: both (joint), text and image in turn (alt), text in the first half then image "
        "(t2v), or one alone (paper, Algorithm 2).",
        str,
        STRATEGIES,
    ),
    "text_ratio": Knob(
        "λt, text", "Share of the reasoning tokens whose latents are optimised.", float, (), 0, 1, True, 0.01
    ),
    "image_ratio": Knob(
        "λv, image", "Share of the image tokens whose latents are optimised.", float, (), 0, 1, True, 0.01
    ),
    "lr": Knob("Learning rate", "Adam's learning rate on the latents.", float, (), 0, 10, True, 0.01),
    "steps": Knob("Steps K", "REINFORCE steps at most, after step 0.", int, (), 0, 1000, False, 1),
    "threshold": Knob("Threshold τ", "The search stops at a score above this.", float, (), 0, 1, False, 0.01),
    "guidance": Knob("Guidance w", "Classifier-free guidance weight; 1 is none.", float, (), 0, 50, False, 0.5),
    "temperature": Knob("Temperature", "Of sampling image tokens; 0 is greedy.", float, (), 0, 10, False, 0.05),
    "baseline": Knob(
        "Baseline b",
        "What the score is compared with: one pushes away from whatever is not perfect, zero reinforces, "
        "running is the mean score of the run so far.",
        str,
        BASELINES,
    ),
    "positions": Knob(
        "Image positions",
        "The first image tokens, or a random choice.",
        str,
        POSITIONS,
    ),
    "text_positions": Knob(
        "Text positions",
        "The first text tokens, or a random choice; tokens between them stay as they are.",
        str,
        POSITIONS,
    ),
    "text_update": Knob(
        "Text moves",
        "All optimised latents a little, by Adam (the paper); or one at a time, along its gradient until its token "
        "changes, from the best text so far (coordinate), texts sampled anew where that is in vain (mixture).",
        str,
        TEXT_UPDATES,
        live=False,
    ),
    "log_probability": Knob(
        "Log-probability of",
        "The image tokens that were decoded (the paper), or the most likely ones (the authors' code).",
        str,
        LOG_PROBABILITY,
    ),
    "seed": Knob("Seed", "Same seed, same machine: same run.", int, (), 0, 2**53 - 1, False, 1, live=False),
}


def size(ratio: float, total: int) -> int:
    """How many of `total` tokens a ratio takes: max(1, floor(ratio * total)), at most total (paper, section 3.2)."""
    # The small term keeps 0.3 * 10 from being 2.9999999999999996.
    return min(total, max(1, math.floor(ratio * total + 1e-9)))


AS_MODEL: Any = None
"""A setting that is the model's to recommend. Types speak of settings that are resolved, as a search has them."""


@dataclass(frozen=True)
class SearchSettings:
    """Settings of a search; the paper's defaults. None means what the model recommends (`resolve`).

    Raises:
        InputError: at construction, for a value of the wrong type or outside its range.
    """

    strategy: str = AS_MODEL
    text_ratio: float = AS_MODEL
    image_ratio: float = AS_MODEL
    lr: float = AS_MODEL
    steps: int = 16
    threshold: float = 0.9
    guidance: float = AS_MODEL
    temperature: float = 1.0
    baseline: str = "one"
    positions: str = "prefix"
    text_positions: str = "prefix"
    text_update: str = "adam"
    log_probability: str = "decoded"
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.default is None:
                continue
            object.__setattr__(self, field.name, check(field.name, value))

    def resolve(self, recommended: Mapping[str, Any]) -> "SearchSettings":
        """Fill every None from the model's recommendation, or the paper's value where it has none."""
        missing = [f.name for f in fields(self) if getattr(self, f.name) is None]
        return replace(self, **{name: {**PAPER, **recommended}[name] for name in missing})

    def as_dict(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


PAPER: dict[str, Any] = {"strategy": "joint", "text_ratio": 0.2, "image_ratio": 0.02, "lr": 0.03, "guidance": 5.0}
"""Recommended for Janus-Pro (paper, section 4.1 and 4.3)."""

_NOT_METHOD = {"steps", "threshold", "guidance", "temperature", "seed"}  # of the budget, of drawing, of chance

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        field.name: PAPER.get(field.name, field.default)
        for field in fields(SearchSettings)
        if field.name not in _NOT_METHOD
    },
    "authors": {"strategy": "joint", "text_ratio": 0.1, "image_ratio": 0.01, "lr": 0.01, "log_probability": "argmax"},
    **{name: {"strategy": "text", "text_ratio": 1.0, "text_update": name} for name in TEXT_UPDATES if name != "adam"},
}
"""Named ways to search, whatever the model recommends; what a preset leaves out, the model recommends."""


def named_preset(name: str) -> dict[str, Any]:
    """What a preset sets.

    Raises:
        InputError: no such preset.
    """
    if name not in PRESETS:
        raise InputError(f"There is no preset '{name}'. There is {', '.join(PRESETS)}.")
    return PRESETS[name]


def preset(name: str, **changes: Any) -> SearchSettings:
    """The settings of a preset, with changes.

    Raises:
        InputError: no such preset, or changes that are no settings.
    """
    return settings_from({**named_preset(name), **changes})


def recommended_settings(recommended: Mapping[str, Any]) -> SearchSettings:
    """All that a model recommends, its choices beside the paper's included; what it says nothing of is the paper's."""
    return settings_from(recommended).resolve(recommended)


def _finite(value: int | float) -> bool:
    return abs(value) < math.inf  # also of an integer that no float holds


def _got(value: Any) -> str:
    try:
        return "nothing" if value is None else repr(value)[:40]
    except ValueError:  # Python writes no more than 4300
        return "a number of thousands of digits"


def check(name: str, value: Any) -> Any:
    """`value` as the knob's type, or InputError saying what is allowed."""
    if name not in KNOBS:
        raise InputError(f"There is no setting '{name}'. The settings are {', '.join(KNOBS)}.")
    knob = KNOBS[name]
    if knob.choices:
        if value not in knob.choices:
            raise InputError(f"{name} is one of {', '.join(knob.choices)}; got {_got(value)}.")
        return value
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not _finite(value) or (knob.kind is int and value != int(value)):
        raise InputError(f"{name} is {'a whole' if knob.kind is int else 'a finite'} number; got {_got(value)}.")
    if value < knob.low or value > knob.high or (knob.above_low and value == knob.low):
        raise InputError(f"{name} lies in {knob.range}; got {_got(value)}.")
    return knob.kind(value)


RETIRED: dict[str, Any] = {
    "batch": 1,
    "text_sampling": "argmax",
    "text_rest": "argmax",
    "entropy_bonus": 0.0,
    "trust": 0.0,
    "lr_unit": "absolute",
    "noise": "fresh",
    "restart": 0,
}
"""Settings of earlier versions, which runs on disk record, and the only value that still has a meaning."""


def settings_from(values: Mapping[str, Any]) -> SearchSettings:
    """Settings from names and values (a file, a request).

    Raises:
        InputError: an unknown name, a value that is not allowed, or a retired setting that was not at its default.
    """
    for name, value in values.items():
        if name in RETIRED and value != RETIRED[name]:
            raise InputError(
                f"The setting {name} (here {_got(value)}) was retired: it did not pay, and this version cannot go on "
                "with it. Use version 0.2 for such a run."
            )
        if name not in KNOBS and name not in RETIRED:
            check(name, None)
    return SearchSettings(**{name: value for name, value in values.items() if name in KNOBS})
