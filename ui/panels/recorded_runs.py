"""Recorded runs: a visitor's file, a link's, or one of the shipped examples, looked at without any model.

What is looked at says itself what it was made with; the visitor's own prompt and settings stay until asked for.
"""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from milr_core import InputError, Trajectory
from milr_core.record import MadeBy
from milr_core.settings import KNOBS, check
from ui.events import AT_ONCE, ONE_AT_A_TIME, Answer
from ui.limits import LARGEST_RUN
from ui.page import Page
from ui.panels.controls import Controls
from ui.panels.scripted import runs_folder
from ui.run import REPLAYED, Run
from ui.session import Session
from ui.shared_state import SharedState

SHIPPED = Path(__file__).resolve().parents[2] / "examples"
OPENING = Path(__file__).resolve().parents[1] / "opening.zip"
"""The run that the page opens with, as `python -m examples.chips` records it."""

KEPT = re.compile(r"[0-9a-f]{32}")
"""The name of a run that a link is for."""


def shipped() -> list[dict[str, str]]:
    """The example runs: file, title and what there is to see in each."""
    index = SHIPPED / "index.json"
    return json.loads(index.read_text(encoding="utf-8")) if index.exists() else []


def run_of(bundle: Trajectory, folder: Path, origin: str = "recorded") -> Run:
    """A run out of a bundle in that folder.

    Raises:
        InputError: it has no steps.
    """
    if not len(bundle):
        raise InputError("The run bundle has 0 steps: there is nothing to see in it.")
    settings = bundle.step(len(bundle) - 1).settings
    made_by = MadeBy(id=bundle.model.id[:200], weights_hash=bundle.model.weights_hash[:200])
    run = Run(
        bundle.prompt, settings, folder, made_by, bundle.critic[:200], origin=origin, phase=REPLAYED, bundle=bundle
    )
    for step in bundle.steps():
        run.see(step, bundle.image_path(step.index))
    return run


def recorded(file: str | Path, folder: Path) -> Run:
    """A run out of a zip.

    Raises:
        InputError: anything that is not a run bundle, or too much of one.
    """
    return run_of(Trajectory.from_zip(file, folder / "bundle", LARGEST_RUN), folder)


def linked(name: str, folder: Path) -> Run | None:
    """A copy of a run that this server still has, in a folder of whoever opens the link; None where it has gone."""
    kept = runs_folder() / name / "bundle"
    if not KEPT.fullmatch(name) or not kept.is_dir():
        return None
    shutil.copytree(kept, folder / "bundle")
    return run_of(Trajectory.open(folder / "bundle"), folder, "by a link")


def stamped(file: str | Path) -> dict[str, Any]:
    """Prompt and settings that one of our pictures was made with, by the names of the controls.

    Raises:
        InputError: it is no PNG, or none of ours.
    """
    try:
        with Image.open(file, formats=["PNG"]) as image:
            image.load()
            said = json.loads(image.info["milr"])
        prompt, given = str(said["prompt"]), {name: said[name] for name in KNOBS if name in said}
    except (OSError, ValueError, KeyError, TypeError, SyntaxError) as error:
        raise InputError("This picture does not say what it was made with: only this page's own do.") from error
    return {"prompt": prompt, **{name: check(name, value) for name, value in given.items()}}


class RecordedRuns:
    """A button for each shipped run, one for a visitor's file, and one that takes over what the run shown was made
    with."""

    def __init__(self, shared: SharedState, page: Page, controls: Controls):
        self.shared, self.page, self.controls = shared, page, controls
        with gr.Row(elem_id="recorded", elem_classes="chips"):
            gr.HTML("Recorded", elem_classes="before-chips", padding=False)
            self.examples = [
                (gr.Button(about["title"].partition(":")[0], size="sm", elem_classes="chip"), about)
                for about in shipped()
            ]
            self.open = gr.UploadButton(
                "Open a run or a picture…", file_types=[".zip", ".png"], size="sm", elem_classes="chip", elem_id="open"
            )
            self.take = gr.Button("Use this run's settings", size="sm", elem_classes="chip", elem_id="take")

    def wire(self, session: gr.State) -> None:
        filled, everything = self.controls.made_with, self.page.everything
        self.open.upload(self.open_file, [session, self.open], [*everything, *filled], **ONE_AT_A_TIME)
        self.take.click(self.take_over, session, filled, **AT_ONCE)
        for button, about in self.examples:
            button.click(self.open_example(about), session, everything, **AT_ONCE)

    def open_file(self, session: Session, file: str | None) -> Answer:
        """Look at a run in a zip, or take what a picture was made with."""
        session.notice, filled = "", {}
        if file:
            folder = self.shared.folder(session)
            try:
                self.shared.storage.check()
                if Path(file).suffix.lower() == ".png":
                    filled = self.controls.fill(stamped(file))
                    session.notice = "Prompt and settings of that picture stand in the controls: Run draws it again."
                else:
                    self.look_at(session, recorded(file, folder))
            except InputError as error:
                shutil.rmtree(folder, ignore_errors=True)
                said = str(error).replace(f"{folder}/bundle/", "").replace(f"{folder}/bundle", "The file")
                session.notice = said.replace(str(file), "The file")
            finally:
                self.shared.storage.delete(file)
        return self.page.whole(session) | filled

    def arrive(self, request: gr.Request, session: Session) -> Answer:
        """The run that the page's address names, where the server still has it."""
        name = request.query_params.get("run", "") if request.request else ""
        if not name or session.runs:
            return {}
        run = linked(name, self.shared.folder(session))
        if run is None:
            session.notice = "This server has that run no longer; its prompt and settings stand in the controls."
        else:
            self.look_at(session, run)
        return self.page.whole(session)

    def look_at(self, session: Session, run: Run) -> None:
        """A recorded run beside the visitor's own, at its best step."""
        session.begin(run)
        session.rest()
        self.shared.register(session)

    def open_example(self, about: dict[str, str]) -> Callable[..., Answer]:
        """A handler that opens one shipped run, at the last step of which there is something to say, and says it."""

        def open_shipped(session: Session) -> Answer:
            answer = self.open_file(session, str(SHIPPED / about["file"]))
            run = session.shown
            if session.notice or run is None:
                return answer
            run.origin = about["title"]
            session.look_at(max((step.index for step in run.steps if step.flags), default=run.best))
            return self.page.whole(session)

        return open_shipped

    def take_over(self, session: Session) -> Answer:
        """Prompt and settings of the run shown, into the controls."""
        run = session.shown
        return self.controls.fill({"prompt": run.prompt, **run.planned.as_dict()}) if run else gr.skip()
