"""Composes the page out of its tabs."""

from pathlib import Path

import gradio as gr

from ui.api import build_api
from ui.choosing import header, wire_choice
from ui.comparing import build_comparing, wire_comparing
from ui.engine import Engine
from ui.inspector import ASKS, AT_ONCE, COMPUTES, TYPED, build_inspector, wire_inspector
from ui.limits import Limits
from ui.models import Models
from ui.page import OUTPUTS, url
from ui.panels import PLOTLY, WEB
from ui.session import Session
from ui.studio import Studio
from ui.views.about import about
from ui.views.results import results

DEFAULT_LIMITS = Limits()
QUEUE_SECONDS = 0.02
"""Between two looks of gradio's queue for something to do. Its own are a millisecond and ten, which take 7% of a core
from an idle page."""
PUBLISHED = Path(__file__).resolve().parent.parent / "docs" / "results.md"
"""Written by `python -m bench report`, with its pictures in a folder beside it; not in an installed package."""


def launch_options() -> dict:
    """What belongs to `launch` and not to the page: theme and style."""
    theme = gr.themes.Default(
        primary_hue="indigo",
        secondary_hue="indigo",
        neutral_hue="slate",
        spacing_size="sm",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_700",
        color_accent="*primary_600",
        link_text_color_dark="*secondary_300",
    )
    return {"theme": theme, "css_paths": [WEB / "style.css"], "footer_links": ["api", "gradio", "settings"]}


def build_demo(
    engine: Engine,
    critic: str = "oracle",
    seconds_a_step: float | None = None,
    limits: Limits = DEFAULT_LIMITS,
    models: Models | None = None,
) -> gr.Blocks:
    """The page for an engine, with its queue; `critic` is the one chosen at first.

    seconds_a_step: where it is known already. models: those that visitors may change to; none: the engine stays.
    """
    gr.set_static_paths([PLOTLY, PUBLISHED.with_suffix("")])
    studio = Studio(engine, limits)
    studio.seconds_a_step = seconds_a_step
    cleaned = (3600, 3600 * limits.cache_hours)
    with gr.Blocks(title="MILR Studio", analytics_enabled=False, fill_width=True, delete_cache=cleaned) as demo:
        session, ticket = gr.State(Session(keep=limits.runs_kept)), gr.State(0)
        top = gr.HTML(header(engine.facts, models), elem_id="header")
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Inspector", id="inspector"):
                parts, controls = build_inspector(studio, critic, models)
                steps = controls.knobs["steps"]
                steps.maximum = min(steps.maximum, limits.steps_at_most)
                steps.value = min(steps.value, limits.steps_at_most)
            with gr.Tab("Compare", id="compare") as compare:
                compared = build_comparing() | {"tab": compare}
            with gr.Tab("Results", id="results"):
                _results()
            with gr.Tab("About", id="about"):
                told = gr.HTML(about(engine.facts.can_draw), elem_id="about", padding=True)
        computes = COMPUTES | {"concurrency_limit": engine.at_once}
        opened = demo.load
        if models is not None:
            models.use = studio.use
            parts |= {"header": top, "about": told}
            knobs = list(controls.knobs.values())
            opened = wire_choice(demo, studio, models, session, parts, knobs, AT_ONCE).then
        wire_inspector(opened, studio, session, ticket, parts, controls, computes)
        asked, page = [parts["prompt"], *controls.asked], [parts[name] for name in OUTPUTS]
        weighed = [parts["prompt"], *controls.weighed]
        wire_comparing(studio, session, compared, asked, weighed, tabs, page, computes, ASKS, AT_ONCE, TYPED)
        gr.api(build_api(studio), api_name="search_image", concurrency_id="search", concurrency_limit=engine.at_once)
        demo.unload(studio.unload)
    demo.queue(max_size=limits.queue)
    demo._queue.sleep_when_free = demo._queue.progress_update_sleep_when_free = QUEUE_SECONDS
    return demo


def _results() -> None:
    text = PUBLISHED.read_text(encoding="utf-8") if PUBLISHED.is_file() else None
    gr.Markdown(results(text, lambda name: url(PUBLISHED.parent / name)), elem_id="results-page")
