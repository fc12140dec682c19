"""A visit outlives its page: a reload, Back, or a connection that breaks gives the same browser its runs back.

What gradio does where a connection breaks is to load the page anew. So nothing that matters belongs to a connection:
the browser keeps the visit's secret key, and what it asks for at first is the visit of that key.
"""

import time

import gradio as gr
from gradio.events import Dependency

from ui.events import ASKS, AT_ONCE, Answer
from ui.page import Page
from ui.session import Session
from ui.shared_state import SharedState
from ui.tabs.compare import Compare
from ui.tabs.inspector import Inspector

HEARD_SECONDS = 15.0
"""Between two signs of life of a page; a browser may hold back those of a tab in the background for a minute."""


class Visit:
    """session: of the page; until the browser has said whose it is, an empty one of its own."""

    def __init__(self, shared: SharedState, session: gr.State):
        self.shared, self.session = shared, session
        self.key = gr.BrowserState("", storage_key="milr-visit", secret="milr-visit")
        self.back = gr.State(0)
        self.timer = gr.Timer(HEARD_SECONDS)

    def wire(self, demo: gr.Blocks, page: Page, inspector: Inspector, compare: Compare) -> Dependency:
        """What happens first when a page is opened."""
        self.page, self.inspector, self.compare = page, inspector, compare
        tickets = [inspector.search.ticket, compare.ticket]
        shown = [*tickets, inspector.controls.pace, *page.everything, *compare.of_the_tab]
        self.back.change(self.welcome, self.session, shown, **ASKS)
        self.timer.tick(self.hear, self.session, None, **AT_ONCE)
        return demo.load(self.arrive, [self.key, self.session], [self.session, self.key, self.back], **ASKS)

    def arrive(self, key: str, session: Session) -> Answer:
        """The visit, and whether there is anything to come back to."""
        visit = self.shared.arrive(key, session)
        return {self.session: visit, self.key: visit.key, self.back: len(visit.runs) + (visit.comparison is not None)}

    def welcome(self, session: Session) -> Answer:
        """All that the visit holds; the ticket of what computes, so that it is watched again."""
        answer = self.page.whole(session, self.shared.place(session)) | self.compare.shown(session)
        answer |= {self.inspector.controls.pace: session.pace}
        watched = self.inspector.search.ticket if session.search else self.compare.ticket
        return answer | ({watched: session.ticket} if session.busy else {})

    def hear(self, session: Session) -> None:
        """The page is still there."""
        session.heard = time.monotonic()
