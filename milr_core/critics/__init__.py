"""Critics by name."""

import re
from importlib import import_module

from milr_core.critics.base import Critic, Mixture, Score
from milr_core.critics.self_reward import SelfReward
from milr_core.errors import InputError
from milr_core.janus import Janus

# The oracle belongs to the embedded model's world, which the engine does not import: it is found when asked for.
CRITICS = {
    "oracle": "the world of shapes' own judge: reads the pixels, follows GenEval's rules",
    "self": "the model judges its own image: its probability of 'yes'",
}


def _single(name: str, model: Janus | None) -> Critic:
    if name == "oracle":
        return import_module("shapes.oracle").Oracle()
    if name == "self":
        if model is None:
            raise InputError("The critic 'self' is the model itself: load_critic('self', model=model).")
        return SelfReward(model)
    raise InputError(
        f"There is no critic '{name}'. There are {', '.join(CRITICS)}, and mixtures as 0.7*oracle+0.3*self."
    )


def load_critic(name: str, model: Janus | None = None) -> Critic:
    """A critic by name, or a weighted mixture such as "0.7*oracle+0.3*self".

    Raises:
        InputError: unknown critic, malformed mixture, or "self" without a model.
    """
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"Name a critic: {', '.join(CRITICS)}, or a mixture as 0.7*oracle+0.3*self.")
    terms = [term.strip() for term in name.split("+")]
    if len(terms) == 1 and "*" not in terms[0]:
        return _single(terms[0], model)
    weighted = []
    for term in terms:
        match = re.fullmatch(r"(\d*\.?\d+)\s*\*\s*([\w-]+)", term)
        if not match:
            raise InputError(f"'{term}' is no weighted critic; write a mixture as 0.7*oracle+0.3*self.")
        weighted.append((float(match[1]), _single(match[2], model)))
    return Mixture(weighted)


__all__ = ["CRITICS", "Critic", "Mixture", "Score", "load_critic"]
