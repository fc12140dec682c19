"""Composes the page out of its tabs."""

from pathlib import Path

import gradio as gr
from gradio.themes import Default

from ui.api import add_endpoints
from ui.engines.base import SMALL, Engine
from ui.engines.models import Models
from ui.limits import LARGEST_FILE, Limits
from ui.page import Page
from ui.panels.model_picker import header
from ui.panels.recorded_runs import OPENING, recorded
from ui.session import FAST, SECOND, Session
from ui.shared_state import DEFAULT_LIMITS, SharedState
from ui.tabs.about import about
from ui.tabs.compare import Compare
from ui.tabs.inspector import Inspector
from ui.tabs.results import build_results
from ui.visit import Visit

QUEUE_SECONDS = 0.02
"""Between two looks of gradio's queue for something to do. Its own are a millisecond and ten, which take 7% of a core
from an idle page."""
ROOM = Path(__file__).parent
STYLE = [ROOM / "layout.css", *sorted(ROOM.glob("panels/*.css")), *sorted(ROOM.glob("tabs/*.css"))]


def launch_options() -> dict:
    """What belongs to `launch` and not to the page: theme and style, and what of gradio's server is used."""
    theme = Default(
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
    return {
        "theme": theme,
        "css_paths": STYLE,
        "footer_links": ["api", "gradio", "settings"],
        "enable_monitoring": False,
        "run_history": False,
        "max_file_size": LARGEST_FILE,
        "mcp_server": True,
        "ssr_mode": False,
    }


def build_demo(
    engine: Engine,
    critic: str = "oracle",
    limits: Limits = DEFAULT_LIMITS,
    models: Models | None = None,
    sign_in: bool = False,
) -> gr.Blocks:
    """The page for an engine, with its queue; `critic` is the one chosen at first.

    models: those that visitors may change to; none: the engine stays.
    sign_in: whether a visitor may sign in to Hugging Face, whose accounts have more GPU time than nobody has.
    """
    shared = SharedState(engine, limits)
    shared.keep_sweeping()
    if OPENING.is_file():
        shared.opening = recorded(OPENING, shared.storage.room())
    shared.first_pace = SECOND if 0 < engine.facts.weights_bytes <= SMALL else FAST
    with gr.Blocks(title="MILR Studio", analytics_enabled=False, fill_width=True) as demo:
        session = gr.State(Session(keep=limits.runs_kept))
        visit = Visit(shared, session)
        top = gr.HTML(header(engine.facts, models), elem_id="header")
        told = gr.HTML(about(engine.facts.can_draw), elem_id="about", padding=True, render=False)
        if sign_in:
            gr.LoginButton("Sign in for the GPU quota of your account", size="sm", elem_id="sign-in")
        page = Page(shared.opening)
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Inspector", id="inspector"):
                inspector = Inspector(shared, page, critic, models, (top, told))
            with gr.Tab("Compare", id="compare") as compare_tab:
                compare = Compare(shared, page)
            with gr.Tab("Results", id="results"):
                build_results()
            with gr.Tab("About", id="about"):
                told.render()
        inspector.wire(session, visit.wire(demo, page, inspector, compare))
        compare.wire(session, inspector, compare_tab, tabs)
        add_endpoints(shared)

    def use(engine: Engine) -> None:
        """Whoever opens the page from now on is told of this one at once."""
        shared.use(engine)
        top.value, told.value = header(engine.facts, None), about(engine.facts.can_draw)
        demo.config = demo.get_config_file()

    if models is not None:
        models.use = use
    # Searches wait in a line of ours: what passes through gradio's queue, which every page has, is answered at once.
    demo._queue.sleep_when_free = demo._queue.progress_update_sleep_when_free = QUEUE_SECONDS
    return demo
