"""Composes the page out of its tabs."""

from html import escape
from pathlib import Path

import gradio as gr

from milr_core import Janus
from ui.api import build_api
from ui.comparing import build_comparing, wire_comparing
from ui.inspector import ASKS, AT_ONCE, COMPUTES, build_inspector, wire_inspector
from ui.page import OUTPUTS, url
from ui.panels import PLOTLY, WEB
from ui.session import Session
from ui.studio import Studio
from ui.views.about import DRAWING, METHOD
from ui.views.results import results

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


def build_demo(model: Janus, critic: str = "oracle", seconds_a_step: float | None = None) -> gr.Blocks:
    """The page for one loaded model; `critic` is the one chosen at first. seconds_a_step: where it is known already."""
    gr.set_static_paths([PLOTLY, PUBLISHED.with_suffix("")])
    studio = Studio(model)
    studio.seconds_a_step = seconds_a_step
    with gr.Blocks(title="MILR Studio", analytics_enabled=False, fill_width=True, delete_cache=(3600, 7200)) as demo:
        session, ticket = gr.State(Session()), gr.State(0)
        _header(model)
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Inspector", id="inspector"):
                parts, controls = build_inspector(studio, critic)
            with gr.Tab("Compare", id="compare"):
                compared = build_comparing()
            with gr.Tab("Results", id="results"):
                _results()
            with gr.Tab("About", id="about"):
                _about(model)
        wire_inspector(demo, studio, session, ticket, parts, controls)
        asked, page = [parts["prompt"], *controls.asked], [parts[name] for name in OUTPUTS]
        wire_comparing(studio, session, compared, asked, tabs, page, COMPUTES, ASKS, AT_ONCE)
        gr.api(build_api(studio), api_name="search_image", concurrency_id="search", concurrency_limit=1)
        demo.unload(studio.unload)
    return demo


def _header(model: Janus) -> None:
    weights = sum(p.numel() * p.element_size() for p in model.hf.parameters()) / (1 << 20)
    dtype = str(model.dtype).removeprefix("torch.")
    gr.HTML(
        '<header><h1>MILR Studio</h1><p class="lead">It draws, is scored, and gets better by thinking again.</p>'
        f'<p class="model">Model <b>{escape(model.name)}</b>: ready, on {escape(model.device.type)}, {dtype}, '
        f"{weights:.0f} MiB of weights</p></header>",
        elem_id="header",
    )


def _results() -> None:
    text = PUBLISHED.read_text(encoding="utf-8") if PUBLISHED.is_file() else None
    gr.Markdown(results(text, lambda name: url(PUBLISHED.parent / name)), elem_id="results-page")


def _about(model: Janus) -> None:
    gr.HTML(
        f"<h2>How it works</h2><p>{' '.join(METHOD)}</p>{DRAWING}<h2>What this model draws</h2>"
        f"<p>{escape(model.can_draw) or 'Anything; it is a general model.'}</p>",
        elem_id="about",
        padding=True,
    )
