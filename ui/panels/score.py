"""The score of a step: value, parts, the critic's reason, and what held-out critics say."""

from html import escape

import gradio as gr

from milr_core import Step
from milr_core.critics.base import IGNORED
from ui.panels.scripted import LABELLED, SCROLLED
from ui.panels.words import cost


def build_score() -> gr.HTML:
    return gr.HTML(score(None), label="Score", elem_id="score", js_on_load=SCROLLED, render=False, **LABELLED)


def _meter(name: str, value: float) -> str:
    return (
        f'<li><span class="name">{escape(name)}</span>'
        f'<meter min="0" max="1" value="{value:.4f}" aria-label="{escape(name)}"></meter>'
        f'<span class="value">{value:.2f}</span></li>'
    )


def score(step: Step | None, best: int = 0, critic: str = "") -> str:
    """best: index of the best step of the run as it stands."""
    if step is None:
        return '<p class="empty">The critic\'s score and its reasons appear here.</p>'
    badge = ' <span class="badge">★ best</span>' if best == step.index else ""
    by = f" by {escape(critic)}" if critic else ""
    parts = "".join(_meter(name, value) for name, value in step.parts.items())
    observed = "".join(_meter(f"{name} (held out)", seen.value) for name, seen in step.observed.items())
    held = f'<ul class="parts observed">{observed}</ul>' if observed else ""
    extras = [box.label for box in step.score.boxes if box.state == IGNORED]
    also = f" Also drew: {', '.join(extras)}." if extras and "also drew" not in step.reason.lower() else ""
    return (
        f'<p class="score"><strong>{step.reward:.2f}</strong> at step {step.index}{by}{badge}</p>'
        f'<ul class="parts">{parts}</ul><p class="reason">{escape(step.reason + also)}</p>{held}'
        f'<p class="legend">{escape(cost(step.cost))}</p>'
    )
