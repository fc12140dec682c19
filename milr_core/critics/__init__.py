"""Critics by name."""

import inspect
import re
from importlib import import_module
from typing import Any

from milr_core.critics.base import About, Critic, Mixture, Score, Usage, Weights
from milr_core.errors import InputError
from milr_core.janus import Janus

CRITICS = {
    "oracle": "the world of shapes' own judge: reads the pixels, follows GenEval's rules",
    "self": "the model judges its own image: its probability of 'yes'",
    "gpt-4o": "GPT-4o or any model behind an OpenAI-compatible endpoint: alignment from 0 to 10",
    "unified": "UnifiedReward, a vision-language model trained to mark images: alignment and quality",
    "mixed": "boxes (GroundingDINO), questions (GIT) and looks, weighted",
    "geneval": "GenEval's rules over a detector: objects, numbers, colors, places; right or wrong",
    "compbench": "T2I-CompBench: attributes (BLIP-VQA), places (boxes), actions (CLIPScore)",
    "wise": "WISE: world knowledge, by a judge behind an OpenAI-compatible endpoint",
    "aesthetic": "how good the image looks, whatever the prompt",
}

# Found when asked for: the oracle belongs to the embedded model's world, which the engine does not import, and the
# others bring libraries that a search without them has no need to wait for.
_HOMES = {
    "oracle": "shapes.oracle:Oracle",
    "self": "milr_core.critics.self_reward:SelfReward",
    "gpt-4o": "milr_core.critics.gpt4o:Gpt4o",
    "unified": "milr_core.critics.unified:Unified",
    "mixed": "milr_core.critics.mixed:Mixed",
    "geneval": "milr_core.critics.geneval:GenEval",
    "compbench": "milr_core.critics.compbench:CompBench",
    "wise": "milr_core.critics.wise:Wise",
    "aesthetic": "milr_core.critics.aesthetic:Aesthetic",
}


def critic_class(name: str) -> type[Critic]:
    """The class of a critic; its `about` says what it needs, without loading anything.

    Raises:
        InputError: there is no such critic.
    """
    if name not in _HOMES:
        raise InputError(
            f"There is no critic '{name}'. There are {', '.join(CRITICS)}, and mixtures as 0.7*oracle+0.3*self."
        )
    module, kind = _HOMES[name].split(":")
    return getattr(import_module(module), kind)


def _single(name: str, model: Janus | None, options: dict[str, Any]) -> Critic:
    kind = critic_class(name)
    if name == "self":
        if model is None:
            raise InputError("The critic 'self' is the model itself: load_critic('self', model=model).")
        options = {"model": model} | options
    known = set(inspect.signature(kind).parameters) - {"model", "options"} | {
        option for said in kind.about.options for option in said.split(", ")
    }
    for option in options.keys() - {"model"}:
        if option not in known:
            raise InputError(
                f"The critic '{name}' has no option '{option}'. Its options: {', '.join(sorted(known)) or 'none'}."
            )
    return kind(**options)


def critic_weights(name: str) -> list[tuple[str, float]]:
    """The critics in a name or a mixture and their weights, nothing loaded: "oracle" is [("oracle", 1.0)].

    Raises:
        InputError: unknown critic, malformed mixture.
    """
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"Name a critic: {', '.join(CRITICS)}, or a mixture as 0.7*oracle+0.3*self.")
    terms = [term.strip() for term in name.split("+")]
    if len(terms) == 1 and "*" not in terms[0]:
        critic_class(terms[0])
        return [(terms[0], 1.0)]
    weights = []
    for term in terms:
        match = re.fullmatch(r"(\d*\.?\d+)\s*\*\s*([\w-]+)", term)
        if not match:
            raise InputError(f"'{term}' is no weighted critic; write a mixture as 0.7*oracle+0.3*self.")
        critic_class(match[2])
        weights.append((match[2], float(match[1])))
    return weights


def load_critic(name: str, model: Janus | None = None, **options: Any) -> Critic:
    """A critic by name, or a weighted mixture such as "0.7*oracle+0.3*self". Weights are loaded when first needed.

    options: the critic's own, as `critic_class(name).about.options` lists them; for a mixture, a dictionary of options
    by critic: load_critic("0.5*geneval+0.5*gpt-4o", **{"gpt-4o": {"judge": "gpt-4o-mini"}}).

    Raises:
        InputError: unknown critic or option, malformed mixture, "self" without a model, a judge without a key.
    """
    weights = critic_weights(name)
    if "*" not in name:
        return _single(name.strip(), model, options)
    weighted = []
    for single, weight in weights:
        own = options.pop(single, {})
        if not isinstance(own, dict):
            raise InputError(f"The options of '{single}' in a mixture are a dictionary.")
        weighted.append((weight, _single(single, model, own)))
    if options:
        raise InputError(f"Options of a mixture are given by critic; there is none called {', '.join(options)} in it.")
    return Mixture(weighted)


__all__ = [
    "CRITICS",
    "About",
    "Critic",
    "Mixture",
    "Score",
    "Usage",
    "Weights",
    "critic_class",
    "critic_weights",
    "load_critic",
]
