"""The controls of a search, built from `milr_core.settings.KNOBS` and what the model recommends."""

import math
import random
from dataclasses import dataclass
from typing import Any

import gradio as gr

from milr_core.critics import CRITICS
from milr_core.settings import KNOBS, PRESETS, Knob, SearchSettings, recommended_settings

SLIDERS = ("text_ratio", "image_ratio", "lr")
"""In sight at all times, each with the value in force beside it."""

CAPTIONS = {
    "text_ratio": "Share of the words moved.",
    "image_ratio": "Share of the image cells moved.",
    "lr": "How far a step moves them.",
}
"""Of the sliders in sight, in fewer words than a knob's help."""

LIVE = tuple(name for name, knob in KNOBS.items() if knob.live)
"""Settings that act on a running search."""

COMFORTABLE = {"lr": 1.0, "steps": 64, "guidance": 20.0, "temperature": 2.0}
"""Where a slider over the whole range would be too coarse to hit a value: its upper end."""

LARGEST_SEED = 2**31 - 1
"""Of the dice; a browser's numbers are exact far beyond."""

NO_OBSERVER = "none"
OWN = "the model's own"


@dataclass(frozen=True)
class Controls:
    """knobs: by name, in the order of KNOBS. in_force: by the name of the live slider it stands beside.

    key, url, judge: what a critic behind an API asks for; in the group `paid`.
    """

    knobs: dict[str, gr.components.Component]
    in_force: dict[str, gr.HTML]
    critic: gr.Dropdown
    observer: gr.Dropdown
    key: gr.Textbox
    url: gr.Textbox
    judge: gr.Textbox
    paid: gr.Group
    preset: gr.Radio
    dice: gr.Button
    fork: gr.Button

    @property
    def judges(self) -> list[gr.components.Component]:
        return [self.critic, self.observer]

    @property
    def weighed(self) -> list[gr.components.Component]:
        """What the estimate of a run depends on."""
        return [self.knobs["steps"], *self.judges]

    @property
    def asked(self) -> list[gr.components.Component]:
        """All but the prompt, in the order in which handlers take them."""
        return [self.critic, self.observer, self.key, self.url, self.judge, *self.knobs.values()]


def knob_control(name: str, knob: Knob, value: Any) -> gr.components.Component:
    """A dropdown, a number field or a slider, whatever the knob's type and range ask for."""
    info = CAPTIONS.get(name, knob.help) + ("" if knob.live else " Fixed once a run has begun.")
    common = {"label": knob.label, "info": info, "value": value, "elem_id": f"knob-{name}"}
    if knob.choices:
        return gr.Dropdown(list(knob.choices), **common)
    high = max(COMFORTABLE.get(name, knob.high), value)
    if not math.isfinite(high) or high > 1000:
        return gr.Number(precision=0, **common)
    low = knob.low + knob.step if knob.above_low else knob.low
    return gr.Slider(low, high, step=knob.step, precision=0 if knob.kind is int else None, **common)


def build_controls(recommended: dict[str, Any], critic: str) -> Controls:
    """Live sliders in sight, with the fork that takes them over; critic and the rest in accordions."""
    values = recommended_settings(recommended).as_dict()
    knobs, in_force = {}, {}
    with gr.Column(elem_classes="card", elem_id="live"):
        gr.HTML("<h2>Live settings</h2><p class='hint'>Moved during a run, they act from its next step.</p>")
        for name in SLIDERS:
            knobs[name] = knob_control(name, KNOBS[name], values[name])
            in_force[name] = gr.HTML("", elem_id=f"in-force-{name}")
        fork = gr.Button("Fork the step shown, with these settings", size="sm", interactive=False, elem_id="fork")
    judges = _critic_controls(critic)
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        preset = gr.Radio(
            [OWN, *PRESETS], value=OWN, label="Preset", elem_id="preset",
            info="Sets the settings for the next run. paper: all as published. coordinate: one text token at a time.",
        )  # fmt: skip
        for name, knob in KNOBS.items():
            if name not in SLIDERS and name != "seed":
                knobs[name] = knob_control(name, knob, values[name])
        knobs["seed"] = knob_control("seed", KNOBS["seed"], values["seed"])
        dice = gr.Button("🎲 Random seed", size="sm", elem_id="dice")
    ordered = {name: knobs[name] for name in KNOBS}
    return Controls(ordered, in_force, preset=preset, dice=dice, fork=fork, **judges)


def half_typed(name: str, value: Any) -> bool:
    """Whether it may be the beginning of a number that is allowed: an empty field, or less than the least."""
    knob = KNOBS[name]
    if knob.choices or value is None:
        return not knob.choices
    return isinstance(value, int | float) and (value < knob.low or (knob.above_low and value == knob.low))


def preset_values(name: str, recommended: dict[str, Any]) -> list[Any]:
    """A value for every knob that a preset, or the model's own choice, sets; the others stay. In the order of KNOBS."""
    own = recommended_settings(recommended)
    chosen = own if name == OWN else SearchSettings(**PRESETS[name]).resolve(recommended)
    return [getattr(chosen, knob) if knob in PRESETS["paper"] else gr.skip() for knob in KNOBS]


def _critic_controls(critic: str) -> dict[str, Any]:
    named = [(f"{name}: {what}", name) for name, what in CRITICS.items()]
    made: dict[str, Any] = {}
    with gr.Accordion("Critic", open=False, elem_id="critics"):
        made["critic"] = gr.Dropdown(
            named, value=critic, label="Critic", allow_custom_value=True, elem_id="critic",
            info="Who scores the image; or a mixture: terms as 0.7*oracle, joined by +. Fixed once a run has begun.",
        )  # fmt: skip
        made["observer"] = gr.Dropdown(
            [NO_OBSERVER, *named], value=NO_OBSERVER, label="Held-out critic", allow_custom_value=True,
            elem_id="observer",
            info="Scores every step as well, and the search never hears it: where it falls while the score rises, the "
            "score is being exploited. Fixed once a run has begun.",
        )  # fmt: skip
    with gr.Group(visible=False, elem_id="paid") as made["paid"]:
        made["key"] = gr.Textbox(
            "", label="API key", type="password", elem_id="api-key",
            info="Used for this visit's calls only; never stored, logged or exported.",
        )  # fmt: skip
        made["url"] = gr.Textbox(
            "", label="Base URL", info="Of an OpenAI-compatible service; empty: OpenAI's.", elem_id="api-url"
        )
        made["judge"] = gr.Textbox("", label="Judge model", info="Empty: the critic's own default.")
    return made


def random_seed() -> int:
    return random.randint(0, LARGEST_SEED)


def restored(name: str, value: Any) -> Any:
    """The value of a control; a slider reaches as far as it has to."""
    if name in COMFORTABLE and value > COMFORTABLE[name]:
        return gr.update(value=value, maximum=value)
    return gr.update(value=value)
