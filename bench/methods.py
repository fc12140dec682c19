"""What is compared. A method is written NAME[knob=value,…]@CRITIC: a name of METHODS, settings it changes, and the
critic that guides it where that is not the run's own, as in `text[lr=0.1,baseline=running]@self`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from milr_core import (
    Critic,
    InputError,
    Janus,
    SearchControl,
    SearchSettings,
    State,
    Step,
    Workspace,
    best_of_n,
    plain,
    reason,
    start,
)
from milr_core.settings import KNOBS, PRESETS, check, named_preset

DRAWN_AT_ONCE = 8  # images that Best-of-N without early stop draws in one batch


@dataclass(frozen=True)
class Kind:
    """label: for tables. changes: settings that make it. draw: how Best-of-N draws, None for a search.
    guide: the critic it is meant for; None is the run's.
    """

    label: str
    changes: Mapping[str, Any] | None = None
    draw: Mapping[str, Any] | None = None
    guide: str | None = None


METHODS: dict[str, Kind] = {
    "base": Kind("Base prompt"),
    "step0": Kind("Text-enhanced reasoning (step 0)"),
    "best-of-n": Kind("Best-of-N", draw={"early_stop": False, "batch": DRAWN_AT_ONCE}),
    "best-of-n-early": Kind("Best-of-N, early stop", draw={}),
    "best-of-n-resampled": Kind("Best-of-N, early stop, text anew (T = 1)", draw={"text_temperature": 1.0}),
    "best-of-n-resampled-0.5": Kind("Best-of-N, early stop, text anew (T = 0.5)", draw={"text_temperature": 0.5}),
    "best-of-n-resampled-0.7": Kind("Best-of-N, early stop, text anew (T = 0.7)", draw={"text_temperature": 0.7}),
    "best-of-n-distinct": Kind(
        "Best-of-N, early stop, text anew without replacement (T = 0.7)",
        draw={"text_temperature": 0.7, "distinct": True},
    ),
    "orm": Kind("Best-of-N by a yes/no critic (ORM)", draw={"early_stop": False, "batch": DRAWN_AT_ONCE}, guide="self"),
    "joint": Kind("MILR, joint", {"strategy": "joint"}),
    "alt": Kind("MILR, alternating", {"strategy": "alt"}),
    "t2v": Kind("MILR, text then image", {"strategy": "t2v"}),
    "text": Kind("MILR, text only", {"strategy": "text"}),
    "image": Kind("MILR, image only", {"strategy": "image"}),
    "joint-random": Kind("MILR, joint, random image positions", {"strategy": "joint", "positions": "random"}),
    "coordinate": Kind("One text token at a time (coordinate)", PRESETS["coordinate"]),
    "mixture": Kind("Single tokens, then texts anew (mixture)", PRESETS["mixture"]),
    "image-random": Kind("MILR, image only, random positions", {"strategy": "image", "positions": "random"}),
}


@dataclass(frozen=True)
class Method:
    """name: as it is written in records, canonical. kind: a key of METHODS."""

    name: str
    kind: str
    changes: dict[str, Any]
    guide: str | None

    @property
    def label(self) -> str:
        changed = ", ".join(f"{name} {value}" for name, value in self.changes.items())
        label = METHODS[self.kind].label + (f", {changed}" if changed else "")
        by_default = METHODS[self.kind].guide
        return f"{label}, by {self.guide}" if self.guide and self.guide != by_default else label

    @property
    def searches(self) -> bool:
        return METHODS[self.kind].changes is not None

    @property
    def beside(self) -> bool:
        """Whether it is a search that is not the paper's."""
        return "text_update" in (METHODS[self.kind].changes or {}) or "text_update" in self.changes

    def settings(self, base: SearchSettings, model: Janus) -> SearchSettings:
        """The run's settings with what makes the method, then what it is written with."""
        made = {**base.as_dict(), **(METHODS[self.kind].changes or {}), **self.changes}
        return SearchSettings(**made).resolve(model.recommended)


def _value(name: str, text: str) -> Any:
    if name not in KNOBS or KNOBS[name].choices:
        return check(name, text)
    try:
        number = float(text)
    except ValueError as error:
        raise InputError(f"{name} is a number; got '{text}'.") from error
    return check(name, number)


def parse_method(text: str) -> Method:
    """A method as it is written; `preset=NAME` among its settings stands for those of the preset.

    Raises:
        InputError: no such method, setting or preset.
    """
    match = re.fullmatch(r"([\w.-]+)(?:\[([^\]]*)\])?(?:@(\S+))?", text.strip())
    if not match or match[1] not in METHODS:
        raise InputError(f"There is no method '{text}'. There are {', '.join(METHODS)}; as in text[lr=0.1]@oracle.")
    pairs = [pair.partition("=") for pair in (match[2] or "").split(",") if pair.strip()]
    given = {name.strip(): value.strip() for name, _, value in pairs}
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if name == "preset":
            own = METHODS[match[1]].changes or {}
            changes |= {knob: v for knob, v in named_preset(value).items() if knob not in own}
        elif name in ("seed", "strategy"):
            raise InputError(f"{name} is not a method's to set: seeds are the run's, strategies are methods.")
        else:
            changes[name] = _value(name, value)
    guide = match[3] or METHODS[match[1]].guide
    inside = ",".join(f"{name}={value}" for name, value in sorted(given.items()))
    name = match[1] + (f"[{inside}]" if inside else "") + (f"@{match[3]}" if match[3] else "")
    return Method(name, match[1], changes, guide)


def parse_methods(text: str) -> list[Method]:
    """Methods between commas (those in brackets belong to a method), each once."""
    parts = [part for part in re.split(r",(?![^\[]*\])", text) if part.strip()]
    methods = {method.name: method for method in map(parse_method, parts)}
    if not methods:
        raise InputError(f"Name at least one method: {', '.join(METHODS)}.")
    return list(methods.values())


class Runner:
    """Runs methods on one prompt and seed. Methods with the same guide and drawing share their step 0."""

    def __init__(
        self,
        model: Janus,
        critics: Callable[[str], Critic],
        observers: Callable[[str], Sequence[Critic]],
        workspace: Workspace | None = None,
        control: SearchControl | None = None,
    ):
        """critics: by name. observers: those that watch a search guided by a critic, by its name. workspace, control:
        of a batch that the searches are decoded in.
        """
        self.model, self.critics, self.observers = model, critics, observers
        self.workspace, self.control = workspace, control or SearchControl()
        self._first: dict[tuple, State] = {}

    def _start(self, guide: str, prompt: str, s: SearchSettings) -> State:
        key = (guide, prompt, s.seed, s.guidance, s.temperature)
        if key not in self._first:
            self._first = {k: state for k, state in self._first.items() if k[1:3] == (prompt, s.seed)}
            watching = self.observers(guide)
            self._first[key] = start(
                self.model, self.critics(guide), prompt, s, self.control.poll, self.workspace, watching
            )
        return replace(self._first[key], settings=s)

    def steps(self, method: Method, guide: str, prompt: str, base: SearchSettings) -> Iterator[Step]:
        """Every step of the method on the prompt; `base.seed` is the seed."""
        kind, s = METHODS[method.kind], method.settings(base, self.model)
        critic, watching = self.critics(guide), self.observers(guide)
        if method.kind == "base":
            yield plain(self.model, critic, prompt, s, watching, self.workspace)
            return
        first = self._start(guide, prompt, s)
        yield first.step
        if method.kind == "step0":
            return
        given = {"settings": s, "state": first, "observers": watching, "control": self.control}
        if kind.draw is None:
            yield from reason(self.model, critic, prompt, workspace=self.workspace, **given)
        else:
            yield from best_of_n(
                self.model, critic, prompt, s.steps + 1, workspace=self.workspace, **kind.draw, **given
            )
