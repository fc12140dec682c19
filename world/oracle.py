"""The oracle: judges a picture of the world by GenEval's rules, from what `world.detection` finds in its pixels."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from milr_core.critics.base import FOUND, IGNORED, MISSED, About, Box, Critic, Score
from world.detection import Detection, detect
from world.nouns import plural
from world.phrases import NUMBERS, Prompt, with_article
from world.prompts import parse
from world.scene import IMAGE_SIZE

SPECKS_ALLOWED = 200 / IMAGE_SIZE**2  # share of the image that specks may cover in all
POSITION_MARGIN = 0.1  # GenEval: of the two extents together
POSITION_COSINE = 0.5  # GenEval: of the offset, along an axis


def relations(a: Sequence[float], b: Sequence[float]) -> set[str]:
    """What box `a` (x0, y0, x1, y1) is to box `b`, by GenEval's rule: a subset of left of, right of, above, below."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = a, b
    offset = np.array([(ax0 + ax1 - bx0 - bx1) / 2, (ay0 + ay1 - by0 - by1) / 2])
    extents = np.array([ax1 - ax0 + bx1 - bx0, ay1 - ay0 + by1 - by0])
    revised = np.maximum(np.abs(offset) - POSITION_MARGIN * extents, 0) * np.sign(offset)
    if (np.abs(revised) < 1e-3 * max(1.0, extents.max())).all():
        return set()
    x, y = revised / np.linalg.norm(offset)
    said = {"left of": x < -POSITION_COSINE, "right of": x > POSITION_COSINE}
    said |= {"above": y < -POSITION_COSINE, "below": y > POSITION_COSINE}
    return {name for name, holds in said.items() if holds}


def _counted(count: int, noun: str, color: str | None = None) -> str:
    """ "a red dog", "two red dogs", "7 dogs"."""
    words = f"{color} " if color else ""
    if count == 1:
        return with_article(words + noun, noun)
    number = list(NUMBERS)[count - 1] if count <= len(NUMBERS) else str(count)
    return f"{number} {words}{plural(noun)}"


def _said(clause: dict[str, Any]) -> str:
    return _counted(clause["count"], clause["class"], clause.get("color"))


def _listed(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


@dataclass
class _Verdict:
    """What came of the clauses. parts: in [0, 1] by name. wrong: in words. asked: the things that clauses took, by the
    clause's index. misplaced: things that are not where they were asked for.
    """

    parts: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    asked: dict[Detection, int] = field(default_factory=dict)
    misplaced: set[Detection] = field(default_factory=set)

    def note(self, part: str, share: float, why: str) -> None:
        """A part that is right where its share is 1."""
        self.parts[part] = share
        if share < 1:
            self.wrong.append(why)


def _weigh(found: Sequence[Detection], specks: float, spec: dict[str, Any]) -> _Verdict:
    """Clause by clause: how many, in which color, not more, where; and that nothing is half drawn."""
    verdict, include = _Verdict(), spec["include"]

    def matching(clause: dict[str, Any]) -> list[Detection]:
        return [d for d in found if d.noun == clause["class"] and clause.get("color") in (None, d.color)]

    groups = [matching(clause) for clause in include]
    nouns = {c["class"]: sum(d["count"] for d in include if d["class"] == c["class"]) for c in include}
    for noun, count in nouns.items():
        there = sum(d.noun == noun for d in found)
        verdict.note(
            _counted(count, noun), min(there, count) / count, f"expected {_counted(count, noun)}, found {there}"
        )
    for clause, group in zip(include, groups, strict=True):
        if "color" in clause:
            share = min(len(group), clause["count"]) / clause["count"]
            verdict.note(_said(clause), share, f"expected {_said(clause)}, found {len(group)}")
    for clause in spec.get("exclude", []):
        there = len(matching(clause))
        what = f"fewer than {_said(clause)}"
        verdict.note(what, float(there < clause["count"]), f"expected {what}, found {there}")
    for clause, group in zip(include, groups, strict=True):
        if "position" in clause:
            relation, target = clause["position"]
            pairs = [relation in relations(a.box, b.box) for a in group for b in groups[target]]
            verdict.misplaced |= {
                a for a in group if not all(relation in relations(a.box, b.box) for b in groups[target])
            }
            what = f"{_said(clause | {'count': 1})} {relation} {_said(include[target] | {'count': 1})}"
            verdict.note(what, sum(pairs) / len(pairs) if pairs else 0.0, f"expected {what}")
    if found or specks:
        unfinished = [d.place for d in found if d.noun is None]
        why = f"unfinished at {_listed(unfinished)}" if unfinished else "specks on the ground"
        verdict.note("clean", float(not unfinished and specks <= SPECKS_ALLOWED), why)
    for index in sorted(range(len(include)), key=lambda i: "color" not in include[i]):  # a color first, then any
        free = [d for d in groups[index] if d not in verdict.asked]
        verdict.asked |= dict.fromkeys(free[: include[index]["count"]], index)
    return verdict


def _in_words(found: Sequence[Detection], verdict: _Verdict) -> tuple[str, list[str]]:
    """One sentence or two of what is there; and what nobody asked for."""

    def said(detections: Sequence[Detection]) -> list[str]:
        return [f"{with_article(d.name, d.noun or '')} at {d.place}" for d in detections]

    seen = said([d for d in found if d in verdict.asked])
    extras = said([d for d in found if d.noun and d not in verdict.asked])
    words = f" Sees {_listed(seen)}." if seen else " Sees nothing of what was asked for." if found else " Sees nothing."
    return words + (f" Also drew: {_listed(extras)}." if extras else ""), extras


def _boxes(found: Sequence[Detection], verdict: _Verdict, include: Sequence[dict[str, Any]]) -> tuple[Box, ...]:
    """What to draw on the picture. A thing belongs to the clause that took it, or else to the first about its noun."""
    boxes = []
    for d in found:
        about = (i for i, clause in enumerate(include) if clause["class"] == d.noun)
        index = verdict.asked.get(d, next(about, None))
        right = d in verdict.asked and d not in verdict.misplaced
        state = FOUND if right else IGNORED if index is None else MISSED
        boxes.append(Box(d.name, *d.box, state, "" if index is None else _said(include[index])))
    return tuple(boxes)


def judge(image: Image.Image, spec: dict[str, Any], strict: bool = False) -> Score:
    """Score an image against GenEval's structure: 1 where it is right; at most 0.8 where not, by the share of parts.

    As in GenEval, things that nobody asked for do not make a picture wrong unless a clause excludes them; with `strict`
    they do. What is begun and not finished always does.
    raw: `correct` (the verdict), `strict_correct`, `detections`, `also_drew`.
    """
    found, specks = detect(image)
    verdict = _weigh(found, specks, spec)
    by_rules = not verdict.wrong
    seen, extras = _in_words(found, verdict)
    if strict:
        verdict.note("nothing else", 1 / (1 + len(extras)), "expected nothing else")
    correct = not verdict.wrong
    value = 1.0 if correct else 0.8 * sum(verdict.parts.values()) / len(verdict.parts)
    why = "; ".join(verdict.wrong)
    right = "All that was asked for is there." if extras else "Right."
    reason = (right if correct else f"{why[0].upper()}{why[1:]}.") + seen
    raw = {
        "correct": correct,
        "strict_correct": by_rules and not extras,
        "detections": [asdict(d) for d in found],
        "also_drew": extras,
    }
    return Score(value, verdict.parts, reason, raw, boxes=_boxes(found, verdict, spec["include"]))


class Oracle(Critic):
    """The world's own evaluator as a critic: what it accepts is right by definition, so it says nothing of taste."""

    name = "oracle"
    about = About(options={"strict": "things that nobody asked for make a picture wrong"})

    def __init__(self, strict: bool = False):
        self.strict = strict

    def check_prompt(self, prompt: str) -> None:
        parse(prompt)

    def score(self, images: Sequence[Image.Image], prompt: str) -> list[Score]:
        spec = parse(prompt).spec()
        return [judge(image, spec, self.strict) for image in images]


def is_right(image: Image.Image, prompt: Prompt) -> bool:
    return judge(image, prompt.spec()).raw["correct"]
