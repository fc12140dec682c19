"""What is worth knowing about a step, in plain words."""

from collections.abc import Sequence
from html import escape

import gradio as gr

from milr_core.diagnostics import Flag

MEANING = {
    "textual collapse": "The optimised prefix has pushed the reasoning off the language the model knows, so the plan "
    "no longer guides the drawing. A smaller learning rate or a smaller λt helps.",
    "visual collapse": "The optimised image tokens lead where the model does not know how to go on, and the rest "
    "of the image suffers. A smaller λv or learning rate helps.",
    "reward hacking": "The search pleases the critic it listens to while a critic it cannot hear likes the image less: "
    "the score may be exploited rather than earned.",
    "no change": "The latents moved, but not far enough for any token to become another one. A larger learning rate or "
    "λ changes more.",
    "early stop": "The image is good enough for the critic, so the search ends here instead of spending all its steps.",
}
SYMBOL = {"early stop": "✓", "no change": "="}
WARNING = "!"


def build_flags() -> gr.HTML:
    return gr.HTML("", elem_id="flags", render=False)


def chip(kind: str) -> str:
    """Name and sign of a flag; the sign tells without colour."""
    mood = "good" if kind == "early stop" else "note" if kind == "no change" else "bad"
    return f'<span class="flag {mood}"><span aria-hidden="true">{SYMBOL.get(kind, WARNING)}</span> {kind}</span>'


def flagged(found: Sequence[Flag]) -> str:
    """The flags of a step with what they mean; nothing where there are none."""
    items = (
        f"<details><summary>{chip(flag.kind)}</summary><p>{MEANING[flag.kind]} {escape(flag.detail)}</p></details>"
        for flag in found
    )
    return "".join(items)
