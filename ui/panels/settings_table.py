"""Everything that a step was made with, and what it cost."""

from collections.abc import Sequence
from html import escape

import gradio as gr

from milr_core import Cost, Step
from milr_core.settings import KNOBS
from ui.panels.words import cost, number, since
from ui.run import Outline


def build_settings() -> gr.HTML:
    return gr.HTML(settings([], None), elem_id="settings", render=False)


def settings(steps: Sequence[Outline], step: Step | None, prompt: str = "", critic: str = "", model: str = "") -> str:
    """A table; each setting says since when it has been in force."""
    if step is None:
        return '<p class="empty">The settings that each step was made with, and its cost, appear here.</p>'
    index = step.index
    rows = [("Prompt", prompt, ""), ("Model", model, ""), ("Critic", critic, "")]
    rows += [("Held-out critic", name, "") for name in step.observed]
    for name, value in step.settings.as_dict().items():
        first = since(steps, index, name)
        rows.append((KNOBS[name].label, number(value), f"since step {first}" if first else ""))
    for kind, norm in step.update_norm.items():
        rows.append((f"Update of {kind} latents", f"norm {norm:.3g}", f"gradient {step.gradient_norm[kind]:.3g}"))
    rows.append(("Cost of the step", cost(step.cost), ""))
    rows.append(("Cost so far", cost(sum((s.cost for s in steps[: index + 1]), Cost())), ""))
    cells = "".join(
        f'<tr><th scope="row">{escape(a)}</th><td>{escape(b)}</td><td class="since">{escape(c)}</td></tr>'
        for a, b, c in rows
    )
    return f'<table class="settings"><tbody>{cells}</tbody></table>'


def changes(steps: Sequence[Outline]) -> list[tuple[int, list[str]]]:
    """Say where settings were moved during a run: (step, ["λt, text: 0.2 → 0.5", …])."""
    moved = []
    for before, after in zip(steps, steps[1:], strict=False):
        if before.settings == after.settings:
            continue
        old, new = before.settings.as_dict(), after.settings.as_dict()
        said = [f"{KNOBS[n].label}: {number(old[n])} → {number(new[n])}" for n in old if old[n] != new[n]]
        if said:
            moved.append((after.index, said))
    return moved
