"""Files of a run: the bundle, the trajectory as an animation, its settings as text; and a link to start it again."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr
from gradio.components import Component
from PIL import Image, ImageDraw, ImageFont

from milr_core import InputError, Trajectory
from milr_core.critics import parse
from milr_core.engine import options_for
from milr_core.export import to_html
from milr_core.export.recipe import Recipe, as_command, as_json, as_python, from_query, query
from ui.events import AT_ONCE, Answer
from ui.limits import LARGEST_FILE
from ui.page import Page
from ui.panels.controls import Controls
from ui.panels.status import notice
from ui.run import Outline, Run
from ui.session import NO_OBSERVER, PACES, Session
from ui.shared_state import SharedState

PACE_OF: dict[str, str] = dict(zip(("fast", "second", "wait"), PACES, strict=True))
"""As a link names them."""

SIDE, BAR = 384, 30
"""Pixels of a frame of the animation, and of the line of words under it."""

FRAME_MS, LAST_MS = 700, 2000
FRAMES = 60
"""At most: of a longer run steps at equal distances are shown, and the best."""


def filmed(steps: Sequence[Outline]) -> list[Outline]:
    """The steps of an animation."""
    if len(steps) <= FRAMES:
        return list(steps)
    at = {round(i * (len(steps) - 1) / (FRAMES - 2)) for i in range(FRAMES - 1)} | {steps[-1].best}
    return [steps[i] for i in sorted(at)]


def animation(steps: Sequence[Outline], file: Path) -> Path:
    """An animated WebP, a frame a step with its score, resting on the last."""
    font = ImageFont.load_default(size=16)
    frames = []
    for step in filmed(steps):
        frame = Image.new("RGB", (SIDE, SIDE + BAR), "white")
        with Image.open(step.image) as image:
            frame.paste(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS))
        best = ", best so far" if step.best == step.index else ""
        ImageDraw.Draw(frame).text((8, SIDE + 5), f"step {step.index}: {step.reward:.2f}{best}", "black", font)
        frames.append(frame)
    times = [FRAME_MS] * (len(frames) - 1) + [LAST_MS]
    frames[0].save(file, save_all=True, append_images=frames[1:], duration=times, loop=0, quality=90)
    return file


def zipped(made: Trajectory, folder: Path) -> list[Path]:
    """The bundle as a zip; beside one that is too large for this page to open again, one without latents."""
    whole = all(made.has_state(index) for index in range(len(made)))
    files = [made.to_zip(folder / "run.zip", states=whole)]
    if whole and files[0].stat().st_size > LARGEST_FILE:
        files.append(made.to_zip(folder / "run-without-latents.zip", states=False))
    return files


def written(run: Run, made: Recipe, folder: Path, link: str = "") -> tuple[list[Path], str]:
    """The files of a run in a new folder, and what there is to say about the bundle. link: said in the page to send."""
    (folder / "settings.json").write_text(as_json(made), encoding="utf-8")
    (folder / "run.html").write_text(to_html(run.trajectory, link=link), encoding="utf-8")
    files = [folder / "run.html", folder / "settings.json", animation(run.steps, folder / "trajectory.webp")]
    said = ""
    zips = zipped(run.trajectory, folder)
    if len(zips) > 1:
        said = (
            f"{zips[0].name} has {zips[0].stat().st_size >> 20} MiB, and this page opens {LARGEST_FILE >> 20} at most. "
            f"It opens {zips[1].name}; the command line goes on from what {zips[0].name} holds."
        )
    return zips + files, said


def recipe(run: Run) -> Recipe:
    """What makes the run again; of a visitor's own options the judge's name, not where it is nor the key."""
    observers = list(run.steps[-1].observed)
    judge = {"judge": run.options["judge"]} if "judge" in run.options else {}
    options = {name: given for name in (run.critic, *observers) if (given := options_for(name, judge))}
    return Recipe(run.prompt, run.model.id, run.critic, run.steps, observers, options)


class Export:
    """The panel, and the link that the page was opened with."""

    def __init__(self, shared: SharedState, page: Page, controls: Controls):
        self.shared, self.page, self.controls = shared, page, controls
        with gr.Accordion("Export this run", open=False, elem_id="export"):
            self.prepare = gr.Button("Prepare files, settings and link", size="sm", elem_id="prepare")
            self.files = gr.File(
                label="One page to send (HTML), bundle (zip), settings (JSON), animation (WebP)", file_count="multiple",
                interactive=False, elem_id="files",
            )  # fmt: skip
            self.link = gr.Textbox(
                label="Link: opens this run while the server has it, then its prompt and settings", buttons=["copy"],
                interactive=False, elem_id="link",
            )  # fmt: skip
            with gr.Tabs():
                self.json, self.command, self.python = (self._code(name) for name in ("JSON", "Command line", "Python"))

    @staticmethod
    def _code(name: str) -> gr.Textbox:
        """A text to copy: gradio's field for code is a sixth of all that a page loads."""
        with gr.Tab(name):
            return gr.Textbox(
                label=name, buttons=["copy"], interactive=False, lines=4, max_lines=24, elem_classes="code"
            )

    @property
    def linked(self) -> list[Component]:
        """What an address sets."""
        return [*self.controls.from_link, self.page.notice]

    def wire(self, session: gr.State) -> None:
        shown = [self.files, self.json, self.command, self.python, self.link, self.page.notice]
        waiting = {"show_progress": "full", "show_progress_on": self.files}
        self.prepare.click(self.press_prepare, session, shown, **AT_ONCE | waiting)

    def press_prepare(self, request: gr.Request, session: Session) -> Answer:
        """Files, texts and link for the run shown."""
        run, notices = session.shown, self.page.notice
        if run is None or not run.steps:
            return {notices: notice("There is nothing to export yet: make or open a run first.")}
        made, folder = recipe(run), self.shared.folder(session)
        folder.mkdir(parents=True)
        page = request.headers.get("referer", "").partition("?")[0]
        observer = next(iter(made.observers), "")
        link = f"{page}?{query(run.prompt, run.critic, observer, run.planned.as_dict())}&run={self._shared(run)}"
        files, said = written(run, made, folder, link)
        made_of = f"{run.title.capitalize()} up to step {run.newest}: page (HTML), bundle (zip), settings, animation"
        return {
            self.files: gr.update(value=[str(file) for file in files], label=made_of),
            self.json: as_json(made),
            self.command: as_command(made),
            self.python: as_python(made),
            self.link: link,
            notices: notice(said),
        }

    def _shared(self, run: Run) -> str:
        """The name of a copy that a link opens: whoever has it learns nothing of the visit's other runs."""
        room = self.shared.storage.room()
        shutil.copytree(run.trajectory.folder, room / "bundle")
        return room.name

    def restore(self, request: gr.Request, session: Session) -> Answer:
        """Prompt, critics, pace and knobs from the page's own address, or as they were when the visit began its latest
        run with this address."""
        link = str(request.request.url.query) if request.request else ""
        if session.asked and link == session.link:
            return self.controls.fill(session.asked)
        session.link = link
        try:
            found: dict[str, Any] = from_query(link)
            self.shared.check_steps(found.get("steps", 0))
            for name in (found.get("critic"), found.get("observer")):
                if name and name != NO_OBSERVER:
                    parse(name)
        except InputError as error:
            return {self.page.notice: notice(f"{error} The link was not used.")}
        if pace := PACE_OF.get(dict(parse_qsl(link)).get("pace", "")):
            session.pace = found["pace"] = pace
        return self.controls.fill(found)
