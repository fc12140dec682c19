"""Whole runs on a tiny random Janus: executors, kills, failures, official layouts."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli import main
from bench.executor import Processes, Queue, here
from bench.methods import parse_methods
from bench.run import Run, execute
from bench.store import differences, read_records
from bench.suites import Item
from bench.worker import Job, Setup, Worker
from milr_core import SearchSettings

ROOT = Path(__file__).resolve().parents[2]
METHODS = "base,step0,text,best-of-n-early"
PROMPTS = ["two red dogs", "a blue car above a red dog", "three green cats"]


@pytest.fixture
def arguments(tiny_folder, tmp_path):
    """Give the arguments of `python -m bench run`, without --out."""
    (tmp_path / "prompts.txt").write_text("\n".join(PROMPTS))
    return [
        "run", "--suite", str(tmp_path / "prompts.txt"), "--methods", METHODS, "--model", str(tiny_folder), "--device",
        "cpu", "--critic", "oracle", "--seeds", "2", "--steps", "2", "--lr", "0.5",
    ]  # fmt: skip


def jobs(tiny_folder):
    setup = Setup(str(tiny_folder), "oracle", ("self",), SearchSettings(steps=2, lr=0.5), "cpu")
    items = [Item(f"{i:05d}", prompt, "prompts", i) for i, prompt in enumerate(PROMPTS)]
    return setup, [Job(item, seed, tuple(parse_methods(METHODS))) for item in items for seed in (0, 1)]


def plain(results):
    assert not any(r.error for r in results), [r.error for r in results]
    return [r.record for r in results]


@pytest.fixture(scope="module")
def alone(tiny_folder):
    return plain(list(here(*jobs(tiny_folder))))


def test_a_record_holds_what_the_tables_need(alone):
    base, step0, text, best = alone[:4]
    assert [r["method"] for r in alone[:4]] == METHODS.split(",")
    assert base["text"] == "" and base["image_rollouts"] == 1 and base["text_tokens"] == 0
    assert step0["rewards"][0] == text["rewards"][0] == best["rewards"][0], "methods share step 0"
    assert text["rollouts"] == list(range(1, len(text["rewards"]) + 1))
    assert text["image_tokens"] == 16 * text["image_rollouts"] and text["critic_calls"] == text["image_rollouts"]
    assert len(text["observed"]["self"]["values"]) == len(text["rewards"])
    assert len({r["settings"]["seed"] for r in alone}) == 6, "a seed a prompt and run seed, the same for all methods"


def test_processes_give_the_records_of_one_process_in_spite_of_a_death(tiny_folder, alone):
    executor, results, killed = Processes(2), [], False
    for result in executor(*jobs(tiny_folder)):
        results.append(result)
        if not killed:
            killed = True
            (victim, *_) = [p for p in _children() if "spawn_main" in p[1]]
            os.kill(victim[0], signal.SIGKILL)
    records = plain(results)
    keys = [(r["item"], r["method"], r["seed"]) for r in records]
    assert len(set(keys)) == len(keys) == len(alone)
    assert differences(records, alone) == []


def _children():
    """(pid, command line) of this process's children."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.append((int(path.parent.name), (path.parent / "cmdline").read_text()))
        except OSError:
            continue
    return found


def test_a_batch_gives_the_records_of_one_prompt_after_another(tiny_folder, alone):
    setup, all_jobs = jobs(tiny_folder)
    queue = Queue(all_jobs, 4)
    assert [len(queue.next()[0]) for _ in range(2)] == [4, 2] and queue.next() is None
    together = plain(list(here(replace(setup, batch=4), all_jobs)))
    assert {r["item"] for r in together[:4]} != {together[0]["item"]}, "several prompts at once"

    def of(records):
        return {(r["item"], r["method"], r["seed"]): (r["text"], r["best"], r["rollouts"]) for r in records}

    assert of(together) == of(alone)
    rewards = {(r["item"], r["method"], r["seed"]): r["rewards"] for r in alone}
    for record in together:
        expected = rewards[record["item"], record["method"], record["seed"]]
        assert record["rewards"] == pytest.approx(expected, abs=1e-5)


def test_a_failure_in_a_batch_is_its_own_record(tiny_folder, alone):
    setup, (first, *_) = jobs(tiny_folder)
    wrong = replace(first, item=Item("x", "a red zeppelin", "prompts", 9))
    results = list(here(replace(setup, batch=2), [first, wrong]))
    assert {r.item.id for r in results if r.error} == {"x"} and len(results) == 2 * len(METHODS.split(","))
    assert all("zeppelin" in r.error for r in results if r.error)


def test_a_job_over_which_workers_keep_dying_is_given_up(tiny_folder):
    _, (job, *_) = jobs(tiny_folder)
    queue = Queue([job])
    first, tries = queue.next()
    arrived = {(job.item.id, job.seed, name) for name in ("base", "step0")}
    assert list(queue.back(first, tries, arrived, "exit -9")) == []
    again, tries = queue.next()
    assert [m.name for m in again[0].methods] == ["text", "best-of-n-early"] and tries == 2
    failures = list(queue.back(again, 3, set(), "exit -9"))
    assert [r.method for r in failures] == ["text", "best-of-n-early"] and "exit -9" in failures[0].error
    assert queue.next() is None


def test_a_killed_driver_loses_and_doubles_nothing(arguments, tmp_path, capsys):
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "bench", *arguments, "--out", str(out), "--workers", "1"]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    driver = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    records = out / "records.jsonl"
    for _ in range(1200):
        if records.exists() and records.read_bytes().count(b"\n") >= 3:
            break
        time.sleep(0.1)
    driver.kill()
    driver.wait()
    kept = records.read_bytes()
    assert 3 <= kept.count(b"\n") < 24
    assert main([*arguments, "--out", str(out), "--workers", "0"]) == 0
    assert records.read_bytes().startswith(kept) and records.read_bytes().count(b"\n") == 24
    assert main([*arguments, "--out", str(tmp_path / "whole"), "--workers", "0"]) == 0
    capsys.readouterr()
    assert main(["compare", str(out), str(tmp_path / "whole")]) == 0
    assert "The same 24 records." in capsys.readouterr().out


def test_ray_gives_the_records_of_one_process(tiny_folder, alone):
    pytest.importorskip("ray")
    from bench.on_ray import OnRay  # noqa: PLC0415 - an extra

    records = plain(list(OnRay(2, cpus=1, gpus=0)(*jobs(tiny_folder))))
    assert differences(records, alone) == []


def test_geneval_runs_into_its_official_folders(any_word_folder, tmp_path):
    tasks = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
    rows = [{"tag": t, "include": [{"class": "bench", "count": 1}], "prompt": f"a photo of a bench {t}"} for t in tasks]
    (tmp_path / "evaluation_metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    setup = Setup(str(any_word_folder), "self", (), SearchSettings(steps=1), "cpu")
    suite = f"geneval:{tmp_path / 'evaluation_metadata.jsonl'}"
    run = Run(tmp_path / "run", suite, tuple(parse_methods("step0,joint")), setup, seeds=2)
    assert execute(run, here) == 0
    for method in ("step0", "joint"):
        for i, row in enumerate(rows):
            folder = tmp_path / "run/images" / method / f"{i:05d}"
            assert json.loads((folder / "metadata.jsonl").read_text()) == row
            assert sorted(p.name for p in (folder / "samples").iterdir()) == ["0000.png", "0001.png"]


def test_trackio_gets_every_record_and_goes_on_in_the_same_run(arguments, tmp_path):
    pytest.importorskip("trackio")
    env = os.environ | {"TRACKIO_DIR": str(tmp_path / "trackio"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "bench", *arguments, "--out", str(tmp_path / "tracked"), "--workers", "0"]
    for limit in ("1", "2"):  # its folder is read once, when it is imported: hence processes
        done = subprocess.run(
            [*command, "--trackio", "milr", "--limit", limit], cwd=ROOT, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.lstrip().startswith("# Run"), "only the report goes to stdout"
    with sqlite3.connect(tmp_path / "trackio" / "milr.db") as database:
        rows = database.execute("select run_name, metrics from metrics order by id").fetchall()
    metrics = [json.loads(row[1]) for row in rows]
    assert {row[0] for row in rows} == {"tracked"}
    assert [m["records"] for m in metrics] == list(range(1, 17))
    assert {f"success/{name}" for name in METHODS.split(",")} | {"records", "seconds"} == set(metrics[-1])


def test_what_cannot_be_made_is_told_apart_from_a_score_and_tried_again(arguments, tmp_path, capsys):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("two red dogs\na red zeppelin\n")
    out = ["--out", str(tmp_path / "run"), "--workers", "0", "--seeds", "1"]
    assert main([*arguments, *out]) == 1
    assert "zeppelin" in capsys.readouterr().err
    records, _ = read_records(tmp_path / "run")
    assert {r["prompt"] for r in records} == {"two red dogs"}
    failures = [json.loads(line) for line in (tmp_path / "run/failures.jsonl").read_text().splitlines()]
    assert [f["method"] for f in failures] == METHODS.split(",") and "zeppelin" in failures[0]["error"]


def test_bad_input_is_a_message_and_code_2(arguments, tmp_path, capsys):
    out = str(tmp_path / "run")
    bad = {
        "no method": ["--methods", "jont"], "lr lies in": ["--lr", "-1"], "1 or more": ["--seeds", "0"],
        "embedded world only": ["--plans", "wrong"], "no critic": ["--critic", "nobody"],
    }  # fmt: skip
    for says, extra in bad.items():
        assert main([*arguments, "--out", out, "--workers", "0", *extra]) == 2
        assert says in capsys.readouterr().err
    assert main(["report", out + "-not-there"]) == 2
    assert main(["study", "everything"]) == 2


def test_plans_are_read_without_drawing(tiny_folder):
    setup, (job, *_) = jobs(tiny_folder)
    worker = Worker(setup)
    (step0,) = [r.record for r in worker.run(Job(job.item, 0, tuple(parse_methods("step0"))))]
    assert worker.first_text(job.item.prompt) == step0["first_text"] != ""


def test_critics_are_made_with_what_the_run_and_the_prompt_say():
    item = Item("a", "p", "color", 0, critic_options={"compbench": {"category": "color"}})
    setup = Setup("m", "compbench", critic_options={"compbench": {"data": "x"}, "geneval": {"soft": True}})
    assert setup.options_of("compbench", item) == {"data": "x", "category": "color"}
    assert setup.options_of("oracle", item) == {}
    mixed = setup.options_of("0.5*compbench+0.5*geneval", item)
    assert mixed == {"compbench": {"data": "x", "category": "color"}, "geneval": {"soft": True}}
