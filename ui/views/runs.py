"""The runs of a session, one button each: data for `web/runs.js`."""

from typing import Any

from milr_core.state import BEST_OF_N
from ui.session import PAUSED, RUNNING, WAITING, Run
from ui.views.words import best_value


def runs(all_runs: list[Run], shown: Run | None) -> list[dict[str, Any]]:
    """number, whether it is the one shown, and what tells it from the others."""
    return [
        {"number": run.number, "shown": run is shown, "about": about(run), "prompt": run.prompt} for run in all_runs
    ]


def about(run: Run) -> str:
    method = run.planned.strategy
    if run.steps and run.steps[-1].method == BEST_OF_N:
        method = BEST_OF_N
    elif run.steps and run.planned.steps == 0:
        method = "step 0"
    best = f"best {best_value(run.steps):.2f}" if run.steps else run.phase
    under_way = run.phase if run.steps and run.phase in (WAITING, RUNNING, PAUSED) else ""
    return " · ".join(part for part in (method, best, run.origin, under_way) if part)
