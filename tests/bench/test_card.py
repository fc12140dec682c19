"""The model card: its figures are those of the weights that are there, and its text is written from them alone."""

import json
import random
import shutil

import pytest

from bench.fidelity import area_under_curve, oracle_on_clean_pictures, reconstructions, yes_or_no
from bench.model_card import write_card
from world.sampling import prompt_set
from world.train import CHECKPOINT


@pytest.fixture(scope="module")
def evaluation():
    return json.loads((CHECKPOINT / "evaluation.json").read_text(encoding="utf-8"))


def test_the_card_is_what_the_figures_say(tmp_path, evaluation):
    for name in ("evaluation.json", "grid.json"):
        shutil.copy(CHECKPOINT / name, tmp_path)
    write_card(tmp_path)
    written, shipped = ((folder / "README.md").read_text(encoding="utf-8") for folder in (tmp_path, CHECKPOINT))
    assert written == shipped


def test_the_figures_are_of_these_weights(evaluation, embedded):
    assert evaluation["weights_hash"] == embedded.weights_hash
    assert evaluation["recommended"] == embedded.recommended
    assert evaluation["trained"] == json.loads((CHECKPOINT / "training.json").read_text(encoding="utf-8"))


def test_the_figures_hold_when_some_are_measured_again(evaluation, embedded):
    again = yes_or_no(embedded, prompt_set("test", 6, seed=1), seed=1)
    for kind in ("single objects", "pairs and relations"):  # of riddles there are six: too few to say
        assert abs(again[kind]["both"] - evaluation["fidelity"]["yes_or_no"][kind]["both"]) < 0.15


def test_the_area_under_the_curve_counts_pairs():
    assert area_under_curve([3, 4], [1, 2]) == 1 and area_under_curve([1], [2]) == 0
    assert area_under_curve([1, 2], [1, 2]) == 0.5
    rng = random.Random(0)
    right, wrong = [rng.random() + 0.5 for _ in range(50)], [rng.random() for _ in range(40)]
    pairs = [(a > b) + (a == b) / 2 for a in right for b in wrong]
    assert area_under_curve(right, wrong) == pytest.approx(sum(pairs) / len(pairs))


def test_clean_pictures_are_told_apart_by_the_oracle():
    lines = [prompt.text() for prompt in prompt_set("validation", 3)]
    assert oracle_on_clean_pictures(lines) == {"right": 1.0, "wrong": 0.0}


def test_things_are_found_again_after_the_image_tokenizer(embedded, monkeypatch):
    monkeypatch.setattr("bench.fidelity.TINTS", (None,))
    figures = reconstructions(embedded)
    assert figures["overall"]["prompts"] == len(figures["by_noun"]) and figures["overall"]["mean"] > 0.9
