"""Recorded runs: a visitor's file, or one of the shipped examples, looked at without any model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from milr_core import InputError, Trajectory
from ui.page import page
from ui.session import REPLAYED, Run, Session
from ui.studio import Studio

SHIPPED = Path(__file__).resolve().parent.parent / "examples"
LARGEST_FILE, LARGEST_RUN = 100 << 20, 400 << 20
"""Of an uploaded file, and of what it unpacks to."""


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
    steps = list(bundle.steps())
    if not steps:
        raise InputError("The run bundle has 0 steps: there is nothing to see in it.")
    made_by = {name: value[:200] for name, value in bundle.model.model_dump().items()}
    run = Run(
        bundle.prompt, steps[-1].settings, folder, made_by, bundle.critic[:200], origin="recorded",
        phase=REPLAYED, bundle=bundle,
    )  # fmt: skip
    for step in steps:
        run.add(step)
    return run


class Replaying:
    """Handlers of recorded runs."""

    def __init__(self, studio: Studio):
        self.studio = studio

    def open_file(self, request: gr.Request, session: Session, file: str | None) -> list[Any]:
        """Look at a run in a zip."""
        session.notice = ""
        if file:
            folder = self.studio.folder(session)
            try:
                run = recorded(file, folder)
                self.studio.register(request, session)
                session.begin(run)
            except InputError as error:
                said = str(error).replace(f"{folder}/bundle/", "").replace(f"{folder}/bundle", "The file")
                session.notice = said.replace(str(file), "The file")
        return page(session)

    def open_example(self, name: str) -> Callable[..., list[Any]]:
        """A handler that opens one shipped run, at the last step of which there is something to say."""

        def open_shipped(request: gr.Request, session: Session) -> list[Any]:
            answer = self.open_file(request, session, str(SHIPPED / name))
            if session.notice:
                return answer
            session.look_at(
                max((i for i, said in enumerate(session.shown.flags) if said), default=session.shown.newest)
            )
            return page(session)

        return open_shipped


def build_replay(parts: dict[str, Any]) -> None:
    with gr.Row(elem_id="recorded", elem_classes="chips"):
        gr.HTML("Recorded", elem_classes="before-chips", padding=False)
        parts["recorded"] = [
            (gr.Button(about["title"].partition(":")[0], size="sm", elem_classes="chip"), about["file"])
            for about in shipped()
        ]
        parts["open"] = gr.UploadButton(
            "Open a file…", file_types=[".zip"], size="sm", elem_classes="chip", elem_id="open"
        )


def wire_replay(
    studio: Studio, session: gr.State, parts: dict[str, Any], page: list[Any], at_once: dict[str, Any]
) -> None:
    replaying = Replaying(studio)
    parts["open"].upload(replaying.open_file, [session, parts["open"]], page, **at_once)
    for button, file in parts["recorded"]:
        button.click(replaying.open_example(file), session, page, **at_once)
