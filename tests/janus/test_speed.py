"""What speed is compared with, that the comparison runs, and that searching leaves no memory behind."""

import gc
import json

import psutil
import torch

from bench import speed
from bench.performance import write_section
from bench.reference import ReferenceWorkspace
from milr_core import SearchSettings, advance, reason, start
from milr_core.janus.decode import FREE, keep_going
from milr_core.janus.workspace import Workspace

PROMPT = "two red dogs left of a blue car"


def test_the_reference_loop_decodes_the_same_tokens(tiny, redness):
    settings = SearchSettings(steps=2, lr=0.3, text_ratio=0.5, image_ratio=0.2, seed=4)
    ends = []
    for workspace in (Workspace(tiny), ReferenceWorkspace(tiny)):
        state = start(tiny, redness, PROMPT, settings, workspace=workspace)
        for _ in range(2):
            state = advance(tiny, redness, state, settings, workspace=workspace)
        ends.append((state.drawn.text_tokens, state.drawn.image_tokens))
    assert ends[0] == ends[1]
    uniform = torch.rand(2, 16, generator=torch.Generator().manual_seed(0))
    forced = torch.full((2, 16), FREE)
    drawn = [
        workspace.images(PROMPT, "draw", uniform, forced, settings.resolve(tiny.recommended), keep_going)[0]
        for workspace in (Workspace(tiny), ReferenceWorkspace(tiny))
    ]
    assert torch.equal(*drawn)


def test_the_command_measures_and_writes_what_it_says(tiny_folder, tmp_path, capsys):
    out = tmp_path / "speed.json"
    assert speed.main(["--device", "cpu", "--model", str(tiny_folder), "--rounds", "1", "--out", str(out)]) == 0
    report = json.loads(out.read_text())
    (row,) = report["rows"]
    assert row["ratios"]["text: reference / ours"] > 1 and row["ratios"]["eight images / one"] < 8
    assert row["floor, seconds a token"] > 0
    shown = capsys.readouterr().out
    assert all(label in shown for label in row["ratios"]) and "python -m bench speed --device cpu" in shown


def test_memory_does_not_grow_with_searches(tiny, redness):
    def used(searches: int) -> int:
        for seed in range(searches):
            list(reason(tiny, redness, PROMPT, SearchSettings(steps=2, seed=seed)))
        gc.collect()
        return psutil.Process().memory_info().rss

    used(5)
    early = used(5)
    assert used(60) < 1.02 * early


def test_each_measurement_writes_its_own_section_of_the_page(tmp_path):
    page = tmp_path / "performance.md"
    write_section("The page", "old\n", page)
    write_section("", "# Performance\n\n### a model\n\n1 ms", page)
    write_section("Elsewhere", "2 ms", page)
    write_section("The page", "new", page)
    expected = "# Performance\n\n### a model\n\n1 ms\n\n## Elsewhere\n\n2 ms\n\n## The page\n\nnew\n"
    assert page.read_text() == expected
