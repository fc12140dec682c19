"""Where a search is, what is in force, what a run will cost: single sentences."""

from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from milr_core import SearchSettings, Step
from milr_core.settings import size
from ui.panels.scripted import script
from ui.panels.words import best_value, counted, number, seconds, since
from ui.run import FAILED, FINISHED, IDLE, PAUSED, REPLAYED, RUNNING, STOPPED, WAITING, Outline
from ui.waiting_list import NOWHERE, Place

SLIDERS = ("text_ratio", "image_ratio", "lr")
"""Live settings in sight at all times, each with the value in force beside it."""


def build_status(value: str, elem_id: str, **more: Any) -> gr.HTML:
    """A status line, which its script says to screen readers."""
    return gr.HTML(value, elem_id=elem_id, js_on_load=script(__file__), **more)


def waiting(place: Place) -> str:
    """The status line of what waits for its turn."""
    if place.loading:
        return "Loading the engine: this begins as soon as it is there."
    if place.ahead is None:
        return "Waiting for your turn."
    others = "Another visitor's search is" if place.ahead == 1 else f"{place.ahead} searches of other visitors are"
    about = f" About {seconds(place.wait)}." if place.wait else ""
    return f"Waiting for your turn. {others} ahead of yours.{about}" if place.ahead else "Starting."


def status(
    phase: str, steps: Sequence[Outline], planned: SearchSettings | None, place: Place = NOWHERE, about: str = ""
) -> str:
    """The status line. place: of a search that waits. about: of a recorded run, what there is to see in it."""
    if phase == WAITING:
        return waiting(place)
    if phase == IDLE or planned is None:
        return "Ready. Say what to draw, then press Run."
    if not steps:
        return {
            RUNNING: "Reasoning and drawing step 0.",
            PAUSED: "Paused before step 0.",
            FAILED: "Failed at step 0: what to do is said below. Resume tries it again.",
        }.get(phase, "Stopped before step 0.")
    last = steps[-1]
    where = f"step {last.index} of {max(planned.steps, last.index)}, score {last.reward:.2f}, best {last.best}"
    if phase == RUNNING:
        return f"Running: {where}."
    where = f"{where} ({best_value(steps):.2f})"
    if phase == REPLAYED:
        return f"A recorded run, nothing is computed: {where}.{f' {about}.' if about else ''}"
    if phase == FAILED:
        return f"Failed after {where}: what to do is said below. Resume tries the next step again."
    if phase == FINISHED:
        why = ", all steps are done" if last.index >= planned.steps else ""
        if last.reward > planned.threshold:
            why = f", the score passed the threshold {number(planned.threshold)}"
        return f"Finished{why}: {where}."
    return f"{'Paused' if phase == PAUSED else STOPPED.capitalize()}: {where}."


def notice(message: str) -> str:
    return f'<div class="notice" role="alert">{escape(message)}</div>' if message else ""


def reach(name: str, planned: SearchSettings, step: Step | None) -> str:
    """What a share comes to in this run: "first 18 of 37 words". Empty for what is no share, or before a step."""
    if step is None or name not in ("text_ratio", "image_ratio"):
        return ""
    text = name == "text_ratio"
    total, rule = (
        (len(step.text_tokens), planned.text_positions) if text else (len(step.image_tokens), planned.positions)
    )
    which = "first " if rule == "prefix" else ""
    return f"{which}{size(getattr(planned, name), total)} of {counted(total, 'word' if text else 'cell')}"


def in_force(name: str, steps: Sequence[Outline], planned: SearchSettings | None, newest: Step | None = None) -> str:
    """Say beside a live slider: the value that the newest step was made with, and the one that comes next."""
    if planned is None:
        return ""
    what, coming = reach(name, planned, newest), getattr(planned, name)
    if not steps:
        said = f"in force from step 0: <b>{number(coming)}</b>"
    else:
        value = getattr(steps[-1].settings, name)
        said = f"in force since step {since(steps, steps[-1].index, name)}: <b>{number(value)}</b>"
        said += "" if value == coming else f"; from the next step: <b>{number(coming)}</b>"
    return f"{what} · {said}" if what else said


def estimate(steps: int, seconds_a_step: float | None, paid_judges: int, more: str = "", methods: int = 1) -> str:
    """Before a run, or a comparison of methods that share step 0: what it takes at most. paid_judges: critics and
    observers whose calls cost money. more: what the engine says of its own cost."""
    images = methods * steps + 1
    of_each = f" for each of {methods} methods" if methods > 1 else ""
    if seconds_a_step is None:
        time = "How long a step takes on this machine is not known yet"
    else:
        time = f"About {seconds(images * seconds_a_step)} at {seconds_a_step:.2g} s a step, as measured here"
    calls = paid_judges * images
    money = f"<b>Up to {counted(calls, 'call')} to a paid service.</b>" if calls else "No call costs money."
    what = f"step 0 and {counted(steps, 'step')} of search{of_each}" if methods and steps else "step 0"
    return f"At most {counted(images, 'image')}: {what}. {time}. {money} {escape(more)}".strip()
