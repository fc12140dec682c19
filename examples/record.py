"""Records the shipped example runs with the embedded model: python -m examples.record [FOLDER].

For each thing that there is to see it tries prompts and seeds until a run shows it, and says so where none does. Only
what is looked for is chosen by hand, so that it can be run again on other weights; it takes some minutes at most.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from milr_core import Janus, Step, Trajectory, load_critic, load_model, reason
from milr_core.diagnostics import flags
from milr_core.probabilities import inspected
from milr_core.settings import settings_from
from world.sampling import prompt_set

SEEDS = range(3)
RIGHT, WRONG = 0.9, 0.75
"""Of a score: the oracle gives what is right 1, and what is wrong 0.8 at most."""


def held_out(*categories: str, most: int = 12) -> tuple[str, ...]:
    """Prompts of the world's test split, without "a photo of" and the like."""
    prompts = (replace(p, lead="").text() for p in prompt_set("test", most) if p.category in categories)
    return tuple(dict.fromkeys(prompts))


PROMPTS = (
    "a photo of a blue elephant above two red cars",
    "two purple cats, three yellow lemons and a green umbrella",
    "a red bird, a blue fish, a yellow cat and two green frogs",
    "three orange boats and two pink clocks",
    *held_out("many"),
)
RIDDLES = (
    "the mountain that japan is famous for above two red cars",
    "the king of all other animals left of a blue chair",
    *held_out("knowledge", most=30),
)


def has(kind: str) -> Callable[[Sequence[Step]], bool]:
    """Whether the newest step of a run has that flag."""
    return lambda steps: any(flag.kind == kind for flag in flags(steps, len(steps) - 1))


def gets_better(steps: Sequence[Step]) -> bool:
    """Whether a run that began wrong is right in the end, with nothing in the picture that nobody asked for."""
    return len(steps) >= 3 and steps[-1].reward > RIGHT and not steps[-1].score.raw["also_drew"]


def wrong(first: Step) -> bool:
    return first.reward < WRONG


@dataclass(frozen=True)
class Wanted:
    """A run worth showing. begins: whether step 0 may become one; seen: whether the newest step shows it; the run ends
    `after` so many steps more."""

    file: str
    title: str
    seen: Callable[[Sequence[Step]], bool]
    settings: dict[str, Any] = field(default_factory=dict)
    critic: str = "oracle"
    observer: str = ""
    prompts: Sequence[str] = PROMPTS
    begins: Callable[[Step], bool] = lambda first: True
    after: int = 0


WANTED = (
    Wanted("improves.zip", "It gets better: low at first, then right", gets_better, begins=wrong),
    Wanted(
        "riddle.zip", "A riddle: another thing at first, then the answer", gets_better, begins=wrong, prompts=RIDDLES
    ),
    Wanted(
        "early-stop.zip", "Early stop: good enough after one step",
        lambda steps: len(steps) == 2 and has("early stop")(steps), {"steps": 3}, begins=wrong,
        prompts=("a red dog left of a blue car", *PROMPTS),
    ),
    Wanted(
        "textual-collapse.zip", "Textual collapse: the plan turns to nonsense", has("textual collapse"),
        {"strategy": "text", "lr": 0.6, "threshold": 1.0}, after=2,
    ),
    Wanted(
        "visual-collapse.zip", "Visual collapse: the drawing falls apart", has("visual collapse"),
        {"strategy": "image", "lr": 1.0, "image_ratio": 0.5, "threshold": 1.0}, after=2,
    ),
    Wanted(
        "reward-hacking.zip", "Reward hacking: the model pleases itself, and is wrong", has("reward hacking"),
        {"strategy": "text", "lr": 0.3, "threshold": 1.0, "steps": 6}, "self", "oracle",
        (*held_out("color_attr", "position", "two_object"), *PROMPTS),
        lambda first: first.reward < RIGHT,  # where it can rise by what the flag asks for
    ),
    Wanted(
        "no-change.zip", "No change: a step too small to move a token",
        lambda steps: has("no change")(steps) and wrong(steps[-1]),
        {"strategy": "text", "lr": 0.01, "temperature": 0.0, "threshold": 1.0, "steps": 4}, begins=wrong, after=2,
    ),
)  # fmt: skip


def attempt(model: Janus, wanted: Wanted, prompt: str, seed: int) -> list[Step]:
    """The steps of a run up to what was wanted; none if it does not show it."""
    critic = load_critic(wanted.critic, model=model)
    observers = [load_critic(wanted.observer, model=model)] if wanted.observer else []
    settings = settings_from({"steps": 10, "seed": seed} | wanted.settings)
    steps: list[Step] = []
    left = None
    for step in reason(model, critic, prompt, settings, observers=observers):
        assert step.state is not None, "a search hands it on with every step"
        if not steps and not wanted.begins(step):
            break
        steps.append(inspected(model, step.state).step)
        if left is None and wanted.seen(steps):
            left = wanted.after
        elif left is not None:
            left -= 1
        if left == 0:
            break
    return steps if left is not None else []


def record(model: Janus, folder: Path, stories: Sequence[Wanted] = WANTED) -> Iterator[dict[str, str]]:
    """Write what can be shown; yields an entry of the index for each."""
    for wanted in stories:
        runs = ((prompt, attempt(model, wanted, prompt, seed)) for seed, prompt in product(SEEDS, wanted.prompts))
        prompt, steps = next((run for run in runs if run[1]), ("", []))
        if not steps:
            sys.stderr.write(f"No run shows '{wanted.title}': left out.\n")
            continue
        with tempfile.TemporaryDirectory() as temporary:
            bundle = Trajectory.create(Path(temporary) / "run", model, wanted.critic, prompt)
            for step in steps:
                bundle.append(step.state)
            bundle.to_zip(folder / wanted.file, states=False)
        sys.stderr.write(f"{wanted.file}: '{prompt}', {len(steps) - 1} steps.\n")
        yield {"file": wanted.file, "title": wanted.title}


def main(argv: Sequence[str]) -> None:
    folder = Path(argv[0]) if argv else Path(__file__).parent
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.zip"):
        old.unlink()
    index = list(record(load_model(device="cpu"), folder))
    (folder / "index.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
