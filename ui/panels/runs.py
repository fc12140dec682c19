"""The runs of a visit, one button each."""

from typing import Any

import gradio as gr

from milr_core.state import BEST_OF_N
from ui.panels.scripted import scripted
from ui.panels.words import best_value
from ui.run import PAUSED, RUNNING, WAITING, Run

LETTERS = 28
"""Of a prompt, in the list of runs."""

TEMPLATE = '<div class="runs" role="group" aria-label="Runs"></div>'


def build_runs() -> gr.HTML:
    return scripted(__file__, TEMPLATE, [])


def runs(all_runs: list[Run], shown: Run | None) -> list[dict[str, Any]]:
    """number, whether it is the one shown, and what tells it from the others."""
    return [
        {"number": run.number, "shown": run is shown, "about": about(run), "prompt": run.prompt} for run in all_runs
    ]


def about(run: Run) -> str:
    method = run.planned.strategy
    if run.steps and run.planned.steps == 0:
        method = "step 0"
    elif run.steps and run.steps[-1].method == BEST_OF_N:
        method = BEST_OF_N
    best = f"best {best_value(run.steps):.2f}" if run.steps else run.phase
    under_way = run.phase if run.steps and run.phase in (WAITING, RUNNING, PAUSED) else ""
    prompt = run.prompt if len(run.prompt) <= LETTERS else run.prompt[: LETTERS - 1] + "…"
    return " · ".join(part for part in (f"“{prompt}”", method, best, run.origin, under_way) if part)
