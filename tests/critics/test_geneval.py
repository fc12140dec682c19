"""GenEval's rules against a plain restatement of them, on random detections; its vectors; its grammar."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from milr_core import InputError
from milr_core.critics import geneval_spec
from milr_core.critics.geneval import GenEval, evaluate, kept, relations
from milr_core.critics.geneval_spec import CLASSES, COLORS, RELATIONS, TAGS
from milr_core.critics.models.boxes import Detection

METADATA = Path("/work/shared/benchmarks/geneval/evaluation_metadata.jsonl")
NAMES = METADATA.with_name("object_names.txt")


# The rules once more, as a list of conditions on plain tuples (name, score, box, color), with numpy for the position.


def plain_relations(a, b):
    a, b = np.array(a, float).reshape(2, 2), np.array(b, float).reshape(2, 2)
    offset = a.mean(0) - b.mean(0)
    room = np.abs(a[1] - a[0]) + np.abs(b[1] - b[0])
    rest = np.clip(np.abs(offset) - 0.1 * room, 0, None) * np.sign(offset)
    if np.abs(rest).max() < 1e-3:
        return set()
    x, y = rest / np.sqrt((offset**2).sum())
    return {
        name
        for name, holds in zip(
            ("left of", "right of", "above", "below"), (x < -0.5, x > 0.5, y < -0.5, y > 0.5), strict=True
        )
        if holds
    }


def plain_verdict(objects, spec):
    least = 0.9 if spec["tag"] == "counting" else 0.3

    def of(name):
        found = [o for o in objects if o[0] == name and o[1] > least]
        return sorted(found, key=lambda o: -o[1])[:16]

    good = []  # the objects that met each clause, None where it was not met
    for clause in spec["include"]:
        chosen = of(clause["class"])[: clause["count"]]
        ok = len(chosen) == clause["count"]
        ok = ok and ("color" not in clause or sum(o[3] == clause["color"] for o in chosen) >= clause["count"])
        if ok and "position" in clause:
            relation, target = clause["position"]
            ok = good[target] is not None and all(
                relation in plain_relations(o[2], t[2]) for o in chosen for t in good[target]
            )
        good.append(chosen if ok else None)
    too_many = any(len(of(clause["class"])) >= clause["count"] for clause in spec.get("exclude", []))
    return all(g is not None for g in good) and not too_many


def random_objects(rng, spec):
    """A scene around what the spec asks for, near the edges of every rule."""
    wanted = spec["include"] + spec.get("exclude", [])
    edges = (0.3, 0.9, 0.29, 0.31, 0.89, 0.91)
    objects = []
    for clause in wanted:
        for _ in range(max(0, clause["count"] + rng.choice((-1, 0, 0, 0, 1, 2)))):
            side = rng.choice((5, 20, 60))
            x, y = rng.randrange(0, 200, 10), rng.randrange(0, 200, 10)
            color = clause.get("color") if rng.random() < 0.85 else rng.choice(COLORS)
            score = rng.choice(edges) if rng.random() < 0.2 else rng.uniform(0.85, 1.0)
            objects.append((clause["class"], score, (x, y, x + side, y + side), color or rng.choice(COLORS)))
    objects += [(rng.choice(CLASSES), rng.random(), (0, 0, 9, 9), "red") for _ in range(rng.randrange(3))]
    rng.shuffle(objects)
    return objects


def verdict(objects, spec):
    detections = [Detection(o[0], o[1], o[2]) for o in objects]
    colors = {id(d): o[3] for d, o in zip(detections, objects, strict=True)}
    return evaluate(kept(detections, spec["tag"]), spec, lambda some, _: [colors[id(d)] for d in some])


def random_spec(rng):
    tag = rng.choice(TAGS)
    first, second = rng.sample(CLASSES, 2)
    one = {"class": first, "count": rng.choice((1, 1, 2))}
    if tag == "counting":
        n = rng.randrange(2, 5)
        return {
            "tag": tag, "include": [{"class": first, "count": n}], "exclude": [{"class": first, "count": n + 1}],
        }  # fmt: skip
    if tag in ("colors", "color_attr"):
        one["color"] = rng.choice(COLORS)
    include = [one]
    if tag not in ("single_object", "colors"):
        other = {"class": second, "count": rng.choice((1, 1, 2))}
        if tag == "position":
            other["position"] = [rng.choice(RELATIONS), 0]
        if tag == "color_attr":
            other["color"] = rng.choice(COLORS)
        include.append(other)
    return {"tag": tag, "include": include}


def agree(specs, rng, scenes):
    seen = {True: 0, False: 0}
    for spec in specs:
        for _ in range(scenes):
            objects = random_objects(rng, spec)
            expected = plain_verdict(objects, spec)
            correct, wrong, parts = verdict(objects, spec)
            assert correct == expected, (spec, objects, wrong)
            assert correct == (not wrong) == all(parts.values())
            seen[expected] += 1
    return seen


def test_verdicts_equal_the_rules_on_random_specs():
    rng = random.Random(0)
    seen = agree((random_spec(rng) for _ in range(3000)), rng, 2)
    assert min(seen.values()) > 800, "both verdicts are well represented"


@pytest.mark.skipif(not METADATA.exists(), reason=f"the benchmark's metadata is not at {METADATA}")
def test_verdicts_equal_the_rules_on_every_line_of_the_metadata():
    specs = [json.loads(line) for line in METADATA.read_text().splitlines()]
    assert len(specs) == 553
    seen = agree(specs, random.Random(1), 12)
    assert sum(seen.values()) == 553 * 12 and min(seen.values()) > 1000


@pytest.mark.skipif(not METADATA.exists(), reason=f"the benchmark's metadata is not at {METADATA}")
def test_the_grammar_gives_every_line_of_the_metadata():
    for line in METADATA.read_text().splitlines():
        spec = json.loads(line)
        assert geneval_spec.parse(spec["prompt"]) == spec
    assert tuple(NAMES.read_text().split("\n")[:80]) == CLASSES
    assert len(geneval_spec.read_metadata(METADATA)) == len({json.loads(x)["prompt"] for x in METADATA.open()})


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 10, 10), (20, 0, 30, 10), {"left of"}),
        ((0, 0, 10, 10), (20, 20, 30, 30), {"left of", "above"}),
        ((0, 0, 10, 10), (20, 36, 30, 46), {"above"}),
        ((10, 10, 20, 20), (11, 11, 21, 21), set()),
        ((100, 100, 200, 200), (130, 100, 230, 200), set()),
        ((20, 0, 30, 10), (0, 0, 10, 10), {"right of"}),
        ((20, 36, 30, 46), (0, 0, 10, 10), {"below"}),
        ((5, 5, 5, 5), (5, 5, 5, 5), set()),
    ],
)
def test_positions(a, b, expected):
    assert relations(a, b) == expected == plain_relations(a, b)


def test_thresholds_are_strict_and_sixteen_is_the_most():
    found = [Detection("cat", score, (0, 0, 1, 1)) for score in (0.3, 0.300001, 0.9, 0.95)]
    assert [d.score for d in kept(found, "colors")["cat"]] == [0.95, 0.9, 0.300001]
    assert [d.score for d in kept(found, "counting")["cat"]] == [0.95]
    assert "cat" not in kept(found[:1], "colors")
    many = [Detection("cat", 0.5 + i / 100, (0, 0, 1, 1)) for i in range(30)]
    assert [d.score for d in kept(many, "two_object")["cat"]] == [0.5 + i / 100 for i in range(29, 13, -1)]


def test_colors_are_asked_for_the_best_objects_only():
    spec = {"tag": "colors", "include": [{"class": "cat", "count": 1, "color": "red"}]}
    found = [Detection("cat", 0.9, (0, 0, 1, 1)), Detection("cat", 0.8, (5, 5, 6, 6))]
    asked = []
    correct, wrong, _ = evaluate({"cat": found}, spec, lambda some, name: asked.append((list(some), name)) or ["blue"])
    assert not correct and asked == [(found[:1], "cat")] and "found 1 blue" in wrong[0]


def test_boxes_say_what_was_found_missed_and_ignored():
    spec = geneval_spec.parse("a photo of two dogs")
    dogs = [Detection("dog", 0.99 - i / 100, (8 * i, 0, 8 * i + 8, 8)) for i in range(3)]
    cat = Detection("cat", 0.95, (-4, 0, 48, 48))
    image = Image.new("RGB", (32, 16))

    def states(some):
        objects = kept([*some, cat], spec["tag"])
        _, _, parts = evaluate(objects, spec, lambda *_: [])
        return GenEval._boxes(image, objects, spec, parts)

    boxes = states(dogs[:2])
    assert [(box.label, box.state, box.words) for box in boxes] == [
        ("dog", "found", "dogs"), ("dog", "found", "dogs"), ("cat", "ignored", "")]  # fmt: skip
    assert (boxes[1].x0, boxes[1].y1) == (0.25, 0.5) and (boxes[2].x0, boxes[2].x1) == (0.0, 1.0), "inside the image"
    assert [box.state for box in states(dogs[:1])] == ["missed", "ignored"]
    assert [box.state for box in states(dogs)] == ["missed"] * 3 + ["ignored"]


@pytest.mark.parametrize(
    ("prompt", "include", "tag"),
    [
        ("two clocks", [{"class": "clock", "count": 2}], "counting"),
        ("A photo of two clocks.", [{"class": "clock", "count": 2}], "counting"),
        ("a red car left of a blue bus", [
            {"class": "bus", "count": 1, "color": "blue"},
            {"class": "car", "count": 1, "color": "red", "position": ["left of", 0]}], "position"),
        ("a dog to the right of a sofa", [
            {"class": "couch", "count": 1}, {"class": "dog", "count": 1, "position": ["right of", 0]}], "position"),
        ("a cat on top of a tv", [
            {"class": "tv", "count": 1}, {"class": "cat", "count": 1, "position": ["above", 0]}], "position"),
        ("an orange", [{"class": "orange", "count": 1}], "single_object"),
        ("an orange orange", [{"class": "orange", "count": 1, "color": "orange"}], "colors"),
        ("three people", [{"class": "person", "count": 3}], "counting"),
        ("four benches", [{"class": "bench", "count": 4}], "counting"),
        ("a pink cup, a dog and two sheep", [
            {"class": "cup", "count": 1, "color": "pink"}, {"class": "dog", "count": 1},
            {"class": "sheep", "count": 2}], "color_attr"),
    ],
)  # fmt: skip
def test_free_text(prompt, include, tag):
    spec = geneval_spec.parse(prompt)
    assert spec["include"] == include and spec["tag"] == tag
    counted = [c for c in include if c["count"] > 1]
    assert [(c["class"], c["count"]) for c in spec.get("exclude", [])] == [
        (c["class"], c["count"] + 1) for c in counted
    ]
    assert geneval_spec.check(spec) == spec


@pytest.mark.parametrize(
    "prompt",
    ["a dragon", "two red dragons", "a violet car", "a dog left of a cat above a bus", "a cat and a cat", "",
     "nine cats", "the Great Wall at dawn", "a red blue car", "two cat",
     "² dogs", f"{'9' * 310} dogs", "0 dogs", "٣ dogs"],
)  # fmt: skip
def test_what_it_cannot_parse_it_says(prompt):
    with pytest.raises(InputError, match="GenEval cannot judge this prompt.*two clocks"):
        geneval_spec.parse(prompt)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ([], "include"),
        ({"include": []}, "include"),
        ({"include": [{"class": "dragon", "count": 1}]}, "class"),
        ({"include": [{"class": "cat", "count": 0}]}, "count"),
        ({"include": [{"class": "cat", "count": True}]}, "count"),
        ({"include": [{"class": "cat", "count": 10**310}]}, "count"),
        ({"include": [{"class": ["cat"], "count": 1}]}, "class"),
        ({"include": [{"class": "cat", "count": 1}], "tag": {"x": 1}}, "tag"),
        ({"include": [{"class": "cat", "count": 1, "color": "cyan"}]}, "color"),
        ({"include": [{"class": "cat", "count": 1, "position": ["left of", 0]}]}, "position"),
        (
            {"include": [{"class": "cat", "count": 1}, {"class": "dog", "count": 1, "position": ["behind", 0]}]},
            "position",
        ),
        ({"include": [{"class": "cat", "count": 1}], "exclude": [{"class": "cat"}]}, "count"),
        ({"include": [{"class": "cat", "count": 1}], "exclude": 3}, "exclude"),
        ({"include": [{"class": "cat", "count": 1}], "tag": "x"}, "tag"),
    ],
)
def test_a_spec_from_outside_is_checked(spec, says):
    with pytest.raises(InputError, match=says):
        geneval_spec.check(spec)
