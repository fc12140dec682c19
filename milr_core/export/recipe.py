"""A run's settings as JSON, as a command line, as Python, and as a link that restores them."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode

from milr_core import InputError, SearchSettings
from milr_core.settings import KNOBS, check
from milr_core.state import BEST_OF_N, BY_HAND, SEARCH

PLAIN = ("prompt", "critic", "observer")

DRAWN_WITH = ("seed", "guidance", "temperature")
"""Settings that step 0 depends on: by any other it is the same."""

UNREPEATED = (
    "# Words of this run's plan were changed by hand, which nothing repeats: its bundle goes on from any step.\n"
)


class Told(Protocol):
    """What is asked of a step here: a `Step`, or as much of one as is at hand."""

    @property
    def index(self) -> int: ...
    @property
    def reward(self) -> float: ...
    @property
    def settings(self) -> SearchSettings: ...
    @property
    def method(self) -> str: ...


@dataclass(frozen=True)
class Part:
    """Steps up to `last` that were made alike: under the same settings, and by the search or by Best-of-N."""

    last: int
    settings: SearchSettings
    method: str = SEARCH

    @property
    def call(self) -> str:
        return "reason" if self.method == SEARCH else "best_of_n"


@dataclass(frozen=True)
class Recipe:
    """What makes a run again. options: of the critic and the observers, by name, as `load_critic` takes them."""

    prompt: str
    model: str
    critic: str
    steps: Sequence[Told]
    observers: Sequence[str] = ()
    options: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def stopped(self) -> bool:
        """Whether it ended before its settings would have ended it."""
        last = self.steps[-1]
        return last.index < last.settings.steps and last.reward <= last.settings.threshold

    @property
    def by_hand(self) -> bool:
        return any(step.method == BY_HAND for step in self.steps)

    @property
    def parts(self) -> list[Part]:
        """Return at least one part; step 0 counts to the part that follows where that would have drawn the same."""
        first, *rest = self.steps
        made: list[Part] = []
        for step in rest:
            part = Part(step.index, step.settings, step.method)
            if made and replace(made[-1], last=step.index) == part:
                made.pop()
            made.append(part)
        if made and all(getattr(first.settings, name) == getattr(made[0].settings, name) for name in DRAWN_WITH):
            return made
        return [Part(0, first.settings), *made]


def changed_settings(before: Part, after: Part) -> dict[str, Any]:
    """The settings of `after` that `before` has otherwise."""
    old, new = before.settings.as_dict(), after.settings.as_dict()
    return {name: new[name] for name in old if old[name] != new[name]}


def as_json(recipe: Recipe) -> str:
    """Prompt, model, critics, and the settings that the run began with; under "changes", from which step on what was
    another."""
    parts = recipe.parts
    about: dict[str, Any] = {"prompt": recipe.prompt, "model": recipe.model, "critic": recipe.critic}
    if recipe.observers:
        about["observers"] = list(recipe.observers)
    if recipe.options:
        about["critic_options"] = dict(recipe.options)
    about |= {"method": parts[0].method, "settings": parts[0].settings.as_dict()}
    if recipe.stopped:
        about["stopped_at"] = recipe.steps[-1].index
    changes = [
        {"step": before.last + 1, **changed_settings(before, after)}
        | ({"method": after.method} if after.method != before.method else {})
        for before, after in pairwise(parts)
    ]
    return json.dumps(about | ({"changes": changes} if changes else {}), indent=2, ensure_ascii=False)


def as_command(recipe: Recipe) -> str:
    """Write the search as a command for a shell.

    A command has one set of settings: the ones that the run began with.
    """
    if recipe.by_hand:
        return UNREPEATED
    began, *more = recipe.parts
    if began.method == BEST_OF_N:
        return "# Best-of-N has no command of its own: the Python beside this draws the same images.\n"
    words = ["python", "-m", "milr_core", "reason", recipe.prompt, "--model", recipe.model, "--critic", recipe.critic]
    for name, value in recipe.options.get(recipe.critic, {}).items():
        words += ["--option", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    for name in recipe.observers:
        words += ["--observer", name]
    for name, value in began.settings.as_dict().items():
        words += ["--" + name.replace("_", "-"), str(value)]
    stop = f"# The run was stopped at step {recipe.steps[-1].index}; this makes all.\n" if recipe.stopped else ""
    note = "# The settings were changed during this run; the Python beside this repeats the changes.\n" if more else ""
    return stop + note + " ".join(shlex.quote(word) for word in [*words, "--out", "RUN"])


def as_python(recipe: Recipe) -> str:
    """A script that gives the same run on the same machine, changes of settings included."""
    if recipe.by_hand:
        return UNREPEATED
    parts = recipe.parts
    calls = {part.call for part in parts}
    lines = ["# Where MILR Studio is installed (pip install .), or in its folder.", ""]
    lines += ["from dataclasses import replace", ""] if len(parts) > 1 else []
    lines += [
        f"from milr_core import {', '.join(['SearchSettings', *sorted(calls | {'load_critic', 'load_model'})])}",
        "",
        f"model = load_model({recipe.model!r})",
        f"critic = {_loaded(recipe, recipe.critic)}",
    ]
    given, watching = f"model, critic, {recipe.prompt!r}", ""
    if recipe.observers:
        lines += [f"observers = [{', '.join(_loaded(recipe, name) for name in recipe.observers)}]"]
        watching = ", observers=observers"
    before = None
    for part in parts:
        values = part.settings.as_dict() if before is None else changed_settings(before, part)
        said = ", ".join(f"{name}={value!r}" for name, value in values.items())
        if said:
            lines += [
                f"settings = SearchSettings({said})" if before is None else f"settings = replace(settings, {said})"
            ]
        number = f", {(part.settings.steps if part is parts[-1] else part.last) + 1}"
        call = f"{part.call}({given}{number if part.method == BEST_OF_N else ''}"
        state = "" if before is None else ", state=step.state"
        lines += [
            f"for step in {call}, settings=settings{watching}{state}):",
            '    step.image.save(f"step-{step.index}.png")',
            "    print(step.index, step.reward, step.text)",
        ]
        if part is not parts[-1] or recipe.stopped:
            lines += [f"    if step.index == {part.last}:", "        break"]
        before = part
    return "\n".join(lines) + "\n"


def _loaded(recipe: Recipe, name: str) -> str:
    options = recipe.options.get(name)
    return f"load_critic({name!r}, model=model{f', **{options!r}' if options else ''})"


def query(prompt: str, critic: str, observer: str, settings: dict[str, Any]) -> str:
    """The part of a link behind the question mark."""
    return urlencode({"prompt": prompt, "critic": critic, "observer": observer, **settings})


def from_query(text: str) -> dict[str, Any]:
    """Prompt, critic, observer and settings out of a link; what it does not name is left out.

    Raises:
        InputError: a setting outside its range. Names that are not ours are passed over.
    """
    found: dict[str, Any] = {}
    for name, value in parse_qsl(text[:4000]):
        if name in PLAIN:
            found[name] = value
        elif name in KNOBS:
            found[name] = setting(name, value)
    return found


def setting(name: str, value: Any) -> Any:
    """A setting as a link or an agent gives it: a number may be a text.

    Raises:
        InputError: it is none that is allowed.
    """
    knob = KNOBS[name]
    try:
        if isinstance(value, str) and not knob.choices:
            value = int(value) if knob.kind is int else float(value)
        return check(name, value)
    except OverflowError:
        raise InputError(f"{name} lies in {knob.range}; got a number of hundreds of digits.") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name} is given as {str(value)[:40]!r}, which is no number.") from None
