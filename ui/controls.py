"""The controls of a search, built from `milr_core.settings.KNOBS` and what the model recommends."""

import math
import random
from dataclasses import dataclass
from typing import Any

import gradio as gr

from milr_core.critics import CRITICS
from milr_core.settings import KNOBS, Knob, SearchSettings

SLIDERS = ("text_ratio", "image_ratio", "lr")
"""In sight at all times, each with the value in force beside it."""

LIVE = tuple(name for name, knob in KNOBS.items() if knob.live)
"""Settings that act on a running search."""

COMFORTABLE = {"lr": 1.0, "steps": 64, "guidance": 20.0, "temperature": 2.0}
"""Where a slider over the whole range would be too coarse to hit a value: its upper end."""

LARGEST_SEED = 2**31 - 1
"""Of the dice; a browser's numbers are exact far beyond."""


@dataclass(frozen=True)
class Controls:
    """knobs: by name, in the order of KNOBS. in_force: by the name of the live slider it stands beside."""

    knobs: dict[str, gr.components.Component]
    in_force: dict[str, gr.HTML]
    critic: gr.Dropdown
    dice: gr.Button


def knob_control(name: str, knob: Knob, value: Any) -> gr.components.Component:
    """A dropdown, a number field or a slider, whatever the knob's type and range ask for."""
    common = {"label": knob.label, "info": knob.help, "value": value, "elem_id": f"knob-{name}"}
    if knob.choices:
        return gr.Dropdown(list(knob.choices), **common)
    high = max(COMFORTABLE.get(name, knob.high), value)
    if not math.isfinite(high) or high > 1000:
        return gr.Number(precision=0, **common)
    low = knob.low + knob.step if knob.above_low else knob.low
    return gr.Slider(low, high, step=knob.step, precision=0 if knob.kind is int else None, **common)


def build_controls(recommended: dict[str, Any], critic: str) -> Controls:
    """Live sliders in sight, the rest in an accordion."""
    values = SearchSettings().resolve(recommended).as_dict()
    knobs, in_force = {}, {}
    gr.HTML("<h2>Live settings</h2><p class='hint'>Move them while a search runs: they act from its next step.</p>")
    for name in SLIDERS:
        with gr.Column(elem_classes="card"):
            knobs[name] = knob_control(name, KNOBS[name], values[name])
            in_force[name] = gr.HTML("", elem_id=f"in-force-{name}")
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        known = "; ".join(f"{name}: {what}" for name, what in CRITICS.items())
        judge = gr.Dropdown(
            list(CRITICS),
            value=critic,
            label="Critic",
            info=f"Who scores the image. {known}. Or a mixture: terms as 0.7*oracle, joined by +. Fixed once started.",
            allow_custom_value=True,
            elem_id="critic",
        )
        for name, knob in KNOBS.items():
            if name in SLIDERS or name == "seed":
                continue
            knobs[name] = knob_control(name, knob, values[name])
        knobs["seed"] = knob_control("seed", KNOBS["seed"], values["seed"])
        dice = gr.Button("Random seed", size="sm", elem_id="dice")
    return Controls({name: knobs[name] for name in KNOBS}, in_force, judge, dice)


def random_seed() -> int:
    return random.randint(0, LARGEST_SEED)
