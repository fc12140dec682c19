"""What GenEval asks of an image, as a structure: read from the benchmark's metadata, or parsed from free text.

    prompt := [lead] phrase [relation phrase | ("and" phrase)*]
    phrase := number [color] class

The structure is GenEval's: `tag`, `include` (class, count, color, position), `exclude` (class, count).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from milr_core.benchmark_files import read_objects
from milr_core.errors import InputError

COCO_NAMES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
"""COCO's 80 things by class index."""

_RENAMED = {"mouse": "computer mouse", "remote": "tv remote", "keyboard": "computer keyboard"}
CLASSES = tuple(_RENAMED.get(name, name) for name in COCO_NAMES)
"""The same as GenEval calls them."""

OTHER_SPELLINGS = {
    "motorbike": "motorcycle", "aeroplane": "airplane", "sofa": "couch", "pottedplant": "potted plant",
    "diningtable": "dining table", "tvmonitor": "tv",
}  # fmt: skip
"""COCO's things as some label files on the hub spell them."""

COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
RELATIONS = ("left of", "right of", "above", "below")
NUMBERS = {name: i for i, name in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight"), start=1)}
_DIGITS = {str(i): i for i in NUMBERS.values()}
MOST = 1000  # of a thing, in a spec from outside
TAGS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")

_SYNONYMS = {
    **OTHER_SPELLINGS, "bike": "bicycle", "plane": "airplane", "television": "tv", "fridge": "refrigerator",
    "phone": "cell phone", "mobile phone": "cell phone",
    "plant": "potted plant", "doughnut": "donut", "hair dryer": "hair drier", "keyboard": "computer keyboard",
    "remote": "tv remote", "bag": "handbag", "table": "dining table", "racket": "tennis racket",
}  # fmt: skip
_IRREGULAR = {"people": "person", "knives": "knife", "sheep": "sheep", "computer mice": "computer mouse"}
_LEAD = re.compile(r"^(?:(?:please )?(?:draw|show|paint) )?(?:an? (?:photo|picture|image|photograph|drawing) of )?")
_RELATION = re.compile(
    r" (?:is |are )?(?:(?:to |on )?(?:the )?(left|right)(?: side)? of|(above|over|on top of)|(below|under|beneath)) "
)


def _plurals(name: str) -> set[str]:
    # The benchmark itself writes "benchs" and "toothbrushs".
    endings = ("es", "s") if name.endswith(("sh", "ch")) else ("es",) if name.endswith("s") else ("s",)
    return {name + ending for ending in endings} | ({name} if name in ("skis", "scissors", "broccoli") else set())


_NOUNS = {name: name for name in CLASSES} | {said: name for said, name in _SYNONYMS.items()}
_MANY = {plural: name for said, name in _NOUNS.items() for plural in _plurals(said)} | _IRREGULAR


def words_for(clause: Mapping[str, Any], prompt: str) -> str:
    """The words of a prompt that a clause stands for, as they are written there; empty where they cannot be found."""
    nouns = [said for said, name in (_NOUNS | _MANY).items() if name == clause["class"]]
    spelled = "|".join(map(re.escape, sorted(nouns, key=len, reverse=True)))
    color = f"{clause['color']}\\s+" if "color" in clause else ""
    match = re.search(rf"\b{color}(?:{spelled})\b", prompt, re.IGNORECASE)
    return match[0] if match else ""


def what_is_judged() -> str:
    """One sentence for whoever wrote a prompt that is not understood."""
    return (
        "It understands 'a photo of two clocks', 'a red car left of a blue bus', 'a pink cup and a dog': a number up "
        f"to eight, a color ({', '.join(COLORS)}) and one of COCO's 80 things; one thing {', '.join(RELATIONS)} "
        "another, or several joined by 'and'. Anything else needs a spec."
    )


def _unknown(why: str) -> InputError:
    return InputError(f"GenEval cannot judge this prompt: {why}. {what_is_judged()}")


def _phrase(text: str) -> dict[str, Any]:
    number, _, rest = text.strip().partition(" ")
    if number in ("a", "an", "the"):
        count, nouns = 1, _NOUNS
    elif number in NUMBERS or number in _DIGITS:
        count = NUMBERS.get(number) or _DIGITS[number]
        nouns = _NOUNS if count == 1 else _MANY
    else:  # "red car left of a bus"
        count, nouns, rest = 1, _NOUNS | _IRREGULAR, text.strip()
    color, _, noun = rest.partition(" ")
    if noun and color in COLORS and noun in nouns:
        return {"class": nouns[noun], "count": count, "color": color}
    if rest in nouns:
        return {"class": nouns[rest], "count": count}
    raise _unknown(f"'{text.strip()[:80]}' is not a number, a color and a thing that it knows")


def parse(prompt: str) -> dict[str, Any]:
    """The spec of a prompt in words.

    Raises:
        InputError: the grammar does not take it; says where it stopped and what it takes.
    """
    text = re.sub(r"\s+", " ", prompt.strip().lower().rstrip(".!")).replace("colour", "color").replace("grey", "gray")
    text = _LEAD.sub("", text)
    if not text:
        raise _unknown("it names nothing")
    related = list(_RELATION.finditer(text))
    if len(related) > 1:
        raise _unknown("it has more than one relation")
    if related:
        subject, target = (_phrase(t) for t in (text[: related[0].start()], text[related[0].end() :]))
        side, over, _ = related[0].groups()
        relation = f"{side} of" if side else "above" if over else "below"
        clauses, tag = [target, subject | {"position": [relation, 0]}], "position"
    else:
        clauses = [_phrase(part) for part in re.split(r",? and |, ", text)]
        tag = _tag(clauses)
    if len({c["class"] for c in clauses}) < len(clauses):
        raise _unknown("it names the same thing twice, which GenEval's rules cannot keep apart")
    spec = {"tag": tag, "include": clauses, "prompt": prompt}
    too_many = [{"class": c["class"], "count": c["count"] + 1} for c in clauses if c["count"] > 1 and "color" not in c]
    return spec | ({"exclude": too_many} if too_many else {})


def _tag(clauses: list[dict[str, Any]]) -> str:
    if len(clauses) > 1:
        return "color_attr" if any("color" in c for c in clauses) else "two_object"
    if "color" in clauses[0]:
        return "colors"
    return "counting" if clauses[0]["count"] > 1 else "single_object"


def _among(value: Any, known: tuple[str, ...]) -> bool:
    return isinstance(value, str) and value in known


def check(spec: Any, where: str = "This") -> dict[str, Any]:
    """A spec from outside, with its tag; `parse` gives only such. where: it is, for the error.

    Raises:
        InputError: not GenEval's structure, or classes, colors or relations that GenEval does not have.
    """

    def wrong(why: str) -> InputError:
        return InputError(f"{where} is no GenEval spec: {why}.")

    if not isinstance(spec, Mapping) or not isinstance(spec.get("include"), list) or not spec["include"]:
        raise wrong("it is an object with a list `include` that is not empty")
    if not isinstance(spec.get("exclude", []), list):
        raise wrong("`exclude` is a list")
    for clause in [*spec["include"], *spec.get("exclude", [])]:
        if not isinstance(clause, Mapping) or not _among(clause.get("class"), CLASSES):
            raise wrong(f"a clause has a `class` that is one of {', '.join(CLASSES)}; got {clause!r:.80}")
        count = clause.get("count")
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST:
            raise wrong(f"a clause has a `count`, a whole number from 1 to {MOST}; got {clause!r:.80}")
        if not _among(clause.get("color", COLORS[0]), COLORS):
            raise wrong(f"a `color` is one of {', '.join(COLORS)}; got {clause['color']!r:.80}")
    for index, clause in enumerate(spec["include"]):
        match clause.get("position"):
            case None:
                pass
            case [str(relation), int(target)] if relation in RELATIONS and 0 <= target < index:
                pass
            case other:
                raise wrong(f"a `position` is [{' | '.join(RELATIONS)}, index of an earlier clause]; got {other!r:.80}")
    tag = spec.get("tag") or _tag(spec["include"])
    if not _among(tag, TAGS):
        raise wrong(f"a `tag` is one of {', '.join(TAGS)}; got {tag!r:.80}")
    return {**spec, "tag": tag}


def read_metadata(path: str | Path) -> dict[str, dict[str, Any]]:
    """Spec by prompt, from the benchmark's `evaluation_metadata.jsonl` (or a sample's `metadata.jsonl`).

    Raises:
        InputError: no such file, or a line that is no spec.
    """
    specs = (check(record, where) for where, record in read_objects(path))
    return {str(spec.get("prompt")).strip(): spec for spec in specs}
