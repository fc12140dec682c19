"""Drives the handlers as gradio drives them, without a browser."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from milr_core import SearchSettings
from milr_core.settings import KNOBS
from ui.page import PRESSED, SHOWN, pressed
from ui.search import Search
from ui.session import Session

PROMPT = "two red circles"
SETTINGS = SearchSettings(
    strategy="joint", text_ratio=0.5, image_ratio=0.2, lr=0.5, guidance=3.0, steps=4, threshold=0.95, seed=3
)


def request(name: str = "a") -> gr.Request:
    return gr.Request(None, None, session_hash=name)


def controls(settings: SearchSettings = SETTINGS, prompt: str = PROMPT, critic: str = "redness") -> list[Any]:
    """What the page's controls say, in the order in which handlers take them."""
    return [prompt, critic, "none", "", "", "", *[getattr(settings, name) for name in KNOBS]]


def press(search: Search, how: str, session: Session, *given: Any, **more: Any) -> list[Any]:
    return getattr(search, how)(request(str(id(session))), session, *controls(*given, **more))


def drive(search: Search, answer: list[Any], session: Session) -> Iterator[dict[str, Any]]:
    """What the browser has after each answer: a change of phase fetches the buttons."""
    page, before = {}, None
    for phase, *values in search.drive(answer[0], session):
        page |= zip(SHOWN, values, strict=True)
        if phase != before:
            page |= zip(PRESSED, pressed(session), strict=True)
        before = phase
        yield dict(page)


def finish(search: Search, session: Session, *given: Any, **more: Any) -> dict[str, Any]:
    """A whole run; the last page."""
    return list(drive(search, press(search, "press_run", session, *given, **more), session))[-1]


def event(**data: Any) -> gr.EventData:
    return gr.EventData(None, data)
