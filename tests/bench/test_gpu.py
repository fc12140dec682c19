"""`python -m bench gpu` at tiny size on a CPU: every part through the code that a GPU would run."""

import json
import os
import time
from pathlib import Path

import pytest
import torch

from bench import gpu, gpu_page, gpu_parts, gpu_wheels
from bench.gpu_figures import figure
from bench.gpu_parts import PARTS, Bench, Part
from bench.performance import write_section
from milr_core import InputError

TINY = ["--tiny", "--device", "cpu"]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench("cpu", tmp_path, tiny=True)


def test_every_part_runs_and_one_that_fails_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "out"
    assert gpu.main([*TINY, "--parts", "a,b,d8,f,g", "--out", str(out)]) == 1
    machine, *rows = gpu_page.read_rows(out)
    assert machine["tiny"] and machine["torch"] == torch.__version__ and "--parts a,b,d8,f,g" in machine["command"]
    found = {(row["part"], row["what"]): row["value"] for row in rows if "what" in row}
    failed = {row["part"]: row["failed"] for row in rows if "failed" in row}
    assert list(failed) == ["d8"] and "needs a CUDA device" in failed["d8"]
    assert found["a", "texts equal to the CPU's, float32"] == found["a", "images equal to the CPU's, float32"] == 1
    assert found["a", "image tokens as the CPU's in float32, float32"] == 100
    assert found["b", "image token"] > found["b", "floor"] > 0 and found["b", "image: reference loop / ours"] > 0
    assert found["f", "kill: steps kept"] == 3
    assert found["f", "kill: resumed steps equal to those of a search left alone"] == 4
    assert found["f", "stop: until the search ended"] > 0 and found["g", "4 at once"] > 0
    report = capsys.readouterr().out
    assert report == (out / "report.md").read_text() and "Not measured: InputError: quantization 8bit" in report
    assert not (out / "work").exists()
    assert gpu.main(["--page", str(out)]) == 2 and "takes those of a GPU only" in capsys.readouterr().err


def test_a_part_that_takes_too_long_or_dies_is_ended_and_the_next_goes_on(bench: Bench, monkeypatch, tmp_path: Path):
    def slow(_):
        yield figure("first", 1)
        time.sleep(60)

    def dies(_):
        yield figure("second", 2)
        os._exit(7)

    def raises(_):
        yield figure("third", 3)
        raise RuntimeError("no\nroom")

    parts = [Part(str(i), "", 1, one) for i, one in enumerate((slow, dies, raises, gpu_parts.about_machine))]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("asked for CUDA before the parts were forked"))
    assert not gpu.measure(parts, bench, minutes=0.1, out=tmp_path, command="x")
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row["what"] for row in rows if "what" in row] == ["first", "second", "third"]
    late, died, raised = [row["failed"] for row in rows if "failed" in row]
    assert late.startswith("ended after its ") and died == "its process ended with code 7"
    assert raised == "RuntimeError: no room"
    assert rows[-1]["part"] == "3" and "machine" in rows[-1]


def test_what_was_found_on_a_gpu_becomes_a_section_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = tmp_path / "performance.md"
    page.write_text("# Performance\n\n## On a GPU\n\nNot run yet.\n\n## The page\n\nfast\n")
    monkeypatch.setattr(gpu_page, "write_section", lambda heading, text: write_section(heading, text, page))
    command = "python -m bench gpu --out OUT"
    machine = {"command": command, "date": "2026-11-27", "machine": "Card X", "device": "cuda", "tiny": False}
    machine |= {"part": "", "torch": "2.13.0"}
    rows = [machine, {"part": "c", **figure("image token / floor", 1.23456, "", "at most 1.5")}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    gpu_page.write_page(tmp_path)
    text = page.read_text()
    assert "Not run yet" not in text and "fast" in text and "2026-11-27, Card X, torch 2.13.0." in text
    assert "    python -m bench gpu --out OUT\n" in text and "| image token / floor | 1.235 | at most 1.5 |" in text


def test_bad_input_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = ["--out", str(tmp_path / "out")]
    for arguments, said in (
        ([], "--out says"),
        ([*out, "--parts", "z"], "There is no part 'z'. There are a, b, c, d8"),
        (["--page", str(tmp_path)], "holds no rows.jsonl"),
        (["--wheels", str(tmp_path)], "--have names a file"),
        (["--wheels", str(tmp_path), "--have", str(tmp_path / "no")], "is not there"),
        ([*TINY[:1], "--device", "nonsense", *out], "Nothing can be measured on 'nonsense'"),
    ):
        assert gpu.main(arguments) == 2
        assert said in capsys.readouterr().err


def test_wheels_are_gathered_for_what_is_missing_or_too_old(tmp_path: Path):
    have = tmp_path / "have.txt"
    here = gpu_wheels.missing({"torch": torch.__version__}, gpu_wheels.required())
    have.write_text(f"torch=={torch.__version__}\n" + "".join(f"{name}=={version}\n" for name, version in here.items()))
    frozen = gpu_wheels.read_frozen(have)
    assert not gpu_wheels.missing(frozen, gpu_wheels.required())
    del frozen["pooch"]
    frozen["transformers"] = "5.1.0"
    carried = gpu_wheels.missing(frozen, gpu_wheels.required())
    assert {"pooch", "transformers"} <= carried.keys() and not {"torch", "gradio", "numpy"} & carried.keys()
    with pytest.raises(InputError, match="The other machine has torch 2.0.0"):
        gpu_wheels.missing({**frozen, "torch": "2.0.0"}, gpu_wheels.required())


def test_parts_are_in_order_of_worth_and_share_the_minutes():
    assert [part.key for part in PARTS] == ["a", "b", "c", "d8", "d4", "f", "g"]
    assert all(part.share > 0 and part.title for part in PARTS)
