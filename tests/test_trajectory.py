"""A run on disk: what it holds, what a kill leaves of it, and what is no run."""

import json
import os
from dataclasses import replace

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from milr_core import InputError, SearchSettings, Trajectory, best_of_n, reason
from milr_core.critics.base import MISSED, Box
from milr_core.probabilities import inspected
from milr_core.record import MAX_ID, StepRecord
from milr_core.trajectory import LINES, writing
from tests.conftest import Redness
from tests.test_search import PROMPT, SETTINGS, key, run


@pytest.fixture(scope="module")
def steps(tiny):
    return [inspected(tiny, step.state).step for step in run(tiny, Redness())]


@pytest.fixture
def saved(tiny, steps, tmp_path):
    bundle = Trajectory.create(tmp_path / "run", tiny, "redness", PROMPT, SETTINGS, ["self"], {"soft": True})
    for step in steps:
        bundle.append(step.state)
    return bundle


def test_a_saved_run_is_the_run(saved, steps):
    bundle = Trajectory.open(saved.folder)
    assert len(bundle) == len(steps) == 5 and bundle.values == [step.reward for step in steps]
    assert len((bundle.folder / LINES).read_text().splitlines()) == 1 + 5, (
        "a line for all that was asked, and each step"
    )
    for step, looked, record in zip(steps, bundle.steps(), bundle.records, strict=True):
        state = bundle.state(step.index)
        assert key(state.step) == key(step) == key(looked) and state.settings == step.settings
        assert state.step.cost == step.cost == looked.cost and looked.probabilities == step.probabilities
        assert (state.step.gradient_norm, state.step.update_norm) == (step.gradient_norm, step.update_norm)
        assert record.reward == step.reward and record.image_positions == step.image_positions
        assert looked.state is None and looked.score.raw == {}, "what is looked at keeps nothing of what was measured"


def test_the_first_line_holds_all_that_was_asked_for_and_no_key(tiny, tmp_path):
    options = {"soft": True, "api_key": "sk-1", "gpt-4o": {"key": "sk-2", "judge": "x"}}
    Trajectory.create(tmp_path / "run", tiny, "gpt-4o", PROMPT, SETTINGS, ["self"], options, "best-of-n")
    header = Trajectory.open(tmp_path / "run").header
    assert (header.critic, header.observers, header.method) == ("gpt-4o", ["self"], "best-of-n")
    assert SearchSettings(**header.settings) == SETTINGS and header.options == {"soft": True, "gpt-4o": {"judge": "x"}}
    assert "sk-" not in (tmp_path / "run" / LINES).read_text()


@pytest.mark.parametrize("k", [0, 2])
def test_continuing_from_any_saved_step_gives_the_undisturbed_run(saved, steps, tiny, redness, k):
    rest = list(reason(tiny, redness, "", state=Trajectory.open(saved.folder).state(k)))
    assert [key(s) for s in rest] == [key(s) for s in steps[k + 1 :]]


def test_how_a_step_was_made_is_recorded(tiny, redness, tmp_path):
    bundle = Trajectory.create(tmp_path / "run", tiny, "redness", PROMPT)
    made = list(best_of_n(tiny, redness, PROMPT, 2, SETTINGS, early_stop=False))
    more = list(reason(tiny, redness, "", replace(SETTINGS, steps=2), state=made[-1].state))
    for step in (*made, *more):
        bundle.append(step.state)
    assert [record.method for record in bundle.records] == ["best-of-n", "best-of-n", "search"]


def test_a_file_cut_at_any_byte_of_its_last_lines_loses_at_most_the_step_under_way(saved, steps):
    path = saved.folder / LINES
    data = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(data) if byte == ord("\n")]
    for cut in [
        *range(ends[-2] - 3, ends[-2] + 40),
        *range(ends[-2] + 40, ends[-1] - 40, 97),
        *range(ends[-1] - 40, len(data)),
    ]:
        path.write_bytes(data[:cut])
        there = sum(end <= cut + 1 for end in ends) - 1  # a line that lacks nothing but its end is whole
        assert len(Trajectory.open(saved.folder)) == there, cut
    for cut in (ends[-2] - 1, ends[-2] + 7):
        path.write_bytes(data[:cut])
        bundle = Trajectory.open(saved.folder)
        bundle.append(steps[4].state)
        assert [key(bundle.state(i).step) for i in (3, 4)] == [key(steps[3]), key(steps[4])]
        assert [r.index for r in Trajectory.open(saved.folder).records] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("fatal", [1, 2])
def test_a_kill_before_the_line_leaves_the_steps_before(steps, tiny, tmp_path, monkeypatch, fatal):
    bundle = Trajectory.create(tmp_path / "run", tiny, "redness", PROMPT)
    bundle.append(steps[0].state)
    real, calls = os.replace, []

    def killed(source, target):
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


def test_a_full_disk_leaves_the_steps_before_and_no_half_files(steps, saved, tiny, tmp_path, monkeypatch):
    bundle = Trajectory.create(tmp_path / "full", tiny, "redness", PROMPT)
    bundle.append(steps[0].state)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    real = os.fsync
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        bundle.append(steps[1].state)
    monkeypatch.setattr(os, "fsync", real)
    assert not list(bundle.folder.glob("*.partial")) and len(Trajectory.open(bundle.folder)) == 1
    bundle.append(steps[1].state)
    assert len(Trajectory.open(bundle.folder)) == 2


def test_a_step_appends_a_line_and_rewrites_none(saved, steps, monkeypatch):
    """A thousand steps write a thousand lines, not half a million."""
    before = (saved.folder / LINES).read_bytes()
    inode = (saved.folder / LINES).stat().st_ino
    saved.append(replace(steps[4].state, index=5, values=(*steps[4].state.values, 0.1)))
    after = (saved.folder / LINES).read_bytes()
    assert after.startswith(before) and after.count(b"\n") == before.count(b"\n") + 1
    assert (saved.folder / LINES).stat().st_ino == inode


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_lost_last_state_leaves_the_way_back_to_the_step_before(saved, steps, tiny, redness, damage):
    path = saved.folder / "state-004.safetensors"
    path.unlink() if damage == "missing" else path.write_bytes(path.read_bytes()[:500])
    bundle = Trajectory.open(saved.folder)
    with pytest.raises(InputError, match="Step 4"):
        bundle.state(4)
    state = bundle.newest_state()
    assert state.index == 3 and len(bundle) == 4
    (step,) = reason(tiny, redness, "", state=state)
    bundle.append(step.state)
    assert key(step) == key(steps[4]) == key(Trajectory.open(saved.folder).state(4).step)


def test_a_run_without_states_is_looked_at_and_not_continued(saved, steps, tmp_path):
    small = Trajectory.from_zip(saved.to_zip(tmp_path / "small.zip", states=False), tmp_path / "small")
    assert [key(step) for step in small.steps()] == [key(step) for step in steps] and not small.has_state(1)
    with pytest.raises(InputError, match=r"state-00\d.safetensors is missing"):
        small.newest_state()


def test_two_writers_are_refused(saved, steps, tiny):
    with writing(saved.folder), pytest.raises(InputError, match="another process"), writing(saved.folder):
        pass
    other = Trajectory.open(saved.folder)
    six = replace(steps[4].state, index=5, values=(*steps[4].state.values, 0.1))
    other.append(six)
    with pytest.raises(InputError, match="changed by another"):
        saved.append(six)


def old(bundle, change=lambda data: None):
    """The same bundle as version 0.2 wrote it, but for a change."""
    records = [json.loads(line) for line in (bundle.folder / LINES).read_text().splitlines()]
    header = {"schema": 1, "prompt": PROMPT, "model": records[0]["model"], "critic": "redness"}
    retired = {"batch": 1, "text_sampling": "argmax", "trust": 0.0, "noise": "fresh", "restart": 0}
    for record in records[1:]:
        record.pop("method", None)
        record.setdefault("raw", {})
        record["settings"] |= retired
    data = header | {"steps": records[1:]}
    change(data)
    (bundle.folder / "trajectory.json").write_text(json.dumps(data), encoding="utf-8-sig")
    (bundle.folder / LINES).unlink()
    return bundle.folder


def test_a_bundle_of_schema_1_opens_and_goes_on(saved, steps, tiny, redness):
    bundle = Trajectory.open(old(saved, lambda data: data["steps"].pop()))
    assert [key(step) for step in bundle.steps()] == [key(step) for step in steps[:4]]
    (step,) = reason(tiny, redness, "", state=bundle.newest_state())
    bundle.append(step.state)
    assert not (bundle.folder / "trajectory.json").exists()
    assert [key(s) for s in Trajectory.open(bundle.folder).steps()] == [key(s) for s in steps]


def test_a_retired_setting_that_was_used_is_refused_with_a_sentence(saved):
    with pytest.raises(InputError, match="trust .here 0.5. was retired"):
        Trajectory.open(old(saved, lambda data: data["steps"][1]["settings"].update(trust=0.5)))


def in_line(number, change):
    def damage(bundle):
        lines = (bundle.folder / LINES).read_text().splitlines()
        data = json.loads(lines[number])
        change(data)
        lines[number] = json.dumps(data)
        (bundle.folder / LINES).write_text("\n".join(lines) + "\n")

    return damage


def field(name, value):
    return in_line(2, lambda data: data.update({name: value}))


def setting(name, value):
    return in_line(2, lambda data: data["settings"].update({name: value}))


def raw_line(number, text):
    def damage(bundle):
        lines = (bundle.folder / LINES).read_bytes().splitlines()
        lines[number] = text
        (bundle.folder / LINES).write_bytes(b"\n".join(lines) + b"\n")

    return damage


HUGE = 10**310
HOSTILE = [
    (in_line(0, lambda d: d.update(schema=99)), "schema 99"), (in_line(0, lambda d: d.pop("schema")), "schema"),
    (in_line(0, lambda d: d.update(prompt=5)), "prompt"), (in_line(0, lambda d: d.update(settings={"lr": -1})), "lr"),
    (in_line(2, lambda d: d.pop("text_tokens")), "text_tokens"), (field("image", "../../etc/passwd"), "does not hold"),
    (field("state", "/etc/passwd"), "does not hold"), (field("image", "step-00٣.png"), "does not hold"),
    (field("index", 3), "does not hold|damaged"), (field("index", HUGE), "index"), (raw_line(1, b'"x"'), "an object"),
    (raw_line(2, b"{"), "cannot be read"), (raw_line(2, b"[" * 100_000), "cannot be read|far more"),
    (raw_line(2, b"[" + b"{}," * 400_000 + b"{}]"), "far more"), (raw_line(2, b" " * (5 << 20)), "far longer"),
    (raw_line(2, b'{"reward": NaN}'), "NaN is no number"), (raw_line(2, b"\xff\xfe{}"), "cannot be read"),
    (raw_line(2, b'{"text": "\\ud800"}'), "cannot be read"), (field("text_prefix", 99), "another number of tokens"),
    (field("text_prefix", "<script>"), "text_prefix"), (field("image_positions", [9999]), "outside the image"),
    (field("image_tokens", [1, 2]), "i"), (field("image_tokens", [HUGE] * 16), "image_tokens"),
    (field("text_tokens", [MAX_ID]), "text_tokens"), (field("parts", {"a": "NaN"}), "parts"),
    (field("reward", 7), "reward"), (field("reward", HUGE), "reward"), (field("token_strings", [1]), "token_strings"),
    (field("cost", {"seconds": 1.0}), "cost"), (field("cost", {"text_seconds": -1.0}), "cost"),
    (setting("steps", 10**9), "steps lies in"), (setting("__class__", 1), "There is no setting"),
    (setting("lr", HUGE), "lr"), (field("best", 3), "does not fit"), (field("kept", 1), "does not fit"),
    (field("probabilities", {"text": []}), "probabilities"), (field("observed", []), "observed"),
    (field("observed", {"x": {"value": 1.0}}), "observed"), (field("gradient_norm", {"text": 1.0}), "not of the same"),
    (field("latents", {"text": {"ratio": "x", "rule": "prefix"}}), "ratio"),
    (field("latents", {"text": {"ratio": HUGE, "rule": "prefix"}}), "ratio"), (field("method", "magic"), "method"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "says"), HOSTILE, ids=range(len(HOSTILE)))
def test_a_damaged_or_hostile_line_is_refused_with_a_sentence(saved, damage, says):
    damage(saved)
    with pytest.raises(InputError, match=says) as caught:
        Trajectory.open(saved.folder)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("text.values", lambda t: t * torch.nan), ("image.variance", lambda t: -t - 1),
        ("image.mean", lambda t: t[:-1]), ("text.count", lambda t: t.float()), ("text.positions", lambda t: t * 0),
        ("image.positions", lambda t: t + 1000), ("rollout_text", lambda t: t[:-1]),
        ("rollout_image", lambda t: t.flatten(1)), ("random", lambda t: t[:100]),
    ],
)  # fmt: skip
def test_latents_that_no_search_could_have_left_are_refused(saved, name, change):
    """Rather than going on to an image of numbers that are none."""
    path = saved.folder / "state-002.safetensors"
    tensors = load_file(path)
    save_file(tensors | {name: change(tensors[name]).contiguous()}, path)
    with pytest.raises(InputError, match=f"Step 2 of this run cannot be continued from.*{name}"):
        Trajectory.open(saved.folder).state(2)
    assert saved.state(1).index == 1


def test_a_memory_that_no_strategy_left_is_refused(tiny, redness, tmp_path):
    settings = replace(SETTINGS, strategy="text", text_update="coordinate")
    state = next(s for s in run(tiny, redness, settings) if s.index and s.best < s.index).state
    assert state.memory["tried"] and state.kept.index == state.best
    for wrong in (["x"], [HUGE], [-1], 3):
        with pytest.raises(InputError, match="memory"):
            next(reason(tiny, redness, "", state=replace(state, memory={"tried": wrong})))


def test_links_damaged_images_and_no_bundle_are_refused(saved, tmp_path):
    (saved.folder / "step-002.png").write_bytes(b"not a picture")
    with pytest.raises(InputError, match="not the image"):
        saved.image(2)
    Image.new("1", (5000, 5000)).save(saved.folder / "step-001.png")
    with pytest.raises(InputError, match="larger than any model draws"):
        saved.step(1)
    for name in ("step-003.png", "state-003.safetensors"):
        (saved.folder / name).unlink()
        (saved.folder / name).symlink_to("/etc/hostname")
    with pytest.raises(InputError, match="link"):
        saved.image(3)
    with pytest.raises(InputError, match="link"):
        saved.state(3)
    with pytest.raises(InputError, match="no run bundle"):
        Trajectory.open(tmp_path / "nothing")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "trajectory.json").write_text("[" * 100000)
    with pytest.raises(InputError, match="no run bundle"):
        Trajectory.open(tmp_path / "deep")


def test_appending_out_of_turn_and_other_weights_are_refused(saved, steps, tiny, embedded):
    with pytest.raises(InputError, match="has 5 steps"):
        saved.append(steps[2].state)
    with pytest.raises(InputError, match="holds a run already"):
        Trajectory.create(saved.folder, tiny, "redness", PROMPT)
    saved.check_model(tiny)
    with pytest.raises(InputError, match="other weights"):
        saved.check_model(embedded)


def test_halves_of_characters_that_a_judge_sends_leave_blanks_in_words_and_marks_in_what_is_raw(steps, tiny, tmp_path):
    score = replace(steps[0].score, reason="a \ud83d b", raw={"said": "\ud83d", "nan": float("nan")})
    state = replace(steps[0].state, drawn=replace(steps[0].state.drawn, score=score))
    bundle = Trajectory.create(tmp_path / "run", tiny, "redness", PROMPT)
    bundle.append(state)
    record = Trajectory.open(bundle.folder).record(0)
    assert isinstance(record, StepRecord) and record.reason == "a   b" and record.raw == {"said": "?", "nan": "NaN"}


def test_boxes_of_a_score_are_kept_within_the_image(tiny, redness, tmp_path):
    (step,) = run(tiny, redness, SearchSettings(steps=0))
    boxes = (Box("cat", -0.01, 0.2, 0.5, 1.02, MISSED, "a cat"), Box("dog", 0.0, 0.0, 1.0, 1.0))
    drawn = replace(step.state.drawn, score=replace(step.score, boxes=boxes))
    kept = Trajectory.create(tmp_path / "boxes", tiny, "redness", PROMPT)
    kept.append(replace(step.state, drawn=drawn))
    expected = (replace(boxes[0], x0=0.0, y1=1.0), boxes[1])
    again = Trajectory.open(kept.folder)
    assert again.step(0).score.boxes == expected == again.state(0).drawn.score.boxes
