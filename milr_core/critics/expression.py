"""The critics by name, and the one grammar in which a critic is written down.

    critic   := term ("+" term)*          self+oracle, 0.7*geneval+0.3*aesthetic
    term     := [weight "*"] name         a term without a weight weighs 1; weights are normalised
    option   := [name "."] option "=" value    value is JSON, None, or else text

Page, command line and benchmarks read critics and their options through this module alone.
"""

import inspect
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from milr_core.critics.base import Critic
from milr_core.critics.mixture import Mixture
from milr_core.errors import InputError

if TYPE_CHECKING:
    from milr_core.janus import Janus

CRITICS = {
    "oracle": "the embedded world's own judge: reads the pixels, follows GenEval's rules",
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
    "oracle": "world.oracle:Oracle",
    "self": "milr_core.critics.self_reward:SelfReward",
    "gpt-4o": "milr_core.critics.gpt4o:Gpt4o",
    "unified": "milr_core.critics.unified:Unified",
    "mixed": "milr_core.critics.mixed:Mixed",
    "geneval": "milr_core.critics.geneval:GenEval",
    "compbench": "milr_core.critics.compbench:CompBench",
    "wise": "milr_core.critics.wise:Wise",
    "aesthetic": "milr_core.critics.aesthetic:Aesthetic",
}

EXAMPLE = "0.7*oracle+0.3*self"
LONGEST = 300  # characters: some come from strangers
_TERM = re.compile(r"(?:(\d+\.?\d*|\.\d+)\s*\*\s*)?([A-Za-z][\w-]*)", re.ASCII)
_WORDS = {"None": None, "True": True, "False": False}  # as Python writes what JSON calls null, true, false


@dataclass(frozen=True)
class Term:
    """A critic in an expression. weight: as written, or 1; weights of an expression are not normalised yet."""

    name: str
    weight: float = 1.0


def critic_class(name: str) -> type[Critic]:
    """The class of a critic; its `about` says what it needs, without loading anything.

    Raises:
        InputError: there is no such critic.
    """
    module, kind = _home(name).split(":")
    return getattr(import_module(module), kind)


def _home(name: str) -> str:
    """Where a critic's class is. Raises InputError where there is no such critic."""
    if name not in _HOMES:
        raise InputError(
            f"There is no critic '{name[:80]}'. There are {', '.join(CRITICS)}, and mixtures as {EXAMPLE}."
        )
    return _HOMES[name]


def parse(text: str) -> list[Term]:
    """The terms of an expression, nothing loaded: "oracle" is [Term("oracle")].

    Raises:
        InputError: not the grammar, an unknown critic, one that is named twice, or a weight that is no number above 0.
    """
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"Name a critic: {', '.join(CRITICS)}, or a mixture as {EXAMPLE}.")
    if len(text) > LONGEST:
        raise InputError(f"A critic's name has at most {LONGEST} characters; this one has {len(text)}.")
    terms = []
    for part in text.split("+"):
        match = _TERM.fullmatch(part.strip())
        if not match:
            raise InputError(f"'{part.strip()}' is no critic or weighted critic; write a mixture as {EXAMPLE}.")
        _home(match[2])  # its class is not imported before it is asked for
        weight = float(match[1] or 1)
        if not 0 < weight < math.inf:
            raise InputError(f"A critic's weight is a number above 0; got {part.strip()}. Leave '{match[2]}' out.")
        terms.append(Term(match[2], weight))
    names = [term.name for term in terms]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"'{twice}' is named twice in '{text.strip()}': give it once, with the sum of the weights.")
    return terms


def critic_names(text: str) -> list[str]:
    """The critics that an expression names, in its order. Raises as `parse`."""
    return [term.name for term in parse(text)]


def is_single(text: str) -> bool:
    """Whether an expression is one critic itself, rather than a mixture (of one, perhaps). Raises as `parse`."""
    return text.strip() == parse(text)[0].name


def is_remote(name: str) -> bool:
    """Whether a critic asks a judge over the network, who may charge for it."""
    return critic_class(name).about.remote


def options_for(
    text: str, by_critic: Mapping[str, Mapping[str, Any]], said: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What `load_critic` takes for an expression: a single critic's options as they are, a mixture's by critic.

    by_critic: those of any critics; of critics that the expression does not name they are left out. said: as
    `read_options` gives them; they win. Raises as `parse`.
    """
    rest = dict(said or {})
    own = {
        name: {**by_critic.get(name, {}), **_by_critic(name, rest.pop(name, {}))} for name in critic_names(text)
    }  # fmt: skip
    if is_single(text):
        return own[text.strip()] | rest
    return {name: options for name, options in own.items() if options} | rest


def read_options(said: Sequence[str]) -> dict[str, Any]:
    """Options as they are written on a command line: NAME=VALUE, or CRITIC.NAME=VALUE for one critic of a mixture.

    Raises:
        InputError: one is written otherwise.
    """
    options: dict[str, Any] = {}
    for one in said:
        name, equals, value = one.partition("=")
        critic, dot, option = name.partition(".")
        if not equals or not name or (dot and not option):
            raise InputError(f"An option is written NAME=VALUE, or CRITIC.NAME=VALUE; got '{name[:80]}'.")
        if not dot:
            options[name] = _value(value)
            continue
        critic_class(critic)
        own = options.setdefault(critic, {})
        if not isinstance(own, dict):
            raise InputError(f"'{critic}' is given both as an option and as a critic that has options.")
        own[option] = _value(value)
    return options


def _value(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def load_critic(name: str, model: "Janus | None" = None, **options: Any) -> Critic:
    """A critic by name, or a mixture such as "0.7*oracle+0.3*self" or "self+oracle". Weights are loaded when first
    needed.

    options: the critic's own, as `critic_class(name).about.options` lists them; for a mixture, a dictionary of options
    by critic: load_critic("0.5*geneval+0.5*gpt-4o", **{"gpt-4o": {"judge": "gpt-6-luna"}}).

    Raises:
        InputError: unknown critic or option, malformed mixture, "self" without a model, a judge without a key.
    """
    by_critic = {single: _by_critic(single, options.pop(single, {})) for single in critic_names(name)}
    if is_single(name):  # its options may come by critic, too
        return _single(name.strip(), model, options | by_critic[name.strip()])
    if options:
        raise InputError(f"Options of a mixture are given by critic; there is none called {', '.join(options)} in it.")
    return made_of(name, lambda single: _single(single, model, by_critic[single]))


def made_of(text: str, single: Callable[[str], Critic]) -> Critic:
    """The critic that an expression names, or the mixture of those; `single` gives each by its name. Raises as
    `parse`.
    """
    if is_single(text):
        return single(text.strip())
    return Mixture([(term.weight, single(term.name)) for term in parse(text)])


def _by_critic(name: str, options: Any) -> dict[str, Any]:
    if not isinstance(options, Mapping):
        raise InputError(f"The options of '{name}' are a dictionary.")
    return dict(options)


def _single(name: str, model: "Janus | None", options: dict[str, Any]) -> Critic:
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
