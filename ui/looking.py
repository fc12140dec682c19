"""Which step of which run is looked at, and what it is compared with: answers outside the queue."""

from typing import Any

import gradio as gr

from ui.page import page, panel
from ui.session import Session


class Looking:
    """Handlers that compute nothing."""

    def look(self, session: Session, event: gr.EventData) -> list[Any]:
        """The step slider moved: the panels of that step."""
        session.look_at(int(event.index))
        return panel(session)

    def look_against(self, session: Session, against: str, chosen: float | None) -> list[Any]:
        """Another step to compare with."""
        session.against, session.against_step = against, max(0, int(chosen or 0))
        return [gr.update(visible=against == "a step"), *panel(session)]

    def choose(self, session: Session, event: gr.EventData) -> list[Any]:
        """Another run in every panel."""
        session.show(int(event.number))
        return page(session)
