"""The whole page as a function of a session: a value or an update for every output, in the order of `OUTPUTS`.

What a step changes, `SHOWN`, comes first: while steps are made nothing else is sent, since gradio's time for an update
goes with the number of its outputs.
"""

from pathlib import Path
from typing import Any

import gradio as gr

from ui.controls import SLIDERS
from ui.session import PAUSED, RUNNING, STOPPED, WAITING, Session
from ui.views.flags import flagged
from ui.views.plot import reward_figure
from ui.views.reasoning import reasoning
from ui.views.runs import runs
from ui.views.score import score
from ui.views.settings import settings
from ui.views.stage import other_step, picture
from ui.views.status import in_force, notice, status
from ui.views.strip import stepper, tiles

PANEL = ("stage", "reasoning", "score", "flags", "settings")
"""What is made anew for the step looked at; slider, plot and gallery mark it by themselves."""

IN_FORCE = tuple(f"{name}_in_force" for name in SLIDERS)
BUTTONS = ("run", "pause", "resume", "one_step", "stop", "leave", "fork")
PRESSED = (*BUTTONS, "clock")
SHOWN = (*PANEL, "stepper", "strip", "plot", "runs", "status", *IN_FORCE, "notice")
OUTPUTS = (*SHOWN, *PRESSED)


def url(path: str | Path) -> str:
    """Where the browser finds a file of this app's."""
    return f"gradio_api/file={path}"


def page(session: Session, ahead: int | None = None, wait: float | None = None) -> list[Any]:
    """Every output. ahead: how many wait or compute before this session, for `wait` seconds, if that is known."""
    return [*shown(session, ahead, wait), *pressed(session)]


def shown(session: Session, ahead: int | None = None, wait: float | None = None) -> list[Any]:
    """What steps are seen by, in the order of SHOWN."""
    run = session.shown
    steps, planned = (run.steps, run.planned) if run else ([], None)
    gallery = tiles(steps, [url(p) for p in run.paths], run.flags) if run else []
    others = [(other.number, other.steps) for other in session.runs if other is not run and other.steps]
    whole = {
        "stepper": stepper(run.number if run else 0, steps, planned, session.looked_at),
        "strip": {"run": run.number if run else 0, "tiles": gallery},
        "plot": reward_figure(steps, planned, others, run.title if others else "score")
        | {"run": run.number if run else 0},
        "runs": runs(session.runs, run),
        "status": status(session.phase, steps, planned, ahead, wait) + elsewhere(session),
    }
    rest = (*panel(session), *beside(session))
    whole |= dict(zip((*PANEL, *IN_FORCE, "notice"), rest, strict=True))
    return [whole[name] for name in SHOWN]


def elsewhere(session: Session) -> str:
    """For the status line: a run that computes while another is looked at."""
    if not session.busy or session.active is session.shown:
        return ""
    what = session.search.title.capitalize() if session.search else "Your comparison"
    return f" ({what} is {session.active.phase}.)"


def panel(session: Session) -> list[Any]:
    """The step looked at, in the order of PANEL."""
    run, at = session.shown, session.looked_at
    if run is None or at < 0:
        return [{}, reasoning(None), score(None), "", settings([], 0)]
    step, other = run.steps[at], other_step(run.steps, at, session.against, session.against_step)
    best = run.steps[-1].best
    return [
        picture(run.steps, at, other, [url(p) for p in run.paths], run.prompt),
        reasoning(step, run.steps[other] if other != at else None),
        score(step, best, run.critic),
        flagged(run.flags[at]),
        settings(run.steps, at, run.prompt, run.critic, run.model["id"]),
    ]


def beside(session: Session) -> list[str]:
    """Beside the live sliders, in the order of IN_FORCE, and the notice."""
    run = session.shown
    steps, planned = (run.steps, run.planned) if run else ([], None)
    return [*(in_force(name, steps, planned) for name in SLIDERS), notice(session.notice)]


def pressed(session: Session) -> list[dict[str, Any]]:
    """Which buttons there are, which of them may be pressed, and whether the clock runs, in the order of PRESSED."""
    busy = session.busy
    waiting = session.search is not None and session.search.phase == WAITING
    running = session.search is not None and session.search.phase == RUNNING
    held = not busy and session.phase in (PAUSED, STOPPED)
    forkable = not busy and session.shown is not None and session.shown.newest >= 0
    return [
        gr.update(interactive=not busy),
        gr.update(visible=not held, interactive=running),
        gr.update(visible=held),
        gr.update(interactive=not busy),
        gr.update(visible=not waiting, interactive=running or session.phase == PAUSED),
        gr.update(visible=waiting),
        gr.update(interactive=forkable),
        gr.update(active=waiting),
    ]
