"""The command line on the embedded model: what the README promises, bad input, kill and resume."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from milr_core.replay import replay

from milr_core import Trajectory
from milr_core.cli import main
from milr_core.diagnostics import token_probabilities

ROOT = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, "-m", "milr_core", "reason"]
# A threshold of 1 never stops early, so that the number of steps is known.
# One thread, as in this process: sums in another order are other sums.
ONE_THREAD = {"cwd": ROOT, "env": os.environ | {"OMP_NUM_THREADS": "1"}, "text": True}
SEARCH = ["three green triangles", "--steps", "6", "--seed", "1", "--threshold", "1", "--json"]


def tokens(folder):
    return [(r["text_tokens"], r["image_tokens"], r["reward"]) for r in Trajectory.open(folder).records]


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
    for i, step in enumerate(replay(run)):
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
        [*COMMAND, *SEARCH, "--steps", "30", "--out", folder], stdout=subprocess.PIPE, **ONE_THREAD
    )
    for _ in range(3):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 3 <= len(Trajectory.open(folder)) < 31
    assert main(["reason", "--resume", str(folder), "--json"]) == 0
    assert len(tokens(folder)) == 31 and tokens(folder)[:7] == tokens(whole[0])


def test_resume_with_more_steps_goes_on(whole, tmp_path, capsys):
    assert main(["reason", *SEARCH[:2], "2", *SEARCH[3:], "--out", str(tmp_path / "short")]) == 0
    capsys.readouterr()
    assert main(["reason", "--resume", str(tmp_path / "short"), "--steps", "6", "--json"]) == 0
    assert [json.loads(line)["index"] for line in capsys.readouterr().out.splitlines()] == [3, 4, 5, 6]
    assert tokens(tmp_path / "short") == tokens(whole[0])


def test_a_run_is_not_gone_on_with_under_another_critic(whole, capsys):
    before = (whole[0] / "trajectory.json").read_bytes()
    assert main(["reason", "--resume", str(whole[0]), "--critic", "self", "--steps", "9"]) == 2
    assert "scored by oracle" in capsys.readouterr().err and (whole[0] / "trajectory.json").read_bytes() == before


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
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130 and time.monotonic() - started < 10
    assert 1 <= len(Trajectory.open(folder)) < 61


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Give a prompt"),
        ([""], "prompt is empty"),
        (["circle " * 200], "Shorten it"),
        (["a red dragon"], "dragon"),
        (["red circle blue"], "I expected a shape"),
        (["two red circles", "--text-ratio", "0"], "(0, 1]"),
        (["two red circles", "--image-ratio", "1.5"], "(0, 1]"),
        (["two red circles", "--lr", "nan"], "lr is a finite number"),
        (["two red circles", "--lr", "-1"], "lr lies in"),
        (["two red circles", "--steps", "-1"], "steps lies in"),
        (["two red circles", "--steps", "many"], "steps is a whole number"),
        (["two red circles", "--strategy", "both"], "joint"),
        (["two red circles", "--model", "no-such"], "There is no model"),
        (["two red circles", "--model", str(ROOT / "tests")], "no checkpoint"),
        (["two red circles", "--critic", "no-such"], "There is no critic"),
        (["--resume", "/no/such/run"], "no run bundle"),
        (["two red circles", "--resume", "/no/such/run"], "leave out the prompt"),
        (["two red circles", "--nonsense"], "nonsense"),
    ],
)
def test_bad_input_says_what_to_do_and_exits_with_2(arguments, says, capsys):
    assert main(["reason", *arguments]) == 2
    captured = capsys.readouterr()
    assert says in captured.err and "Traceback" not in captured.err and captured.out == ""


def test_a_checkpoint_that_is_no_janus(tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    assert main(["reason", "two red circles", "--model", str(tmp_path)]) == 2
    assert "not 'janus'" in capsys.readouterr().err


def test_a_folder_that_holds_a_run_is_not_overwritten(whole, capsys):
    assert main(["reason", *SEARCH, "--out", str(whole[0])]) == 2
    assert "holds a run already" in capsys.readouterr().err
