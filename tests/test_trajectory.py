import json
import os
import zipfile

import pytest
import torch
from safetensors.torch import load_file, save_file

from milr_core import InputError, SearchSettings, Trajectory, reason
from tests.test_search import PROMPT, SETTINGS, key, run


@pytest.fixture
def saved(tiny, redness, tmp_path):
    bundle = Trajectory.create(tmp_path / "run", tiny, "redness", PROMPT)
    steps = run(tiny, redness)
    for step in steps:
        bundle.append(step.state)
    return bundle, steps


def test_a_saved_run_is_the_run(saved):
    bundle, steps = Trajectory.open(saved[0].folder), saved[1]
    assert len(bundle) == len(steps) == 5
    assert (bundle.folder / "trajectory.json").read_text().count("\n") == 5 + 2, "a line for each step"
    for step, state, record in zip(steps, bundle.states(), bundle.records, strict=True):
        assert key(state.step) == key(step) and state.settings == step.settings and state.cost == step.cost
        assert record["reward"] == step.reward and record["image_positions"] == step.image_positions
        assert bundle.image(step.index).tobytes() == step.image.tobytes()


@pytest.mark.parametrize("k", [0, 2])
def test_continuing_from_any_saved_step_gives_the_undisturbed_run(saved, tiny, redness, k):
    bundle, steps = Trajectory.open(saved[0].folder), saved[1]
    rest = list(reason(tiny, redness, "", state=bundle.state(k)))
    assert [key(s) for s in rest] == [key(s) for s in steps[k + 1 :]]


def test_what_a_kill_leaves_is_a_bundle(saved, tiny, tmp_path, monkeypatch):
    """Whichever write a kill falls on, the bundle opens with the whole steps before it."""
    steps = saved[1]
    real = os.replace
    for fatal in range(1, 4):
        bundle = Trajectory.create(tmp_path / f"killed{fatal}", tiny, "redness", PROMPT)
        bundle.append(steps[0].state)
        calls = []

        def killed(source, target, fatal=fatal, calls=calls):
            calls.append(target)
            if len(calls) == fatal:
                raise KeyboardInterrupt
            real(source, target)

        monkeypatch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            bundle.append(steps[1].state)
        monkeypatch.setattr(os, "replace", real)
        reopened = Trajectory.open(bundle.folder)
        assert len(reopened) == 1
        reopened.append(steps[1].state)
        assert key(Trajectory.open(bundle.folder).state(1).step) == key(steps[1])


def test_zip_there_and_back(saved, tmp_path):
    archive = saved[0].to_zip(tmp_path / "run.zip")
    back = Trajectory.from_zip(archive, tmp_path / "back")
    assert [key(s.step) for s in back.states()] == [key(s) for s in saved[1]]


def damaged(bundle, change):
    path = bundle.folder / "trajectory.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    return bundle.folder


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.update(schema=99), "schema 99"),
        (lambda d: d.pop("schema"), "schema"),
        (lambda d: d.update(prompt=5), "prompt"),
        (lambda d: d["steps"][1].pop("text_tokens"), "text_tokens"),
        (lambda d: d["steps"][1].update(image="../../etc/passwd"), "does not hold"),
        (lambda d: d["steps"][1].update(state="/etc/passwd"), "does not hold"),
        (lambda d: d["steps"].pop(0), "damaged"),
        (lambda d: d["steps"].__setitem__(0, "x"), "expected an object"),
    ],
)
def test_a_damaged_or_hostile_bundle_is_refused(saved, change, says):
    with pytest.raises(InputError, match=says):
        Trajectory.open(damaged(saved[0], change))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("text.values", lambda t: t * torch.nan),
        ("image.variance", lambda t: -t - 1),
        ("image.mean", lambda t: t[:-1]),
        ("text.count", lambda t: t.float()),
        ("text.positions", lambda t: t * 0),
        ("image.positions", lambda t: t + 1000),
        ("rollout_text", lambda t: t[:-1]),
        ("rollout_image", lambda t: t.flatten(1)),
        ("random", lambda t: t[:100]),
    ],
)
def test_latents_that_no_search_could_have_left_are_refused(saved, tiny, redness, name, change):
    """Rather than going on to an image of numbers that are none."""
    bundle = Trajectory.open(saved[0].folder)
    path = bundle.folder / bundle.records[2]["state"]
    tensors = load_file(path)
    save_file(tensors | {name: change(tensors[name]).contiguous()}, path)
    with pytest.raises(InputError, match=f"Step 2 of this run cannot be continued from.*{name}"):
        bundle.state(2)
    assert bundle.state(1).index == 1


def test_links_damaged_files_and_no_bundle_are_refused(saved, tmp_path):
    bundle = saved[0]
    (bundle.folder / "state-001.safetensors").write_bytes(b"not tensors")
    with pytest.raises(InputError, match="Step 1"):
        Trajectory.open(bundle.folder).state(1)
    (bundle.folder / "step-002.png").write_bytes(b"not a picture")
    with pytest.raises(InputError, match="not the image"):
        Trajectory.open(bundle.folder).image(2)
    (bundle.folder / "step-003.png").unlink()
    (bundle.folder / "step-003.png").symlink_to("/etc/hostname")
    with pytest.raises(InputError, match="link"):
        Trajectory.open(bundle.folder)
    with pytest.raises(InputError, match="no run bundle"):
        Trajectory.open(tmp_path / "nothing")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "trajectory.json").write_text("[" * 100000)
    with pytest.raises(InputError, match="no run bundle"):
        Trajectory.open(tmp_path / "deep")


@pytest.mark.parametrize("name", ["../evil.txt", "/abs.txt", "run/trajectory.json", "evil.py"])
def test_a_zip_with_anything_else_in_it_is_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(InputError, match="does not"):
        Trajectory.from_zip(tmp_path / "evil.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
    (tmp_path / "no.zip").write_bytes(b"x")
    with pytest.raises(InputError, match="not a zip"):
        Trajectory.from_zip(tmp_path / "no.zip", tmp_path / "out")


def test_appending_out_of_turn_and_other_weights_are_refused(saved, tiny, embedded):
    bundle, steps = saved
    with pytest.raises(InputError, match="has 5 steps"):
        bundle.append(steps[2].state)
    with pytest.raises(InputError, match="holds a run already"):
        Trajectory.create(bundle.folder, tiny, "redness", PROMPT)
    bundle.check_model(tiny)
    with pytest.raises(InputError, match="other weights"):
        bundle.check_model(embedded)


def test_unknown_settings_in_a_bundle_are_refused(saved):
    folder = damaged(saved[0], lambda d: d["steps"][0]["settings"].update(magic=1))
    with pytest.raises(InputError, match="magic"):
        Trajectory.open(folder).state(0)
    assert SETTINGS.resolve({}) == Trajectory.open(folder).state(1).settings
    assert isinstance(Trajectory.open(folder).state(1).settings, SearchSettings)
