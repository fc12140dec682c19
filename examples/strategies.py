"""What to move: the paper's strategies and Best-of-N, with as many images for each at most.

python -m examples.strategies "two purple cats, three yellow lemons and a green umbrella"
"""

import sys
from collections.abc import Sequence

from milr_core import SearchSettings, best_of_n, load_critic, load_model, reason

PROMPT = "two purple cats, three yellow lemons and a green umbrella"
STEPS = 6


def main(argv: Sequence[str]) -> None:
    prompt = argv[0] if argv else PROMPT
    model, critic = load_model(), load_critic("oracle")
    print(f"{'':10} {'best':>5} {'images':>7} {'tokens':>7} {'seconds':>8}")
    for name in ("joint", "text", "image", "best-of-n"):
        if name == "best-of-n":  # the first image and STEPS more, as a search makes
            steps = list(best_of_n(model, critic, prompt, STEPS + 1))
        else:
            steps = list(reason(model, critic, prompt, SearchSettings(strategy=name, steps=STEPS)))
        cost = sum((step.cost for step in steps[1:]), steps[0].cost)
        best = max(step.reward for step in steps)
        tokens = cost.text_tokens + cost.image_tokens
        print(f"{name:10} {best:5.2f} {cost.image_rollouts:7} {tokens:7} {cost.seconds:8.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
