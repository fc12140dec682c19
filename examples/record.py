"""Records the shipped example runs with the embedded model: python -m examples.record [FOLDER].

For each thing that there is to see it tries prompts and seeds until a run shows it, and says so where none does.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from milr_core import Janus, Step, Trajectory, load_critic, load_model, reason
from milr_core.diagnostics import flags, inspected
from milr_core.settings import settings_from

PROMPTS = (
    "two red circles left of a blue square",
    "two purple crosses and three yellow circles",
    "three green triangles left of a small red square",
    "as many squares as wheels on a car above a black circle",
    "a triangle the color of grass and two crosses the color of coal",
    "three small blue circles and two large orange squares",
)
SEEDS = range(4)


def has(kind: str) -> Callable[[Sequence[Step]], bool]:
    """Whether the newest step of a run has that flag."""
    return lambda steps: any(flag.kind == kind for flag in flags(steps, len(steps) - 1))


@dataclass(frozen=True)
class Wanted:
    """A run worth showing. seen: whether its newest step shows it; the run ends `after` so many steps more."""

    file: str
    title: str
    seen: Callable[[Sequence[Step]], bool]
    settings: dict[str, Any] = field(default_factory=dict)
    critic: str = "oracle"
    observer: str = ""
    prompts: Sequence[str] = PROMPTS
    after: int = 0


WANTED = (
    Wanted(
        "improves.zip", "It gets better: low at first, then right",
        lambda steps: len(steps) >= 3 and steps[0].reward < 0.7 and steps[-1].reward > 0.9,
    ),
    Wanted(
        "early-stop.zip", "Early stop: good enough after one step",
        lambda steps: len(steps) == 2 and has("early stop")(steps), {"steps": 3},
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
        ("a photo of a small cross and a blue circle",),
    ),
    Wanted(
        "no-change.zip", "No change: a step too small to move a token",
        lambda steps: has("no change")(steps) and steps[-1].reward < 0.9,
        {"strategy": "text", "lr": 0.01, "temperature": 0.0, "threshold": 1.0, "steps": 4}, after=2,
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
        steps.append(inspected(model, step.state).step)
        if left is None and wanted.seen(steps):
            left = wanted.after
        elif left is not None:
            left -= 1
        if left == 0:
            break
    return steps if left is not None else []


def record(model: Janus, folder: Path) -> Iterator[dict[str, str]]:
    """Write what can be shown; yields an entry of the index for each."""
    for wanted in WANTED:
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
        yield {"file": wanted.file, "title": wanted.title}


def main(argv: Sequence[str]) -> None:
    folder = Path(argv[0]) if argv else Path(__file__).parent
    for old in folder.glob("*.zip"):
        old.unlink()
    index = list(record(load_model("janus-icons", device="cpu"), folder))
    (folder / "index.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
