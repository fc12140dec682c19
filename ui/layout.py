"""Composes the page out of its tabs."""

from html import escape

import gradio as gr

from ui.api import build_api
from ui.comparing import build_comparing, wire_comparing
from ui.engine import Engine, ModelFacts
from ui.inspector import ASKS, AT_ONCE, COMPUTES, build_inspector, wire_inspector
from ui.page import OUTPUTS
from ui.panels import PLOTLY, WEB
from ui.session import Session
from ui.studio import Studio
from ui.views.about import DRAWING, METHOD


def launch_options() -> dict:
    """What belongs to `launch` and not to the page: theme and style."""
    theme = gr.themes.Default(
        primary_hue="indigo",
        secondary_hue="indigo",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_500",
    )
    return {"theme": theme, "css_paths": [WEB / "style.css"], "footer_links": ["api", "gradio", "settings"]}


def build_demo(engine: Engine, critic: str = "oracle", seconds_a_step: float | None = None) -> gr.Blocks:
    """The page for an engine; `critic` is the one chosen at first. seconds_a_step: where it is known already."""
    gr.set_static_paths([PLOTLY])
    studio = Studio(engine)
    studio.seconds_a_step = seconds_a_step
    with gr.Blocks(title="MILR Studio", analytics_enabled=False, fill_width=True, delete_cache=(3600, 7200)) as demo:
        session, ticket = gr.State(Session()), gr.State(0)
        _header(engine.facts)
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Inspector", id="inspector"):
                parts, controls = build_inspector(studio, critic)
            with gr.Tab("Compare", id="compare"):
                compared = build_comparing()
            with gr.Tab("About", id="about"):
                _about(engine.facts)
        wire_inspector(demo, studio, session, ticket, parts, controls)
        asked, page = [parts["prompt"], *controls.asked], [parts[name] for name in OUTPUTS]
        wire_comparing(studio, session, compared, asked, tabs, page, COMPUTES, ASKS, AT_ONCE)
        gr.api(build_api(studio), api_name="search_image", concurrency_id="search", concurrency_limit=1)
        demo.unload(studio.unload)
    return demo


def _header(facts: ModelFacts) -> None:
    gr.HTML(
        '<header><h1>MILR Studio</h1><p class="lead">It draws, is scored, and gets better by thinking again.</p>'
        f'<p class="model">Model <b>{escape(facts.name)}</b>: ready, on {escape(facts.device)}, {facts.dtype}, '
        f"{facts.weights_bytes / (1 << 20):.0f} MiB of weights</p></header>",
        elem_id="header",
    )


def _about(facts: ModelFacts) -> None:
    gr.HTML(
        f"<h2>How it works</h2><p>{METHOD}</p>{DRAWING}<h2>What this model draws</h2>"
        f"<p>{escape(facts.can_draw) or 'Anything; it is a general model.'}</p>",
        elem_id="about",
        padding=True,
    )
