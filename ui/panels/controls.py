"""The controls of a search: built from `milr_core.settings.KNOBS` and what the model recommends, some of them live."""

import asyncio
import math
import random
from dataclasses import replace
from html import escape
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from milr_core import InputError, SearchSettings
from milr_core.critics import CRITICS
from milr_core.engine import singles
from milr_core.export.recipe import setting
from milr_core.settings import KNOBS, PRESETS, Knob, recommended_settings
from ui.engines.base import paid
from ui.events import AT_ONCE, LATEST, TYPED, Answer
from ui.page import Page
from ui.panels.chips import Chip
from ui.panels.status import SLIDERS, estimate, notice
from ui.run import PAUSED, RUNNING, WAITING
from ui.session import NO_OBSERVER, PACES, Session
from ui.shared_state import SharedState

LABELS = {
    "text_ratio": "λt: share of words moved",
    "image_ratio": "λv: share of cells moved",
    "lr": "Learning rate",
}
"""Of the sliders in sight, which have no room for a knob's help."""

GROUPS = {
    "What a step moves": (
        "strategy", "text_update", "text_positions", "positions", "baseline", "log_probability",
    ),
    "How an image is drawn": ("guidance", "temperature"),
    "When the search ends": ("steps", "threshold"),
}  # fmt: skip
"""The other settings."""

REST_SECONDS = 0.3
"""For which a slider is not moved before its value counts: one drag is one change."""

LIVE = tuple(name for name, knob in KNOBS.items() if knob.live)
"""Settings that act on a running search."""

COMFORTABLE = {"lr": 1.0, "steps": 64, "guidance": 20.0, "temperature": 2.0}
"""Where a slider over the whole range would be too coarse to hit a value: its upper end."""

LARGEST_SEED = 2**31 - 1
"""Of the dice; a browser's numbers are exact far beyond."""

OWN = "the model's own"

KnobControl = gr.Dropdown | gr.Number | gr.Slider


def knob_control(name: str, knob: Knob, value: Any) -> KnobControl:
    """A dropdown, a number field or a slider, whatever the knob's type and range ask for."""
    info = knob.help + ("" if knob.live else " Fixed once a run has begun.")
    common: dict[str, Any] = {"label": knob.label, "info": info, "value": value, "elem_id": f"knob-{name}"}
    common |= {"render": False} | ({"label": LABELS[name], "info": None} if name in LABELS else {})
    if knob.choices:
        return gr.Dropdown(list(knob.choices), **common)
    high = min(max(COMFORTABLE.get(name, knob.high), value), knob.high)
    if not math.isfinite(high) or high > 1000:
        return gr.Number(precision=0, **common)
    low = knob.low + (knob.step or 0) if knob.above_low else knob.low
    return gr.Slider(low, high, step=knob.step, precision=0 if knob.kind is int else None, **common)


class Controls:
    """The controls, made at once and rendered where the tab says: `prompt`, `seed` and `pace` at Run, `live`, `more`.

    first: the example that stands in them at first. knobs: by name, in the order of KNOBS. key, url, judge: what a
    critic behind an API asks for, in the group `paid`.
    """

    def __init__(self, shared: SharedState, page: Page, critic: str, first: Chip):
        self.shared, self.page, self._first_critic = shared, page, critic
        values = recommended_settings(dict(shared.engine.facts.recommended)).as_dict()
        values["steps"] = min(values["steps"], shared.limits.steps_at_most)
        knobs = KNOBS | {"steps": replace(KNOBS["steps"], high=shared.limits.steps_at_most)}
        self.knobs = {name: knob_control(name, knob, values[name]) for name, knob in knobs.items() if name != "seed"}
        self.seed = gr.Number(first.seed, label="Seed", precision=0, min_width=90, elem_id="knob-seed", render=False)
        self.knobs["seed"] = self.seed
        self.prompt = gr.Textbox(
            label="Prompt", placeholder="What to draw, for example: two red apples", value=first.prompt, max_lines=3,
            elem_id="prompt", render=False,
        )  # fmt: skip
        self.pace = gr.Dropdown(
            list(PACES), value=shared.first_pace, label="Watch", min_width=150, elem_id="pace", render=False
        )

    def live(self) -> None:
        """The sliders that act on a running search."""
        with gr.Column(elem_classes="card", elem_id="live"):
            for name in SLIDERS:
                self.knobs[name].render()
                self.page.in_force[name].render()

    def more(self) -> None:
        """All else, in accordions."""
        self.estimate = gr.HTML("", elem_id="estimate", padding=False)
        self._critics(self._first_critic)
        with gr.Accordion("Advanced", open=False, elem_id="advanced"):
            self.preset = gr.Radio(
                [OWN, *PRESETS], value=OWN, label="Preset", elem_id="preset",
                info="Sets the settings for the next run. paper: all as published. coordinate: one text token at a "
                "time.",
            )  # fmt: skip
            for title, names in GROUPS.items():
                gr.HTML(f"<h2>{title}</h2>", padding=False)
                for name in names:
                    self.knobs[name].render()

    def _critics(self, critic: str) -> None:
        offered = self.shared.limits.critics or CRITICS
        # Bare names, the shorter first: what is typed chooses the first that contains it, and an exact name must win.
        named = sorted((name for name in CRITICS if name in offered), key=len)
        with gr.Accordion("Critic", open=False, elem_id="critics"):
            self.critic = gr.Dropdown(
                named, value=critic, label="Critic", allow_custom_value=True, elem_id="critic",
                info="Who scores the image; or a mixture: terms as 0.7*oracle, joined by +. Fixed once a run has "
                "begun.",
            )  # fmt: skip
            self.observer = gr.Dropdown(
                [NO_OBSERVER, *named], value=NO_OBSERVER, label="Held-out critic", allow_custom_value=True,
                elem_id="observer",
                info="Scores every step as well, and the search never hears it: where it falls while the score rises, "
                "the score is being exploited. Fixed once a run has begun.",
            )  # fmt: skip
            self.about = gr.HTML(described(critic), elem_id="about-critics", padding=False)
        with gr.Column(visible=False, elem_id="paid") as self.paid:
            self.key = gr.Textbox(
                "", label="API key", type="password", elem_id="api-key",
                info="Used for this visit's calls only; never stored, logged or exported.",
            )  # fmt: skip
            self.url = gr.Textbox(
                "", label="Base URL", info="Of an OpenAI-compatible service; empty: OpenAI's.", elem_id="api-url"
            )
            self.judge = gr.Textbox("", label="Judge model", info="Empty: the critic's own default.")

    @property
    def weighed(self) -> list[KnobControl]:
        """What the estimate of a run depends on."""
        return [self.knobs["steps"], self.critic, self.observer]

    @property
    def asked(self) -> list[Component]:
        """What a search is begun with, in the order of `FIELDS`."""
        return [self.prompt, self.critic, self.observer, self.key, self.url, self.judge, *self.knobs.values()]

    @property
    def made_with(self) -> list[Component]:
        """What a picture, or a run, says that it was made with."""
        return [self.prompt, *self.knobs.values()]

    @property
    def from_link(self) -> list[Component]:
        """What a link sets; whom a judge is asked at, and with which key, is nobody else's to say."""
        return [*self.made_with, self.critic, self.observer, self.pace]

    def fill(self, values: dict[str, Any]) -> Answer:
        """Values by name into what a link sets; others, and empty ones, are passed over."""
        named = {"prompt": self.prompt, "critic": self.critic, "observer": self.observer, "pace": self.pace}
        given = {name: value for name, value in values.items() if value not in (None, "")}
        fields = named | self.knobs
        return {fields[name]: restored(name, value) for name, value in given.items() if name in fields}

    def wire(self, session: gr.State, ended: Dependency) -> None:
        """ended: what happens when a search has, whose steps tell how long the next ones take."""
        live = [self.knobs[name] for name in LIVE]
        beside = list(self.page.beside(Session()))
        # What a hand does alone: a page that is loaded again sets its fields one by one, and must not steer a search.
        moved = [k.input for k in live] + [k.release for k in live if isinstance(k, gr.Slider)]  # ↺ is a release
        gr.on(moved, self.slide, [session, *live], beside, trigger_mode="multiple", **TYPED)
        gr.on([k.change for k in live], self.mend, [session, *live], beside, trigger_mode="multiple", **TYPED)
        self.pace.input(self.choose_pace, [session, self.pace], None, **AT_ONCE)
        presets = [self.preset, self.page.notice, *self.knobs.values()]
        self.preset.input(self.choose_preset, [session, self.preset], presets, **AT_ONCE)
        ended.then(**self.expecting)
        gr.on([c.change for c in self.weighed], **self.expecting, **LATEST)

    @property
    def expecting(self) -> dict[str, Any]:
        """A listener's arguments, to make the estimate anew."""
        return {"fn": self.expect, "inputs": self.weighed, "outputs": [self.estimate, self.paid, self.about], **TYPED}

    def expect(self, steps: float | None, *judges: str) -> Answer:
        """What a run will take, and whether the fields for a service's key are needed."""
        asked_for_money, most = paid(judges), self.shared.limits.steps(steps)
        cost = self.shared.engine.cost(most)
        return {
            self.estimate: estimate(most, self.shared.seconds_a_step, asked_for_money, cost),
            self.paid: gr.update(visible=asked_for_money > 0),
            self.about: described(*judges),
        }

    async def slide(self, session: Session, *values: Any) -> Answer:
        """A slider moved: its value counts once it rests."""
        session.moves, session.unsettled = session.moves + 1, True
        mine = session.moves
        await asyncio.sleep(REST_SECONDS)
        return self.move_slider(session, *values) if session.moves == mine else gr.skip()

    async def mend(self, session: Session, *values: Any) -> Answer:
        """A field that is left takes the nearest value that is allowed, and says so as a change only."""
        return await self.slide(session, *values) if session.unsettled else gr.skip()

    @staticmethod
    def choose_pace(session: Session, pace: str) -> None:
        """How fast the steps of this visit's searches come, those of one under way too."""
        session.pace = pace

    def move_slider(self, session: Session, *values: Any) -> Answer:
        """Live settings, in the order of LIVE; in force from the next step of the search that is under way.

        A value below what is allowed is one that is being typed (0, for 0.25): the field mends it when it is left.
        """
        run, session.unsettled = session.search or session.shown, False
        if run is not None and run.phase in (WAITING, RUNNING, PAUSED):
            try:
                asked = zip(LIVE, values, strict=True)
                wanted = {name: setting(name, value) for name, value in asked if not half_typed(name, value)}
                self.shared.check_steps(wanted.get("steps", 0))
                run.change(**{n: v for n, v in wanted.items() if v != getattr(run.planned, n)})
                session.notice = ""
            except InputError as error:
                session.notice, session.unsettled = str(error), True
        return self.page.beside(session)

    def choose_preset(self, session: Session, name: str) -> Answer:
        """A value for every knob that the preset sets, for the next run: a search under way keeps its settings, and the
        choice is undone then."""
        if session.busy or session.phase == PAUSED:
            session.notice = "A preset is for the next run: wait for this one, or stop it first."
            return {self.preset: gr.update(value=None), self.page.notice: notice(session.notice)}
        values = preset_values(name, dict(self.shared.engine.facts.recommended))
        return {self.knobs[knob]: value for knob, value in values.items()}


def half_typed(name: str, value: Any) -> bool:
    """Whether it may be the beginning of a number that is allowed: an empty field, or less than the least."""
    knob = KNOBS[name]
    if knob.choices or value is None:
        return not knob.choices
    return isinstance(value, int | float) and (value < knob.low or (knob.above_low and value == knob.low))


def preset_values(name: str, recommended: dict[str, Any]) -> dict[str, Any]:
    """A value for every knob that a preset, or the model's own choice, sets; the others stay."""
    own = recommended_settings(recommended)
    chosen = own if name == OWN else SearchSettings(**PRESETS[name]).resolve(recommended)
    return {knob: getattr(chosen, knob) for knob in KNOBS if knob in PRESETS["paper"]}


def described(*judges: str | None) -> str:
    """What the chosen critics are, each once."""
    names = dict.fromkeys(name for judge in judges for name in singles(judge))
    return "".join(f'<p class="hint"><b>{name}</b>: {escape(CRITICS[name])}</p>' for name in names)


def random_seed() -> int:
    return random.randint(0, LARGEST_SEED)


def restored(name: str, value: Any) -> Any:
    """The value of a control; a slider reaches as far as it has to."""
    if name in COMFORTABLE and value > COMFORTABLE[name]:
        return gr.update(value=value, maximum=value)
    return gr.update(value=value)
