"""The command line on the embedded model: what the README promises, bad input, kill and resume."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from milr_core import Trajectory
from milr_core.cli import main
from milr_core.cli.output import json_line, write_any_character
from milr_core.probabilities import token_probabilities
from milr_core.trajectory import LINES, writing

ROOT = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, "-m", "milr_core", "reason"]
# A threshold of 1 never stops early, so that the number of steps is known.
# One thread, as in this process: sums in another order are other sums.
ONE_THREAD = {"cwd": ROOT, "env": os.environ | {"OMP_NUM_THREADS": "1"}, "text": True}
SEARCH = ["three green apples", "--steps", "6", "--seed", "1", "--threshold", "1", "--json"]


def tokens(folder):
    return [(r.text_tokens, r.image_tokens, r.reward) for r in Trajectory.open(folder).records]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, embedded):
    folder = tmp_path_factory.mktemp("cli") / "run"
    done = subprocess.run([*COMMAND, *SEARCH, "--out", folder], capture_output=True, timeout=120, **ONE_THREAD)
    return folder, done


def test_one_json_object_a_step_and_the_images_where_it_says(whole):
    folder, done = whole
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert [line["index"] for line in lines] == list(range(7))
    for line in lines:
        assert set(line) == {"index", "text", "reward", "image", "best", "seconds"}
        assert Path(line["image"]).is_file() and Path(line["image"]).parent == folder
    assert sorted(p.name for p in folder.glob("*.png")) == [f"step-{i:03d}.png" for i in range(7)]


def test_a_run_of_the_command_line_replays_with_its_tokens_probabilities(whole, embedded):
    run = Trajectory.open(whole[0])
    for i, step in enumerate(run.steps()):
        expected = token_probabilities(embedded, run.state(i))
        assert len(step.probabilities.text) == len(step.text_tokens)
        assert step.probabilities.image == pytest.approx(expected.image, abs=2e-3)


def test_the_same_command_twice_is_the_same_run(whole, tmp_path, capsys):
    assert main(["reason", *SEARCH, "--out", str(tmp_path / "again")]) == 0
    assert tokens(tmp_path / "again") == tokens(whole[0])
    for i in range(7):
        name = f"step-{i:03d}.png"
        assert (tmp_path / "again" / name).read_bytes() == (whole[0] / name).read_bytes()


def test_killed_and_resumed_is_the_undisturbed_run(whole, tmp_path):
    folder = tmp_path / "killed"
    process = subprocess.Popen(
        [*COMMAND, *SEARCH, "--steps", "18", "--out", folder], stdout=subprocess.PIPE, **ONE_THREAD
    )
    for _ in range(3):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 3 <= len(Trajectory.open(folder)) < 19
    assert main(["reason", "--resume", str(folder), "--json"]) == 0
    assert len(tokens(folder)) == 19 and tokens(folder)[:7] == tokens(whole[0])


def test_resume_with_more_steps_goes_on(whole, tmp_path, capsys):
    assert main(["reason", *SEARCH[:2], "2", *SEARCH[3:], "--out", str(tmp_path / "short")]) == 0
    capsys.readouterr()
    assert main(["reason", "--resume", str(tmp_path / "short"), "--steps", "6", "--json"]) == 0
    assert [json.loads(line)["index"] for line in capsys.readouterr().out.splitlines()] == [3, 4, 5, 6]
    assert tokens(tmp_path / "short") == tokens(whole[0])


def test_a_run_is_not_gone_on_with_under_another_critic(whole, capsys):
    before = (whole[0] / LINES).read_bytes()
    assert main(["reason", "--resume", str(whole[0]), "--critic", "self", "--steps", "9"]) == 2
    assert "scored by oracle" in capsys.readouterr().err and (whole[0] / LINES).read_bytes() == before


def test_resuming_a_run_that_is_done_says_so(whole, capsys):
    assert main(["reason", "--resume", str(whole[0]), "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "" and "The run is done: 6 of 6 steps" in captured.err


def test_interrupt_keeps_the_steps_so_far(tmp_path):
    folder = tmp_path / "stopped"
    process = subprocess.Popen(
        [*COMMAND, *SEARCH, "--steps", "60", "--out", folder], stdout=subprocess.PIPE, **ONE_THREAD
    )
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    assert 1 <= len(Trajectory.open(folder)) < 61


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Give a prompt"),
        ([""], "prompt is empty"),
        (["dog " * 200], "longer than 400 characters"),
        (["a red dragon"], "dragon"),
        (["eleven dogs"], "11"),
        (["two red dogs", "--text-ratio", "0"], "(0, 1]"),
        (["two red dogs", "--image-ratio", "1.5"], "(0, 1]"),
        (["two red dogs", "--lr", "nan"], "lr is a finite number"),
        (["two red dogs", "--lr", "-1"], "lr lies in"),
        (["two red dogs", "--steps", "-1"], "steps lies in"),
        (["two red dogs", "--steps", "many"], "steps is a whole number"),
        (["two red dogs", "--strategy", "both"], "joint"),
        (["two red dogs", "--model", "no-such"], "There is no model"),
        (["two red dogs", "--model", str(ROOT / "tests")], "no checkpoint"),
        (["two red dogs", "--critic", "no-such"], "There is no critic"),
        (["--resume", "/no/such/run"], "no run bundle"),
        (["two red dogs", "--resume", "/no/such/run"], "leave out the prompt"),
        (["two red dogs", "--nonsense"], "nonsense"),
    ],
)
def test_bad_input_says_what_to_do_and_exits_with_2(arguments, says, capsys):
    assert main(["reason", *arguments]) == 2
    captured = capsys.readouterr()
    assert says in captured.err and "Traceback" not in captured.err and captured.out == ""


def test_a_checkpoint_that_is_no_janus(tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    assert main(["reason", "two red dogs", "--model", str(tmp_path)]) == 2
    assert "not 'janus'" in capsys.readouterr().err


def test_a_folder_that_holds_a_run_is_not_overwritten(whole, capsys):
    assert main(["reason", *SEARCH, "--out", str(whole[0])]) == 2
    assert "holds a run already" in capsys.readouterr().err


@pytest.fixture
def short(tiny_folder):
    """A search of the tiny model, in this process."""
    return ["reason", "two red dogs", "--model", str(tiny_folder), "--critic", "self", "--threshold", "1", "--json"]


def test_a_run_that_was_killed_before_its_first_step_resumes_as_the_same_search(short, tmp_path, capsys):
    asked = ["--steps", "2", "--seed", "7", "--lr", "0.5", "--text-ratio", "0.3", "--observer", "oracle"]
    assert main([*short, *asked, "--out", str(tmp_path / "whole")]) == 0
    killed = tmp_path / "killed"
    killed.mkdir()
    header, *_ = (tmp_path / "whole" / LINES).read_text().splitlines()
    (killed / LINES).write_text(header + "\n" + '{"index": 0, "te')
    assert main(["reason", "--resume", str(killed), *short[2:4], "--json"]) == 0
    assert tokens(killed) == tokens(tmp_path / "whole")
    assert [step.observed.keys() for step in Trajectory.open(killed).steps()] == [{"oracle"}] * 3


def test_a_second_resume_at_the_same_time_is_refused(short, tmp_path, capsys):
    assert main([*short, "--steps", "0", "--out", str(tmp_path / "run")]) == 0
    with writing(tmp_path / "run"):
        assert main(["reason", "--resume", str(tmp_path / "run"), *short[2:4], "--steps", "1"]) == 2
    assert "being written by another process" in capsys.readouterr().err
    assert main(["reason", "--resume", str(tmp_path / "run"), *short[2:4], "--steps", "1"]) == 0


def test_a_lost_last_state_is_said_and_its_step_made_again(short, tmp_path, capsys):
    assert main([*short, "--steps", "2", "--out", str(tmp_path / "run")]) == 0
    before = tokens(tmp_path / "run")
    (tmp_path / "run" / "state-002.safetensors").unlink()
    assert main(["reason", "--resume", str(tmp_path / "run"), *short[2:4], "--json"]) == 0
    assert "The state of step 2 is missing or damaged" in capsys.readouterr().err and tokens(tmp_path / "run") == before


def test_a_seed_of_minus_one_is_drawn_and_kept(short, tmp_path, capsys):
    for name in "ab":
        assert main([*short, "--steps", "0", "--seed", "-1", "--out", str(tmp_path / name)]) == 0
    seeds = [Trajectory.open(tmp_path / name).header.settings["seed"] for name in "ab"]
    assert seeds[0] != seeds[1] and all(0 <= seed < 2**31 for seed in seeds)
    assert Trajectory.open(tmp_path / "a").record(0).settings["seed"] == seeds[0]


def test_numbers_that_are_none_end_the_run_and_nothing_of_the_step_is_written(tiny_folder, short, tmp_path, capsys):
    broken = tmp_path / "broken"
    shutil.copytree(tiny_folder, broken)
    weights = load_file(broken / "model.safetensors")
    name = next(name for name in weights if "generation_head" in name and weights[name].dim() == 2)
    weights[name][0] = torch.nan
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    code = main([*short, "--model", str(broken), "--out", str(tmp_path / "run")])
    said = capsys.readouterr().err
    assert code in (1, 2) and "NaN" in said and "float32" in said and "image" in said
    assert len(Trajectory.open(tmp_path / "run")) == 0 and not list((tmp_path / "run").glob("*.png"))


def test_any_character_goes_through_any_encoding(monkeypatch):
    """A step's text with a character that cp1252 lacks, as Windows redirects output."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", newline="\n")
    monkeypatch.setattr(sys, "stdout", output)
    write_any_character()
    output.write(json_line({"text": "\u0394\U0001f600\x9b"}, output))
    print("\u0394", flush=True)
    line, shown = output.buffer.getvalue().decode("cp1252").splitlines()
    assert json.loads(line) == {"text": "\u0394\U0001f600\x9b"} and shown == r"\u0394"


def test_output_that_nobody_reads_ends_the_command_without_a_traceback():
    critics = f"{sys.executable} -m milr_core critics"
    commands = (f"{critics} --json | head -c 1 > /dev/null; exit ${{PIPESTATUS[0]}}", f"{critics} > /dev/full")
    left, full = [subprocess.Popen(["bash", "-c", one], stderr=subprocess.PIPE, **ONE_THREAD) for one in commands]
    said, why = left.communicate()[1], full.communicate()[1]
    assert left.returncode in (0, 141) and "Traceback" not in said and "Error" not in said
    assert full.returncode == 1 and "No space left on device" in why and "Traceback" not in why
