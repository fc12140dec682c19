"""The visitor's own lane of a race: what the next step moves, or which word of the plan it changes."""

from typing import Any

import gradio as gr

from milr_core.settings import KNOBS
from ui.panels.reasoning import aligned
from ui.panels.scripted import scripted
from ui.tabs.comparison import MOVES, Comparison

TEMPLATE = f"""<form class="hand" hidden><h2>Your move</h2><p class="said" aria-live="polite"></p>
<fieldset><legend>The next step moves</legend>{
    "".join(
        f'<label><input type="radio" name="milr-hand" value="{what}"{" checked" * (what == "joint")}> {name}</label>'
        for what, name in MOVES.items()
    )
}</fieldset>
<label class="lr">Learning rate <input type="number" min="0.01" max="{KNOBS["lr"].high:g}" step="any"></label>
<label class="becomes" hidden>becomes <input type="text" maxlength="100" placeholder="the next likeliest"></label>
<button type="submit">Draw</button>
<p class="plan" role="group" aria-label="Words of the plan"></p></form>"""


def build_hand() -> gr.HTML:
    """A press asks for a step (event `move`, with `what`, `lr`, `word`, `becomes`)."""
    return scripted(__file__, TEMPLATE, {}, padding=False, render=True)


def hand(made: Comparison | None) -> dict[str, Any]:
    """Whether it is the visitor's move, what there is to say, the words of the plan with their places, and the learning
    rate to begin with; empty where nobody plays."""
    row = made.yours if made else None
    if made is None or row is None:
        return {}
    if not row.run.steps or row.done:
        return {"ready": False, "words": [], "said": "Your lane is done." if row.done else "Step 0 comes first."}
    step, left = row.run.step(row.run.newest), row.run.left
    words = aligned(step.text, step.token_strings)
    said = f"Image {step.index + 1}: {step.reward:.2f}. {step.reason} Up to {left} more are yours."
    return {
        "ready": made.awaited,
        "said": "Drawing what you chose…" if made.move else f"{made.message} {said}".strip(),
        "words": [[at, word] for at, (_, word, is_text) in enumerate(words) if is_text and word],
        "lr": row.run.planned.lr,
        "index": step.index,
    }
