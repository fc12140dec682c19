"""The runs of a session, one button each: data for `web/runs.js`."""

from typing import Any

from ui.session import Run
from ui.views.words import best_value


def runs(all_runs: list[Run], shown: Run | None) -> list[dict[str, Any]]:
    """number, whether it is the one shown, and what tells it from the others."""
    return [
        {"number": run.number, "shown": run is shown, "about": about(run), "prompt": run.prompt} for run in all_runs
    ]


def about(run: Run) -> str:
    best = f"best {best_value(run.steps):.2f}" if run.steps else run.phase
    return " · ".join(part for part in (run.planned.strategy, best, run.origin) if part)
