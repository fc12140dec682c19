"""A search from Python: every step as it comes, a critic that only watches, and a setting changed while it runs.

python -m examples.search "a red dog left of a blue car"
"""

import sys
from collections.abc import Sequence

from milr_core import SearchControl, SearchSettings, load_critic, load_model, reason

PROMPT = "the mountain that japan is famous for above two red cars"


def main(argv: Sequence[str]) -> None:
    model = load_model()
    critic = load_critic("oracle")  # guides the search
    watching = load_critic("self", model=model)  # the model's own opinion, which the search never hears
    settings = SearchSettings(steps=6, threshold=1.0, seed=0)
    control = SearchControl()
    for step in reason(model, critic, argv[0] if argv else PROMPT, settings, control, observers=[watching]):
        text, image, reward = step
        print(f"step {step.index}: {reward:.2f} (self {step.observed['self'].value:.2f}, lr {step.settings.lr}) {text}")
        if step.index == 2:
            control.change(lr=0.3)  # in force from the next step; also from another thread
        if step.best == step.index:
            image.save("best.png")
    print(f"The best is step {step.best}, in best.png.")


if __name__ == "__main__":
    main(sys.argv[1:])
