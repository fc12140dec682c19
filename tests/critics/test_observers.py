"""Observers: critics that score every step, are kept with the run, and change nothing in it."""

import json

import numpy as np
import pytest

from milr_core import Critic, CriticError, InputError, Score, SearchSettings, Trajectory, best_of_n, reason
from milr_core.cli import main
from milr_core.trajectory import LINES

PROMPT = "two red dogs left of a blue car"
SETTINGS = SearchSettings(text_ratio=0.3, image_ratio=0.25, lr=0.5, steps=3, seed=3, guidance=2.0)


class Blueness(Critic):
    """How blue an image is; refuses what it is told to refuse."""

    name = "blueness"

    def __init__(self, fails_at: int | None = None):
        self.seen, self.fails_at = [], fails_at

    def check_prompt(self, prompt):
        if "green" in prompt:
            raise InputError("blueness takes no green")

    def score(self, images, prompt):
        self.seen += images
        if len(self.seen) - 1 == self.fails_at:
            raise ValueError("out of blue")
        means = [np.asarray(image, dtype=np.float64).mean((0, 1)) for image in images]
        return [Score(float(m[2] / (m.sum() + 1)), {"blue": float(m[2] / 255)}, "blueness") for m in means]


def key(step):
    return step.text, step.text_tokens, step.image_tokens, step.image.tobytes(), step.reward, step.best


def test_observers_see_every_image_and_change_nothing(tiny, redness):
    alone = list(reason(tiny, redness, PROMPT, SETTINGS))
    watching = Blueness()
    watched = list(reason(tiny, redness, PROMPT, SETTINGS, observers=[watching]))
    assert [key(s) for s in watched] == [key(s) for s in alone] and not any(s.observed for s in alone)
    assert [image.tobytes() for image in watching.seen] == [s.image.tobytes() for s in alone]
    for step in watched:
        assert step.observed["blueness"] == Blueness().score([step.image], PROMPT)[0]
        assert step.cost.observer_seconds > 0 and step.cost.critic_calls == 1
    rest = list(reason(tiny, redness, "", state=watched[1].state, observers=[Blueness()]))
    assert [s.observed for s in rest] == [s.observed for s in watched[2:]]


def test_best_of_n_observes_each_image_of_a_batch(tiny, redness):
    settings = SearchSettings(seed=5, guidance=2.0)
    steps = list(best_of_n(tiny, redness, PROMPT, 4, settings, batch=3, observers=[Blueness()]))
    assert [s.observed["blueness"] for s in steps] == [Blueness().score([s.image], PROMPT)[0] for s in steps]
    assert len({s.observed["blueness"].value for s in steps}) > 1


def test_an_observer_fails_or_refuses_as_a_critic_does(tiny, redness):
    with pytest.raises(InputError, match="no green"):
        reason(tiny, redness, PROMPT.replace("red", "green"), SETTINGS, observers=[Blueness()])
    with pytest.raises(InputError, match="attached once"):
        reason(tiny, redness, PROMPT, SETTINGS, observers=[Blueness(), Blueness()])
    steps = reason(tiny, redness, PROMPT, SETTINGS, observers=[Blueness(fails_at=1)])
    assert next(steps).observed
    with pytest.raises(CriticError, match="blueness.*out of blue"):
        next(steps)


def test_a_bundle_keeps_what_was_observed_and_needs_nothing_to(tiny, redness, tmp_path):
    with_one = Trajectory.create(tmp_path / "with", tiny, "redness", PROMPT)
    without = Trajectory.create(tmp_path / "without", tiny, "redness", PROMPT)
    for step in reason(tiny, redness, PROMPT, SETTINGS, observers=[Blueness()]):
        with_one.append(step.state)
        assert Trajectory.open(with_one.folder).state(step.index).drawn.observed == step.observed
    for step in reason(tiny, redness, PROMPT, SETTINGS):
        without.append(step.state)
    assert without.record(0).observed == {}
    assert Trajectory.open(without.folder).state(2).drawn.observed == {}


@pytest.mark.parametrize("observed", [[], {"x": 1}, {"x": {"value": 1.0}}, {"x": {"value": "1", "parts": {}}}])
def test_a_damaged_observation_is_refused(tiny, redness, tmp_path, observed):
    bundle = Trajectory.create(tmp_path / "run", tiny, "redness", PROMPT)
    bundle.append(next(reason(tiny, redness, PROMPT, SETTINGS)).state)
    path = bundle.folder / LINES
    header, line = path.read_text().splitlines()
    path.write_text(f"{header}\n{json.dumps(json.loads(line) | {'observed': observed})}\n")
    with pytest.raises(InputError, match="no valid observed"):
        Trajectory.open(bundle.folder)


def test_the_command_line_attaches_one_and_a_resumed_run_keeps_it(tiny_folder, tmp_path, capsys):
    out = str(tmp_path / "run")
    command = ["reason", PROMPT, "--model", str(tiny_folder), "--steps", "1", "--json", "--observer", "self"]
    assert main([*command, "--out", out]) == 0
    assert main(["reason", "--resume", out, "--model", str(tiny_folder), "--steps", "2", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [0 < line["observed"]["self"] < 1 for line in lines] == [True] * 3
