"""Chooses the examples that the page offers to press: python -m examples.chips [FILE].

Each is a prompt and a seed with which the embedded model, under the settings that it recommends, is wrong at first and
gets it right within a few steps, with nothing in the picture that nobody asked for. Of every kind the first prompt and
seed that does so is taken; where none does, the kind is left out, and the script says so. The first of them is also
recorded, as the run that the page opens with.
"""

import json
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path

from milr_core import Janus, State, Step, Trajectory, load_critic, load_model, reason
from milr_core.critics import Critic
from milr_core.probabilities import inspected
from milr_core.settings import recommended_settings
from world.sampling import random_prompt

CHIPS = Path(__file__).resolve().parents[1] / "ui" / "chips.json"
OPENING = "opening.zip"
"""Beside it: the run that the page opens with."""

MODEL, CRITIC = "janus-icons", "oracle"

SEEDS = range(6)
MOST_STEPS = 8
"""Of a search that is worth waiting for, at a step a second."""

DRAWN_BY_LOT = 16
"""Prompts of a kind that are tried where none of those below does."""

KINDS = {
    "position": (
        "a red dog left of a blue car",
        "three blue cups left of a red book",
        "a green bird right of a purple umbrella",
        "two cats above a yellow couch",
    ),
    "many": (
        "three yellow watermelons left of a black crown, an orange wine glass and a purple duck",
        "two red apples, a blue cup and three bananas",
        "three green frogs, two red mushrooms and a snail",
        "a cat, two dogs and a yellow bird",
        "four penguins and three orange fish",
    ),
    "knowledge": (
        "as many globes as halves of the earth",
        "the golden sweet that bees make in white",
        "the mountain that is a symbol of japan and two red bicycles",
        "what a king wears on his head and a black cat",
        "the fruit with its seeds outside and the animal with a trunk",
        "as many butterflies as wings on a butterfly and a red rose",
        "the animal that alice followed and three carrots",
    ),
    "counting": ("four white oranges", "four clocks", "four green keys", "three purple zebras", "four black guitars"),
    "color_attr": (
        "two white castles and two yellow benches",
        "a purple banana and a green horse",
        "three blue apples and a pink bus",
        "two black strawberries and two white foxes",
    ),
}
"""By the world's name of a category, prompts that read well. The first kind is the one that the page opens with."""


@dataclass(frozen=True)
class Chip:
    """kind: what it is an example of. steps: until it is right. first: the score of step 0."""

    kind: str
    prompt: str
    seed: int
    steps: int
    first: float


def read(file: Path = CHIPS) -> tuple[Chip, ...]:
    """The chips that were chosen last."""
    return tuple(Chip(**chip) for chip in json.loads(file.read_text(encoding="utf-8")))


def attempt(model: Janus, critic: Critic, prompt: str, seed: int) -> list[Step]:
    """The steps of a search that gets better as a chip has to; none of any other."""
    steps: list[Step] = []
    settings = recommended_settings(dict(model.recommended) | {"seed": seed})
    for step in reason(model, critic, prompt, settings):
        if step.index > MOST_STEPS or steps == [] and step.reward > settings.threshold:
            return []
        steps.append(step)
    right = steps[-1].reward == 1.0 and steps[-1].score.raw["strict_correct"]
    return steps if right and steps[-1].text != steps[0].text else []


def found(model: Janus, critic: Critic) -> Iterator[tuple[Chip, list[Step]]]:
    """A chip of each kind, with its steps."""
    for kind, written in KINDS.items():
        rng = random.Random(0)
        lot = (replace(random_prompt(kind, "test", rng), lead="").text() for _ in range(DRAWN_BY_LOT))
        prompts = chain(written, lot)
        tried = ((prompt, seed, attempt(model, critic, prompt, seed)) for prompt in prompts for seed in SEEDS)
        prompt, seed, steps = next(((p, s, steps) for p, s, steps in tried if steps), ("", 0, []))
        if not steps:
            sys.stderr.write(f"No search of the kind '{kind}' gets better as it has to: left out.\n")
            continue
        chip = Chip(kind, prompt, seed, steps[-1].index, round(steps[0].reward, 2))
        sys.stderr.write(f"{chip.kind}: “{chip.prompt}”, seed {seed}: {chip.first} → 1.0 in {chip.steps} steps\n")
        yield chip, steps


def record(model: Janus, states: Sequence[State], file: Path) -> None:
    """Write the run of a chip as a bundle, without latents."""
    with tempfile.TemporaryDirectory() as temporary:
        bundle = Trajectory.create(Path(temporary) / "run", model, CRITIC, states[0].prompt)
        for state in states:
            bundle.append(inspected(model, state))
        bundle.to_zip(file, states=False)


def main(argv: Sequence[str]) -> None:
    file = Path(argv[0]) if argv else CHIPS
    model = load_model(MODEL, device="cpu")
    chips = []
    for chip, steps in found(model, load_critic(CRITIC, model=model)):
        if not chips:
            record(model, [step.state for step in steps if step.state], file.with_name(OPENING))
        chips.append(asdict(chip))
    file.write_text(json.dumps(chips, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
