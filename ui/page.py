"""The whole page as a function of a session: a value or an update for every output, in the order of `OUTPUTS`."""

from typing import Any

import gradio as gr

from ui import views
from ui.controls import SLIDERS
from ui.figure import reward_figure
from ui.session import PAUSED, RUNNING, WAITING, Session

PANEL = ("image", "reasoning", "score", "settings", "plot")
"""What belongs to the step looked at."""

IN_FORCE = tuple(f"{name}_in_force" for name in SLIDERS)
BUTTONS = ("run", "pause", "resume", "one_step", "stop", "leave")
OUTPUTS = (*PANEL, "status", "notice", "gallery", "step", *IN_FORCE, *BUTTONS, "clock")


def page(session: Session, ahead: int = 0, move_step: bool = False) -> list[Any]:
    """Every output. The step slider is moved only while it follows the search, or on demand: what the visitor has
    moved in the meantime must not jump back. ahead: how many wait or compute before this session."""
    run = session.run
    steps, paths = (run.steps, run.paths) if run else ([], [])
    step: dict[str, Any] = {"maximum": max(session.newest, 1), "interactive": session.newest > 0}
    if move_step or session.pinned is None:
        step["value"] = max(session.looked_at, 0)
    shown = {
        "status": views.status(session.phase, steps, run and run.planned, ahead),
        "gallery": views.tiles(steps, paths),
        "step": gr.update(**step),
        "clock": gr.update(active=session.phase == WAITING),
    }
    others = (*panel(session), *in_force(session), *buttons(session.phase))
    shown |= dict(zip((*PANEL, *IN_FORCE, "notice", *BUTTONS), others, strict=True))
    return [shown[name] for name in OUTPUTS]


def panel(session: Session) -> list[Any]:
    """The step looked at, in the order of PANEL."""
    run, at = session.run, session.looked_at
    if run is None or at < 0:
        figure = reward_figure([], 0, run and run.planned)
        return [gr.update(value=None), views.reasoning(None), views.score(None), views.settings([], 0), figure]
    step = run.steps[at]
    return [
        gr.update(value=run.paths[at], alt_text=views.image_alt(step, run.prompt)),
        views.reasoning(step),
        views.score(step),
        views.settings(run.steps, at, run.prompt, run.critic.name),
        reward_figure(run.steps, at, run.planned),
    ]


def in_force(session: Session) -> list[str]:
    """Beside the live sliders, in the order of IN_FORCE, and the notice."""
    steps, planned = (session.run.steps, session.run.planned) if session.run else ([], None)
    return [*(views.in_force(name, steps, planned) for name in SLIDERS), views.notice(session.notice)]


def buttons(phase: str) -> list[dict[str, Any]]:
    """Which buttons there are, and which may be pressed, in the order of BUTTONS."""
    busy = phase in (WAITING, RUNNING)
    return [
        gr.update(interactive=not busy),
        gr.update(visible=phase != PAUSED, interactive=phase == RUNNING),
        gr.update(visible=phase == PAUSED),
        gr.update(interactive=not busy),
        gr.update(visible=phase != WAITING, interactive=phase in (RUNNING, PAUSED)),
        gr.update(visible=phase == WAITING),
    ]
