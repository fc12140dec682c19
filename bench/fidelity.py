"""What the embedded model can do before any search: draw again what it saw, follow a plan, tell right from wrong."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import numpy as np
import torch

from bench.statistics import interval
from milr_core import Janus, SearchSettings, Workspace
from milr_core.critics.self_reward import SelfReward
from milr_core.janus.decode import FREE, keep_going
from world.detection import detect
from world.nouns import NOUNS
from world.oracle import is_right
from world.phrases import Prompt
from world.plans import random_plan
from world.prompts import parse
from world.sampling import prompt_set, random_items, random_scene, wrong_in_one_respect
from world.scene import PLACES, Item, natural_color, render
from world.tokens import TINTS

ASKED_OF = {
    "single objects": ("single_object", "colors", "counting"),
    "pairs and relations": ("two_object", "position", "color_attr"),
    "riddles": ("knowledge",),
}
"""Kinds of questions to the model's own yes/no, by the categories of their prompts."""


def _share(values: Iterable[bool]) -> dict:
    """Mean, 95% bootstrap interval and number of a list of verdicts."""
    numbered = {str(i): float(value) for i, value in enumerate(values)}
    return asdict(interval(numbered, {}, None))


def reconstructions(model: Janus, seed: int = 0) -> dict:
    """Everything in every color, nine to a scene, encoded and decoded.

    The share of things that the oracle finds again as what they are, in their color and at their place.
    """
    things = [(noun, tint) for noun in NOUNS for tint in TINTS]
    random.Random(seed).shuffle(things)
    found: dict[str, list[bool]] = {noun: [] for noun in NOUNS}
    for start in range(0, len(things), len(PLACES)):
        items = [Item(*thing, place) for thing, place in zip(things[start:], PLACES, strict=False)]
        pixels = model.processor.image_processor([render(items)], return_tensors="pt").pixel_values
        with torch.no_grad():
            tokens = model.hf.model.vqmodel.encode(pixels.to(model.device)).image_tokens.view(1, -1)
        there = {(d.noun, d.color, d.place) for d in detect(model.images_of(tokens)[0])[0]}
        for item in items:
            found[item.noun].append((item.noun, item.color or natural_color(item.noun), item.place) in there)
    by_noun = {noun: sum(own) / len(own) for noun, own in found.items()}
    worst = min(by_noun, key=lambda noun: by_noun[noun])
    overall = _share(right for own in found.values() for right in own)
    return {"overall": overall, "worst": {"noun": worst, "mean": by_noun[worst]}, "by_noun": by_noun}


def drawings(model: Janus, prompts: Sequence[Prompt], seed: int = 0) -> dict[str, dict]:
    """Share of pictures that are right where the plan is: a right plan is given, the picture sampled as a search does.

    By the number of things, and for up to four and five to seven together.
    """
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    settings = SearchSettings().resolve(model.recommended)
    workspace, free = Workspace(model), torch.full((1, model.num_image_tokens), FREE, device=model.device)
    right: dict[int, list[bool]] = {}
    for prompt in prompts:
        plan = random_plan(random_scene(prompt, rng), prompt, rng)
        uniform = torch.rand(free.shape, generator=generator).to(model.device)
        tokens, _ = workspace.images(prompt.text(), plan, uniform, free, settings, keep_going)
        right.setdefault(prompt.total, []).append(is_right(model.images_of(tokens)[0], prompt))
    groups = {str(count): right[count] for count in sorted(right)}
    groups["1 to 4"] = [verdict for count, own in right.items() if count <= 4 for verdict in own]
    groups["5 to 7"] = [verdict for count, own in right.items() if count > 4 for verdict in own]
    return {name: _share(own) for name, own in groups.items() if own}


def area_under_curve(right: Sequence[float], wrong: Sequence[float]) -> float:
    """How often a score of a right picture is above one of a wrong picture; equal scores count half."""
    above = np.subtract.outer(np.asarray(right), np.asarray(wrong))
    return float((above > 0).mean() + (above == 0).mean() / 2)


def yes_or_no(model: Janus, prompts: Sequence[Prompt], seed: int = 0) -> dict[str, dict[str, float]]:
    """Area under the curve of the model's own yes/no over clean pictures, by what is asked.

    Wrong ones are wrong in one respect ("near misses"), or show other things ("others"); "both" is of half and half.
    """
    critic, rng = SelfReward(model), random.Random(seed)
    areas = {}
    for kind, categories in ASKED_OF.items():
        scores: dict[str, list[float]] = {"right": [], "near misses": [], "others": []}
        for prompt in (p for p in prompts if p.category in categories):
            scene = random_scene(prompt, rng)
            scenes = [scene, wrong_in_one_respect(prompt, scene, rng), random_items(prompt.total, rng)]
            shown = dict(zip(scores, scenes, strict=True))
            for name, items in shown.items():
                image = render(items)
                if is_right(image, prompt) == (name == "right"):  # other things may be right by chance
                    scores[name] += [score.value for score in critic.score([image], prompt.text())]
        right, near, others = scores.values()
        areas[kind] = {
            "near misses": area_under_curve(right, near),
            "others": area_under_curve(right, others),
            "both": area_under_curve(right, near + others),
            "prompts": len(right),
        }
    return areas


def oracle_on_clean_pictures(lines: Iterable[str], seed: int = 0) -> dict[str, float]:
    """Share of rendered scenes that the oracle accepts: right ones, and ones that are wrong in one respect."""
    rng, accepted = random.Random(seed), {"right": [], "wrong": []}
    for line in lines:
        prompt = parse(line)
        scene = random_scene(prompt, rng)
        accepted["right"].append(is_right(render(scene), prompt))
        accepted["wrong"].append(is_right(render(wrong_in_one_respect(prompt, scene, rng)), prompt))
    return {name: sum(own) / len(own) for name, own in accepted.items()}


def fidelity(model: Janus, per_category: int, lines: Sequence[str], seed: int = 0) -> dict:
    """All of the above, on the test split. lines: prompts for the oracle on clean pictures."""
    prompts = prompt_set("test", per_category, seed)
    return {
        "reconstructions": reconstructions(model, seed),
        "drawings": drawings(model, prompts, seed),
        "yes_or_no": yes_or_no(model, prompts, seed),
        "oracle": oracle_on_clean_pictures(lines, seed),
        "oracle_prompts": len(lines),
    }
