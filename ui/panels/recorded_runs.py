"""Recorded runs: a visitor's file, or one of the shipped examples, looked at without any model."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import gradio as gr

from milr_core import InputError, Trajectory
from ui.events import AT_ONCE, ONE_AT_A_TIME, Answer
from ui.limits import LARGEST_RUN
from ui.page import Page
from ui.session import REPLAYED, Run, Session
from ui.shared_state import SharedState

SHIPPED = Path(__file__).resolve().parents[2] / "examples"


def shipped() -> list[dict[str, str]]:
    """The example runs: file, title and what there is to see in each."""
    index = SHIPPED / "index.json"
    return json.loads(index.read_text(encoding="utf-8")) if index.exists() else []


def recorded(file: str | Path, folder: Path) -> Run:
    """A run out of a bundle.

    Raises:
        InputError: anything that is not a run bundle, or too much of one.
    """
    bundle = Trajectory.from_zip(file, folder / "bundle", LARGEST_RUN)
    if not len(bundle):
        raise InputError("The run bundle has 0 steps: there is nothing to see in it.")
    settings = bundle.step(len(bundle) - 1).settings
    made_by = {name: value[:200] for name, value in bundle.model.model_dump().items()}
    run = Run(
        bundle.prompt, settings, folder, made_by, bundle.critic[:200], origin="recorded",
        phase=REPLAYED, bundle=bundle,
    )  # fmt: skip
    for step in bundle.steps():
        run.see(step, bundle.image_path(step.index))
    return run


class RecordedRuns:
    """A button for each shipped run, and one for a visitor's file."""

    def __init__(self, shared: SharedState, page: Page):
        self.shared, self.page = shared, page
        with gr.Row(elem_id="recorded", elem_classes="chips"):
            gr.HTML("Recorded", elem_classes="before-chips", padding=False)
            self.examples = [
                (gr.Button(about["title"].partition(":")[0], size="sm", elem_classes="chip"), about["file"])
                for about in shipped()
            ]
            self.open = gr.UploadButton(
                "Open a file…", file_types=[".zip"], size="sm", elem_classes="chip", elem_id="open"
            )

    def wire(self, session: gr.State) -> None:
        everything = self.page.everything
        self.open.upload(self.open_file, [session, self.open], everything, **ONE_AT_A_TIME)
        for button, file in self.examples:
            button.click(self.open_example(file), session, everything, **AT_ONCE)

    def open_file(self, session: Session, file: str | None) -> Answer:
        """Look at a run in a zip."""
        session.notice = ""
        if file:
            folder = self.shared.folder(session)
            try:
                self.shared.storage.check()
                session.begin(recorded(file, folder))
                session.rest()
                self.shared.register(session)
            except InputError as error:
                shutil.rmtree(folder, ignore_errors=True)
                said = str(error).replace(f"{folder}/bundle/", "").replace(f"{folder}/bundle", "The file")
                session.notice = said.replace(str(file), "The file")
            finally:
                self.shared.storage.delete(file)
        return self.page.whole(session)

    def open_example(self, name: str) -> Callable[..., Answer]:
        """A handler that opens one shipped run, at the last step of which there is something to say."""

        def open_shipped(session: Session) -> Answer:
            answer = self.open_file(session, str(SHIPPED / name))
            if session.notice:
                return answer
            session.look_at(max((step.index for step in session.shown.steps if step.flags), default=session.shown.best))
            return self.page.whole(session)

        return open_shipped
